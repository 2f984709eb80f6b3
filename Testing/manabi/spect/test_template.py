"""The template's volumes of interest: right volumes, at the right place, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_spect import head_grid, structure_centre
from scipy.spatial.transform import Rotation

from manabi.geometry import Grid
from manabi.result import LEFT, RIGHT
from manabi.spect.template import (
    REGIONS,
    STRUCTURES,
    Pose,
    blurred_density,
    ellipsoid_frame,
    rotation,
    segments,
    weights,
)
from manabi.volume import Volume

POSE = Pose((4.0, 11.0, -6.0), (7.0, -5.0, 9.0), 1.07)
BY_NAME = {structure.name: structure for structure in STRUCTURES}
SPACINGS = [2.2, 3.29, 4.4, (2.0, 3.0, 5.0)]


def ellipsoid_ml(structure, scale=1.0, margin_mm=0.0):
    semi = np.array(structure.semi_axes_mm) * scale + margin_mm
    return 4.0 / 3.0 * np.pi * np.prod(semi) / 1000.0


def voxel_ml(grid):
    return abs(np.linalg.det(grid.ijk_to_ras[:3, :3])) / 1000.0


def centroid(grid, share):
    k, j, i = np.nonzero(share)
    return np.average(grid.ras_of(np.stack([i, j, k], -1)), axis=0, weights=share[k, j, i])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("name", "side"), REGIONS)
def test_a_region_has_the_volume_of_its_ellipsoid(name, side, spacing):
    grid = head_grid(spacing)
    found = weights(grid, POSE, BY_NAME[name], side).sum() * voxel_ml(grid)
    assert found == pytest.approx(ellipsoid_ml(BY_NAME[name], POSE.scale), rel=0.02)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("name", "side"), REGIONS)
def test_a_region_lies_where_the_pose_says(name, side, spacing):
    grid = head_grid(spacing)
    share = weights(grid, POSE, BY_NAME[name], side)
    np.testing.assert_allclose(centroid(grid, share), structure_centre(POSE, name, side), atol=0.15)
    assert share.min() >= 0 and share.max() == 1.0


def test_a_margin_grows_every_axis():
    grid = head_grid()
    found = weights(grid, POSE, BY_NAME["putamen"], "left", 12.0).sum() * voxel_ml(grid)
    assert found == pytest.approx(ellipsoid_ml(BY_NAME["putamen"], POSE.scale, 12.0), rel=0.01)


@pytest.mark.parametrize("name", BY_NAME)
def test_left_is_the_mirror_image_of_right(name):
    grid = head_grid()
    straight = Pose((0.0, 8.0, 3.0))
    left, right = (weights(grid, straight, BY_NAME[name], side) for side in ("left", "right"))
    np.testing.assert_allclose(left, right[:, :, ::-1], atol=1 / 27 + 1e-9)
    assert centroid(grid, left)[0] < 0 < centroid(grid, right)[0]


def test_the_putamens_back_end_points_outwards():
    centre, axes = ellipsoid_frame(BY_NAME["putamen"], "right")
    backwards = -axes[:, 1]
    assert centre[0] > 0 and backwards[1] < 0 < backwards[0]


@pytest.mark.parametrize(
    ("axes", "signs"), [((2, 0, 1), (-1, 1, -1)), ((1, 0, 2), (1, 1, 1)), ((0, 1, 2), (-1, -1, 1))]
)
def test_the_grids_orientation_does_not_matter(axes, signs):
    grid = head_grid(4.0)
    turned = Volume(np.zeros(grid.shape), grid.ijk_to_ras).reoriented(axes, signs)
    for name, side in REGIONS:
        there = turned.like(weights(turned.grid, POSE, BY_NAME[name], side)).reoriented_like(grid)
        np.testing.assert_allclose(there.array, weights(grid, POSE, BY_NAME[name], side), atol=1e-12)


def test_an_oblique_grid_gives_the_same_volume_and_place():
    straight = head_grid(3.0)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (20.0, -12.0, 31.0), degrees=True).as_matrix()
    oblique = Grid(straight.shape, matrix @ straight.ijk_to_ras)
    for name, side in REGIONS:
        share = weights(oblique, POSE, BY_NAME[name], side)
        assert share.sum() * voxel_ml(oblique) == pytest.approx(ellipsoid_ml(BY_NAME[name], POSE.scale), rel=0.02)
        np.testing.assert_allclose(centroid(oblique, share), structure_centre(POSE, name, side), atol=0.15)


def test_a_region_outside_the_grid_weighs_nothing():
    share = weights(head_grid(), Pose((500.0, 0.0, 0.0)), BY_NAME["caudate"], "left")
    assert share.shape == head_grid().shape
    assert not share.any()


def test_a_region_is_cut_at_the_edge_of_the_grid():
    grid = head_grid()
    edge = Pose((float(grid.origin_ras[0]) + 25.0, 0.0, 0.0))
    found = weights(grid, edge, BY_NAME["putamen"], "left").sum() * voxel_ml(grid)
    assert 0.2 < found / ellipsoid_ml(BY_NAME["putamen"]) < 0.8


def test_the_blurred_density_has_the_ellipsoids_moments():
    structure, blur = BY_NAME["putamen"], 4.7
    centre, axes = ellipsoid_frame(structure, "right")
    line = np.arange(-60.0, 61.0, 2.0)
    points = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3) + centre
    density = blurred_density(points, structure, "right", blur)
    assert density.max() == pytest.approx(1.0, abs=0.02)
    local = (points - centre) @ axes
    spread = (density[:, None] * local**2).sum(0) / density.sum()
    np.testing.assert_allclose(spread, np.array(structure.semi_axes_mm) ** 2 / 5 + blur**2, rtol=0.01)


def test_a_pose_maps_its_centre_to_the_origin_and_keeps_angles():
    point = np.asarray(POSE.centre_mm) + POSE.scale * POSE.matrix @ [3.0, -2.0, 5.0]
    np.testing.assert_allclose(POSE.to_template(point), [3.0, -2.0, 5.0], atol=1e-9)
    np.testing.assert_allclose(POSE.matrix @ POSE.matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation(90, 0, 0) @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_segments_are_coded_with_their_side():
    found = segments()
    assert [s.label for s in found] == [1, 2, 3, 4, 5]
    assert [(s.name, s.laterality) for s in found[:2]] == [("left caudate", LEFT), ("right caudate", RIGHT)]
    assert {s.type.scheme for s in found} == {"SCT"}
    assert found[-1].laterality is None
