"""A CT through a network to labels and confidence on its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manabi.context import Context
from manabi.pelvis.settings import Settings
from manabi.structures.apply import probabilities
from manabi.structures.ct_input import prepare
from manabi.structures.found import Found, on_grid, tidy
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Segmented:
    """What was found in a CT.

    Attributes:
        labels: on the CT's grid, uint8, ``settings.structures.labels``.
        confidence: probability of the label, float32, on the same grid.
        notes: what was dropped, in words.
        warnings: what was changed of the CT.
    """

    labels: Volume
    confidence: Volume
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def segmented(
    volume: Volume, network: nn.Module, settings: Settings, wanted: Sequence[str], context: Context
) -> Segmented:  # fmt: skip
    """Find structures.

    Args:
        volume: CT in HU.
        network: of a bundle, or just trained.
        settings: of the bundle.
        wanted: names of the structures that are kept.
        context: device, precision, progress and cancellation.
    """
    context.progress(0.0, "Preparing")
    ready = prepare(volume, settings.taken)
    with context.span(0.08, 0.8):
        answer = probabilities(network, ready.image, settings.applied, context, settings.temperature)
    found = Found(ready.grid, answer)
    context.progress(0.82, "Cleaning")
    notes = tidy(found, settings.structures, context)
    context.progress(0.88, "Back to the image")
    labels, confidence = on_grid(found, settings.structures, volume.grid, wanted, context)
    return Segmented(labels, confidence, tuple(notes), ready.warnings)
