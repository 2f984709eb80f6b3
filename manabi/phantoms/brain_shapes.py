"""Shapes that the parametric head is made of: depths below surfaces in mm (positive inside), and folded bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.geometry import Grid

Points = tuple[Tensor, Tensor, Tensor]
"""x, y, z of places."""
Box = tuple[slice, slice, slice]
NODE_MM = 3.0
"""Spacing of the nodes at which shapes are worked out, about (our choice); depths between them are interpolated."""
MODES = 14
"""Waves in a band of noise (our choice: enough to look random)."""


class Nodes:
    """A coarser grid over a fine one, and the way back."""

    def __init__(self, grid: Grid, node_mm: float = NODE_MM) -> None:
        self.grid = grid
        self.steps = [max(round(node_mm / v), 1) for v in grid.spacing_mm[::-1]]
        self.counts = [-(-(n - 1) // step) + 1 for n, step in zip(grid.shape, self.steps, strict=True)]

    def part(self, box: Box) -> tuple[Nodes, Box]:
        """The nodes of a box as nodes of their own, and the voxels they cover."""
        view = tuple(slice(b.start * step, min((b.stop - 1) * step + 1, n))
                     for b, step, n in zip(box, self.steps, self.grid.shape, strict=True))  # fmt: skip
        part = Nodes.__new__(Nodes)
        part.steps, part.counts = self.steps, [b.stop - b.start for b in box]
        shape = tuple(v.stop - v.start for v in view)
        part.grid = self.grid.shifted(np.array([v.start for v in view[::-1]], float), shape)
        return part, view  # type: ignore[return-value]

    def ras(self) -> Tensor:
        """RAS mm of the nodes, ``(nk, nj, ni, 3)`` float32."""
        k, j, i = (np.arange(n) * step for n, step in zip(self.counts, self.steps, strict=True))
        matrix = self.grid.ijk_to_ras
        out = (i[None, None, :, None] * matrix[:3, 0] + j[None, :, None, None] * matrix[:3, 1]
               + k[:, None, None, None] * matrix[:3, 2] + matrix[:3, 3])  # fmt: skip
        return torch.from_numpy(out.astype(np.float32))

    def slope(self, field: Tensor) -> Tensor:
        """Length of the gradient per mm at the nodes."""
        spacing = [step * v for step, v in zip(self.steps, self.grid.spacing_mm[::-1], strict=True)]
        total = torch.zeros_like(field)
        for axis, step in enumerate(spacing):
            if field.shape[axis] > 1:
                total += torch.gradient(field, spacing=step, dim=axis)[0].square()
        return total.sqrt()

    def fine(self, field: Tensor) -> Tensor:
        """A field at the nodes, interpolated linearly to every voxel."""
        if max(self.steps) == 1:
            return field
        size = [(n - 1) * step + 1 for n, step in zip(self.counts, self.steps, strict=True)]
        whole = F.interpolate(field[None, None], size, mode="trilinear", align_corners=True)[0, 0]
        return whole[tuple(slice(n) for n in self.grid.shape)]

    def box(self, mask: Tensor) -> Box | None:
        """The box of nodes around a mask, with a margin of one; None for an empty mask."""
        out = []
        for axis, count in enumerate(self.counts):
            where = mask.movedim(axis, 0).flatten(1).any(dim=1).nonzero()
            if not len(where):
                return None
            out.append(slice(max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, count)))
        return out[0], out[1], out[2]


def ellipsoid(p: Points, centre: Sequence[float], semi: Sequence[float]) -> Tensor:
    """Depth below an ellipsoid's surface, to first order."""
    squares, slopes = torch.zeros_like(p[0]), torch.zeros_like(p[0])
    for axis in range(3):
        scaled = (p[axis] - centre[axis]) / semi[axis]
        squares += scaled.square()
        slopes += (scaled / semi[axis]).square()
    radius = squares.sqrt()
    return radius * (1.0 - radius) / slopes.sqrt().clamp(min=1e-6)


def chain(p: Points, path: Sequence[Sequence[float]], flat: float = 1.0) -> Tensor:
    """Depth in a chain of cones through ``(x, y, z, radius)``; ``flat`` below 1 narrows it along x."""
    depth = torch.full_like(p[0], -1e3)
    for (ax, ay, az, ra), (bx, by, bz, rb) in zip(path, path[1:], strict=False):
        d = ((bx - ax) / flat, by - ay, bz - az)
        rel = ((p[0] - ax) / flat, p[1] - ay, p[2] - az)
        length = max(d[0] * d[0] + d[1] * d[1] + d[2] * d[2], 1e-6)
        t = ((rel[0] * d[0] + rel[1] * d[1] + rel[2] * d[2]) / length).clamp(0.0, 1.0)
        away = torch.zeros_like(t)
        for r, v in zip(rel, d, strict=True):
            away += (r - t * v).square()
        away = away.sqrt()
        depth = torch.maximum(depth, ra + t * (rb - ra) - away)
    return depth


def joined(a: Tensor, b: Tensor, blend_mm: float) -> Tensor:
    """Depth in either of two shapes, rounded where they meet."""
    near = (blend_mm - (a - b).abs()).clamp(min=0.0)
    return torch.maximum(a, b) + near.square() / (4.0 * blend_mm)


def band(p: Points, rng: np.random.Generator, wave_mm: float, modes: int = MODES) -> Tensor:
    """Noise of one wavelength (± 25 %), standard deviation 1: a sum of plane waves in random directions."""
    directions = rng.normal(size=(modes, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions * (2 * np.pi / (wave_mm * rng.uniform(0.8, 1.25, (modes, 1))))
    phases = rng.uniform(0, 2 * np.pi, modes)
    total = torch.zeros_like(p[0])
    for (a, b, c), phase in zip(waves.tolist(), phases.tolist(), strict=True):
        total += torch.cos(p[0] * a + p[1] * b + p[2] * c + phase)
    return total * (2.0 / modes) ** 0.5
