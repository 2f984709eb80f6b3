"""What BrainSeg's networks are given: the head at 1 mm in RAS order, at its place, in one scale of grey."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from manabi.brain.prepare import LARGEST_MM, MARGIN_MM, head_box, normalised, prepare
from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.volume import Volume

CENTRE = np.array([4.0, -7.0, 11.0])
SEMI = np.array([20.0, 26.0, 18.0])
EYE = CENTRE + [8.0, 12.0, -5.0]
"""A bright ball on the right, in front, below the middle."""
EYE_MM = 6.0
DARK, BODY, BRIGHT = 60.0, 25.0, 200.0


def grid_of(spacing=(1.0, 1.0, 1.0), size_mm=(84.0, 96.0, 80.0), turn=(0, 0, 0), left_handed=False) -> Grid:
    """A grid around the head; spacing and size along I, J, K."""
    spacing = np.asarray(spacing, float)
    count = np.ceil(np.asarray(size_mm) / spacing).astype(int)
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ np.diag([-1.0 if left_handed else 1.0, 1, 1])
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ ((count - 1) / 2)
    return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)


def places(grid: Grid) -> np.ndarray:
    k, j, i = np.indices(grid.shape, np.float32)
    return grid.ras_of(np.stack([i, j, k], -1))


def head(grid: Grid) -> Volume:
    """An ellipsoid of striped tissue with an eye; edges are as wide as a voxel."""
    ras, width = places(grid), float(grid.spacing_mm.max())
    depth = (1 - np.sqrt((((ras - CENTRE) / SEMI) ** 2).sum(-1))) * SEMI.min()
    values = (DARK + BODY * (1 + np.sin(ras.sum(-1) / 4))) * np.clip(depth / width + 0.5, 0, 1)
    eye = np.clip((EYE_MM - np.sqrt(((ras - EYE) ** 2).sum(-1))) / width + 0.5, 0, 1)
    return Volume((values * (1 - eye) + BRIGHT * eye).astype(np.float32), grid.ijk_to_ras, "MR")


GRIDS = {
    "as the networks": grid_of(),
    "half a millimetre": grid_of((0.5, 0.5, 0.5), (50, 60, 46)),
    "thick slices": grid_of((0.8, 0.8, 5.0)),
    "oblique": grid_of((1.1, 0.9, 1.3), turn=(18, -12, 25)),
    "oblique, left-handed": grid_of((1.0, 1.2, 2.0), turn=(-14, 9, 30), left_handed=True),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_head_is_where_it_was_at_one_millimetre(name):
    prepared = prepare(head(GRIDS[name]))
    grid = prepared.volume.grid
    assert grid.spacing_mm == pytest.approx([1.0] * 3)
    assert (np.diag(grid.directions) > 0.8).all(), "columns to the right, rows to the front, slices to the head"
    middle = places(grid)[prepared.image > 0.25].mean(0)
    assert np.abs(middle - CENTRE).max() < 1.0
    eye = places(grid)[prepared.image > 0.9 * prepared.image.max()].mean(0)
    assert np.abs(eye - EYE).max() < (2.5 if name == "thick slices" else 1.0)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_the_array_s_order_changes_nothing(axes):
    volume = head(grid_of((1.0, 1.2, 1.5)))
    first = prepare(volume)
    for signs in ((1, 1, 1), (-1, 1, -1), (-1, -1, -1)):
        again = prepare(volume.reoriented(axes, signs))
        np.testing.assert_array_equal(again.image, first.image)
        assert again.volume.grid.same_as(first.volume.grid)
        assert again.original.same_as(volume.reoriented(axes, signs).grid)


def test_values_are_the_same_for_every_scale_and_shift_below_zero():
    volume = head(GRIDS["as the networks"])
    first = prepare(volume).image
    np.testing.assert_allclose(prepare(volume.like(volume.array * 37.0)).image, first, atol=1e-5)
    np.testing.assert_allclose(prepare(volume.like(volume.array - 1000.0)).image, first, atol=1e-4)


def test_the_percentiles_become_zero_and_one_and_the_rest_is_cut():
    values = torch.cat([torch.zeros(5000), torch.linspace(10, 110, 10_000), torch.full((10,), 5000.0)])
    out = normalised(values.reshape(1, 1, -1)).reshape(-1)
    assert out[:5000].max() == 0.0, "air"
    assert out[5000 + 5000] == pytest.approx(0.5, abs=0.02)
    assert out.max() == 1.5
    assert out[5000 + 9950] == pytest.approx(1.0, abs=0.02)


def test_an_image_of_nothing_comes_back_as_zeros():
    assert not normalised(torch.zeros(4, 5, 6)).any()


def test_the_image_is_cut_to_the_head_with_a_margin():
    grid = grid_of(size_mm=(110.0, 120.0, 100.0))
    prepared = prepare(head(grid))
    sizes = np.array(prepared.image.shape[::-1])
    assert (sizes >= 2 * SEMI + MARGIN_MM).all()
    assert (sizes <= 2 * SEMI + 2 * MARGIN_MM + 10).all()


def test_a_speck_in_the_air_does_not_enlarge_the_box():
    image = np.zeros((80, 80, 80), np.float32)
    image[30:60, 30:60, 30:60] = 1.0
    image[2:6, 2:6, 2:6] = 1.0
    low, high = head_box(image)
    assert min(low) > 15
    assert max(high) < 75
    assert head_box(np.zeros((9, 10, 11), np.float32)) == ((0, 0, 0), (9, 10, 11))


def test_fine_detail_is_averaged_and_not_aliased():
    grid = grid_of((0.25, 1.0, 1.0), (60, 60, 40))
    stripes = np.indices(grid.shape)[2] % 4 < 2
    prepared = prepare(Volume(np.where(stripes, 200.0, 100.0), grid.ijk_to_ras))
    inner = prepared.volume.array[10:-10, 10:-10, 10:-10]
    assert np.ptp(inner) < 0.15, "stripes of 1 mm period cannot be seen at 1 mm"


def test_sheared_axes_are_straightened_and_said():
    matrix = grid_of().ijk_to_ras.copy()
    matrix[:3, 2] += [0.0, 0.3, 0.0]
    volume = head(Grid(grid_of().shape, matrix)).with_warning("known before")
    prepared = prepare(volume)
    assert len(prepared.warnings) == 1
    assert "perpendicular" in prepared.warnings[0]
    middle = places(prepared.volume.grid)[prepared.image > 0.25].mean(0)
    assert np.abs(middle - CENTRE).max() < 1.5


def test_what_is_longer_than_a_head_is_refused():
    long = Volume(np.ones((6, 10, 300), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(InvalidInputError, match="600 mm long. Crop it"):
        prepare(long)
    assert LARGEST_MM < 600
