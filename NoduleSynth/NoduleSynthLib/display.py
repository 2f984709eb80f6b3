"""How a reader sees a film: with its marks beside the heat map; or before, after and the nodules' outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import slicer
from slicer.i18n import tr as _

from manabi_slicer import jumping, layout
from NoduleSynthLib import looks, marks

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi_slicer.jumping import Point

GROUP = "Nodule"
DETECT, SYNTHESIS = 8, 9
"""Numbers of Manabi's layouts."""
BEFORE, AFTER, DIFFERENCE, MASK = "volumes/before", "volumes/after", "volumes/difference", "labelmaps/mask"
TRUTH = "landmarks/nodule_"
EDGE = 0.8
"""A point within this part of a view, from its middle, is seen well: the view stays as it is (our choice)."""


def show_detection(film: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], opacity: float) -> None:
    """The film with its marks, and beside it the heat map over the film.

    Args:
        film: that was searched.
        outputs: of the detection.
        opacity: of the heat map, 0 to 1.
    """
    heat: Any = outputs.get(marks.HEAT)
    looks.dress_film(film)
    views = [layout.Shown(_("Film"), film)]
    if heat is not None:
        looks.dress_heat(heat)
        views.append(layout.Shown(_("Heat map"), film, heat, opacity))
    layout.show(GROUP, DETECT, views)
    _turn_to(film, len(views))
    looks.dress_marks(outputs)
    looks.hide_labels(outputs)
    _everywhere(marks.points_of(outputs))


def set_heat_opacity(film: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], opacity: float) -> None:
    """How much of the heat map is seen; nothing happens where it is not shown."""
    heat: Any = outputs.get(marks.HEAT)
    if heat is not None and _shows(1, film):
        layout.set_layer(GROUP, 1, layout.Shown(_("Heat map"), film, heat, opacity))


def show_synthesis(outputs: Mapping[str, vtkMRMLNode], others: Sequence[Any] = ()) -> None:
    """Before, after, and after with the outlines and numbers of the nodules; the truth as a table below.

    Args:
        outputs: of the synthesis.
        others: point lists on the same film, such as marks and places: none of them is drawn over the nodules.
    """
    manager = slicer.app.layoutManager()
    before, after = outputs.get(BEFORE), outputs.get(AFTER)
    if manager is None or before is None or after is None:
        return
    looks.same_window(before, after)
    titles = (_("Before"), _("After (synthetic)"), _("Nodules (truth)"))
    layout.arrange(manager, layout.FIRST_ID + SYNTHESIS, _synthesis_xml(titles))
    slicer.app.processEvents()  # the views must have their size before the images are fitted into them
    for index, (title, node) in enumerate(zip(titles, (before, after, after), strict=True)):
        logic = manager.sliceWidget(layout.view_name(GROUP, index)).sliceLogic()
        layout.fill(logic, layout.Shown(title, node))
        logic.FitSliceToBackground()
    _turn_to(after, len(titles))
    layout.show_numbers(GROUP, None, outputs.get("tables/nodules"))
    _only_in(2, outputs)
    for points in others:
        _not_here(points, len(titles))


def jump(point: Point) -> None:
    """Let every view show a point: slices go there, and a view that is zoomed in is moved until it is seen."""
    jumping.jump(point)
    for node in jumping.slice_nodes():
        if node.IsMappedInLayout() and not _sees(node, point):
            node.JumpSliceByCentering(*(float(x) for x in point))


# --- parts ------------------------------------------------------------------------------------------------------------


def _synthesis_xml(titles: Sequence[str]) -> str:
    top = layout.row([layout.slice_view(GROUP, SYNTHESIS, index, title) for index, title in enumerate(titles)])
    table = layout.view("vtkMRMLTableViewNode", f"Manabi{GROUP}Table", {"viewlabel": "Table"})
    return ElementTree.tostring(layout.column(((top, 740), (table, 260))), "unicode")


def _only_in(index: int, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Draw outlines and numbers of the nodules into one view only: the others are for the reader's own eyes."""
    view = slicer.mrmlScene.GetSingletonNode(layout.view_name(GROUP, index), "vtkMRMLSliceNode")
    points: Any = next((node for key, node in outputs.items() if key.startswith(TRUTH)), None)
    for node in (outputs.get(MASK), points):
        display: Any = node.GetDisplayNode() if node is not None else None
        if display is None or view is None:
            continue
        display.SetViewNodeIDs([view.GetID()])
        if node is points:
            node.SetLocked(True)
            display.SetColor(*looks.MARK)
            display.SetSelectedColor(*looks.MARK)
            display.SetTextScale(looks.TEXT_SCALE)
            display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Vertex2D)
        else:
            display.SetVisibility2DFill(False)


def _not_here(points: Any, count: int) -> None:
    """Draw points into all slice views but the first ones of this module."""
    display = points.GetDisplayNode() if points else None
    if display is not None:
        names = [layout.view_name(GROUP, index) for index in range(count)]
        display.SetViewNodeIDs([node.GetID() for node in jumping.slice_nodes(but=names)])


def _everywhere(points: Any) -> None:
    """Draw points into all views again."""
    if points is not None and points.GetDisplayNode() is not None:
        points.GetDisplayNode().RemoveAllViewNodeIDs()


def _turn_to(film: Any, count: int) -> None:
    """Let the views show the film as it is stored, its first row on top, however it lies in space."""
    import numpy as np

    from manabi_slicer.bridge.geometry import ijk_to_world

    manager = slicer.app.layoutManager()
    axes = ijk_to_world(film)[:3, :3]
    right, up = (axis / np.linalg.norm(axis) for axis in (axes[:, 0], -axes[:, 1]))
    toward = -np.cross(right, up)  # as Slicer's axial views have it
    for index in range(count if manager is not None else 0):
        logic = manager.sliceWidget(layout.view_name(GROUP, index)).sliceLogic()
        view = logic.GetSliceNode()
        for column, direction in enumerate((right, up, toward)):
            for row in range(3):
                view.GetSliceToRAS().SetElement(row, column, float(direction[row]))
        view.UpdateMatrices()
        logic.FitSliceToBackground()


def _shows(index: int, film: Any) -> bool:
    """Whether one of the views shows a film."""
    manager = slicer.app.layoutManager()
    widget = None if manager is None else manager.sliceWidget(layout.view_name(GROUP, index))
    return widget is not None and widget.sliceLogic().GetSliceCompositeNode().GetBackgroundVolumeID() == film.GetID()


def _sees(node: Any, point: Point) -> bool:
    """Whether a point lies well within what a view shows."""
    matrix, field = node.GetSliceToRAS(), node.GetFieldOfView()
    for axis in range(2):
        along = sum(matrix.GetElement(row, axis) * (float(point[row]) - matrix.GetElement(row, 3)) for row in range(3))
        if abs(along) > EDGE * field[axis] / 2.0:
            return False
    return True
