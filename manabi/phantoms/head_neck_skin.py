"""Outline of the simulated head and neck: skin, fat below it, nose, ears, lips, hair."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.brain_shapes import Points, joined
from manabi.phantoms.head_neck_canvas import SIDES, Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import LEVEL_MM, ball, oval, path, sections
from manabi.phantoms.head_neck_skull import SCALE, pons
from manabi.phantoms.thorax_canvas import edge

SKIN_MM = 1.7
NODE_MM = 3.5
EAR = ball((77, -16, 16), (3.4, 15, 28), yaw=20.0, roll=-4.0) - ball((79, -7, 12), (4.0, 6, 10), yaw=20.0)
"""A shell that stands off the head, with its hollow."""
FACE = ((58.0, 15.0, 70.0, 82.0, 70.0), (30.0, 18.0, 71.0, 78.0, 60.0), (8.0, 20.0, 69.0, 80.0, 50.0),
        (-12.0, 20.0, 70.0, 83.0, 45.0), (-32.0, 20.0, 69.0, 83.0, 42.0), (-52.0, 20.0, 66.0, 79.0, 40.0),
        (-66.0, 18.0, 61.0, 80.0, 40.0), (-80.0, 16.0, 50.0, 74.0, 40.0), (-88.0, 12.0, 38.0, 54.0, 40.0))  # fmt: skip
"""Height; y where widest; half width; from there to the front; to the back."""
NECK = ((16.0, -22.0, 58.0, 44.0, 62.0), (-30.0, -20.0, 59.0, 55.0, 59.0), (-60.0, -18.0, 58.0, 58.0, 60.0),
        (-85.0, -16.0, 57.0, 64.0, 63.0), (-105.0, -16.0, 58.0, 64.0, 68.0), (-130.0, -20.0, 63.0, 63.0, 72.0),
        (-150.0, -24.0, 70.0, 61.0, 76.0), (-175.0, -30.0, 80.0, 66.0, 74.0),
        (-300.0, -30.0, 90.0, 70.0, 70.0))  # fmt: skip
TRUNK = ((-116.0, -42.0, 62.0, 22.0, 34.0), (-132.0, -42.0, 96.0, 34.0, 46.0), (-145.0, -42.0, 148.0, 44.0, 48.0),
         (-157.0, -40.0, 186.0, 49.0, 53.0), (-172.0, -37.0, 206.0, 63.0, 61.0), (-195.0, -34.0, 219.0, 82.0, 72.0),
         (-230.0, -32.0, 226.0, 104.0, 76.0), (-300.0, -30.0, 226.0, 118.0, 80.0))  # fmt: skip


def skin_on(canvas: Canvas, build: Build) -> Tensor:
    """Depth below the skin on the whole grid, interpolated from places about :data:`NODE_MM` apart."""
    steps = [max(round(NODE_MM / s), 1) for s in canvas.spacing_mm[::-1]]
    counts = [max(n // step, 2) for n, step in zip(canvas.hu.shape, steps, strict=True)]
    coarse = [F.interpolate(v[None, None], counts, mode="trilinear", align_corners=True)[0, 0] for v in canvas.points]
    depth = skin((coarse[0], coarse[1], coarse[2]), build)
    return F.interpolate(depth[None, None], tuple(canvas.hu.shape), mode="trilinear", align_corners=True)[0, 0]


def skin(p: Points, build: Build) -> Tensor:
    """Depth below the skin of head, neck and shoulders without ears."""
    x, y, z = p
    vault = _vault(p, 12.0 + 0.15 * build.fat)
    extra = build.fat - 7.0
    face = _hull(p, FACE, 0.04, 0.75 * extra)
    neck = _hull(p, NECK, 0.06, 0.8 * extra)
    trunk = _hull(p, TRUNK, 0.22, extra)
    whole = joined(joined(vault, face, 14.0), neck, 14.0)
    whole = joined(whole, trunk, 20.0)
    out = build.prominent_nose
    ridge = path((0, 99, 30, 5), (0, 108 + 0.6 * out, 14, 6), (0, 117 + out, 3, 8.5), stretch=(1.0, 1.0, 1.0))
    wings = path((0, 106, 0, 9), (9.5, 108 + 0.4 * out, 0, 7.5))
    away = (x.abs(), y, z)
    nose = joined(ridge.depth(p), wings.depth(away), 5.0)
    mouth = ball((0, 100, -27), (25, 9, 13)).depth(p)
    chin = ball((0, 88, -74), (19, 11, 12)).depth(p)
    prominence = ball((0, 36 + build.larynx, -92), (11, 12, 14)).depth(p)
    for part, soft in ((nose, 6.0), (mouth, 7.0), (chin, 7.0), (prominence, 8.0)):
        whole = joined(whole, part, soft)
    return whole


def _vault(p: Points, out: float) -> Tensor:
    """Depth in the head above the face, ``out`` mm beyond the skull."""
    q = pons(p)
    wide = q[0] * (1.0 + 0.0012 * (q[1] + 20.0).clamp(min=0.0))
    top = SCALE * ball((0.0, -8.0, 35.0), (72.5 + out, 91.0 + out, 63.0 + out)).depth((wide, q[1], q[2]))
    base = SCALE * ball((0.0, -15.0, -6.0), (67.0 + out, 75.0 + out, 44.0)).depth(q)
    return joined(top, base, 12.0)


def _hull(p: Points, rows: tuple[tuple[float, ...], ...], square: float, out: float) -> Tensor:
    """Depth in a hull of ovals whose front and back halves differ."""
    table = np.asarray(sorted((z, 0.0, cy, a + out, f + out, b + out) for z, cy, a, f, b in rows))
    full = np.column_stack((table[:, 0], table[:, 2], table[:, 3], table[:, 4], table[:, 5], 0 * table[:, 0]))
    look = torch.as_tensor(sections(full, 8.0), dtype=torch.float32, device=p[0].device)
    bottom, top = table[0, 0], table[-1, 0]
    index = ((p[2] - bottom) / LEVEL_MM).round_().long().clamp_(0, look.shape[1] - 1)
    rel = p[1] - look[0][index]
    a = look[1][index]
    b = torch.where(rel > 0, look[2][index], look[3][index])
    return torch.minimum(oval(p[0] / a, rel / b, a, b, square), torch.minimum(top - p[2], p[2] - bottom))


def paint_skin(canvas: Canvas, build: Build, depth: Tensor) -> None:
    """Fill the outline with fat under skin, given the depth below the skin; later parts stay inside."""
    whole = (slice(None), slice(None), slice(None))
    if build.hair:
        strands = (0.55 + 0.35 * canvas.fields["grain"]).clamp(0.0, 1.0)
        hair = edge(depth + build.hair, canvas.voxel) * (canvas.points[2] > 10) * (canvas.points[1] < 75) * strands
        canvas.fill(0.12 * hair, "hair", whole)
    for side in SIDES:
        box = canvas.near(EAR, side)
        if box is not None:
            canvas.fill(edge(EAR.depth(canvas.places(box, side)), canvas.voxel), "skin", box)
    canvas.fill(edge(depth, canvas.voxel), "skin", whole)
    canvas.fill(edge(depth - SKIN_MM, canvas.voxel), "fat", whole)
    canvas.limit = edge(depth - SKIN_MM - 1.0, canvas.voxel)
