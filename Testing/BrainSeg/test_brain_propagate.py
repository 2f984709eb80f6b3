"""BrainSeg's propagation: painted slices and other segments stay byte for byte, on any grid; undo restores."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from brain_panel_user import GEOMETRIES, BrainUser, Painter, add_mr

from manabi_slicer.bridge import table_rows

GRIDS = {"same grid": (1.0, 0.0), "oversampled": (2.0, 0.0), "coarser": (0.5, 0.0), "turned": (1.0, 12.0)}


@pytest.fixture
def user(slicer_app, monkeypatch):
    return BrainUser(slicer_app, monkeypatch)


def painted_case(user, geometry="straight", grid="same grid", axis=0):
    user.choose(add_mr(matrix=GEOMETRIES[geometry]()))
    painter = Painter(user.image, *GRIDS[grid])
    painter.surround()
    slices = painter.paint(axis)
    user.pick(painter.node, "Tumour")
    return painter, slices


def across(mask, axis, k):
    return np.moveaxis(mask, axis, 0)[k]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("axis", [0, 1])
def test_painted_slices_and_other_segments_stay_byte_for_byte_and_undo_restores(user, geometry, grid, axis):
    painter, slices = painted_case(user, geometry, grid, axis)
    before = painter.all()
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    after = painter.all()
    for k in slices:
        np.testing.assert_array_equal(across(after["tumour"], axis, k), across(before["tumour"], axis, k))
    filled = np.flatnonzero(np.moveaxis(after["tumour"], axis, 0).any(axis=(1, 2)))
    assert set(range(slices[0], slices[-1] + 1)) <= set(filled.tolist())
    for other in ("edema", "skull"):
        np.testing.assert_array_equal(after[other], before[other])
    assert user.run_ui.undoButton.enabled
    user.run_ui.undoButton.click()
    for name, mask in painter.all().items():
        np.testing.assert_array_equal(mask, before[name], err_msg=name)


@pytest.mark.parametrize("grid", ["same grid", "oversampled"])
def test_a_filled_slice_lies_where_its_painted_neighbour_lies(user, grid):
    """The quick method copies the nearest painted slice: a shift between the grids would show."""
    painter, slices = painted_case(user, "oblique", grid)
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    found = painter.read("tumour")
    one, near = found[slices[1]].astype(bool), found[slices[1] + 1].astype(bool)
    dice = 2 * (one & near).sum() / (one.sum() + near.sum())
    assert dice == 1.0 if grid == "same grid" else dice > 0.9


def test_preview_touches_nothing_until_it_is_accepted(user):
    painter, slices = painted_case(user)
    before = painter.all()
    outputs = user.run_here("propagate")
    preview = outputs["labelmaps/propagated"]
    assert [preview.GetSegmentation().GetNthSegment(0).GetName()] == ["Tumour (propagated)"]
    for name, mask in painter.all().items():
        np.testing.assert_array_equal(mask, before[name])
    user.ui.acceptButton.click()
    after = painter.all()
    assert after["tumour"].sum() > 2 * before["tumour"].sum()
    for k in slices:
        np.testing.assert_array_equal(after["tumour"][k], before["tumour"][k])
    np.testing.assert_array_equal(after["edema"], before["edema"])
    assert "labelmaps/propagated" not in user.outputs("propagate")
    assert not user.ui.acceptButton.enabled
    user.run_ui.undoButton.click()
    for name, mask in painter.all().items():
        np.testing.assert_array_equal(mask, before[name])
    assert user.outputs("propagate")["labelmaps/propagated"].GetSegmentation().GetNumberOfSegments() == 1
    assert user.ui.acceptButton.enabled


def test_what_is_accepted_is_what_the_preview_shows(user):
    import slicer

    painter, _ = painted_case(user, "oblique", "oversampled")
    preview = user.run_here("propagate")["labelmaps/propagated"]
    shown = slicer.vtkOrientedImageData()
    preview.GetBinaryLabelmapRepresentation("Segment_1", shown)
    count = int(slicer.util.arrayFromSegmentInternalBinaryLabelmap(preview, "Segment_1").astype(bool).sum())
    user.ui.acceptButton.click()
    assert int(painter.read("tumour").sum()) == count


def test_discard_takes_the_preview_away_and_undo_brings_it_back(user):
    painter, _ = painted_case(user)
    before = painter.all()
    user.run_here("propagate")
    user.ui.discardButton.click()
    assert "labelmaps/propagated" not in user.outputs("propagate")
    np.testing.assert_array_equal(painter.read("tumour"), before["tumour"])
    user.run_ui.undoButton.click()
    assert "labelmaps/propagated" in user.outputs("propagate")


def test_undo_of_a_preview_removes_it(user):
    painted_case(user)
    user.run_here("propagate")
    user.run_ui.undoButton.click()
    assert not user.outputs("propagate")


def test_work_on_another_segment_after_accept_survives_undo(user):
    painter, _ = painted_case(user)
    before = painter.all()
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    later = before["edema"].copy()
    later[5, 20:24, 20:24] = 1
    painter.put("edema", later)
    user.run_ui.undoButton.click()
    np.testing.assert_array_equal(painter.read("tumour"), before["tumour"])
    np.testing.assert_array_equal(painter.read("edema"), later)


def test_slices_painted_after_the_run_are_kept_by_accept(user):
    painter, slices = painted_case(user)
    user.run_here("propagate")
    mask = painter.read("tumour")
    mask[slices[2], 2:5, 2:5] = 1
    painter.put("tumour", mask)
    user.ui.acceptButton.click()
    np.testing.assert_array_equal(painter.read("tumour")[slices[2]], mask[slices[2]])


@pytest.mark.parametrize(("axis", "plane"), [(0, "axial"), (1, "coronal"), (2, "sagittal")])
def test_the_direction_of_painting_is_found_out(user, axis, plane):
    painted_case(user, "oblique", "oversampled", axis)
    request = user.widget.logic.propagateRequest(user.image, user.choices.segmentation, ["tumour"])
    assert request.parameters["propagate_axis"] == plane


def test_a_stroke_of_one_thin_slice_between_two_voxels_of_the_image_is_not_lost(user):
    painter, slices = painted_case(user, "straight", "oversampled")
    request = user.widget.logic.propagateRequest(user.image, painter.node, ["tumour"])
    import slicer

    labels = slicer.util.arrayFromVolume(request.nodes["painted"])
    assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == sorted({k // 2 for k in slices})


def test_cleansing_changes_painted_slices_and_nothing_else(user):
    painter, slices = painted_case(user)
    before = painter.all()
    user.ui.previewCheckBox.checked = False
    user.ui.modeComboBox.currentIndex = 1
    user.run_here("propagate")
    after = painter.all()
    assert (after["tumour"][slices[1]] != before["tumour"][slices[1]]).any()
    np.testing.assert_array_equal(after["edema"], before["edema"])


def test_a_chosen_segment_that_is_empty_is_filled_by_nothing_and_undone_to_nothing(user):
    painter, slices = painted_case(user)
    painter.put("edema", painter.blank())
    user.pick(painter.node, "Tumour", "Edema")
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    assert not painter.read("edema").any()
    user.run_ui.undoButton.click()
    assert not painter.read("edema").any()
    user.pick(painter.node, "Edema")
    user.ui.propagateButton.click()
    assert "are empty" in user.said()
    assert slices


def test_two_segments_at_once_keep_their_own_painted_slices_where_they_overlap(user):
    painter, slices = painted_case(user)
    both = painter.read("tumour")
    both[slices[0] + 1 :] = 0
    painter.put("edema", both)
    before = painter.all()
    user.pick(painter.node, "Tumour", "Edema")
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    after = painter.all()
    for name in ("tumour", "edema"):
        np.testing.assert_array_equal(after[name][slices[0]], before[name][slices[0]])
    np.testing.assert_array_equal(after["skull"], before["skull"])


def test_only_slices_that_differ_from_the_automatic_result_count_when_that_is_wanted(user):
    import slicer

    user.choose(add_mr())
    user.run_here()
    user.ui.copyButton.click()
    copy = user.choices.segmentation
    assert copy is not user.outputs()["labelmaps/structures"]
    assert user.ui.changedCheckBox.checked
    user.pick(copy, "ventricles")
    assert "ventricles" in [user.ui.segmentsList.item(n).text() for n in range(user.ui.segmentsList.count)]
    with pytest.raises(ValueError, match="No slice differs"):
        user.widget.logic.propagateRequest(user.image, copy, user.choices.segments, changedOnly=True)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(copy, user.choices.segments[0], user.image).copy()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(copy, user.choices.segments[0], user.image)
    for k in (12, 15, 18):
        mask[k, 10:24, 10:22] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, copy, user.choices.segments[0], user.image)
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    assert user.outputs("propagate")["tables/slices"].GetNumberOfRows() == 3
    started = {row["name"]: row["value"] for row in table_rows(user.outputs("propagate")["measurements"])}["start"]
    assert started == int((before > 0).sum())
    after = slicer.util.arrayFromSegmentBinaryLabelmap(copy, user.choices.segments[0], user.image)
    np.testing.assert_array_equal(after[12], mask[12])
    assert after[13].sum() == after[12].sum()


def test_a_transformed_patient_is_propagated_where_he_lies(user):
    import slicer

    painter, slices = painted_case(user)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (15.0, -7.0, 4.0)
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    for node in (user.image, painter.node):
        node.SetAndObserveTransformNodeID(transform.GetID())
    before = painter.all()
    user.ui.previewCheckBox.checked = False
    user.run_here("propagate")
    after = painter.all()
    for k in slices:
        np.testing.assert_array_equal(after["tumour"][k], before["tumour"][k])
    np.testing.assert_array_equal(after["tumour"][slices[1] + 1], before["tumour"][slices[1]])


# --- with the real method ---------------------------------------------------------------------------------------------


def ball(painter, radius=0.55):
    """An ellipsoid on the segments' grid."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in painter.shape), indexing="ij")
    return (sum(a**2 for a in axes) < radius**2).astype(np.uint8)


@pytest.mark.parametrize(
    ("geometry", "grid", "axis"),
    [("straight", "same grid", 1), pytest.param("oblique", "oversampled", 0, marks=pytest.mark.slow)],
)
def test_the_method_itself_fills_a_ball_from_five_slices_and_touches_nothing_else(
    slicer_app, monkeypatch, geometry, grid, axis
):
    from manabi.brain import propagate

    short = partial(propagate.PropagateSettings, members=2, steps=2)
    monkeypatch.setattr(propagate, "PropagateSettings", short)
    user = BrainUser(slicer_app, monkeypatch, "brain")
    user.choose(add_mr(matrix=GEOMETRIES[geometry]()))
    painter = Painter(user.image, *GRIDS[grid])
    painter.surround()
    truth = ball(painter)
    full = np.moveaxis(truth, axis, 0)
    held = np.flatnonzero(full.any(axis=(1, 2)))
    slices = [int(k) for k in np.linspace(held[1], held[-2], 5).round()]
    thin = np.zeros_like(full)
    thin[slices] = full[slices]
    painter.put("tumour", np.moveaxis(thin, 0, axis))
    before = painter.all()
    user.widget.logic.propagate(user.image, painter.node, ["tumour"], device="cpu")
    after = painter.all()
    np.testing.assert_array_equal(np.moveaxis(after["tumour"], axis, 0)[slices], full[slices])
    for other in ("edema", "skull"):
        np.testing.assert_array_equal(after[other], before[other])
    between = slice(slices[0], slices[-1] + 1)
    found, full = (np.moveaxis(mask, axis, 0)[between] for mask in (after["tumour"], truth))
    assert 2 * (found & full).sum() / (found.sum() + full.sum()) > 0.9
    assert user.widget.logic.undo()
    np.testing.assert_array_equal(painter.read("tumour"), before["tumour"])
