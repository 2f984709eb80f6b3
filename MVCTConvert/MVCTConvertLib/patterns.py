"""The converted image with holes, through which the image behind it is seen: a checkerboard, or one side of a line.

The holes hold a value that no CT has; the display leaves it clear, so that each image keeps a window of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLScalarVolumeNode

TAG = "ManabiMVCTComparison"
CLEAR = -1.0e9
"""Value of the holes. It is so low that next to nothing between it and a HU counts as seen where voxels are mixed."""
LOWEST, HIGHEST = -1100.0, 1.0e6
"""What the display shows: air and all above. Padding outside a scanner's field of view is shown like air."""
Pattern = tuple[str, float]
"""``checkerboard`` and the side of a square in mm, or ``wipe`` and the fraction of the width."""


def show(converted: vtkMRMLScalarVolumeNode, pattern: Pattern) -> vtkMRMLScalarVolumeNode:
    """The scene's volume of patterns, filled: on the converted image's grid and in its window.

    It is hidden in the data tree, and not saved with the scene.

    Args:
        converted: the converted CT, HU.
        pattern: which.
    """
    import numpy as np

    values = slicer.util.arrayFromVolume(converted)
    node = _placed(converted)
    if node.GetImageData() is None or slicer.util.arrayFromVolume(node).shape != values.shape:
        slicer.util.updateVolumeFromArray(node, np.full(values.shape, CLEAR, np.float32))
    paint(slicer.util.arrayFromVolume(node), values, shown_of(converted, pattern))
    slicer.util.arrayFromVolumeModified(node)
    same_window(node, converted)
    return node


def forget() -> None:
    """Take the volume of patterns out of the scene."""
    node = found()
    if node is not None:
        display = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        if display is not None:
            slicer.mrmlScene.RemoveNode(display)


def found() -> Any:
    """The scene's volume of patterns, or None."""
    return slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLScalarVolumeNode")


def same_window(node: Any, converted: vtkMRMLScalarVolumeNode) -> None:
    """Give the patterns the window and the colours of the converted image; the holes stay clear."""
    display, wanted = node.GetDisplayNode(), converted.GetDisplayNode()
    if display is None or wanted is None:
        return
    display.SetAndObserveColorNodeID(wanted.GetColorNodeID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(wanted.GetWindowLevelMin(), wanted.GetWindowLevelMax())
    display.SetAutoThreshold(False)
    display.SetThreshold(LOWEST, HIGHEST)
    display.SetApplyThreshold(True)


def shown_of(converted: vtkMRMLScalarVolumeNode, pattern: Pattern) -> Callable[[int], np.ndarray]:
    """A function from the number of a slice to its mask ``(rows, columns)``: where the converted image is seen."""
    import numpy as np

    array = slicer.util.arrayFromVolume(converted)
    name, amount = pattern
    if name == "checkerboard":
        spacing = converted.GetSpacing()[::-1]
        slices, rows, columns = (_turns(n, mm, amount) for n, mm in zip(array.shape, spacing, strict=True))
        flat = rows[:, None] ^ columns[None, :]
        return lambda k: flat ^ slices[k]
    axis, starts_left = across(converted)
    places = (np.arange(array.shape[axis]) + 0.5) / array.shape[axis]
    seen = places < amount if starts_left else 1.0 - places < amount
    if axis == 0:
        return lambda k: np.full(array.shape[1:], seen[k])
    whole = np.broadcast_to(seen[:, None] if axis == 1 else seen[None, :], array.shape[1:])
    return lambda k: whole


def paint(target: np.ndarray, values: np.ndarray, mask_of: Callable[[int], np.ndarray]) -> None:
    """Fill a volume slice by slice: the values where the mask is true, holes elsewhere."""
    import numpy as np

    for k in range(len(values)):
        np.maximum(values[k], LOWEST, out=target[k], casting="unsafe")
        np.copyto(target[k], CLEAR, where=~mask_of(k))


def across(converted: vtkMRMLScalarVolumeNode) -> tuple[int, bool]:
    """The array's axis that runs across the patient, and whether it begins at the left of an axial view (R)."""
    import numpy as np
    import vtk

    matrix = vtk.vtkMatrix4x4()
    converted.GetIJKToRASMatrix(matrix)
    right = np.array([matrix.GetElement(0, column) for column in range(3)]) / np.array(converted.GetSpacing())
    column = int(np.abs(right).argmax())
    return 2 - column, bool(right[column] < 0)


def _turns(n: int, spacing_mm: float, tile_mm: float) -> np.ndarray:
    """Which squares along an axis are odd; the middle of the axis is that of a square."""
    import numpy as np

    middle = (np.arange(n) - (n - 1) / 2.0) * spacing_mm
    return np.floor(middle / tile_mm + 0.5).astype(int) % 2 == 1


def _placed(converted: vtkMRMLScalarVolumeNode) -> vtkMRMLScalarVolumeNode:
    """The volume of patterns, made where there is none, where the converted image lies."""
    import vtk

    node = found() or _made()
    matrix = vtk.vtkMatrix4x4()
    converted.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(converted.GetTransformNodeID())
    return node


def _made() -> Any:
    scene = slicer.mrmlScene
    node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetSingletonTag(TAG)
    node.SetName("MVCTConvert comparison")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node
