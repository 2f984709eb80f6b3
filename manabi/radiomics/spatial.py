"""Moran's I and Geary's C: whether neighbouring values are alike, over all pairs of a region's voxels.

Weights are the inverse distances of voxel centres. A sum over pairs is a sum over offsets of a correlation, and so, by
Parseval's theorem, over frequencies of a product of spectra. The rows are transformed first, without room for the
other two axes; then a few of their frequencies at a time get that room. So the padded box, eight times the region's,
is never in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import fft

BLOCK_VALUES = 1_000_000
"""Padded values transformed at once; a block takes about 100 bytes for each (our choice)."""


def moran_geary(
    values: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, float, float], block: int = BLOCK_VALUES
) -> tuple[float, float]:
    """Moran's I and Geary's C (Moran 1950, DOI 10.2307/2332142; Geary 1954, DOI 10.2307/2986645).

    Args:
        values: float64 (slices, rows, columns).
        mask: bool, the voxels that count.
        spacing_mm: slice, row, column.
        block: how many padded values may be transformed at once.

    Returns:
        Both indices; NaN where fewer than two voxels are given or all values are equal.
    """
    inside = values[mask]
    count = len(inside)
    if count < 2 or inside.min() == inside.max():
        return float("nan"), float("nan")
    centred = np.where(mask, values - inside.mean(), 0.0)
    total = float(np.sum(centred**2))
    weights, products, squares = _pair_sums(centred, mask, np.asarray(spacing_mm, float), block)
    moran = count / weights * products / total
    geary = (count - 1) / weights * (squares - products) / total
    return float(moran), float(geary)


def _pair_sums(centred: np.ndarray, mask: np.ndarray, spacing: np.ndarray, block: int) -> tuple[float, float, float]:
    """Sums over ordered pairs of different voxels of w, w x y and w x²."""
    size = [fft.next_fast_len(2 * n - 1, real=True) for n in mask.shape]
    rows = [fft.rfft(one, size[2], axis=2) for one in (mask.astype(np.float64), centred, centred**2)]
    weight_rows = _weight_rows(mask.shape, size, spacing)
    sums = np.zeros(3)
    for part, doubled in _parts(size, block):
        weight = _weight_block(weight_rows[..., part], size) * doubled
        voxels, value, square = (fft.fft2(row[..., part], (size[0], size[1]), axes=(0, 1)) for row in rows)
        sums[0] += np.sum(weight * (voxels.real**2 + voxels.imag**2))
        sums[1] += np.sum(weight * (value.real**2 + value.imag**2))
        sums[2] += np.sum(weight * (voxels.real * square.real + voxels.imag * square.imag))
    weights, products, squares = (sums / np.prod(size)).tolist()
    return weights, products, squares


def _parts(size: list[int], block: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Ranges of the rows' frequencies, with how often each counts: all but the ends stand for their mirror too."""
    frequencies = size[2] // 2 + 1
    times = np.full(frequencies, 2.0)
    times[0] = 1.0
    if size[2] % 2 == 0:
        times[-1] = 1.0
    width = max(block // (size[0] * size[1]), 1)
    for start in range(0, frequencies, width):
        part = slice(start, min(start + width, frequencies))
        yield part, times[part]


def _weight_rows(shape: tuple[int, ...], size: list[int], spacing: np.ndarray) -> np.ndarray:
    """Spectra along the rows of 1 / distance, for offsets of 0 and more along the other axes; real, as even."""
    k, j = (np.arange(n) * mm for n, mm in zip(shape[:2], spacing[:2], strict=True))
    i = _offsets(shape[2], size[2]) * spacing[2]
    rows = np.empty((shape[0], shape[1], size[2] // 2 + 1))
    for n, depth in enumerate(k):
        distance = np.sqrt(depth**2 + j[:, None] ** 2 + i**2)
        if n == 0:
            distance[0, 0] = np.inf
        rows[n] = fft.rfft(1 / distance, axis=1).real
    return rows


def _weight_block(rows: np.ndarray, size: list[int]) -> np.ndarray:
    """The whole spectra of the weights for some of the rows' frequencies; real, as distances are even."""
    for axis in (0, 1):
        rows = np.take(rows, _offsets(rows.shape[axis], size[axis]), axis)
        rows = fft.fft(rows, axis=axis).real
    return rows


def _offsets(count: int, size: int) -> np.ndarray:
    """The size of the offset for each place of a padded axis; places which no two voxels are apart repeat the last."""
    place = np.arange(size)
    return np.minimum(np.minimum(place, size - place), count - 1)
