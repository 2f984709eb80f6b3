"""Simulated observers: contours of the true organs with the unsteadiness and the bias of people.

They are not people. Each observer has a bias (draws larger or smaller) and a boundary that strays smoothly in the
slice and jumps between slices; where organs are hard to tell apart it strays further. The sizes are our choice, within
the 1 to 2 mm that observers of prostates differ by; the vesicles and the ends of the rectum are worse, the bladder is
better.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.phantoms.pelvis_parameters import PelvisParameters
from manabi.phantoms.pelvis_tissues import BLADDER, PROSTATE, RECTUM, VESICLES

DIFFICULTY = {PROSTATE: 1.0, VESICLES: 1.3, BLADDER: 0.5, RECTUM: 0.8}
"""How far the boundary strays, over that of the prostate."""
SMOOTH_MM = 9.0
"""Standard deviation of the kernel that smooths the straying within a slice."""
BETWEEN_SLICES_MM = 2.5
ENDS = 1.6
"""How much further it strays at the lowest and highest slices of an organ."""


def contour(organs: np.ndarray, parameters: PelvisParameters, reader: int) -> np.ndarray:
    """What one observer draws.

    Args:
        organs: the true labels ``(n, rows, columns)``, 1 to 4.
        parameters: of the case; ``contours`` and ``noise_seed`` are used.
        reader: the observer's number, from 0.

    Returns:
        Labels of the same shape. An observer never draws one organ over another twice: each voxel has one label.
    """
    grid, wanted = parameters.grid, parameters.contours
    spacing = (grid.slice_mm, grid.pixel_mm, grid.pixel_mm)
    out = np.zeros_like(organs)
    best = np.zeros(organs.shape, np.float32)
    for label, factor in DIFFICULTY.items():
        rng = np.random.default_rng([parameters.noise_seed, 100 + reader, label])
        bias = float(rng.normal(0.0, wanted.bias_mm)) * factor
        box = _around(organs == label, spacing)
        if box is None:
            continue
        depth = _depth(organs[box] == label, spacing)
        depth += bias + factor * wanted.jitter_mm * _straying(depth, spacing, rng)
        wins = (depth > 0) & (depth > best[box])
        out[box][wins] = label
        best[box][wins] = depth[wins]
    return out


def _around(mask: np.ndarray, spacing: tuple[float, float, float]) -> tuple[slice, slice, slice] | None:
    """The mask's box with a margin of 15 mm."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found or found[0] is None:
        return None
    sizes = [round(15.0 / s) + 1 for s in spacing]
    k, j, i = (slice(max(b.start - m, 0), b.stop + m) for b, m in zip(found[0], sizes, strict=True))
    return k, j, i


def _depth(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Mm below the surface, negative outside; 0 lies half a pixel outside the outermost voxels."""
    inside = ndimage.distance_transform_edt(mask, spacing)
    outside = ndimage.distance_transform_edt(~mask, spacing)
    half = 0.5 * spacing[1]
    return np.where(mask, inside - half, half - outside).astype(np.float32)


def _straying(depth: np.ndarray, spacing: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """A smooth field of standard deviation 1, larger at the organ's ends."""
    drawn = rng.standard_normal(depth.shape).astype(np.float32)
    sigma = [BETWEEN_SLICES_MM / spacing[0], SMOOTH_MM / spacing[1], SMOOTH_MM / spacing[2]]
    field = ndimage.gaussian_filter(drawn, sigma, mode="wrap")
    field /= max(float(field.std()), 1e-6)
    levels = np.flatnonzero((depth > 0).any(axis=(1, 2)))
    for k in (levels[0] - 1, levels[0], levels[-1], levels[-1] + 1):
        if 0 <= k < len(field):
            field[k] *= ENDS
    return field
