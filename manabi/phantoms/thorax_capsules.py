"""Cones with round ends, many at once: what airways and vessels of a simulated chest are made of.

Thousands of thin cones are cut into short pieces; pieces whose boxes have the same size are computed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Canvas, edge

PIECE_VOXELS = 5.0
"""Longest piece, in voxels: short ones have little empty space in their boxes."""
BATCH_VOXELS = 500_000
"""Voxels of boxes computed together (our choice: what a processor's cache and a small memory hold)."""


@dataclass
class Capsules:
    """Cones with round ends: ``start`` and ``end`` ``(n, 3)`` mm, radii ``(n,)`` mm, ``generation`` ``(n,)``."""

    start: list[np.ndarray] = field(default_factory=list)
    end: list[np.ndarray] = field(default_factory=list)
    r0: list[float] = field(default_factory=list)
    r1: list[float] = field(default_factory=list)
    generation: list[int] = field(default_factory=list)

    def add(self, start: np.ndarray, end: np.ndarray, r0: float, r1: float, generation: int) -> None:
        """One more cone."""
        self.start.append(np.asarray(start, float))
        self.end.append(np.asarray(end, float))
        self.r0.append(float(r0))
        self.r1.append(float(r1))
        self.generation.append(generation)

    def table(self, keep: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """All cones, or some, as rows ``start, end, r0, r1`` ``(n, 8)``."""
        columns = (np.array(self.start).reshape(-1, 3), np.array(self.end).reshape(-1, 3))
        rows = np.column_stack((*columns, self.r0, self.r1))
        return rows if keep is None else rows[keep]


def cone_depth(axes: tuple[Tensor, Tensor, Tensor], cones: Tensor, stretch: Tensor) -> Tensor:
    """Mm below the surfaces of cones, each in its own box.

    Args:
        axes: x, y and z of the boxes, which broadcast against ``(m, 1, 1, 1)``.
        cones: ``(m, 8)``: start, end, radii.
        stretch: ``(m,)`` narrows a section's x and widens its y, keeping its area.
    """
    column = [c[:, None, None, None] for c in cones.unbind(1)]
    a, b, (ra, rb) = column[:3], column[3:6], column[6:]
    wide = stretch[:, None, None, None]
    d = [q - p for p, q in zip(a, b, strict=True)]
    length2 = (d[0].square() + d[1].square() + d[2].square()).clamp(min=1e-6)
    rel = [axis - p for axis, p in zip(axes, a, strict=True)]
    t = (rel[0] * (d[0] / length2) + rel[1] * (d[1] / length2) + rel[2] * (d[2] / length2)).clamp_(0.0, 1.0)
    out = ((rel[0] - t * d[0]) / wide).square_()
    out = out.add_(((rel[1] - t * d[1]) * wide).square_()).add_((rel[2] - t * d[2]).square_()).sqrt_()
    return t.mul_(rb - ra).add_(ra).sub_(out)


def occupancy(canvas: Canvas, cones: np.ndarray, stretch: np.ndarray | None = None) -> Tensor:
    """Share of each voxel of the canvas that cones fill, the largest where several meet.

    A section keeps its area ``pi r²`` whatever the grid: an edge that is linear over a voxel ``v`` gives
    ``pi (r² + v² / 12)``, so radii are reduced by as much, and what is thinner than half a voxel fades instead.

    Args:
        canvas: gives the grid.
        cones: ``(n, 8)``, see :meth:`Capsules.table`.
        stretch: ``(n,)``, see :func:`cone_depth`; 1 without.
    """
    out = torch.zeros_like(canvas.hu)
    wide = np.ones(len(cones)) if stretch is None else stretch
    pieces = _pieces(np.column_stack((cones, wide)), PIECE_VOXELS * canvas.voxel)
    rows, first, size = _boxes(canvas, _fitted(pieces, canvas.voxel))
    if not len(rows):
        return out
    keys, group = np.unique(size, axis=0, return_inverse=True)
    for number, key in enumerate(keys):
        members = np.flatnonzero(group.ravel() == number)
        step = max(int(BATCH_VOXELS / key.prod()), 1)
        for begin in range(0, len(members), step):
            chosen = members[begin : begin + step]
            _scatter(canvas, out, rows[chosen], first[chosen], key)
    return out


def _pieces(rows: np.ndarray, longest: float) -> np.ndarray:
    """Cut cones ``(n, 9)`` into pieces no longer than ``longest`` mm, or than they are thick."""
    length = np.linalg.norm(rows[:, 3:6] - rows[:, :3], axis=1)
    count = np.maximum(np.ceil(length / np.maximum(longest, 2.5 * rows[:, 6])), 1).astype(int)
    source = np.repeat(np.arange(len(rows)), count)
    place = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
    low, high = (place / count[source])[:, None], ((place + 1) / count[source])[:, None]
    whole = rows[source]
    a, d = whole[:, :3], whole[:, 3:6] - whole[:, :3]
    r, grow = whole[:, 6:7], whole[:, 7:8] - whole[:, 6:7]
    return np.hstack((a + low * d, a + high * d, r + low * grow, r + high * grow, whole[:, 8:]))


def _fitted(rows: np.ndarray, voxel: float) -> np.ndarray:
    """Radii to draw instead, and by which share of what they fill: ``(n, 10)``."""
    square = rows[:, 6:8] ** 2
    drawn = np.sqrt(np.maximum(square - voxel**2 / 12, voxel**2 / 4))
    share = np.minimum(3 * square.mean(axis=1) / voxel**2, 1.0)
    return np.column_stack((rows[:, :6], drawn, rows[:, 8], share))


def _boxes(canvas: Canvas, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cones that meet the grid, first voxel (x, y, z) of each one's box and its size, rounded up to even numbers."""
    origin, steps = np.array(canvas.origin), np.array(canvas.steps)
    reach = rows[:, 6:8].max(axis=1) * np.maximum(rows[:, 8], 1 / rows[:, 8]) + 0.5 * canvas.voxel
    low = np.minimum(rows[:, :3], rows[:, 3:6]) - reach[:, None]
    high = np.maximum(rows[:, :3], rows[:, 3:6]) + reach[:, None]
    first = np.ceil((low - origin) / steps).astype(int)
    last = np.floor((high - origin) / steps).astype(int)
    shape = np.array(canvas.hu.shape[::-1])
    keep = ((last >= 0) & (first < shape) & (last >= first)).all(axis=1)
    size = last - first + 1
    return rows[keep], first[keep], (size + size % 2)[keep]


def _scatter(canvas: Canvas, out: Tensor, rows: np.ndarray, first: np.ndarray, size: np.ndarray) -> None:
    """Put boxes of one size into the grid."""
    device = out.device
    cones = torch.as_tensor(rows, dtype=torch.float32, device=device)
    shape = canvas.hu.shape[::-1]
    views = ((-1, 1, 1, int(size[0])), (-1, 1, int(size[1]), 1), (-1, int(size[2]), 1, 1))
    index, axes = [], []
    for axis, view in enumerate(views):
        at = torch.as_tensor(first[:, axis], device=device)[:, None] + torch.arange(int(size[axis]), device=device)
        axes.append((canvas.origin[axis] + canvas.steps[axis] * at.float()).reshape(view))
        index.append(at.reshape(view))
    share = edge(cone_depth((axes[0], axes[1], axes[2]), cones[:, :8], cones[:, 8]), canvas.voxel)
    share = share * cones[:, 9, None, None, None]
    for at, count in zip(index, shape, strict=True):
        share = share * ((at >= 0) & (at < count))
    filled = share > 0
    flat = (index[2] * shape[1] + index[1]) * shape[0] + index[0]
    out.view(-1).scatter_reduce_(0, flat[filled], share[filled], "amax")
