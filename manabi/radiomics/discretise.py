"""Grey levels: intensities as whole numbers from 1, by bins of fixed width or in fixed number.

``ibsi`` follows Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003, section 2.7;
``pyradiomics`` follows van Griethuysen et al., 2017, DOI 10.1158/0008-5472.CAN-17-0339: bins start at a multiple of
their width, whatever the region's lowest value, and its own arithmetic is repeated so that no voxel changes its bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

MOST_LEVELS = 65_535
"""More levels than this cannot be meant: matrices would not fit into memory (our choice)."""
EDGE = 1e-2
"""Part of a bin within which the rounding of a division might choose the wrong one."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Grey levels of a region's voxels.

    Attributes:
        inside: int32, one level from 1 to ``count`` for each voxel of the intensity mask, in the array's order.
        count: number of levels Ng.
        start: intensity at the lower edge of level 1.
        width: width of a level in intensity.
    """

    inside: np.ndarray
    count: int
    start: float
    width: float

    def painted(self, mask: np.ndarray) -> np.ndarray:
        """int32 (slices, rows, columns): the levels in place, 0 outside the mask."""
        whole = np.zeros(mask.shape, np.int32)
        whole[mask] = self.inside
        return whole


def by_width(values: np.ndarray, width: float, start: float | None = None) -> Levels:
    """IBSI's fixed bin size: level ``floor((x - start) / width) + 1``.

    Args:
        values: intensities of the region's voxels.
        width: of a bin, in intensity.
        start: lower edge of the first bin: the lower bound of the re-segmentation range, or None for the minimum;
            no value may lie below.

    Raises:
        InvalidInputError: the width is so small that there would be more than 65,535 levels.
    """
    first = float(values.min()) if start is None else float(start)
    _check_count(values, width)
    inside = np.floor((values - first) / width).astype(np.int32) + 1
    return Levels(inside, int(inside.max()), first, float(width))


def by_count(values: np.ndarray, count: int) -> Levels:
    """IBSI's fixed bin number: ``count`` bins from the minimum to the maximum, which falls into the last one."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Levels(np.ones(len(values), np.int32), 1, low, 1.0)
    inside = np.floor(count * ((values - low) / (high - low))).astype(np.int32) + 1
    np.minimum(inside, count, out=inside)
    return Levels(inside, count, low, (high - low) / count)


def by_width_pyradiomics(values: np.ndarray, width: float) -> Levels:
    """pyradiomics' bin width: edges at multiples of the width, level 1 that of the minimum."""
    low, high = values.min(), values.max()
    _check_count(values, width)
    edges = np.arange(low - (low % width), high + 2 * width, width)
    inside = _digitised(values, edges)
    return Levels(inside, int(inside.max()), float(edges[0]), float(width))


def by_count_pyradiomics(values: np.ndarray, count: int) -> Levels:
    """pyradiomics' bin count: equal bins from the minimum to the maximum, by its own edges."""
    edges = np.histogram_bin_edges(values, count)
    width = float(edges[1] - edges[0])
    edges[-1] += 1
    inside = np.digitize(values, edges).astype(np.int32)
    return Levels(inside, int(inside.max()), float(edges[0]), width)


def _digitised(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """``numpy.digitize`` for equal bins: a division finds the bin; only values close to an edge are compared."""
    first, second = float(edges[0]), float(edges[1])
    place = (values.astype(np.float64) - first) * (1 / (second - first))
    found = place.astype(np.int32)
    place -= found
    close = np.flatnonzero((place < EDGE) | (place > 1 - EDGE))
    found[close] = np.searchsorted(edges, values[close], "right") - 1
    found += 1
    return found


def _check_count(values: np.ndarray, width: float) -> None:
    """Refuse a width that does not suit the values."""
    span = float(values.max() - values.min())
    if span / width > MOST_LEVELS:
        raise InvalidInputError(
            f"Bins of {width:g} would cut values from {values.min():g} to {values.max():g} into {span / width:.0f} "
            f"levels, more than {MOST_LEVELS}. Choose a larger bin_width, or bin_count."
        )
