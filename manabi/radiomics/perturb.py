"""Perturb an image and its mask as another scan, another position or another observer would.

Zwanenburg et al., Sci Rep 2019;9:614 (10.1038/s41598-018-36938-4). The patient moves and the lattice stays: the result
lies on voxels of the image's own lattice, cut to the mask and a margin, so that memory follows the mask.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.perturb_mask import with_contour, with_volume
from manabi.radiomics.perturb_move import motion, moved
from manabi.radiomics.perturb_noise import noise_level, noisy
from manabi.radiomics.perturb_patch import (
    MARGIN_MM,
    Box,
    Patch,
    bounding_box,
    check_pair,
    clipped,
    cut,
    grid_of,
    moved_box,
    widened,
)
from manabi.radiomics.perturb_plan import ESTIMATED, Perturbation, PerturbationPlan, perturbations
from manabi.volume import Volume

__all__ = ["Perturbation", "PerturbationPlan", "centroid_ras", "noise_level", "perturb", "perturbations"]

SPLINE_VOXELS = 8
"""Read beyond what is wanted, for the cubic spline; what lies farther weighs less than 1e-4 (our choice)."""


def perturb(
    volume: Volume, mask: Volume, perturbation: Perturbation, label: int = 1, margin_mm: float = MARGIN_MM
) -> tuple[Volume, Volume]:
    """Change an image and one label of its mask.

    In this order: noise, turn and shift (one interpolation), volume, contour. The same perturbation gives the same
    result again.

    Args:
        volume: the image.
        mask: labels on the image's grid.
        perturbation: what is done.
        label: the region.
        margin_mm: what is kept around the region, within the image.

    Returns:
        The image (float64) and the mask (uint8, 1 inside, never empty), on one grid: a box of the image's lattice.

    Raises:
        GeometryError: where the two grids differ or are sheared.
        InvalidInputError: where the label is empty, values are not finite, or the volume cannot be had.
    """
    check_pair(volume, mask)
    if not margin_mm >= 0:
        raise InvalidInputError(f"margin_mm must be 0 or more; got {margin_mm}.")
    matrix, read, wanted = _boxes(volume, mask, perturbation, label, margin_mm)
    patch = cut(volume, mask, label, read)
    streams = [np.random.default_rng([perturbation.seed, step]) for step in range(3)]
    if perturbation.noise != 0:
        level = noise_level(patch.values) if perturbation.noise == ESTIMATED else float(perturbation.noise)
        patch = replace(patch, values=noisy(patch.values, level, streams[0]))
    if perturbation.moves:
        patch = moved(patch, matrix, grid_of(volume.grid, wanted))
    if perturbation.volume_change:
        patch = replace(patch, mask=with_volume(patch, perturbation.volume_change, streams[1]))
    if perturbation.contour:
        patch = replace(patch, mask=with_contour(patch, perturbation.supervoxel_mm3, streams[2]))
    return _volumes(volume, mask, patch)


def centroid_ras(mask: Volume, label: int = 1) -> np.ndarray:
    """Mean place of a label's voxels, RAS mm.

    Raises:
        InvalidInputError: where the label has no voxel.
    """
    start, stop = bounding_box(mask, label)
    part = mask.array[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))]
    middle_kji = np.argwhere(part == label).mean(axis=0) + start
    return mask.grid.ras_of(middle_kji[::-1])


def _boxes(
    volume: Volume, mask: Volume, perturbation: Perturbation, label: int, margin_mm: float
) -> tuple[np.ndarray, Box, Box]:
    """The motion (RAS), the box of the image that is read, and the box that the result fills (the same if still)."""
    grid = volume.grid
    box = bounding_box(mask, label)
    margin = np.maximum(np.ceil(margin_mm / grid.spacing_mm[::-1]).astype(int), 1)
    if not perturbation.moves:
        same = clipped(widened(box, margin), grid.shape)
        return np.eye(4), same, same
    matrix = motion(grid, centroid_ras(mask, label), perturbation)
    forth = np.linalg.inv(grid.ijk_to_ras) @ matrix @ grid.ijk_to_ras
    there = moved_box(box, forth)
    wanted = clipped(widened(there, margin), grid.shape, keep=there)
    back = widened(moved_box(wanted, np.linalg.inv(forth)), SPLINE_VOXELS)
    return matrix, clipped(back, grid.shape), wanted


def _volumes(volume: Volume, mask: Volume, patch: Patch) -> tuple[Volume, Volume]:
    """The patch as image and mask; a warning where the image's edge was continued."""
    matrix = patch.grid.ijk_to_ras
    image = replace(volume, array=patch.values, ijk_to_ras=matrix)
    if not patch.known.all():
        image = image.with_warning("The region lies at the image's edge; beyond it the edge's values were continued.")
    return image, replace(mask, array=patch.mask.astype(np.uint8), ijk_to_ras=matrix)
