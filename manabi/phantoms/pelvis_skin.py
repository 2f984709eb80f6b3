"""Outline of the simulated pelvis: trunk, thighs, genitals, cleft; skin with fat below it; the couch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.brain_shapes import Points, joined
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_shapes import LEVEL_MM, Body, ball, oval, path, sections
from manabi.phantoms.pelvis_parameters import Build, Grid, Setup
from manabi.phantoms.slab import axes
from manabi.phantoms.thorax_canvas import edge

SKIN_MM = 2.0
NODE_MM = 3.5
AVERAGE_FAT_MM = 24.0
TRUNK = ((-84.0, -22.0, 30.0, 26.0, 34.0), (-66.0, -22.0, 118.0, 70.0, 78.0), (-45.0, -20.0, 174.0, 102.0, 96.0),
         (-20.0, -19.0, 182.0, 116.0, 104.0), (0.0, -24.0, 184.0, 125.0, 101.0), (30.0, -38.0, 184.0, 141.0, 85.0),
         (60.0, -40.0, 180.0, 153.0, 85.0), (95.0, -25.0, 170.0, 150.0, 99.0), (130.0, -22.0, 168.0, 162.0, 92.0),
         (170.0, -6.0, 170.0, 152.0, 92.0), (260.0, -6.0, 170.0, 152.0, 92.0))  # fmt: skip
"""Height; y where widest; half width; from there to the front; to the back."""
THIGH = ((-30.0, -18.0, 86.0, 92.0, 88.0), (-75.0, -14.0, 87.0, 92.0, 84.0), (-120.0, -8.0, 84.0, 88.0, 80.0),
         (-180.0, -2.0, 79.0, 82.0, 76.0), (-320.0, 0.0, 66.0, 72.0, 68.0))  # fmt: skip
LEG_X = 90.0
SCROTUM = ball((0, 58, -88), (34, 30, 34))
COUCH_MM, CARBON_MM, HALF_COUCH_MM = 60.0, 2.5, 265.0


def outline(p: Points, build: Build, side: float = 1.0) -> Tensor:
    """Depth below the skin; the penis lies to the right for a ``side`` of 1."""
    extra = build.fat - AVERAGE_FAT_MM
    bulge = build.belly * ((p[2] - 10.0) / 110.0).clamp(0.0, 1.0)
    y = torch.where(p[1] > 0, p[1] / (1.0 + (0.85 * extra + bulge) / 105.0), p[1] / (1.0 + 0.5 * extra / 120.0))
    trunk = _hull((p[0] / (1.0 + (0.7 * extra + 0.3 * bulge) / 182.0), y, p[2]), TRUNK)
    thigh = _hull(((p[0].abs() - LEG_X) / (1.0 + 0.3 * extra / 86.0), p[1], p[2]), THIGH)
    whole = joined(trunk, thigh, 6.0)
    shaft = path((0, 60, -55, 13), (6 * side, 84, -48, 14), (12 * side, 98, -28, 14), (16 * side, 102, -8, 12))
    for part in (SCROTUM, shaft):
        whole = joined(whole, part.depth(p), 8.0)
    return whole


def _hull(p: Points, rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """Depth in a hull of ovals whose front and back halves differ; its ends are level."""
    table = np.asarray(sorted(rows))
    full = np.column_stack((table, np.zeros(len(table))))
    look = torch.as_tensor(sections(full, 8.0), dtype=torch.float32, device=p[0].device)
    bottom, top = table[0, 0], table[-1, 0]
    index = ((p[2] - bottom) / LEVEL_MM).round_().long().clamp_(0, look.shape[1] - 1)
    middle, a, front, back = look[:4, index]
    rel = p[1] - middle
    b = torch.where(rel > 0, front, back)
    return torch.minimum(oval(p[0] / a, rel / b, a, b, 0.06), torch.minimum(top - p[2], p[2] - bottom))


def skin_on(canvas: Canvas, build: Build, side: float) -> Tensor:
    """Depth below the skin on the whole grid, interpolated from places about :data:`NODE_MM` apart."""
    steps = [max(round(NODE_MM / s), 1) for s in canvas.spacing_mm[::-1]]
    counts = [max(n // step, 2) for n, step in zip(canvas.hu.shape, steps, strict=True)]
    coarse = [F.interpolate(v[None, None], counts, mode="trilinear", align_corners=True)[0, 0] for v in canvas.points]
    depth = outline((coarse[0], coarse[1], coarse[2]), build, side)
    return F.interpolate(depth[None, None], tuple(canvas.hu.shape), mode="trilinear", align_corners=True)[0, 0]


CLEFT = Body(
    (-4.0, -200.0, -120.0), (4.0, -62.0, 18.0),
    lambda p: torch.minimum(1.6 - p[0].abs(), torch.minimum(-78.0 - 0.4 * p[2].clamp(min=-40.0) - p[1], 16.0 - p[2])),
)  # fmt: skip
"""Skin against skin between the buttocks."""


def paint_skin(canvas: Canvas, depth: Tensor) -> None:
    """Fill the outline with fat under skin; later parts stay inside."""
    whole = (slice(None), slice(None), slice(None))
    canvas.fill(edge(depth, canvas.voxel), "skin", whole)
    canvas.fill(edge(depth - SKIN_MM, canvas.voxel), "fat", whole)
    canvas.limit = edge(depth - SKIN_MM - 1.0, canvas.voxel)
    canvas.paint(CLEFT, "skin")


def paint_couch(canvas: Canvas, setup: Setup, grid: Grid, depth: Tensor) -> None:
    """A flat couch of foam between carbon skins, just below the back; painted before the patient."""
    if not setup.couch:
        return
    x, y, z = (v.to(depth.device) for v in axes(grid, setup))
    rows = torch.nonzero((depth > 0).any(dim=2).any(dim=0))
    if not len(rows):
        return
    deep = (float(y[int(rows[0])]) + 1.0 - y)[:, None]
    across = edge(HALF_COUCH_MM - x.abs(), canvas.voxel)[None, :]
    inside = torch.nonzero(deep[:, 0] > -canvas.voxel)
    box = (slice(None), slice(0, int(inside[-1]) + 1), slice(None))
    for margin, tissue in ((0.0, "carbon"), (CARBON_MM, "foam")):
        slab = edge(deep - margin, canvas.voxel) * edge(COUCH_MM - margin - deep, canvas.voxel) * across
        canvas.fill(slab[None, box[1]].expand_as(depth[box]), tissue, box)
