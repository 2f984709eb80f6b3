"""Results in the scene: where they lie, what they are called, how they are found and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from bridge_scene import (
    GRIDS,
    LINEAR,
    SCALING,
    bending_transform,
    image,
    labels,
    result_of,
    save_and_reload,
    transform,
    world_matrix,
)

from manabi.errors import InvalidInputError
from manabi.result import Landmark, Plot, Result, Table
from manabi_slicer import bridge

pytestmark = pytest.mark.usefixtures("scene")
ROOT = Path(__file__).resolve().parents[3]
KEYS = ["volumes/denoised", "labelmaps/regions", "landmarks/apex", "landmarks/base", "tables/ratios", "plots/curve",
        "plots/bars", "measurements", "report"]  # fmt: skip


def loaded(matrix=GRIDS["oblique"], name="Scan 1", kind="none"):
    node = bridge.volume_to_node(image(matrix=matrix, modality="NM", units="CNTS"), name)
    if kind != "none":
        parent = transform(SCALING) if kind == "nested" else None
        node.SetAndObserveTransformNodeID(transform(LINEAR, parent).GetID())
    return node


def run(node, factor=2.0, chosen=None, **changes):
    result = result_of(bridge.volume_from_node(node), factor, **changes)
    return result, bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node, chosen=chosen or {})


def assert_same(found, expected):
    """The same content in the same place; Slicer may have turned a left-handed image over when it loaded it."""
    assert list(found.volumes) == list(expected.volumes)
    for name, volume in expected.volumes.items():
        back = found.volumes[name].reoriented_like(volume.grid)
        np.testing.assert_array_equal(back.array, volume.array)
        assert (back.array.dtype, back.modality, back.units) == (volume.array.dtype, volume.modality, volume.units)
        assert (back.name, back.warnings) == (volume.name, volume.warnings)
        np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-6)
    for name, labelmap in expected.labelmaps.items():
        back = found.labelmaps[name].volume.reoriented_like(labelmap.volume.grid)
        np.testing.assert_array_equal(back.array, labelmap.volume.array)
        assert back.name == labelmap.volume.name
        np.testing.assert_allclose(back.ijk_to_ras, labelmap.volume.ijk_to_ras, atol=1e-6)
        for one, other in zip(found.labelmaps[name].segments, labelmap.segments, strict=True):
            assert (one.label, one.name, one.type, one.category, one.laterality) == (
                other.label, other.name, other.type, other.category, other.laterality,
            )  # fmt: skip
            np.testing.assert_allclose(one.color, other.color, atol=1e-6)
    for part in ("landmarks", "tables", "plots", "measurements", "warnings", "provenance"):
        assert getattr(found, part) == getattr(expected, part), part


# --- what is there --------------------------------------------------------------------------------


def test_every_output_has_its_key_class_name_and_link_to_the_input():
    node = loaded()
    _, outputs = run(node)
    assert list(outputs) == KEYS
    kinds = {key: output.GetClassName() for key, output in outputs.items()}
    assert kinds == {
        "volumes/denoised": "vtkMRMLScalarVolumeNode", "labelmaps/regions": "vtkMRMLSegmentationNode",
        "landmarks/apex": "vtkMRMLMarkupsFiducialNode", "landmarks/base": "vtkMRMLMarkupsFiducialNode",
        "tables/ratios": "vtkMRMLTableNode", "plots/curve": "vtkMRMLPlotChartNode",
        "plots/bars": "vtkMRMLPlotChartNode", "measurements": "vtkMRMLTableNode", "report": "vtkMRMLTextNode",
    }  # fmt: skip
    for output in outputs.values():
        assert output.GetName().startswith("Scan 1 ")
        assert output.GetNodeReference("Manabi.input") is node
        assert output.GetAttribute("Manabi.method") == "demo"
        assert output.GetAttribute("Manabi.bundle") == "b@1.2+abcdef012345"
    assert outputs["volumes/denoised"].GetName() == "Scan 1 denoised"
    assert outputs["volumes/denoised"].GetAttribute("Manabi.key") == "volumes/denoised"


def test_names_of_outputs_differ_where_keys_do_not():
    node = loaded()
    volume = bridge.volume_from_node(node)
    table = Table(("a",), ((1.0,),))
    result = Result(volumes={"x_y": volume}, labelmaps={"x_y": labels(volume)}, tables={"x_y": table})
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert [outputs[f"{part}/x_y"].GetName() for part in ("volumes", "labelmaps", "tables")] == [
        "Scan 1 x y", "Scan 1 x y segmentation", "Scan 1 x y table",
    ]  # fmt: skip


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["none", "linear", "nested"])
def test_outputs_lie_exactly_where_the_input_lies(grid, kind):
    node = loaded(GRIDS[grid], kind=kind)
    result, outputs = run(node)
    denoised, segmentation = outputs["volumes/denoised"], outputs["labelmaps/regions"]
    for output in (denoised, segmentation, outputs["landmarks/apex"]):
        assert output.GetTransformNodeID() == node.GetTransformNodeID()
    np.testing.assert_allclose(world_matrix(denoised), world_matrix(node), atol=1e-6, rtol=0)
    own, other = (slicer.util.arrayFromVTKMatrix(matrix_of(one)) for one in (node, denoised))
    np.testing.assert_array_equal(own, other)
    for name, mark in result.landmarks.items():
        markups = outputs[f"landmarks/{name}"]
        index = bridge.landmark_index(markups, name)
        np.testing.assert_allclose(markups.GetNthControlPointPositionWorld(index), mark.position_ras, atol=1e-6)
        np.testing.assert_allclose(bridge.landmark_position(markups, name), mark.position_ras, atol=1e-6)


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_an_output_on_another_grid_lies_where_it_says_under_a_transform():
    node = loaded(kind="nested")
    cropped = bridge.volume_from_node(node).crop((1, 1, 2), (3, 4, 6))
    outputs = bridge.result_to_nodes(Result(volumes={"part": cropped}), method="demo", title="Demo", input_node=node)
    np.testing.assert_allclose(world_matrix(outputs["volumes/part"]), cropped.ijk_to_ras, atol=1e-6, rtol=0)


def test_slicer_exports_the_segments_with_the_labels_of_the_result():
    node = loaded(kind="linear")
    result, outputs = run(node)
    exported = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segmentation = outputs["labelmaps/regions"]
    chosen = vtk.vtkStringArray()
    mode = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    table = segmentation.GetLabelmapConversionColorTableNode()
    assert logic.ExportSegmentsToLabelmapNode(segmentation, chosen, exported, node, mode, table)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(exported), result.labelmaps["regions"].volume.array)
    np.testing.assert_allclose(world_matrix(exported), world_matrix(node), atol=1e-6, rtol=0)


def test_a_table_has_typed_columns_and_blanks_for_what_is_missing():
    _, outputs = run(loaded())
    table = outputs["tables/ratios"].GetTable()
    classes = [table.GetColumn(index).GetClassName() for index in range(4)]
    assert classes == ["vtkStringArray", "vtkDoubleArray", "vtkStringArray", "vtkStringArray"]
    assert table.GetColumn(1).GetValue(0) == 1 / 3
    assert [table.GetColumn(2).GetValue(row) for row in range(3)] == ["1.33333", "", "3"]
    assert [table.GetColumnName(index) for index in range(4)] == ["region", "before", "after_ml", "note"]


def test_rows_of_a_table_are_cells_by_column_and_none_without_a_table():
    table = Table(("side", "ratio"), (("left", 1.23456789), ("right", None)))
    outputs = bridge.result_to_nodes(Result(tables={"ratios": table}), method="demo", title="Demo", input_node=loaded())
    assert bridge.table_rows(outputs["tables/ratios"]) == [
        {"side": "left", "ratio": 1.23456789}, {"side": "right", "ratio": None},
    ]  # fmt: skip
    assert bridge.table_rows(None) == []


def test_a_landmark_that_the_user_removed_is_nowhere():
    _, outputs = run(loaded())
    points = outputs["landmarks/apex"]
    points.RemoveNthControlPoint(bridge.landmark_index(points, "apex"))
    assert bridge.landmark_position(points, "apex") is None
    assert bridge.landmark_position(points, "unknown") is None


def test_measurements_are_rows_of_name_value_and_unit():
    table = run(loaded())[1]["measurements"].GetTable()
    rows = [tuple(table.GetColumn(c).GetValue(r) for c in range(3)) for r in range(table.GetNumberOfRows())]
    assert rows == [("volume_ml", "25", "ml"), ("grade", "normal", ""), ("count", "3", ""), ("unknown_mm", "", "mm")]


def test_measurements_that_are_all_numbers_are_numbers_in_slicer():
    table = run(loaded(), measurements={"a_mm": 1.5, "b_hu": 2})[1]["measurements"].GetTable()
    assert table.GetColumn(1).GetClassName() == "vtkDoubleArray"


def test_a_chart_has_titles_a_legend_and_series_with_their_points():
    chart = run(loaded())[1]["plots/curve"]
    assert (chart.GetTitle(), chart.GetXAxisTitle(), chart.GetYAxisTitle()) == ("Courbe", "dose_gy", "events")
    assert chart.GetLegendVisibility()
    series = [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [one.GetName() for one in series] == ["a", "b"]
    first = series[0]
    table = first.GetTableNode().GetTable()
    xs, ys = (table.GetColumnByName(name) for name in (first.GetXColumnName(), first.GetYColumnName()))
    assert [(xs.GetValue(row), ys.GetValue(row)) for row in range(table.GetNumberOfRows())] == [(0.1, 1), (1 / 3, 2)]


def test_bars_carry_their_categories_and_marks_are_no_bars():
    chart = run(loaded())[1]["plots/bars"]
    assert chart.GetXAxisTitle() == "0 putamen, 1 caudé"
    bars, marks = chart.GetNthPlotSeriesNode(0), chart.GetNthPlotSeriesNode(1)
    assert bars.GetPlotType() == bars.PlotTypeScatterBar
    assert marks.GetPlotType() == marks.PlotTypeScatter
    words = bars.GetTableNode().GetTable().GetColumnByName(bars.GetLabelColumnName())
    assert [words.GetValue(row) for row in range(2)] == ["putamen", "caudé"]


def bars(values, names=()):
    from manabi_slicer.bridge.plots import build_chart

    places = [float(n) for n in range(len(values))]
    return build_chart(
        Plot("t", "input", "y", {"c": (places, list(values))}, "bar", tuple(names or map(str, places))), []
    )


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([1.0, 2.0], 0.0, 3.4), ([3.0, -1.0], -1.24, 5.8), ([-2.0, -1.0, float("nan")], -2.12, 1.4)],
)
def test_no_bar_ends_on_the_frame_and_the_legend_covers_none(values, low, high):
    chart = bars(values)
    assert not chart.GetYAxisRangeAuto()
    assert chart.GetYAxisRange() == pytest.approx((low, high))


def test_bars_of_nothing_leave_the_range_to_slicer():
    assert bars([0.0, 0.0]).GetYAxisRangeAuto()


def test_long_names_of_bars_are_shortened_and_stand_in_several_lines():
    names = [f"wavelet-LHH_glszm_LargeAreaLowGrayLevelEmphasis{n}" for n in range(10)]
    lines = bars([1.0] * 10, names).GetXAxisTitle().split("\n")
    assert max(map(len, lines)) <= 89
    items = " ".join(lines).split(", ")
    assert [item.partition(" ")[0] for item in items] == [str(n) for n in range(10)]
    assert all(item.endswith(f"Emphasis{n}") and "wavelet-LHH_glszm_L…" in item for n, item in enumerate(items))


@pytest.mark.parametrize("kind", ["line", "scatter", "bar"])
def test_kinds_of_charts_look_different(kind):
    plot = Plot("t", "x", "y", {"s": ([1.0, 2.0], [3.0, 4.0])}, kind)
    series = run(loaded(), plots={"p": plot})[1]["plots/p"].GetNthPlotSeriesNode(0)
    look = (series.GetPlotType(), series.GetLineStyle(), series.GetMarkerStyle())
    scatter, bar = series.PlotTypeScatter, series.PlotTypeScatterBar
    assert look == {
        "line": (scatter, series.LineStyleSolid, series.MarkerStyleNone),
        "scatter": (scatter, series.LineStyleNone, series.MarkerStyleCircle),
        "bar": (bar, series.LineStyleSolid, series.MarkerStyleNone),
    }[kind]  # fmt: skip


def test_the_report_is_text_with_warnings_and_provenance():
    result, outputs = run(loaded())
    said = json.loads(outputs["report"].GetText())
    assert (said["warnings"], said["provenance"]) == (result.warnings, result.provenance)
    assert "größer" in outputs["report"].GetText()


# --- the subject hierarchy ------------------------------------------------------------------------


def tree():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def parent_name(node):
    return tree().GetItemName(tree().GetItemParent(tree().GetItemByDataNode(node)))


def test_images_stand_in_the_study_of_the_input_and_numbers_in_a_folder_there():
    node = loaded()
    patient = tree().CreateSubjectItem(tree().GetSceneItemID(), "P")
    study = tree().CreateStudyItem(patient, "Study")
    tree().CreateItem(study, node)
    _, outputs = run(node)
    assert {parent_name(outputs[key]) for key in KEYS[:4]} == {"Study"}
    assert {parent_name(outputs[key]) for key in KEYS[4:]} == {"Scan 1 Demo"}
    folder = tree().GetItemParent(tree().GetItemByDataNode(outputs["report"]))
    assert tree().GetItemParent(folder) == study


def test_a_few_outputs_need_no_folder():
    node = loaded()
    result = Result(volumes={"d": bridge.volume_from_node(node)}, measurements={"a": 1})
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert {tree().GetItemParent(tree().GetItemByDataNode(n)) for n in outputs.values()} == {tree().GetSceneItemID()}


def test_running_again_makes_no_second_folder_and_leaves_outputs_where_the_user_put_them():
    node = loaded()
    _, outputs = run(node)
    own = tree().CreateFolderItem(tree().GetSceneItemID(), "My folder")
    tree().CreateItem(own, outputs["volumes/denoised"])
    count = tree().GetNumberOfItems()
    _, outputs = run(node, 3.0)
    assert tree().GetNumberOfItems() == count
    assert parent_name(outputs["volumes/denoised"]) == "My folder"


# --- found and read back --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "nested"])
def test_a_result_is_read_back_as_it_was(kind):
    result, outputs = run(loaded(kind=kind))
    assert_same(bridge.result_from_nodes(outputs), result)


@pytest.mark.parametrize("kind", ["none", "nested"])
def test_a_result_is_read_back_from_a_saved_and_reloaded_scene(tmp_path, kind):
    result, _ = run(loaded(GRIDS["oblique left-handed"], kind=kind))
    save_and_reload(tmp_path)
    node = slicer.util.getNode("Scan 1")
    outputs = bridge.find_outputs(node, "demo")
    assert list(outputs) == KEYS
    back = bridge.result_from_nodes(outputs)
    assert_same(back, result)
    now = bridge.volume_from_node(node).grid
    assert now.same_as(back.volumes["denoised"].grid, 1e-6)
    assert now.same_as(back.labelmaps["regions"].volume.grid, 1e-6)


def test_running_again_after_reloading_updates_the_loaded_outputs(tmp_path):
    run(loaded())
    save_and_reload(tmp_path)
    node = slicer.util.getNode("Scan 1")
    before = {key: output.GetID() for key, output in bridge.find_outputs(node, "demo").items()}
    count = slicer.mrmlScene.GetNumberOfNodes()
    result, outputs = run(node, 3.0)
    assert {key: output.GetID() for key, output in outputs.items()} == before
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert_same(bridge.result_from_nodes(outputs), result)


def test_what_the_user_changed_is_what_is_read():
    _, outputs = run(loaded())
    outputs["tables/ratios"].GetTable().GetColumn(1).SetValue(0, 9.0)
    outputs["labelmaps/regions"].GetSegmentation().GetSegment("Segment_7").SetName("Renamed")
    markups = outputs["landmarks/base"]
    markups.SetNthControlPointPosition(bridge.landmark_index(markups, "base"), 1.0, 2.0, 3.0)
    outputs["measurements"].SetCellText(0, 1, "26")
    back = bridge.result_from_nodes(outputs)
    assert back.tables["ratios"].rows[0][1] == 9.0
    assert back.labelmaps["regions"].segments[1].name == "Renamed"
    assert back.landmarks["base"].position_ras == (1.0, 2.0, 3.0)
    assert back.measurements["volume_ml"] == "26"


def test_outputs_are_told_apart_by_input_and_method():
    one, other = loaded(name="A"), loaded(name="B")
    run(one)
    bridge.result_to_nodes(Result(measurements={"a": 1}), method="second", title="Second", input_node=one)
    assert bridge.find_outputs(other, "demo") == {}
    assert list(bridge.find_outputs(one, "second")) == ["measurements", "report"]
    assert list(bridge.find_outputs(one, "demo")) == KEYS


def test_a_copy_that_the_user_made_of_an_output_is_left_alone():
    node = loaded()
    _, outputs = run(node)
    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.Copy(outputs["volumes/denoised"])
    slicer.mrmlScene.AddNode(copy)
    again = run(node, 3.0)[1]
    assert again["volumes/denoised"] is outputs["volumes/denoised"]
    factor = slicer.util.arrayFromVolume(copy).max() / slicer.util.arrayFromVolume(node).max()
    assert factor == 2.0


def test_a_volume_of_booleans_and_one_of_wide_integers_come_back_in_their_types():
    node = loaded()
    volume = bridge.volume_from_node(node)
    result = Result(volumes={"mask": volume.like(volume.array > 9), "wide": volume.like(volume.array.astype(np.int64))})
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert_same(bridge.result_from_nodes(outputs), result)


def test_numpy_numbers_and_repeated_columns_are_held():
    table = Table(("a", "a", ""), ((np.float32(1.5), np.int64(2), 3), (np.float64(0.25), 4, None)))
    result, outputs = run(loaded(), tables={"t": table}, measurements={"m": np.float64(1 / 3)})
    back = bridge.result_from_nodes(outputs)
    assert back.tables["t"] == table
    assert back.measurements == result.measurements


def test_reading_nothing_is_refused():
    with pytest.raises(InvalidInputError, match="no result"):
        bridge.result_from_nodes({})


# --- what is refused ------------------------------------------------------------------------------


def test_an_input_that_left_the_scene_is_refused():
    node = loaded()
    result = result_of(bridge.volume_from_node(node))
    slicer.mrmlScene.RemoveNode(node)
    with pytest.raises(InvalidInputError, match="no longer in the scene"):
        bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)


def test_an_input_that_came_under_a_bending_transform_is_refused_and_nothing_is_added(scene):
    node = loaded()
    result = result_of(bridge.volume_from_node(node))
    node.SetAndObserveTransformNodeID(bending_transform().GetID())
    count = scene.GetNumberOfNodes()
    with pytest.raises(InvalidInputError, match="bends space"):
        bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert scene.GetNumberOfNodes() == count


def test_landmarks_alone_are_a_result():
    node = loaded(kind="linear")
    result = Result(landmarks={"a": Landmark("A", (1.0, 2.0, 3.0))})
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert bridge.result_from_nodes(outputs).landmarks == result.landmarks


def test_opening_a_module_imports_nothing_heavy_for_the_bridge():
    heavy = ["torch", "SimpleITK", "scipy", "pydicom", "skimage", "monai", "matplotlib"]
    code = f"import sys, slicer, manabi_slicer.bridge; sys.exit(' '.join(set({heavy}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
