"""The work grid and the window: nothing is lost on the way there and back, nothing outside the body is touched."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct import grid, patient
from scipy.spatial.transform import Rotation

from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.mvct.prepare import Work, crop_to_body, faded_reach_px, fading, prepare
from manabi.mvct.window import HuWindow


def oblique(where):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (8.0, -11.0, 20.0), degrees=True).as_matrix()
    return Grid(where.shape, matrix @ where.ijk_to_ras)


# --- the window ------------------------------------------------------------------------------------------------------


def test_the_window_maps_its_bounds_to_one_and_back():
    window = HuWindow(-600.0, 400.0)
    hu = np.array([-1000.0, -600.0, -100.0, 400.0, 3000.0])
    np.testing.assert_allclose(window.scaled(hu), [-1, -1, 0, 1, 1])
    np.testing.assert_allclose(window.hu(window.scaled(hu)), [-600, -600, -100, 400, 400])
    assert HuWindow.of(window.to_list()) == window


def test_the_window_takes_tensors():
    torch = pytest.importorskip("torch")
    assert HuWindow(-1000.0, 1000.0).scaled(torch.tensor([500.0])).item() == pytest.approx(0.5)


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (10.0, -10.0), (-1000.0, np.inf), (np.nan, 1.0)])
def test_a_window_that_is_none_is_refused(bounds):
    with pytest.raises(InvalidInputError, match="lower to a higher"):
        HuWindow(*bounds)


def test_a_window_has_two_bounds():
    with pytest.raises(InvalidInputError, match="two bounds"):
        HuWindow.of([1.0, 2.0, 3.0])


# --- to the work grid and back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, -1))])
@pytest.mark.parametrize("tilted", [False, True])
def test_any_order_of_axes_comes_back_exactly(turn, tilted):
    volume = patient(oblique(grid()) if tilted else grid()).reoriented(*turn)
    work = prepare(volume)
    assert not work.resampled
    back = work.back(np.asarray(work.straight.array), "back")
    assert back.grid.same_as(volume.grid) and back.name == "back"
    np.testing.assert_array_equal(back.array, volume.array)


def test_slices_are_axial_whatever_way_the_array_runs():
    volume = patient()
    turned = volume.reoriented((1, 2, 0), (-1, 1, -1))
    np.testing.assert_array_equal(prepare(turned).hu, prepare(volume).hu)


def test_pixels_of_the_bundle_are_forced_and_slices_stay():
    volume = patient(grid((1.5, 2.0, 5.0), (4, 114, 168)))
    work = prepare(volume, (3.0, 3.0))
    assert work.resampled and work.hu.shape == (4, 76, 84)
    np.testing.assert_allclose(work.image.spacing_mm, [3.0, 3.0, 5.0])


def test_nearly_the_bundles_pixels_are_left_alone():
    assert not prepare(patient(), (3.04, 2.97)).resampled


def test_a_smooth_map_survives_forced_pixels():
    volume = patient(grid((1.3, 1.7, 4.0), (3, 120, 140)))
    work = prepare(volume, (2.6, 2.6))
    ras = [np.moveaxis(one.grid.ras_of(np.stack(np.indices(one.shape)[::-1], -1)), -1, 0)
           for one in (work.image, work.straight)]  # fmt: skip
    coarse, fine = (np.cos(x / 30) * np.sin(y / 40) + 0.01 * z for x, y, z in ras)
    back = work.to_straight(coarse.astype(np.float32))
    assert np.abs(back - fine)[:, 4:-4, 4:-4].max() < 0.01


def test_noise_is_averaged_not_aliased_where_pixels_grow():
    volume = patient(grid((1.0, 1.0, 4.0), (3, 180, 200)), noise_hu=40.0)
    work = prepare(volume, (3.0, 3.0))
    assert work.hu[:, 28:36, 25:40].std() < 0.6 * np.asarray(volume.array)[:, 85:110, 75:120].std()


def test_a_mask_comes_back_as_a_mask_of_the_same_size():
    work = prepare(patient(grid((1.5, 1.5, 5.0), (3, 150, 168))), (3.0, 3.0))
    mask = work.hu > 300
    back = work.mask_to_straight(mask)
    assert back.dtype == bool and 0 < mask.sum() < mask.size
    assert back.sum() == pytest.approx(4 * mask.sum(), rel=0.15)


def test_outside_the_work_grid_there_is_no_correction():
    straight = patient(grid((1.0, 1.0, 5.0), (2, 80, 101)))
    work = prepare(straight, (4.0, 4.0))
    whole = work.to_straight(np.ones(work.hu.shape, np.float32))
    assert set(np.unique(whole)) <= {0.0, 1.0} and whole[:, 2:-2, 2:-2].min() == 1.0


# --- the body's surroundings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 3.0), (3.0, 1.0, 5.0)])
def test_the_correction_is_whole_in_the_body_and_nothing_in_the_air(spacing):
    body = np.zeros((3, 90, 110), bool)
    body[1, 40:50, 45:60] = True
    fade = fading(body, np.array(spacing))
    across, down = (faded_reach_px(s) for s in spacing[:2])
    assert (fade[body] == 1).all()
    assert fade[0].max() == 0 and fade[2].max() == 0
    far = np.ones_like(body[1])
    far[40 - down : 50 + down, 45 - across : 60 + across] = False
    assert (fade[1][far] == 0).all() and ((fade > 0.1) & (fade < 0.9)).any()


def test_the_crop_holds_the_body_and_its_own_way_back():
    body = np.zeros((6, 100, 120), bool)
    body[2:4, 40:60, 50:55] = True
    crop = crop_to_body(body, margin_px=8, least_px=32)
    assert list(crop.slices) == [2, 3]
    assert crop.rows == (32, 68) and crop.columns[1] - crop.columns[0] == 32
    image = np.random.default_rng(0).normal(size=body.shape).astype(np.float32)
    placed = crop.place(crop.of(image)[crop.slices], body.shape)
    assert (placed[body] == image[body]).all() and placed[0].max() == 0
    assert placed[2, 32, crop.columns[0]] == image[2, 32, crop.columns[0]]


def test_without_a_body_the_whole_image_is_the_crop():
    crop = crop_to_body(np.zeros((2, 20, 30), bool))
    assert crop.of(np.zeros((2, 20, 30))).shape == (2, 20, 30) and len(crop.slices) == 2


def test_a_crop_never_leaves_the_image():
    body = np.ones((1, 20, 30), bool)
    crop = crop_to_body(body, margin_px=50)
    assert (crop.rows, crop.columns) == ((0, 20), (0, 30))


def test_one_slice_is_enough():
    volume = patient(grid(shape=(1, 76, 84)))
    work = prepare(volume, (2.0, 2.0))
    assert isinstance(work, Work) and work.hu.shape[0] == 1
    assert work.back(work.to_straight(work.hu), "x").grid.same_as(volume.grid)
