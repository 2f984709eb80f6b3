"""Label maps as segmentation nodes with coded segments, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk

from manabi.errors import InvalidInputError
from manabi.result import Code, Labelmap, Segment
from manabi.volume import Volume
from manabi_slicer.bridge.attributes import described, is_a
from manabi_slicer.bridge.geometry import as_vtk, ijk_to_world, local_matrix, local_to_world
from manabi_slicer.bridge.volumes import array_of, image_from

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

SEGMENTATION = "vtkMRMLSegmentationNode"
BINARY = "Binary labelmap"
LABEL_TAG = "Manabi.label"
"""Tag of a segment: its value in the label map, which Slicer may change when the user edits."""
TERMINOLOGY_TAG = "TerminologyEntry"
TISSUE = Code("85756007", "SCT", "Tissue")
LARGEST_IN_TABLE = 65535
SMOOTHING = "0.5"
"""Smoothing of the surface that the views show, Slicer's own default."""


def labelmap_to_node(
    labelmap: Labelmap,
    name: str,
    *,
    node: vtkMRMLSegmentationNode | None = None,
    reference_node: vtkMRMLScalarVolumeNode | None = None,
    algorithm: str = "Manabi",
) -> vtkMRMLSegmentationNode:
    """A label map as a segmentation of the scene.

    Args:
        labelmap: labels where they lie in the patient.
        name: of the node.
        node: to update in place; its display stays as it is. By default a new one.
        reference_node: the image that was segmented; the segmentation gets its parent transform and its grid.
        algorithm: what DICOM SEG names as the maker.

    Raises:
        InvalidInputError: for negative labels, or when ``node`` is of another kind.
    """
    if node is not None and not is_a(node, SEGMENTATION):
        raise InvalidInputError(f"Expected a segmentation to update; got {described(node)}. Choose another output.")
    drawn = build_segmentation(labelmap, local_matrix(labelmap.volume.grid, reference_node), algorithm)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass(SEGMENTATION)
    was_modifying = node.StartModify()
    node.SetName(name)
    node.SetAndObserveSegmentation(drawn.GetSegmentation())
    node.SetAndObserveTransformNodeID(reference_node.GetTransformNodeID() if reference_node is not None else None)
    link_reference(node, labelmap, reference_node)
    node.EndModify(was_modifying)
    node.CreateDefaultDisplayNodes()
    return node


def segment_names(node: vtkMRMLSegmentationNode | None) -> dict[str, str]:
    """Names of the segments by identifier, in their order; empty without a segmentation."""
    if node is None:
        return {}
    segmentation = node.GetSegmentation()
    return {one: segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}


def build_segmentation(
    labelmap: Labelmap, ijk_to_local: np.ndarray, algorithm: str, previous: vtkMRMLSegmentationNode | None = None
) -> vtkMRMLSegmentationNode:
    """A segmentation node that is in no scene; all segments share one image, so nothing is stored twice.

    Args:
        labelmap: the labels.
        ijk_to_local: where they lie, in the space of the node.
        algorithm: what DICOM SEG names as the maker.
        previous: node to be replaced; segments that stay keep the colour that the user gave them there.

    Raises:
        InvalidInputError: for negative labels.
    """
    node = slicer.vtkMRMLSegmentationNode()
    image = _label_image(labelmap.volume, ijk_to_local)
    segmentation = node.GetSegmentation()
    segmentation.SetConversionParameter("Smoothing factor", SMOOTHING)
    for segment in labelmap.segments:
        identifier = f"Segment_{segment.label}"
        made = _segment(segment, algorithm)
        kept = previous.GetSegmentation().GetSegment(identifier) if previous is not None else None
        if kept is not None and kept.GetName() == made.GetName():
            made.SetColor(kept.GetColor())
        made.AddRepresentation(BINARY, image)
        segmentation.AddSegment(made, identifier)
    return node


def link_reference(
    node: vtkMRMLSegmentationNode, labelmap: Labelmap, reference_node: vtkMRMLScalarVolumeNode | None
) -> None:
    """Name the image that was segmented and the grid of the labels; both nodes are in the scene."""
    if reference_node is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference_node)
        if on_grid_of(labelmap.volume, reference_node):
            return
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*(int(n) for n in labelmap.volume.shape[::-1]))
    image.SetImageToWorldMatrix(as_vtk(local_matrix(labelmap.volume.grid, reference_node)))
    converter = slicer.vtkSegmentationConverter
    node.GetSegmentation().SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(image)
    )


def build_label_numbers(labelmap: Labelmap) -> Any:
    """A colour table that is in no scene, by which Slicer exports the segments with their own labels.

    Returns:
        The table; None where Slicer's numbers (1, 2, 3, ... in the order of the segments) are the labels, and where the
        labels are too large for a table.
    """
    numbers = [segment.label for segment in labelmap.segments]
    if numbers == list(range(1, len(numbers) + 1)) or max(numbers, default=0) > LARGEST_IN_TABLE:
        return None
    table = slicer.vtkMRMLColorTableNode()
    table.SetTypeToUser()
    table.SetNumberOfColors(max(numbers) + 1)
    for segment in labelmap.segments:
        table.SetColor(segment.label, segment.name, *segment.color, 1.0)
    return table


def labelmap_from_segmentation(
    node: vtkMRMLSegmentationNode,
    reference_volume_node: vtkMRMLScalarVolumeNode,
    segment_ids: Sequence[str] | None = None,
) -> Labelmap:
    """Segments as a label map on the grid of an image, names, colours and codes kept.

    Labels are those the segments had when Manabi made them, or else Slicer's where they differ from one another, or
    else 1, 2, 3, ... Where segments overlap, the later one wins.

    Args:
        node: the segmentation.
        reference_volume_node: whose grid the labels come on.
        segment_ids: which segments, in this order; by default all.

    Raises:
        InvalidInputError: for other kinds of node, unknown segments, an image without voxels, or parent transforms
            that are not linear.
    """
    _check(node, reference_volume_node)
    grid = Volume(np.zeros(reference_volume_node.GetImageData().GetDimensions()[::-1], bool),
                  ijk_to_world(reference_volume_node)).grid  # fmt: skip
    return labelmap_on(node, grid.shape, grid.ijk_to_ras, segment_ids)


def labelmap_on(
    node: vtkMRMLSegmentationNode,
    shape: Sequence[int],
    ijk_to_ras: np.ndarray,
    segment_ids: Sequence[str] | None = None,
) -> Labelmap:
    """As :func:`labelmap_from_segmentation`, on a grid given by its KJI shape and matrix to RAS mm."""
    segmentation = node.GetSegmentation()
    known = list(segmentation.GetSegmentIDs())
    identifiers = known if segment_ids is None else list(segment_ids)
    unknown = sorted(set(identifiers) - set(known))
    if unknown:
        raise InvalidInputError(f"The segmentation has no segment {', '.join(unknown)}. Choose among {known}.")
    ijk_to_local = np.linalg.solve(local_to_world(node), ijk_to_ras)
    numbers = _merged(node, identifiers, shape, ijk_to_local)
    labels = _labels([segmentation.GetSegment(identifier) for identifier in identifiers])
    table = np.array([0, *labels], dtype=np.min_scalar_type(max([1, *labels])))
    segments = tuple(
        _read_segment(segmentation.GetSegment(identifier), label)
        for identifier, label in zip(identifiers, labels, strict=True)
    )
    return Labelmap(Volume(table[numbers], ijk_to_ras, name="labelmap"), segments)


# --- to Slicer ----------------------------------------------------------------------------------


def _label_image(volume: Volume, ijk_to_local: np.ndarray) -> Any:
    from manabi.io.labels import slim

    array = volume.array
    if array.dtype.kind == "i" and int(array.min()) < 0:
        raise InvalidInputError(f"Expected labels from 0; got {int(array.min())}. Number the segments from 1.")
    array, matrix = _right_handed(slim(volume).array, ijk_to_local)
    image = image_from(array, slicer.vtkOrientedImageData())
    image.SetImageToWorldMatrix(as_vtk(matrix))
    return image


def _right_handed(array: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels in the same place, slices reversed where I, J, K are left-handed.

    Slicer turns surfaces of left-handed images inside out.
    """
    if np.linalg.det(matrix[:3, :3]) > 0:
        return array, matrix
    turned = matrix.copy()
    turned[:3, 3] += matrix[:3, 2] * (array.shape[0] - 1)
    turned[:3, 2] *= -1
    return array[::-1], turned


def _segment(segment: Segment, algorithm: str) -> Any:
    from manabi.io.labels import terminology_entry

    made = slicer.vtkSegment()
    made.SetName(segment.name)
    made.SetColor(*segment.color)
    made.SetLabelValue(int(segment.label))
    made.SetTag(made.GetTerminologyEntryTagName(), terminology_entry(segment))
    made.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
    made.SetTag("DICOM.SegmentAlgorithmName", algorithm)
    made.SetTag(LABEL_TAG, str(segment.label))
    return made


def on_grid_of(volume: Volume, node: vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume has the voxels of a node, in the same place."""
    image = node.GetImageData()
    shape = image.GetDimensions()[::-1] if image is not None else None
    return volume.shape == shape and bool(np.abs(volume.ijk_to_ras - ijk_to_world(node)).max() < 1e-6)


# --- from Slicer --------------------------------------------------------------------------------


def _check(node: Any, reference: Any) -> None:
    if not is_a(node, SEGMENTATION):
        raise InvalidInputError(f"Expected a segmentation; got {described(node)}. Choose a segmentation.")
    if not is_a(reference, "vtkMRMLVolumeNode") or reference.GetImageData() is None:
        raise InvalidInputError("Expected an image with voxels to put the segments on. Choose the segmented image.")


def _merged(
    node: vtkMRMLSegmentationNode, identifiers: list[str], shape: Sequence[int], ijk_to_local: np.ndarray
) -> np.ndarray:
    """1, 2, 3, ... where the segments are, in their order; 0 elsewhere. KJI."""
    if not identifiers:
        return np.zeros(tuple(shape), np.uint8)
    geometry = slicer.vtkOrientedImageData()
    geometry.SetDimensions(*(int(n) for n in shape[::-1]))
    geometry.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    geometry.SetImageToWorldMatrix(as_vtk(ijk_to_local))
    chosen, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for number, identifier in enumerate(identifiers, 1):
        chosen.InsertNextValue(identifier)
        values.InsertNextValue(number)
    merged = slicer.vtkOrientedImageData()
    mode = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not node.GetSegmentation().CreateRepresentation(BINARY):
        raise InvalidInputError("The segmentation cannot be turned into a binary label map. Check its segments.")
    made = node.GenerateMergedLabelmapForAllSegments(merged, mode, geometry, chosen, values)
    if not made or merged.GetDimensions()[::-1] != tuple(shape):
        raise InvalidInputError("The segments could not be put on the grid of the image. Check the segmentation.")
    return array_of(merged)


def _labels(segments: list[Any]) -> list[int]:
    for read in (_tagged_label, lambda segment: segment.GetLabelValue()):
        labels = [read(segment) for segment in segments]
        if len(set(labels)) == len(labels) and min(labels, default=1) > 0:
            return labels
    return list(range(1, len(segments) + 1))


def _tagged_label(segment: Any) -> int:
    text = _tag(segment, LABEL_TAG)
    return int(text) if text.isdigit() else 0


def _read_segment(segment: Any, label: int) -> Segment:
    category, kind, laterality = _codes(_tag(segment, TERMINOLOGY_TAG))
    color = segment.GetColor()
    return Segment(
        label,
        segment.GetName() or f"Segment {label}",
        (color[0], color[1], color[2]),
        kind or TISSUE,
        category or TISSUE,
        laterality,
    )


def _tag(segment: Any, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _codes(entry: str) -> tuple[Code | None, Code | None, Code | None]:
    """Category, type and modifier of a terminology entry as Slicer writes it in one line."""
    parts = entry.split("~")
    fields = [part.split("^") for part in parts[1:4]] if len(parts) >= 4 else []
    codes = [Code(f[1], f[0], f[2]) if len(f) == 3 and f[1] else None for f in fields]
    category, kind, laterality = codes or (None, None, None)
    return category, kind, laterality
