"""How a reader sees a converted CT: input and converted side by side, linked; beside them a comparison or a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from manabi_slicer import layout
from MVCTConvertLib.compare import CONVERTED, GROUP, NUMBER
from MVCTConvertLib.parameters import Window

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

WINDOWS = {Window.SOFT_TISSUE: (400.0, 40.0), Window.BONE: (2000.0, 500.0), Window.LUNG: (1500.0, -500.0)}
"""Usual widths and levels, HU."""
MARGIN = 1.1
"""The slice views show the body and so much more (our choice)."""
SEGMENTATIONS = ("labelmaps/body", "labelmaps/tissues")


def show(choices: Any, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Lay out the views; the last one is left to :class:`MVCTConvertLib.compare.Comparison`.

    Args:
        choices: the parameter node.
        outputs: of the chosen input; nothing happens where they lack the converted image.
    """
    converted = outputs.get(CONVERTED)
    if converted is None:
        return
    set_windows(choices, outputs)
    show_tissues(outputs, choices.showTissues)
    views = [layout.Shown(_("Input"), choices.inputVolume), layout.Shown(_("Converted (synthetic)"), converted)]
    if choices.referenceVolume:
        views.append(layout.Shown(_("Planning CT"), choices.referenceVolume))
    views.append(layout.Shown(_("Comparison"), choices.inputVolume))
    at_ras, span_mm = body_place(outputs)
    layout.show(
        GROUP, NUMBER, views, at_ras=at_ras, span_mm=span_mm, chart=outputs.get("plots/histogram"),
        table=outputs.get("tables/hu_check"),
    )  # fmt: skip
    _snap(len(views))


def body_place(outputs: Mapping[str, vtkMRMLNode]) -> tuple[np.ndarray | None, float | None]:
    """The middle of the body (RAS mm) and its width in axial slices with a margin (mm); None where none was found."""
    import numpy as np

    node = outputs.get("labelmaps/body")
    bounds = [0.0, -1.0] * 3
    if node is not None:
        node.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    if not (high > low).all():
        return None, None
    return (low + high) / 2.0, MARGIN * float((high - low)[:2].max())


def compare_index(choices: Any) -> int:
    """Which view is the right-hand one."""
    return 3 if choices.referenceVolume else 2


def set_windows(choices: Any, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Show the converted image and the planning CT in the chosen window; the input keeps its own."""
    converted = outputs.get(CONVERTED)
    if converted is None:
        return
    for node in (converted, choices.referenceVolume):
        if node:
            _set_window(node, choices.window, choices.inputVolume)


def show_tissues(outputs: Mapping[str, vtkMRMLNode], shown: bool) -> None:
    """Draw the outlines of the tissues into the views, or nothing; the body's is never drawn."""
    for key in SEGMENTATIONS:
        node = outputs.get(key)
        display = node.GetDisplayNode() if node is not None else None
        if display is not None:
            display.SetVisibility2DFill(False)
            display.SetVisibility(shown and key == "labelmaps/tissues")


def _snap(count: int) -> None:
    """Put the views on a slice of the image: between two of them the squares of a checkerboard would fade."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        for index in range(count):
            manager.sliceWidget(layout.view_name(GROUP, index)).sliceLogic().SnapSliceOffsetToIJK()


def _set_window(node: vtkMRMLScalarVolumeNode, window: Window, inputNode: vtkMRMLScalarVolumeNode) -> None:
    display, source = node.GetDisplayNode(), inputNode.GetDisplayNode()
    if display is None:
        return
    width, level = WINDOWS.get(window) or (source.GetWindow(), source.GetLevel())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(width, level)
