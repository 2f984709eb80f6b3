"""Label maps and segmentations."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from bridge_scene import GRIDS, LINEAR, LONG_NAME, SCALING, bending_transform, image, labels, transform
from vtk.util import numpy_support

from manabi.errors import InvalidInputError
from manabi.result import LEFT, Code, Labelmap, Segment
from manabi.volume import Volume
from manabi_slicer import bridge

pytestmark = pytest.mark.usefixtures("scene")


def under_transform(node, kind):
    if kind != "none":
        parent = transform(SCALING) if kind == "nested" else None
        node.SetAndObserveTransformNodeID(transform(LINEAR, parent).GetID())


def renumbered(labelmap):
    """As Slicer numbers segments: by their order."""
    array = labelmap.volume.array
    return sum((array == segment.label) * number for number, segment in enumerate(labelmap.segments, 1))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["none", "linear", "nested"])
def test_segments_come_back_voxel_for_voxel(grid, kind):
    node = bridge.volume_to_node(image(matrix=GRIDS[grid]), "x")
    under_transform(node, kind)
    volume = bridge.volume_from_node(node)
    labelmap = labels(volume)
    segmentation = bridge.labelmap_to_node(labelmap, "s", reference_node=node)
    back = bridge.labelmap_from_segmentation(segmentation, node)
    np.testing.assert_array_equal(back.volume.array, labelmap.volume.array)
    np.testing.assert_allclose(back.volume.ijk_to_ras, volume.ijk_to_ras, atol=1e-6)
    assert back.segments == labelmap.segments


@pytest.mark.parametrize("grid", ["oblique", "left-handed"])
def test_slicers_own_export_gives_the_same_voxels_numbered_from_1(grid):
    node = bridge.volume_to_node(image(matrix=GRIDS[grid]), "x")
    under_transform(node, "linear")
    labelmap = labels(bridge.volume_from_node(node))
    segmentation = bridge.labelmap_to_node(labelmap, "s", reference_node=node)
    exported = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportAllSegmentsToLabelmapNode(
        segmentation, exported, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    )
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(exported), renumbered(labelmap))


def test_segments_are_coded_named_coloured_and_said_to_be_automatic():
    node = bridge.volume_to_node(image(), "x")
    segmentation = bridge.labelmap_to_node(labels(image()), "s", reference_node=node, algorithm="Manabi Demo")
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == LONG_NAME
    assert segment.GetColor() == (0.2, 0.5, 0.75)
    tags = {name: tag(segment, name) for name in ("DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName")}
    assert tags == {"DICOM.SegmentAlgorithmType": "AUTOMATIC", "DICOM.SegmentAlgorithmName": "Manabi Demo"}
    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    logic.DeserializeTerminologyEntry(tag(segment, segment.GetTerminologyEntryTagName()), entry)
    assert entry.GetTypeObject().GetCodeValue() == "11000004"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Left"
    assert entry.GetCategoryObject().GetCodingSchemeDesignator() == "SCT"


def tag(segment, name):
    value = vtk.reference("")
    assert segment.GetTag(name, value)
    return str(value)


def test_the_segmented_image_is_the_reference_geometry():
    node = bridge.volume_to_node(image(), "x")
    segmentation = bridge.labelmap_to_node(labels(image()), "s", reference_node=node)
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    assert segmentation.GetNodeReferenceID(role) == node.GetID()
    assert segmentation.GetDisplayNode() is not None


@pytest.mark.parametrize("grid", GRIDS)
def test_surfaces_are_not_inside_out_and_lie_where_the_labels_are(grid):
    array = np.zeros((12, 12, 12), np.uint8)
    array[3:8, 3:8, 3:8] = 1
    volume = Volume(array, GRIDS[grid])
    labelmap = Labelmap(volume, (Segment(1, "cube", (1, 0, 0), Code("1", "99X", "x")),))
    segmentation = bridge.labelmap_to_node(labelmap, "s")
    assert segmentation.GetSegmentation().GetConversionParameter("Smoothing factor") == "0.5"
    assert segmentation.CreateClosedSurfaceRepresentation()
    surface = vtk.vtkPolyData()
    segmentation.GetClosedSurfaceRepresentation("Segment_1", surface)
    points = numpy_support.vtk_to_numpy(surface.GetPoints().GetData())
    normals = numpy_support.vtk_to_numpy(surface.GetPointData().GetNormals())
    outwards = points - points.mean(axis=0)
    assert (outwards * normals).sum(axis=1).mean() > 0
    np.testing.assert_allclose(points.mean(axis=0), volume.grid.ras_of(np.array([5, 5, 5])), atol=0.01)


def test_a_label_map_on_a_grid_of_its_own_lies_where_it_says():
    node = bridge.volume_to_node(image(), "x")
    under_transform(node, "linear")
    own = image((6, 7, 8), GRIDS["flipped"])
    labelmap = labels(own)
    segmentation = bridge.labelmap_to_node(labelmap, "s", reference_node=node)
    other = bridge.volume_to_node(own, "own grid")
    np.testing.assert_array_equal(
        bridge.labelmap_from_segmentation(segmentation, other).volume.array, labelmap.volume.array
    )


def test_a_segmentation_without_a_reference_keeps_its_grid():
    labelmap = labels(image())
    segmentation = bridge.labelmap_to_node(labelmap, "s")
    exported = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    slicer.vtkSlicerSegmentationsModuleLogic.ExportAllSegmentsToLabelmapNode(
        segmentation, exported, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    )
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(exported), renumbered(labelmap))


def test_only_the_chosen_segments_come_in_their_order():
    node = bridge.volume_to_node(image(), "x")
    segmentation = bridge.labelmap_to_node(labels(image()), "s", reference_node=node)
    back = bridge.labelmap_from_segmentation(segmentation, node, ["Segment_7"])
    assert [segment.name for segment in back.segments] == ["Caudate right"]
    np.testing.assert_array_equal(back.volume.array, labels(image()).volume.array * (labels(image()).volume.array == 7))
    with pytest.raises(InvalidInputError, match="no segment Segment_2"):
        bridge.labelmap_from_segmentation(segmentation, node, ["Segment_2"])


def test_segments_that_a_user_drew_are_numbered_and_keep_their_names():
    node = bridge.volume_to_node(image(), "x")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for number, name in enumerate(("Tumeur", "Œdème")):
        mask = bridge.volume_to_node(
            image().like((image().array > 100 + 80 * number).astype(np.uint8)), "m", labelmap=True
        )
        identifier = segmentation.GetSegmentation().AddEmptySegment("", name)
        drawn = logic.CreateOrientedImageDataFromVolumeNode(mask)
        drawn.UnRegister(None)
        logic.SetBinaryLabelmapToSegment(drawn, segmentation, identifier)
    back = bridge.labelmap_from_segmentation(segmentation, node)
    assert [(segment.label, segment.name) for segment in back.segments] == [(1, "Tumeur"), (2, "Œdème")]
    expected = (image().array > 100).astype(int) + (image().array > 180)
    np.testing.assert_array_equal(back.volume.array, expected)


def test_labels_above_255_and_wide_types_are_kept():
    array = np.zeros((2, 3, 4), np.int64)
    array[0, 0, 0], array[1, 2, 3] = 300, 70000
    segments = tuple(Segment(n, str(n), (1, 0, 0), Code("1", "99X", "x")) for n in (300, 70000))
    labelmap = Labelmap(image((2, 3, 4)).like(array), segments)
    node = bridge.volume_to_node(image((2, 3, 4)), "x")
    back = bridge.labelmap_from_segmentation(bridge.labelmap_to_node(labelmap, "s", reference_node=node), node)
    np.testing.assert_array_equal(back.volume.array, array)


def test_negative_labels_are_refused_before_the_scene_changes(scene):
    array = np.full((2, 3, 4), -1, np.int16)
    labelmap = Labelmap(
        image((2, 3, 4)).like(array), (Segment(-1, "n", (1, 0, 0), Code("1", "99X", "x"), laterality=LEFT),)
    )
    count = scene.GetNumberOfNodes()
    with pytest.raises(InvalidInputError, match="Expected labels from 0; got -1"):
        bridge.labelmap_to_node(labelmap, "s")
    assert scene.GetNumberOfNodes() == count


def test_a_segmentation_under_a_transform_that_bends_space_is_refused():
    node = bridge.volume_to_node(image(), "x")
    segmentation = bridge.labelmap_to_node(labels(image()), "s", reference_node=node)
    segmentation.SetAndObserveTransformNodeID(bending_transform().GetID())
    with pytest.raises(InvalidInputError, match="bends space"):
        bridge.labelmap_from_segmentation(segmentation, node)


def test_other_nodes_are_refused():
    node = bridge.volume_to_node(image(), "x")
    with pytest.raises(InvalidInputError, match="Expected a segmentation; got"):
        bridge.labelmap_from_segmentation(node, node)
    with pytest.raises(InvalidInputError, match="Choose another output"):
        bridge.labelmap_to_node(labels(image()), "s", node=node)


def test_a_segmentation_is_an_input_on_the_grid_of_the_image():
    from types import SimpleNamespace

    from manabi.method import InputSpec

    specs = (InputSpec("ct", "a CT", ("CT",)), InputSpec("organs", "organs", ("SEG",)))
    node = bridge.volume_to_node(image(modality="CT"), "x")
    segmentation = bridge.labelmap_to_node(labels(image()), "s", reference_node=node)
    given = {"ct": node, "organs": segmentation}
    volume = bridge.inputs_from_nodes(SimpleNamespace(title="Demo", inputs=specs), given)["organs"]
    assert (volume.name, volume.modality) == ("organs", "SEG")
    np.testing.assert_array_equal(volume.array, labels(image()).volume.array)
