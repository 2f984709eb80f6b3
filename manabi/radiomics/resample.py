"""Interpolation to another voxel size as IBSI has it: grids aligned at their centres, one axis after the other.

Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003, section 2.4. Only the box that
is asked for is computed, from the part of the image that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.radiomics.region import Box

SPLINE_MARGIN = 32
"""Voxels beyond which a cubic spline no longer notices an image's values: they count by less than 1e-18 of theirs."""


@dataclass(frozen=True)
class Alignment:
    """One axis of a grid and of the grid it is resampled to.

    Attributes:
        size: voxels of the image.
        new_size: voxels of the new grid, which covers the image's extent.
        ratio: new voxel size over old one.
    """

    size: int
    new_size: int
    ratio: float

    @classmethod
    def of(cls, size: int, spacing_mm: float, new_spacing_mm: float | None) -> Alignment:
        """The alignment of an axis; None keeps the spacing."""
        if new_spacing_mm is None:
            return cls(size, size, 1.0)
        ratio = new_spacing_mm / spacing_mm
        return cls(size, int(np.ceil(size / ratio - 1e-9)), ratio)

    def places(self, start: int, stop: int) -> np.ndarray:
        """Where the new voxels from ``start`` to ``stop`` lie, in indices of the image."""
        return (self.size - 1) / 2 + (np.arange(start, stop) - (self.new_size - 1) / 2) * self.ratio

    def covering(self, side: slice) -> slice:
        """The new voxels that lie less than one old voxel from any of a range of old ones."""
        middle, half = (self.size - 1) / 2, (self.new_size - 1) / 2
        first = np.floor((side.start - 1 - middle) / self.ratio + half)
        last = np.ceil((side.stop - middle) / self.ratio + half)
        return slice(max(int(first), 0), min(int(last) + 1, self.new_size))


def alignments(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], new_spacing_mm: tuple[float | None, ...]
) -> tuple[Alignment, ...]:
    """The alignment of each axis (slices, rows, columns)."""
    return tuple(Alignment.of(*values) for values in zip(shape, spacing_mm, new_spacing_mm, strict=True))


def resampled(array: np.ndarray, axes: tuple[Alignment, ...], box: Box, interpolator: str) -> np.ndarray:
    """The values of an image at a box of the new grid.

    Args:
        array: (slices, rows, columns), any real or bool type.
        axes: as :func:`alignments` gives them.
        box: in voxels of the new grid.
        interpolator: ``nearest``, ``linear`` or ``cubic``; beyond the outermost voxel centres the edge goes on.

    Returns:
        float64, of the box's shape.
    """
    places = [axis.places(side.start, side.stop) for axis, side in zip(axes, box, strict=True)]
    margin = SPLINE_MARGIN if interpolator == "cubic" else 1
    starts = [max(int(np.floor(p[0])) - margin, 0) for p in places]
    stops = [min(int(np.ceil(p[-1])) + margin + 1, n) for p, n in zip(places, array.shape, strict=True)]
    part = array[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))].astype(np.float64)
    for axis, (at, start) in enumerate(zip(places, starts, strict=True)):
        part = _along(part, axis, at - start, interpolator)
    return np.ascontiguousarray(part)


def _along(values: np.ndarray, axis: int, at: np.ndarray, interpolator: str) -> np.ndarray:
    """Values at positions along one axis."""
    size = values.shape[axis]
    inside = np.clip(at, 0, size - 1)
    if np.array_equal(inside, np.rint(inside)):
        return np.take(values, inside.astype(int), axis)
    if interpolator == "nearest":
        return np.take(values, np.floor(inside + 0.5).astype(int).clip(0, size - 1), axis)
    if interpolator == "cubic":
        return _cubic(values, axis, inside)
    below = np.minimum(np.floor(inside).astype(int), size - 2)
    part = _facing(inside - below, axis)
    low = np.take(values, below, axis)
    low *= 1 - part
    high = np.take(values, below + 1, axis)
    high *= part
    low += high
    return low


def _cubic(values: np.ndarray, axis: int, at: np.ndarray) -> np.ndarray:
    """Cubic B-spline through the values, mirrored at the edges (Unser 1999, DOI 10.1109/79.799930)."""
    from scipy.ndimage import spline_filter1d

    size = values.shape[axis]
    coefficients = spline_filter1d(values, 3, axis, mode="mirror")
    below = np.floor(at).astype(int)
    t = at - below
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    total = None
    for step, weight in zip((-1, 0, 1, 2), weights, strict=True):
        index = np.abs(below + step)
        index = np.where(index >= size, 2 * (size - 1) - index, index)
        term = np.take(coefficients, index, axis)
        term *= _facing(weight / 6, axis)
        total = term if total is None else total + term
    return total if total is not None else coefficients


def _facing(values: np.ndarray, axis: int) -> np.ndarray:
    """A vector shaped to run along one of three axes."""
    shape = [1, 1, 1]
    shape[axis] = len(values)
    return values.reshape(shape)
