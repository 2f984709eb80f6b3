"""Finding the three markers of one stack with a network: which slices to look at, the chain's answer, what to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.context import Context
from manabi.slices.decode import Decoded, Decoder, decode
from manabi.slices.prepare import InputSettings, Preparer
from manabi.slices.reading import DISAGREE_MM, MARKERS, PLACES, Absent, Found, Reading
from manabi.slices.search import Searched, SearchPlan, search_all, search_coarse_to_fine
from manabi.slices.stack import AxialStack

if TYPE_CHECKING:
    from torch import nn

BATCH = 32


@dataclass(frozen=True)
class Settings:
    """What a bundle says besides its weights.

    Attributes:
        input: how slices are prepared.
        decoder: the chain, calibrated.
        plan: of the coarse-to-fine search.
    """

    input: InputSettings = field(default_factory=InputSettings)
    decoder: Decoder = field(default_factory=Decoder)
    plan: SearchPlan = field(default_factory=SearchPlan)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Settings:
        """From a bundle's metadata, section ``slices``."""
        return cls(
            InputSettings.of(facts.get("input", {})), Decoder.of(facts.get("decoder", {})),
            SearchPlan(**facts.get("search", {})),
        )  # fmt: skip


def find_markers(
    stack: AxialStack, network: nn.Module, settings: Settings, context: Context, *, exhaustive: bool = False,
    rules_mm: Sequence[float] | None = None,
) -> Reading:  # fmt: skip
    """The markers of a stack.

    Args:
        stack: the CT.
        network: maps ``(m, channels, size, size)`` to ``(m, 6)``, see :class:`manabi.networks.slicenet.SliceNet`.
        settings: of the network's bundle.
        context: device, precision, cancellation, progress.
        exhaustive: look at every slice instead of from coarse to fine.
        rules_mm: what tracking of airway and lungs said (:attr:`manabi.slices.rules.RuleReading.said_mm`), as evidence.
    """
    searched = score_stack(stack, network, settings, context, exhaustive=exhaustive, also_mm=rules_mm or ())
    decoded = decode(searched.scores, stack.z_mm, settings.decoder, rules_mm)
    found = tuple(_found(m, decoded, stack) for m in range(3))
    with np.errstate(over="ignore"):
        raw = 1.0 / (1.0 + np.exp(-searched.scores[:, :3]))
    flags = _flags(decoded, searched, stack)
    if rules_mm is not None:
        flags += _alone(decoded, decode(searched.scores, stack.z_mm, settings.decoder), stack)
    return Reading(found, stack.z_mm, searched.evaluated, raw, tuple(flags))  # type: ignore[arg-type]


def score_stack(
    stack: AxialStack, network: nn.Module, settings: Settings, context: Context, *, exhaustive: bool = False,
    also_mm: Sequence[float] = (),
) -> Searched:  # fmt: skip
    """The network's outputs for all slices, or for those that the answer needs."""
    from manabi.inference import predict_stack

    preparer = Preparer(stack, settings.input)

    def score(indices: np.ndarray) -> np.ndarray:
        context.check_cancelled()
        return predict_stack(network, preparer.inputs(stack.z_mm[indices]), context=context, batch=BATCH)

    with context.span(0.0, 1.0):
        if exhaustive:
            return search_all(stack.z_mm, score)
        return search_coarse_to_fine(stack.z_mm, score, settings.plan, also_mm)


def _found(m: int, decoded: Decoded, stack: AxialStack) -> Found:
    state, n = decoded.states[m], stack.n
    absent: Absent = "below" if state == -1 else "above" if state == n else ""
    index = None if absent else state
    z_mm = None if index is None else float(stack.z_mm[index])
    confidence = min(decoded.confidence[m], 1.0)
    return Found(MARKERS[m], index, z_mm, confidence, absent, decoded.posterior[m, 1:-1])


def _flags(decoded: Decoded, searched: Searched, stack: AxialStack) -> list[tuple[str, str]]:
    """What the network's own scores give to think about."""
    flags = []
    known = searched.evaluated
    peaks = [int(np.nanargmax(np.where(known, searched.scores[:, m], np.nan))) for m in range(3)]
    present = [m for m in range(3) if 0 <= decoded.states[m] < stack.n]
    for upper, lower in zip(present, present[1:], strict=False):
        if peaks[upper] <= peaks[lower]:
            names = f"{PLACES[MARKERS[upper]]} and {PLACES[MARKERS[lower]]}"
            flags.append(("", f"order: the slices' own scores put {names} in the wrong order"))
    return flags


def _alone(decoded: Decoded, alone: Decoded, stack: AxialStack) -> list[tuple[str, str]]:
    """Markers that the network's scores by themselves would put elsewhere."""
    flags = []
    for marker, state, other in zip(MARKERS, decoded.states, alone.states, strict=True):
        inside = [0 <= s < stack.n for s in (state, other)]
        far = all(inside) and abs(float(stack.z_mm[state] - stack.z_mm[other])) > DISAGREE_MM
        if far or (state != other and not all(inside)):
            places = f"{_where(other, stack)}, not {_where(state, stack)}"
            flags.append((marker, f"without what tracking of airway and lungs found, it would be {places}"))
    return flags


def _where(state: int, stack: AxialStack) -> str:
    if 0 <= state < stack.n:
        return f"at {stack.z_mm[state]:.0f} mm"
    return "below the image" if state < 0 else "above the image"
