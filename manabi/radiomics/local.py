"""Local intensity: the mean of a sphere of 1 cm³ round the brightest voxel, and the largest such mean.

Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003, section 3.2.
"""

from __future__ import annotations

import numpy as np

from manabi.radiomics.region import Box, grown

RADIUS_MM = (3 / (4 * np.pi)) ** (1 / 3) * 10
"""Radius of a sphere of 1 cm³, about 6.2 mm."""


def margin(spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """How many voxels round the region's box the spheres reach."""
    k, j, i = (int(RADIUS_MM / mm) for mm in spacing_mm)
    return k, j, i


def features(image: np.ndarray, box: Box, mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """The two local intensity features of IBSI.

    Args:
        image: float64 (slices, rows, columns) with at least :func:`margin` round the box where the image goes on;
            values outside the region count in the spheres.
        box: the region's box in the image.
        mask: bool, of the box's shape: the intensity mask.
        spacing_mm: slice, row, column.

    Returns:
        ``local_PeakLocal``, the highest mean round a voxel of the highest intensity, and ``local_PeakGlobal``, the
        highest mean round any voxel of the region. Spheres are cut where the image ends.
    """
    reach = margin(spacing_mm)
    wide = grown(box, reach, image.shape)
    means = _sphere_means(image[wide], box, wide, reach, spacing_mm)
    inside, means = image[box][mask], means[mask]
    return {"local_PeakLocal": float(means[inside == inside.max()].max()), "local_PeakGlobal": float(means.max())}


def _sphere_means(
    values: np.ndarray, box: Box, wide: Box, reach: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The mean of the sphere round every voxel of the box, by running sums along the rows."""
    before = [(r - (b.start - w.start), r - (w.stop - b.stop)) for r, b, w in zip(reach, box, wide, strict=True)]
    shape = tuple(side.stop - side.start for side in box)
    padded = np.pad(values.astype(np.float64), before)
    total = _sphere_sums(padded, shape, reach, spacing_mm)
    if padded.shape == values.shape:
        whole = np.ones(tuple(2 * r + 1 for r in reach))
        return total / _sphere_sums(whole, (1, 1, 1), reach, spacing_mm)
    return total / _sphere_sums(np.pad(np.ones(values.shape), before), shape, reach, spacing_mm)


def _sphere_sums(
    values: np.ndarray, shape: tuple[int, ...], reach: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The sum of the sphere round every voxel of a box of this shape that lies ``reach`` inside the values."""
    sums = np.pad(np.cumsum(values, axis=2), ((0, 0), (0, 0), (1, 0)))
    total = np.zeros(shape)
    for k in range(-reach[0], reach[0] + 1):
        for j in range(-reach[1], reach[1] + 1):
            left = RADIUS_MM**2 - (k * spacing_mm[0]) ** 2 - (j * spacing_mm[1]) ** 2
            if left < 0:
                continue
            half = int(np.sqrt(left) / spacing_mm[2])
            rows = sums[k + reach[0] :, j + reach[1] :][: shape[0], : shape[1]]
            first, last = reach[2] - half, reach[2] + half + 1
            total += rows[..., last : last + shape[2]]
            total -= rows[..., first : first + shape[2]]
    return total
