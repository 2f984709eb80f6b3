"""Metal in the simulated pelvis: gold seeds in the prostate and artificial hip joints."""

from __future__ import annotations

import math

import numpy as np
import torch

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_shapes import Body, ball, path
from manabi.phantoms.pelvis_bones import HIP, facing
from manabi.phantoms.pelvis_organs import Bodies
from manabi.phantoms.pelvis_parameters import Finds
from manabi.phantoms.pelvis_tissues import METAL
from manabi.phantoms.thorax_canvas import edge

SEED_RADIUS_MM, SEED_LENGTH_MM = 0.55, (3.0, 5.0)
CUP_MM, LINER_MM, BALL_MM = 26.5, 22.5, 15.0
STEM = path((88, 1, 4, 6.5), (104, -4, -14, 7.5), (120, -8, -34, 9), (124, -7, -62, 7.5), (122, -4, -110, 6.5),
            (121, -2, -140, 4.5))  # fmt: skip
"""From the ball through the neck into the shaft."""
SIDES: dict[str, tuple[float, ...]] = {"none": (), "right": (1.0,), "left": (-1.0,), "both": (1.0, -1.0)}


def plate(canvas: Canvas, body: Body, alloy: str, side: float = 1.0, ml: float | None = None) -> torch.Tensor | None:
    """Fill a body with metal, and return the share of each voxel of the whole grid.

    Args:
        canvas: the grid.
        body: where.
        alloy: a metal of :data:`manabi.phantoms.ct.materials.MATERIALS`.
        side: -1 for the mirror image.
        ml: its volume, for what is thinner than a voxel.
    """
    box = canvas.near(body, side)
    if box is None:
        return None
    share = edge(body.depth(canvas.places(box, side)), canvas.voxel)
    if ml is not None:
        x, y, z = canvas.spacing_mm
        share *= ml * 1000.0 / max(float(share.sum()) * x * y * z, 1e-9)
    whole = canvas.metal.setdefault(alloy, torch.zeros_like(canvas.hu))
    whole[box] = torch.maximum(whole[box], share.clamp_(max=1.0))
    return whole


def paint_seeds(canvas: Canvas, shapes: Bodies, finds: Finds, rng: np.random.Generator) -> None:
    """Gold seeds, mostly along the body, apart from one another; the prostate's label stays."""
    for number in range(finds.seeds):
        turn = 2 * math.pi * (number + float(rng.uniform(-0.2, 0.2))) / max(finds.seeds, 1)
        level = -0.5 + (number + 0.5) / max(finds.seeds, 1) + float(rng.normal(0, 0.08))
        at = (0.5 * math.cos(turn), 0.35 * math.sin(turn), level)
        x, y, z = (c + t * r for c, t, r in zip(shapes.centre, at, shapes.radii, strict=True))
        length = float(rng.uniform(*SEED_LENGTH_MM))
        dx, dy, dz = (float(v) * length / 2 for v in _upward(rng))
        rod = path((x - dx, y - dy, z - dz, SEED_RADIUS_MM), (x + dx, y + dy, z + dz, SEED_RADIUS_MM))
        plate(canvas, rod, "gold", ml=math.pi * SEED_RADIUS_MM**2 * length / 1000.0)


def _upward(rng: np.random.Generator) -> np.ndarray:
    """A direction near the long axis."""
    way = rng.normal(0.0, (0.3, 0.3, 0.0)) + (0.0, 0.0, 1.0)
    return np.asarray(way / np.linalg.norm(way))


def paint_prosthesis(canvas: Canvas, finds: Finds) -> None:
    """Cup, liner, ball and stem in place of a femoral head and neck."""
    for side in SIDES[finds.prosthesis]:
        cup = ball(HIP, (CUP_MM,) * 3) & facing(6.0)
        _fill(canvas, ball(HIP, (CUP_MM,) * 3), "polyethylene", side)
        titanium = plate(canvas, cup - ball(HIP, (LINER_MM,) * 3), "titanium", side)
        stem = plate(canvas, STEM, "titanium", side)
        head = plate(canvas, ball(HIP, (BALL_MM,) * 3), finds.alloy, side)
        if titanium is not None and head is not None and head is not titanium:
            titanium *= 1.0 - head
        for metal in (titanium, stem, head):
            if metal is not None:
                canvas.label.masked_fill_(metal > 0.5, METAL)


def _fill(canvas: Canvas, body: Body, tissue: str, side: float) -> None:
    box = canvas.near(body, side)
    if box is not None:
        canvas.fill(edge(body.depth(canvas.places(box, side)), canvas.voxel), tissue, box)
