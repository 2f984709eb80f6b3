"""Grey level run length matrices: how far one goes along a line without a change of level.

Galloway 1975, 10.1016/S0146-664X(75)80008-6; Zwanenburg et al. 2020, 10.1148/radiol.2020191145.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.radiomics.texture import sizes
from manabi.radiomics.texture.cells import Cells
from manabi.radiomics.texture.grid import Grid, Offset


def named(features: Iterable[str], cells: Cells, eps: float) -> dict[str, float]:
    """The named features, each the mean over the matrices. Runs of all directions of a matrix are counted voxels."""
    voxels = np.bincount(cells.matrix, cells.count * cells.column, cells.n_matrices)
    return sizes.named("glrlm", features, cells, voxels, eps)


def without_lone(cells: Cells, grid: Grid, directions: tuple[Offset, ...]) -> Cells:
    """Drop the directions along which no line holds two voxels of the region, as pyradiomics does.

    Two voxels on one line count even where they do not touch.
    """
    longest = np.zeros(cells.n_matrices, np.int64)
    np.maximum.at(longest, cells.matrix, cells.column)
    lone = [d for d in np.flatnonzero(longest <= 1) if _all_alone(grid, directions[d])]
    keep = ~np.isin(cells.matrix, lone)
    return Cells(cells.matrix[keep], cells.row[keep], cells.column[keep], cells.count[keep], cells.n_matrices)


def _all_alone(grid: Grid, direction: Offset) -> bool:
    """Whether every line along a direction holds one voxel at most."""
    place = np.array(np.unravel_index(grid.index, grid.shape))
    axis = int(np.flatnonzero(direction)[0])
    line = place - np.outer(direction, place[axis] * direction[axis])
    return np.unique(line, axis=1).shape[1] == grid.index.size
