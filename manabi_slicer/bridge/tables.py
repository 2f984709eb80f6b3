"""Tables: typed columns in Slicer, and every cell back exactly.

Slicer shows and saves numbers with six digits. What a cell was exactly is noted beside the table; it comes back as long
as the cell still shows it, so that what the user changed in Slicer is what is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer
import vtk

from manabi.result import Cell, Table
from manabi_slicer.bridge.attributes import content, set_content

if TYPE_CHECKING:
    from slicer import vtkMRMLTableNode

TABLE = "vtkMRMLTableNode"
NOT_IN_A_CELL = str.maketrans({'"': "\u201d", "\t": " ", "\n": " ", "\r": " "})
"""What Slicer's table files cannot hold."""
UNIT_SUFFIXES = {
    "mm": "mm", "mm2": "mm²", "mm3": "mm³", "ml": "ml", "hu": "HU", "s": "s", "ms": "ms", "days": "days", "gy": "Gy",
    "years": "years", "percent": "%", "deg": "°", "bqml": "Bq/ml", "mgml": "mg/ml",
}  # fmt: skip
"""Units by the last part of a measurement's name."""


def build_table(table: Table, *, gaps_as_nan: bool = False) -> vtkMRMLTableNode:
    """A table node that is in no scene.

    Columns of numbers are double columns; columns with text, and those where a value is missing, are text columns, in
    which the missing value is blank.

    Args:
        table: what to show.
        gaps_as_nan: keep columns with missing values as numbers (NaN), as a chart needs them.
    """
    node = slicer.vtkMRMLTableNode()
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    for index, name in enumerate(unique_names(table.columns)):
        node.AddColumn(_column(name, [row[index] for row in table.rows], gaps_as_nan))
    set_content(node, {"columns": list(table.columns), "rows": [list(row) for row in table.rows]})
    return node


def read_table(node: vtkMRMLTableNode) -> Table:
    """The table of :func:`build_table`, with what the user changed since."""
    noted = content(node)
    exact = noted.get("rows", [])
    shown = node.GetTable()
    names = [shown.GetColumnName(index) for index in range(shown.GetNumberOfColumns())]
    stated = noted.get("columns", [])
    same_columns = unique_names(stated) == names
    rows = tuple(
        tuple(
            _read_cell(shown.GetColumn(column), row, _noted(exact, row, column) if same_columns else None)
            for column in range(len(names))
        )
        for row in range(shown.GetNumberOfRows())
    )
    return Table(tuple(stated if same_columns else names), rows)


def table_rows(node: vtkMRMLTableNode | None) -> list[dict[str, Cell]]:
    """The rows of :func:`read_table`, cells by column; none without a node."""
    if node is None:
        return []
    table = read_table(node)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def measurements_table(measurements: Mapping[str, Cell]) -> Table:
    """Measurements as rows of name, value and unit."""
    return Table(("name", "value", "unit"), tuple((name, value, unit_of(name)) for name, value in measurements.items()))


def unit_of(name: str) -> str:
    """The unit that stands in a name (``volume_ml``); empty for a plain number."""
    return UNIT_SUFFIXES.get(name.rpartition("_")[2], "") if "_" in name else ""


def unique_names(names: Sequence[str]) -> list[str]:
    """Column names that Slicer can tell apart: a number is added to repeated and to empty ones."""
    used: list[str] = []
    for name in names:
        base = name.translate(NOT_IN_A_CELL) or "column"
        candidate, count = base, 2
        while candidate in used:
            candidate, count = f"{base} {count}", count + 1
        used.append(candidate)
    return used


def shown_text(cell: Cell) -> str:
    """A cell as text: numbers with the six digits Slicer shows, nothing for a missing value."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.translate(NOT_IN_A_CELL)
    return f"{float(cell):.6g}" if not float(cell).is_integer() or abs(float(cell)) >= 1e15 else f"{int(cell)}"


def _column(name: str, cells: Sequence[Cell], gaps_as_nan: bool) -> Any:
    allowed: tuple[type, ...] = (int, float, type(None)) if gaps_as_nan else (int, float)
    numbers = bool(cells) and all(_is_of(cell, allowed) for cell in cells)
    column = vtk.vtkDoubleArray() if numbers else vtk.vtkStringArray()
    column.SetName(name)
    for cell in cells:
        column.InsertNextValue((math.nan if cell is None else float(cell)) if numbers else shown_text(_plain(cell)))
    return column


def _is_of(cell: Any, allowed: tuple[type, ...]) -> bool:
    return isinstance(_plain(cell), allowed)


def _plain(cell: Any) -> Any:
    """A NumPy number as a plain one."""
    return cell.item() if hasattr(cell, "item") else cell


def _noted(rows: list[list[Cell]], row: int, column: int) -> tuple[Cell] | None:
    return (rows[row][column],) if row < len(rows) and column < len(rows[row]) else None


def _read_cell(column: Any, row: int, noted: tuple[Cell] | None) -> Cell:
    """The exact value that was noted where the cell still shows it, else what the cell shows."""
    if column.IsA("vtkStringArray"):
        text = column.GetValue(row)
        return noted[0] if noted is not None and shown_text(noted[0]) == text else text or None
    number = float(column.GetTuple1(row))
    if noted is not None and _shows(number, noted[0]):
        return noted[0]
    return None if math.isnan(number) else number


def _shows(number: float, noted: Cell) -> bool:
    """Whether a number is the noted one, or that one with six digits."""
    if noted is None or isinstance(noted, str):
        return noted is None and math.isnan(number)
    exact = float(noted)
    if math.isnan(exact) or math.isnan(number):
        return math.isnan(exact) and math.isnan(number)
    return number == exact or f"{number:.6g}" == f"{exact:.6g}"
