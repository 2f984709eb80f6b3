"""Scalar volumes between nodes and the library: place, values, units."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from bridge_scene import GRIDS, LINEAR, SCALING, bending_transform, image, transform, world_matrix

from manabi.errors import GeometryError, InvalidInputError
from manabi.volume import SYNTHETIC
from manabi_slicer import bridge

pytestmark = pytest.mark.usefixtures("scene")
EXACT_MM = 1e-6


@pytest.mark.parametrize("name", GRIDS)
def test_a_volume_lies_in_slicer_where_it_lies_in_the_library(name):
    volume = image(matrix=GRIDS[name])
    node = bridge.volume_to_node(volume, "x")
    np.testing.assert_allclose(world_matrix(node), GRIDS[name], atol=EXACT_MM, rtol=0)
    back = bridge.volume_from_node(node)
    np.testing.assert_allclose(back.ijk_to_ras, GRIDS[name], atol=EXACT_MM, rtol=0)
    np.testing.assert_array_equal(back.array, volume.array)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("nested", [False, True], ids=["one transform", "nested transforms"])
def test_parent_transforms_are_composed(name, nested):
    node = bridge.volume_to_node(image(matrix=GRIDS[name]), "x")
    outer = transform(SCALING) if nested else None
    node.SetAndObserveTransformNodeID(transform(LINEAR, outer).GetID())
    found = bridge.volume_from_node(node).ijk_to_ras
    np.testing.assert_allclose(found, world_matrix(node), atol=EXACT_MM, rtol=0)
    expected = (SCALING if nested else np.eye(4)) @ LINEAR @ GRIDS[name]
    np.testing.assert_allclose(found, expected, atol=EXACT_MM, rtol=0)


def test_voxel_by_voxel_the_library_and_slicer_name_the_same_place_and_value():
    node = bridge.volume_to_node(image(matrix=GRIDS["oblique left-handed"]), "x")
    volume = bridge.volume_from_node(node)
    i, j, k = 4, 1, 3
    assert volume.array[k, j, i] == node.GetImageData().GetScalarComponentAsDouble(i, j, k, 0)


def test_a_transform_that_bends_space_is_refused_with_what_to_do():
    node = bridge.volume_to_node(image(), "x")
    node.SetAndObserveTransformNodeID(bending_transform().GetID())
    with pytest.raises(InvalidInputError, match="Harden or remove the transform in the Transforms module"):
        bridge.volume_from_node(node)


def test_a_linear_transform_within_one_that_bends_space_is_refused_too():
    node = bridge.volume_to_node(image(), "x")
    node.SetAndObserveTransformNodeID(transform(LINEAR, bending_transform()).GetID())
    with pytest.raises(InvalidInputError, match="bends space"):
        bridge.volume_from_node(node)


def test_a_sheared_volume_keeps_its_shear():
    matrix = GRIDS["translated"].copy()
    matrix[0, 2] = 0.4
    back = bridge.volume_from_node(bridge.volume_to_node(image(matrix=matrix), "x"))
    np.testing.assert_allclose(back.ijk_to_ras, matrix, atol=EXACT_MM, rtol=0)
    assert back.grid.is_sheared


def test_an_extent_that_does_not_start_at_zero_is_where_slicer_shows_it():
    node = bridge.volume_to_node(image(), "x")
    matrix = world_matrix(node)
    node.GetImageData().SetExtent(2, 7, 1, 5, 3, 6)
    found = bridge.volume_from_node(node)
    np.testing.assert_allclose(found.ijk_to_ras @ [0, 0, 0, 1], matrix @ [2, 1, 3, 1], atol=EXACT_MM)


def test_the_array_is_a_copy_both_ways():
    source = np.ones((2, 3, 4), np.float32)
    node = bridge.volume_to_node(image().__class__(source, np.eye(4)), "x")
    source[:] = 5
    volume = bridge.volume_from_node(node)
    slicer.util.arrayFromVolume(node)[:] = 7
    assert (volume.array == 1).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_types_that_slicer_has_are_kept(dtype):
    back = bridge.volume_from_node(bridge.volume_to_node(image(dtype=dtype), "x"))
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, image(dtype=dtype).array)


@pytest.mark.parametrize(
    ("values", "dtype", "stored"),
    [([0, 1], "bool", "uint8"), ([-3, 9], "int64", "int32"), ([0, 2**32 - 1], "int64", "uint32"),
     ([-(2**40), 2**40], "int64", "float64"), ([0, 2**31], "uint64", "uint32"), ([0.5, 2], "float16", "float32")],
)  # fmt: skip
def test_other_types_become_one_that_holds_every_value(values, dtype, stored):
    array = np.array(values, dtype).reshape(1, 1, 2)
    back = bridge.volume_from_node(bridge.volume_to_node(image().__class__(array, np.eye(4)), "x"))
    assert back.array.dtype == stored
    assert back.array.ravel().tolist() == values


def test_integers_that_slicer_cannot_hold_are_refused_and_nothing_is_added(scene):
    array = np.array([0, 2**60 + 1], np.int64).reshape(1, 1, 2)
    count = scene.GetNumberOfNodes()
    with pytest.raises(InvalidInputError, match="Scale them down"):
        bridge.volume_to_node(image().__class__(array, np.eye(4)), "x")
    assert scene.GetNumberOfNodes() == count


def test_updating_keeps_the_node_and_its_display():
    node = bridge.volume_to_node(image(units="CNTS"), "x")
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(3, 11)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    again = bridge.volume_to_node(image((2, 2, 2), GRIDS["flipped"], units="BQML"), "y", node=node)
    assert again is node
    assert (node.GetName(), node.GetDisplayNode().GetID()) == ("y", display.GetID())
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (3, 11)
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeIron"
    back = bridge.volume_from_node(node)
    assert (back.shape, back.units) == ((2, 2, 2), "BQML")


def test_a_label_map_node_is_made_and_only_a_label_map_is_updated_as_one():
    node = bridge.volume_to_node(image(dtype=np.uint8), "x", labelmap=True)
    assert node.IsA("vtkMRMLLabelMapVolumeNode")
    with pytest.raises(InvalidInputError, match="Choose another output"):
        bridge.volume_to_node(image(), "x", node=node)


# --- what it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("modality", "units"), [("NM", "CNTS"), ("CT", "HU"), ("PT", "BQML"), ("MR", None)])
def test_modality_and_units_come_back(modality, units):
    back = bridge.volume_from_node(bridge.volume_to_node(image(modality=modality, units=units), "x"))
    assert (back.modality, back.units) == (modality, units)


def test_the_caution_of_a_synthetic_image_comes_back_and_goes_with_it():
    node = bridge.volume_to_node(image(caution=SYNTHETIC), "x")
    assert bridge.volume_from_node(node).caution == SYNTHETIC
    bridge.volume_to_node(image(), "x", node=node)
    assert bridge.volume_from_node(node).caution == ""


def test_slicer_is_told_the_units():
    node = bridge.volume_to_node(image(modality="CT", units="HU"), "x")
    assert node.GetVoxelValueUnits().GetCodeMeaning() == "Hounsfield unit"
    bridge.volume_to_node(image(), "x", node=node)
    assert node.GetVoxelValueUnits() is None


def test_units_that_slicer_read_from_dicom_are_understood():
    node = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), np.int16))
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("[hnsf'U]", "UCUM", "Hounsfield unit")
    node.SetVoxelValueUnits(units)
    assert bridge.volume_from_node(node).units == "HU"


def test_the_modality_is_found_in_the_subject_hierarchy():
    node = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), np.int16))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.CreateItem(tree.GetSceneItemID(), node)
    tree.SetItemAttribute(item, "DICOM.Modality", "MR")
    assert bridge.volume_from_node(node).modality == "MR"
    assert bridge.volume_from_node(node, modality="CT").modality == "CT"


def test_no_patient_name_leaves_the_scene():
    node = bridge.volume_to_node(image(), "Yamada^Taro CT 2024")
    assert bridge.volume_from_node(node).name == "volume"
    assert "Yamada" not in repr(bridge.volume_from_node(node))


class FakeDatabase:
    isOpen = True  # noqa: N815

    def __init__(self, files, values):
        self.files, self.values = files, values

    def fileForInstance(self, uid):
        return self.files.get(uid, "")

    def fileValue(self, path, tag):
        return self.values.get(tag, "")


def test_a_series_of_the_dicom_database_is_the_source(tmp_path, monkeypatch):
    files = {}
    for number in range(4):
        files[f"1.2.{number}"] = str(tmp_path / f"{number}.dcm")
        (tmp_path / f"{number}.dcm").touch()
    values = {"0020,000E": "1.2.3", "0020,0011": "7", "0008,0060": "NM", "0008,0016": "1.2.840.10008.5.1.4.1.1.20"}
    monkeypatch.setattr(slicer, "dicomDatabase", FakeDatabase(files, values), raising=False)
    node = bridge.volume_to_node(image(), "x")
    node.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    volume = bridge.volume_from_node(node)
    source = volume.source
    assert (volume.modality, volume.units) == ("NM", "CNTS")
    assert (source.series_uid, source.series_number, source.n_slices) == ("1.2.3", 7, 4)
    assert [path.name for path in source.files] == ["0.dcm", "1.dcm", "2.dcm", "3.dcm"]
    (tmp_path / "2.dcm").unlink()
    assert bridge.volume_from_node(node).source is None


# --- what is refused ------------------------------------------------------------------------------


def test_colour_is_refused():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    picture = vtk.vtkImageData()
    picture.SetDimensions(2, 2, 2)
    picture.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(picture)
    with pytest.raises(InvalidInputError, match="one value per voxel; got 3"):
        bridge.volume_from_node(node)


@pytest.mark.parametrize("kind", ["vtkMRMLModelNode", "vtkMRMLTableNode"])
def test_other_nodes_are_refused(kind):
    with pytest.raises(InvalidInputError, match="Expected a scalar volume"):
        bridge.volume_from_node(slicer.mrmlScene.AddNewNodeByClass(kind))


def test_a_volume_without_voxels_is_refused():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(InvalidInputError, match="holds none"):
        bridge.volume_from_node(node)


def test_a_transform_that_flattens_space_is_refused():
    node = bridge.volume_to_node(image(), "x")
    node.SetAndObserveTransformNodeID(transform(np.diag([1.0, 1.0, 0.0, 1.0])).GetID())
    with pytest.raises(GeometryError, match="singular"):
        bridge.volume_from_node(node)


# --- inputs of a method ---------------------------------------------------------------------------


def method(*specs):
    return SimpleNamespace(title="Demo", inputs=specs)


def spec(name, optional=False, modalities=("NM",)):
    from manabi.method import InputSpec

    return InputSpec(name, f"the {name} image", modalities, optional)


def test_inputs_are_named_as_the_method_names_them():
    node = bridge.volume_to_node(image(modality="NM"), "Yamada^Taro")
    volumes = bridge.inputs_from_nodes(method(spec("spect"), spec("prior", True)), {"spect": node, "prior": None})
    assert {name: volume.name for name, volume in volumes.items()} == {"spect": "spect"}


def test_a_missing_input_is_named():
    with pytest.raises(InvalidInputError, match=r"Demo needs spect \(the spect image\)"):
        bridge.inputs_from_nodes(method(spec("spect"), spec("prior", True)), {"spect": None})


def test_an_unknown_input_is_named():
    with pytest.raises(InvalidInputError, match="knows no ct"):
        bridge.inputs_from_nodes(method(spec("spect")), {"spect": None, "ct": None})


def test_an_input_that_cannot_be_read_is_named():
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(InvalidInputError, match="spect: Expected an image with voxels"):
        bridge.inputs_from_nodes(method(spec("spect")), {"spect": empty})


def test_a_method_of_the_registry_takes_its_nodes():
    from manabi import registry

    node = bridge.volume_to_node(image(modality="NM", units="CNTS"), "x")
    volume = bridge.inputs_from_nodes(registry.method("spect"), {"spect": node})["spect"]
    assert (volume.name, volume.modality, volume.units) == ("spect", "NM", "CNTS")
