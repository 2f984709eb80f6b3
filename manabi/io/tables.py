"""Numbers as files: JSON and CSV that every program reads the same, and landmarks as 3D Slicer Markups."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.result import Landmark, Plot

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
FORMULA_MARKS = tuple("=+-@\t\r")
"""What a formula begins with in spreadsheet programs."""


def slug(key: str) -> str:
    """A file name from a key: lower-case letters, digits, ``_`` and ``-``, at most 60."""
    return re.sub(r"[^a-z0-9_]+", "-", key.lower()).strip("-")[:60] or "output"


def plain(value: Any) -> Any:
    """The value as JSON knows it: NumPy scalars and arrays, paths and dataclasses unwrapped; NaN and infinity None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def write_json(value: Any, path: Path) -> Path:
    """Write UTF-8 JSON that every parser accepts (no NaN)."""
    path.write_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], path: Path, errors: str = "strict", verbatim: bool = False
) -> Path:  # fmt: skip
    """Write a CSV that does not depend on the locale: UTF-8, commas, decimal points, blank for what is unknown.

    Args:
        columns: the heading.
        rows: as many cells each.
        path: the file; replaced where it is there.
        errors: what to do with text that is no Unicode, as for ``open``.
        verbatim: write text as it is; otherwise what a spreadsheet program would run gets an apostrophe in front.
    """
    kept = plain if verbatim else _harmless
    with path.open("w", encoding="utf-8", errors=errors, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([kept(name) for name in columns])
        writer.writerows([kept(cell) for cell in row] for row in rows)
    return path


def _harmless(cell: Any) -> Any:
    """A cell that no spreadsheet program takes for a formula: names of segments and series come from others' files."""
    value = plain(cell)
    if isinstance(value, str) and value[:1] in FORMULA_MARKS and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def write_plot_csv(plot: Plot, path: Path) -> Path:
    """Write the points of a chart: series, x (or the category's name), y."""
    rows = [(name, plot.place(x), y) for name, (xs, ys) in plot.series.items() for x, y in zip(xs, ys, strict=True)]
    return write_table(("series", plot.x_label, plot.y_label), rows, path)


def write_landmarks_csv(landmarks: Mapping[str, Landmark], path: Path) -> Path:
    """Write landmarks with their RAS position in mm."""
    columns = ("key", "name", "right_mm", "anterior_mm", "superior_mm", "confidence", "description")
    rows = [(key, m.name, *m.position_ras, m.confidence, m.description) for key, m in landmarks.items()]
    return write_table(columns, rows, path)


def write_markups(landmarks: Mapping[str, Landmark], path: Path) -> Path:
    """Write a point list that 3D Slicer loads (LPS); the points are locked and can be unlocked there."""
    points = [
        {
            "id": str(number),
            "label": mark.name,
            "description": _described(mark),
            "associatedNodeID": "",
            "position": [-float(mark.position_ras[0]), -float(mark.position_ras[1]), float(mark.position_ras[2])],
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, mark in enumerate(landmarks.values(), 1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
    }
    return write_json({"@schema": MARKUPS_SCHEMA, "markups": [markup]}, path)


def _described(mark: Landmark) -> str:
    """The description, with the confidence, for which Markups have no field."""
    sure = "" if mark.confidence is None else f"confidence {mark.confidence:.2f}"
    return "; ".join(text for text in (mark.description, sure) if text)
