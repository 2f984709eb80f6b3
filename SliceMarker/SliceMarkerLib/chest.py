"""The CT of a node as a stack of axial slices: where each slice lies, and which one a point is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    import numpy as np

    from manabi.slices.stack import AxialStack
    from manabi.volume import Volume

_known: dict[str, tuple[Any, AxialStack]] = {}


def read(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[Volume, AxialStack]:
    """The voxels of a CT, and its stack; nothing is kept."""
    from manabi.slices.stack import AxialStack
    from manabi_slicer import bridge

    volume = bridge.volume_from_node(node, name="ct")
    return volume, AxialStack.of(volume)


def places(node: slicer.vtkMRMLScalarVolumeNode) -> AxialStack:
    """The stack of a CT without its voxels, which all read 0; remembered for the one node asked for last."""
    import numpy as np

    from manabi.slices.stack import AxialStack
    from manabi.volume import Volume
    from manabi_slicer.bridge.geometry import ijk_to_world

    shape = node.GetImageData().GetDimensions()[::-1]
    matrix = ijk_to_world(node)
    state = (shape, matrix.tobytes())
    known = _known.get(node.GetID())
    if known is None or known[0] != state:
        _known.clear()
        nothing = np.broadcast_to(np.zeros((), np.int16), shape)
        _known[node.GetID()] = known = (state, AxialStack.of(Volume(nothing, matrix)))
    return known[1]


def normal(stack: AxialStack) -> np.ndarray:
    """The direction to the head across the slices, RAS, of length 1."""
    import numpy as np

    directions = stack.volume.grid.directions
    across = np.cross(directions[:, 0], directions[:, 1])
    across = across / np.linalg.norm(across)
    return across if across[2] > 0 else -across


def slice_of(stack: AxialStack, point_ras: Any) -> int:
    """The slice of the stack that is closest to a point (RAS mm)."""
    import numpy as np

    return stack.nearest(float(np.dot(np.asarray(point_ras, float), normal(stack))))


def middle_ras(stack: AxialStack, k: int) -> tuple[float, float, float]:
    """The middle of a slice of the stack, RAS mm."""
    _, rows, columns = stack.volume.shape
    return stack.ras(k, (rows - 1) / 2, (columns - 1) / 2)


def on_slice(stack: AxialStack, point_ras: Any, k: int | None = None) -> tuple[float, float, float]:
    """A point moved along the columns of slices onto a slice, RAS mm.

    Args:
        stack: of the CT.
        point_ras: the point.
        k: the slice; by default the closest one.
    """
    import numpy as np

    i, j, _ = stack.volume.grid.ijk_of(np.asarray(point_ras, float))
    return stack.ras(slice_of(stack, point_ras) if k is None else k, float(j), float(i))
