"""What holds the patient: thermoplastic mask, head rest and couch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Grid, Setup
from manabi.phantoms.slab import axes
from manabi.phantoms.thorax_canvas import edge

COUCH_MM, CARBON_MM = 52.0, 2.5
"""Thickness of the couch and of its carbon skin."""
HALF_COUCH = 200.0
LIFT_MM = 19.0
"""Least distance between the head and the couch."""
REST_HALF_MM, REST_LOW_MM, REST_FRONT_MM = 95.0, -118.0, -25.0
"""Half width of the head rest, its lower end and how far its sides reach to the front."""
HOLE_MM, GAP_MM = 9.0, 0.6
"""Distance of the mask's holes, and of the mask from the skin."""
MASK_HIGH_MM, MASK_LOW_MM, MASK_BACK_MM = 118.0, 165.0, -22.0
"""Where the mask ends: above and below the basion, and behind it."""


def paint_devices(canvas: Canvas, setup: Setup, grid: Grid, skin: Tensor) -> None:
    """Devices, painted before the patient, who displaces them; ``skin`` is the depth below the skin."""
    if setup.mask:
        _paint_mask(canvas, setup, grid, skin)
    if setup.couch:
        _paint_couch(canvas, setup, grid, skin)


def _paint_mask(canvas: Canvas, setup: Setup, grid: Grid, skin: Tensor) -> None:
    """A perforated shell over the face and the front of neck and shoulders."""
    x, y, z = (v.to(skin.device) for v in axes(grid, setup))
    covered = edge(MASK_HIGH_MM - z, canvas.voxel) * edge(z + MASK_LOW_MM, canvas.voxel)
    holes = torch.cos(x * (2 * math.pi / HOLE_MM))[None, :] * torch.cos(z * (2 * math.pi / HOLE_MM))[:, None] > 0.45
    sheet = (covered[:, None] * (1.0 - 0.75 * holes.float()))[:, None, :]
    rows = torch.nonzero(y > MASK_BACK_MM)
    if not len(rows):
        return
    box = (slice(None), slice(int(rows[0]), None), slice(None))
    depth = skin[box]
    shell = edge(depth + setup.mask + GAP_MM, canvas.voxel) * edge(-GAP_MM - depth, canvas.voxel)
    canvas.fill(shell * sheet, "shell", box)


def _paint_couch(canvas: Canvas, setup: Setup, grid: Grid, skin: Tensor) -> None:
    """A flat couch of foam between carbon skins, and a foam rest under head and neck."""
    x, y, z = (v.to(skin.device) for v in axes(grid, setup))
    top = _table(skin, y, z)
    if top is None:
        return
    depth = top - y
    across = edge(HALF_COUCH - x.abs(), canvas.voxel)[None, None, :]
    rows = torch.nonzero(depth > -canvas.voxel)
    if len(rows):
        box = (slice(None), slice(0, int(rows[-1]) + 1), slice(None))
        deep = depth[box[1]][None, :, None]
        slab = edge(deep, canvas.voxel) * edge(COUCH_MM - deep, canvas.voxel) * across
        core = edge(deep - CARBON_MM, canvas.voxel) * edge(COUCH_MM - CARBON_MM - deep, canvas.voxel) * across
        canvas.fill(slab.expand_as(skin[box]), "carbon", box)
        canvas.fill(core.expand_as(skin[box]), "foam", box)
    _paint_rest(canvas, (x, y, z), top)


def _paint_rest(canvas: Canvas, axis: tuple[Tensor, Tensor, Tensor], top: float) -> None:
    """A hollowed block of foam between couch and head."""
    x, y, z = axis
    rows = torch.nonzero((y > top) & (y < REST_FRONT_MM + canvas.voxel))
    if not len(rows):
        return
    box = (slice(None), slice(int(rows[0]), int(rows[-1]) + 1), slice(None))
    y = y[box[1]]
    block = (
        edge(REST_HALF_MM - x.abs(), canvas.voxel)[None, None, :] * edge(z - REST_LOW_MM, canvas.voxel)[:, None, None]
    )
    height = REST_FRONT_MM - 45.0 + 45.0 * (x / REST_HALF_MM).square()
    block = block * edge(height[None, None, :] - y[None, :, None], canvas.voxel)
    canvas.fill(block, "foam", box)


def _table(skin: Tensor, y: Tensor, z: Tensor) -> float | None:
    """Height of the couch's surface: below back and head; None where no patient is in the image."""
    inside = (skin > 0).any(dim=2)
    rows = torch.nonzero(inside.any(dim=0))
    if not len(rows):
        return None
    top = float(y[int(rows[0])]) - 1.0
    head = torch.nonzero(inside[z > -60.0].any(dim=0)) if bool((z > -60.0).any()) else rows[:0]
    return min(top, float(y[int(head[0])]) - LIFT_MM) if len(head) else top
