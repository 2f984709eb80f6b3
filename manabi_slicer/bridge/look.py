"""How an output looks: what the user set stays when its content is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

LOOKS = {
    "vtkMRMLPlotChartNode": (
        "TitleFontSize", "TitleVisibility", "GridVisibility", "LegendVisibility", "LegendFontSize", "XAxisRangeAuto",
        "XAxisRange", "XAxisLogScale", "YAxisLogScale", "XAxisTitleVisibility", "YAxisTitleVisibility",
        "AxisTitleFontSize", "AxisLabelFontSize", "FontType",
    ),
    "vtkMRMLPlotSeriesNode": ("Color", "Opacity", "LineStyle", "LineWidth", "MarkerStyle", "MarkerSize"),
    "vtkMRMLTableNode": ("Locked", "UseColumnTitleAsColumnHeader", "UseFirstColumnAsRowHeader"),
    "vtkMRMLMarkupsFiducialNode": ("Locked",),
}  # fmt: skip
"""Properties by class that are looks though Slicer keeps them with the content."""


def keep_look(fresh: vtkMRMLNode, node: vtkMRMLNode) -> None:
    """Give a new node the looks of the one whose content it replaces, and its description.

    A series that becomes another kind of plot (bars instead of a line) gets the looks of its new kind.
    """
    fresh.SetDescription(node.GetDescription())
    if node.IsA("vtkMRMLPlotSeriesNode") and node.GetPlotType() != fresh.GetPlotType():
        return
    for name in LOOKS.get(node.GetClassName(), ()):
        getattr(fresh, f"Set{name}")(getattr(node, f"Get{name}")())
