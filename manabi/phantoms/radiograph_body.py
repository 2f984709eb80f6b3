"""The soft parts of a person who stands before a film: skin, fat, muscle, arms, breasts, the abdomen with its gas.

Shoulders fall from neck to upper arm, arms stand away, gas has risen under the left dome. Sizes are our choice after
adults' films and anatomy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.radiograph_bones import arm_end, joint, paint_girdle, paint_ribs
from manabi.phantoms.thorax_abdomen import GAS, paint_abdomen
from manabi.phantoms.thorax_body import FAT, MUSCLE, paint_heart
from manabi.phantoms.thorax_bones import paint_spine
from manabi.phantoms.thorax_canvas import Canvas, capsule_depth, edge
from manabi.phantoms.thorax_nodes import Nodes, ellipse, joined, table
from manabi.phantoms.thorax_shape import Frame, Shapes

SPINE_MINERAL = (0.4, 0.7)
"""Share of the CT phantom's that a film's spine has."""
GLAND = 20.0
"""HU of glandular tissue in a breast."""


def paint_person(canvas: Canvas, frame: Frame, shapes: Shapes, rng: np.random.Generator) -> None:
    """Everything but the lungs' content and the airways."""
    nodes, chest = shapes.nodes, frame.chest
    trunk, arms = _trunk(nodes, frame), _arms(nodes, frame)
    breasts = _breasts(nodes, frame) if chest.female else []
    skin = joined((trunk, arms), 18.0)
    skin = joined((skin, *breasts), 8.0) if breasts else skin
    body = edge(nodes.fine(skin), canvas.voxel)
    canvas.paint(body, FAT)
    uneven = 1.0 + 0.25 * nodes.noise(rng, 55.0)
    for breast in breasts:
        canvas.paint(edge(nodes.fine(breast - 9.0 + 6.0 * nodes.noise(rng, 22.0)), canvas.voxel), GLAND)
    flesh = torch.maximum(_flesh(nodes, frame, trunk, shapes.cage, uneven), arms - 4.0 - 0.35 * chest.fat * uneven)
    flesh = torch.minimum(flesh, skin - 2.5)
    streaks = (1.6 * (nodes.noise(rng, 24.0).abs() - 0.35)).clamp(-0.5, 0.0) * min(chest.fat, 22.0) / 18.0
    canvas.paint(edge(nodes.fine(flesh), canvas.voxel), MUSCLE + 250.0 * nodes.fine(streaks))
    cage = nodes.fine(shapes.cage)
    _paint_room(canvas, shapes, cage, rng)
    paint_abdomen(canvas, frame, shapes, rng)
    _paint_gas(canvas, frame, shapes, rng)
    paint_heart(canvas, frame, shapes)
    _paint_spine(canvas, shapes, rng)
    paint_ribs(canvas, cage, shapes, chest, rng)
    paint_girdle(canvas, frame, shapes, rng, body)


def _paint_spine(canvas: Canvas, shapes: Shapes, rng: np.random.Generator) -> None:
    """The CT phantom's spine with less mineral, so that a ray through it meets 1 to 2 g/cm² as in densitometry."""
    paint_spine(canvas, shapes, rng)
    keep = float(rng.uniform(*SPINE_MINERAL))
    y = shapes.spine
    box = canvas.box((-48, float(y.min()) - 62, float(canvas.z[0])), (48, float(y.max()) + 24, float(canvas.z[-1]) + 1))
    if box is not None:
        hu, (_, place, _) = canvas.hu[box], canvas.axes(box)
        thorn = (place < y[box[0]][:, None, None] - 31.0).float()
        hu -= (1.0 - keep * (1.0 - 0.85 * thorn)) * (hu - MUSCLE).clamp(min=0.0)


def _trunk(nodes: Nodes, frame: Frame) -> Tensor:
    """Depth below the skin of chest, shoulders, neck and belly."""
    chest, z, top = frame.chest, nodes.z[:, 0, 0], frame.apex
    fat, over = chest.fat, chest.fat + 0.6 * chest.wall
    wing = joint(frame, 1.0)[0] + 20.0 + 0.4 * fat
    wide = 1.07 * frame.a + 4.0 + over
    at = (frame.lowest - 150, frame.lowest - 30, -100, -50, 0, top - 45, top - 12, top + 14, top + 38, top + 66,
          top + 105, top + 170)  # fmt: skip
    neck = chest.neck
    half = table(z, at, (wide - 6, wide - 2, wide + 2, wide + 6, wide + 14, 0.93 * wing, wing, 0.82 * wing,
                         1.55 * neck, 1.08 * neck, 0.95 * neck, 1.1 * neck))  # fmt: skip
    _, across, _, deep = (v[:, None, None] for v in frame.section(z, top))
    shoulder = table(z, at, (0, 0, 0, 0, 0.1, 0.5, 0.85, 1, 1, 1, 1, 1))[:, None, None]
    spine = frame.spine(z)[:, None, None]
    throat = table(z, at, (94, 94, 94, 94, 94, 94, 94, 84, 70, 66, 64, 64))[:, None, None]
    front = (across + deep + 16.0 + 0.7 * fat) * (1 - shoulder) + (spine + throat + 0.3 * fat) * shoulder
    back = (across - deep - 24.0 - 0.8 * fat) * (1 - shoulder) + (spine - 74.0 - 0.4 * fat) * shoulder
    middle, half_depth = 0.5 * (front + back), 0.5 * (front - back)
    return ellipse(nodes.x, nodes.y - middle, (half[:, None, None], half_depth), 0.28)


def _arms(nodes: Nodes, frame: Frame) -> Tensor:
    """Depth below the skin of both upper arms."""
    radius = 34.0 + 0.6 * frame.chest.fat
    axes = (nodes.x, nodes.y, nodes.z)
    parts = []
    for sign in (1.0, -1.0):
        x, y, z = joint(frame, sign)
        end = arm_end(frame, sign, frame.chest.spread)
        parts.append(capsule_depth(axes, (x, y, z - 12.0), end, radius, 0.8 * radius, 1.0))
    return torch.maximum(*parts)


def _breasts(nodes: Nodes, frame: Frame) -> list[Tensor]:
    """Depth below the skin of both breasts, hanging a little and pressed against the detector."""
    chest, out = frame.chest, []
    size = 0.75 + chest.breast / 90.0
    y = frame.middle + 0.88 * frame.b + 0.5 * chest.fat
    for sign in (1.0, -1.0):
        place = (nodes.x - sign * 0.60 * frame.a, nodes.y - y, nodes.z + 108.0 + 0.3 * chest.breast)
        tall = 66.0 * size * torch.where(place[2] < 0, 0.8, 1.5)
        full = 0.3 + 0.7 * torch.sigmoid((20.0 - place[2]) / 22.0)
        a, b, c = place[0] / (60.0 * size), place[1] / ((20.0 + 0.7 * chest.breast) * full), place[2] / tall
        out.append((1.0 - (a.square() + b.square() + c.square()).sqrt()) * 34.0)
    return out


def _flesh(nodes: Nodes, frame: Frame, trunk: Tensor, cage: Tensor, uneven: Tensor) -> Tensor:
    """Depth below the muscles' surface: around the ribs, thick at the shoulders and back."""
    chest, z, top = frame.chest, nodes.z[:, 0, 0], frame.apex
    thick = table(z, (frame.lowest - 60, -100, -50, 0, 0.6 * top, top + 10), (14, 22, 28, 44, 76, 140))[:, None, None]
    back = ((frame.middle - nodes.y - 0.45 * frame.b) / 30.0).clamp(0, 1) * (nodes.x.abs() < 75.0) * 22.0
    under = trunk - chest.fat * uneven * table(z, (-100, 0, top, top + 60), (1.0, 0.9, 0.7, 0.35))[:, None, None]
    return torch.minimum(cage + thick + 0.35 * chest.wall + back, under)


def _paint_room(canvas: Canvas, shapes: Shapes, cage: Tensor, rng: np.random.Generator) -> None:
    """Fat and tissue inside the ribs above the domes."""
    nodes = shapes.nodes
    box = canvas.box((-250, -250, shapes.lowest), (250, 250, float(canvas.z[-1])))
    if box is None:
        return
    above = nodes.fine((nodes.z - shapes.dome).clamp(-30, 30), box)
    hu = nodes.fine((-50.0 + 60.0 * nodes.noise(rng, 16.0)).clamp(-95.0, 45.0), box)
    canvas.paint(edge(cage[box] + 1.0, canvas.voxel) * edge(above + 3.0, canvas.voxel), hu, box)


def _paint_gas(canvas: Canvas, frame: Frame, shapes: Shapes, rng: np.random.Generator) -> None:
    """Gas of the stomach under the left dome, flat below where it lies on fluid, and of the colon's bends."""
    nodes, amount = shapes.nodes, frame.chest.bowel_gas
    level, across, loops = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.3, 0.6)), int(rng.integers(0, 7))
    drawn = rng.uniform(size=(7, 6))
    if amount <= 0:
        return
    belly = torch.minimum(shapes.cage - 4.0, shapes.dome - nodes.z - 5.0)
    top, axes = frame.tops[1], (nodes.x, nodes.y, nodes.z)
    place = (-across * frame.a, frame.middle + 0.1 * frame.b, top - 0.9 * amount - 8.0)
    wavy = 3.0 * nodes.noise(rng, 22.0)
    bubble = _blob(axes, place, (1.35 * amount, 1.2 * amount, amount)) + wavy
    flat = nodes.z - (place[2] - level * amount)
    _fill(canvas, nodes, torch.minimum(torch.minimum(bubble, belly), flat))
    for drawn_loop in drawn[:loops]:
        side, deep, low, *half = (float(v) for v in drawn_loop)
        at = (-frame.a * (0.25 + 0.6 * side), frame.middle + 0.8 * frame.b * deep, top - 30.0 - 90.0 * low)
        radii = (7.0 + 14.0 * half[0], 8.0 + 10.0 * half[1], 6.0 + 12.0 * half[2])
        _fill(canvas, nodes, torch.minimum(_blob(axes, at, radii) + wavy, belly))


def _blob(axes: tuple[Tensor, Tensor, Tensor], centre: tuple[float, ...], radii: tuple[float, ...]) -> Tensor:
    parts = [((a - c) / r).square() for a, c, r in zip(axes, centre, radii, strict=True)]
    return (1.0 - (parts[0] + parts[1] + parts[2]).sqrt()) * min(radii)


def _fill(canvas: Canvas, nodes: Nodes, depth: Tensor) -> None:
    box = nodes.box_of(depth)
    if box is not None:
        canvas.paint(edge(nodes.fine(depth, box), canvas.voxel), GAS, box)
