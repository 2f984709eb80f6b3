"""SPECTDenoise's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from panel_methods import ALERT, LAST_WORDS, REASON, REGISTERED
from panel_user import OBLIQUE, User, add_scan, nodes_in_scene, use_methods

CANCEL_WITHIN_S = 5.0


@pytest.fixture
def user_of(slicer_app, monkeypatch):
    """A function that gives a user whose Apply runs the named method."""
    use_methods(monkeypatch, REGISTERED)
    return lambda method="quick-spect": User(slicer_app, method)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- before a run -------------------------------------------------------------------------------------------------


def test_apply_says_why_it_waits_until_a_scan_is_chosen(user_of):
    user = user_of()
    assert not user.button.enabled
    assert "Choose the image" in user.button.toolTip
    user.choose(add_scan())
    assert user.button.enabled
    assert "SPECTDenoise" in user.button.toolTip


def test_opening_the_module_chooses_the_scan_that_is_there(slicer_app, user_of):
    scan = add_scan()
    user = user_of()
    assert user.ui.inputSelector.currentNode() is scan
    assert user.button.enabled


def test_the_scan_cannot_be_its_own_reference_or_output(user_of):
    user = user_of()
    scan = add_scan()
    user.choose(scan)
    for selector in (user.ui.referenceSelector, user.ui.outputSelector):
        selector.setCurrentNode(scan)
        assert not user.button.enabled
        assert "another volume" in user.button.toolTip
        selector.setCurrentNode(None)
    assert user.button.enabled


def test_the_panel_says_what_the_model_was_trained_on_and_shows_its_card(user_of):
    user = user_of()
    assert "trained on simulated data; for research use" in user.run_ui.noticeLabel.text
    assert user.run_ui.modelCardLabel.isHidden()
    user.run_ui.modelDetailsButton.click()
    assert not user.run_ui.modelCardLabel.isHidden()
    assert "spect-default" in user.run_ui.modelCardLabel.text


# --- a run --------------------------------------------------------------------------------------------------------


def test_apply_becomes_cancel_shows_progress_and_times_and_ends_with_a_result(user_of):
    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.press()
    assert user.button.text == "Cancel"
    assert not user.run_ui.undoButton.enabled
    assert not user.run_ui.exportButton.enabled
    assert not user.run_ui.progressBar.isHidden()
    user.wait()
    assert user.run_ui.progressBar.isHidden()
    assert re.fullmatch(r"Done in \d+:\d\d\.", user.status)
    outputs = user.outputs()
    assert {"volumes/denoised", "volumes/difference", "volumes/uncertainty", "labelmaps/regions", "tables/changes",
            "plots/binding_ratios", "measurements", "report"} <= set(outputs)  # fmt: skip
    assert outputs["volumes/denoised"].GetName() == "Scan denoised"
    assert user.boxes().keys() == {"warning"}
    assert "trained on simulated data" in user.boxes()["warning"]


def test_the_log_tells_the_steps_and_what_there_is_to_run_on(user_of):
    user = user_of()
    user.choose(add_scan())
    user.apply()
    user.app.wait_until(lambda: not user.widget.preflight.waiting, 20)
    text = user.widget.logPanel._ui.logText.toPlainText()
    for part in ("Started", "Step", "Done in", "Runs on", "memory", "disk", "PyTorch"):
        assert part in text


def test_the_second_run_updates_the_same_nodes_and_undo_restores_the_first(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    first = user.apply()
    ids = {key: node.GetID() for key, node in first.items()}
    before = nodes_in_scene()
    kept = slicer.util.arrayFromVolume(first["volumes/denoised"]).copy()
    slicer.util.updateVolumeFromArray(scan, slicer.util.arrayFromVolume(scan) * 2)
    second = user.apply()
    assert {key: node.GetID() for key, node in second.items()} == ids
    assert nodes_in_scene() == before
    assert not np.allclose(slicer.util.arrayFromVolume(second["volumes/denoised"]), kept)
    user.run_ui.undoButton.click()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(user.outputs()["volumes/denoised"]), kept)
    assert not user.run_ui.undoButton.enabled


def test_undo_of_the_first_run_takes_everything_out_again(user_of):
    user = user_of()
    user.choose(add_scan())
    before = nodes_in_scene()
    user.apply()
    assert nodes_in_scene() > before
    user.run_ui.undoButton.click()
    assert nodes_in_scene() == before
    assert user.outputs() == {}
    assert not user.run_ui.exportButton.enabled


def test_the_worker_stays_warm_for_the_second_run(user_of):
    user = user_of()
    user.choose(add_scan())
    user.apply()
    pid = user.widget.logic.session.pid
    user.apply()
    assert user.widget.logic.session.pid == pid


def test_a_volume_chosen_as_output_gets_the_result(user_of):
    import slicer

    user = user_of()
    user.choose(add_scan())
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    user.ui.outputSelector.setCurrentNode(mine)
    assert user.apply()["volumes/denoised"] is mine
    assert slicer.util.arrayFromVolume(mine).shape == (8, 24, 26)


def test_the_input_is_not_changed(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    array = slicer.util.arrayFromVolume(scan).copy()
    user.choose(scan)
    user.apply()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(scan), array)


def test_the_changes_stand_in_the_panel_and_those_beyond_the_limit_in_red(user_of):
    user = user_of()
    user.choose(add_scan())
    user.apply()
    table = user.ui.changesTable
    rows = [[table.item(r, c).text() for c in range(5)] for r in range(table.rowCount)]
    assert rows[0] == ["Caudate left", "2.00", "1.50", "+5.0 %", "+1.0"]
    assert rows[3][3] == "–"
    red = [table.item(r, 0).foreground().color().name() == "#b3261e" for r in range(4)]
    assert red == [False, False, True, True]
    assert "Left: grade 4, normal (probability 0.90); before denoising grade 3" in user.ui.gradesLabel.text


def test_an_alert_stands_in_its_own_box(user_of):
    user = user_of("alerting-spect")
    user.choose(add_scan())
    user.apply()
    boxes = user.boxes()
    assert ALERT in boxes["alert"]
    assert ALERT not in boxes["warning"]


def test_the_alert_belongs_to_the_result_that_is_shown_and_comes_back_with_the_scene(user_of, tmp_path):
    import slicer

    user = user_of("alerting-spect")
    one, other = add_scan("One"), add_scan("Other", 1)
    user.choose(one)
    user.apply()
    assert "alert" in user.boxes()
    user.choose(other)
    assert user.boxes() == {}
    user.choose(one)
    assert ALERT in user.boxes()["alert"]
    path = str(tmp_path / "scene.mrb")
    slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert user.boxes() == {}
    slicer.util.loadScene(path)
    user.app.process_events(0.1)
    assert ALERT in user.boxes()["alert"]
    user.use("quick-spect")
    user.widget.refreshOutputs()
    assert user.boxes() == {}


# --- a run that does not end well ---------------------------------------------------------------------------------


def test_cancel_half_way_changes_nothing_and_ends_the_whole_process_tree(user_of):
    user = user_of("waiting-spect")
    user.choose(add_scan())
    before = nodes_in_scene()
    user.press()
    user.app.wait_until(lambda: "beside process" in user.status, 30)
    child = int(re.search(r"process (\d+)", user.status).group(1))
    assert is_running(child)
    assert user.run_ui.progressBar.value > 200
    assert re.search(r"\(0:\d\d, about \d+:\d\d left\)", user.status)
    started = time.monotonic()
    user.press()
    assert not user.button.enabled
    user.wait()
    assert time.monotonic() - started < CANCEL_WITHIN_S
    assert user.status.startswith("Cancelled")
    assert user.boxes() == {}
    assert nodes_in_scene() == before
    user.app.wait_until(lambda: not is_running(child), 5)
    assert user.button.enabled


def test_a_refusal_says_why_and_changes_nothing(user_of):
    user = user_of("refusing-spect")
    user.choose(add_scan())
    before = nodes_in_scene()
    user.apply()
    assert REASON in user.boxes()["error"]
    assert nodes_in_scene() == before
    assert user.button.enabled


def test_a_bug_is_shown_as_such_and_slicer_lives_on(user_of):
    user = user_of("breaking-spect")
    user.choose(add_scan())
    user.apply()
    assert "KeyError" in user.boxes()["error"]


def test_a_worker_that_dies_reports_its_last_words_and_the_next_run_works(user_of):
    user = user_of("dying-spect")
    user.choose(add_scan())
    user.apply()
    assert LAST_WORDS in user.boxes()["error"]
    user.use("quick-spect")
    assert "volumes/denoised" in user.apply()
    assert "error" not in user.boxes()


def test_a_double_click_on_apply_runs_once(user_of):
    user = user_of()
    user.choose(add_scan())
    user.button.click()
    user.button.click()
    user.wait()
    assert user.status.startswith("Done")


def test_the_result_of_a_scan_that_was_moved_meanwhile_lies_where_the_scan_is_now(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.press()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.array([[0, -1, 0, 50], [1, 0, 0, -20], [0, 0, 1, 7], [0, 0, 0, 1.0]])
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    scan.SetAndObserveTransformNodeID(node.GetID())
    user.wait()
    outputs = user.outputs()
    there, here = [0.0] * 6, [0.0] * 6
    scan.GetRASBounds(there)
    outputs["volumes/denoised"].GetRASBounds(here)
    np.testing.assert_allclose(here, there, atol=1e-6)
    regions = outputs["labelmaps/regions"]
    first = regions.GetSegmentation().GetSegmentIDs()[0]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(regions, first, scan)
    assert np.argwhere(mask).mean(0).tolist() == [2.5, 2.5, 1.5]


def test_a_scan_that_was_changed_meanwhile_is_told(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.press()
    slicer.util.updateVolumeFromArray(scan, slicer.util.arrayFromVolume(scan) + 5)
    user.wait()
    assert "was changed while it was being processed" in user.boxes()["warning"]


def test_undo_is_offered_only_for_the_scan_whose_result_it_takes_back(user_of):
    user = user_of()
    one, other = add_scan("One"), add_scan("Other", 1)
    user.choose(one)
    user.apply()
    assert user.run_ui.undoButton.enabled
    user.choose(other)
    assert not user.run_ui.undoButton.enabled
    user.choose(one)
    assert user.run_ui.undoButton.enabled


def test_export_takes_what_the_scene_shows_with_the_user_s_changes(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    outputs = user.apply()
    slicer.util.updateVolumeFromArray(outputs["volumes/denoised"], np.full((8, 24, 26), 7, np.float32))
    slicer.mrmlScene.RemoveNode(outputs["volumes/uncertainty"])
    outputs["labelmaps/regions"].GetSegmentation().RemoveSegment(
        outputs["labelmaps/regions"].GetSegmentation().GetNthSegmentID(0)
    )
    result = user.widget.logic.resultOf(scan)
    assert set(result.volumes) == {"denoised", "difference"}
    assert np.unique(result.volumes["denoised"].array).tolist() == [7]
    assert len(result.labelmaps["regions"].segments) == 4


def test_the_worker_ends_when_nobody_used_it_for_long(user_of, monkeypatch):
    from manabi_slicer import session

    user = user_of()
    user.choose(add_scan())
    user.apply()
    assert user.widget.logic.session.pid is not None
    user.widget.onRestTimer()
    assert user.widget.logic.session.pid is not None
    monkeypatch.setattr(session, "IDLE_S", -1.0)
    user.widget.onRestTimer()
    assert user.widget.logic.session.pid is None
    assert "volumes/denoised" in user.apply()


def test_with_a_window_the_model_is_loaded_while_the_user_still_chooses(slicer_app, monkeypatch):
    use_methods(monkeypatch, REGISTERED)
    slicer_app.open_main_window()
    user = User(slicer_app, "quick-spect")
    assert user.widget.logic.session.pid is None
    user.choose(add_scan())
    pid = user.widget.logic.session.pid
    assert pid is not None
    user.ui.ageSpinBox.value = 3
    assert len(user.widget.logic.session._loads) == 1
    user.apply()
    assert user.widget.logic.session.pid == pid


def test_unloading_the_module_ends_its_run_while_another_panel_keeps_the_worker(user_of):
    user = user_of("waiting-spect")
    session = user.widget.logic.session
    session.enter()  # as the panel of another module
    user.choose(add_scan())
    user.press()
    user.app.wait_until(lambda: "beside process" in user.status, 30)
    child = int(re.search(r"process (\d+)", user.status).group(1))
    user.app.close_modules()
    user.app.wait_until(lambda: not is_running(child), 10)
    assert is_running(session.pid)
    session.leave()
    assert session.pid is None
    assert nodes_in_scene() == {n for n in nodes_in_scene() if "ScalarVolume" in n}


def test_an_image_of_another_kind_is_refused_before_anything_starts(user_of):
    user = user_of()
    scan = add_scan()
    scan.SetAttribute("Manabi.modality", "CT")
    user.choose(scan)
    user.apply()
    assert "this is CT" in user.boxes()["error"]
    assert user.outputs() == {}


def test_an_image_under_a_non_linear_transform_is_refused_with_the_way_out(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    scan.SetAndObserveTransformNodeID(grid.GetID())
    user.choose(scan)
    user.press()
    user.wait()
    assert "ransform" in user.boxes()["error"]


# --- the scene ----------------------------------------------------------------------------------------------------


def test_closing_the_scene_while_it_runs_leaves_an_empty_scene_and_a_panel_that_works(user_of):
    import slicer

    user = user_of("waiting-spect")
    user.choose(add_scan())
    user.press()
    user.app.wait_until(lambda: "beside process" in user.status, 30)
    slicer.mrmlScene.Clear()
    user.wait()
    assert nodes_in_scene() == set()
    assert not user.button.enabled
    assert user.boxes() == {}
    user.use("quick-spect")
    user.choose(add_scan())
    assert "volumes/denoised" in user.apply()


def test_removing_the_scan_while_it_runs_is_told(user_of):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.press()
    slicer.mrmlScene.RemoveNode(scan)
    user.wait()
    assert "removed" in user.boxes()["error"]
    assert nodes_in_scene() == set()


def test_slicer_stays_awake_while_it_runs(user_of):
    import qt

    user = user_of("waiting-spect")
    user.choose(add_scan())
    ticks = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(time.monotonic()))
    timer.start(20)
    started = time.monotonic()
    user.press()
    assert time.monotonic() - started < 1.0  # Apply returns at once
    user.app.wait_until(lambda: "beside process" in user.status, 30)
    assert user.busy
    del ticks[:]
    user.app.process_events(1.0)
    timer.stop()
    assert len(ticks) > 20
    assert max(np.diff(ticks)) < 0.3
    user.press()
    user.wait()


def test_leaving_the_module_does_not_end_the_run(user_of):
    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.press()
    assert user.busy
    user.widget.exit()
    user.wait()
    assert "volumes/denoised" in user.widget.logic.outputsOf(scan)
    user.widget.enter()
    assert user.run_ui.exportButton.enabled


def labels(segmentation):
    """Name, label value and coded term of each segment."""
    found = segmentation.GetSegmentation()
    segments = [found.GetNthSegment(n) for n in range(found.GetNumberOfSegments())]
    return [(one.GetName(), one.GetLabelValue(), one.GetTerminology()) for one in segments]


def test_choices_and_results_come_back_with_the_saved_scene(user_of, tmp_path):
    import slicer

    user = user_of()
    scan = add_scan()
    user.choose(scan)
    user.ui.ageSpinBox.value = 71
    user.ui.regionComboBox.currentIndex = 1
    outputs = user.apply()
    denoised = slicer.util.arrayFromVolume(outputs["volumes/denoised"]).copy()
    before = labels(outputs["labelmaps/regions"])
    grades = user.ui.gradesLabel.text
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert user.ui.gradesLabel.text == ""
    slicer.util.loadScene(path)
    user.app.process_events(0.1)
    assert user.ui.inputSelector.currentNode().GetName() == "Scan"
    assert user.ui.ageSpinBox.value == 71
    assert user.ui.regionComboBox.currentIndex == 1
    again = user.outputs()
    assert set(again) == set(outputs)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again["volumes/denoised"]), denoised)
    assert labels(again["labelmaps/regions"]) == before
    assert len(before) == 5
    assert user.ui.gradesLabel.text == grades
    assert user.ui.changesTable.item(0, 1).text() == "2.00"


RESTARTED = """
import sys
sys.path[:0] = {paths!r}
import slicer_standin
slicer = slicer_standin.boot()
slicer.util.loadScene({scene!r})
from panel_user import User
user = User(slicer_standin, "quick-spect")
user.widget.refreshOutputs()
print(user.ui.inputSelector.currentNode().GetName(), user.ui.ageSpinBox.value, sorted(user.outputs()))
print(user.ui.gradesLabel.text.replace(chr(10), " / "))
assert not slicer_standin.problems(), slicer_standin.problems()
"""


def test_a_scene_saved_under_a_neutral_name_opens_after_a_restart_and_holds_no_patient_name(user_of, tmp_path):
    import slicer
    import vtk

    user = user_of()
    scan = add_scan("Doe^Jane")
    user.choose(scan)
    user.ui.ageSpinBox.value = 55
    user.apply()
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):  # as who shares a scene renames what shows in the data tree
        node.SetName((node.GetName() or "").replace("Doe^Jane", "Case 1"))
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    items = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    for item in (items.GetId(n) for n in range(items.GetNumberOfIds())):
        tree.SetItemName(item, tree.GetItemName(item).replace("Doe^Jane", "Case 1"))
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    with zipfile.ZipFile(path) as saved:
        for name in saved.namelist():
            content = saved.read(name)
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            assert b"Doe" not in content and "Doe" not in name, name
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    code = RESTARTED.format(paths=paths, scene=str(path))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith(f"Case 1 55 {sorted(user.outputs())}")
    assert user.ui.gradesLabel.text.replace("\n", " / ") in out.stdout


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_outputs_of_a_turned_scan_under_a_transform_lie_where_the_scan_does(user_of, flip):
    import slicer
    import vtk

    turned = vtk.vtkTransform()
    turned.RotateX(20)
    turned.RotateZ(-35)
    turned.Translate(12.3, -4.5, 6.7)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(turned.GetMatrix())
    user = user_of()
    scan = add_scan(matrix=OBLIQUE @ np.diag([*flip, 1]))
    scan.SetAndObserveTransformNodeID(node.GetID())
    user.choose(scan)
    outputs = user.apply()

    def world(volume):
        ijk_to_ras, to_world = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(ijk_to_ras)
        if volume.GetParentTransformNode() is not None:
            volume.GetParentTransformNode().GetMatrixTransformToWorld(to_world)
        return slicer.util.arrayFromVTKMatrix(to_world) @ slicer.util.arrayFromVTKMatrix(ijk_to_ras)

    for key in ("volumes/denoised", "volumes/difference", "volumes/uncertainty"):
        np.testing.assert_allclose(world(outputs[key]), world(scan), atol=1e-6)
    regions = outputs["labelmaps/regions"]
    first = regions.GetSegmentation().GetSegmentIDs()[0]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(regions, first, scan)
    assert np.argwhere(mask).tolist() == [[k, j, i] for k in (2, 3) for j in (2, 3) for i in (1, 2)]
    centre = (world(scan) @ [1.5, 2.5, 2.5, 1.0])[:3]
    np.testing.assert_allclose(regions.GetSegmentCenterRAS(first), centre, atol=3.0)  # Slicer's is that of a voxel
