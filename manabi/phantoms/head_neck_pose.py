"""Where each voxel lies in the upright average patient: position, size, proportions, a bent neck, unevenness."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.head_neck_parameters import Build, Grid, Setup
from manabi.phantoms.slab import axes
from manabi.phantoms.thorax_nodes import table

PIVOT = (0.0, -8.0, -22.0)
"""About which the head is turned: the joints of the first two vertebrae."""
NODE_MM = 7.0
"""About the distance of the nodes at which places are worked out; between them they are interpolated."""
UNEVEN_MM = 55.0
"""Size of the smooth random shift."""


def atlas(build: Build, setup: Setup, grid: Grid, rng: np.random.Generator, device: torch.device) -> Points:
    """Atlas places of every voxel of the fine grid, ``(nz, ny, nx)`` each."""
    x, y, z = axes(grid, setup)
    coarse = [_coarse(axis) for axis in (z, y, x)]
    world = torch.meshgrid(*coarse, indexing="ij")
    moved = _to_atlas((world[2], world[1], world[0]), build, setup)
    shape = (len(z), len(y), len(x))
    out = []
    for axis, place in enumerate(moved):
        place = place + build.uneven * _smooth(world, rng, 0.4 if axis == 2 else 1.0)
        out.append(F.interpolate(place[None, None].to(device), shape, mode="trilinear", align_corners=True)[0, 0])
    return out[0], out[1], out[2]


def _coarse(axis: Tensor) -> Tensor:
    count = max(round(float(axis[-1] - axis[0]) / NODE_MM) + 1, 2)
    return torch.linspace(float(axis[0]), float(axis[-1]), count)


def _smooth(world: tuple[Tensor, ...], rng: np.random.Generator, share: float) -> Tensor:
    """A smooth random shift of standard deviation about ``share``."""
    counts = [max(round(n * NODE_MM / UNEVEN_MM), 1) + 3 for n in world[0].shape]
    values = torch.as_tensor(rng.standard_normal(counts), dtype=torch.float32)
    shape = tuple(world[0].shape)
    return share * 1.5 * F.interpolate(values[None, None], shape, mode="trilinear", align_corners=True)[0, 0]


def _to_atlas(p: Points, build: Build, setup: Setup) -> Points:
    """From mm in the room to the atlas: the bend is undone first, then the proportions."""
    x, y, z = (v / build.size for v in p)
    share = ((z + 0.9 * (y - 10.0).clamp(min=0.0) + 135.0) / 105.0).clamp(0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    x, y, z = _turned((x, y, z), share, setup)
    y = y - setup.lordosis * torch.exp(-(((z + 95.0) / 42.0).square()))
    head = ((z + 75.0) / 60.0).clamp(0.0, 1.0)
    girth = build.neck_width * (1.0 - head)
    x = x / (build.head_width * head + girth)
    middle = -12.0 * (1.0 - head)
    y = middle + (y - middle) / (build.head_length * head + girth)
    jaw = 82.0 * build.face_height
    below = 70.0 * build.neck_length + setup.shoulders
    heights = (-500.0, -jaw - below - 100.0, -jaw - below, -jaw, -6.0, 200.0)
    levels = (-494.0 - 0.0, -252.0, -152.0, -82.0, -6.0, 200.0)
    face = table(z.flatten(), heights, levels, 5.0).reshape(z.shape)
    return x, y, face


def _turned(p: Points, share: Tensor, setup: Setup) -> Points:
    """Undo the head's bend, of which a place takes a share."""
    x, y, z = (v - c for v, c in zip(p, PIVOT, strict=True))
    for angle, (a, b) in ((setup.extend_deg, (1, 2)), (setup.tilt_deg, (0, 2)), (setup.turn_deg, (0, 1))):
        cos, sin = torch.cos(share * math.radians(angle)), torch.sin(share * math.radians(angle))
        v = [x, y, z]
        v[a], v[b] = v[a] * cos + v[b] * sin, v[b] * cos - v[a] * sin
        x, y, z = v
    return x + PIVOT[0], y + PIVOT[1], z + PIVOT[2]
