"""Views side by side, linked, each with its own image: how a result is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import slicer

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLNode, vtkMRMLPlotChartNode, vtkMRMLScalarVolumeNode, vtkMRMLTableNode

FIRST_ID = 20_731
"""Layouts of Manabi are numbered from here; Slicer's own and other extensions' stay below (our choice)."""
VIEW_COLORS = ("#4f8fd0", "#d9694a", "#6aa84f", "#c69214")


@dataclass(frozen=True)
class Shown:
    """What one slice view shows.

    Attributes:
        label: two or three letters that Slicer draws into the view.
        background: the image.
        foreground: laid over it, or None.
        opacity: of the foreground.
    """

    label: str
    background: vtkMRMLScalarVolumeNode
    foreground: vtkMRMLScalarVolumeNode | None = None
    opacity: float = 0.5


def view_name(group: str, index: int) -> str:
    """The singleton tag of a slice view; of its own, so that Red, Yellow and Green stay as the user left them."""
    return f"Manabi{group}{index + 1}"


def layout_xml(group: str, labels: Sequence[str], *, numbers: bool) -> str:
    """Slice views side by side; with ``numbers`` a plot and a table below them.

    Args:
        group: name of the module, part of the views' names.
        labels: what Slicer draws into each view.
        numbers: whether there is something to plot and to list.
    """
    top = _row([_slice_view(group, n, label) for n, label in enumerate(labels)])
    if not numbers:
        return ElementTree.tostring(top, "unicode")
    low = _row([
        ElementTree.Element("view", {"class": "vtkMRMLPlotViewNode", "singletontag": f"Manabi{group}Plot"}),
        ElementTree.Element("view", {"class": "vtkMRMLTableViewNode", "singletontag": f"Manabi{group}Table"}),
    ])  # fmt: skip
    whole = ElementTree.Element("layout", {"type": "vertical", "split": "true"})
    for part, size in ((top, "600"), (low, "400")):
        ElementTree.SubElement(whole, "item", {"splitSize": size}).append(part)
    return ElementTree.tostring(whole, "unicode")


def show(
    group: str,
    number: int,
    shown: Sequence[Shown],
    *,
    at_ras: np.ndarray | None = None,
    chart: vtkMRMLPlotChartNode | None = None,
    table: vtkMRMLTableNode | None = None,
) -> None:
    """Lay out the views, link them, and give each its image; nothing happens where there are no views.

    Args:
        group: name of the module.
        number: of the module's layouts, from 0.
        shown: from left to right.
        at_ras: point of the patient (mm) to centre the slices on, or None for the middle of the first image.
        chart: to plot below.
        table: to list below.
    """
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    _arrange(manager, FIRST_ID + number, layout_xml(group, [s.label for s in shown], numbers=chart is not None))
    for index, one in enumerate(shown):
        _fill(manager.sliceWidget(view_name(group, index)).sliceLogic(), one)
    for index in range(len(shown)):
        logic = manager.sliceWidget(view_name(group, index)).sliceLogic()
        logic.FitSliceToBackground()
        if at_ras is not None:
            logic.GetSliceNode().JumpSliceByCentering(*(float(x) for x in at_ras))
    _show_numbers(group, chart, table)


def set_layer(group: str, index: int, shown: Shown) -> None:
    """Give one of the slice views another image; its place and zoom stay."""
    manager = slicer.app.layoutManager()
    widget = None if manager is None else manager.sliceWidget(view_name(group, index))
    if widget is not None:
        _fill(widget.sliceLogic(), shown)


def _arrange(manager: slicer.qMRMLLayoutManager, number: int, xml: str) -> None:
    node = manager.layoutLogic().GetLayoutNode()
    if node.IsLayoutDescription(number):
        node.SetLayoutDescription(number, xml)
    else:
        node.AddLayoutDescription(number, xml)
    manager.setLayout(number)


def _fill(logic: slicer.vtkMRMLSliceLogic, shown: Shown) -> None:
    composite = logic.GetSliceCompositeNode()
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetBackgroundVolumeID(_id(shown.background))
    composite.SetForegroundVolumeID(_id(shown.foreground))
    composite.SetForegroundOpacity(shown.opacity if shown.foreground is not None else 0.0)


def _show_numbers(group: str, chart: vtkMRMLNode | None, table: vtkMRMLNode | None) -> None:
    scene = slicer.mrmlScene
    if chart is not None:
        view = scene.GetSingletonNode(f"Manabi{group}Plot", "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(chart.GetID())
    if table is not None:
        view = scene.GetSingletonNode(f"Manabi{group}Table", "vtkMRMLTableViewNode")
        if view is not None:
            view.SetTableNodeID(table.GetID())


def _row(parts: Sequence[ElementTree.Element]) -> ElementTree.Element:
    row = ElementTree.Element("layout", {"type": "horizontal", "split": "true"})
    for part in parts:
        ElementTree.SubElement(row, "item").append(part)
    return row


def _slice_view(group: str, index: int, label: str) -> ElementTree.Element:
    view = ElementTree.Element("view", {"class": "vtkMRMLSliceNode", "singletontag": view_name(group, index)})
    properties = {
        "orientation": "Axial",
        "viewlabel": label,
        "viewcolor": VIEW_COLORS[index % len(VIEW_COLORS)],
    }
    for name, value in properties.items():
        ElementTree.SubElement(view, "property", {"name": name, "action": "default"}).text = value
    return view


def _id(node: vtkMRMLNode | None) -> str:
    return "" if node is None else node.GetID()
