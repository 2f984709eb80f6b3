"""Damaged copies that the gate is tried on."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.errors import InvalidInputError
from manabi.mvct.corrupt import CORRUPTIONS, corrupted


@pytest.fixture(scope="module")
def volume():
    return head("mvct", 4).volume()


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_each_changes_the_values_and_keeps_the_grid_and_the_seed(volume, name):
    first, second = corrupted(volume, name, 3), corrupted(volume, name, 3)
    assert first.grid.same_as(volume.grid) and first.modality == "CT"
    assert np.array_equal(first.array, second.array) and np.isfinite(first.array).all()
    assert not np.allclose(first.array, volume.array, atol=0.5)
    assert first.array.dtype == np.float32


def test_they_do_what_they_say(volume):
    hu = np.asarray(volume.array)
    changed = {name: np.asarray(corrupted(volume, name, 0).array) for name in CORRUPTIONS}
    body = head("mvct", 4).truth == 4
    assert (changed["noise"] - hu).std() == pytest.approx(75.0, rel=0.01)
    roughness = [np.abs(np.diff(array, axis=2))[:, :, 1:][body[:, :, 2:]].mean() for array in (changed["blur"], hu)]
    assert roughness[0] < 0.4 * roughness[1]
    assert 100 <= abs(float((changed["offset"] - hu).mean())) <= 200
    assert np.allclose(changed["stored_values"] - hu, 1024.0)
    assert changed["scaled"].min() == 0.0 and changed["scaled"].max() == 1.0
    assert np.allclose(changed["mirrored"], -np.clip(hu, -1000, 1000))
    assert (changed["block"] == 0).sum() > 1000 and ((changed["block"] != hu) <= (changed["block"] == 0)).all()
    lost = (changed["lost_slices"] == -1000).all((1, 2))
    assert 1 <= lost.sum() <= 2
    assert changed["metal"].max() == 6000.0
    corner = (slice(None), slice(0, 5), slice(0, 5))
    assert (changed["truncated"][corner] == -1024.0).all()


def test_a_sheared_body_leans_and_a_wrong_pixel_size_shrinks(volume):
    def middles(array):
        return np.array([np.argwhere(image > -400)[:, 0].mean() * SPACING[1] for image in array])

    hu = np.asarray(volume.array)
    sheared = middles(np.asarray(corrupted(volume, "sheared", 0).array)) - middles(hu)
    slope = np.polyfit(np.arange(len(hu)) * SPACING[2], sheared, 1)[0]
    assert 0.4 < abs(slope) < 0.75
    small = np.asarray(corrupted(volume, "wrong_size", 0).array) > -400
    assert small.sum() == pytest.approx((hu > -400).sum() / 1.8**2, rel=0.05)


def test_an_unknown_one_is_refused(volume):
    with pytest.raises(InvalidInputError, match="Known: noise"):
        corrupted(volume, "coffee")
