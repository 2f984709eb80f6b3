"""Compiled counting: every matrix in one walk over the region's voxels.

Importing this file compiles all kernels or loads them from the folder that ``choose`` named; go through ``choose``.
The kernels hold no lock on the interpreter, so threads run several at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numba.core import config

from manabi.radiomics.texture.cells import Cells, Neighbourhood, Zones, cells_of_table, joined
from manabi.radiomics.texture.choose import kernel_folder, writable
from manabi.radiomics.texture.grid import Grid, Offset

_CHUNK_CELLS = 2**24
_FOLDER = "CACHE_DIR"


Decorator = Callable[[Callable], Callable]


def _compiled(signature: str) -> Decorator:
    """numba's decorator with our folder, unless the user has named one for all of numba."""

    def decorate(function: Callable) -> Callable:
        """Compile now, or load."""
        folder = kernel_folder()
        before = getattr(config, _FOLDER)
        setattr(config, _FOLDER, str(folder))
        try:
            return numba.njit(signature, cache=writable(folder), nogil=True)(function)
        finally:
            setattr(config, _FOLDER, before)

    return decorate


# Positions are unsigned: a signed index would be checked for "from the end", which keeps loops from being vectors. A
# step back is added modulo 2**64.


@_compiled("void(u2[::1], u8[::1], u8[::1], i8[::1], i4[:,:,::1])")
def _count_pairs(flat: np.ndarray, index: np.ndarray, steps: np.ndarray, slots: np.ndarray, table: np.ndarray) -> None:
    for d in range(steps.size):
        step, counts = steps[d], table[slots[d]]
        for v in index:
            a, b = flat[v], flat[v + step]
            counts[min(a, b), max(a, b)] += 1


@_compiled("void(u2[::1], u8[::1], u8[::1], i8[::1], u2[::1], i4[:,:,::1])")
def _count_positions(
    flat: np.ndarray, index: np.ndarray, steps: np.ndarray, slots: np.ndarray, position: np.ndarray, table: np.ndarray
) -> None:
    for d in range(steps.size):
        step, counts = steps[d], table[slots[d]]
        for v in index:
            g = flat[v]
            here = np.uint16(position[v - step] * np.uint16(flat[v - step] == g) + np.uint16(1))
            position[v] = here
            counts[g, here] += 1


@_compiled("u4(u4[::1], u4)")
def _root(parent: np.ndarray, v: int) -> int:
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@_compiled("void(u2[::1], u8[::1], u8[::1], i8[::1], u4[::1])")
def _join(flat: np.ndarray, index: np.ndarray, steps: np.ndarray, apart: np.ndarray, parent: np.ndarray) -> None:
    every = np.int64(-1)
    for v in index:
        g, mine = flat[v], np.uint32(v)
        parent[v] = mine
        left = every
        for n in range(steps.size):
            if (left >> n) & 1 and flat[v + steps[n]] == g:
                left &= apart[n]
                other = _root(parent, np.uint32(v + steps[n]))
                low, high = min(other, mine), max(other, mine)
                parent[high] = low
                mine = low


@_compiled("i8(u2[::1], u8[::1], i4[::1], u4[::1], i8[:,::1])")
def _measure(flat: np.ndarray, index: np.ndarray, border: np.ndarray, parent: np.ndarray, zones: np.ndarray) -> int:
    found = 0
    for n in range(index.size):
        v = index[n]
        if parent[v] == v:
            zone = np.uint32(found)
            found += 1
            zones[0, zone], zones[1, zone], zones[3, zone] = n, flat[v], border[n]
        else:
            zone = parent[parent[v]]
        parent[v] = zone
        zones[2, zone] += 1
        zones[3, zone] = min(zones[3, zone], border[n])
    return found


@_compiled("void(u2[::1], i8[::1], i8[::1], i8[::1], i4, i4[:,::1], i4[:,::1], i4[:,::1], i8[:,::1])")
def _look_around(
    flat: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    steps: np.ndarray,
    alpha: int,
    row: np.ndarray,
    dependent: np.ndarray,
    counted: np.ndarray,
    difference: np.ndarray,
) -> None:
    for n in range(starts.size):
        start, stop = starts[n], stops[n]
        own = flat[start:stop]
        total, number, alike = row[0, : own.size], row[1, : own.size], row[2, : own.size]
        row[:, : own.size] = 0
        for step in steps:
            line = flat[start + step : stop + step]
            for x in range(own.size):
                b = np.int32(line[x])
                inside = np.int32(b > 0)
                total[x] += b
                number[x] += inside
                alike[x] += inside & np.int32(abs(b - np.int32(own[x])) <= alpha)
        for x in range(own.size):
            g = np.int64(own[x])
            if g > 0:
                dependent[g, alike[x]] += 1
                counted[g, number[x]] += 1
                difference[g, number[x]] += abs(g * number[x] - total[x])


def pairs(grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
    """Neighbouring levels (lower, higher) at each step, per matrix of ``slots``."""
    side = grid.n_levels + 1
    return _in_chunks(_count_pairs, (grid.flat, grid.index[part].view(np.uint64)), steps, slots, (side, side))


def runs(grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
    """Levels and lengths of the runs along each step, per matrix of ``slots``.

    Counted are the voxels that are the first, second, third ... of a run; what the second lacks to the first are the
    runs of length 1, and so on. That needs no look ahead.
    """
    position = np.empty(grid.flat.size, np.uint16)
    sides = (grid.n_levels + 1, grid.longest + 2)
    return _in_chunks(_count_positions, (grid.flat, grid.index[part].view(np.uint64)), steps, slots, sides, position)


def zones(grid: Grid, offsets: tuple[Offset, ...], border: np.ndarray) -> Zones:
    """Zones of voxels that touch through ``offsets``; ``border`` is the border distance of each voxel of the region.

    Two neighbours that touch each other are one zone already, so of those only one has to be joined.
    """
    steps, index = grid.steps(offsets).view(np.uint64), grid.index.view(np.uint64)
    gap = np.abs(np.array(offsets)[:, None] - np.array(offsets)).max(axis=2)
    apart = ((gap > 1) << np.arange(steps.size)).sum(axis=1)
    parent = np.empty(grid.flat.size, np.uint32)
    found = np.zeros((4, grid.index.size), np.int64)
    _join(grid.flat, index, steps, apart, parent)
    n_zones = _measure(grid.flat, index, np.ascontiguousarray(border, np.int32), parent, found)
    return Zones(*found[:, :n_zones])


def around(grid: Grid, steps: np.ndarray, alpha: int, part: slice) -> Neighbourhood:
    """The neighbourhood of every voxel, summed up by level; row by row, which the compiler turns into vectors."""
    index = grid.index[part]
    breaks = np.flatnonzero(np.diff(index // grid.shape[2])) + 1
    starts = index[np.concatenate(([0], breaks))]
    stops = index[np.concatenate((breaks - 1, [index.size - 1]))] + 1
    row = np.empty((3, int((stops - starts).max())), np.int32)
    dependent, counted = (np.zeros((grid.n_levels + 1, steps.size + 1), np.int32) for _ in range(2))
    difference = np.zeros(dependent.shape, np.int64)
    _look_around(grid.flat, starts, stops, steps, alpha, row, dependent, counted, difference)
    return Neighbourhood(dependent, counted, difference)


def _in_chunks(
    kernel: Callable,
    arrays: tuple[np.ndarray, ...],
    steps: np.ndarray,
    slots: np.ndarray,
    sides: tuple[int, int],
    *scratch: np.ndarray,
) -> Cells:
    """Run a counting kernel for as many matrices at a time as fit into a bounded table."""
    n_slots = int(slots.max()) + 1
    chunk = max(1, _CHUNK_CELLS // (sides[0] * sides[1]))
    found = []
    for low in range(0, n_slots, chunk):
        mine = (slots >= low) & (slots < low + chunk)
        table = np.zeros((min(chunk, n_slots - low), *sides), np.int32)
        kernel(*arrays, steps[mine].view(np.uint64), slots[mine] - low, *scratch, table)
        if scratch:
            table[..., :-1] -= table[..., 1:]
        table[:, 0], table[..., 0] = 0, 0
        found.append(cells_of_table(table, low))
    return joined(found)
