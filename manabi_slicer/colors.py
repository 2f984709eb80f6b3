"""Manabi's colour maps as Slicer colour tables, so that a view and a printed figure look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from slicer import vtkMRMLColorTableNode, vtkMRMLScalarVolumeNode

NAMES = {"cool": "Manabi Cool", "change": "Manabi Change", "spread": "Manabi Spread"}
"""Functions of :mod:`manabi.plotting.colormaps`, and what their tables are called in the scene."""


def color_table(name: str) -> vtkMRMLColorTableNode:
    """The colour table of a colour map, made where the scene has none; 256 colours.

    Args:
        name: a key of :data:`NAMES`.
    """
    scene = slicer.mrmlScene
    tag = f"Manabi{name.capitalize()}"
    node = scene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
        node.UnRegister(None)
        node.SetSingletonTag(tag)
        node.SetName(NAMES[name])
        node = scene.AddNode(node)
        _fill(node, name)
    return node


def show_with(volume: vtkMRMLScalarVolumeNode, name: str, low: float, high: float) -> None:
    """Display a volume with a colour map between two values."""
    display = volume.GetDisplayNode()
    if display is None:
        volume.CreateDefaultDisplayNodes()
        display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_table(name).GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(float(low), float(high))
    display.SetInterpolate(True)


def _fill(node: vtkMRMLColorTableNode, name: str) -> None:
    from manabi.plotting import colormaps

    colors = getattr(colormaps, name)()(range(256))
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    node.SetHideFromEditors(False)
    for index, (red, green, blue, _alpha) in enumerate(colors):
        node.SetColor(index, f"{index}", float(red), float(green), float(blue), 1.0)
