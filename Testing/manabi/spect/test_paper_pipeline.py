"""The source's own pipeline: 8-bit, five slices around the hottest, each normalised, central 64×64."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.spect import paper
from manabi.volume import Volume


def ras(shape=(12, 80, 72), spacing=(3.29, 3.29, 3.29), seed=0):
    """Random counts in RAS order whose hottest voxel is in slice 7."""
    rng = np.random.default_rng(seed)
    array = rng.gamma(2.0, 20.0, shape).astype(np.float32)
    array[7, shape[1] // 2, shape[2] // 2] = 700.0
    matrix = np.diag([*spacing, 1.0])
    return Volume(array, matrix, "NM", "CNTS")


# --- 8 bit ------------------------------------------------------------------------------------------------------------


def test_grey_levels_run_from_zero_to_the_cases_maximum():
    assert paper.to_8bit(np.array([0.0, 20.0, 100.0])).tolist() == [0, 51, 255]
    assert paper.to_8bit(np.array([0.0, 50.0, 150.0]), 200.0).tolist() == [0, 64, 191]
    assert paper.to_8bit(np.array([-5.0, 300.0]), 200.0).tolist() == [0, 255]
    assert paper.to_8bit(np.array([1.0, 2.0])).dtype == np.uint8


def test_an_image_without_counts_is_refused():
    with pytest.raises(InvalidInputError, match="no counts"):
        paper.to_8bit(np.zeros((5, 4, 4)))


# --- slices and crop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hot", "expected"), [(0, 2), (1, 2), (2, 2), (6, 6), (9, 7)])
def test_the_hottest_slice_leaves_room_for_two_on_each_side(hot, expected):
    array = np.ones((10, 4, 4))
    array[hot, 1, 2] = 9.0
    assert paper.hottest_slice(array) == expected


def test_the_hottest_is_the_one_with_the_highest_voxel_not_the_highest_sum():
    array = np.zeros((10, 4, 4))
    array[3] = 5.0
    array[6, 0, 0] = 6.0
    assert paper.hottest_slice(array) == 6


def test_fewer_than_five_slices_are_refused():
    with pytest.raises(InvalidInputError, match="takes 5 slices; this image has 4"):
        paper.hottest_slice(np.ones((4, 9, 9)))


@pytest.mark.parametrize(("rows", "columns", "top", "left"), [(64, 64, 0, 0), (128, 128, 32, 32), (67, 90, 1, 13)])
def test_the_crop_is_central(rows, columns, top, left):
    across, along = paper.central_crop(np.zeros((5, rows, columns)))
    assert (across.start, across.stop, along.start, along.stop) == (top, top + 64, left, left + 64)


@pytest.mark.parametrize("shape", [(5, 63, 80), (5, 80, 40)])
def test_a_smaller_matrix_is_refused(shape):
    with pytest.raises(InvalidInputError, match=f"64×64.*this image has {shape[1]}×{shape[2]}"):
        paper.central_crop(np.zeros(shape))


# --- the five images --------------------------------------------------------------------------------------------------


def test_each_image_is_divided_by_its_own_maximum():
    found = paper.paper_images(ras())
    assert found.images.shape == (5, 64, 64)
    assert found.images.dtype == np.float32
    np.testing.assert_allclose(found.images.reshape(5, -1).max(1), 1.0)
    assert found.peaks[2] == 255.0 and (found.peaks[[0, 1, 3, 4]] < 255).all()


def test_the_box_is_where_it_was_in_the_patient():
    volume = ras()
    found = paper.paper_images(volume)
    expected = volume.crop((5, 8, 4), (10, 72, 68))
    assert found.box.grid.same_as(expected.grid)
    np.testing.assert_array_equal(found.box.array, expected.array)


def test_another_slice_can_be_the_middle():
    volume = ras()
    assert paper.paper_images(volume, 4).box.grid.same_as(volume.crop((2, 8, 4), (7, 72, 68)).grid)


def test_counts_come_back_to_half_a_grey_level():
    volume = ras()
    found = paper.paper_images(volume)
    counts = found.to_counts(found.images)
    step = float(np.asarray(volume.array).max()) / 255.0
    assert np.abs(counts - np.asarray(found.box.array)).max() <= 0.5 * step * 1.001


def test_an_image_all_zero_stays_zero():
    array = np.zeros((6, 64, 64), np.float32)
    array[3, 30, 30] = 10.0
    found = paper.paper_images(Volume(array, np.diag([3.29, 3.29, 3.29, 1.0])))
    assert np.isfinite(found.images).all()
    assert not found.images[0].any()


# --- straightening ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(3.29, 3.29, 3.29), (3.3, 3.25, 3.29), (3.29, 3.29, 4.4)])
def test_pixels_within_two_percent_are_left_alone(spacing):
    volume = ras(spacing=spacing)
    straight = paper.straighten(volume)
    np.testing.assert_array_equal(straight.array, volume.array)
    assert straight.warnings == ()


@pytest.mark.parametrize("pixel", [2.2, 4.42])
def test_other_pixels_are_resampled_with_a_warning(pixel):
    straight = paper.straighten(ras(spacing=(pixel, pixel, 3.0)))
    np.testing.assert_allclose(straight.spacing_mm, [3.29, 3.29, 3.0])
    assert any(f"{pixel:.2f}×{pixel:.2f} mm were resampled to the 3.29 mm" in text for text in straight.warnings)


def test_any_orientation_gives_the_same_images():
    volume = ras()
    first = paper.paper_images(paper.straighten(volume))
    second = paper.paper_images(paper.straighten(volume.reoriented((2, 0, 1), (-1, 1, -1))))
    np.testing.assert_array_equal(first.images, second.images)
