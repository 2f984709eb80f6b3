"""Methods of the SliceMarker experiment that read a CT as a whole: ours and the rules.

Ours also reads truncated CTs, and every CT once looking at each slice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.slices.reading import MARKERS, NEAR_MM, Reading
from manabi.slices.stack import AxialStack
from Training.experiments.slices_arms import digest, found, keep
from Training.experiments.slices_cases import Patients, Range, absent_side, half_mm, truncations
from Training.experiments.slices_scores import Answer
from Training.slices_paper import PaperCase, true_slice

logger = logging.getLogger(__name__)

OURS = "Manabi (ours)"
EVERY_SLICE = "Manabi, every slice"
RULES = "Rules (airway and lungs)"
WHOLE = "whole"
"""The scene of a CT that is not truncated; the others are :data:`Training.experiments.slices_cases.SCENES`."""

Reader = Callable[[AxialStack, bool], Reading]
"""A stack, and whether to look at every slice, to the three answers."""


def bundle_reader(bundle: str, device: str = "auto") -> tuple[Reader, dict[str, str]]:
    """Our method with a bundle (name or path), and the bundle's provenance."""
    from manabi.slices.find import Settings, find_markers
    from manabi.store import BundleStore

    chosen = BundleStore().get(bundle, method="slices")
    network = chosen.build_network()
    settings = Settings.of(chosen.facts.get("slices", {}))

    def read(stack: AxialStack, exhaustive: bool) -> Reading:
        return find_markers(stack, network, settings, Context(device=device), exhaustive=exhaustive)

    return read, chosen.provenance()


def read_patient(patients: Patients, index: int, reader: Reader | None, rules: bool, truncate: bool) -> dict[str, Any]:
    """Every whole-CT method's answers for one test patient.

    Returns:
        ``arms``: method to scene to three answers; ``crops``: scene to the range it keeps; ``search``: what the
        coarse-to-fine search saved and whether its answers are those of looking at every slice.
    """
    case, levels = patients.prepared(index), patients.truth(index)
    stack = AxialStack.of(patients.case(index).volumes["ct"])
    crops = truncations(stack.z_mm, levels, np.random.default_rng([patients.seed, index])) if truncate else {}
    out: dict[str, Any] = {"arms": {}, "crops": {scene: list(kept) for scene, kept in crops.items()}}
    if reader is not None:
        out["arms"], out["search"] = _ours(reader, stack, case, levels, crops)
    if rules:
        out["arms"][RULES] = {WHOLE: _by_rules(stack, case)}
    return out


def _ours(
    reader: Reader, stack: AxialStack, case: PaperCase, levels: Mapping[str, float], crops: Mapping[str, Range]
) -> tuple[dict[str, Any], dict[str, Any]]:
    whole = _whole(stack)
    started = time.perf_counter()
    quick = reader(stack, False)
    between = time.perf_counter()
    every = reader(stack, True)
    seconds = [round(between - started, 3), round(time.perf_counter() - between, 3)]
    scenes = {WHOLE: _read(quick, case, levels, whole)}
    for scene, kept in crops.items():
        scenes[scene] = _read(reader(cropped(stack, kept), False), case, levels, kept)
    search = {
        "same": [_same(quick[marker], every[marker]) for marker in MARKERS],
        "evaluated": int(quick.evaluated.sum()),
        "slices": stack.n,
        "seconds": seconds,
    }
    return {OURS: scenes, EVERY_SLICE: {WHOLE: _read(every, case, levels, whole)}}, search


def _same(first: Any, second: Any) -> bool:
    return first.index == second.index and first.absent == second.absent


def _whole(stack: AxialStack) -> Range:
    return float(stack.z_mm[0]), float(stack.z_mm[-1])


def cropped(stack: AxialStack, kept: Range) -> AxialStack:
    """The slices of a stack that lie within a range of positions."""
    inside = np.flatnonzero((stack.z_mm >= kept[0] - 1e-6) & (stack.z_mm <= kept[1] + 1e-6))
    _, n_rows, n_columns = stack.volume.shape
    volume = stack.volume.crop((int(inside[0]), 0, 0), (int(inside[-1]) + 1, n_rows, n_columns))
    return AxialStack.of(volume)


def _read(reading: Reading, case: PaperCase, levels: Mapping[str, float], kept: Range) -> list[dict[str, Any]]:
    """A reading on the case's 4 mm slices."""
    answers = []
    for marker in MARKERS:
        found = reading[marker]
        side = absent_side(levels[marker], kept, half_mm(case.z_mm))
        truth = None if side else true_slice(case.z_mm, levels[marker])
        answers.append(_placed(case, marker, truth, found.z_mm, (found.confidence, found.absent, side)))
    return answers


def _placed(
    case: PaperCase, marker: str, truth: int | None, z_mm: float | None, more: tuple[float | None, str, str]
) -> dict[str, Any]:
    top = None if z_mm is None else int(np.abs(case.z_mm - z_mm).argmin())
    error = None if z_mm is None or truth is None else float(abs(z_mm - case.z_mm[truth]))
    predicted = () if top is None else (top,)
    return Answer(case.name, marker, truth, predicted, top, error, *more).to_dict()


def _by_rules(stack: AxialStack, case: PaperCase) -> list[dict[str, Any]]:
    from manabi.slices.rules import find_by_rules

    found = find_by_rules(stack)
    return [_placed(case, m, case.truth[m], found.z_mm.get(m), (None, "", "")) for m in MARKERS]


def read_patients(
    patients: Patients,
    indices: Sequence[int],
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool,
    read: Callable[[int], dict[str, Any]],
) -> list[dict[str, Any]]:
    """:func:`read_patient` for all; each is kept in a file, and with ``resume`` found again under equal settings."""
    rows = []
    for n, index in enumerate(indices):
        key = digest(dict(settings), [patients.key(index), NEAR_MM])
        path = folder / f"{patients.name(index)}.json"
        kept = found(path, key) if resume else None
        if kept is None:
            kept = keep(path, key, read(index))
            logger.info("read %d of %d test patients", n + 1, len(indices))
        rows.append(kept)
    return rows
