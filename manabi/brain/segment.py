"""The networks' part of BrainSeg: probabilities of the structures on the working grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.brain.prepare import Prepared
from manabi.brain.refine import Refinement, refined
from manabi.brain.structures import CLASSES, STRUCTURES
from manabi.context import Context
from manabi.geometry import Shape
from manabi.structures.found import Found
from manabi.volume import Volume

if TYPE_CHECKING:
    import torch

    from manabi.networks.coarse_to_fine import CoarseToFine

WORTH = 0.04
"""The fine network looks where the coarse one gives structures at least this much together (our choice)."""
SURE = 0.9
"""Voxels of a structure that the first stage gives more than this count for the disagreement of the stages."""
FINE_SIDE_MM, FINE_OVERLAP_MM = 88, 16
"""Largest side of what the fine network sees at once, not much more than in training, and overlap (our choice)."""


@dataclass(frozen=True)
class Settings:
    """What a bundle says of its networks.

    Attributes:
        temperature: of the softmax, fitted to validation images.
        precisions: arithmetic for which the networks were found good.
        features_mean: means of the coarse network's deepest features over training images, or empty.
        features_sd: their spread.
        strangest: the largest distance that validation images had from them.
        refinement: how the image's intensities sharpen the answer.
        structures: those that the networks find.
    """

    temperature: float = 1.0
    precisions: tuple[str, ...] = ("float32",)
    features_mean: tuple[float, ...] = ()
    features_sd: tuple[float, ...] = ()
    strangest: float | None = None
    refinement: Refinement = field(default_factory=Refinement)
    structures: tuple[str, ...] = STRUCTURES

    @classmethod
    def of(cls, facts: Mapping[str, Any], precisions: tuple[str, ...]) -> Settings:
        """Settings from the bundle's section ``brain``."""
        features = facts.get("features", {})
        return cls(
            float(facts.get("temperature", 1.0)), precisions, tuple(features.get("mean", ())),
            tuple(features.get("sd", ())), features.get("strangest"), Refinement(**facts.get("refinement", {})),
            tuple(facts.get("structures", STRUCTURES)),
        )  # fmt: skip


def find(prepared: Prepared, network: CoarseToFine, settings: Settings, fine: bool, context: Context) -> Found:
    """Both stages on one image.

    Args:
        prepared: the image on the working grid.
        network: both networks.
        settings: of the bundle.
        fine: whether the second stage runs.
        context: device, precision, progress, cancellation.
    """
    with context.span(0.0, 0.4):
        probabilities, right, strangeness = _looked(prepared, network, settings, context)
    found = Found(prepared.volume.grid, probabilities, right, strangeness)
    if fine:
        with context.span(0.4, 1.0):
            sharper = _sharpened(prepared, probabilities, network, settings, context)
        context.check_cancelled()
        found.probabilities = refined(prepared.image, sharper, settings.refinement)
        sure = probabilities[1:].max(0) > SURE
        changed = found.probabilities.argmax(0)[sure] != probabilities.argmax(0)[sure]
        found.disagreement = float(changed.mean()) if sure.any() else 0.0
    return found


def _looked(
    prepared: Prepared, network: CoarseToFine, settings: Settings, context: Context
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Coarse probabilities and side on the working grid, and the strangeness of the features."""
    import torch
    import torch.nn.functional as F

    from manabi.inference import predict_volume
    from manabi.networks.coarse_to_fine import STEP

    image = torch.from_numpy(prepared.image)[None, None]
    pads = [p for n in reversed(image.shape[2:]) for p in (0, n % STEP)]
    small = F.avg_pool3d(F.pad(image, pads, mode="replicate") if any(pads) else image, STEP)[0]
    with Features(network) as features:
        out = predict_volume(
            network.coarse, small, context=context, divisor=network.coarse.factor,
            n_outputs=network.classes + 1, allowed_precisions=settings.precisions,  # type: ignore[arg-type]
        )  # fmt: skip
    logits = torch.from_numpy(out)
    size = tuple(prepared.image.shape)
    large = network.enlarged(logits[None, : network.classes] / settings.temperature, size)[0].numpy()
    side = F.interpolate(logits[None, network.classes :], scale_factor=float(STEP), mode="trilinear")[0, 0]
    right = torch.sigmoid(side[tuple(slice(n) for n in size)]).numpy()
    return large, right, features.strangeness(settings)


class Features:
    """Watches the coarse network's deepest features while it runs."""

    def __init__(self, network: CoarseToFine) -> None:
        self._module = network.coarse.down[-1]
        self._seen: list[np.ndarray] = []

    def __enter__(self) -> Features:
        self._handle = self._module.register_forward_hook(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _look(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        values = output.detach().float()
        self._seen.append(values.amax(dim=(2, 3, 4)).mean(0).cpu().numpy())

    @property
    def mean(self) -> np.ndarray | None:
        """Each feature's maximum over the image, averaged over passes; None before any."""
        return np.mean(self._seen, axis=0) if self._seen else None

    def strangeness(self, settings: Settings) -> float | None:
        """Root mean square of the features' distance from training in their spread; None where it is not known."""
        if not self._seen or not settings.features_mean:
            return None
        return distance(self._seen[-1], np.array(settings.features_mean), np.array(settings.features_sd))


def distance(features: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> float:
    """Root mean square of ``(features - mean) / sd``."""
    return float(np.sqrt(np.mean(((features - mean) / np.maximum(sd, 1e-3)) ** 2)))


def _sharpened(
    prepared: Prepared, probabilities: np.ndarray, network: CoarseToFine, settings: Settings, context: Context
) -> np.ndarray:
    """Fine probabilities where there may be structures; the coarse ones elsewhere."""
    from scipy.special import softmax

    from manabi.inference import predict_volume
    from manabi.inference.windows import bounding_box

    if network.fine is None:
        return probabilities
    worth = probabilities[0] < 1.0 - WORTH
    box = bounding_box(worth, network.fine.factor)
    if box is None:
        return probabilities
    part = np.concatenate([prepared.image[box][None], probabilities[(slice(None), *box)]])
    window, overlap = fine_windows(part.shape[1:], network.fine.factor)
    logits = predict_volume(
        fine_stage(network), part, context=context, window=window, overlap=overlap, blend="gaussian",
        divisor=network.fine.factor, n_outputs=network.classes,
        allowed_precisions=settings.precisions,  # type: ignore[arg-type]
    )  # fmt: skip
    out = probabilities.copy()
    inner = worth[box]
    out[(slice(None), *box)][:, inner] = softmax(logits[:, inner] / settings.temperature, axis=0)
    return out


def fine_windows(shape: tuple[int, ...], factor: int) -> tuple[Shape, float]:
    """Windows of the fine network for a part of this size, and the share by which neighbours overlap.

    Each side is divided evenly into parts of at most :data:`FINE_SIDE_MM`, so that a run takes the same memory on every
    head and the same windows on every computer.
    """
    sides = []
    for n in shape:
        parts = -(-n // FINE_SIDE_MM)
        wanted = n if parts == 1 else -(-(n + (parts - 1) * FINE_OVERLAP_MM) // parts)
        sides.append(-(-wanted // factor) * factor)
    overlap = FINE_OVERLAP_MM / max(sides) if any(-(-n // FINE_SIDE_MM) > 1 for n in shape) else 0.0
    return (sides[0], sides[1], sides[2]), overlap


def fine_stage(network: CoarseToFine) -> torch.nn.Module:
    """The second stage as a network of one input: the image with the coarse probabilities."""
    from torch import nn

    class Fine(nn.Module):
        """Logits from stacked image and probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """``(N, C + classes, k, j, i)`` to ``(N, classes, k, j, i)``."""
            return self.inner.sharpen(x[:, : network.in_channels], x[:, network.in_channels :])

    return Fine()


# --- two contrasts ----------------------------------------------------------------------------------------------------


def combined(first: Found, second: Found) -> Found:
    """Two contrasts of one patient: the mean of their probabilities; of vessels the larger (our choice).

    The second is resampled to the first one's working grid; where it does not reach, the first one counts alone.
    """
    vessels = CLASSES["vessels"]
    inside = Volume(np.ones(second.grid.shape, np.float32), second.grid.ijk_to_ras).resampled(first.grid).array
    out = np.empty_like(first.probabilities)
    for number in range(len(out)):
        other = Volume(second.probabilities[number], second.grid.ijk_to_ras).resampled(first.grid).array
        own = first.probabilities[number]
        mixed = np.maximum(own, other) if number == vessels else 0.5 * (own + other)
        out[number] = np.where(inside > 0.5, mixed, own)
    out /= out.sum(0, keepdims=True)
    known = [one.strangeness for one in (first, second) if one.strangeness is not None]
    disagreement = max(first.disagreement, second.disagreement)
    return Found(first.grid, out, first.right, max(known, default=None), disagreement)
