"""Bones of a simulated chest: spine, ribs, breastbone, collarbones, shoulder blades, upper arms.

Sizes are our choice after the anatomy of adults.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_parameters import Chest
from manabi.phantoms.thorax_shape import Shapes, vertebra_size

CANCELLOUS, CORTICAL, CARTILAGE, DISC, CANAL = 230.0, 850.0, 115.0, 80.0, 25.0
RIB_PITCH, RIB_FALL, RIB_FALL_OUT = 27.0, 0.5, 0.18
"""Distance of the ribs, their fall towards the front, and towards the side, in mm per mm."""
VERTEBRA = 24.0


def paint_ribs(canvas: Canvas, cage: Tensor, shapes: Shapes, chest: Chest, rng: np.random.Generator) -> None:
    """Hoops around the cage, a bony shell with a softer core; cartilage beside the breastbone.

    Args:
        canvas: to paint on.
        cage: mm inside the ribs, on the canvas.
        shapes: of the chest.
        chest: its measures.
        rng: draws the ribs' places.
    """
    top = 0.97 * max(chest.apex_right, chest.apex_left)
    box = canvas.box((-400, -400, shapes.lowest - 55), (400, 400, top))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    first = float(rng.uniform(0, RIB_PITCH))
    plane = (RIB_FALL * y + RIB_FALL_OUT * x.abs() + first) / RIB_PITCH
    phase = z / RIB_PITCH + plane
    off = phase.sub_(phase.floor()).sub_(0.5).abs_().mul_(RIB_PITCH)
    thick = (cage[box] + 6.0).abs_().neg_().add_(4.2)
    thick = torch.minimum(thick, off.neg_().add_(6.3), out=thick)
    front = shapes.front[box[0]][:, None, None]
    soft = ((y - front + 26.0) / 6.0).clamp(0, 1) * ((76.0 - x.abs()) / 6.0).clamp(0, 1)
    shell = (CORTICAL * 0.75) + soft * (CARTILAGE - CORTICAL * 0.75)
    core = CANCELLOUS + soft * (CARTILAGE - CANCELLOUS)
    hu = shell + edge(thick - 1.7, canvas.voxel) * (core - shell)
    canvas.paint(edge(thick, canvas.voxel), hu, box)


def paint_spine(canvas: Canvas, shapes: Shapes, rng: np.random.Generator) -> None:
    """Vertebral bodies and discs, canal, arches, processes."""
    low, high = float(shapes.spine.min()), float(shapes.spine.max())
    box = canvas.box((-48, low - 62, float(canvas.z[0])), (48, high + 24, float(canvas.z[-1]) + 1))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    size = vertebra_size(z)
    x, y = x / size, (y - shapes.spine[box[0]][:, None, None]) / size
    phase = (z / size + float(rng.uniform(0, VERTEBRA))) / VERTEBRA
    off = (phase - phase.floor() - 0.5).abs() * VERTEBRA
    disc = (off - 9.3).clamp(-1, 1) * 0.5 + 0.5
    body = (1.0 - ((x / 17.0).square() + (y / 15.0).square()).sqrt()) * 15.0
    shell = edge(1.6 - torch.minimum(body, (9.0 - off).clamp(min=0.0)), 1.5)
    bone = float(rng.uniform(150, 260))
    hu = bone * (1 - disc) + DISC * disc + (420.0 - bone) * shell * (1 - disc)
    canvas.paint(edge(body, canvas.voxel), hu, box)
    arch = torch.minimum(3.6 - (((x / 1.1).square() + (y + 22.0).square()).sqrt() - 13.0).abs(), -14.0 - y)
    arch = torch.maximum(arch, torch.minimum(5.0 - (x.abs() - 12.0).abs(), 8.0 - (y + 16.0).abs()))
    tilt = y + 24.0 + 0.45 * x.abs()
    wing = torch.minimum(4.5 - tilt.abs(), 33.0 - x.abs()) - 7.0 * disc
    thorn = torch.minimum(3.2 - x.abs(), 13.0 - (y + 43.0).abs()) - 3.0 * disc
    solid = torch.maximum(torch.maximum(arch - 3.0 * disc, wing), thorn)
    canvas.paint(edge(solid, canvas.voxel), CANCELLOUS + 280.0 * edge(2.0 - solid, 2.0), box)
    canal = (1.0 - ((x / 9.5).square() + ((y + 22.0) / 8.5).square()).sqrt()) * 8.5
    canvas.paint(edge(canal, canvas.voxel), CANAL, box)


def paint_shoulders(canvas: Canvas, shapes: Shapes, chest: Chest, body: Tensor) -> None:
    """Breastbone, collarbones, shoulder blades and heads of the upper arms, within the body's share of each voxel."""
    _paint_sternum(canvas, shapes, chest)
    apex = 0.5 * (chest.apex_right + chest.apex_left)
    up = 0.0 if chest.arms == "down" else 1.0
    head = shoulder(chest)
    back = float(shapes.back.min())
    front = float(np.interp(0.7 * apex, canvas.z.cpu().numpy(), shapes.front.cpu().numpy()))
    device = canvas.hu.device
    for sign in (1.0, -1.0):
        tip = (sign * 0.86 * head[0], head[1] + 16.0, head[2] + 12.0)
        corner = (sign * 0.8 * head[0], back + 22.0 + 22.0 * up, apex - 2.0)
        bars = (
            (sign * 17.0, front + 4.0, 0.66 * apex, sign * 70.0, front + 2.0, apex * 0.92, 6.5),
            (sign * 70.0, front + 2.0, apex * 0.92, *tip, 6.0),
            (*corner, sign * 0.9 * head[0], head[1] - 4.0, head[2] + 6.0, 7.0),
            (sign * 0.5 * head[0], back - 12.0, 0.72 * apex, *corner, 5.0),
            (sign * 0.9 * head[0], head[1] - 4.0, head[2] + 6.0, *tip, 6.0),
        )
        rows = torch.tensor(bars, device=device)
        for shrink, hu in ((0.0, CORTICAL * 0.75), (2.6, CANCELLOUS)):
            canvas.capsules(rows[:, :3], rows[:, 3:6], rows[:, 6] - shrink, rows[:, 6] - shrink, hu, into=body)
        _paint_blade(canvas, shapes, chest, sign)
        for shrink, hu in ((0.0, CORTICAL * 0.6), (2.5, CANCELLOUS - 60.0)):
            r = 25.0 * (0.6 + 0.4 * chest.size) - shrink
            canvas.ellipsoid((sign * head[0], head[1], head[2]), (r, r, r), hu, into=body)


def shoulder(chest: Chest) -> tuple[float, float, float]:
    """Middle of the right upper arm's head."""
    apex = 0.5 * (chest.apex_right + chest.apex_left)
    up = 0.0 if chest.arms == "down" else 1.0
    return 118.0 + 40.0 * chest.size + 4.0 * (1 - up), -14.0 + 8.0 * up, apex + 4.0 + 22.0 * up


def _paint_sternum(canvas: Canvas, shapes: Shapes, chest: Chest) -> None:
    apex = 0.5 * (chest.apex_right + chest.apex_left)
    box = canvas.box((-40, 0, -100), (40, float(shapes.front.max()) + 20, 0.68 * apex))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    wide = 15.0 + 9.0 * ((z - 10.0) / 20.0).clamp(0, 1)
    away = (y - shapes.front[box[0]][:, None, None] - 7.0).abs()
    depth = torch.minimum(torch.minimum(5.5 - away, wide - x.abs()), torch.minimum(z + 95.0, 0.64 * apex - z))
    canvas.paint(edge(depth, canvas.voxel), CORTICAL * 0.6, box)
    canvas.paint(edge(depth - 1.8, canvas.voxel), CANCELLOUS - 80.0, box)


def _paint_blade(canvas: Canvas, shapes: Shapes, chest: Chest, sign: float) -> None:
    """A thin sheet around the back of the cage."""
    apex = 0.5 * (chest.apex_right + chest.apex_left)
    back, side = float(shapes.back.min()), float(shapes.side.max())
    ends = sorted((sign * 0.42 * side, sign * 1.28 * side))
    box = canvas.box((ends[0], back - 30, -75), (ends[1], back + 130, 0.9 * apex))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    level = ((z + 75.0) / (75.0 + 0.9 * apex)).clamp(0, 1)
    out = (sign * x - 0.62 * side + 0.1 * side * level) / side
    line = back - 14.0 + 95.0 * (out - 0.02).clamp(min=0.0) + 70.0 * out.clamp(min=0.0).square() + 14.0 * level
    reach = 0.10 + 0.46 * level.sqrt()
    thick = 2.4 + 3.5 * ((out - reach + 0.12) / 0.12).clamp(0, 1)
    depth = torch.minimum(thick - 0.8 * (y - line).abs(), side * torch.minimum(out + 0.12, reach - out))
    canvas.paint(edge(depth, canvas.voxel), CORTICAL * 0.6, box)
    canvas.paint(edge(depth - 2.0, canvas.voxel), CANCELLOUS, box)
