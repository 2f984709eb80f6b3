"""What the engines hand to the formulas: whole numbers only, so that all engines agree to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from manabi.radiomics.texture.grid import Grid, Offset

_SMALL_TABLE = 2**18


@dataclass(frozen=True)
class Cells:
    """The filled cells of several matrices.

    Attributes:
        matrix: int64, the number of the matrix, ascending.
        row: int64, the grey level.
        column: int64, the other grey level (glcm: not lower than ``row``), the run length, zone size, distance or
            dependence; ascending within (matrix, row).
        count: int64, 1 or more.
        n_matrices: the number of matrices, empty ones included.
    """

    matrix: np.ndarray
    row: np.ndarray
    column: np.ndarray
    count: np.ndarray
    n_matrices: int


@dataclass(frozen=True)
class Zones:
    """Connected voxels of one level.

    Attributes:
        first: int64, the first voxel of each zone as a position in ``Grid.index``; ascending.
        level: int64.
        size: int64, voxels.
        nearest: int64, the smallest border distance in the zone.
    """

    first: np.ndarray
    level: np.ndarray
    size: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True)
class Neighbourhood:
    """Counts by level (first axis, from 0) and number of neighbours (second axis, from 0); int64.

    Attributes:
        dependent: voxels, by their number of neighbours of about the same level.
        counted: voxels, by their number of neighbours in the region.
        difference: the sum of abs(level * number - sum of the neighbours' levels), by the number in the region.
    """

    dependent: np.ndarray
    counted: np.ndarray
    difference: np.ndarray


class Engine(Protocol):
    """What counts: the module ``kernels_numba`` or ``kernels_numpy``, or a ``TorchEngine``."""

    def pairs(self, grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
        """Neighbouring levels (lower, higher) at each step, per matrix of ``slots``."""

    def runs(self, grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
        """Levels and lengths of the runs along each step, per matrix of ``slots``."""

    def zones(self, grid: Grid, offsets: tuple[Offset, ...], border: np.ndarray) -> Zones:
        """Zones of voxels that touch through ``offsets``, with the smallest ``border`` of their voxels."""

    def around(self, grid: Grid, steps: np.ndarray, alpha: int, part: slice) -> Neighbourhood:
        """The neighbourhood of every voxel, summed up by level."""


def cells_of_table(table: np.ndarray, first: int = 0) -> Cells:
    """The cells of matrices (matrix, row, column) that are not 0; ``first`` is the number of the first matrix."""
    _, rows, columns = table.shape
    flat = table.ravel()
    where = np.flatnonzero(flat != 0)
    line, column = quotient(where, columns)
    matrix, row = quotient(line, rows)
    return Cells(matrix + first, row, column, flat[where].astype(np.int64), first + table.shape[0])


def cells_of_lists(matrix: np.ndarray, row: np.ndarray, column: np.ndarray, n_matrices: int) -> Cells:
    """Count how often each (matrix, row, column) occurs: by a table where that is small, by sorting otherwise."""
    rows, columns = int(row.max(initial=0)) + 1, int(column.max(initial=0)) + 1
    size = n_matrices * rows * columns
    if size <= _SMALL_TABLE:
        counts = np.bincount((matrix * rows + row) * columns + column, minlength=size)
        return cells_of_table(counts.reshape(n_matrices, rows, columns))
    key, count = np.unique((matrix * rows + row) * columns + column, return_counts=True)
    line, columns_found = quotient(key, columns)
    matrices_found, rows_found = quotient(line, rows)
    return Cells(matrices_found, rows_found, columns_found, count, n_matrices)


def quotient(values: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """As ``np.divmod`` of a scalar, which numpy does more slowly than the two steps."""
    whole = values // by
    return whole, values - whole * by


def joined(parts: list[Cells]) -> Cells:
    """Cells of several lists one behind the other; the numbers of the matrices are as they are."""
    if len(parts) == 1:
        return parts[0]
    matrix, row, column, count = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("matrix", "row", "column", "count")
    )
    return Cells(matrix, row, column, count, max(part.n_matrices for part in parts))
