"""The slider from strict to sensitive: which score a mark needs for a given number of false positives per film.

A bundle's card holds thresholds measured on films with known nodules. Between them the threshold is interpolated over
the logarithm of the false positives (our choice). Nothing here needs a network or torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from manabi.errors import CorruptModelError, InvalidInputError
from manabi.nodule.parameters import HIGHEST_FALSE_POSITIVES, LOWEST_FALSE_POSITIVES
from manabi.result import Cell, Landmark, Result, Table

POINT_COLUMNS = ("false_positives", "threshold", "sensitivity", "sensitivity_low", "sensitivity_high")
MARK_COLUMNS = ("number", "score", "false_positives", "r_mm", "a_mm", "s_mm", "lung", "zone", "location", "diameter_mm")
"""Of the tables ``marks`` and ``candidates``; ``false_positives`` is the strictest setting that shows the mark."""
LARGEST_MM = 60.0
"""A mark's diameter above it is no nodule's, but that of a heat that ran together. It stays in the tables as it was
measured; readers are told that it is over this (our choice: nodules are 30 mm at most by definition, Hansell et al.,
Radiology 2008;246:697, and the height of half a peak blurs them)."""


@dataclass(frozen=True)
class Point:
    """One operating point of a detector.

    Attributes:
        false_positives: per film.
        threshold: least score of a mark.
        sensitivity: share of nodules found, or None where it was not measured.
        ci95: its confidence interval, or None.
    """

    false_positives: float
    threshold: float
    sensitivity: float | None = None
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """Operating points, false positives rising and thresholds falling."""

    points: tuple[Point, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Curve:
        """From a bundle's facts, section ``nodule``.

        Raises:
            CorruptModelError: where there are not two points at least, or they are not in order.
        """
        try:
            points = tuple(_point(item) for item in facts["operating_points"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptModelError(
                "The bundle says nothing about false positives (nodule.operating_points). Get a bundle of NoduleSynth."
            ) from error
        return cls.checked(points)

    @classmethod
    def checked(cls, points: Sequence[Point]) -> Curve:
        """A curve of points in order; raises CorruptModelError for others."""
        ordered = all(
            a.false_positives < b.false_positives and a.threshold >= b.threshold
            for a, b in zip(points, points[1:], strict=False)
        )
        if len(points) < 2 or not ordered or points[0].false_positives <= 0:
            raise CorruptModelError(
                "Operating points must be two at least, with false positives rising above 0 and thresholds not rising. "
                "Get the bundle again from where it came."
            )
        return cls(tuple(points))

    @classmethod
    def of_table(cls, table: Table) -> Curve:
        """From the table ``operating_points`` of a result."""
        return cls.of({"operating_points": [dict(zip(table.columns, row, strict=True)) for row in table.rows]})

    def table(self) -> Table:
        """The curve as the table ``operating_points``."""
        rows = tuple(
            (p.false_positives, p.threshold, p.sensitivity, *(p.ci95 or (None, None))) for p in self.points
        )  # fmt: skip
        return Table(POINT_COLUMNS, rows)

    def threshold(self, false_positives: float) -> float:
        """Score that a mark needs; beyond the ends of the curve, that of the end."""
        return self._at(false_positives, [p.threshold for p in self.points])

    def sensitivity(self, false_positives: float) -> float | None:
        """Share of nodules that are found, or None where the bundle does not know."""
        known = [p.sensitivity for p in self.points if p.sensitivity is not None]
        return None if len(known) < len(self.points) else self._at(false_positives, known)

    def false_positives(self, score: float) -> float:
        """The strictest setting that shows a mark of this score; infinite where none of the slider's does."""
        low, high = LOWEST_FALSE_POSITIVES, HIGHEST_FALSE_POSITIVES
        if score >= self.threshold(low):
            return low
        if score < self.threshold(high):
            return math.inf
        for _ in range(40):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if score >= self.threshold(middle) else (middle, high)
        return high

    def _at(self, false_positives: float, values: Sequence[float]) -> float:
        ends = [p.false_positives for p in self.points]
        if false_positives <= ends[0]:
            return float(values[0])
        for n in range(1, len(ends)):
            if false_positives <= ends[n]:
                share = math.log(false_positives / ends[n - 1]) / math.log(ends[n] / ends[n - 1])
                return float(values[n - 1] + share * (values[n] - values[n - 1]))
        return float(values[-1])


def at(result: Result, false_positives: float) -> Result:
    """A result of the task ``detect`` at another operating point; the network is not run again.

    Numbers of marks stay. Volumes, label maps, plots and provenance are those of ``result``, which is not changed.

    Args:
        result: with the tables ``candidates`` and ``operating_points``.
        false_positives: per film, as the parameter of this name.

    Raises:
        InvalidInputError: for another result, or a value outside the slider.
    """
    if not LOWEST_FALSE_POSITIVES <= false_positives <= HIGHEST_FALSE_POSITIVES:
        raise InvalidInputError(
            f"false_positives must lie between {LOWEST_FALSE_POSITIVES} and {HIGHEST_FALSE_POSITIVES}; "
            f"got {false_positives}."
        )
    if not {"candidates", "operating_points"} <= set(result.tables):
        raise InvalidInputError("This is no result of a search for nodules. Choose one of NoduleSynth, task detect.")
    curve = Curve.of_table(result.tables["operating_points"])
    shown = marks_at(result.tables["candidates"], curve, false_positives)
    return replace(
        result, landmarks=landmarks(shown), tables={**result.tables, "marks": shown},
        measurements={**result.measurements, **point_cells(curve, false_positives, shown)},
    )  # fmt: skip


def marks_at(candidates: Table, curve: Curve, false_positives: float) -> Table:
    """The rows of ``candidates`` that are shown at an operating point."""
    threshold, column = curve.threshold(false_positives), candidates.columns.index("score")
    return Table(candidates.columns, tuple(row for row in candidates.rows if _number(row[column]) >= threshold))


def point_cells(curve: Curve, false_positives: float, shown: Table) -> dict[str, Cell]:
    """The measurements that depend on the operating point."""
    sensitivity = curve.sensitivity(false_positives)
    return {
        "marks": len(shown.rows),
        "false_positives": round(false_positives, 4),
        "threshold": round(curve.threshold(false_positives), 6),
        "sensitivity": None if sensitivity is None else round(sensitivity, 4),
    }


def landmarks(marks: Table) -> dict[str, Landmark]:
    """A point for every row of ``marks``, named by its number."""
    points = {}
    for row in marks.rows:
        cell = dict(zip(marks.columns, row, strict=True))
        place = (_number(cell["r_mm"]), _number(cell["a_mm"]), _number(cell["s_mm"]))
        score = _number(cell["score"])
        where = ", ".join(str(part) for part in (_lung(cell), cell["location"]) if part)
        points[f"mark_{cell['number']}"] = Landmark(str(cell["number"]), place, score, f"score {score:.2f}; {where}")
    return points


def _lung(cell: Mapping[str, Cell]) -> str:
    return f"{cell['lung']} lung, {cell['zone']} zone" if cell["lung"] else ""


def _point(item: Mapping[str, Any]) -> Point:
    ci95 = item.get("ci95")
    if ci95 is None and item.get("sensitivity_low") is not None:
        ci95 = (item["sensitivity_low"], item["sensitivity_high"])
    sensitivity = item.get("sensitivity")
    return Point(
        float(item["false_positives"]), float(item["threshold"]), None if sensitivity is None else float(sensitivity),
        None if ci95 is None else (float(ci95[0]), float(ci95[1])),
    )  # fmt: skip


def _number(value: Cell) -> float:
    return float(value)  # type: ignore[arg-type]
