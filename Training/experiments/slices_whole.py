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

from manabi.bundle import Bundle
from manabi.context import Context
from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.slices.reading import MARKERS, NEAR_MM, Reading
from manabi.slices.rules import RuleReading, find_by_rules
from manabi.slices.stack import AxialStack
from manabi.store import BundleStore
from Training.cohort import PHANTOMS
from Training.experiments.slices_arms import digest, found, keep
from Training.experiments.slices_cases import Patients, Range, absent_side, beyond_mm, half_mm, truncations
from Training.experiments.slices_scores import Answer
from Training.phantom_cache import code_hash
from Training.slices_paper import PaperCase, true_slice

logger = logging.getLogger(__name__)

OURS = "Manabi (ours)"
EVERY_SLICE = "Manabi, every slice"
ALONE = "Manabi, network alone"
TRACKING = "Manabi, tracking alone"
RULES = "Rules (airway and lungs)"
PARTS = (ALONE, TRACKING)
"""What ours is made of: shown, but no other method that it could be better than."""
WHOLE = "whole"
"""The scene of a CT that is not truncated; the others are :data:`Training.experiments.slices_cases.SCENES`."""

RulesMm = Sequence[float]
Reader = Callable[[AxialStack, bool, RulesMm | None], Reading]
"""A stack, whether to look at every slice, and what the rules said (None: not asked), to the three answers."""


# --- the bundle -------------------------------------------------------------------------------------------------------


def open_bundle(bundle: str, seed: int) -> Bundle:
    """A bundle of ours by name or path; raises InvalidInputError where it learned phantoms of the cohort ``seed``."""
    chosen = BundleStore().get(bundle, method="slices")
    refuse_learned(chosen, seed, "data")
    return chosen


def refuse_learned(bundle: Bundle, seed: int, setting: str) -> None:
    """Raise InvalidInputError where a bundle learned phantoms of the seed that ``experiment.setting`` tests with."""
    if seed in learned_seeds(bundle):
        raise InvalidInputError(
            f"The bundle {bundle.name} learned phantoms of the seed {seed}, which this experiment tests with. Choose "
            "another bundle with --set experiment.ours=NAME, train one on other phantoms (python -m Training slices "
            f"--data phantoms:{seed + 1}:600 --output DIR), or test on others with --set "
            f"experiment.{setting}=phantoms:{seed + 1}:472."
        )


def learned_seeds(bundle: Bundle) -> set[int]:
    """Seeds of the phantoms that a bundle learned, and those of the bundles that its training began from."""
    seeds, seen = _seeds(bundle), {bundle.name}
    while (start := training_facts(bundle)["start"]) and start not in seen:
        seen.add(start)
        try:
            bundle = BundleStore().get(start, method="slices")
        except ModelNotFoundError:
            logger.warning("Training began from the bundle %s, which is not here: what it learned is unknown.", start)
            break
        seeds |= _seeds(bundle)
    return seeds


def _seeds(bundle: Bundle) -> set[int]:
    return {int(seed) for seed, _ in PHANTOMS.findall(f"{bundle.trained_on} {training_facts(bundle)['start']}")}


def training_facts(bundle: Bundle) -> dict[str, Any]:
    """How a bundle was trained, as far as its metadata says; None for what they do not."""
    training = bundle.facts.get("training", {})
    recipe, settings = training.get("recipe", {}), training.get("settings", {})
    return {
        "simulated": bundle.simulated,
        "patients": training.get("patients", {}).get("training"),
        "epochs": settings.get("epochs"),
        "best_epoch": training.get("best_epoch"),
        "items_per_epoch": recipe.get("items_per_epoch"),
        "start": recipe.get("start", ""),
    }


def bundle_reader(bundle: Bundle, device: str = "auto") -> Reader:
    """Our method with a bundle."""
    from manabi.slices.find import Settings, find_markers

    network = bundle.build_network()
    settings = Settings.of(bundle.facts.get("slices", {}))

    def read(stack: AxialStack, exhaustive: bool, rules_mm: RulesMm | None) -> Reading:
        return find_markers(stack, network, settings, Context(device=device), exhaustive=exhaustive, rules_mm=rules_mm)

    return read


# --- reading ----------------------------------------------------------------------------------------------------------


def read_patient(patients: Patients, index: int, reader: Reader | None, rules: bool, truncate: bool) -> dict[str, Any]:
    """Every whole-CT method's answers for one test patient.

    Returns:
        ``arms``: method to scene to three answers; ``crops``: scene to the range it keeps; ``search``: what the
        coarse-to-fine search saved and whether its answers are those of looking at every slice.
    """
    case = patients.prepared(index)
    stack = AxialStack.of(patients.case(index).volumes["ct"])
    rng = np.random.default_rng([patients.seed, index])
    crops = truncations(stack.z_mm, case.levels_mm, rng) if truncate else {}
    out: dict[str, Any] = {"arms": {}, "crops": {scene: list(kept) for scene, kept in crops.items()}}
    found = find_by_rules(stack)
    if reader is not None:
        out["arms"], out["search"] = _ours(reader, stack, found.said_mm, case, crops)
    if rules:
        out["arms"] |= {name: {WHOLE: rows} for name, rows in tracked(case, stack, found).items()}
    return out


def tracked(case: PaperCase, stack: AxialStack, found: RuleReading) -> dict[str, list[dict[str, Any]]]:
    """The rules' answers on a whole CT, and the slices nearest to what ours takes from the tracking as evidence."""
    said = [None if not np.isfinite(z) else float(stack.z_mm[stack.nearest(z)]) for z in found.said_mm]
    slices = {RULES: [found.z_mm[m] for m in MARKERS], TRACKING: said}
    return {
        name: [placed(case, m, whole(stack), z).to_dict() for m, z in zip(MARKERS, levels, strict=True)]
        for name, levels in slices.items()
    }


def _ours(
    reader: Reader, stack: AxialStack, rules: RulesMm, case: PaperCase, crops: Mapping[str, Range]
) -> tuple[dict[str, Any], dict[str, Any]]:
    kept_whole = whole(stack)
    started = time.perf_counter()
    quick = reader(stack, False, rules)
    between = time.perf_counter()
    every = reader(stack, True, rules)
    seconds = [round(between - started, 3), round(time.perf_counter() - between, 3)]
    scenes = {WHOLE: reading_answers(quick, case, kept_whole)}
    for scene, kept in crops.items():
        part = cropped(stack, kept)
        scenes[scene] = reading_answers(reader(part, False, find_by_rules(part).said_mm), case, kept)
    search = {
        "same": [_same(quick[marker], every[marker]) for marker in MARKERS],
        "evaluated": int(quick.evaluated.sum()),
        "slices": stack.n,
        "seconds": seconds,
    }
    alone = reading_answers(reader(stack, False, None), case, kept_whole)
    return {OURS: scenes, EVERY_SLICE: {WHOLE: reading_answers(every, case, kept_whole)}, ALONE: {WHOLE: alone}}, search


def _same(first: Any, second: Any) -> bool:
    return first.index == second.index and first.absent == second.absent


def whole(stack: AxialStack) -> Range:
    """First and last position of a stack."""
    return float(stack.z_mm[0]), float(stack.z_mm[-1])


def cropped(stack: AxialStack, kept: Range) -> AxialStack:
    """The slices of a stack that lie within a range of positions."""
    inside = np.flatnonzero((stack.z_mm >= kept[0] - 1e-6) & (stack.z_mm <= kept[1] + 1e-6))
    return stack.part(int(inside[0]), int(inside[-1]) + 1)


def reading_answers(reading: Reading, case: PaperCase, kept: Range) -> list[dict[str, Any]]:
    """A reading on the case's 4 mm slices."""
    rows = [(marker, reading[marker]) for marker in MARKERS]
    return [placed(case, marker, kept, one.z_mm, one.confidence, one.absent).to_dict() for marker, one in rows]


def placed(
    case: PaperCase, marker: str, kept: Range, z_mm: float | None, confidence: float | None = None, absent: str = ""
) -> Answer:
    """The answer of a method that chose the slice at ``z_mm``, or none, on the case's 4 mm slices.

    Its error is the distance of the chosen slice from the true level, not from the 4 mm slice that holds it.
    """
    level = case.levels_mm[marker]
    side = absent_side(level, kept, half_mm(case.z_mm))
    truth = None if side else true_slice(case.z_mm, level)
    top = None if z_mm is None else int(np.abs(case.z_mm - z_mm).argmin())
    error = None if z_mm is None or truth is None else float(abs(z_mm - level))
    predicted = () if top is None else (top,)
    beyond = beyond_mm(level, kept) if side else 0.0
    return Answer(case.name, marker, truth, predicted, top, error, confidence, absent, side, beyond)


def reading_settings(bundle: Bundle | None, rules: bool, truncation: bool) -> dict[str, Any]:
    """What the answers of :func:`read_patient` follow from, besides the patients: weights, decoder, search, code."""
    import manabi.slices

    return {
        "ours": bundle.provenance() if bundle else {},
        "slices": bundle.facts.get("slices", {}) if bundle else {},
        "code": code_hash(Path(manabi.slices.__file__).parent),
        "rules": rules,
        "truncation": truncation,
    }


def read_patients(
    patients: Patients,
    indices: Sequence[int],
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool,
    read: Callable[[int], dict[str, Any]],
) -> list[dict[str, Any]]:
    """:func:`read_patient` for all; each is kept in a file, and with ``resume`` found again under equal settings.

    Args:
        patients: of the experiment.
        indices: which.
        folder: for the files.
        settings: :func:`reading_settings`.
        resume: take what is there.
        read: :func:`read_patient` of a number.

    Returns:
        Its answers, each with ``duration_s``.
    """
    rows = []
    for n, index in enumerate(indices):
        key = digest(dict(settings), [patients.key(index), NEAR_MM])
        path = folder / f"{patients.name(index)}.json"
        kept = found(path, key) if resume else None
        if kept is None:
            started = time.perf_counter()
            row = read(index)
            kept = keep(path, key, {**row, "duration_s": round(time.perf_counter() - started, 3)})
            logger.info("read %d of %d test patients", n + 1, len(indices))
        rows.append(kept)
    return rows
