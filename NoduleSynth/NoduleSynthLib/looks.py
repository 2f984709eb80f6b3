"""Looks of films, heat map and marks in the views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from manabi_slicer.colors import color_table
from NoduleSynthLib import marks

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

PERCENTILES = (0.5, 99.5)
"""Of the pixels that are not padding: between them a film is shown (our choice, as the method has it)."""
HEAT_TAG, COLORS = "ManabiHeat", 256
DARKEST = 0.35
"""The heat's colours begin at this part of Manabi's, as black would be taken for lung (our choice)."""
LEAST_HEAT = 0.1
"""The heat map is clear below (our choice)."""
MARK, CHOSEN = (1.0, 0.82, 0.2), (1.0, 0.35, 0.2)
"""Colours of marks, and of the one that was clicked."""
GLYPH_SCALE, TEXT_SCALE = 9.0, 3.2
"""Of the crosses, in percent of the view: their open middle leaves the lesion to be seen (our choice)."""
DRESSED = "Manabi.dressed"
"""Attribute of a display that has its first looks; what the user changes later stays."""


def dress_film(node: vtkMRMLScalarVolumeNode) -> None:
    """Show a film from its darkest to its brightest tissue, unless the user has set a window."""
    display: Any = node.GetDisplayNode()
    if display is not None and display.GetAutoWindowLevel():
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*window(node))


def window(node: vtkMRMLScalarVolumeNode) -> tuple[float, float]:
    """Between which values a film is shown; its padding, which is the least value, does not count."""
    import numpy as np

    values = slicer.util.arrayFromVolume(node)
    inside = values[values > values.min()]
    if not inside.size:
        return float(values.min()), float(values.min()) + 1.0
    low, high = (float(x) for x in np.percentile(inside, PERCENTILES))
    return low, max(high, low + 1e-6)


def same_window(before: Any, after: Any) -> None:
    """Show both films of a pair in one window: otherwise the nodule would change the looks of all of the film."""
    low, high = window(before)
    for node in (before, after):
        display = node.GetDisplayNode()
        if display is not None and not display.GetAttribute(DRESSED):
            display.SetAttribute(DRESSED, "1")
            display.SetAutoWindowLevel(False)
            display.SetWindowLevelMinMax(low, high)


def dress_heat(node: vtkMRMLScalarVolumeNode) -> None:
    """Give the heat map its colours; it is clear where there is next to nothing."""
    display: Any = node.GetDisplayNode()
    if display is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(heat_table().GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(LEAST_HEAT, 1.0e6)
    display.SetApplyThreshold(True)
    display.SetInterpolate(True)


def heat_table() -> Any:
    """Manabi's colours of spread without their darkest ones."""
    scene = slicer.mrmlScene
    node = scene.GetSingletonNode(HEAT_TAG, "vtkMRMLColorTableNode")
    if node is not None:
        return node
    solid = color_table("spread")
    node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
    node.UnRegister(None)
    node.SetSingletonTag(HEAT_TAG)
    node.SetName(_("{name} (heat)").format(name=solid.GetName()))
    node = scene.AddNode(node)
    node.SetTypeToUser()
    node.SetNumberOfColors(COLORS)
    color = [0.0] * 4
    for index in range(COLORS):
        solid.GetColor(round(DARKEST * (COLORS - 1) + (1.0 - DARKEST) * index), color)
        node.SetColor(index, f"{index}", *color[:3], 1.0)
    return node


def dress_marks(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Open crosses with numbers and scores; once, what the user changes stays."""
    points = marks.points_of(outputs)
    display: Any = points.GetDisplayNode() if points is not None else None
    if display is None or display.GetAttribute(DRESSED):
        return
    display.SetAttribute(DRESSED, "1")
    display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Cross2D)
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetTextScale(TEXT_SCALE)
    display.SetColor(*MARK)
    display.SetSelectedColor(*CHOSEN)
    choose_mark(outputs, None)


def hide_labels(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """The outlines of the lungs are there for whoever wants them; at first they are not drawn."""
    for key, node in outputs.items():
        display: Any = node.GetDisplayNode() if key.startswith("labelmaps/") else None
        if display is not None and not display.GetAttribute(DRESSED):
            display.SetAttribute(DRESSED, "1")
            display.SetVisibility(False)


def choose_mark(outputs: Mapping[str, vtkMRMLNode], number: int | None) -> None:
    """Show which mark was clicked by its colour."""
    points = marks.points_of(outputs)
    if points is None:
        return
    chosen = None if number is None else f"mark_{number}"
    from manabi_slicer.bridge.landmarks import landmark_index, landmark_names

    was_modifying = points.StartModify()
    for name in landmark_names(points):
        points.SetNthControlPointSelected(landmark_index(points, name), name == chosen)
    points.EndModify(was_modifying)
