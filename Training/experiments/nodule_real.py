"""Real films, whatever comes out: image scores of nodule or mass against normal, and marks on boxed nodules.

The folder holds films of NIH ChestX-ray14 (Wang et al., CVPR 2017, 10.1109/CVPR.2017.369): ``nih`` with labels in
``nih_labels.csv`` and boxes of eight findings in ``BBox_List_2017.csv``, in pixels of 1024 × 1024; and ``nih512``,
where it is there, with labels in its own ``labels.csv``. Labels were mined from reports, and many are wrong. Films of
patients that training has seen (``experiment.seen``) are not read, and counted.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.radiograph import read_radiograph
from manabi.nodule.prepare import canonical, film_of_volume
from Training.experiments.nodule_bench import (
    BUNDLE,
    Plan,
    arms_of,
    bundle_finder,
    bundle_of,
    data_of,
    finder_of,
    trained,
)
from Training.froc import GRID, Mark, score_films, threshold
from Training.nodule_evaluate import LEAST_SCORE, Finder, films_of
from Training.roc import auc_bootstrap

logger = logging.getLogger(__name__)

TARGETS = ("Nodule", "Mass")
KINDS = ("nodule", "normal", "other", "unlabelled")
NORMAL = "No Finding"
BOX_SIDE = 1024.0
"""Pixels of the films that the boxes are given in."""
SLACK_PX = 2.0
"""A mark this far outside a box, on a grid of 256 pixels, still lies on it: boxes were drawn by hand (our choice)."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RealFilm:
    """A film on the network's grid.

    Attributes:
        name: of the file.
        patient: see :func:`patient_of`.
        film: float32 ``(matrix, matrix)``.
        kind: ``nodule``, ``normal``, ``other`` or ``unlabelled``.
        boxes: of nodules and masses, rows and columns of the grid.
    """

    name: str
    patient: str
    film: np.ndarray
    kind: str
    boxes: tuple[Box, ...]


def run(plan: Plan) -> dict[str, Any]:
    """Score the first training of every arm, and the bundle; nothing where there are no films."""
    folder = folder_of(plan.settings.real)
    if folder is None:
        return {"films": {}, "rows": {}}
    seen = seen_patients(plan.settings.seen)
    away = [patient_of(path) for path in paths_of(folder) if patient_of(path) in seen]
    films = read(folder, data_of(plan).matrix, seen)
    left_out = {"films": len(away), "patients": len(set(away))} if plan.settings.seen else None
    counts = {kind: sum(f.kind == kind for f in films) for kind in KINDS}
    rows: dict[str, Any] = {}
    for name in arms_of(plan.settings) if films else ():
        key = plan.key("real", name, [[f.name, f.kind, f.boxes] for f in films])
        rows[name] = plan.once(f"real/{name}.json", key, lambda name=name: _of_arm(plan, name, films))  # type: ignore[misc]
    if plan.settings.bundle and films:
        rows[BUNDLE] = _of_bundle(plan, films)
    boxed = sum(len(f.boxes) for f in films)
    return {"films": counts, "boxed": boxed, "left_out": left_out, "rows": rows}


def folder_of(setting: str) -> Path | None:
    """The folder of real films; None where none is there.

    Raises:
        InvalidInputError: where one was named and is not there.
    """
    if setting:
        if not (Path(setting) / "nih_labels.csv").is_file():
            raise InvalidInputError(f"experiment.real={setting}: expected a folder with nih_labels.csv and nih/.")
        return Path(setting)
    base = os.environ.get("MANABI_TEST_DATA", "")
    folder = Path(base) / "cxr"
    return folder if base and (folder / "nih_labels.csv").is_file() else None


# --- reading ----------------------------------------------------------------------------------------------------------


def paths_of(folder: Path) -> list[Path]:
    """All films there are."""
    return [*sorted((folder / "nih").glob("*.png")), *sorted((folder / "nih512").glob("*.png"))]


def patient_of(path: Path) -> str:
    """The patient's number in the file's name, without leading zeros."""
    return _number(path.stem.split("_")[0])


def _number(text: str) -> str:
    return text.strip().lstrip("0") or "0"


def seen_patients(table: str) -> frozenset[str]:
    """The patients of a CSV, as :func:`patient_of` gives them; none without one.

    Raises:
        InvalidInputError: where the file is not there, has no column ``patient``, or a row has none.
    """
    if not table:
        return frozenset()
    wrong = InvalidInputError("experiment.seen must be a CSV with the column patient, filled in every row.")
    if not Path(table).is_file():
        raise wrong
    with Path(table).open(encoding="utf-8-sig", newline="") as file:
        found = [(row.get("patient") or "").strip() for row in csv.DictReader(file)]
    if not found or not all(found):
        raise wrong
    return frozenset(_number(text) for text in found)


def read(folder: Path, matrix: int, seen: frozenset[str] = frozenset()) -> list[RealFilm]:
    """The films, upright and windowed as the method does it, without those of patients that training has seen."""
    labels = _labels(folder / "nih_labels.csv", "Image Index", "Finding Labels")
    labels |= _labels(folder / "nih512" / "labels.csv", "file", "findings")
    boxes = _boxes(folder / "BBox_List_2017.csv")
    paths = [path for path in paths_of(folder) if patient_of(path) not in seen]
    return [_read(path, labels.get(path.name), boxes.get(path.name, []), matrix) for path in paths]


def _labels(path: Path, name: str, findings: str) -> dict[str, set[str]]:
    """Findings by file; nothing where there is no table."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[name]: set(row[findings].split("|")) for row in csv.DictReader(file)}


def _boxes(path: Path) -> dict[str, list[Box]]:
    """Boxes of nodules and masses by file: first row, first column, end row, end column of 1024."""
    out: dict[str, list[Box]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if len(row) > 5 and row[1] in TARGETS:
                x, y, width, height = (float(v) for v in row[2:6])
                out.setdefault(row[0], []).append((y, x, y + height, x + width))
    return out


def _read(path: Path, findings: set[str] | None, boxes: Sequence[Box], matrix: int) -> RealFilm:
    film = film_of_volume(read_radiograph(path))
    grid = canonical(film, matrix)
    scale = film.pixels.shape[0] / BOX_SIDE
    placed = []
    for box in boxes:
        corners = [grid.from_film(box[k] * scale, box[k + 1] * scale) for k in (0, 2)]
        placed.append((*corners[0], *corners[1]))
    return RealFilm(path.name, patient_of(path), grid.film, _kind(findings), tuple(placed))


def _kind(findings: set[str] | None) -> str:
    """See :attr:`RealFilm.kind`."""
    if findings is None:
        return "unlabelled"
    if findings & set(TARGETS):
        return "nodule"
    return "normal" if findings == {NORMAL} else "other"


# --- scoring ----------------------------------------------------------------------------------------------------------


def _of_arm(plan: Plan, name: str, films: Sequence[RealFilm]) -> dict[str, Any]:
    logger.info("real films, arm %s", name)
    model, _ = trained(plan, name, 0)
    find = finder_of(plan, name, model)
    validation = score_films(films_of(data_of(plan).parts["validation"].first(plan.recipe.threshold_pairs), find))
    levels = {f"{rate:g}": threshold(validation, rate, lowest=LEAST_SCORE) for rate in (0.2, 1.0)}
    return scored(films, find, levels)


def _of_bundle(plan: Plan, films: Sequence[RealFilm]) -> dict[str, Any]:
    bundle = bundle_of(plan)
    points = {f"{p['false_positives']:g}": p["threshold"] for p in bundle.facts["operating_points"]}
    levels = {rate: points[rate] for rate in ("0.2", "1")}
    limit = bool(bundle.facts.get("limit_to_lungs", False))
    return scored(films, bundle_finder(bundle, limit), levels)


def scored(films: Sequence[RealFilm], find: Finder, levels: Mapping[str, float]) -> dict[str, Any]:
    """Area under the ROC curve, hits on boxes and marks per film at thresholds from simulated films."""
    marks = find(np.stack([f.film for f in films]))
    hits = [hit_of(box, own, f.film.shape[0]) for f, own in zip(films, marks, strict=True) for box in f.boxes]
    per_film = {rate: _marks_per_film(films, marks, level) for rate, level in levels.items()}
    return {"auc": _area(films, marks), "hits": hits, "levels": dict(levels), "marks_per_film": per_film}


def _area(films: Sequence[RealFilm], marks: Sequence[Sequence[Mark]]) -> list[float] | None:
    """Of nodule or mass against no finding, with its interval; None where one kind, or a second patient, is missing."""
    judged = [(f, own) for f, own in zip(films, marks, strict=True) if f.kind in ("nodule", "normal")]
    truth, patients = [f.kind == "nodule" for f, _ in judged], [f.patient for f, _ in judged]
    if not 0 < sum(truth) < len(truth) or len(set(patients)) < 2:
        return None
    best = np.array([max((m.score for m in own), default=0.0) for _, own in judged])
    area = auc_bootstrap(truth, best, patients)
    return [area.value, area.low, area.high]


def _marks_per_film(
    films: Sequence[RealFilm], marks: Sequence[Sequence[Mark]], level: float
) -> dict[str, float | None]:  # fmt: skip
    """Mean number of marks of at least a score, by kind of film."""
    counts = [(f.kind, sum(m.score >= level for m in own)) for f, own in zip(films, marks, strict=True)]
    return {kind: _mean([n for other, n in counts if other == kind]) for kind in KINDS}


def hit_of(box: Box, marks: Sequence[Mark], matrix: int = GRID) -> dict[str, Any]:
    """The best mark on a box: its score, and how many marks of the film are better (0 is the film's best)."""
    inside = [m for m in marks if _inside(m, box, SLACK_PX * matrix / GRID)]
    if not inside:
        return {"score": None, "rank": None}
    score = max(m.score for m in inside)
    return {"score": float(score), "rank": sum(m.score > score for m in marks)}


def _inside(mark: Mark, box: Box, slack: float) -> bool:
    rows = box[0] - slack <= mark.row <= box[2] + slack
    return rows and box[1] - slack <= mark.column <= box[3] + slack


def _mean(values: Sequence[int]) -> float | None:
    return float(np.mean(values)) if values else None
