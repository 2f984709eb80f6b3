"""Clicking where nodules shall be: a point list of the user's, and Slicer's place mode switched on and off.

Placing a point never moves a view: nothing here jumps, and a view is told to stay where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsFiducialNode

    from manabi_slicer.jumping import Point

FIDUCIALS = "vtkMRMLMarkupsFiducialNode"
ROLE = "Manabi.role"
"""Attribute by which the module's own point list is known."""
COLOR = (0.36, 0.78, 0.45)


class Places(VTKObservationMixin):
    """Follows the point list and the place mode.

    Args:
        on_changed: called when points or the mode changed.
    """

    def __init__(self, on_changed: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._on_changed = on_changed
        self._node: vtkMRMLMarkupsFiducialNode | None = None

    @property
    def placing(self) -> bool:
        """Whether the next click in a view puts a point into the list."""
        interaction, selection = _modes()
        return (
            self._node is not None
            and interaction is not None
            and interaction.GetCurrentInteractionMode() == interaction.Place
            and selection.GetActivePlaceNodeID() == self._node.GetID()
        )

    def follow(self, node: Any) -> None:
        """Follow another point list, or none."""
        node = node or None
        if node is self._node:
            return
        self.stop()
        self.removeObservers()
        self._node = node
        if node is None:
            return
        for event in (node.PointPositionDefinedEvent, node.PointRemovedEvent, node.PointEndInteractionEvent):
            self.addObserver(node, event, self._changed)
        interaction, _selection = _modes()
        if interaction is not None:
            self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._changed)
            self.addObserver(interaction, interaction.EndPlacementEvent, self._changed)

    def start(self) -> None:
        """Every click in a view is a nodule from now on, until :meth:`stop`, a right click or the Escape key."""
        interaction, selection = _modes()
        if self._node is None or interaction is None:
            return
        if self._node.GetDisplayNode() is not None:
            self._node.GetDisplayNode().RemoveAllViewNodeIDs()  # they are hidden where a film with nodules is shown
        selection.SetReferenceActivePlaceNodeClassName(FIDUCIALS)
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def stop(self) -> None:
        """Clicks are clicks again."""
        if self.placing:
            interaction, _selection = _modes()
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.follow(None)

    def _changed(self, caller: Any = None, event: Any = None) -> None:
        self._on_changed()


def make() -> vtkMRMLMarkupsFiducialNode:
    """The scene's point list for places, made where there is none."""
    for node in slicer.util.getNodesByClass(FIDUCIALS):
        if node.GetAttribute(ROLE) == "places":
            return node
    node = slicer.mrmlScene.AddNewNodeByClass(FIDUCIALS, _("Nodules to put in"))
    node.SetAttribute(ROLE, "places")
    node.SetControlPointLabelFormat("%d")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*COLOR)
    display.SetColor(*COLOR)
    display.SetTextScale(3.0)
    display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Cross2D)
    display.SetGlyphScale(6.0)
    return node


def points(node: Any) -> list[Point]:
    """The points that were clicked, RAS mm of the patient; those that are still being placed do not count."""
    found: list[Point] = []
    for index in range(node.GetNumberOfControlPoints() if node else 0):
        if node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
            place = [0.0, 0.0, 0.0]
            node.GetNthControlPointPositionWorld(index, place)
            found.append((place[0], place[1], place[2]))
    return found


def outside(film: Any, places: list[Point]) -> list[int]:
    """Numbers (from 1) of the points that do not lie on a film."""
    from manabi_slicer.bridge.geometry import ijk_to_world

    if not places or film is None or film.GetImageData() is None:
        return []
    import numpy as np

    to_ijk = np.linalg.inv(ijk_to_world(film))
    columns, rows = film.GetImageData().GetDimensions()[:2]
    found = []
    for number, point in enumerate(places, 1):
        i, j, _k = (to_ijk @ [*point, 1.0])[:3]
        if not (-0.5 <= i <= columns - 0.5 and -0.5 <= j <= rows - 0.5):
            found.append(number)
    return found


def on_film(film: Any, down: float, across: float) -> Point:
    """A point of a film by parts of its height and its width, RAS mm of the patient."""
    from manabi_slicer.bridge.geometry import ijk_to_world

    columns, rows = film.GetImageData().GetDimensions()[:2]
    x, y, z = (ijk_to_world(film) @ [across * (columns - 1), down * (rows - 1), 0.0, 1.0])[:3]
    return float(x), float(y), float(z)


def _modes() -> tuple[Any, Any]:
    """Slicer's interaction and selection nodes; None where there are none."""
    logic = slicer.app.applicationLogic()
    return (logic.GetInteractionNode(), logic.GetSelectionNode()) if logic is not None else (None, None)
