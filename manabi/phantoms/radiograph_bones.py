"""Bones of a chest for films: ribs, collarbones, shoulder blades, upper arms and breastbone, with compact shells.

On a film bone is seen by its mineral on the ray, most of it in shells of 1 to 2 mm, which the CT phantom has softer.
Sizes are our choice after adults' anatomy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_parameters import Chest
from manabi.phantoms.thorax_shape import Frame, Shapes

COMPACT, SPONGY, CARTILAGE = 1250.0, 220.0, 80.0
"""HU of shells, marrow with its trabeculae, and the ribs' cartilage."""
FIRST_RIB = 0.86
"""Height of the first rib over the lungs' tips."""
FRONT_LOSS = 0.5
"""Share of the shell's mineral that a rib has lost where it ends in front."""
Point = tuple[float, float, float]


def paint_ribs(canvas: Canvas, cage: Tensor, shapes: Shapes, chest: Chest, rng: np.random.Generator) -> None:
    """Hoops around the cage that fall towards the front, flat in section; cartilage beside the breastbone.

    Args:
        canvas: to paint on.
        cage: mm inside the ribs, on the canvas.
        shapes: of the chest.
        chest: its measures.
        rng: draws distance, fall, calibre and mineral of the ribs.
    """
    top = FIRST_RIB * max(chest.apex_right, chest.apex_left)
    box = canvas.box((-400, -400, shapes.lowest - 55), (400, 400, top))
    pitch = float(rng.uniform(25.0, 29.0)) * (0.5 + 0.5 * chest.size)
    fall, out, first = float(rng.uniform(0.45, 0.62)), float(rng.uniform(0.02, 0.10)), float(rng.uniform(0, 1))
    half, thick, shell = (float(rng.uniform(*limits)) for limits in ((4.8, 6.2), (2.8, 3.6), (1.5, 2.1)))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    phase = z / pitch + (fall * y + out * x.abs()) / pitch + first
    off = phase.sub_(phase.floor()).sub_(0.5).abs_().mul_(pitch)
    depth = thick - (cage[box] + 5.0).abs()
    depth = torch.minimum(torch.minimum(depth, half - off), x.abs() - 17.0)
    front = shapes.front[box[0]][:, None, None]
    soft = ((y - front + 30.0) / 8.0).clamp(0, 1) * ((84.0 - x.abs()) / 8.0).clamp(0, 1)
    ahead = ((y + 0.1 * front) / front).clamp(0, 1)
    mineral = COMPACT * float(rng.uniform(0.9, 1.15)) * (1.0 - FRONT_LOSS * ahead)
    hard = mineral + soft * (CARTILAGE - mineral)
    inner = SPONGY + soft * (CARTILAGE - SPONGY)
    hu = hard + edge(depth - shell, canvas.voxel) * (inner - hard)
    canvas.paint(edge(depth, canvas.voxel), hu, box)


def paint_girdle(canvas: Canvas, frame: Frame, shapes: Shapes, rng: np.random.Generator, body: Tensor) -> None:
    """Breastbone, collarbones, shoulder blades and upper arms, within the body's share of each voxel."""
    _sternum(canvas, frame, shapes)
    shift = float(rng.uniform(-8.0, 8.0))
    for sign in (1.0, -1.0):
        for points, radii, shell in _bars(frame, shapes, sign, shift):
            _bar(canvas, points, radii, shell, body)
        _blade(canvas, _blade_corners(frame, shapes, sign), body)
        x, y, z = joint(frame, sign)
        r = 23.0 * (0.6 + 0.4 * frame.chest.size)
        for shrink, hu in ((0.0, 0.55 * COMPACT), (2.0, SPONGY)):
            canvas.ellipsoid((x, y, z), (r - shrink, r - shrink, r - shrink), hu, into=body)


def joint(frame: Frame, sign: float) -> Point:
    """Middle of an upper arm's head."""
    return sign * (112.0 + 46.0 * frame.chest.size), -8.0, frame.apex - 14.0


def arm_end(frame: Frame, sign: float, spread_mm: float) -> Point:
    """Where the upper arm's shaft ends, at the elbow."""
    x, y, z = joint(frame, sign)
    return x + sign * spread_mm, y - 10.0, z - float(np.sqrt(max(300.0**2 - spread_mm**2, 1.0)))


def _bars(frame: Frame, shapes: Shapes, sign: float, shift: float) -> list[tuple[list[Point], list[float], float]]:
    """Bones as chains of cones: places, radii, thickness of the shell."""
    apex, (jx, jy, jz) = frame.apex, joint(frame, 1.0)
    z = shapes.nodes.canvas.z.cpu().numpy()
    front = float(np.interp(0.6 * apex, z, shapes.front.cpu().numpy()))
    back, low = float(shapes.back.min()) - 8.0, -48.0
    collar = [(17.0, front, 0.50 * apex), (38.0, front + 7.0, 0.62 * apex), (75.0, front + 1.0, 0.78 * apex),
              (0.72 * jx, jy + 26.0, 0.95 * apex + shift), (0.93 * jx, jy + 8.0, jz + 26.0 + shift)]  # fmt: skip
    acromion = [(0.93 * jx, jy + 8.0, jz + 26.0 + shift), (1.02 * jx, jy - 6.0, jz + 28.0 + shift)]
    ridge = [(1.02 * jx, jy - 6.0, jz + 28.0 + shift), (0.85 * jx, jy - 34.0, jz + 14.0), (0.66 * jx, back, jz - 4.0)]
    rim = [(0.9 * jx, jy - 8.0, jz - 8.0), (0.84 * jx, 0.5 * (jy + back), jz - 55.0), (0.78 * jx, back + 8.0, low)]
    coracoid = [(0.84 * jx, jy - 4.0, jz + 8.0), (0.8 * jx, jy + 14.0, jz + 12.0), (0.85 * jx, jy + 30.0, jz + 4.0)]
    shaft = [joint(frame, 1.0), arm_end(frame, 1.0, frame.chest.spread)]
    chains: list[tuple[list[Point], list[float], float]] = [
        (collar, [9.0, 6.5, 5.5, 5.8, 6.5], 1.8), (acromion, [6.0, 7.0], 1.5), (ridge, [6.0, 5.0, 3.5], 1.5),
        (rim, [7.0, 4.5, 4.0], 1.8), (coracoid, [6.0, 5.5, 5.0], 1.5), (shaft, [14.0, 11.0], 3.5),
    ]  # fmt: skip
    return [([(sign * x, y, z) for x, y, z in points], radii, shell) for points, radii, shell in chains]


def _bar(canvas: Canvas, points: Sequence[Point], radii: Sequence[float], shell: float, body: Tensor) -> None:
    places = torch.tensor(points, device=canvas.hu.device)
    sizes = torch.tensor(radii, device=canvas.hu.device)
    for shrink, hu in ((0.0, COMPACT), (shell, SPONGY)):
        thin = (sizes - shrink).clamp(min=0.3)
        canvas.capsules(places[:-1], places[1:], thin[:-1], thin[1:], hu, into=body)


def _blade_corners(frame: Frame, shapes: Shapes, sign: float) -> tuple[Point, Point, Point]:
    """Neck, upper inner and lower corner of a shoulder blade, the shoulders rolled forwards."""
    (jx, jy, jz), back = joint(frame, 1.0), float(shapes.back.min()) - 8.0
    neck, upper = (sign * 0.88 * jx, jy - 10.0, jz - 6.0), (sign * 0.64 * jx, back, jz + 22.0)
    return neck, upper, (sign * 0.74 * jx, back, -52.0)


def _blade(canvas: Canvas, corners: tuple[Point, Point, Point], body: Tensor) -> None:
    """A thin triangle of bone."""
    low = [min(c[k] for c in corners) - 6.0 for k in range(3)]
    high = [max(c[k] for c in corners) + 6.0 for k in range(3)]
    box = canvas.box(low, high)
    if box is None:
        return
    a, b, c = (np.array(corner) for corner in corners)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal)
    depth = 1.6 - _plane(canvas, box, a, normal).abs()
    for p, q, other in ((a, b, c), (b, c, a), (c, a, b)):
        inward = np.cross(normal, q - p)
        inward *= np.sign(np.dot(inward, other - p)) / np.linalg.norm(inward)
        depth = torch.minimum(depth, _plane(canvas, box, p, inward))
    canvas.paint(edge(depth, canvas.voxel) * body[box], 0.5 * COMPACT, box)


def _plane(canvas: Canvas, box: tuple[slice, slice, slice], point: np.ndarray, normal: np.ndarray) -> Tensor:
    """Signed distance from a plane, over a box."""
    x, y, z = canvas.axes(box)
    rest = float(np.dot(point, normal))
    return float(normal[0]) * x + float(normal[1]) * y + float(normal[2]) * z - rest


def _sternum(canvas: Canvas, frame: Frame, shapes: Shapes) -> None:
    apex = frame.apex
    box = canvas.box((-40, 0, -100), (40, float(shapes.front.max()) + 20, 0.6 * apex))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    wide = 15.0 + 12.0 * ((z - 5.0) / 25.0).clamp(0, 1)
    away = (y - shapes.front[box[0]][:, None, None] - 6.0).abs()
    depth = torch.minimum(
        torch.minimum(5.0 - away, wide - x.abs()), torch.minimum(z + 95.0, 0.54 * apex - z - 0.012 * x.square())
    )
    canvas.paint(edge(depth, canvas.voxel), 0.35 * COMPACT, box)
    canvas.paint(edge(depth - 1.2, canvas.voxel), 0.5 * SPONGY, box)
