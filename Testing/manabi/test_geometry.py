"""Grids: where voxels lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manabi.errors import GeometryError
from manabi.geometry import Grid, closest_axes

OBLIQUE = Rotation.from_euler("xyz", (17, -9, 28), degrees=True).as_matrix()


def oblique_grid(shape=(5, 6, 7), spacing=(0.8, 1.1, 2.5), left_handed=False) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = OBLIQUE * spacing * ([-1, 1, 1] if left_handed else [1, 1, 1])
    matrix[:3, 3] = (-31.0, 12.5, 77.0)
    return Grid(shape, matrix)


def sheared_grid(shape=(5, 6, 7), degrees=18.5) -> Grid:
    matrix = oblique_grid().ijk_to_ras.copy()
    matrix[:3, 2] += np.tan(np.radians(degrees)) * 2.5 * OBLIQUE[:, 1]
    return Grid(shape, matrix)


@pytest.mark.parametrize("left_handed", [False, True])
def test_points_go_to_ras_and_back(left_handed):
    grid = oblique_grid(left_handed=left_handed)
    ijk = np.random.default_rng(0).uniform(-5, 20, (3, 4, 3))
    np.testing.assert_allclose(grid.ijk_of(grid.ras_of(ijk)), ijk, atol=1e-9)
    np.testing.assert_allclose(grid.spacing_mm, (0.8, 1.1, 2.5))
    assert grid.is_left_handed == left_handed
    assert not grid.is_sheared


def test_the_matrix_is_a_frozen_copy():
    matrix = np.eye(4)
    grid = Grid((2, 3, 4), matrix)
    matrix[0, 3] = 99.0
    assert grid.ijk_to_ras[0, 3] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        grid.ijk_to_ras[0, 3] = 1.0


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [
        ((2, 3), np.eye(4)),
        ((0, 3, 4), np.eye(4)),
        ((2, 3, 4), np.eye(3)),
        ((2, 3, 4), np.full((4, 4), np.nan)),
        ((2, 3, 4), np.diag([1.0, 0.0, 1.0, 1.0])),
        ((2, 3, 4), np.array([[1.0, 2, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
        ((2, 3, 4), np.diag([1.0, 1.0, 1.0, 2.0])),
    ],
)
def test_what_cannot_be_a_grid_is_refused(shape, matrix):
    with pytest.raises(GeometryError):
        Grid(shape, matrix)


def test_micrometre_voxels_are_a_grid():
    assert Grid((2, 2, 2), np.diag([1e-4, 1e-4, 1e-4, 1.0])).spacing_mm == pytest.approx([1e-4] * 3)


def test_other_spacing_covers_the_same_box():
    grid = oblique_grid(shape=(10, 20, 30))
    other = grid.with_spacing(np.array([1.6, 2.2, 1.25]))
    assert other.shape == (20, 10, 15)
    edge = np.array([-0.5, -0.5, -0.5])
    np.testing.assert_allclose(other.ras_of(edge), grid.ras_of(edge), atol=1e-9)
    np.testing.assert_allclose(other.directions, grid.directions, atol=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.0, 1.0, 1.0), (np.nan, 1.0, 1.0), (-1.0, 1.0, 1.0)])
def test_an_impossible_spacing_is_refused(spacing):
    with pytest.raises(GeometryError, match="three positive"):
        oblique_grid().with_spacing(spacing)


def test_same_place_needs_shape_and_corners():
    grid = oblique_grid()
    nudged = grid.ijk_to_ras.copy()
    nudged[:3, 0] *= 1 + 1e-3
    assert grid.same_as(oblique_grid())
    assert not grid.same_as(Grid(grid.shape, nudged))
    assert not grid.same_as(grid.shifted(np.zeros(3), (5, 6, 6)))


def test_shear_is_seen_and_straightened_around_every_voxel():
    grid = sheared_grid()
    straight = grid.straightened()
    assert grid.is_sheared
    assert not straight.is_sheared
    inside = straight.ijk_of(grid.corners_ras())
    assert inside.min() >= -1e-6
    assert (inside <= np.array(straight.shape[::-1]) - 1 + 1e-6).all()
    np.testing.assert_allclose(straight.directions[:, :2], grid.directions[:, :2], atol=1e-12)
    assert straight.is_left_handed == grid.is_left_handed


def test_straightening_a_straight_grid_changes_nothing():
    for left_handed in (False, True):
        grid = oblique_grid(left_handed=left_handed)
        assert grid.straightened().same_as(grid, 1e-9)


def test_closest_axes_use_every_axis_once():
    axes, signs = closest_axes(OBLIQUE[:, [2, 0, 1]] * [-1, 1, 1])
    assert axes == (1, 2, 0)
    assert signs == (1, 1, -1)
