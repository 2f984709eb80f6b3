"""The volumes of the structures in the panel: in mL, left and right, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.panels import number_table

if TYPE_CHECKING:
    from slicer import vtkMRMLTableNode


def fill(table: Any, node: vtkMRMLTableNode | None, min_confidence: float) -> None:
    """Show a row for each structure and side; those that are less sure in red.

    Args:
        table: a QTableWidget.
        node: the output ``tables/volumes``, or None, which empties the table.
        min_confidence: from 0 to 1.
    """
    titles = (_("Structure"), _("Volume"), _("Confidence"), _("Right − left"))
    rows = [(_cells(row), _unsure(row, min_confidence)) for row in bridge.table_rows(node)]
    number_table.fill(table, titles, rows)


def _unsure(row: Mapping[str, Any], min_confidence: float) -> bool:
    return (_number(row.get("confidence")) or 0.0) < min_confidence


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    side, structure = str(row.get("side") or ""), str(row.get("structure") or "")
    name = _("{structure}, both").format(structure=structure.capitalize())
    name = name if side == "both" else f"{side} {structure}".strip().capitalize()
    confidence = _number(row.get("confidence"))
    return (
        name, _text(row.get("volume_ml"), "{:.1f} mL"), _text(confidence and 100.0 * confidence, "{:.0f} %"),
        _text(row.get("left_right_difference_percent"), "{:+.1f} %", unknown=""),
    )  # fmt: skip


def _text(cell: Any, form: str, unknown: str = "–") -> str:
    value = _number(cell)
    return unknown if value is None else form.format(value).replace("-", "−")


def _number(cell: Any) -> float | None:
    """A cell as a number; None where it is none, or unknown."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if value == value else None
