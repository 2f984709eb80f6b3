"""The features in the panel: sorted by a click, searched by words, saved as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from manabi.errors import InvalidInputError
from manabi_slicer import bridge, interaction
from manabi_slicer.slots import calling

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLTableNode

TIDY, WIDE = "tables/features", "tables/features_wide"
FORMS = {TIDY: _("A row per feature"), WIDE: _("A row per segment, as a cohort's table has it")}
"""Outputs that can be saved, as the menu says them."""
COLUMNS = ("feature", "value", "unit", "segment")
SEGMENT = 3
ROW_PX = 24


class FeaturesTable:
    """Rows of the output ``tables/features``.

    Args:
        ui: has ``featuresTable``, ``featuresLabel``, ``searchEdit`` and ``saveTableButton``.
        on_save: called with the key of the table to save.
    """

    def __init__(self, ui: Any, on_save: Callable[[str], None]) -> None:
        self._ui = ui
        self._shown: tuple[Any, ...] = ()
        self._said = ""
        table = ui.featuresTable
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels([_("Feature"), _("Value"), _("Unit"), _("Segment")])
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_PX)
        table.setTextElideMode(qt.Qt.ElideMiddle)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.setSortingEnabled(True)
        ui.searchEdit.connect("textChanged(QString)", calling(self.search))
        menu = qt.QMenu(ui.saveTableButton)
        for key, text in FORMS.items():
            menu.addAction(text).connect("triggered(bool)", calling(on_save, key))
        ui.saveTableButton.setMenu(menu)

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Show the features of a run, or none."""
        node = outputs.get(TIDY)
        now = (None,) if node is None else (node.GetID(), node.GetTable().GetMTime(), node.GetMTime())
        if now != self._shown:
            self._shown = now
            self._fill(bridge.table_rows(node))
        there = node is not None
        self._ui.saveTableButton.enabled = there
        self._ui.saveTableButton.toolTip = (
            _("Save all of them, with settings and versions") if there else _("There are no features yet. Press Apply.")
        )
        self._ui.searchEdit.enabled = there
        self.search()

    def _fill(self, rows: list[dict[str, Any]]) -> None:
        table = self._ui.featuresTable
        table.setSortingEnabled(False)
        table.setRowCount(len(rows))
        for r, row in enumerate(rows):
            for c, name in enumerate(COLUMNS):
                table.setItem(r, c, _item(name, row.get(name)))
        table.setSortingEnabled(True)
        table.setColumnHidden(SEGMENT, len({row["segment"] for row in rows}) < 2)
        self._said = settings_text(rows)

    def search(self) -> None:
        """Show the rows that hold all words of the search."""
        table, words = self._ui.featuresTable, str(self._ui.searchEdit.text).lower().split()
        count = 0
        for row in range(table.rowCount):
            text = " ".join(table.item(row, column).text() for column in range(table.columnCount)).lower()
            found = all(word in text for word in words)
            table.setRowHidden(row, not found)
            count += found
        shown = _("{n} of {all} are shown.").format(n=count, all=table.rowCount) if words else ""
        self._ui.featuresLabel.text = " ".join(part for part in (self._said, shown) if part)


def settings_text(rows: list[dict[str, Any]]) -> str:
    """How many features there are, and how they were extracted; empty without any."""
    if not rows:
        return ""
    first, segments = rows[0], list(dict.fromkeys(str(row["segment"]) for row in rows))
    text = _("{n} features of {segments}. Mode {mode}, settings {preset} ({sha}).")
    return text.format(
        n=len(rows) // len(segments), segments=", ".join(segments), mode=first.get("settings_mode", ""),
        preset=first.get("settings_preset", ""), sha=str(first.get("settings_sha256", ""))[:8],
    )  # fmt: skip


def ask_and_save(node: vtkMRMLTableNode | None) -> str:
    """Ask for a file and write a table into it; returns it, empty where the user changed his mind.

    Raises:
        InvalidInputError: when there is no table, or the file is there already.
    """
    if node is None:
        raise InvalidInputError(_("There are no features yet. Press Apply first."))
    if not interaction.can_ask():
        return ""
    path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save the features"), "", _("Tables (*.csv)"))
    return str(save(node, Path(str(path)))) if path else ""


def save(node: vtkMRMLTableNode, path: Path) -> Path:
    """Write a table node as CSV, every digit kept; raises InvalidInputError where the file is there already."""
    from manabi.io.atomic import atomic_file
    from manabi.io.tables import write_table
    from manabi_slicer.bridge.tables import read_table

    path = path if path.suffix.lower() == ".csv" else path.with_name(f"{path.name}.csv")
    if path.exists():
        raise InvalidInputError(_("There is a file of this name already; nothing is overwritten. Choose another name."))
    table = read_table(node)
    with atomic_file(path) as aside:
        write_table(table.columns, table.rows, aside)
    return path


def _item(name: str, cell: Any) -> Any:
    """A cell that sorts as what it is: numbers by size, words by letter."""
    item = qt.QTableWidgetItem()
    if name == "value" and isinstance(cell, (int, float)) and cell == cell:
        item.setData(qt.Qt.DisplayRole, float(f"{cell:.6g}"))
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    elif name == "value":
        item.setText(_("undefined"))
    else:
        item.setText("" if cell in (None, "none", "1") else str(cell))
        item.setToolTip(item.text())
    return item
