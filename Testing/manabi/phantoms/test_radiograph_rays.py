"""Sums along diverging rays: against an integration of its own, slabs, spheres and their magnification."""

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass, gaussian_filter, map_coordinates

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_rays import Beam, Grid, ray_sums

STEP = 4.0


def grid_of(nx=61, ny=41, nz=55, step=STEP):
    axes = [torch.arange(n, dtype=torch.float32) * step - (n - 1) / 2 * step for n in (nx, ny, nz)]
    return Grid(*axes)


def sums(volume, grid, beam):
    """Of a volume ``(nz, ny, nx)``."""
    values = torch.as_tensor(volume, dtype=torch.float32)
    return ray_sums(lambda chosen: values[:, chosen].transpose(0, 1)[:, None], grid, beam)[0].numpy()


def sphere(grid, centre, radius):
    x, y, z = (axis.numpy() for axis in (grid.x, grid.y, grid.z))
    depth = radius - np.sqrt(
        (x[None, None] - centre[0]) ** 2 + (y[None, :, None] - centre[1]) ** 2 + (z[:, None, None] - centre[2]) ** 2
    )
    return np.clip(depth / (z[1] - z[0]) + 0.5, 0, 1)


def test_a_slab_across_the_beam_is_as_long_as_rays_are_oblique():
    grid, geometry = grid_of(), FilmGeometry(32, 4.0)
    slab = np.zeros((55, 41, 61))
    slab[:, 10:30] = 1.0
    found = sums(slab, grid, Beam(geometry, 0.0, 0.0, 150.0))
    np.testing.assert_allclose(found, 20 * STEP * geometry.obliquity(), rtol=1e-5)


def test_sums_are_those_of_an_integration_along_each_ray():
    rng = np.random.default_rng(3)
    volume = gaussian_filter(rng.random((55, 41, 61)), 3.0)
    volume[:, [0, -1]] = 0.0  # the ends of a ray would depend on how its first and last step are counted
    grid, geometry = grid_of(), FilmGeometry(16, 8.0)
    beam = Beam(geometry, 6.0, -9.0, 140.0)
    found = sums(volume, grid, beam)
    steps = np.linspace(0.0, 1.0, 20001)
    for row, column in ((0, 0), (3, 12), (8, 8), (15, 2)):
        u, v = geometry.offsets_mm()[[column, row]]
        source = np.array([6.0, 140.0 - geometry.source_detector_mm, -9.0])
        pixel = np.array([6.0 + u, 140.0, -9.0 + v])
        low, high = ((y - source[1]) / geometry.source_detector_mm for y in (-80.0, 80.0))
        at = source + (low + (high - low) * steps[:, None]) * (pixel - source)
        index = [(at[:, k] - float(axis[0])) / STEP for k, axis in ((2, grid.z), (1, grid.y), (0, grid.x))]
        values = map_coordinates(volume, index, order=1)
        length = np.linalg.norm(pixel - source) * (high - low)
        assert found[row, column] == pytest.approx(values.mean() * length, rel=3e-3)


@pytest.mark.parametrize("y", [-40.0, 0.0, 50.0])
def test_a_sphere_lies_and_is_magnified_as_the_geometry_says(y):
    grid, geometry = grid_of(), FilmGeometry(64, 4.0)
    beam = Beam(geometry, 0.0, 0.0, 120.0)
    centre, radius = (30.0, y, -22.0), 24.0
    found = sums(sphere(grid, centre, radius), grid, beam)
    (place,) = geometry.to_film(np.array([[centre[0], centre[2], 120.0 - y]]))
    np.testing.assert_allclose(center_of_mass(found), place, atol=0.1)
    assert found.max() == pytest.approx(2 * radius, rel=0.04)
    scale = float(geometry.magnification(120.0 - y))
    volume = 4 / 3 * np.pi * radius**3
    assert found.sum() * geometry.pixel_mm**2 == pytest.approx(volume * scale**2, rel=0.03)


def test_nothing_comes_from_outside_the_grid():
    grid, geometry = grid_of(nx=11, nz=11), FilmGeometry(64, 4.0)
    found = sums(np.ones((11, 41, 11)), grid, Beam(geometry, 0.0, 0.0, 120.0))
    assert found[0, 0] == 0.0
    assert found[32, 32] > 0.0


def test_a_grid_without_planes_is_refused():
    grid = Grid(torch.arange(3.0), torch.zeros(0), torch.arange(3.0))
    with pytest.raises(InvalidInputError):
        ray_sums(lambda chosen: torch.zeros(0, 1, 3, 3), grid, Beam(FilmGeometry(16, 4.0), 0.0, 0.0, 100.0))
