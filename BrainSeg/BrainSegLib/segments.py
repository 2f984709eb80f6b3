"""Segments of a user's segmentation: on their own grid, and changed one by one so that all others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _

from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.bridge.transaction import Transaction

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.geometry import Grid

BINARY = "Binary labelmap"
SAME_GRID_MM = 1e-6


@dataclass(frozen=True)
class Lattice:
    """The grid of segments, in the space of their node.

    Attributes:
        matrix: 4×4 from IJK, counted from ``first``, to that space, mm.
        first: the IJK that Slicer counts the first voxel as.
        shape: KJI.
    """

    matrix: np.ndarray
    first: tuple[int, int, int]
    shape: tuple[int, int, int]

    def grid(self, node: vtkMRMLSegmentationNode) -> Grid:
        """The grid in the patient, with the node's parent transforms as they are now."""
        from manabi.geometry import Grid
        from manabi_slicer.bridge.geometry import local_to_world

        return Grid(self.shape, local_to_world(node) @ self.matrix)


def lattice_of(
    node: vtkMRMLSegmentationNode, segment_ids: Sequence[str], image: vtkMRMLScalarVolumeNode
) -> Lattice:  # fmt: skip
    """The grid that segments are painted on, as large as one can paint there.

    Args:
        node: a segmentation made of voxels.
        segment_ids: at least one; empty segments may be among them.
        image: whose extent counts where the segmentation has none of its own.

    Raises:
        InvalidInputError: for surfaces, unknown segments, when nothing is painted, or when the segments lie on
            different grids.
    """
    import numpy as np

    matrices, images = _painted_images(node, segment_ids)
    boxes = [_own_box(one, matrices[0]) for one in images]
    boxes.append(_paintable_box(node, image, matrices[0]))
    low = np.min([box[0] for box in boxes], axis=0)
    high = np.max([box[1] for box in boxes], axis=0)
    matrix = matrices[0].copy()
    matrix[:3, 3] = matrix[:3, :3] @ low + matrix[:3, 3]
    size = (high - low + 1).astype(int)
    return Lattice(matrix, tuple(int(n) for n in low), (int(size[2]), int(size[1]), int(size[0])))  # type: ignore[arg-type]


def mask_of(node: vtkMRMLSegmentationNode, segment_id: str, grid: Grid) -> np.ndarray:
    """Where a segment is on a grid in the patient, KJI; nearest voxels where the grid is not its own."""
    from manabi_slicer.bridge.segmentations import labelmap_on

    return labelmap_on(node, grid.shape, grid.ijk_to_ras, [segment_id]).volume.array > 0


class SegmentChange(Transaction):
    """Changes of single segments, with the way back: only what was changed is put back, later work on others stays."""

    def write(self, node: vtkMRMLSegmentationNode, segment_id: str, mask: np.ndarray, lattice: Lattice) -> None:
        """Let a segment be a mask.

        Other segments keep every voxel, also where they overlap it.

        Args:
            node: its segmentation.
            segment_id: which one.
            mask: KJI, on the lattice.
            lattice: of the segment.

        Raises:
            InvalidInputError: when Slicer refuses it.
        """
        before = slicer.vtkOrientedImageData()
        held = node.GetBinaryLabelmapRepresentation(segment_id, before)
        kept = before if held and not before.IsEmpty() else None

        def back() -> None:
            if node.GetScene() is self.scene and node.GetSegmentation().GetSegment(segment_id) is not None:
                _set(node, segment_id, kept if kept is not None else _nothing_on(lattice))

        _set(node, segment_id, _image_of(mask, lattice))
        self._back.append(back)


def _set(node: vtkMRMLSegmentationNode, segment_id: str, image: Any) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(image, node, segment_id, logic.MODE_REPLACE):
        raise InvalidInputError(_("Slicer could not change the segment. Check the segmentation."))


def _image_of(mask: np.ndarray, lattice: Lattice) -> Any:
    """A mask as Slicer wants it, on voxels counted as in the segment."""
    import numpy as np
    from vtk.util import numpy_support

    image = _nothing_on(lattice, lattice.shape)
    voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    np.copyto(voxels.reshape(lattice.shape), mask)
    return image


def _nothing_on(lattice: Lattice, shape: tuple[int, int, int] = (1, 1, 1)) -> Any:
    """An image of zeros on the first voxels of a lattice."""
    import numpy as np
    from vtk.util import numpy_support

    from manabi_slicer.bridge.geometry import as_vtk

    image = slicer.vtkOrientedImageData()
    extent = [end for first, n in zip(lattice.first, shape[::-1], strict=True) for end in (first, first + n - 1)]
    image.SetExtent(extent)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())[:] = 0
    counted = np.array(lattice.matrix)
    counted[:3, 3] -= counted[:3, :3] @ np.array(lattice.first, float)
    image.SetImageToWorldMatrix(as_vtk(counted))
    return image


def _painted_images(node: Any, segment_ids: Sequence[str]) -> tuple[list[np.ndarray], list[Any]]:
    """Matrices and images of the segments that hold something; all on one grid."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != BINARY:
        raise InvalidInputError(
            _("Expected painted segments; this segmentation is of surfaces. Convert it in the Segmentations module.")
        )
    _check_known(node, segment_ids)
    held = [segmentation.GetSegment(one).GetRepresentation(BINARY) for one in segment_ids]
    images = [one for one in held if one is not None and not one.IsEmpty()]
    if not images:
        raise InvalidInputError(_("Expected painted slices; the chosen segments are empty. Paint some slices first."))
    matrices = [_matrix(one) for one in images]
    if any(not _same_axes(one, matrices[0]) for one in matrices):
        raise InvalidInputError(_("The chosen segments lie on different grids. Propagate them one at a time."))
    return matrices, images


def _check_known(node: Any, segment_ids: Sequence[str]) -> None:
    """Refuse segments that the segmentation does not have."""
    known = bridge.segment_names(node)
    unknown = [one for one in segment_ids if one not in known]
    if unknown:
        raise InvalidInputError(
            _("The segmentation has no segment {names}. Choose among {known}.").format(
                names=", ".join(unknown), known=", ".join(known)
            )
        )


def _matrix(image: Any) -> np.ndarray:
    from manabi_slicer.bridge.geometry import as_array

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return as_array(matrix)


def _same_axes(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two grids share their axes and, but for whole voxels, their origin."""
    import numpy as np

    shift = np.linalg.solve(other[:3, :3], one[:3, 3] - other[:3, 3])
    turned = np.abs(one[:3, :3] - other[:3, :3]).max()
    return bool(turned < SAME_GRID_MM and np.abs(shift - np.round(shift)).max() < 1e-3)


def _own_box(image: Any, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last IJK of a segment's image."""
    import numpy as np

    extent = np.array(image.GetExtent(), float)
    shift = np.round(np.linalg.solve(matrix[:3, :3], _matrix(image)[:3, 3] - matrix[:3, 3]))
    return extent[::2] + shift, extent[1::2] + shift


def _paintable_box(
    node: vtkMRMLSegmentationNode, image: vtkMRMLScalarVolumeNode, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """First and last IJK of the segmentation's reference grid, on the lattice of ``matrix``."""
    import numpy as np

    from manabi_slicer.bridge.geometry import ijk_to_world, local_to_world

    converter = slicer.vtkSegmentationConverter
    stated = node.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    geometry = slicer.vtkOrientedImageData()
    if stated and converter.DeserializeImageGeometry(stated, geometry, False) and not geometry.IsEmpty():
        extent, place = geometry.GetExtent(), _matrix(geometry)
    else:
        extent = image.GetImageData().GetExtent()
        place = np.linalg.solve(local_to_world(node), ijk_to_world(image))
    edges = [(extent[2 * axis] - 0.5, extent[2 * axis + 1] + 0.5) for axis in range(3)]
    corners = np.array([[x, y, z, 1.0] for x in edges[0] for y in edges[1] for z in edges[2]])
    on_lattice = (np.linalg.solve(matrix, place) @ corners.T)[:3]
    return np.ceil(on_lattice.min(axis=1) - 1e-3), np.floor(on_lattice.max(axis=1) + 1e-3)
