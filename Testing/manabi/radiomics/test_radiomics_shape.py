"""Shape: bodies whose size is known, and the same numbers however the work is cut."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.radiomics import hull, mesh, shape
from manabi.radiomics.region import Region
from manabi.radiomics.spatial import moran_geary

SPACING = (2.0, 1.0, 1.5)


def region(mask: np.ndarray, spacing: tuple[float, float, float] = SPACING, values: np.ndarray | None = None) -> Region:
    """A region of a mask, by default of intensity 1."""
    return Region(np.ones(mask.shape) if values is None else values, mask, mask, spacing)


def ball(radius_mm: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """A voxel ball."""
    half = [int(radius_mm / mm) + 1 for mm in spacing]
    grid = np.meshgrid(*(np.arange(-n, n + 1) * mm for n, mm in zip(half, spacing, strict=True)), indexing="ij")
    return sum(g**2 for g in grid) <= radius_mm**2


def noise(seed: int, shape_: tuple[int, int, int] = (7, 9, 8)) -> np.ndarray:
    """Random voxels: every configuration of a cell occurs."""
    return np.random.default_rng(seed).random(shape_) > 0.5


def test_one_voxel_is_an_octahedron():
    found = shape.ibsi(region(np.ones((1, 1, 1), bool)))
    assert found["shape_MeshVolume"] == pytest.approx(2 * 1 * 1.5 / 6)
    assert found["shape_VoxelVolume"] == pytest.approx(3.0)
    assert found["shape_Maximum3DDiameter"] == pytest.approx(2.0)
    assert found["shape_VolumeDensityConvexHull"] == pytest.approx(1.0)
    assert found["shape_CentreOfMassShift"] == 0
    assert np.isnan(found["shape_MoransI"]) and np.isnan(found["shape_Elongation"])


def test_ball_is_round_and_fills_its_bodies():
    found = shape.ibsi(region(ball(15.0, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0)))
    assert found["shape_MeshVolume"] == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)
    assert found["shape_Sphericity"] > 0.9
    assert found["shape_Elongation"] == pytest.approx(1.0, abs=1e-6)
    assert found["shape_VolumeDensityAEE"] == pytest.approx(5**1.5 / 8, rel=0.02)
    assert found["shape_VolumeDensityAABB"] == pytest.approx(np.pi / 6 * (30 / 31) ** 3, rel=0.01)
    assert found["shape_AreaDensityAEE"] == pytest.approx(5 / 4 / found["shape_Sphericity"], rel=0.02)
    assert found["shape_VolumeDensityMVEE"] == pytest.approx((30 / 31) ** 3, rel=0.02)


def test_surface_has_no_holes_whatever_the_place():
    codes = [mesh.cell_codes(np.pad(noise(3), ((n, 0), (0, 2 * n), (n, n)))) for n in (0, 3)]
    first, second = (mesh.area_and_volume(c, np.array(SPACING), mirrored=False) for c in codes)
    assert first == pytest.approx(second, rel=1e-12)


def test_surface_agrees_with_a_triangle_mesh():
    from skimage.measure import marching_cubes, mesh_surface_area

    mask = ball(9.0, SPACING)
    points, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=SPACING)
    area, volume = mesh.area_and_volume(mesh.cell_codes(mask), np.array(SPACING), mirrored=False)
    corners = points[faces].astype(float)
    assert area == pytest.approx(mesh_surface_area(points, faces), rel=1e-5)
    expected = abs(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6
    assert volume == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_mirrored_surface_is_that_of_pyradiomics(seed: int):
    radiomics = pytest.importorskip("radiomics")
    mask = noise(seed)
    padded = np.pad(mask, 1).astype(np.int8)
    area, volume, diameters = radiomics.cShape.calculate_coefficients(padded, np.array(SPACING))
    found = mesh.area_and_volume(mesh.cell_codes(mask), np.array(SPACING), mirrored=True)
    assert found == pytest.approx((area, volume), rel=1e-12)
    points = mesh.vertices(mask) * SPACING
    ours = [hull.largest_in_plane(points, axis) for axis in range(3)]
    assert [*ours, hull.largest_distance(points)] == pytest.approx(diameters, rel=1e-12)


def test_moran_and_geary_are_sums_over_pairs():
    rng = np.random.default_rng(1)
    mask = noise(1, (5, 6, 7))
    values = rng.normal(5, 2, mask.shape) + np.arange(7)
    places, inside = np.argwhere(mask) * SPACING, values[mask]
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    weight = np.divide(1, distance, out=np.zeros_like(distance), where=distance > 0)
    centred = inside - inside.mean()
    moran = len(inside) / weight.sum() * (centred @ weight @ centred) / (centred @ centred)
    differences = (weight * (inside[:, None] - inside[None]) ** 2).sum()
    geary = (len(inside) - 1) / (2 * weight.sum()) * differences / (centred @ centred)
    for budget in (10**7, 900, 1):
        assert moran_geary(values, mask, SPACING, budget) == pytest.approx((moran, geary), rel=1e-10)


def test_smallest_box_follows_a_turned_one():
    sides = np.array([3.0, 5.0, 11.0])
    corners = (np.array(np.meshgrid(*[(0, 1)] * 3)).reshape(3, -1).T * sides) @ turn()
    found = hull.smallest_box(hull.hull_of(corners))
    assert sorted(found) == pytest.approx(sides.tolist())


def test_smallest_ellipsoid_follows_a_turned_one():
    rng = np.random.default_rng(4)
    points = rng.standard_normal((400, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    semi_axes = np.array([9.0, 4.0, 2.0])
    found = hull.smallest_ellipsoid((points * semi_axes) @ turn() + 7.0)
    assert found == pytest.approx(semi_axes, rel=0.03)


def test_area_of_an_ellipsoid_is_ibsi_series():
    area, volume = shape._ellipsoid(np.array([2.0, 2.0, 2.0]))
    assert (area, volume) == (pytest.approx(16 * np.pi), pytest.approx(32 / 3 * np.pi))
    assert shape._ellipsoid(np.array([5.7, 4.655, 4.27]))[0] == pytest.approx(388 / 1.36, rel=0.01)
    equal, nearly = (shape._ellipsoid(np.array([3.0, 3.0 - d, 2.0]))[0] for d in (0.0, 1e-7))
    assert equal == pytest.approx(nearly, rel=1e-6)


def test_centre_of_mass_moves_to_the_bright_end():
    values = np.ones((1, 1, 9))
    values[0, 0, 8] = 1e9
    found = shape.ibsi(region(np.ones((1, 1, 9), bool), values=values))
    assert found["shape_CentreOfMassShift"] == pytest.approx(4 * 1.5, rel=1e-6)


def turn() -> np.ndarray:
    """A rotation about no axis in particular."""
    return np.linalg.qr(np.random.default_rng(8).standard_normal((3, 3)))[0]
