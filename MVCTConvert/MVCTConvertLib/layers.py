"""Maps over the converted image: what was changed, how sure it is, and whether the way back leads to the input.

Each has its colours with a legend in HU. What is next to nothing stays clear, so that the anatomy is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from manabi_slicer.colors import color_table
from MVCTConvertLib.parameters import View

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

COLORS = {View.DIFFERENCE: "change", View.UNCERTAINTY: "spread", View.RESIDUAL: "spread", View.EDGES: "spread"}
"""Colour map by layer, see :data:`manabi_slicer.colors.NAMES`."""
SATURATED = 97.0
"""Percentile of what is not zero at which the colours saturate (our choice)."""
MOST_HU = 200.0
"""The colours saturate here at the latest, so that bone does not hide what happens in soft tissue (our choice)."""
CLEAR_PART = 0.12
"""Values below this part of the saturated one are clear (our choice)."""
LEAST_HU = 5.0
"""The colours never saturate below this, so that noise does not look like a finding (our choice)."""
SAMPLED = 200_000
"""Voxels that are looked at to find the range."""
LEGEND_SIZE, LEGEND_PLACE = (0.1, 0.45), (0.02, 0.8)
"""Of the legend, as parts of the view."""


def dress(node: vtkMRMLScalarVolumeNode, view: View) -> None:
    """Give a layer its colours and its range."""
    limit = high(node)
    values = slicer.util.arrayFromVolume(node)
    signed = view == View.DIFFERENCE or float(values.min()) < 0
    low = -limit if signed else 0.0
    display = node.GetDisplayNode()
    if display is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(clear_table("change" if signed else COLORS[view]).GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, limit)
    display.SetInterpolate(True)


def show_legend(node: vtkMRMLScalarVolumeNode, view: View) -> None:
    """Draw the legend of a layer into the views that show it."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is None:
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    if legend is None:  # as in a Slicer without its Colors module
        return
    unit = _("HU/mm") if view == View.EDGES else _("HU")
    legend.SetTitleText(_("{layer} ({unit})").format(layer=view.label(), unit=unit))
    legend.SetLabelFormat("%.0f")
    legend.SetNumberOfLabels(5)
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(*LEGEND_PLACE)
    legend.SetVisibility(True)
    legend.Modified()


def hide_legends(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Draw no legend of any layer; Slicer may go on drawing that of a map that has left the view."""
    for view in COLORS:
        node = outputs.get(view.value)
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node) if node is not None else None
        if legend is not None:
            legend.SetVisibility(False)


def high(node: vtkMRMLScalarVolumeNode) -> float:
    """Where the colours of a layer saturate, HU."""
    import numpy as np

    values = slicer.util.arrayFromVolume(node).ravel()
    some = np.abs(values[:: max(values.size // SAMPLED, 1)].astype(np.float32))
    some = some[some > 0]
    return float(np.clip(np.percentile(some, SATURATED), LEAST_HU, MOST_HU)) if some.size else LEAST_HU


def clear_table(name: str) -> Any:
    """A colour table of :func:`manabi_slicer.colors.color_table` in which values next to nothing are clear."""
    scene = slicer.mrmlScene
    tag = f"ManabiClear{name.capitalize()}"
    node = scene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is not None:
        return node
    solid = color_table(name)
    node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
    node.UnRegister(None)
    node.SetSingletonTag(tag)
    node.SetName(_("{name} (clear where nothing is)").format(name=solid.GetName()))
    node = scene.AddNode(node)
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    color = [0.0] * 4
    for index, alpha in enumerate(_alphas(name)):
        solid.GetColor(index, color)
        node.SetColor(index, f"{index}", *color[:3], float(alpha))
    return node


def _alphas(name: str) -> np.ndarray:
    """0 for the colours of what is next to nothing, 1 for the others."""
    import numpy as np

    part = np.abs(np.linspace(-1, 1, 256)) if name == "change" else np.linspace(0, 1, 256)
    return (part >= CLEAR_PART).astype(float)
