"""Table views: the cells of a table node as qMRMLTableModel shows them, drawn with Pillow."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PIL import Image, ImageDraw

from .offscreen import View, Widget
from .paper import font

ROW, PAD = 24, 8
_HEAD, _LINE, _INK = (236, 236, 238), (208, 208, 212), (30, 30, 34)


def columns(node: slicer.vtkMRMLTableNode | None) -> list[list[str]]:
    """Columns of text, heading first; names without ``UseColumnTitleAsColumnHeader`` are A, B, C, as in Slicer."""
    if node is None or node.GetTable() is None:
        return []
    table = node.GetTable()
    titled = node.GetUseColumnTitleAsColumnHeader()
    found = []
    for index in range(table.GetNumberOfColumns()):
        name = table.GetColumnName(index) or ""
        unit = node.GetColumnUnitLabel(name)
        heading = (node.GetColumnTitle(name) or name) + (f" [{unit}]" if unit else "")
        cells = [table.GetValue(row, index).ToString() for row in range(table.GetNumberOfRows())]
        found.append([heading, *cells] if titled else [chr(65 + index % 26), name, *cells])
    if node.GetUseFirstColumnAsRowHeader() and found:
        found[0][0] = ""
    return found


class TableView(View):
    """qMRMLTableView."""

    def mrmlTableViewNode(self) -> slicer.vtkMRMLTableViewNode:
        return self.node

    def mrmlTableNode(self) -> slicer.vtkMRMLTableNode | None:
        return self.node.GetTableNode()

    def pixels(self) -> np.ndarray:
        """``(height, width, 3)`` unsigned bytes; what does not fit is cut, as in a view that can be scrolled."""
        image = Image.new("RGB", self.size, "white")
        pen, left = ImageDraw.Draw(image), 0
        node = self.mrmlTableNode()
        for index, cells in enumerate(columns(node)):
            numbers = isinstance(node.GetTable().GetColumn(index), vtk.vtkDataArray)
            left += _draw_column(pen, left, cells, numbers=numbers)
        return np.asarray(image)


class TableWidget(Widget):
    """qMRMLTableWidget: one table view."""

    def __init__(self, node: slicer.vtkMRMLTableViewNode):
        super().__init__(TableView(node))

    def tableView(self) -> TableView:
        return self.view

    def mrmlTableViewNode(self) -> slicer.vtkMRMLTableViewNode:
        return self.view.node


def _draw_column(pen: ImageDraw.ImageDraw, left: int, cells: list[str], *, numbers: bool) -> int:
    width = int(max(pen.textlength(cell, font=font(12, bold=True)) for cell in cells)) + 2 * PAD
    for row, cell in enumerate(cells):
        box = (left, row * ROW, left + width, (row + 1) * ROW)
        pen.rectangle(box, fill=_HEAD if row == 0 else "white", outline=_LINE)
        at, anchor = (left + PAD, "lm")
        if row and numbers:
            at, anchor = (left + width - PAD, "rm")
        pen.text((at, row * ROW + ROW / 2), cell, fill=_INK, font=font(12, bold=row == 0), anchor=anchor)
    return width
