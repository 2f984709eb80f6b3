"""Two parallel grids: what is read from the finer one, and what is written back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from manabi.geometry import Grid

sys.path.append(str(Path(__file__).resolve().parents[2] / "BrainSeg"))
from BrainSegLib import grids

COARSE = Grid((6, 8, 10), np.diag([2.0, 2.0, 3.0, 1.0]))


def finer(grid, factor):
    return grid.with_spacing(grid.spacing_mm / factor)


def permuted(grid):
    """The same voxels with axes in another order and one of them reversed."""
    matrix = grid.ijk_to_ras[:, [2, 0, 1, 3]].copy()
    k, j, i = grid.shape
    matrix[:3, 3] += matrix[:3, 1] * (i - 1)
    matrix[:3, 1] *= -1
    return Grid((j, i, k), matrix)


def test_turned_grids_are_not_parallel_and_permuted_ones_are():
    turned = COARSE.ijk_to_ras.copy()
    turned[:2, :2] = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]) @ turned[:2, :2]
    assert grids.along(COARSE, Grid(COARSE.shape, turned)) is None
    assert grids.along(COARSE, permuted(COARSE)) is not None


def test_every_voxel_of_a_permuted_grid_is_found_again():
    labels = np.random.default_rng(0).integers(0, 4, COARSE.shape).astype(np.uint8)
    other = permuted(COARSE)
    there = grids.voted(labels, grids.along(other, COARSE))
    assert there.shape == other.shape
    np.testing.assert_array_equal(grids.refined(there, grids.along(COARSE, other)), labels)


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_a_block_goes_to_the_coarse_grid_and_back_without_a_shift(factor):
    fine = finer(COARSE, factor)
    labels = np.zeros(fine.shape, np.uint8)
    f = int(factor)
    labels[f : 4 * f, 2 * f : 6 * f, 3 * f : 8 * f] = 3
    coarse = grids.voted(labels, grids.along(COARSE, fine))
    expected = np.zeros(COARSE.shape, np.uint8)
    expected[1:4, 2:6, 3:8] = 3
    np.testing.assert_array_equal(coarse, expected)
    back = grids.refined(coarse, grids.along(fine, COARSE))
    for one, other in zip(np.nonzero(back), np.nonzero(labels), strict=True):
        assert one.mean() == pytest.approx(other.mean())
    assert 2 * ((back > 0) & (labels > 0)).sum() / ((back > 0).sum() + (labels > 0).sum()) > 0.9


def test_half_of_a_voxel_is_enough_and_the_larger_label_wins():
    fine = finer(COARSE, 2.0)
    labels = np.zeros(fine.shape, np.uint8)
    labels[2, 4:6, 6:8] = 1
    labels[3, 4:6, 6] = 2
    labels[6, 4, 6:8] = 5
    coarse = grids.voted(labels, grids.along(COARSE, fine))
    assert coarse[1, 2, 3] == 1
    assert coarse[3, 2, 3] == 0


def test_a_painted_thin_slice_counts_whatever_half_of_the_voxel_it_lies_in():
    fine = finer(COARSE, 2.0)
    for k in (4, 5):
        labels = np.zeros(fine.shape, np.uint8)
        labels[k, 4:8, 4:8] = 1
        coarse = grids.voted(labels, grids.along(COARSE, fine), 0, [k])
        assert np.flatnonzero(coarse.any(axis=(1, 2))).tolist() == [2]


def test_beyond_the_other_grid_there_is_nothing():
    matrix = COARSE.ijk_to_ras.copy()
    matrix[:3, 3] = (-6.0, 0.0, 0.0)
    shifted = Grid(COARSE.shape, matrix)
    labels = np.ones(COARSE.shape, np.uint8)
    out = grids.voted(labels, grids.along(shifted, COARSE))
    assert not out[:, :, :3].any()
    assert out[:, :, 3:].all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_with_gaps_is_the_one_that_was_painted_across(axis):
    mask = np.zeros((20, 22, 24), bool)
    np.moveaxis(mask, axis, 0)[[4, 9, 15], 5:15, 5:15] = True
    assert grids.painted_axis(mask) == axis
    assert grids.slices_with(mask, axis) == [4, 9, 15]


def test_planes_of_an_oblique_grid_are_the_closest_ones():
    for plane, axis in (("axial", 0), ("coronal", 1), ("sagittal", 2)):
        assert grids.axis_of(COARSE, plane) == axis
        assert grids.plane_of(COARSE, axis) == plane
    assert grids.plane_of(permuted(COARSE), 0) == "coronal"
