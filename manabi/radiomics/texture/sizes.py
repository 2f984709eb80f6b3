"""Sixteen features that glrlm, glszm, gldzm, gldm and ngldm share: a matrix of grey level against some size.

The size is a run length, a zone size, a border distance or a number of dependent voxels. Formulas: Zwanenburg et al.
2020, 10.1148/radiol.2020191145 (reference manual arXiv:1612.07003); first in Galloway 1975,
10.1016/S0146-664X(75)80008-6.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.radiomics.texture.cells import Cells

#: What ``emphases`` returns, in the order of the IBSI tables.
KEYS = (
    "small",
    "large",
    "low",
    "high",
    "small_low",
    "small_high",
    "large_low",
    "large_high",
    "level_nonuniformity",
    "level_nonuniformity_normalised",
    "size_nonuniformity",
    "size_nonuniformity_normalised",
    "percentage",
    "level_variance",
    "size_variance",
    "entropy",
    "energy",
)


def named(
    family: str,
    features: Iterable[str],
    cells: Cells,
    n_voxels: np.ndarray,
    eps: float,
    without: tuple[str, ...] = (),
) -> dict[str, float]:
    """The means of ``emphases`` over the matrices, under the names of a family in the order of ``KEYS``.

    ``without`` are the keys for which the family has no name.
    """
    values = emphases(cells, n_voxels, eps)
    kept = np.stack([values[key] for key in KEYS if key not in without])
    means = kept.mean(axis=1).tolist() if kept.size else [float("nan")] * len(kept)
    return {f"{family}_{name}": mean for name, mean in zip(features, means, strict=False)}


def emphases(cells: Cells, n_voxels: np.ndarray, eps: float) -> dict[str, np.ndarray]:
    """Every feature of every matrix that is not empty.

    Args:
        cells: level (row) against size (column).
        n_voxels: float64, one for each matrix: the voxels that were counted, for the percentage.
        eps: added to probabilities inside logarithms (pyradiomics); 0 is the definition.

    Returns:
        One of ``KEYS`` -> float64, one for each matrix that is not empty.
    """
    level, row = compact(cells.row)
    size, column = compact(cells.column)
    count = cells.count.astype(np.float64)
    by_level = table(cells.matrix, row, count, cells.n_matrices, level.size)
    by_size = table(cells.matrix, column, count, cells.n_matrices, size.size)
    total = by_level.sum(axis=1)
    full = total > 0
    values = _of_margins(level, by_level[full], total[full], ("low", "high", "level"))
    values |= _of_margins(size, by_size[full], total[full], ("small", "large", "size"))
    values |= _joint(cells, level[row] ** 2, size[column] ** 2, total, eps, full)
    values["percentage"] = total[full] / n_voxels[full]
    return values


def compact(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur (float64, ascending), and for each entry which of them it is."""
    found = np.flatnonzero(np.bincount(values))
    place = np.zeros(int(found[-1]) + 1 if found.size else 1, np.int64)
    place[found] = np.arange(found.size)
    return found.astype(np.float64), place[values]


def table(matrix: np.ndarray, place: np.ndarray, weight: np.ndarray, n_matrices: int, width: int) -> np.ndarray:
    """Sums of ``weight`` by matrix and place: (n_matrices, width)."""
    return np.bincount(matrix * width + place, weight, n_matrices * width).reshape(n_matrices, width)


def _of_margins(value: np.ndarray, margin: np.ndarray, total: np.ndarray, keys: tuple[str, str, str]) -> dict:
    """Emphases, non-uniformity and variance along one side of the matrix."""
    inverse, direct, name = keys
    squares = (margin**2).sum(axis=1)
    share = margin / total[:, None]
    mean = (share * value).sum(axis=1, keepdims=True)
    return {
        inverse: (margin / value**2).sum(axis=1) / total,
        direct: (margin * value**2).sum(axis=1) / total,
        f"{name}_nonuniformity": squares / total,
        f"{name}_nonuniformity_normalised": squares / total**2,
        f"{name}_variance": (share * (value - mean) ** 2).sum(axis=1),
    }


def _joint(
    cells: Cells, level2: np.ndarray, size2: np.ndarray, total: np.ndarray, eps: float, full: np.ndarray
) -> dict[str, np.ndarray]:
    """The features that need both sides."""
    share = cells.count / total[cells.matrix]
    weights = {
        "small_low": share / (level2 * size2),
        "small_high": share * level2 / size2,
        "large_low": share * size2 / level2,
        "large_high": share * size2 * level2,
        "entropy": -share * np.log2(share + eps),
        "energy": share**2,
    }
    return {key: np.bincount(cells.matrix, weight, cells.n_matrices)[full] for key, weight in weights.items()}
