"""SliceMarker's panel, used as a user does, on the stand-in for Slicer."""

from __future__ import annotations

import numpy as np
import pytest
from slices_panel_user import SHAPE, SPACING, SlicesUser, add_ct, feet_first, position_of

APEX, CARINA, DIAPHRAGM = 35, 23, 10
"""Slices on which the method of the tests finds the markers."""


@pytest.fixture
def user_of(slicer_app, monkeypatch):
    return lambda method="quick-slices": SlicesUser(slicer_app, monkeypatch, method)


@pytest.fixture
def user(user_of):
    """A user with a result."""
    user = user_of()
    user.choose(add_ct())
    user.run_here()
    return user


# --- three clicks -------------------------------------------------------------------------------------------------


def test_choosing_the_ct_and_apply_is_all_there_is_to_do(user_of):
    user = user_of()
    assert not user.run_ui.applyButton.enabled
    user.choose(add_ct())
    outputs = user.apply()
    assert {"landmarks/apex", "landmarks/carina", "landmarks/diaphragm", "volumes/representative", "tables/markers",
            "tables/representative", "plots/probability", "measurements", "report"} <= set(outputs)  # fmt: skip
    assert user.kept() == [DIAPHRAGM, CARINA, APEX]
    assert outputs["landmarks/apex"] is outputs["landmarks/diaphragm"]


def test_buttons_say_where_and_how_sure_and_one_for_what_is_not_there_says_why(user_of):
    user = user_of("cut-slices")
    assert user.ui.apexButton.text == "Apex"
    assert not user.ui.apexButton.enabled
    assert "Apply" in user.ui.apexButton.toolTip
    user.choose(add_ct())
    user.run_here()
    assert user.ui.carinaButton.text == "Carina   I 5.0 mm   42 %"
    assert user.ui.diaphragmButton.text == "Diaphragm   I 70.0 mm   88 %"
    assert user.ui.carinaButton.enabled
    assert user.ui.apexButton.text == "Apex   above the image"
    assert not user.ui.apexButton.enabled
    assert "does not reach it" in user.ui.apexButton.toolTip
    assert "Not in the image: the lung apex" in user.said()


@pytest.mark.parametrize(("choice", "count"), [(0, 3), (1, 5), (2, 9), (3, 7), (4, 7)])
def test_the_choice_of_slices_is_what_comes(user_of, choice, count):
    user = user_of()
    user.choose(add_ct())
    user.ui.slicesComboBox.currentIndex = choice
    user.ui.countSpinBox.value = 7
    user.ui.spacingSpinBox.value = 20.0
    assert user.ui.countSpinBox.isHidden() == (choice != 3)
    assert user.ui.spacingSpinBox.isHidden() == (choice != 4)
    user.run_here()
    assert len(user.kept()) == user.ui.slicesList.count == count
    assert f"({count})" in user.ui.slicesLabel.text


def test_confidence_below_the_chosen_one_is_flagged(user_of):
    user = user_of()
    user.choose(add_ct())
    user.ui.confidenceSpinBox.value = 30
    user.run_here()
    assert "Check the" not in user.said()
    user.ui.confidenceSpinBox.value = 50
    user.run_here()
    assert "Check the carina: the confidence is only 42%" in user.said()


def test_options_reach_the_method(user_of):
    user = user_of()
    user.choose(add_ct())
    user.ui.finderComboBox.currentIndex = 1
    user.ui.rulesCheckBox.checked = False
    user.ui.exhaustiveCheckBox.checked = True
    user.ui.deviceComboBox.currentIndex = 1
    request = user.widget.request(user.widget._parameterNode)
    assert request.device == "cpu"
    assert request.parameters == {
        "representative": "3", "count": 9, "spacing_mm": 20.0, "finder": "rules", "exhaustive": True,
        "rules_check": False, "min_confidence": 0.5, "uids": False,
    }  # fmt: skip
    assert user.widget.logic.method.parameters_type.of(dict(request.parameters)).finder == "rules"


# --- corrections ----------------------------------------------------------------------------------------------------


def world(points, index):
    place = [0.0] * 3
    points.GetNthControlPointPositionWorld(index, place)
    return np.array(place)


def test_locked_markers_do_not_move_whoever_moves_them(user):
    points = user.points()
    assert points.GetLocked()
    assert points.GetFixedNumberOfControlPoints()
    before, table = world(points, 1), user.rows()
    user.drag(1, before + [0, 0, 30])
    np.testing.assert_allclose(world(points, 1), before)
    assert user.rows() == table
    assert user.kept() == [DIAPHRAGM, CARINA, APEX]


def test_a_dragged_marker_takes_table_slices_and_numbers_along(user):
    user.ui.editCheckBox.checked = True
    points = user.points()
    assert not points.GetLocked()
    user.drag(1, world(points, 1) + [3.0, -2.0, 3 * SPACING[2] + 1.0])
    row = user.row(1)
    assert (row["status"], row["slice"], row["confidence"]) == ("corrected by hand", CARINA + 3, None)
    assert row["position_mm"] == pytest.approx(position_of(CARINA + 3))
    assert user.kept() == [DIAPHRAGM, CARINA + 3, APEX]
    assert [r["slice"] for r in user.rows("representative")] == [APEX, CARINA + 3, DIAPHRAGM]
    result = user.widget.logic.resultOf(user.ui.inputSelector.currentNode())
    assert result.measurements["carina_slice"] == CARINA + 3
    assert result.measurements["carina_confidence"] is None
    assert result.landmarks["carina"].confidence is None
    assert result.landmarks["carina"].position_ras[2] == pytest.approx(position_of(CARINA + 3))
    assert user.ui.carinaButton.text == "Carina   S 10.0 mm   by hand"
    assert "Check the carina" not in user.said()
    assert f"Corrected by hand: carina, now on slice {CARINA + 3} (found on slice {CARINA}" in user.said()
    assert user.row(0)["confidence"] == 0.97


def test_a_marker_moved_within_its_slice_keeps_its_level_and_confidence(user):
    user.ui.editCheckBox.checked = True
    points = user.points()
    there = world(points, 1) + [12.0, -8.0, 0.4 * SPACING[2]]
    user.drag(1, there)
    assert user.row(1)["confidence"] == 0.42
    assert user.row(1)["status"] == "in the image"
    np.testing.assert_allclose(world(user.points(), 1), [*there[:2], position_of(CARINA)], atol=1e-6)


def test_undo_takes_the_last_correction_back_and_back_goes_to_where_the_marker_was_found(user):
    user.ui.editCheckBox.checked = True
    found = world(user.points(), 1)
    first = user.rows()
    assert not user.ui.carinaBackButton.enabled
    user.drag(1, found + [0, 0, 4 * SPACING[2]])
    user.drag(1, world(user.points(), 1) + [0, 0, 2 * SPACING[2]])
    assert user.row(1)["slice"] == CARINA + 6
    assert "correction" in user.run_ui.undoButton.toolTip
    user.run_ui.undoButton.click()
    assert "before Manabi last changed them" in user.run_ui.statusLabel.text
    assert user.row(1)["slice"] == CARINA + 4
    assert user.kept() == [DIAPHRAGM, CARINA + 4, APEX]
    user.ui.carinaBackButton.click()
    assert user.rows() == first
    np.testing.assert_allclose(world(user.points(), 1), found, atol=1e-4)
    assert user.kept() == [DIAPHRAGM, CARINA, APEX]
    assert not user.ui.carinaBackButton.enabled
    assert "Check the carina" in user.said()
    assert "Corrected" not in user.said()
    assert user.ui.carinaButton.text.endswith("42 %")


def test_a_correction_survives_the_scene_and_can_still_be_taken_back(user, tmp_path):
    import slicer

    user.ui.editCheckBox.checked = True
    user.drag(0, world(user.points(), 0) - [0, 0, 2 * SPACING[2]])
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    user.app.process_events(0.1)
    assert user.row(0)["status"] == "corrected by hand"
    user.ui.apexBackButton.click()
    assert (user.row(0)["slice"], user.row(0)["confidence"]) == (APEX, 0.97)


def test_the_correction_is_noted_in_the_provenance(user):
    user.ui.editCheckBox.checked = True
    user.drag(2, world(user.points(), 2) + [0, 0, SPACING[2]])
    result = user.widget.logic.resultOf(user.ui.inputSelector.currentNode())
    kept = result.provenance["corrections"]["markers"]["diaphragm"]["row"]
    assert (kept["slice"], kept["confidence"]) == (DIAPHRAGM, 0.88)
    assert result.provenance["parameters"]["representative"] == "3"


def test_on_a_volume_that_runs_to_the_feet_the_slices_are_the_volume_s_own(user_of):
    user = user_of()
    user.choose(add_ct(matrix=feet_first()))
    user.run_here()
    user.ui.editCheckBox.checked = True
    turned = [SHAPE[0] - 1 - k for k in (APEX, CARINA, DIAPHRAGM)]
    assert user.kept() == turned
    user.drag(1, world(user.points(), 1) + [0, 0, 2 * SPACING[2]])
    assert user.row(1)["slice"] == turned[1] - 2
    assert user.kept() == [turned[0], turned[1] - 2, turned[2]]


def test_locking_right_after_a_drag_still_keeps_the_correction(user):
    user.ui.editCheckBox.checked = True
    points = user.points()
    points.SetNthControlPointPositionWorld(1, *(world(points, 1) + [0, 0, 2 * SPACING[2]]))
    user.ui.editCheckBox.checked = False
    assert (user.row(1)["slice"], user.row(1)["status"]) == (CARINA + 2, "corrected by hand")
    assert user.kept() == [DIAPHRAGM, CARINA + 2, APEX]
    assert user.points().GetLocked()


def test_a_new_run_replaces_corrections(user):
    user.ui.editCheckBox.checked = True
    user.drag(1, world(user.points(), 1) + [0, 0, 20.0])
    user.run_here()
    assert (user.row(1)["slice"], user.row(1)["status"]) == (CARINA, "in the image")
    assert not user.points().GetLocked()
    user.ui.editCheckBox.checked = False
    assert user.points().GetLocked()
