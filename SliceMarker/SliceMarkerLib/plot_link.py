"""The plot of probabilities and the slice views, linked: a line where the shown slice is, and a click that jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from slicer import vtkMRMLPlotChartNode, vtkMRMLPlotSeriesNode, vtkMRMLTableNode

TABLE, SERIES = "ManabiSlicesShown", "ManabiSlicesShownLine"
"""Singleton tags of the line's nodes: one line, whichever chart it is in. They are not saved."""
GREY = (0.45, 0.45, 0.45)
SELECTED = "dataSelected(vtkStringArray*, vtkCollection*)"


class PlotLink:
    """Links a chart with what the slice views show.

    Args:
        on_position: called with the position (mm) of a point of the plot that was clicked.
    """

    def __init__(self, on_position: Callable[[float], None]) -> None:
        self._on_position = on_position
        self._chart: vtkMRMLPlotChartNode | None = None
        self._view: Any = None

    def attach(self, chart: vtkMRMLPlotChartNode | None) -> None:
        """Draw the line into another chart, or into none; what was there before is let go."""
        line = slicer.mrmlScene.GetSingletonNode(SERIES, "vtkMRMLPlotSeriesNode")
        former = self._chart if self._chart is not chart else None
        there = former is not None and former.GetScene() is not None and line is not None
        if there and former.HasPlotSeriesNodeID(line.GetID()):
            former.RemovePlotSeriesNodeID(line.GetID())
        self._chart = chart

    def show(self, position_mm: float) -> None:
        """Draw the line at a position; it is made where it is missing."""
        if self._chart is None or self._chart.GetScene() is None:
            return
        table = _table()
        table.GetTable().GetColumn(0).SetTuple1(0, position_mm)
        table.GetTable().GetColumn(0).SetTuple1(1, position_mm)
        table.GetTable().GetColumn(0).Modified()
        table.GetTable().Modified()
        series = _series(table)
        if not self._chart.HasPlotSeriesNodeID(series.GetID()):
            self._chart.AddAndObservePlotSeriesNodeID(series.GetID())
        self._chart.Modified()  # Slicer's plot view follows the chart, not the tables behind it

    def listen(self, view: Any) -> None:
        """Jump when a point is clicked in this view, a ``qMRMLPlotView``; in none where it is None."""
        if view is self._view:
            return
        if self._view is not None:
            self._view.disconnect(SELECTED, self._on_selected)
        self._view = view
        if view is not None:
            view.connect(SELECTED, self._on_selected)

    def close(self) -> None:
        """Take the line off, and listen no more."""
        self.attach(None)
        self.listen(None)

    def _on_selected(self, series_ids: vtk.vtkStringArray, selections: vtk.vtkCollection) -> None:
        """Jump to the first point that was selected; what was selected on our line does not count."""
        for index in range(series_ids.GetNumberOfValues()):
            series = slicer.mrmlScene.GetNodeByID(series_ids.GetValue(index))
            points = selections.GetItemAsObject(index)
            if series is None or series.GetSingletonTag() == SERIES or not points.GetNumberOfValues():
                continue
            column = series.GetTableNode().GetTable().GetColumnByName(series.GetXColumnName())
            self._on_position(float(column.GetTuple1(points.GetValue(0))))
            return


def _table() -> vtkMRMLTableNode:
    """The two points of the line; a scene that was closed keeps the node, but empties it."""
    node = slicer.mrmlScene.GetSingletonNode(TABLE, "vtkMRMLTableNode")
    if node is None:
        node = _added(slicer.vtkMRMLTableNode(), TABLE, _("Shown slice points"))
    if node.GetNumberOfColumns() != 2:
        node.RemoveAllColumns()
        for name, values in (("position", (0.0, 0.0)), ("height", (0.0, 1.0))):
            column = vtk.vtkDoubleArray()
            column.SetName(name)
            for value in values:
                column.InsertNextValue(value)
            node.AddColumn(column)
    return node


def _series(table: vtkMRMLTableNode) -> vtkMRMLPlotSeriesNode:
    """The line; likewise."""
    kind = slicer.vtkMRMLPlotSeriesNode
    series = slicer.mrmlScene.GetSingletonNode(SERIES, "vtkMRMLPlotSeriesNode")
    if series is None:
        series = _added(kind(), SERIES, _("Shown slice"))
    if series.GetYColumnName() != "height" or series.GetTableNode() is not table:
        series.SetName(_("Shown slice"))
        series.SetPlotType(kind.PlotTypeScatter)
        series.SetXColumnName("position")
        series.SetYColumnName("height")
        series.SetMarkerStyle(kind.MarkerStyleNone)
        series.SetLineStyle(kind.LineStyleDash)
        series.SetLineWidth(2)
        series.SetColor(*GREY)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetSaveWithScene(False)
        series.SetHideFromEditors(True)
    return series


def _added(node: Any, tag: str, name: str) -> Any:
    node.SetSingletonTag(tag)
    node.SetName(name)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    return slicer.mrmlScene.AddNode(node)
