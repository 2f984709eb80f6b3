"""How a reader sees the markers: each on its slice, side by side; coronal view, a slice to scroll, plot and table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import slicer
from slicer.i18n import tr as _

from manabi_slicer import jumping, layout
from SliceMarkerLib import chest
from SliceMarkerLib.levels import MARKERS, levels, points_of, title

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

GROUP = "Slices"
NUMBER = 1
"""Of Manabi's layouts, and of the group of the three fixed views."""
SCROLLED = NUMBER + 1000
"""Group of the views that move; never linked with the three that stay."""
FIXED = tuple(layout.view_name(GROUP, index) for index in range(3))
CORONAL, BROWSE = layout.view_name(GROUP, 3), layout.view_name(GROUP, 4)
LUNG_WINDOW = (1500.0, -500.0)
"""Width and level of the window that lungs are read in (our choice of the usual ones)."""
OVERVIEW = "Manabi.overview"
"""Attribute of the second display of the points, which the coronal view alone shows."""
POINT_COLOR = (1.0, 0.82, 0.2)


def show(inputNode: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Arrange the views for a result; nothing happens where there are none."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    lung_window(inputNode)
    layout.arrange(manager, layout.FIRST_ID + NUMBER, layout_xml())
    slicer.app.processEvents()  # the views must have their size before the images are fitted into them
    for name in (*FIXED, CORONAL, BROWSE):
        logic = manager.sliceWidget(name).sliceLogic()
        layout.fill(logic, layout.Shown(name, inputNode))
        logic.FitSliceToBackground()
    place_fixed(inputNode, outputs)
    layout.show_numbers(GROUP, outputs.get("plots/probability"), outputs.get("tables/markers"))
    show_points(outputs)


def layout_xml() -> str:
    """The three markers above; coronal view, a slice to scroll, and plot and table below."""
    fixed = [layout.slice_view(GROUP, NUMBER, index, title(name)) for index, name in enumerate(MARKERS)]
    plot = layout.view("vtkMRMLPlotViewNode", f"Manabi{GROUP}Plot", {"viewlabel": "Plot"})
    table = layout.view("vtkMRMLTableViewNode", f"Manabi{GROUP}Table", {"viewlabel": "Table"})
    low = layout.row([
        layout.slice_view(GROUP, SCROLLED, 3, _("Coronal"), "Coronal"),
        layout.slice_view(GROUP, SCROLLED, 4, _("Slice")),
        layout.column(((plot, 640), (table, 360))),
    ])  # fmt: skip
    return ElementTree.tostring(layout.column(((layout.row(fixed), 520), (low, 480))), "unicode")


def place_fixed(inputNode: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Put each of the three views on its marker; on the image's end where the marker lies beyond it."""
    stack = chest.places(inputNode)
    found = levels(outputs)
    for name, view in zip(MARKERS, FIXED, strict=True):
        node = slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLSliceNode")
        level = found.get(name)
        if node is None or level is None:
            continue
        everything = slicer.vtkMRMLSliceNode
        node.SetInteractionFlagsModifier(~(everything.SliceToRASFlag | everything.OrientationFlag) & 0x7FFFFFFF)
        end = stack.n - 1 if "above" in level.text else 0
        k = end if level.slice is None else stack.input_index(level.slice)
        node.JumpSliceByOffsetting(*chest.middle_ras(stack, k))


def show_points(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Points where they lie in every view; in the coronal one all of them, however far from the slice."""
    points = points_of(outputs)
    view = slicer.mrmlScene.GetSingletonNode(CORONAL, "vtkMRMLSliceNode")
    if points is None or view is None:
        return
    displays = [points.GetNthDisplayNode(n) for n in range(points.GetNumberOfDisplayNodes())]
    if not any(display.GetAttribute(OVERVIEW) for display in displays):
        for display in displays:
            _dress(display)
        extra = slicer.mrmlScene.AddNewNodeByClass(points.GetDisplayNode().GetClassName())
        extra.SetAttribute(OVERVIEW, "1")
        _dress(extra)
        extra.SetSliceProjection(True)
        extra.SetSliceProjectionOpacity(1.0)
        extra.SetSliceProjectionUseFiducialColor(True)
        points.AddAndObserveDisplayNodeID(extra.GetID())
        displays.append(extra)
    overview = next(display for display in displays if display.GetAttribute(OVERVIEW))
    overview.SetViewNodeIDs([view.GetID()])


def lung_window(node: vtkMRMLScalarVolumeNode) -> None:
    """Show a CT in the lung window, unless the user has set one."""
    display = node.GetDisplayNode()
    if display is not None and display.GetAutoWindowLevel():
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*LUNG_WINDOW)


def plot_view() -> Any:
    """The plot view of the layout, or None where it is not there."""
    manager = slicer.app.layoutManager()
    node = slicer.mrmlScene.GetSingletonNode(f"Manabi{GROUP}Plot", "vtkMRMLPlotViewNode")
    if manager is None or node is None:
        return None
    for index in range(manager.plotViewCount):
        widget = manager.plotWidget(index)
        if widget is not None and widget.mrmlPlotViewNode() is node:
            return widget.plotView()
    return None


def jump_to_slice(inputNode: vtkMRMLScalarVolumeNode, index: int) -> None:
    """Let the axial views show a slice of the image; the three fixed ones stay on their markers.

    Args:
        inputNode: the CT.
        index: of the slice, along the input's own axis.
    """
    stack = chest.places(inputNode)
    point = chest.middle_ras(stack, stack.input_index(index))
    jumping.jump(point, but=FIXED, across=chest.normal(stack).tolist())


def jump_to_point(point_ras: Any) -> None:
    """Let all views show a point, except the three fixed ones."""
    jumping.jump(point_ras, but=FIXED)


def _dress(display: Any) -> None:
    display.SetSelectedColor(*POINT_COLOR)
    display.SetColor(*POINT_COLOR)
    display.SetTextScale(3.0)
    display.SetGlyphScale(2.0)
