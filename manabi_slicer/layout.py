"""Views side by side, linked, each with its own image: how a result is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import slicer

if TYPE_CHECKING:
    import numpy as np
    from slicer import (
        vtkMRMLNode,
        vtkMRMLPlotChartNode,
        vtkMRMLScalarVolumeNode,
        vtkMRMLSegmentationNode,
        vtkMRMLSliceNode,
        vtkMRMLTableNode,
    )

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


def layout_xml(group: str, number: int, labels: Sequence[str], *, numbers: bool, surfaces: bool = False) -> str:
    """Slice views side by side; below them, where there is something to show, a plot, a table and a 3-D view.

    Args:
        group: name of the module, part of the views' names.
        number: of the module's layouts; the views form a group of their own, so that Slicer's own views stay put.
        labels: what Slicer draws into each view.
        numbers: whether there is something to plot and to list.
        surfaces: whether there is something to show in 3-D.
    """
    top = _row([_slice_view(group, number, n, label) for n, label in enumerate(labels)])
    kinds = [("PlotView", "Plot"), ("TableView", "Table")] if numbers else []
    kinds += [("View", "3D")] if surfaces else []
    if not kinds:
        return ElementTree.tostring(top, "unicode")
    low = _row([_view(f"vtkMRML{kind}Node", f"Manabi{group}{name}", {"viewlabel": name}) for kind, name in kinds])
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
    span_mm: float | None = None,
    chart: vtkMRMLPlotChartNode | None = None,
    table: vtkMRMLTableNode | None = None,
    surfaces: vtkMRMLSegmentationNode | None = None,
) -> None:
    """Lay out the views, link them, and give each its image; nothing happens where there are no views.

    Args:
        group: name of the module.
        number: of the module's layouts, from 0.
        shown: from left to right.
        at_ras: point of the patient (mm) to centre the slices on, or None for the middle of the first image.
        span_mm: least width and height that the slice views show, or None for the whole first image.
        chart: to plot below.
        table: to list below.
        surfaces: segments to show in 3-D below.
    """
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    labels = [one.label for one in shown]
    xml = layout_xml(group, number, labels, numbers=chart is not None, surfaces=surfaces is not None)
    _arrange(manager, FIRST_ID + number, xml)
    slicer.app.processEvents()  # the views must have their size before the images are fitted into them
    for index, one in enumerate(shown):
        _fill(manager.sliceWidget(view_name(group, index)).sliceLogic(), one)
    for index in range(len(shown)):
        logic = manager.sliceWidget(view_name(group, index)).sliceLogic()
        logic.FitSliceToBackground()
        if span_mm is not None:
            _zoom(logic.GetSliceNode(), span_mm)
        if at_ras is not None:
            logic.GetSliceNode().JumpSliceByCentering(*(float(x) for x in at_ras))
    _show_numbers(group, chart, table)
    if surfaces is not None:
        _show_surfaces(manager, f"Manabi{group}3D", surfaces)


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
    composite.SetInteractionFlagsModifier(0)  # position and zoom are linked, images are not: each view keeps its own
    composite.SetBackgroundVolumeID(_id(shown.background))
    composite.SetForegroundVolumeID(_id(shown.foreground))
    composite.SetForegroundOpacity(shown.opacity if shown.foreground is not None else 0.0)


def _zoom(view: vtkMRMLSliceNode, span_mm: float) -> None:
    """Show just so much; pixels stay square."""
    width, height = view.GetDimensions()[:2]
    mm_per_pixel = span_mm / max(min(width, height), 1)
    view.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, view.GetFieldOfView()[2])


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


def _show_surfaces(manager: slicer.qMRMLLayoutManager, name: str, segmentation: vtkMRMLSegmentationNode) -> None:
    segmentation.CreateClosedSurfaceRepresentation()
    view = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLViewNode")
    widget = manager.viewWidget(view) if view is not None else None
    if widget is not None:
        view.SetBoxVisible(False)  # it encloses all images, and the camera looks at all of it
        view.SetAxisLabelsVisible(False)
        widget.threeDView().resetFocalPoint()
        widget.threeDView().resetCamera()


def _row(parts: Sequence[ElementTree.Element]) -> ElementTree.Element:
    row = ElementTree.Element("layout", {"type": "horizontal", "split": "true"})
    for part in parts:
        ElementTree.SubElement(row, "item").append(part)
    return row


def _slice_view(group: str, number: int, index: int, label: str) -> ElementTree.Element:
    """The label is set each time, as it may change; the orientation only at first, as the user may have changed it."""
    properties = {
        "viewlabel": label,
        "viewcolor": VIEW_COLORS[index % len(VIEW_COLORS)],
        "viewgroup": str(FIRST_ID + number),
    }
    view = _view("vtkMRMLSliceNode", view_name(group, index), properties)
    ElementTree.SubElement(view, "property", {"name": "orientation", "action": "default"}).text = "Axial"
    return view


def _view(kind: str, tag: str, properties: Mapping[str, str]) -> ElementTree.Element:
    view = ElementTree.Element("view", {"class": kind, "singletontag": tag})
    for name, value in properties.items():
        ElementTree.SubElement(view, "property", {"name": name}).text = value
    return view


def _id(node: vtkMRMLNode | None) -> str:
    return "" if node is None else node.GetID()
