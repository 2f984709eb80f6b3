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
    top = row([slice_view(group, number, n, label) for n, label in enumerate(labels)])
    kinds = [("PlotView", "Plot"), ("TableView", "Table")] if numbers else []
    kinds += [("View", "3D")] if surfaces else []
    if not kinds:
        return ElementTree.tostring(top, "unicode")
    low = row([view(f"vtkMRML{kind}Node", f"Manabi{group}{name}", {"viewlabel": name}) for kind, name in kinds])
    return ElementTree.tostring(column(((top, 600), (low, 400))), "unicode")


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
    arrange(manager, FIRST_ID + number, xml)
    slicer.app.processEvents()  # the views must have their size before the images are fitted into them
    for index, one in enumerate(shown):
        fill(manager.sliceWidget(view_name(group, index)).sliceLogic(), one)
    for index in range(len(shown)):
        logic = manager.sliceWidget(view_name(group, index)).sliceLogic()
        logic.FitSliceToBackground()
        if span_mm is not None:
            _zoom(logic.GetSliceNode(), span_mm)
        if at_ras is not None:
            logic.GetSliceNode().JumpSliceByCentering(*(float(x) for x in at_ras))
    show_numbers(group, chart, table)
    if surfaces is not None:
        _show_surfaces(manager, f"Manabi{group}3D", surfaces)


def set_layer(group: str, index: int, shown: Shown) -> None:
    """Give one of the slice views another image; its place and zoom stay."""
    manager = slicer.app.layoutManager()
    widget = None if manager is None else manager.sliceWidget(view_name(group, index))
    if widget is not None:
        fill(widget.sliceLogic(), shown)


def arrange(manager: slicer.qMRMLLayoutManager, number: int, xml: str) -> None:
    """Show a layout of Manabi's own; the user's other layouts stay as they are."""
    node = manager.layoutLogic().GetLayoutNode()
    if node.IsLayoutDescription(number):
        node.SetLayoutDescription(number, xml)
    else:
        node.AddLayoutDescription(number, xml)
    manager.setLayout(number)


def fill(logic: slicer.vtkMRMLSliceLogic, shown: Shown) -> None:
    """Give a slice view its images; position and zoom are linked within its group, images are not."""
    composite = logic.GetSliceCompositeNode()
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetInteractionFlagsModifier(0)  # each view keeps its own images
    composite.SetBackgroundVolumeID(_id(shown.background))
    composite.SetForegroundVolumeID(_id(shown.foreground))
    composite.SetForegroundOpacity(shown.opacity if shown.foreground is not None else 0.0)


def _zoom(view: vtkMRMLSliceNode, span_mm: float) -> None:
    """Show just so much; pixels stay square."""
    width, height = view.GetDimensions()[:2]
    mm_per_pixel = span_mm / max(min(width, height), 1)
    view.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, view.GetFieldOfView()[2])


def show_numbers(group: str, chart: vtkMRMLNode | None, table: vtkMRMLNode | None) -> None:
    """Give the plot view and the table view of a module what they show; None leaves them as they are."""
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


def row(parts: Sequence[ElementTree.Element]) -> ElementTree.Element:
    """Parts of a layout side by side, of one width."""
    whole = ElementTree.Element("layout", {"type": "horizontal", "split": "true"})
    for part in parts:
        ElementTree.SubElement(whole, "item").append(part)
    return whole


def column(parts: Sequence[tuple[ElementTree.Element, int]]) -> ElementTree.Element:
    """Parts of a layout one below the other, each with its share of the height."""
    whole = ElementTree.Element("layout", {"type": "vertical", "split": "true"})
    for part, size in parts:
        ElementTree.SubElement(whole, "item", {"splitSize": str(size)}).append(part)
    return whole


def slice_view(group: str, number: int, index: int, label: str, orientation: str = "Axial") -> ElementTree.Element:
    """A slice view in a layout.

    The label is set each time, as it may change; the orientation only at first, as the user may have changed it.

    Args:
        group: name of the module.
        number: of the views that are linked with this one.
        index: of the view, from 0.
        label: what Slicer draws into it.
        orientation: of its slices, at first.
    """
    properties = {
        "viewlabel": label,
        "viewcolor": VIEW_COLORS[index % len(VIEW_COLORS)],
        "viewgroup": str(FIRST_ID + number),
    }
    whole = view("vtkMRMLSliceNode", view_name(group, index), properties)
    ElementTree.SubElement(whole, "property", {"name": "orientation", "action": "default"}).text = orientation
    return whole


def view(kind: str, tag: str, properties: Mapping[str, str]) -> ElementTree.Element:
    """A view in a layout: its node's class, its singleton tag, and properties of the layout's own."""
    whole = ElementTree.Element("view", {"class": kind, "singletontag": tag})
    for name, value in properties.items():
        ElementTree.SubElement(whole, "property", {"name": name}).text = value
    return whole


def _id(node: vtkMRMLNode | None) -> str:
    return "" if node is None else node.GetID()
