"""Counting with torch on any device: gathers, scatters and bincounts, without a loop over voxels.

Written for a GPU, right on a CPU. Only whole numbers are summed, so the order of a scatter does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from manabi.errors import InvalidInputError
from manabi.radiomics.texture.cells import Cells, Neighbourhood, Zones, quotient
from manabi.radiomics.texture.grid import Grid, Offset

_DENSE_CELLS = 2**26


@dataclass(frozen=True)
class TorchEngine:
    """The four counts, on ``device``."""

    device: torch.device

    def pairs(self, grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
        """Neighbouring levels (lower, higher) at each step, per matrix of ``slots``."""
        flat, index, step, slot = self._on_device(grid.flat, grid.index[part], steps, slots)
        here = flat[index].expand(step.numel(), -1)
        there = flat[index + step[:, None]]
        inside = there > 0
        matrix = slot[:, None].expand_as(there)[inside]
        both = here[inside], there[inside]
        side, n_slots = grid.n_levels + 1, int(slots.max()) + 1
        return self._cells(matrix, torch.minimum(*both), torch.maximum(*both), (n_slots, side, side))

    def runs(self, grid: Grid, steps: np.ndarray, slots: np.ndarray, part: slice) -> Cells:
        """Levels and lengths of the runs along each step, per matrix of ``slots``.

        Each voxel points to the one before it in its run, and jumps of 1, 2, 4 ... add up how many there are. What is
        the last of its run has the run's length.
        """
        flat, index, step, slot = self._on_device(grid.flat, grid.index[part], steps, slots)
        before, n_steps = torch.zeros_like(flat), step.numel()
        before[index] = torch.arange(index.numel(), device=self.device)
        level = flat[index].expand(n_steps, -1)
        own = torch.arange(index.numel(), device=self.device).expand(n_steps, -1)
        goes_on = flat[index - step[:, None]] == level
        pointer = torch.where(goes_on, before[index - step[:, None]], own)
        length = goes_on.long()
        for _ in range(math.ceil(math.log2(grid.longest))):
            length = length + length.gather(1, pointer)
            pointer = pointer.gather(1, pointer)
        last = flat[index + step[:, None]] != level
        sides = (int(slots.max()) + 1, grid.n_levels + 1, grid.longest + 1)
        return self._cells(slot[:, None].expand_as(level)[last], level[last], length[last] + 1, sides)

    def zones(self, grid: Grid, offsets: tuple[Offset, ...], border: np.ndarray) -> Zones:
        """Zones of voxels that touch through ``offsets``; ``border`` is the border distance of each voxel."""
        flat, index, step, near = self._on_device(grid.flat, grid.index, grid.steps(offsets), border)
        number, level = torch.zeros_like(flat), flat[index]
        number[index] = torch.arange(index.numel(), device=self.device)
        direction, left = torch.nonzero(flat[index + step[:, None]] == level, as_tuple=True)
        label = _components(left, number[index[left] + step[direction]], index.numel())
        first = torch.nonzero(label == torch.arange(label.numel(), device=self.device)).ravel()
        size = torch.bincount(label, minlength=label.numel())[first]
        nearest = near.clone().scatter_reduce_(0, label, near, "amin")[first]
        return Zones(*(_numpy(column) for column in (first, level[first], size, nearest)))

    def around(self, grid: Grid, steps: np.ndarray, alpha: int, part: slice) -> Neighbourhood:
        """The neighbourhood of every voxel, summed up by level."""
        flat, index, step = self._on_device(grid.flat, grid.index[part], steps)
        level = flat[index]
        there = flat[index + step[:, None]]
        inside = there > 0
        number = inside.sum(dim=0)
        alike = (inside & ((there - level).abs() <= alpha)).sum(dim=0)
        shape = (grid.n_levels + 1, step.numel() + 1)
        size = shape[0] * shape[1]
        dependent, counted = (torch.bincount(level * shape[1] + n, minlength=size) for n in (alike, number))
        difference = torch.zeros(size, dtype=torch.int64, device=self.device)
        difference.scatter_add_(0, level * shape[1] + number, (level * number - there.sum(dim=0)).abs())
        return Neighbourhood(*(_numpy(a).reshape(shape) for a in (dependent, counted, difference)))

    def _on_device(self, *arrays: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(array.astype(np.int64)).to(self.device) for array in arrays]

    def _cells(
        self, matrix: torch.Tensor, row: torch.Tensor, column: torch.Tensor, sides: tuple[int, int, int]
    ) -> Cells:
        """Count how often each (matrix, row, column) occurs: by a table where that is small, else by sorting."""
        key = (matrix * sides[1] + row) * sides[2] + column
        if math.prod(sides) > _DENSE_CELLS:
            found, count = torch.unique(key, return_counts=True)
        else:
            table = torch.bincount(key, minlength=1)
            found = torch.nonzero(table).ravel()
            count = table[found]
        place = _numpy(found)
        line, columns = quotient(place, sides[2])
        matrices, rows = quotient(line, sides[1])
        return Cells(matrices, rows, columns, _numpy(count), sides[0])


def on(device: str) -> TorchEngine:
    """The engine for a torch device such as ``cpu`` or ``cuda:0``.

    Raises:
        InvalidInputError: torch does not know the device, or it is not there.
    """
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as problem:
        raise InvalidInputError(f"torch cannot use the device {device!r}: {problem}. Use torch:cpu.") from problem
    return TorchEngine(chosen)


def _components(left: torch.Tensor, right: torch.Tensor, n: int) -> torch.Tensor:
    """The smallest member of the component of each of ``n`` nodes.

    Hook the root of either end of an edge to the smaller root, then let every node point to its root; until nothing
    changes (after Shiloach and Vishkin 1982, 10.1016/0196-6774(82)90008-6).
    """
    label = torch.arange(n, device=left.device)
    while True:
        ends = label[left], label[right]
        apart = ends[0] != ends[1]
        if not bool(apart.any()):
            return label
        left, right = left[apart], right[apart]
        low, high = torch.minimum(*ends)[apart], torch.maximum(*ends)[apart]
        label.scatter_reduce_(0, high, low, "amin")
        shorter = label[label]
        while not torch.equal(shorter, label):
            label, shorter = shorter, shorter[shorter]


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.int64, copy=False)
