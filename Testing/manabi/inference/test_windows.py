"""Windows: where they lie, their weights, boxes and padding."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.inference.windows import blend_weights, bounding_box, padded, rounded_up, rows, starts


@pytest.mark.parametrize(("size", "window", "overlap"), [(10, 4, 0.25), (96, 96, 0.25), (97, 96, 0.5), (50, 7, 0.9)])
def test_windows_cover_an_axis_and_stay_inside(size, window, overlap):
    found = starts(size, window, overlap)
    covered = np.zeros(size, bool)
    for first in found:
        assert 0 <= first <= size - window
        covered[first : first + window] = True
    assert covered.all()
    assert found == sorted(found)


def test_windows_come_in_rows_of_slices():
    found = list(rows((8, 6, 4), (4, 4, 4), 0.0))
    assert [first for first, _ in found] == [0, 4]
    assert [len(boxes) for _, boxes in found] == [2, 2]


def test_gaussian_weights_peak_in_the_middle_and_never_vanish():
    weights = blend_weights((9, 9, 9), "gaussian")
    assert weights[4, 4, 4] == weights.max() == 1.0
    assert weights.min() == pytest.approx(1e-3)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])


def test_an_unknown_blend_is_refused():
    with pytest.raises(InvalidInputError, match="constant or gaussian"):
        blend_weights((2, 2, 2), "linear")


def test_a_bounding_box_grows_within_the_volume():
    mask = np.zeros((10, 10, 10), bool)
    mask[4, 0, 9] = True
    assert bounding_box(mask, 2) == (slice(2, 7), slice(0, 3), slice(7, 10))
    assert bounding_box(np.zeros((3, 3, 3), bool), 1) is None


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 16, 2), (16, 16, 16)])
def test_padding_is_undone_by_its_box(shape):
    array = np.random.default_rng(0).normal(size=(2, *shape))
    whole, back = padded(array, rounded_up(shape, 16))
    assert whole.shape == (2, 16, 16, 16)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(whole[(slice(None), *back)], array)


def test_padding_mirrors_and_copies_nothing_where_nothing_is_missing():
    array = np.arange(4.0).reshape(1, 1, 1, 4)
    whole, _ = padded(array, (1, 1, 6))
    assert whole.ravel().tolist() == [1, 0, 1, 2, 3, 2]
    assert padded(array, (1, 1, 4))[0] is array
