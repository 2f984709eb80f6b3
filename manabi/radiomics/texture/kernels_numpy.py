"""Counting with numpy alone: for where numba is missing or not compiled yet."""

from __future__ import annotations

import numpy as np

from manabi.radiomics.texture.cells import Cells, Neighbourhood, Zones, cells_of_lists, cells_of_table, joined
from manabi.radiomics.texture.grid import Grid, Offset

_DENSE_CELLS = 2**22


def pairs(grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
    """Neighbouring levels (lower, higher) at each step, per matrix of ``slots``."""
    index = grid.index[part]
    here = grid.flat[index].astype(np.int64)
    side, found = grid.n_levels + 1, []
    for slot in range(int(slots.max()) + 1):
        mine = steps[slots == slot]
        there = np.concatenate([grid.flat[index + step] for step in mine]).astype(np.int64)
        both = np.tile(here, mine.size)[there > 0], there[there > 0]
        found.append(_cells(np.minimum(*both), np.maximum(*both), slot, (side, side)))
    return joined(found)


def runs(grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
    """Levels and lengths of the runs along each step, per matrix of ``slots``.

    Voxels with nothing before them in their run or more, with one or more, and so on; each set is within the one
    before. The first difference of their numbers counts the voxels at each place of a run, the second the runs.
    """
    sides = (int(slots.max()) + 1, grid.longest + 2, grid.n_levels + 1)
    table = np.zeros(sides, np.int64)
    for step, slot in zip(steps, slots, strict=True):
        alive = grid.index[part]
        length = 0
        while alive.size:
            length += 1
            level = grid.flat[alive]
            table[slot, length] += np.bincount(level, minlength=sides[2])
            alive = alive[grid.flat[alive - length * step] == level]
    for _ in range(2):
        table[:, :-1] -= table[:, 1:].copy()
    table[:, 0] = 0
    return cells_of_table(np.ascontiguousarray(table.transpose(0, 2, 1)))


def zones(grid: Grid, offsets: tuple[Offset, ...], border: np.ndarray) -> Zones:
    """Zones of voxels that touch through ``offsets``; ``border`` is the border distance of each voxel of the region."""
    n, steps = grid.index.size, grid.steps(offsets)
    number = np.zeros(grid.flat.size, np.int32)
    number[grid.index] = np.arange(n)
    level = grid.flat[grid.index]
    touching = [np.flatnonzero(grid.flat[grid.index + step] == level) for step in steps]
    ends = [number[grid.index[voxels] + step] for voxels, step in zip(touching, steps, strict=True)]
    root = smallest_of_component(n, np.concatenate(touching), np.concatenate(ends))
    first = np.flatnonzero(root == np.arange(n))
    label = np.searchsorted(first, root)
    nearest = np.full(first.size, np.iinfo(np.int64).max)
    np.minimum.at(nearest, label, border)
    return Zones(first, level[first].astype(np.int64), np.bincount(label), nearest)


def smallest_of_component(n: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The smallest member of the connected component of each of ``n`` nodes.

    Roots that an edge joins hang onto the smallest root beside them, then all paths are cut short, until no edge joins
    two components (after Y. Shiloach, U. Vishkin, 1982, 10.1016/0196-6774(82)90008-6). SciPy has it too, but importing
    its sparse matrices takes longer than this does on a small region.

    Args:
        n: nodes.
        one: ``(edges,)`` one end of each edge.
        other: ``(edges,)`` its other end.
    """
    root = np.arange(n)
    while one.size:
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    return root


def around(grid: Grid, steps: np.ndarray, alpha: int, part: slice) -> Neighbourhood:
    """The neighbourhood of every voxel, summed up by level."""
    index = grid.index[part]
    level = grid.flat[index].astype(np.int64)
    total, number, alike = (np.zeros(index.size, np.int64) for _ in range(3))
    for step in steps:
        there = grid.flat[index + step].astype(np.int64)
        inside = there > 0
        total += there
        number += inside
        alike += inside & (np.abs(there - level) <= alpha)
    shape = (grid.n_levels + 1, steps.size + 1)
    dependent, counted = (np.bincount(level * shape[1] + n, minlength=shape[0] * shape[1]) for n in (alike, number))
    difference = np.bincount(level * shape[1] + number, np.abs(level * number - total), shape[0] * shape[1])
    return Neighbourhood(*(a.reshape(shape) for a in (dependent, counted, difference.astype(np.int64))))


def _cells(row: np.ndarray, column: np.ndarray, slot: int, sides: tuple[int, int]) -> Cells:
    """Cells of one matrix: by a table where that is small, by sorting otherwise."""
    if sides[0] * sides[1] > _DENSE_CELLS:
        return cells_of_lists(np.full(row.size, slot), row, column, slot + 1)
    counts = np.bincount(row * sides[1] + column, minlength=sides[0] * sides[1])
    return cells_of_table(counts.reshape(1, *sides), slot)
