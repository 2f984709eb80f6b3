"""A small table of numbers in a panel: names on the left, numbers on the right, some rows in red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from manabi_slicer.icons import is_dark

ALERT_INK, ALERT_INK_DARK = "#b3261e", "#ff8a80"
"""Of a row that must not be overlooked, in light and in dark styles."""
ROW_PX, HEADER_PX = 24, 22


def fill(table: Any, titles: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> None:
    """Show rows and fit the height to them; without rows the table is hidden.

    Args:
        table: a QTableWidget.
        titles: of the columns.
        rows: the texts of each row, and whether it is shown in red.
    """
    ink = ALERT_INK_DARK if is_dark() else ALERT_INK
    table.visible = bool(rows)
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(ROW_PX)
    table.setRowCount(len(rows))
    for r, (texts, alert) in enumerate(rows):
        for c, text in enumerate(texts):
            table.setItem(r, c, _item(text, bool(c), ink if alert else ""))
    table.horizontalHeader().setStretchLastSection(False)  # or it keeps a width that it had with other columns
    table.resizeColumnsToContents()
    table.horizontalHeader().setStretchLastSection(True)
    if rows:
        table.setFixedHeight(ROW_PX * len(rows) + HEADER_PX)


def _item(text: str, is_number: bool, ink: str) -> Any:
    item = qt.QTableWidgetItem(text)
    if is_number:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    if ink:
        item.setForeground(qt.QBrush(qt.QColor(ink)))
    return item
