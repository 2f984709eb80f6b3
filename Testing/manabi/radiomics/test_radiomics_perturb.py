"""Perturbations keep their word in the patient's space: on anisotropic, oblique and flipped grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid
from manabi.radiomics.perturb import centroid_ras, perturb
from manabi.radiomics.perturb_noise import noise_level
from manabi.radiomics.perturb_plan import Perturbation, PerturbationPlan, perturbations
from manabi.volume import Volume

SHAPE = (24, 40, 44)
SPACING_IJK = np.array([1.2, 0.9, 2.5])


def rotation(axis, degrees):
    x, y, z = np.array(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grid_named(name):
    directions = {
        "ras": np.eye(3),
        "lps": np.diag([-1.0, -1.0, 1.0]),
        "left-handed": np.diag([1.0, 1.0, -1.0]),
        "oblique": rotation([1, 2, 3], 25) @ np.diag([-1.0, 1.0, 1.0]),
        "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    }[name]
    matrix = np.eye(4)
    matrix[:3, :3] = directions * SPACING_IJK
    matrix[:3, 3] = [31.0, -12.0, 100.0]
    return Grid(SHAPE, matrix)


def blob(grid, semi_mm=(13.0, 10.0, 16.0), off_kji=(0.3, -0.4, 0.2)):
    """An ellipsoid along the grid's axes and an image that is a smooth function of place."""
    middle = (np.array(grid.shape) - 1) / 2 + off_kji
    k, j, i = (axis - m for axis, m in zip(np.indices(grid.shape), middle, strict=True))
    x, y, z = i * SPACING_IJK[0], j * SPACING_IJK[1], k * SPACING_IJK[2]
    mask = (x / semi_mm[0]) ** 2 + (y / semi_mm[1]) ** 2 + (z / semi_mm[2]) ** 2 <= 1
    values = 100 + 30 * np.sin(x / 6) * np.cos(y / 7) + 2 * z
    return Volume(values, grid.ijk_to_ras), Volume(mask.astype(np.uint8), grid.ijk_to_ras)


GRIDS = ("ras", "lps", "left-handed", "oblique", "sagittal")


def long_axis(mask):
    """Unit vector in RAS of the largest extent within the slices' plane."""
    points = mask.grid.ras_of(np.argwhere(mask.array)[:, ::-1])
    normal = mask.grid.directions[:, 2]
    flat = points - points.mean(axis=0)
    flat -= np.outer(flat @ normal, normal)
    return np.linalg.svd(flat, full_matrices=False)[2][0]


def test_the_default_changes_nothing_but_the_box():
    volume, mask = blob(grid_named("oblique"))
    image, region = perturb(volume, mask, Perturbation(), margin_mm=5)
    assert np.array_equal(image.array, volume.crop_to(image.grid).array)
    assert np.array_equal(region.array, mask.crop_to(region.grid).array)
    assert region.array.sum() == mask.array.sum()
    assert image.array.size < volume.array.size


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("shift", [(0.25, 0.75, 0.25), (0.0, 0.5, -0.4), (0.75, 0.0, 0.0)])
def test_a_shift_moves_the_centroid_as_asked(name, shift):
    grid = grid_named(name)
    volume, mask = blob(grid)
    image, region = perturb(volume, mask, Perturbation(translation=shift))
    moved_mm = centroid_ras(region) - centroid_ras(mask)
    towards = {"ras": (1, 1, 1), "lps": (-1, -1, 1), "left-handed": (1, 1, -1), "oblique": (-1, 1, 1)}
    signs = towards.get(name, (1, -1, 1))
    asked_mm = grid.directions @ (np.array(signs) * SPACING_IJK * shift[::-1])
    assert np.abs((moved_mm - asked_mm) @ grid.directions / SPACING_IJK).max() < 0.15
    assert region.array.sum() == mask.array.sum()


@pytest.mark.parametrize("name", GRIDS)
def test_image_values_travel_with_the_patient(name):
    grid = grid_named(name)
    volume, mask = blob(grid)
    change = Perturbation(rotation_deg=10, translation=(0.25, 0.75, 0.25))
    image, region = perturb(volume, mask, change)
    from manabi.radiomics.perturb_move import motion

    inside = np.argwhere(region.array)[:, ::-1]
    home = np.linalg.inv(motion(grid, centroid_ras(mask), change))
    before = region.grid.ras_of(inside) @ home[:3, :3].T + home[:3, 3]
    middle = (np.array(grid.shape) - 1) / 2 + (0.3, -0.4, 0.2)
    x, y, z = ((grid.ijk_of(before) - middle[::-1]) * SPACING_IJK).T
    truth = 100 + 30 * np.sin(x / 6) * np.cos(y / 7) + 2 * z
    assert np.abs(image.array[region.array > 0] - truth).max() < 0.05


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("angle", [-12.0, 8.0])
def test_a_turn_is_about_the_centroid_by_the_angle_in_mm_space(name, angle):
    grid = grid_named(name)
    volume, mask = blob(grid, semi_mm=(17.0, 8.0, 16.0))
    _, region = perturb(volume, mask, Perturbation(rotation_deg=angle))
    assert np.abs((centroid_ras(region) - centroid_ras(mask)) @ grid.directions / SPACING_IJK).max() < 0.15
    first, second = long_axis(mask), long_axis(region)
    found = np.rad2deg(np.arccos(min(abs(first @ second), 1.0)))
    assert found == pytest.approx(abs(angle), abs=0.7)
    normal = grid.directions[:, 2] * np.sign(grid.directions[:, 2][np.abs(grid.directions[:, 2]).argmax()])
    turned = np.cross(first, second * np.sign(first @ second)) @ normal
    assert np.sign(turned) == np.sign(angle)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_copy_is_moved_alike(axis):
    volume, mask = blob(grid_named("oblique"))
    signs = [1, 1, 1]
    signs[axis] = -1
    flip = {"axes": (0, 1, 2), "signs": tuple(signs)}
    change = Perturbation(rotation_deg=9, translation=(0.25, 0.75, 0.25), volume_change=0.1)
    image, region = perturb(volume.reoriented(), mask.reoriented(), change)
    copy, copied = perturb(volume.reoriented(**flip), mask.reoriented(**flip), change)
    back, masked = copy.reoriented_like(image.grid), copied.reoriented_like(image.grid)
    assert back.grid.same_as(image.grid)
    assert np.abs(back.array - image.array).max() < 1e-6
    assert np.mean(masked.array != region.array) < 1e-3


@pytest.mark.parametrize("name", ["ras", "oblique"])
@pytest.mark.parametrize("change", [-0.5, -0.15, 0.1, 0.4])
def test_volume_changes_exactly_and_evenly(name, change):
    volume, mask = blob(grid_named(name))
    _, region = perturb(volume, mask, Perturbation(volume_change=change))
    before = mask.crop_to(region.grid).array > 0
    after = region.array > 0
    assert after.sum() == round(before.sum() * (1 + change))
    assert (after & ~before).sum() == max(after.sum() - before.sum(), 0)
    assert np.abs(centroid_ras(region) - centroid_ras(mask)).max() < 0.3
    ends = np.ptp(np.argwhere(after) * SPACING_IJK[::-1], axis=0)
    grown = ends - np.ptp(np.argwhere(before) * SPACING_IJK[::-1], axis=0)
    assert np.abs(grown - grown.mean()).max() <= 2 * SPACING_IJK.max()


def test_contours_vary_round_the_mask_and_repeat_under_a_seed():
    volume, mask = blob(grid_named("oblique"))
    tumour = 40.0 * (np.array(mask.array) > 0)
    noisy = volume.like(volume.array + tumour + np.random.default_rng(0).normal(0, 3, SHAPE))
    before = mask.array > 0
    overlaps, masks = [], []
    for seed in range(2):
        _, region = perturb(noisy, mask, Perturbation(contour=True, seed=seed))
        after = region.uncrop(mask.grid).array > 0
        overlaps.append(2 * (after & before).sum() / (after.sum() + before.sum()))
        masks.append(after)
    again = perturb(noisy, mask, Perturbation(contour=True, seed=0))[1].uncrop(mask.grid).array > 0
    assert 0.75 < min(overlaps) <= max(overlaps) < 1
    assert np.array_equal(masks[0], again)
    assert not np.array_equal(masks[0], masks[1])


@pytest.mark.parametrize("sigma", [2.0, 12.0])
def test_noise_is_measured_and_added_at_its_level(sigma):
    volume, mask = blob(grid_named("oblique"))
    rng = np.random.default_rng(1)
    noisy = volume.like(volume.array + rng.normal(0, sigma, SHAPE))
    assert noise_level(np.asarray(noisy.array)) == pytest.approx(sigma, rel=0.06)
    image, _ = perturb(noisy, mask, Perturbation(noise="estimated"))
    assert (image.array - noisy.crop_to(image.grid).array).std() == pytest.approx(sigma, rel=0.08)
    image, _ = perturb(noisy, mask, Perturbation(noise=5.0))
    assert (image.array - noisy.crop_to(image.grid).array).std() == pytest.approx(5.0, rel=0.03)


def test_noise_of_padding_is_not_counted_and_flat_images_have_none():
    values = np.random.default_rng(2).normal(100, 4, (6, 64, 64))
    values[:, :, 20:] = 0
    assert noise_level(values) == pytest.approx(4, rel=0.15)
    assert noise_level(np.full((3, 8, 8), 7.0)) == 0
    with pytest.raises(InvalidInputError, match="4 by 4"):
        noise_level(np.zeros((9, 2, 9)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (1, 7, 7)])
def test_a_tiny_or_thin_mask_never_vanishes(shape):
    grid = grid_named("oblique")
    array = np.zeros(SHAPE, np.uint8)
    array[tuple(slice(10, 10 + n) for n in shape)] = 3
    volume, mask = blob(grid)[0], Volume(array, grid.ijk_to_ras)
    plan = PerturbationPlan("NRTVC", repeats=4)
    for change in perturbations(plan, 4):
        _, region = perturb(volume, mask, change, label=3)
        assert region.array.sum() >= 1
        assert set(np.unique(region.array)) <= {0, 1}
        assert np.linalg.norm(centroid_ras(region) - centroid_ras(mask, 3)) < 9


def test_a_mask_at_the_edge_moves_out_whole_and_says_so():
    grid = grid_named("lps")
    array = np.zeros(SHAPE, np.uint8)
    array[0:6, 0:9, 0:9] = 1
    volume, mask = Volume(blob(grid)[0].array, grid.ijk_to_ras), Volume(array, grid.ijk_to_ras)
    image, region = perturb(volume, mask, Perturbation(translation=(-0.75, 0.75, 0.75)), margin_mm=0)
    assert region.array.sum() == array.sum()
    assert any("edge" in text for text in image.warnings)
    still, grown = perturb(volume, mask, Perturbation(volume_change=0.3))
    assert grown.array.sum() == round(1.3 * array.sum())
    assert not still.warnings


def test_memory_follows_the_mask_and_inputs_stay_as_they_are():
    grid = Grid((60, 120, 120), np.diag([1.0, 1.0, 1.0, 1.0]))
    values = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    array = np.zeros(grid.shape, np.uint8)
    array[20:26, 40:50, 40:50] = 1
    volume, mask = Volume(values.copy(), grid.ijk_to_ras), Volume(array.copy(), grid.ijk_to_ras)
    image, _ = perturb(volume, mask, perturbations(PerturbationPlan("NRTVC"), 0)[0], margin_mm=5)
    assert image.array.size < 26**3
    assert np.array_equal(volume.array, values) and np.array_equal(mask.array, array)


def test_a_chain_repeats_under_its_seed_and_parts_are_independent():
    volume, mask = blob(grid_named("oblique"))
    change = Perturbation(5, (0.25, 0.25, 0.75), 0.1, 4.0, True, seed=7)
    one, two = perturb(volume, mask, change), perturb(volume, mask, change)
    assert np.array_equal(one[0].array, two[0].array) and np.array_equal(one[1].array, two[1].array)
    other = perturb(volume, mask, replace(change, seed=8))
    assert not np.array_equal(one[0].array, other[0].array)
    grown = perturb(volume, mask, replace(change, contour=False))
    assert np.array_equal(one[0].array, grown[0].array)


def test_impossible_requests_are_explained():
    volume, mask = blob(grid_named("ras"))
    with pytest.raises(InvalidInputError, match="no voxel of label 2"):
        perturb(volume, mask, Perturbation(), label=2)
    elsewhere = Volume(mask.array, mask.grid.shifted(np.array([3, 0, 0]), SHAPE).ijk_to_ras)
    with pytest.raises(GeometryError, match="grid"):
        perturb(volume, elsewhere, Perturbation())
    sheared = np.array(volume.ijk_to_ras)
    sheared[0, 2] += 0.5
    with pytest.raises(GeometryError, match="perpendicular"):
        perturb(Volume(volume.array, sheared), Volume(mask.array, sheared), Perturbation())
    with pytest.raises(InvalidInputError, match="margin_mm"):
        perturb(volume, mask, Perturbation(volume_change=2.0), margin_mm=0)
    with pytest.raises(InvalidInputError, match="0 or more"):
        perturb(volume, mask, Perturbation(), margin_mm=-1)
    single = np.zeros(SHAPE, np.uint8)
    single[5, 5, 5] = 1
    with pytest.raises(InvalidInputError, match="nothing is left"):
        perturb(volume, Volume(single, volume.ijk_to_ras), Perturbation(volume_change=-0.8))
    broken = np.array(volume.array)
    broken[12, 20, 20] = np.nan
    with pytest.raises(InvalidInputError, match="finite"):
        perturb(volume.like(broken), mask, Perturbation())
