"""Charts: a chart node with its series and the tables behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer

from manabi.result import Plot, Table
from manabi_slicer.bridge.attributes import HELPER, content, set_content
from manabi_slicer.bridge.tables import read_table, unique_names

if TYPE_CHECKING:
    from slicer import vtkMRMLPlotChartNode, vtkMRMLPlotSeriesNode, vtkMRMLTableNode

COLORS = ((0.0, 0.45, 0.70), (0.84, 0.37, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.90, 0.62, 0.0),
          (0.34, 0.71, 0.91))  # fmt: skip
"""Colours that colour-blind readers tell apart (Okabe and Ito)."""
MARK_COLOR = (0.15, 0.15, 0.15)
HEADROOM, FOOTROOM = 0.7, 0.06
"""Room above the highest bar, for the legend, and below one that hangs down, in heights of all bars (our choice)."""
LONGEST_NAME, LONGEST_LINE = 40, 88
"""Characters of a name and of a line in the title of an axis of bars (our choice): what is longer than the view is cut.
Whole names are in the chart's table."""
CATEGORY = "category"


def plot_tables(plot: Plot) -> tuple[list[Table], list[dict[str, Any]]]:
    """The points of a chart as tables without gaps: one for each set of x, with the series that stand over it.

    Returns:
        The tables, and per series its ``name``, the number of its ``table``, and the columns ``x`` and ``y``.
    """
    groups: dict[tuple[float, ...], list[str]] = {}
    for name, (places, _) in plot.series.items():
        groups.setdefault(tuple(places), []).append(name)
    tables, uses = [], {}
    for number, (xs, names) in enumerate(groups.items()):
        words = [[plot.categories[int(x)] for x in xs]] if plot.categories else []
        head = [CATEGORY] if plot.categories else []
        columns = unique_names([*head, plot.x_label or "x", *names])
        values = [*words, xs, *(plot.series[name][1] for name in names)]
        tables.append(Table(tuple(columns), tuple(zip(*values, strict=True))))
        for name, column in zip(names, columns[len(head) + 1 :], strict=True):
            uses[name] = {"name": name, "table": number, "x": columns[len(head)], "y": column}
    return tables, [uses[name] for name in plot.series]


def build_chart(plot: Plot, uses: list[dict[str, Any]]) -> vtkMRMLPlotChartNode:
    """A chart node that is in no scene, without its series."""
    chart = slicer.vtkMRMLPlotChartNode()
    chart.SetTitle(plot.title)
    chart.SetTitleVisibility(bool(plot.title))
    chart.SetXAxisTitle(_x_title(plot))
    chart.SetYAxisTitle(plot.y_label)
    chart.SetLegendVisibility(True)
    chart.SetTitleFontSize(14)
    chart.SetAxisTitleFontSize(12)
    chart.SetAxisLabelFontSize(12)
    chart.SetLegendFontSize(12)
    _leave_room_for_the_legend(chart, plot)
    set_content(chart, {
        "title": plot.title, "x_label": plot.x_label, "y_label": plot.y_label, "kind": plot.kind, "series": uses,
        "categories": list(plot.categories), "marks": list(plot.marks),
    })  # fmt: skip
    return chart


def build_series(plot: Plot, use: dict[str, Any], number: int) -> vtkMRMLPlotSeriesNode:
    """A series node that is in no scene, without its table."""
    kind = slicer.vtkMRMLPlotSeriesNode
    series = kind()
    bars = plot.kind == "bar" and use["name"] not in plot.marks
    series.SetPlotType(kind.PlotTypeScatterBar if bars else kind.PlotTypeScatter)
    series.SetXColumnName(use["x"])
    series.SetYColumnName(use["y"])
    if plot.categories:
        series.SetLabelColumnName(CATEGORY)
    line = plot.kind == "line"
    series.SetLineStyle(kind.LineStyleSolid if line or bars else kind.LineStyleNone)
    series.SetMarkerStyle(kind.MarkerStyleNone if line or bars else kind.MarkerStyleCircle)
    series.SetMarkerSize(8)
    series.SetLineWidth(2)
    series.SetColor(*COLORS[number % len(COLORS)])
    if use["name"] in plot.marks:
        series.SetMarkerStyle(kind.MarkerStyleSquare if use["name"] == plot.marks[0] else kind.MarkerStyleDiamond)
        series.SetColor(*MARK_COLOR)
    return series


def link_series(chart: vtkMRMLPlotChartNode, pairs: Sequence[tuple[vtkMRMLPlotSeriesNode, vtkMRMLTableNode]]) -> None:
    """Connect a chart with its series, and each of them with its table, all of which are in the scene."""
    for series, table in pairs:
        series.SetAndObserveTableNodeID(table.GetID())
    chart.RemoveAllPlotSeriesNodeIDs()
    for series, _ in pairs:
        chart.AddAndObservePlotSeriesNodeID(series.GetID())


def series_helper(name: str) -> str:
    """What a series is to its chart."""
    return f"series/{name}"


def read_plot(chart: vtkMRMLPlotChartNode) -> Plot | None:
    """The plot of a chart node, without series that the user took off it; None where it is none of ours."""
    noted = content(chart)
    if not noted:
        return None
    nodes = [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]
    tables = {node.GetAttribute(HELPER): node.GetTableNode() for node in nodes if node is not None}
    series = {}
    for use in noted["series"]:
        node = tables.get(series_helper(use["name"]))
        if node is not None:
            table = read_table(node)
            series[use["name"]] = (_numbers(table, use["x"]), _numbers(table, use["y"]))
    extra: Mapping[str, Any] = {
        "categories": tuple(noted.get("categories", ())),
        "marks": tuple(name for name in noted.get("marks", ()) if name in series),
    }
    return Plot(noted["title"], noted["x_label"], noted["y_label"], series, noted["kind"], **extra)


def _numbers(table: Table, column: str) -> list[float]:
    return [math.nan if cell is None else cell for cell in table.column(column)]  # type: ignore[misc]


def _x_title(plot: Plot) -> str:
    """Slicer puts no words under bars, so the title of the axis says what stands at 0, 1, 2, ..., in several lines."""
    lines: list[str] = []
    for place, name in enumerate(plot.categories):
        item = f"{place} {_shortened(name)}"
        if lines and len(lines[-1]) + len(item) + 2 <= LONGEST_LINE:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return ",\n".join(lines) or plot.x_label


def _shortened(name: str) -> str:
    """A name without its middle where it is long: features differ at both ends."""
    if len(name) <= LONGEST_NAME:
        return name
    kept = LONGEST_NAME - 1
    return f"{name[: kept // 2]}…{name[-(kept - kept // 2) :]}"


def _leave_room_for_the_legend(chart: vtkMRMLPlotChartNode, plot: Plot) -> None:
    """Slicer draws the legend into the upper right corner, over whatever is there; no bar ends on the frame."""
    values = [y for _, ys in plot.series.values() for y in ys if math.isfinite(y)]
    low, high = min([0.0, *values]), max([0.0, *values])
    if plot.kind == "bar" and high > low:
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(low - (FOOTROOM * (high - low) if low < 0 else 0.0), high + HEADROOM * (high - low))
