"""Tilted and unevenly spaced series: everything must lie where it truly is."""

import numpy as np
import pytest
from dicom_phantoms import AXIAL, blob_slices, centroid_ras, placed, write_series

from manabi.io.dicom import list_series, read_dicom

PIXEL_MM = (1.0, 1.0)
SHAPE = (56, 48)
SIGMA = 5.0
TWO_SPACINGS = [2.0] * 14 + [0.7] + [4.0] * 9


def tilted_axes(degrees):
    angle = np.radians(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)]])


def blob_series(folder, axes, spacing, n, centre_index, along=None):
    """Slices stacked along ``along`` (z: gantry tilt) through a blob at a place that is on no voxel; returns RAS."""
    positions = placed(n, spacing, axes, origin=(-24.0, -30.0, -20.0), along=along)
    centre = positions[centre_index] + 23.3 * axes[0] + 27.6 * axes[1] + 0.37 * (positions[1] - positions[0])
    array = blob_slices(positions, axes, PIXEL_MM, SHAPE, centre, SIGMA)
    write_series(folder, array, positions, axes, PIXEL_MM)
    return centre * [-1, -1, 1]


@pytest.mark.parametrize("degrees", [15.0, -15.0, 25.0])
def test_gantry_tilt_is_straightened_and_the_blob_stays_in_place(tmp_path, degrees):
    truth = blob_series(tmp_path, tilted_axes(degrees), 2.0, 24, 11, along=(0, 0, 1))
    volume = read_dicom(tmp_path)
    assert np.linalg.norm(centroid_ras(volume, -1000) - truth) < 0.3
    assert not volume.grid.is_sheared and f"{abs(degrees):.1f}°" in volume.warnings[0]


@pytest.mark.parametrize("centre_index", [9, 14, 19])
def test_tilt_with_two_spacings_keeps_the_blob_in_place(tmp_path, centre_index):
    """The case that ITK reads with one uniform spacing."""
    truth = blob_series(tmp_path, tilted_axes(18.5), TWO_SPACINGS, 25, centre_index, along=(0, 0, 1))
    volume = read_dicom(tmp_path)
    assert np.linalg.norm(centroid_ras(volume, -1000) - truth) < 0.3
    assert volume.spacing_mm[2] == pytest.approx(2.0 * np.cos(np.radians(18.5)), abs=1e-6)
    assert "slice 15 to 16" in volume.warnings[0] and "tilted" in volume.warnings[0]


def test_uneven_straight_slices_are_interpolated_from_their_true_positions(tmp_path):
    heights = np.concatenate([[0.0], np.cumsum(TWO_SPACINGS)])
    array = np.repeat(np.rint(heights * 10).astype(np.int16), 12).reshape(-1, 3, 4)
    write_series(tmp_path, array, placed(25, TWO_SPACINGS))
    volume = read_dicom(tmp_path)
    assert volume.shape == (33, 3, 4) and volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[:, 1, 2], np.arange(33) * 20.0, atol=1e-3)
    assert "unevenly spaced" in volume.warnings[0] and "tilted" not in volume.warnings[0]


def test_no_slice_of_a_tilted_series_is_cut_off(tmp_path):
    axes = tilted_axes(20.0)
    array = np.full((9, *SHAPE), 100, np.int16)
    positions = placed(9, 5.0, axes, along=(0, 0, 1))
    write_series(tmp_path, array, positions, axes, PIXEL_MM)
    volume = read_dicom(tmp_path)
    ends = positions[[0, -1]] + (SHAPE[0] - 1) * axes[1] * [[0], [1]]
    index = volume.grid.ijk_of(ends * [-1, -1, 1])
    assert (index > -1e-3).all() and (index < np.array(volume.shape[::-1]) - 1 + 1e-3).all()
    np.testing.assert_allclose(volume.spacing_mm[:2], PIXEL_MM, atol=1e-9)


def test_outside_is_air_in_ct_and_the_least_value_elsewhere(tmp_path):
    axes = tilted_axes(20.0)
    array = np.full((9, *SHAPE), 100, np.int16)
    array[:, 0, 0] = -2000
    positions = placed(9, 5.0, axes, along=(0, 0, 1))
    for modality, outside in (("CT", -1024), ("MR", -2000)):
        write_series(tmp_path / modality, array, positions, axes, PIXEL_MM, modality=modality)
        volume = read_dicom(tmp_path / modality)
        first, last = volume.array[0, :, 20], volume.array[-1, :, 20]
        assert outside in (first[0], first[-1]) and outside in (last[0], last[-1])


def test_a_tilt_below_a_tenth_of_a_millimetre_is_left_alone(tmp_path):
    positions = placed(5)
    positions[:, 0] += np.linspace(0, 0.08, 5)
    array = np.zeros((5, 6, 7), np.int16)
    write_series(tmp_path, array, positions, AXIAL)
    volume = read_dicom(tmp_path)
    assert volume.shape == array.shape and volume.warnings == ()


def test_the_list_announces_what_reading_will_change(tmp_path):
    blob_series(tmp_path, tilted_axes(15.0), 4.0, 6, 3, along=(0, 0, 1))
    (info,) = list_series(tmp_path)
    assert "tilted by 15.0°" in info.warnings[0] and "will be resampled" in info.warnings[0]
