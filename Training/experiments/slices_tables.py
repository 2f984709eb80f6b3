"""The tables of the SliceMarker experiment: the source's with ours beside them, and the ones it lacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.slices.reading import MARKERS
from Training.experiments.slices_arms import truncated_extracted
from Training.experiments.slices_calibration import absence, reliability
from Training.experiments.slices_cases import SCENES
from Training.experiments.slices_paired import paired_table
from Training.experiments.slices_scores import (
    Answer,
    errors_mm,
    mcnemar,
    near,
    offsets,
    readings,
    wilson,
    within,
)
from Training.experiments.slices_whole import ALONE, EVERY_SLICE, OURS, PARTS, RULES, TRACKING, WHOLE
from Training.resampling import Estimate
from Training.slices_paper import PaperCase
from Training.statistics import holm

PUBLISHED: dict[str, tuple[float, float, float]] = {
    "DenseNet-169": (93.6, 95.6, 87.4),
    "ResNet-50": (92.2, 92.1, 86.3),
    "Inception-V3": (94.3, 90.6, 89.5),
    "EfficientNet-b4": (95.1, 94.2, 93.7),
}
"""Table 2 of the source: 1-Up-Down precision in percent for apex, carina, diaphragm."""
PUBLISHED_RECALL = (97.2, 95.8, 93.0)
"""Recall of EfficientNet-B4 in the source's abstract, percent."""
NO_NUMBER = float("nan")

Answers = Mapping[str, Mapping[str, Sequence[Answer]]]
"""Method to marker to one answer per test patient."""


def results(
    tests: Sequence[PaperCase],
    truths: Sequence[Mapping[str, Any]],
    read: Sequence[Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, Any]:
    """Everything that the page shows, as JSON values.

    Args:
        tests: test patients.
        truths: their levels and pathology.
        read: from :func:`Training.experiments.slices_whole.read_patient`.
        arms: method to marker to :func:`Training.experiments.slices_arms.extractor`'s answer.
    """
    answers = _answers(read, arms)
    shown = {name: rows for name, rows in answers.items() if name != EVERY_SLICE}
    scenes = _truncated(tests, read, answers)
    sizes = {case.name: len(case.images) for case in tests}

    def scored(rows: Sequence[Answer]) -> dict[str, list[float]]:
        return _triples(readings(rows, sizes))

    return {
        "patients": [_patient(*pair) for pair in zip(tests, truths, strict=True)],
        "runs": {name: {m: done["run"] for m, done in markers.items()} for name, markers in arms.items()},
        "readings": _each(shown, scored),
        "readings_marks": _each(against_marks(shown, tests), scored),
        "distance": _each(shown, distance),
        "offsets": _each(shown, offsets),
        "mcnemar": mcnemar_table(shown),
        "paired": paired_table(shown),
        "pathology": pathology_table(shown, [str(truth["pathology"]) for truth in truths]),
        "truncation": {name: truncation_table(rows) for name, rows in scenes.items()},
        "calibration": calibration_table(answers.get(OURS, {}), scenes.get(OURS, {})),
        "search": search_table(read),
        "answers": _each(shown, lambda rows: [a.brief() for a in rows]),
    }


def _answers(read: Sequence[Mapping[str, Any]], arms: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Answers:
    """Of the extractors, the rules and ours, on whole CTs."""
    trained = {
        name: {marker: [Answer.of(row) for row in done["answers"]] for marker, done in markers.items()}
        for name, markers in arms.items()
    }
    known = [name for name in (RULES, TRACKING, ALONE, OURS, EVERY_SLICE) if read and name in read[0]["arms"]]
    return {**trained, **{name: _by_marker(read, name) for name in known}}


def _each(answers: Answers, score: Callable[[Sequence[Answer]], Any]) -> dict[str, dict[str, Any]]:
    """Something for every method and marker."""
    return {name: {marker: score(rows) for marker, rows in kept.items()} for name, kept in answers.items()}


def against_marks(answers: Answers, tests: Sequence[PaperCase]) -> Answers:
    """The same answers with the simulated readers' slices for the truth; nothing where no reader marked any."""
    if not any(case.read for case in tests):
        return {}

    def marked(rows: Sequence[Answer]) -> list[Answer]:
        return [replace(a, truth=case.label(a.marker)) for a, case in zip(rows, tests, strict=True)]

    return _each(answers, marked)


def _by_marker(read: Sequence[Mapping[str, Any]], name: str, scene: str = WHOLE) -> dict[str, list[Answer]]:
    found = [[Answer.of(values) for values in row["arms"][name].get(scene, ())] for row in read]
    return {marker: [answers[m] for answers in found if answers] for m, marker in enumerate(MARKERS)}


def _patient(case: PaperCase, truth: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": case.name, "slices": len(case.images), "truth": dict(case.truth), **truth}


def triple(estimate: Estimate) -> list[float]:
    """Value, lower and upper limit."""
    return [estimate.value, estimate.low, estimate.high]


def _triples(estimates: Mapping[str, Estimate]) -> dict[str, list[float]]:
    return {name: triple(estimate) for name, estimate in estimates.items()}


def distance(answers: Sequence[Answer]) -> dict[str, Any]:
    """Distances from the true level in mm; shares of all cases within 4 mm of it, and one and two slices off."""
    errors = errors_mm(answers)
    return {
        "mean_mm": float(errors.mean()) if errors.size else NO_NUMBER,
        "median_mm": float(np.median(errors)) if errors.size else NO_NUMBER,
        "p95_mm": float(np.quantile(errors, 0.95)) if errors.size else NO_NUMBER,
        "within_4mm": triple(near(answers)),
        "within_1": triple(within(answers, 1)),
        "within_2": triple(within(answers, 2)),
        "none_predicted": sum(not a.predicted for a in answers if a.truth is not None),
        "cases": sum(a.truth is not None for a in answers),
    }


def mcnemar_table(answers: Answers) -> dict[str, dict[str, dict[str, float]]]:
    """Ours against every other method, per marker: cases within ±1 slice, exact p, and p adjusted over the methods."""
    if OURS not in answers:
        return {}
    table: dict[str, dict[str, dict[str, float]]] = {}
    for marker in MARKERS:
        rows = {name: [a.is_hit for a in kept[marker]] for name, kept in answers.items() if marker in kept}
        others = [name for name in rows if name not in (OURS, *PARTS)]  # a part of ours is no other
        p = [mcnemar(rows[OURS], rows[name]) for name in others]
        adjusted = holm(p).tolist() if p else []
        table[marker] = {
            name: {"p": a, "p_holm": b, **_disagreement(rows[OURS], rows[name])}
            for name, a, b in zip(others, p, adjusted, strict=True)
        }
    return table


def _disagreement(ours: Sequence[bool], other: Sequence[bool]) -> dict[str, int]:
    pairs = list(zip(ours, other, strict=True))
    return {"ours_only": pairs.count((True, False)), "other_only": pairs.count((False, True))}


def pathology_table(answers: Answers, pathologies: Sequence[str]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Share of top-1 answers within ±1 slice, by pathology, method and marker."""
    table: dict[str, dict[str, dict[str, list[float]]]] = {}
    for pathology in sorted(set(pathologies)):
        member = [kind == pathology for kind in pathologies]
        table[pathology] = {
            name: {m: triple(within(_chosen(rows, member), 1)) for m, rows in kept.items()}
            for name, kept in answers.items()
        }
    return table


def _chosen(answers: Sequence[Answer], member: Sequence[bool]) -> list[Answer]:
    return [a for a, inside in zip(answers, member, strict=True) if inside]


# --- truncated CTs ----------------------------------------------------------------------------------------------------


def _truncated(
    tests: Sequence[PaperCase], read: Sequence[Mapping[str, Any]], answers: Answers
) -> dict[str, dict[str, dict[str, list[Answer]]]]:
    """Method to scene to marker to answers; of ours, which read every scene, and of the extractors."""
    if not read or not any(row["crops"] for row in read):
        return {}
    extractors = {name: kept for name, kept in answers.items() if name not in (OURS, RULES, *PARTS, EVERY_SLICE)}
    ours = {OURS: {scene: _by_marker(read, OURS, scene) for scene in SCENES}} if OURS in answers else {}
    return ours | {
        name: {scene: _scene(kept, tests, [row["crops"].get(scene) for row in read]) for scene in SCENES}
        for name, kept in extractors.items()
    }


def _scene(
    kept: Mapping[str, Sequence[Answer]], tests: Sequence[PaperCase], crops: Sequence[Sequence[float] | None]
) -> dict[str, list[Answer]]:
    return {marker: _cut(rows, tests, crops) for marker, rows in kept.items()}


def _cut(
    answers: Sequence[Answer], tests: Sequence[PaperCase], crops: Sequence[Sequence[float] | None]
) -> list[Answer]:
    rows = zip(answers, tests, crops, strict=True)
    return [truncated_extracted(answer, case, (crop[0], crop[1])) for answer, case, crop in rows if crop is not None]


def truncation_table(scenes: Mapping[str, Mapping[str, Sequence[Answer]]]) -> dict[str, dict[str, Any]]:
    """By scene: how often markers are called missing (:func:`absence`), and patients with every answer right."""
    table: dict[str, dict[str, Any]] = {}
    for scene, kept in scenes.items():
        rows = [answer for answers in kept.values() for answer in answers]
        if rows:
            patients = {a.case for a in rows}
            wrong = {a.case for a in rows if not a.is_right}
            right = triple(wilson(len(patients - wrong), len(patients)))
            table[scene] = {**_triples(absence(rows)), "right": right, "patients": len(patients)}
    return table


# --- ours -------------------------------------------------------------------------------------------------------------


def calibration_table(
    whole: Mapping[str, Sequence[Answer]], scenes: Mapping[str, Mapping[str, Sequence[Answer]]]
) -> dict[str, Any]:
    """Reliability of the confidence over whole and truncated CTs together, and for whole ones by marker."""
    rows = [a for answers in whole.values() for a in answers]
    if not rows:
        return {}
    cut = [a for kept in scenes.values() for answers in kept.values() for a in answers]
    table = {marker: _reliability(answers) for marker, answers in whole.items()}
    table["whole"] = _reliability(rows)
    if cut:
        table |= {"truncated": _reliability(cut), "all": _reliability(rows + cut)}
    return table


def _reliability(answers: Sequence[Answer]) -> dict[str, Any]:
    known = [a for a in answers if a.confidence is not None]
    found = reliability([a.confidence or 0.0 for a in known], [a.is_right for a in known])
    return {
        "confidence": found.confidence.tolist(), "right": found.right.tolist(), "count": found.count.tolist(),
        "ece": found.ece, "brier": found.brier, "answers": len(known),
    }  # fmt: skip


def search_table(read: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Coarse-to-fine against looking at every slice: patients with three same answers, slices looked at, seconds."""
    rows = [row["search"] for row in read if "search" in row]
    if not rows:
        return {}
    same = [all(row["same"]) for row in rows]
    shares = [row["evaluated"] / row["slices"] for row in rows]
    seconds = np.array([row["seconds"] for row in rows])
    return {
        "same": triple(wilson(sum(same), len(same))),
        "evaluated": float(np.mean(shares)),
        "evaluated_most": float(np.max(shares)),
        "seconds": [float(x) for x in np.median(seconds, axis=0)],
        "patients": len(same),
    }
