"""Neighbourhood grey tone difference matrix: how far each level is from the mean of its neighbours.

Amadasun and King 1989, 10.1109/21.44046; Zwanenburg et al. 2020, 10.1148/radiol.2020191145.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.radiomics.texture.cells import Neighbourhood

_NEVER_COARSER = 1e6
_BLOCK_CELLS = 2**22


def named(features: Iterable[str], around: list[Neighbourhood], lone_count: bool) -> dict[str, float]:
    """The named features of one matrix for each entry of ``around``, each the mean over the matrices.

    Args:
        features: names of the catalogue.
        around: neighbourhoods.
        lone_count: a voxel without a neighbour counts as one with a difference of 0 (pyradiomics); IBSI leaves it out.
    """
    found = [one for one in (_features(*_matrix(a, lone_count)) for a in around) if one]
    return {f"ngtdm_{name}": float(np.mean([f[name] for f in found])) if found else float("nan") for name in features}


def _matrix(around: Neighbourhood, lone_count: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels that occur, how often, and their summed differences; float64."""
    numbers = np.arange(1, around.counted.shape[1])
    often = around.counted[:, 0 if lone_count else 1 :].sum(axis=1).astype(np.float64)
    difference = (around.difference[:, 1:] / numbers).sum(axis=1)
    level = np.flatnonzero(often)
    return level.astype(np.float64), often[level], difference[level]


def _features(level: np.ndarray, often: np.ndarray, difference: np.ndarray) -> dict[str, float]:
    """The five features; empty where no voxel counts."""
    if not level.size:
        return {}
    voxels = often.sum()
    p, total = often / voxels, difference.sum()
    grain = float((p * difference).sum())
    n = level.size
    spread = float((p * (level - (p * level).sum()) ** 2).sum())
    away = level - level.mean()
    strength = 2 * float((p * (n * away**2 + (away**2).sum())).sum())
    apart = _summed_gaps(level * p)
    return {
        "Coarseness": 1 / grain if grain else _NEVER_COARSER,
        "Contrast": 2 * spread * total / voxels / (n * (n - 1)) if n > 1 else 0.0,
        "Busyness": grain / apart if apart and n > 1 else 0.0,
        "Complexity": _complexity(level, p, difference) / voxels,
        "Strength": strength / total if total else 0.0,
    }


def _summed_gaps(values: np.ndarray) -> float:
    """The sum of abs(a - b) over all ordered pairs, from the sorted values."""
    n = values.size
    return float(2 * ((2 * np.arange(n) - n + 1) * np.sort(values)).sum())


def _complexity(level: np.ndarray, p: np.ndarray, difference: np.ndarray) -> float:
    """The sum over pairs of levels, some rows at a time so that memory stays bounded."""
    weight, total = p * difference, 0.0
    step = max(1, _BLOCK_CELLS // level.size)
    for start in range(0, level.size, step):
        rows = slice(start, start + step)
        gap = np.abs(level[rows, None] - level)
        total += float((gap * (weight[rows, None] + weight) / (p[rows, None] + p)).sum())
    return total
