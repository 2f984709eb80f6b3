"""Following a point list that the user may drag points of; where it is locked, nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.util import VTKObservationMixin

from manabi_slicer.bridge import landmark_index, landmark_position

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsFiducialNode

    from manabi_slicer.jumping import Point

STILL_MM = 1e-4
WAIT_MS = 200
"""Corrections are worked out when a point has been still for so long (our choice)."""


class PointsEditor(VTKObservationMixin):
    """Tells which marker was moved where, once per drag.

    Args:
        on_moved: called with the marker's name and its place, RAS mm; the point is back where it was by then.
    """

    def __init__(self, on_moved: Callable[[str, Point], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._on_moved = on_moved
        self._node: vtkMRMLMarkupsFiducialNode | None = None
        self._places: dict[str, Point] = {}
        self._dragging = False
        self._editable = False
        self._telling = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.connect("timeout()", self._look)

    def attach(self, node: vtkMRMLMarkupsFiducialNode | None, editable: bool) -> None:
        """Follow another point list as it is now, or none.

        Args:
            node: with the landmarks of a result.
            editable: whether its points can be moved.
        """
        if self._timer.active and not self._telling and node is self._node and node is not None:
            self._timer.stop()
            self._look()  # a point was moved a moment ago: that comes first
        self._timer.stop()
        self.removeObservers()
        self._node, self._dragging, self._editable = node, False, editable
        self._places = {}
        if node is None:
            return
        node.SetLocked(not editable)
        node.SetFixedNumberOfControlPoints(True)
        self._places = {name: node.GetNthControlPointPosition(index) for name, index in _points(node)}
        self.addObserver(node, node.PointModifiedEvent, self._onModified)
        self.addObserver(node, node.PointStartInteractionEvent, self._onStart)
        self.addObserver(node, node.PointEndInteractionEvent, self._onEnd)

    def _onStart(self, caller: Any = None, event: Any = None) -> None:
        self._dragging = True

    def _onEnd(self, caller: Any = None, event: Any = None) -> None:
        self._dragging = False
        self._timer.start()

    def _onModified(self, caller: Any = None, event: Any = None) -> None:
        if not self._dragging:
            self._timer.start()

    def _look(self) -> None:
        """The points are still: tell of the first one that is elsewhere than before."""
        node = self._node
        if node is None or node.GetScene() is None:
            return
        for name, index in _points(node):
            before = self._places.get(name)
            now = node.GetNthControlPointPosition(index)
            if before is None or max(abs(a - b) for a, b in zip(now, before, strict=True)) < STILL_MM:
                continue
            world = landmark_position(node, name)
            node.SetNthControlPointPosition(index, *before)
            self._timer.stop()
            if self._editable and world is not None:
                self._tell(name, world)
                return

    def _tell(self, name: str, point: Point) -> None:
        """Hand it on; what that changes in the list is nobody's drag."""
        self._telling = True
        try:
            self._on_moved(name, point)
        finally:
            self._telling = False


def _points(node: vtkMRMLMarkupsFiducialNode) -> list[tuple[str, int]]:
    """Landmarks that are still in the list, with their index."""
    from manabi_slicer.bridge.landmarks import landmark_names

    found = [(name, landmark_index(node, name)) for name in landmark_names(node)]
    return [(name, index) for name, index in found if index >= 0]
