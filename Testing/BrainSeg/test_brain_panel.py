"""BrainSeg's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import numpy as np
import pytest
from brain_panel_user import SHAPE, BrainUser, Painter, add_mr, oblique


@pytest.fixture
def user(slicer_app, monkeypatch):
    return BrainUser(slicer_app, monkeypatch)


def names_of(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]


def cells(table):
    return [[table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)]


# --- structures -----------------------------------------------------------------------------------------------------


def test_choosing_the_image_and_apply_is_all_there_is_to_do(user):
    assert not user.run_ui.applyButton.enabled
    user.choose(add_mr())
    user.press("applyButton")
    assert list(user.outputs()) == ["volumes/confidence", "labelmaps/structures", "tables/volumes", "plots/volumes",
                                    "measurements", "report"]  # fmt: skip
    assert names_of(user.outputs()["labelmaps/structures"])[:2] == ["left cerebrum", "right cerebrum"]


def test_segments_are_coded_with_side_and_lie_on_the_oblique_image(user):
    user.choose(add_mr(matrix=oblique()))
    node = user.run_here()["labelmaps/structures"]
    import slicer

    segmentation = node.GetSegmentation()
    entry = slicer.vtkSlicerTerminologyEntry()
    text = (
        segmentation.GetSegment("Segment_4").GetTag("TerminologyEntry", ref := __import__("vtk").reference("")) and ref
    )
    assert entry is not None
    assert "113305005^Cerebellum" in str(text)
    assert "24028007^Right" in str(text)
    left, right = (np.array(node.GetSegmentCenterRAS(f"Segment_{n}")) for n in (1, 2))
    assert left[0] < right[0] - 10


def test_volumes_are_listed_in_ml_with_left_right_difference_and_unsure_ones_in_red(user):
    user.choose(add_mr())
    assert user.ui.volumesTable.isHidden()
    user.run_here()
    rows = cells(user.ui.volumesTable)
    assert [row[0] for row in rows] == [
        "Left cerebrum", "Right cerebrum", "Cerebrum, both", "Left cerebellum", "Right cerebellum",
        "Cerebellum, both", "Brainstem", "Ventricles", "Vessels"]  # fmt: skip
    array = __import__("slicer").util.arrayFromSegmentBinaryLabelmap(
        user.outputs()["labelmaps/structures"], "Segment_5", user.image
    )
    assert rows[6][1] == f"{array.sum() * 2.0 * 2.2 * 2.5 / 1000:.1f} mL"
    assert rows[2][3].endswith("%")
    assert rows[6][3] == ""
    assert rows[8][2] == "40 %"
    inks = {user.ui.volumesTable.item(r, 0).foreground().color().name() for r in (0, 8)}
    assert len(inks) == 2


def test_only_checked_structures_are_found_and_none_is_refused_with_a_reason(user):
    user.choose(add_mr())
    for name in ("cerebrum", "cerebellum", "vessels"):
        getattr(user.ui, f"{name}CheckBox").checked = False
    user.run_here()
    assert [row[0] for row in cells(user.ui.volumesTable)] == ["Brainstem", "Ventricles"]
    for name in ("brainstem", "ventricles"):
        getattr(user.ui, f"{name}CheckBox").checked = False
    assert not user.run_ui.applyButton.enabled
    assert "at least one structure" in user.run_ui.applyButton.toolTip


def test_alerts_are_set_apart_and_follow_the_least_confidence(user):
    user.choose(add_mr())
    user.run_here()
    assert "Check the vessels: the confidence is only 40%" in user.run_ui.alertLabel.text
    user.ui.confidenceSpinBox.value = 30
    user.run_here()
    assert user.run_ui.alertFrame.isHidden()


def test_the_same_image_twice_is_refused_before_apply(user):
    node = add_mr()
    user.choose(node)
    user.ui.secondSelector.setCurrentNode(node)
    assert "chosen twice" in user.run_ui.applyButton.toolTip


def test_options_reach_the_method(user):
    user.choose(add_mr())
    user.ui.secondSelector.setCurrentNode(second := add_mr("MRA"))
    user.ui.fineCheckBox.checked = False
    user.ui.deviceComboBox.currentIndex = 1
    request = user.widget.request(user.choices)
    assert request.nodes["second"] is second
    assert request.device == "cpu"
    assert request.parameters == {
        "task": "structures", "structures": "all", "min_confidence": 0.6, "fine": False}  # fmt: skip


def test_results_of_one_task_leave_those_of_the_others_alone_and_come_back_with_the_scene(user, tmp_path):
    import slicer

    user.choose(add_mr())
    user.run_here()
    user.run_here("contrast")
    user.run_here("layers")
    user.choices.layer = "encoder 2"
    user.run_here("features")
    user.run_here()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    user.app.process_events(0.1)
    assert "labelmaps/structures" in user.outputs()
    assert "volumes/synthetic_mra" in user.outputs("contrast")
    assert user.ui.layerComboBox.currentText.startswith("encoder 2")
    assert user.ui.featuresList.count == 8
    assert user.ui.volumesTable.rowCount == 9


# --- propagate ------------------------------------------------------------------------------------------------------


def test_propagate_waits_for_image_segmentation_and_segment_and_says_for_which(user):
    button = user.ui.propagateButton
    assert "Choose the image" in button.toolTip
    user.choose(add_mr())
    assert "Choose a segmentation" in button.toolTip
    painter = Painter(user.image)
    user.ui.segmentationSelector.setCurrentNode(painter.node)
    assert "Check the segment" in button.toolTip
    assert [user.ui.segmentsList.item(n).text() for n in range(3)] == ["Tumour", "Edema", "Skull"]
    user.pick(painter.node, "Edema")
    assert button.enabled
    assert user.choices.segments == ["edema"]
    assert not user.ui.copyButton.enabled
    assert "Press Apply first" in user.ui.copyButton.toolTip


def test_the_list_of_segments_follows_what_happens_to_them(user):
    user.choose(add_mr())
    painter = Painter(user.image)
    user.pick(painter.node, "Edema")
    segmentation = painter.node.GetSegmentation()
    segmentation.GetSegment("edema").SetName("Oedema")
    segmentation.AddEmptySegment("new", "New")
    assert [user.ui.segmentsList.item(n).text() for n in range(4)] == ["Tumour", "Oedema", "Skull", "New"]
    segmentation.RemoveSegment("edema")
    assert user.choices.segments == []
    assert not user.ui.propagateButton.enabled


def test_propagating_from_the_panel_in_the_background_shows_how_well_it_predicts(user):
    user.choose(add_mr())
    painter = Painter(user.image)
    painter.paint(0)
    user.pick(painter.node, "Tumour")
    user.press("propagateButton")
    assert user.ui.acceptButton.enabled
    assert user.ui.propagateLabel.text.startswith("Each of 4 painted slices, hidden in turn")
    before = int(painter.read("tumour").sum())
    user.ui.acceptButton.click()
    assert int(painter.read("tumour").sum()) > 2 * before
    assert "Accepted" in user.run_ui.statusLabel.text


def test_an_empty_segment_is_refused_with_a_reason_and_nothing_changes(user):
    user.choose(add_mr())
    painter = Painter(user.image)
    user.pick(painter.node, "Tumour")
    user.ui.propagateButton.click()
    assert "are empty" in user.said()
    assert user.widget.run is None
    assert not user.outputs("propagate")


def test_a_segmentation_removed_while_it_runs_is_told_and_nothing_is_left(slicer_app, monkeypatch):
    import slicer

    user = BrainUser(slicer_app, monkeypatch)
    user.choose(add_mr())
    painter = Painter(user.image)
    painter.paint(0)
    user.pick(painter.node, "Tumour")
    user.ui.propagateButton.click()
    slicer.mrmlScene.RemoveNode(painter.node)
    user.app.wait_until(lambda: user.widget.run is None, 60)
    assert "removed from the scene" in user.said()
    assert not user.outputs("propagate")


def test_while_something_runs_no_other_run_can_be_started_and_cancel_leaves_nothing(slicer_app, monkeypatch):
    user = BrainUser(slicer_app, monkeypatch, "slow-brain")
    user.choose(add_mr())
    painter = Painter(user.image)
    painter.paint(0)
    user.pick(painter.node, "Tumour")
    before = painter.read("tumour")
    user.ui.propagateButton.click()
    assert user.run_ui.applyButton.text == "Cancel"
    names = ("propagateButton", "contrastButton", "layersButton", "featuresButton")
    assert not any(getattr(user.ui, name).enabled for name in names)
    user.app.process_events(0.7)
    user.run_ui.applyButton.click()
    user.app.wait_until(lambda: user.widget.run is None, 10)
    np.testing.assert_array_equal(painter.read("tumour"), before)
    assert not user.outputs("propagate")
    assert user.ui.propagateButton.enabled


# --- missing contrast and feature maps ------------------------------------------------------------------------------


def test_the_synthetic_image_says_so_wherever_it_is(user):
    user.choose(add_mr())
    outputs = user.run_here("contrast")
    assert "synthetic" in outputs["volumes/synthetic_mra"].GetName()
    assert "computed, not acquired" in user.run_ui.alertLabel.text
    assert "not a measurement" in user.ui.contrastLabel.text
    assert user.ui.contrastShowButton.enabled
    assert user.ui.unknowableCheckBox.enabled


def test_layers_are_listed_one_is_chosen_and_its_maps_can_be_gone_through(user):
    user.choose(add_mr())
    assert "List layers" in user.ui.featuresButton.toolTip
    user.press("layersButton")
    assert user.ui.layerComboBox.count == 3
    assert user.ui.layerComboBox.itemText(1) == "encoder 2   32 maps, scale 0.5"
    user.ui.layerComboBox.currentIndex = 1
    user.ui.countSpinBox.value = 4
    user.ui.structureComboBox.currentIndex = 4
    assert user.ui.featuresButton.enabled
    user.widget.task = "features"
    wanted = user.widget.request(user.choices).parameters
    assert (wanted["layer"], wanted["structure"], wanted["count"]) == ("encoder 2", "vessels", 4)
    user.press("featuresButton")
    assert user.ui.featuresList.count == 4
    assert user.ui.featuresList.item(1).text() == "2.   channel 6   contributes 0.5"
    assert user.ui.layerComboBox.count == 3


def test_export_writes_the_structures_or_else_what_there_is(user, tmp_path):
    user.choose(add_mr())
    user.run_here("contrast")
    nodes = {"image": user.image}
    user.widget.logic.export(nodes, tmp_path / "contrast")
    assert (tmp_path / "contrast" / "synthetic_mra.nrrd").is_file()
    user.run_here()
    user.widget.logic.export(nodes, tmp_path / "structures")
    names = {path.name for path in (tmp_path / "structures").rglob("*")}
    assert {"structures.seg.nrrd", "confidence.nrrd", "volumes.csv"} <= names


def test_closing_the_scene_leaves_a_panel_that_works(user):
    import slicer

    user.choose(add_mr())
    painter = Painter(user.image)
    user.pick(painter.node, "Tumour")
    user.run_here()
    slicer.mrmlScene.Clear()
    user.app.process_events(0.1)
    assert user.ui.segmentsList.count == 0
    assert user.ui.volumesTable.rowCount == 0
    user.choose(add_mr())
    assert user.run_here()["labelmaps/structures"] is not None
    assert slicer.util.arrayFromVolume(user.outputs()["volumes/confidence"]).shape == SHAPE
