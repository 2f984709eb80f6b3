"""Running again, choosing outputs, failing half way, and undo."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from bridge_scene import image, result_of, transform
from test_bridge_results import LINEAR, assert_same, loaded, run, tree

from manabi.errors import InvalidInputError
from manabi.result import Result
from manabi_slicer import bridge

pytestmark = pytest.mark.usefixtures("scene")


def ids(outputs):
    return {key: node.GetID() for key, node in outputs.items()}


def inventory():
    """Everything in the scene that a user could notice."""
    scene = slicer.mrmlScene
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {node.GetID(): (node.GetName(), node.GetClassName()) for node in nodes}


# --- running again --------------------------------------------------------------------------------


def test_running_again_updates_the_same_nodes():
    node = loaded()
    _, first = run(node)
    before = inventory()
    result, second = run(node, 3.0)
    assert ids(second) == ids(first)
    assert inventory() == before
    assert_same(bridge.result_from_nodes(second), result)


def test_display_and_segment_colours_and_opacities_of_the_user_are_kept():
    node = loaded()
    _, outputs = run(node)
    volume, segmentation = outputs["volumes/denoised"], outputs["labelmaps/regions"]
    volume.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(5, 50)
    segmentation.GetDisplayNode().SetSegmentOpacity2DFill("Segment_7", 0.125)
    segmentation.GetDisplayNode().SetSegmentVisibility("Segment_1", False)
    segmentation.GetSegmentation().GetSegment("Segment_1").SetColor(0.5, 0.5, 0.0)
    run(node, 3.0)
    display = volume.GetDisplayNode()
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeIron"
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (5, 50)
    assert segmentation.GetDisplayNode().GetSegmentOpacity2DFill("Segment_7") == 0.125
    assert not segmentation.GetDisplayNode().GetSegmentVisibility("Segment_1")
    assert segmentation.GetSegmentation().GetSegment("Segment_1").GetColor() == (0.5, 0.5, 0.0)


def test_looks_of_charts_and_notes_on_tables_are_kept():
    node = loaded()
    _, outputs = run(node)
    chart = outputs["plots/curve"]
    series = chart.GetNthPlotSeriesNode(0)
    chart.SetLegendVisibility(False)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0.0, 7.0)
    series.SetColor(1.0, 0.0, 0.0)
    outputs["tables/ratios"].SetLocked(False)
    outputs["tables/ratios"].SetDescription("checked by me")
    run(node, 3.0)
    assert not chart.GetLegendVisibility()
    assert (chart.GetXAxisRangeAuto(), chart.GetXAxisRange()) == (False, (0.0, 7.0))
    assert chart.GetNthPlotSeriesNode(0) is series
    assert series.GetColor() == (1.0, 0.0, 0.0)
    assert not outputs["tables/ratios"].GetLocked()
    assert outputs["tables/ratios"].GetDescription() == "checked by me"


def test_outputs_that_the_new_result_lacks_are_removed_with_all_that_belongs_to_them():
    node = loaded()
    run(node)
    alone = {node.GetID(), *ids(run(node, 3.0, tables={}, plots={}, landmarks={})[1]).values()}
    kept = {n.GetID() for n in slicer.util.getNodesByClass("vtkMRMLTableNode")}
    assert kept <= alone
    for kind in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLMarkupsFiducialNode"):
        assert slicer.mrmlScene.GetNumberOfNodesByClass(kind) == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialDisplayNode") == 0


def test_outputs_follow_a_new_name_and_a_new_transform_of_the_input():
    node = loaded()
    _, outputs = run(node)
    outputs["tables/ratios"].SetName("My table")
    node.SetName("Renamed")
    node.SetAndObserveTransformNodeID(transform(LINEAR).GetID())
    run(node)
    assert outputs["volumes/denoised"].GetName() == "Renamed denoised"
    assert outputs["tables/ratios"].GetName() == "My table"
    assert outputs["volumes/denoised"].GetTransformNodeID() == node.GetTransformNodeID()


def test_notes_of_others_on_an_output_are_kept():
    node = loaded()
    _, outputs = run(node)
    outputs["volumes/denoised"].SetAttribute("Someone.else", "x")
    run(node)
    assert outputs["volumes/denoised"].GetAttribute("Someone.else") == "x"


# --- chosen nodes ---------------------------------------------------------------------------------


def test_a_chosen_node_gets_the_output_and_keeps_its_name():
    node = loaded()
    mine = bridge.volume_to_node(image((2, 2, 2)), "Mine")
    mine.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    result, outputs = run(node, chosen={"volumes/denoised": mine})
    assert outputs["volumes/denoised"] is mine
    assert mine.GetName() == "Mine"
    assert mine.GetAttribute("DICOM.instanceUIDs") is None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(mine), result.volumes["denoised"].array)
    again = run(node, 3.0)[1]
    assert again["volumes/denoised"] is mine


def test_a_node_that_the_user_chose_is_let_go_rather_than_removed():
    node = loaded()
    mine = bridge.volume_to_node(image((2, 2, 2)), "Mine")
    run(node, chosen={"volumes/denoised": mine})
    run(node, 3.0)
    run(node, volumes={})
    assert mine.GetScene() is slicer.mrmlScene
    assert "volumes/denoised" not in bridge.find_outputs(node, "demo")


def test_choosing_another_node_lets_the_earlier_output_be():
    node = loaded()
    _, outputs = run(node)
    earlier = outputs["volumes/denoised"]
    mine = bridge.volume_to_node(image((2, 2, 2)), "Mine")
    again = run(node, 3.0, chosen={"volumes/denoised": mine})[1]
    assert again["volumes/denoised"] is mine
    assert slicer.util.arrayFromVolume(earlier).max() == slicer.util.arrayFromVolume(node).max() * 2
    assert bridge.undo()
    assert bridge.find_outputs(node, "demo")["volumes/denoised"] is earlier


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [("volumes/denoised", "vtkMRMLTableNode", "expected a vtkMRMLScalarVolumeNode"),
     ("volumes/denoised", "vtkMRMLLabelMapVolumeNode", "expected a vtkMRMLScalarVolumeNode"),
     ("labelmaps/regions", "vtkMRMLScalarVolumeNode", "expected a vtkMRMLSegmentationNode"),
     ("landmarks/apex", "vtkMRMLScalarVolumeNode", "expected a vtkMRMLMarkupsFiducialNode")],
)  # fmt: skip
def test_a_chosen_node_of_the_wrong_kind_is_refused_and_nothing_changes(key, kind, said):
    node = loaded()
    wrong = slicer.mrmlScene.AddNewNodeByClass(kind)
    before = inventory()
    with pytest.raises(InvalidInputError, match=said):
        run(node, chosen={key: wrong})
    assert inventory() == before


def test_the_input_is_never_overwritten():
    node = loaded()
    before = slicer.util.arrayFromVolume(node).copy()
    with pytest.raises(InvalidInputError, match="an input cannot be overwritten"):
        run(node, chosen={"volumes/denoised": node})
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), before)


def test_one_node_for_two_outputs_is_refused():
    node = loaded()
    mine = bridge.volume_to_node(image(), "Mine")
    volume = bridge.volume_from_node(node)
    with pytest.raises(InvalidInputError, match="several outputs"):
        run(node, volumes={"a": volume, "b": volume}, chosen={"volumes/a": mine, "volumes/b": mine})


def test_a_chosen_node_that_left_the_scene_is_refused():
    mine = bridge.volume_to_node(image(), "Mine")
    slicer.mrmlScene.RemoveNode(mine)
    with pytest.raises(InvalidInputError, match="chosen node is no longer"):
        run(loaded(), chosen={"volumes/denoised": mine})


def test_a_choice_for_an_output_that_the_result_lacks_is_passed_over():
    mine = bridge.volume_to_node(image(), "Mine")
    run(loaded(), chosen={"volumes/other": mine, "volumes/denoised": None})
    assert mine.GetName() == "Mine"


# --- all or nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(0, 24, 3))
def test_a_failure_half_way_leaves_the_scene_as_it_was(step, monkeypatch):
    from manabi_slicer.bridge import results, transaction

    node = loaded()
    first, outputs = run(node)
    outputs["volumes/denoised"].GetDisplayNode().SetAutoWindowLevel(False)
    outputs["volumes/denoised"].GetDisplayNode().SetWindowLevelMinMax(5, 50)
    before = inventory()
    calls = iter(range(1000))

    def failing(original):
        def call(*args, **kwargs):
            if next(calls) == step:
                raise RuntimeError("injected")
            return original(*args, **kwargs)

        return call

    for name in ("add", "update", "remove"):
        monkeypatch.setattr(transaction.Transaction, name, failing(getattr(transaction.Transaction, name)))
    monkeypatch.setattr(results, "_connect", failing(results._connect))
    changed = {"plots": {}, "volumes": {"denoised": first.volumes["denoised"].like(first.volumes["denoised"].array + 1),
                                        "new": first.volumes["denoised"]}}  # fmt: skip
    with pytest.raises(RuntimeError, match="injected"):
        run(node, 3.0, **changed)
    assert inventory() == before
    assert not slicer.mrmlScene.IsBatchProcessing()
    assert outputs["volumes/denoised"].GetDisplayNode().GetWindowLevelMax() == 50
    assert_same(bridge.result_from_nodes(bridge.find_outputs(node, "demo")), first)


def test_a_first_run_that_fails_leaves_no_half_result(monkeypatch):
    from manabi_slicer.bridge import results

    node = loaded()
    before, items = inventory(), tree().GetNumberOfItems()
    original = results._connect

    def failing(target, draft, *rest):
        original(target, draft, *rest)
        if draft.key == "measurements":
            raise RuntimeError("injected")

    monkeypatch.setattr(results, "_connect", failing)
    with pytest.raises(RuntimeError, match="injected"):
        run(node)
    assert inventory() == before
    assert tree().GetNumberOfItems() == items
    assert not bridge.can_undo()


# --- undo -----------------------------------------------------------------------------------------


def test_undo_of_a_first_run_removes_all_of_it():
    node = loaded()
    before, items = inventory(), tree().GetNumberOfItems()
    run(node)
    assert bridge.can_undo()
    assert bridge.undo()
    assert inventory() == before
    assert tree().GetNumberOfItems() == items
    assert not bridge.can_undo()
    assert not bridge.undo()


def test_undo_brings_back_voxels_segments_cells_display_and_names():
    node = loaded()
    first, outputs = run(node)
    display = outputs["volumes/denoised"].GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(5, 50)
    segments = outputs["labelmaps/regions"].GetDisplayNode()
    segments.SetSegmentOpacity2DFill("Segment_7", 0.125)
    before = inventory()
    node.SetName("Renamed")
    labelmap = first.labelmaps["regions"]
    fewer = labelmap.__class__(labelmap.volume.like(labelmap.volume.array * 0), labelmap.segments[:1])
    run(node, 3.0, labelmaps={"regions": fewer}, tables={})
    display.SetWindowLevelMinMax(0, 1)
    node.SetName("Scan 1")
    assert bridge.undo()
    assert inventory() == before
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (5, 50)
    assert segments.GetSegmentOpacity2DFill("Segment_7") == 0.125
    outputs = bridge.find_outputs(node, "demo")
    assert_same(bridge.result_from_nodes(outputs), first)
    assert outputs["volumes/denoised"].GetDisplayNode() is display


def test_undo_brings_back_removed_charts_in_their_place_with_their_series():
    node = loaded()
    first, outputs = run(node)
    parent = tree().GetItemParent(tree().GetItemByDataNode(outputs["plots/curve"]))
    view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    view.SetPlotChartNodeID(outputs["plots/curve"].GetID())
    run(node, plots={})
    assert view.GetPlotChartNode() is None
    assert bridge.undo()
    back = bridge.find_outputs(node, "demo")
    assert back["plots/curve"] is outputs["plots/curve"]
    assert tree().GetItemParent(tree().GetItemByDataNode(back["plots/curve"])) == parent
    assert view.GetPlotChartNode() is back["plots/curve"]
    assert_same(bridge.result_from_nodes(back), first)


def test_undo_keeps_the_old_voxels_without_copying_them():
    node = loaded()
    volume = run(node)[1]["volumes/denoised"]
    old = volume.GetImageData()
    run(node, 3.0)
    assert volume.GetImageData() is not old
    bridge.undo()
    assert volume.GetImageData() is old


def test_undo_after_the_user_removed_an_output_leaves_it_removed():
    node = loaded()
    run(node)
    _, outputs = run(node, 3.0)
    slicer.mrmlScene.RemoveNode(outputs["volumes/denoised"])
    assert bridge.undo()
    assert "volumes/denoised" not in bridge.find_outputs(node, "demo")


def test_a_run_after_undo_works_on_the_same_nodes():
    node = loaded()
    _, outputs = run(node)
    run(node, 3.0)
    bridge.undo()
    result, again = run(node, 4.0)
    assert ids(again) == ids(outputs)
    assert_same(bridge.result_from_nodes(again), result)


def test_undo_gives_a_chosen_node_back_what_it_held():
    node = loaded()
    mine = bridge.volume_to_node(image((2, 2, 2), units="HU", modality="CT"), "Mine")
    mine.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    run(node, chosen={"volumes/denoised": mine})
    bridge.undo()
    back = bridge.volume_from_node(mine)
    assert (back.shape, back.units, back.modality) == ((2, 2, 2), "HU", "CT")
    assert mine.GetVoxelValueUnits().GetCodeMeaning() == "Hounsfield unit"
    assert mine.GetAttribute("DICOM.instanceUIDs") == "1.2.3"
    assert mine.GetTransformNodeID() is None
    assert bridge.find_outputs(node, "demo") == {}


def test_undo_is_forgotten_when_the_scene_closes(scene):
    run(loaded())
    assert bridge.can_undo()
    scene.Clear(False)
    assert not bridge.can_undo()
    assert not bridge.undo()


def test_a_refused_result_leaves_the_undo_of_the_one_before():
    node = loaded()
    run(node)
    with pytest.raises(InvalidInputError):
        run(node, chosen={"volumes/denoised": node})
    assert bridge.can_undo()


def test_listeners_hear_of_the_result_only_when_it_is_whole(scene):
    heard = []
    tag = scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: heard.append(len(bridge.find_outputs(node, "demo"))))
    node = loaded()
    _, outputs = run(node)
    scene.RemoveObserver(tag)
    assert heard == [len(outputs)]


def test_an_empty_result_still_says_what_ran():
    node = loaded()
    result = Result(warnings=["nothing found"], provenance={"method": "demo"})
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    assert list(outputs) == ["report"]
    assert bridge.result_from_nodes(outputs).warnings == ["nothing found"]


def test_a_result_made_from_the_input_does_not_share_its_memory():
    node = loaded()
    volume = bridge.volume_from_node(node)
    result = result_of(volume, 1.0)
    outputs = bridge.result_to_nodes(result, method="demo", title="Demo", input_node=node)
    slicer.util.arrayFromVolume(outputs["volumes/denoised"])[:] = -1
    assert volume.array.min() >= 0
    assert result.volumes["denoised"].array.min() >= 0
    assert slicer.util.arrayFromVolume(node).min() >= 0


# --- as Slicer's own subject hierarchy behaves -----------------------------------------------------


@pytest.fixture
def emptying(monkeypatch):
    """Taking a segmentation's item out deletes its segments, as Slicer's plugin for segmentations does."""
    from manabi_slicer.bridge import hierarchy

    take_out = hierarchy.take_out

    def plugin(node):
        if node.IsA("vtkMRMLSegmentationNode"):
            for segment in list(node.GetSegmentation().GetSegmentIDs()):
                node.GetSegmentation().RemoveSegment(segment)
        take_out(node)

    monkeypatch.setattr(hierarchy, "take_out", plugin)


def test_a_segmentation_that_the_next_result_lacks_comes_back_whole_with_undo(emptying):
    node = loaded()
    result, first = run(node)
    segmentation = first["labelmaps/regions"]
    names = [segmentation.GetSegmentation().GetSegment(i).GetName() for i in ids_of(segmentation)]
    segmentation.GetDisplayNode().SetSegmentOpacity2DFill(ids_of(segmentation)[0], 0.125)
    bridge.result_to_nodes(Result(volumes=result.volumes), method="demo", title="Demo", input_node=node)
    assert segmentation.GetScene() is None
    assert bridge.undo()
    assert segmentation.GetScene() is slicer.mrmlScene
    assert [segmentation.GetSegmentation().GetSegment(i).GetName() for i in ids_of(segmentation)] == names
    assert segmentation.GetDisplayNode().GetSegmentOpacity2DFill(ids_of(segmentation)[0]) == 0.125
    assert_same(bridge.result_from_nodes(bridge.find_outputs(node, "demo")), result)


def ids_of(segmentation):
    return list(segmentation.GetSegmentation().GetSegmentIDs())


def test_the_data_tree_is_told_of_new_segments(emptying):
    node = loaded()
    _, first = run(node)
    told = []
    first["labelmaps/regions"].AddObserver(slicer.vtkSegmentation.SegmentAdded, lambda *_: told.append(1))
    run(node, 3.0)
    assert told


def test_no_input_is_ever_overwritten():
    node, second = loaded(), loaded()
    before = slicer.util.arrayFromVolume(second).copy()
    with pytest.raises(InvalidInputError, match="an input cannot be overwritten"):
        bridge.result_to_nodes(
            result_of(bridge.volume_from_node(node)), method="demo", title="Demo", input_node=node,
            chosen={"volumes/denoised": second}, inputs=[node, second, None],
        )  # fmt: skip
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(second), before)


def test_undo_belongs_to_an_input_and_a_method():
    node, other = loaded(), loaded()
    run(node)
    assert bridge.can_undo(node, "demo")
    assert bridge.can_undo()
    assert not bridge.can_undo(other, "demo")
    assert not bridge.can_undo(node, "another")
