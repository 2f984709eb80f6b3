"""Moving slice views to a place and knowing what they show, without touching zoom, pan or orientation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from slicer import vtkMRMLSliceNode

ALIGNED = 0.9
"""Least cosine between a view's normal and a direction for the view to count as across it (our choice)."""
STILL_MM = 1e-3
Point = tuple[float, float, float]
UP: Point = (0.0, 0.0, 1.0)


def slice_nodes(but: Collection[str] = ()) -> list[vtkMRMLSliceNode]:
    """The slice views of the scene, also those outside the present layout.

    Args:
        but: names of views to leave out.
    """
    return [node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode") if node.GetName() not in but]


def jump(point_ras: Sequence[float], *, but: Collection[str] = (), across: Sequence[float] | None = None) -> None:
    """Let slice views show a point by moving along their normal only: zoom, pan and orientation stay.

    Args:
        point_ras: RAS mm.
        but: names of views that stay where they are.
        across: only views whose normal is close to this direction move; None for all.
    """
    for node in slice_nodes(but):
        if across is None or is_across(node, across):
            node.JumpSliceByOffsetting(*(float(x) for x in point_ras))


def is_across(node: vtkMRMLSliceNode, direction: Sequence[float]) -> bool:
    """Whether a view's slices lie across a direction, such as axial ones across the patient's long axis."""
    normal = [node.GetSliceToRAS().GetElement(r, 2) for r in range(3)]
    return abs(_dot(normal, direction)) >= ALIGNED * _dot(normal, normal) ** 0.5 * _dot(direction, direction) ** 0.5


def centre(node: vtkMRMLSliceNode) -> Point:
    """The point in the middle of a view, RAS mm."""
    x, y, z = (float(node.GetSliceToRAS().GetElement(r, 3)) for r in range(3))
    return x, y, z


class ShownSlice(VTKObservationMixin):
    """Tells which slice the user scrolled to, in whichever view lies across a direction.

    Args:
        on_shown: called with the middle of the view (RAS mm) whenever it moved along its normal.
        direction: RAS; by default the patient's long axis, so that axial views count.
    """

    def __init__(self, on_shown: Callable[[Point], None], direction: Sequence[float] = UP) -> None:
        VTKObservationMixin.__init__(self)
        self._on_shown = on_shown
        self._direction = direction
        self._offsets: dict[str, float] = {}

    def follow(self) -> None:
        """Follow all views there are now; call it again when a layout has made new ones."""
        self.removeObservers()
        self._offsets = {}
        for node in slice_nodes():
            self._offsets[node.GetID()] = node.GetSliceOffset()
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._on_modified)

    def leave(self) -> None:
        """Follow none."""
        self.removeObservers()
        self._offsets = {}

    def _on_modified(self, caller: Any, event: Any = None) -> None:
        offset, before = caller.GetSliceOffset(), self._offsets.get(caller.GetID())
        self._offsets[caller.GetID()] = offset
        moved = before is None or abs(offset - before) > STILL_MM
        if moved and caller.IsMappedInLayout() and is_across(caller, self._direction):
            self._on_shown(centre(caller))


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
