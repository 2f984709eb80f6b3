"""Which low density inside the body is lung and which is airway, sinus or gas.

All limits are our choice, held against simulated heads and necks on grids of 1.5 and 3 mm.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

AIR_HU = -930.0
CORE_HU, CORE_MM = -500.0, 6.0
"""What is darker and lies deeper than this in its slice is the core of an airway or lung; cores are told apart."""
LUNG_ML, LUNG_CORE_MM = 100.0, 8.0
"""A core is lung with so much of it deeper than this: sinuses and the nose together have a third of it."""
APEX_MM = 12.0
"""A core is lung where it is deeper than this in one of the body's lowest slices: a windpipe is narrower."""
END_SLICES = 3
BULLA_MM = 4.0
"""Air deeper than this inside a lung is air: a large airway or a bulla."""


def depth_mm(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """How far each voxel of a mask lies from what is not in it, in its slice; the image's border counts as inside.

    Rounded to micrometres, so that the last digits of the spacing of an oblique image decide nothing.
    """
    out = np.zeros(mask.shape, np.float32)
    for k in np.flatnonzero(mask.any((1, 2))):
        if mask[k].all():
            out[k] = np.inf
        else:
            out[k] = ndimage.distance_transform_edt(mask[k], (float(spacing_mm[1]), float(spacing_mm[0])))
    return out.round(3)


def lung_mask(low: np.ndarray, smooth: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The part of low density that is nearer to the core of a lung than to that of an airway, in pieces with both.

    HU alone do not tell them apart: a nose on a coarse grid measures what a lung does. Lungs are large, or they leave
    the lowest slices of the body and are wider than a windpipe; and their inside is not air.

    Args:
        low: ``(n, rows, columns)`` bool, what is darker than fat can be; its first slice is the body's lowest.
        smooth: of the same shape, HU after smoothing.
        spacing_mm: of I, J, K.
    """
    depth = depth_mm(low & (smooth < CORE_HU), spacing_mm)
    cores, count = ndimage.label(depth >= CORE_MM)
    lungs = _lung_cores(cores, count, depth, smooth, spacing_mm)
    if not lungs.any():
        return np.zeros_like(low)
    pieces, total = ndimage.label(low)
    holding = np.zeros(total + 1, bool)
    holding[pieces[lungs[cores]]] = True
    holding[0] = False
    nearest = ndimage.distance_transform_edt(
        cores == 0, spacing_mm[::-1], return_distances=False, return_indices=True
    )  # fmt: skip
    lung = holding[pieces] & lungs[cores[tuple(nearest)]]
    air = depth_mm(lung & (smooth <= AIR_HU), spacing_mm) >= BULLA_MM
    if air.any():
        steps = round(BULLA_MM / float(min(spacing_mm[:2])))
        lung &= ~(ndimage.binary_dilation(air, np.ones((1, 3, 3), bool), iterations=max(1, steps)) & (smooth <= AIR_HU))
    return lung


def _lung_cores(
    cores: np.ndarray, count: int, depth: np.ndarray, smooth: np.ndarray, spacing_mm: np.ndarray
) -> np.ndarray:
    """Which cores are lung, ``(count + 1,)``; 0 is no core. The body's lowest slice is the first of its box."""
    lungs = np.zeros(count + 1, bool)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    for number, box in enumerate(ndimage.find_objects(cores), 1):
        inside = cores[box] == number
        wide = inside & (depth[box] >= LUNG_CORE_MM)
        apex = inside & (depth[box] >= APEX_MM)
        apex[max(END_SLICES - box[0].start, 0) :] = False
        inner = apex if apex.any() else wide
        if apex.any() or wide.sum() * voxel_ml >= LUNG_ML:
            lungs[number] = np.median(smooth[box][inner]) > AIR_HU
    return lungs
