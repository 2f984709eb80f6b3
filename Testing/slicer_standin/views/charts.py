"""Plot views: a plot chart node drawn with VTK's own chart, as qMRMLPlotView maps it.

What Slicer does not draw is not drawn here: the column of labels serves tool tips only, so the bars of a chart stand
over 0, 1, 2 … and not over names. Series that are to be told apart need names of their own in the legend.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from slicer_standin.recorder import guarded, recorder

from .offscreen import View, Widget, Window

_TEXTUAL = (vtk.VTK_STRING, vtk.VTK_BIT)


class PlotView(View):
    """qMRMLPlotView, of whose signals only the one that tells of selected points."""

    SELECTED = "dataSelected(vtkStringArray*,vtkCollection*)"

    def __init__(self, node: slicer.vtkMRMLPlotViewNode):
        super().__init__(node)
        self._slots: list = []

    def connect(self, signature: str, slot) -> bool:
        self._check(signature)
        self._slots.append(slot)
        return True

    def disconnect(self, signature: str, slot) -> bool:
        self._check(signature)
        known = slot in self._slots
        if known:
            self._slots.remove(slot)
        return known

    def RemovePlotSelections(self) -> None:
        """Nothing stays selected here."""

    def click(self, series: slicer.vtkMRMLPlotSeriesNode, row: int) -> None:
        """A user clicks a point of a series (stand-in): what Slicer's plot view emits then."""
        names, points, selections = vtk.vtkStringArray(), vtk.vtkIdTypeArray(), vtk.vtkCollection()
        names.InsertNextValue(series.GetID())
        points.InsertNextValue(row)
        selections.AddItem(points)
        for slot in list(self._slots):
            guarded(f"the slot of {self.SELECTED}", slot, names, selections)

    def _check(self, signature: str) -> None:
        if signature.replace(" ", "") != self.SELECTED:
            raise recorder.fail(f"qMRMLPlotView has no signal {signature!r} that the stand-in knows")

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode:
        return self.node

    def chart(self) -> vtk.vtkChartXY:
        """The chart as its nodes are now."""
        chart = vtk.vtkChartXY()
        node = self.node.GetPlotChartNode()
        if node is None:
            return chart
        series = [node.GetNthPlotSeriesNode(index) for index in range(node.GetNumberOfPlotSeriesNodes())]
        for plot in filter(None, map(plot_of, series)):
            chart.AddPlot(plot)
        _dress(chart, node)
        return chart

    def pixels(self) -> np.ndarray:
        """``(height, width, 3)`` unsigned bytes as drawn at the present size."""
        scene, renderer, actor = vtk.vtkContextScene(), vtk.vtkRenderer(), vtk.vtkContextActor()
        actor.SetScene(scene)
        scene.SetRenderer(renderer)
        renderer.SetBackground(1, 1, 1)
        renderer.AddActor(actor)
        scene.AddItem(self.chart())
        return Window(self.size, (renderer,)).pixels()


class PlotWidget(Widget):
    """qMRMLPlotWidget: one plot view."""

    def __init__(self, node: slicer.vtkMRMLPlotViewNode):
        super().__init__(PlotView(node))

    def plotView(self) -> PlotView:
        return self.view

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode:
        return self.view.node


def plot_of(series: slicer.vtkMRMLPlotSeriesNode | None) -> vtk.vtkPlot | None:
    """The plot of one series, or None where Slicer would draw nothing: no table, no column, or a column of text."""
    table = None if series is None or series.GetTableNode() is None else series.GetTableNode().GetTable()
    if table is None or not _numeric(table, series.GetYColumnName()):
        return None
    x_name = series.GetXColumnName() if series.IsXColumnRequired() else series.GetYColumnName()
    if not _numeric(table, x_name):
        return None
    lines = (slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter, slicer.vtkMRMLPlotSeriesNode.PlotTypeLine)
    plot = vtk.vtkPlotLine() if series.GetPlotType() in lines else vtk.vtkPlotBar()
    plot.SetUseIndexForXSeries(not series.IsXColumnRequired())
    plot.SetInputData(table, x_name, series.GetYColumnName())
    plot.SetLabel(series.GetName() or series.GetYColumnName())
    _paint(plot, series)
    return plot


def _numeric(table: vtk.vtkTable, name: str | None) -> bool:
    column = table.GetColumnByName(name) if name else None
    return column is not None and column.GetDataType() not in _TEXTUAL


def _paint(plot: vtk.vtkPlot, series: slicer.vtkMRMLPlotSeriesNode) -> None:
    plot.SetWidth(series.GetLineWidth())
    plot.SetColorF(*series.GetColor())
    plot.SetOpacity(series.GetOpacity())
    plot.GetPen().SetOpacityF(series.GetOpacity())
    if plot.IsA("vtkPlotLine"):
        plot.GetPen().SetLineType(series.GetLineStyle())
        plot.SetMarkerStyle(series.GetMarkerStyle())
        plot.SetMarkerSize(series.GetMarkerSize())


def _dress(chart: vtk.vtkChartXY, node: slicer.vtkMRMLPlotChartNode) -> None:
    chart.SetTitle(node.GetTitle() or "" if node.GetTitleVisibility() else "")
    chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
    chart.SetShowLegend(node.GetLegendVisibility())
    chart.GetLegend().GetLabelProperties().SetFontSize(node.GetLegendFontSize())
    for which, letter in ((vtk.vtkAxis.BOTTOM, "X"), (vtk.vtkAxis.LEFT, "Y")):
        axis = chart.GetAxis(which)
        shown = getattr(node, f"Get{letter}AxisTitleVisibility")()
        axis.SetTitle(getattr(node, f"Get{letter}AxisTitle")() or "" if shown else "")
        axis.SetLogScale(getattr(node, f"Get{letter}AxisLogScale")())
        if not getattr(node, f"Get{letter}AxisRangeAuto")():
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetUnscaledRange(getattr(node, f"Get{letter}AxisRange")())
        axis.SetGridVisible(node.GetGridVisibility())
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
