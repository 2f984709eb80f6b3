"""Uneven and tilted stacks on a straight, even grid.

Every value is interpolated between the two true slices around it, each shifted to where it really lies: no uniform
spacing is ever assumed, as ITK does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from manabi.io.dicom.gaps import described
from manabi.io.dicom.stack import Stack

WHOLE = 1e-3
"""A shift by less than this part of a pixel is none (our choice)."""
LEAST_HU = -1024.0


def straightened(
    stack: Stack, slice_at: Callable[[int], np.ndarray], fill: float
) -> tuple[np.ndarray, np.ndarray, str]:
    """Resample a stack to slices along its normal, evenly spaced.

    Rows and columns keep their direction and spacing; where the slices move sideways the image grows by whole pixels,
    so that none of them is cut. Interpolation is linear, within the slices and between them. The last slice of the
    grid lies within half a spacing of the last true one; above it, it has that slice's values (our choice: it is
    still within its thickness).

    Args:
        stack: checked slices.
        slice_at: gives the values of the k-th slice, ``(rows, columns)``.
        fill: value outside the slices.

    Returns:
        Array ``(n, rows, columns)`` in float32, its IJK-to-LPS matrix, and a warning that says what was done.
    """
    heights, spacing = stack.heights_mm, stack.spacing_mm
    rows_mm, columns_mm = stack.pixel_mm
    shifts = stack.sideways_mm / [columns_mm, rows_mm]
    low = np.floor(shifts.min(axis=0) + WHOLE).astype(int)
    grown = np.ceil(shifts.max(axis=0) - WHOLE).astype(int) - low
    rows, columns = stack.frames[0].shape
    shape = (round(heights[-1] / spacing) + 1, rows + int(grown[1]), columns + int(grown[0]))
    placed = _Placed(slice_at, shifts - low, shape[1:], fill)
    array = np.empty(shape, np.float32)
    for k in range(shape[0]):
        below, weight = _between(heights, k * spacing)
        array[k] = placed(below)
        if weight > 0:
            array[k] += np.float32(weight) * (placed(below + 1) - array[k])
    matrix = stack.ijk_to_lps()
    matrix[:3, 3] += matrix[:3, 0] * low[0] + matrix[:3, 1] * low[1]
    return array, matrix, _warning(stack, shape)


def fill_value(least: float, modality: str | None) -> float:
    """What lies outside the slices: the least value of the image, in CT not below air (-1024 HU)."""
    return max(least, LEAST_HU) if modality == "CT" else least


def _between(heights: np.ndarray, height: float) -> tuple[int, float]:
    """The true slice below a height, and the weight of the one above it."""
    below = int(np.clip(np.searchsorted(heights, height + 1e-9, side="right") - 1, 0, len(heights) - 1))
    if below == len(heights) - 1:
        return below, 0.0
    weight = (height - heights[below]) / (heights[below + 1] - heights[below])
    return below, float(np.clip(weight, 0, 1)) if weight > 1e-6 else 0.0


class _Placed:
    """Slices shifted onto the common image; keeps the last two, since neighbours are asked for in turn."""

    def __init__(
        self, slice_at: Callable[[int], np.ndarray], shifts: np.ndarray, shape: tuple[int, ...], fill: float
    ) -> None:
        self._slice_at, self._shifts, self._shape, self._fill = slice_at, shifts, shape, fill
        self._kept: dict[int, np.ndarray] = {}

    def __call__(self, index: int) -> np.ndarray:
        if index not in self._kept:
            self._kept = {k: image for k, image in self._kept.items() if abs(k - index) == 1}
            self._kept[index] = self._shifted(index)
        return self._kept[index]

    def _shifted(self, index: int) -> np.ndarray:
        """The slice at ``shift`` pixels (columns, rows) from the corner of the common image."""
        image = self._slice_at(index).astype(np.float32)
        whole = np.floor(self._shifts[index] + WHOLE).astype(int)
        part = np.clip(self._shifts[index] - whole, 0, 1)
        for axis in (0, 1):
            weight = np.float32(part[1 - axis])
            if weight > WHOLE:
                widths = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
                wide = np.pad(image, widths, constant_values=self._fill)
                ahead, behind = (wide[1:], wide[:-1]) if axis == 0 else (wide[:, 1:], wide[:, :-1])
                image = ahead * (1 - weight) + behind * weight
        canvas = np.full(self._shape, self._fill, np.float32)
        rows, columns = image.shape
        canvas[whole[1] : whole[1] + rows, whole[0] : whole[0] + columns] = image
        return canvas


def describe(stack: Stack) -> str:
    """Why a stack has to be resampled, as the start of a sentence; empty where it need not be."""
    reasons = []
    if stack.is_tilted:
        sideways = float(np.linalg.norm(stack.sideways_mm[-1]))
        angle = np.degrees(np.arctan2(sideways, float(stack.heights_mm[-1])))
        reasons.append(f"tilted by {angle:.1f}° (gantry tilt)")
    if not stack.is_regular:
        reasons.append(f"unevenly spaced ({described(stack.heights_mm)})")
    return f"The slices are {' and '.join(reasons)}" if reasons else ""


def _warning(stack: Stack, shape: tuple[int, ...]) -> str:
    return (
        f"{describe(stack)}; the image was resampled (linear) from their true positions to a straight grid of "
        f"{shape[0]} slices every {stack.spacing_mm:.2f} mm, {shape[1]} rows and {shape[2]} columns."
    )
