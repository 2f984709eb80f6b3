"""Tables that are made from finished results: against a phantom's truth, and of a whole batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manabi.result import Cell, Result, Table

TRUTH_COLUMNS = ("number", "r_mm", "a_mm", "diameter_mm", "subtlety", "location", "mark", "score")
TRUTH = "nodule_{}_{}"
"""Names of a phantom's truth: ``nodule_1_r_mm``, ``nodule_1_a_mm``, ``nodule_1_diameter_mm``, ..."""
LEAST_RADIUS_MM = 5.0
"""A mark within a nodule's radius hits it; of small nodules, within this (our choice)."""
CASE = "case"


def truth_table(truth: Mapping[str, Cell], result: Result) -> Table:
    """A phantom's nodules, each with the best mark whose point lies in its circle; no mark where it was missed."""
    marks = result.tables["marks"]
    rows: list[tuple[Cell, ...]] = []
    number = 1
    while (r_mm := truth.get(TRUTH.format(number, "r_mm"))) is not None:
        one = {key: truth.get(TRUTH.format(number, key)) for key in ("a_mm", "diameter_mm", "subtlety", "hidden")}
        diameter = float(one["diameter_mm"] or 0.0)
        hit = _best(marks, float(r_mm), float(one["a_mm"] or 0.0), max(0.5 * diameter, LEAST_RADIUS_MM))
        rows.append((number, r_mm, one["a_mm"], one["diameter_mm"], one["subtlety"], one["hidden"], *hit))
        number += 1
    return Table(TRUTH_COLUMNS, tuple(rows))


def _best(marks: Table, r_mm: float, a_mm: float, radius_mm: float) -> tuple[Cell, Cell]:
    """Number and score of the first mark (they are in order of score) within a circle."""
    for row in marks.rows:
        cell = dict(zip(marks.columns, row, strict=True))
        away = ((float(cell["r_mm"] or 0.0) - r_mm) ** 2 + (float(cell["a_mm"] or 0.0) - a_mm) ** 2) ** 0.5
        if away <= radius_mm:
            return cell["number"], cell["score"]
    return None, None


def gather_marks(results: Mapping[str, Path], folder: Path) -> list[Path]:
    """All marks of a batch in ``nodule_marks.csv``, with the case before each row; returns the files written.

    Args:
        results: result folder by case.
        folder: of the batch.
    """
    from manabi.batch.spreadsheet import read_rows
    from manabi.io.atomic import atomic_file
    from manabi.io.tables import write_table

    columns: tuple[str, ...] = ()
    rows: list[tuple[Cell, ...]] = []
    for case, path in results.items():
        if (path / "marks.csv").is_file():
            found, columns_here = read_rows(path / "marks.csv")
            columns = columns or tuple(columns_here)
            rows += [(case, *(row.get(name) or None for name in columns)) for row in found]
    if not columns:
        return []
    target = folder / "nodule_marks.csv"
    with atomic_file(target, overwrite=True) as aside:
        write_table((CASE, *columns), rows, aside)
    return [target]
