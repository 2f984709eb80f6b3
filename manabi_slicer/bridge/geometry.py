"""Where nodes lie in the patient: matrices of MRML as arrays, and parent transforms composed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from slicer import vtkMRMLTransformableNode, vtkMRMLVolumeNode

    from manabi.geometry import Grid

SAME_MATRIX_MM = 1e-9
"""Matrices that differ by less than this are the same one after rounding (our choice)."""


def as_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A VTK matrix as a 4×4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def as_vtk(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """A 4×4 array as a VTK matrix."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, float).ravel().tolist())
    return matrix


def ijk_to_local(node: vtkMRMLVolumeNode) -> np.ndarray:
    """4×4 from IJK to the node's own space in mm, its parent transform left out."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return as_array(matrix)


def local_to_world(node: vtkMRMLTransformableNode) -> np.ndarray:
    """4×4 from the node's own space to the patient's: all parent transforms, nested ones too.

    Raises:
        InvalidInputError: when one of them is not linear, so that no matrix can say where the node lies.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    linear = parent.IsTransformToWorldLinear()
    if not linear or not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, matrix):
        raise InvalidInputError(
            "Expected an image under linear transforms only; this one lies under a transform that bends space. "
            "Harden or remove the transform in the Transforms module, then try again."
        )
    return as_array(matrix)


def ijk_to_world(node: vtkMRMLVolumeNode) -> np.ndarray:
    """4×4 from IJK to RAS mm of the patient, parent transforms included."""
    return local_to_world(node) @ ijk_to_local(node)


def local_matrix(grid: Grid, beside: vtkMRMLVolumeNode | None) -> np.ndarray:
    """4×4 from IJK of a grid to the space under the parent transform of another node.

    Where the grid has the axes and origin of that node, its own matrix comes back without any rounding.

    Args:
        grid: in the patient's RAS mm.
        beside: the volume node whose parent transform the new node will have; None for no transform.

    Raises:
        InvalidInputError: when that parent transform is not linear.
    """
    if beside is None:
        return np.array(grid.ijk_to_ras)
    world = local_to_world(beside)
    own = ijk_to_local(beside)
    if np.abs(world @ own - grid.ijk_to_ras).max() <= SAME_MATRIX_MM:
        return own
    return np.linalg.solve(world, grid.ijk_to_ras)
