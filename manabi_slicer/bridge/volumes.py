"""Scalar volumes: nodes to :class:`~manabi.volume.Volume` and back, exact to 1e-6 mm, voxels copied once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from manabi.errors import InvalidInputError
from manabi.volume import Volume
from manabi_slicer.bridge import dicom
from manabi_slicer.bridge.attributes import CAUTION, MODALITY, UNITS, described, is_a, set_text
from manabi_slicer.bridge.geometry import as_vtk, ijk_to_world

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

LABELMAP = "vtkMRMLLabelMapVolumeNode"
SCALAR = "vtkMRMLScalarVolumeNode"
NOT_FOR = {SCALAR: (LABELMAP, "vtkMRMLVectorVolumeNode")}
"""Derived classes that cannot hold what the class holds."""
CASTS: dict[str, tuple[Any, ...]] = {
    "int64": (np.int32, np.uint32),
    "uint64": (np.uint32,),
    "bool": (np.uint8,),
    "float16": (np.float32,),
}
"""Types that Slicer cannot store or save, and the narrower or wider ones to try, in this order."""
EXACT_IN_DOUBLE = 2**53


def volume_from_node(node: vtkMRMLScalarVolumeNode, *, modality: str | None = None, name: str = "volume") -> Volume:
    """A copy of a scalar volume where it lies in the patient, parent transforms composed.

    The node's name stays out of it, because it may hold a patient's. A volume of 200 × 256 × 256 voxels of 4 bytes
    takes 0.1 s at most (two cores), all of it the one copy of the voxels.

    Args:
        node: scalar volume or label map.
        modality: DICOM modality code; by default what the node, its item or the DICOM database says.
        name: the volume's name, free of patient identifiers.

    Raises:
        InvalidInputError: for another kind of node, several values per voxel, no voxels, or a parent transform that
            is not linear.
        GeometryError: for a matrix that is no voxel grid.
    """
    image = _image_of(node)
    matrix = ijk_to_world(node)
    first = image.GetExtent()[::2]
    matrix[:3, 3] += matrix[:3, :3] @ np.array(first, float)
    kind = modality or dicom.modality_of(node)
    return Volume(
        array_of(image),
        matrix,
        modality=kind,
        units=dicom.units_of(node, kind),
        name=name,
        source=dicom.source_of(node),
        caution=node.GetAttribute(CAUTION) or "",
    )


def volume_to_node(
    volume: Volume, name: str, *, node: vtkMRMLScalarVolumeNode | None = None, labelmap: bool = False
) -> vtkMRMLScalarVolumeNode:
    """A volume as a node of the scene, in the patient's space.

    Args:
        volume: what to show.
        name: of the node.
        node: to update in place; its display stays as it is, a parent transform is taken off. By default a new one.
        labelmap: whether a new node is a label map.

    Raises:
        InvalidInputError: when the voxels fit no type that Slicer has, or ``node`` is of another kind.
    """
    expected = LABELMAP if labelmap else SCALAR
    if node is not None and not can_hold(node, expected):
        raise InvalidInputError(f"Expected a {expected} to update; got {described(node)}. Choose another output.")
    image = image_from(volume.array)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass(expected)
    was_modifying = node.StartModify()
    node.SetName(name)
    node.SetAndObserveTransformNodeID(None)
    fill_node(node, volume, image, volume.ijk_to_ras)
    node.EndModify(was_modifying)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node


def can_hold(node: Any, expected: str) -> bool:
    """Whether a node can get an output of a class: it is one, and not one that holds labels or colour instead."""
    return is_a(node, expected) and not is_a(node, *NOT_FOR.get(expected, ()))


def fill_node(node: vtkMRMLScalarVolumeNode, volume: Volume, image: vtk.vtkImageData, ijk_to_local: np.ndarray) -> None:
    """Give a node voxels, place, modality and units; the node need not be in a scene."""
    node.SetIJKToRASMatrix(as_vtk(ijk_to_local))
    node.SetAndObserveImageData(image)
    set_text(node, MODALITY, volume.modality)
    set_text(node, UNITS, volume.units)
    set_text(node, CAUTION, volume.caution)
    node.RemoveAttribute(dicom.INSTANCE_UIDS)
    dicom.set_units(node, volume.units)


def array_of(image: vtk.vtkImageData) -> np.ndarray:
    """A copy of an image's voxels, KJI."""
    scalars = image.GetPointData().GetScalars()
    return numpy_support.vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]).copy()


def image_from(array: np.ndarray, image: Any = None) -> Any:
    """Voxels (KJI) as a VTK image with unit spacing, copied; in a type that Slicer stores and saves.

    Args:
        array: any type that :class:`~manabi.volume.Volume` holds.
        image: to fill, of any class derived from ``vtkImageData``; by default a new one.

    Raises:
        InvalidInputError: for integers that no such type holds exactly.
    """
    stored = np.ascontiguousarray(storable(array))
    scalars = numpy_support.numpy_to_vtk(stored.ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image = vtk.vtkImageData() if image is None else image
    image.SetDimensions(*(int(n) for n in stored.shape[::-1]))
    image.GetPointData().SetScalars(scalars)
    return image


def storable(array: np.ndarray) -> np.ndarray:
    """The array in a type that Slicer stores and saves, every value unchanged.

    Raises:
        InvalidInputError: where there is none.
    """
    kinds = CASTS.get(array.dtype.name)
    if kinds is None:
        return array
    if array.dtype.kind in "bf":
        return array.astype(kinds[0])
    low, high = int(array.min()), int(array.max())
    for kind in kinds:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return array.astype(kind)
    if max(-low, high) <= EXACT_IN_DOUBLE:
        return array.astype(np.float64)
    raise InvalidInputError(
        f"Expected values that Slicer can store exactly; got {array.dtype} from {low} to {high}. Scale them down first."
    )


def _image_of(node: vtkMRMLScalarVolumeNode) -> vtk.vtkImageData:
    if not is_a(node, SCALAR):
        raise InvalidInputError(f"Expected a scalar volume; got {described(node)}. Choose an image.")
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InvalidInputError("Expected an image with voxels; this one holds none. Load it again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InvalidInputError(
            f"Expected one value per voxel; got {image.GetNumberOfScalarComponents()} (colour or vectors). Convert the "
            "image to a scalar volume first, for example with the Vector to Scalar Volume module."
        )
    return image
