"""A patient cut off by the field of view."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.mvct.corrupt import corrupted
from manabi.mvct.tissue_map import body_mask
from manabi.mvct.truncation import CUT_DEGREES, field_radius, find_truncation


def circle(shape, radius):
    j, i = np.mgrid[: shape[1], : shape[2]]
    return np.hypot(j - (shape[1] - 1) / 2, i - (shape[2] - 1) / 2) <= radius


def test_a_whole_patient_is_not_cut():
    case = head("mvct", couch=False)
    found = find_truncation(case.hu, SPACING, body_mask(case.hu, SPACING))
    assert found.cut == [] and found.largest_loss == 0.0 and found.share_of_slices == 0.0
    assert found.radius_mm is None


def test_a_whole_patient_in_a_circular_field_is_not_cut():
    case = head("mvct", couch=False)
    hu = np.where(circle(case.hu.shape, 69), case.hu, -1024.0)
    found = find_truncation(hu, SPACING, body_mask(hu, SPACING))
    assert found.radius_mm == pytest.approx(69 * 1.5, abs=1.6)
    assert found.cut == []


def test_body_at_a_circle_is_cut_and_the_loss_is_about_right():
    case = head("mvct", couch=False)
    whole = case.truth > 0
    field = circle(case.hu.shape, 42)
    hu = np.where(field, case.hu, -1024.0)
    found = find_truncation(hu, SPACING, body_mask(hu, SPACING))
    lost = 1.0 - (whole & field).sum((1, 2)) / whole.sum((1, 2))
    assert field_radius(hu) == pytest.approx(42, abs=1.0)
    assert len(found.cut) == len(hu) and found.degrees.min() > CUT_DEGREES
    assert np.median(found.lost_share) == pytest.approx(np.median(lost), abs=0.08)


def test_body_at_the_border_of_the_image_is_cut():
    case = head("mvct", couch=False)
    hu = case.hu[:, :, 36:]
    found = find_truncation(hu, SPACING, body_mask(hu, SPACING))
    lost = 1.0 - (case.truth[:, :, 36:] > 0).sum() / (case.truth > 0).sum()
    assert len(found.cut) > 12 and found.radius_mm is None
    assert found.lost_share.mean() == pytest.approx(lost, abs=0.06)


def test_only_the_slices_that_touch_are_listed():
    case = head("mvct", couch=False)
    hu = np.where(circle(case.hu.shape, 42) | (np.arange(len(case.hu)) < 8)[:, None, None], case.hu, -1024.0)
    body = body_mask(hu, SPACING)
    hu[:, ~circle(case.hu.shape, 66)] = -1024.0
    assert find_truncation(hu, SPACING, body).cut == []


def test_the_generator_of_truncated_images_truncates():
    volume = corrupted(head("mvct").volume(), "truncated")
    array = np.asarray(volume.array)
    assert find_truncation(array, SPACING, body_mask(array, SPACING)).share_of_slices > 0.8
