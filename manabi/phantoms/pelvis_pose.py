"""Where each voxel lies in the average pelvis: position, size, tilt, unevenness."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.pelvis_parameters import Build, Grid, Setup
from manabi.phantoms.slab import axes

NODE_MM = 8.0
"""About the distance of the nodes at which places are worked out; between them they are interpolated."""
UNEVEN_MM = 60.0
"""Size of the smooth random shift."""


def atlas(build: Build, setup: Setup, grid: Grid, rng: np.random.Generator, device: torch.device) -> Points:
    """Atlas places of every voxel of the fine grid, ``(nz, ny, nx)`` each."""
    x, y, z = axes(grid, setup)
    shape = (len(z), len(y), len(x))
    coarse = [
        torch.linspace(float(a[0]), float(a[-1]), max(round(float(a[-1] - a[0]) / NODE_MM) + 1, 2)) for a in (z, y, x)
    ]
    world = torch.meshgrid(*coarse, indexing="ij")
    out = []
    for place in upright((world[2], world[1], world[0]), build, setup):
        counts = [max(round(n * NODE_MM / UNEVEN_MM), 1) + 3 for n in place.shape]
        drawn = torch.as_tensor(rng.standard_normal(counts), dtype=torch.float32)[None, None]
        shift = F.interpolate(drawn, tuple(place.shape), mode="trilinear", align_corners=True)[0, 0]
        moved = (place + 1.5 * build.uneven * shift)[None, None].to(device)
        out.append(F.interpolate(moved, shape, mode="trilinear", align_corners=True)[0, 0])
    return out[0], out[1], out[2]


def upright(p: Points, build: Build, setup: Setup) -> Points:
    """From mm in the room to the atlas: the turns are undone first, then size and width."""
    v = [q / build.size for q in p]
    for angle, a, b in ((setup.tilt_deg, 1, 2), (setup.roll_deg, 0, 2), (setup.turn_deg, 0, 1)):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        v[a], v[b] = v[a] * cos + v[b] * sin, v[b] * cos - v[a] * sin
    return v[0] / build.width, v[1], v[2]
