"""Random textures of a simulated chest, fixed in the chest's own frame: the same pattern on any grid.

Smooth fields are cubic B-splines over random coefficients (Unser M. Splines: a perfect fit for signal and image
processing. IEEE Signal Process Mag 1999, 10.1109/79.799930). Cells are those of Worley S. A cellular texture basis
function. SIGGRAPH 1996, 10.1145/237170.237267.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Box, Canvas

LOW = (-190.0, -150.0, -400.0)
HIGH = (190.0, 170.0, 190.0)
"""Corners (x, y, z) of the room that textures fill; beyond it their border is repeated. Lungs lie within."""
MEAN_SQUARE = 0.4794
"""Mean over a cell of the sum of the squared weights of a cubic B-spline."""


def field(canvas: Canvas, rng: np.random.Generator, scale_mm: float) -> Tensor:
    """A smooth random field over the canvas with mean 0 and variance 1, of structures about ``scale_mm`` apart."""
    count = [math.ceil((high - low) / scale_mm) + 4 for low, high in zip(LOW, HIGH, strict=True)]
    device = canvas.hu.device
    values = torch.as_tensor(rng.standard_normal(count[::-1], dtype=np.float32), device=device)
    axes = (canvas.x, canvas.y, canvas.z)
    by_x, by_y, by_z = (_weights(a, lo, hi, scale_mm, n) for a, lo, hi, n in zip(axes, LOW, HIGH, count, strict=True))
    rows = torch.matmul(by_y, torch.matmul(values, by_x.T))
    return torch.matmul(by_z, rows.flatten(1)).reshape(canvas.hu.shape).mul_(MEAN_SQUARE**-1.5)


def _weights(at: Tensor, low: float, high: float, scale: float, count: int) -> Tensor:
    """Cubic B-splines ``(len(at), count)`` of coefficients ``scale`` mm apart, the first one before ``low``."""
    place = (at.clamp(low, high) - low) / scale + 1.0
    off = (place[:, None] - torch.arange(count, device=at.device)).abs()
    inner = 2 / 3 - off.square() * (1 - off / 2)
    return torch.where(off < 1, inner, (2 - off).clamp(min=0).pow(3) / 6)


def cells(canvas: Canvas, where: Tensor, rng: np.random.Generator, scale_mm: float) -> tuple[Tensor, Tensor]:
    """Cells around scattered points, at the voxels of a mask; of the points, the eight likely to be nearest count.

    Args:
        canvas: gives the grid.
        where: ``(nz, ny, nx)`` mask; ``m`` voxels are computed.
        rng: scatters the points.
        scale_mm: mean distance of the points.

    Returns:
        Mm to the nearest wall between two cells ``(m,)``, and a number from 0 to 1 of the own cell ``(m,)``.
    """
    count = torch.tensor([math.ceil((high - low) / scale_mm) for low, high in zip(LOW, HIGH, strict=True)])
    device = canvas.hu.device
    table = torch.as_tensor(rng.random((int(count.prod()), 4), dtype=np.float32), device=device)
    k, j, i = torch.nonzero(where, as_tuple=True)
    at = torch.stack((canvas.x[i], canvas.y[j], canvas.z[k]), dim=1)
    near, own = _nearest((at - torch.tensor(LOW, device=device)) / scale_mm, table, count.to(device))
    return (near[1] - near[0]) * (0.5 * scale_mm), own


def _nearest(at: Tensor, table: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Distances to the nearest two points ``(2, m)``, one in each unit cell, and the nearest one's number ``(m,)``."""
    near = torch.full((2, len(at)), 1e3, device=at.device)
    own = torch.zeros(len(at), device=at.device)
    base = (at - 0.5).floor()
    for step in itertools.product((0, 1), repeat=3):
        cell = base + torch.tensor(step, dtype=torch.float32, device=at.device)
        clamped = torch.minimum(cell.long().clamp(min=0), count - 1)
        row = table[(clamped[:, 2] * count[1] + clamped[:, 1]) * count[0] + clamped[:, 0]]
        distance = (at - cell - (0.15 + 0.7 * row[:, :3])).square().sum(dim=1).sqrt()
        closer = distance < near[0]
        near[1] = torch.where(closer, near[0], torch.minimum(near[1], distance))
        near[0] = torch.where(closer, distance, near[0])
        own = torch.where(closer, row[:, 3], own)
    return near, own


def lung_box(canvas: Canvas, margin: int = 2) -> Box | None:
    """Indices of the smallest box around the lungs; None without lungs."""
    out = []
    for axis, size in enumerate(canvas.lung.shape):
        others = [other for other in range(3) if other != axis]
        there = torch.nonzero(canvas.lung.amax(dim=others) > 0.05)
        if not len(there):
            return None
        out.append(slice(max(int(there[0]) - margin, 0), min(int(there[-1]) + 1 + margin, size)))
    return out[0], out[1], out[2]


def cropped(canvas: Canvas, box: Box) -> Canvas:
    """A view of a box of the canvas: what is painted on it in place is painted on the canvas."""
    k, j, i = box
    return Canvas(canvas.x[i], canvas.y[j], canvas.z[k], canvas.hu[box], canvas.lung[box], canvas.depth[box],
                  canvas.lumen[box])  # fmt: skip
