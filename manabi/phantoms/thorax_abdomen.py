"""What lies below the domes: liver, spleen, stomach, kidneys, bowel with gas, fat between them (sizes: our choice)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Box, Canvas, edge
from manabi.phantoms.thorax_nodes import Nodes, joined
from manabi.phantoms.thorax_shape import Frame, Shapes

LIVER, SPLEEN, KIDNEY, WATER, GAS = 60.0, 50.0, 35.0, 20.0, -930.0


def paint_abdomen(canvas: Canvas, frame: Frame, shapes: Shapes, rng: np.random.Generator) -> None:
    """Fill the room inside the ribs and the abdominal wall below the domes."""
    chest, nodes = frame.chest, shapes.nodes
    belly = torch.minimum(shapes.cage - 2.0, shapes.dome - nodes.z - 2.5)
    box = nodes.box_of(belly)
    if box is None:
        return
    room = edge(nodes.fine(belly, box), canvas.voxel)
    share = nodes.noise(rng, 26.0) + 2.6 * (0.5 - chest.visceral)
    hu = (-30.0 + 110.0 * share).clamp(-105.0, 40.0)
    canvas.paint(room, nodes.fine(hu, box), box)
    bright = 0.3 * (chest.contrast_hu - 40.0)
    for depth, value in _organs(frame, shapes):
        _paint(canvas, nodes, torch.minimum(depth, belly - 1.5), value + bright)
    _paint_gut(canvas, frame, shapes, belly, rng)


def _paint(canvas: Canvas, nodes: Nodes, depth: Tensor, hu: float) -> None:
    box: Box | None = nodes.box_of(depth)
    if box is not None:
        canvas.paint(edge(nodes.fine(depth, box), canvas.voxel), hu, box)


def _organs(frame: Frame, shapes: Shapes) -> list[tuple[Tensor, float]]:
    """Depths of liver, spleen and kidneys with their densities without contrast medium."""
    nodes, a, b = shapes.nodes, frame.a, frame.b
    x, y, z, mid = nodes.x, nodes.y, nodes.z, frame.middle
    spine = frame.spine(z[:, 0, 0])[:, None, None]
    below = (frame.tops[0] - z).clamp(min=0.0)
    edge_left = 0.8 * x + 0.45 * (y - mid) + 42.0 - 0.35 * below
    lower = z - (frame.lowest - 70.0) - 0.35 * (a - x)
    liver = -joined((-edge_left, -lower, -(y - spine - 20.0 + 0.25 * x)), 14.0)
    spleen = _ball(nodes, (-0.74 * a, mid - 0.38 * b, frame.tops[1] - 52.0), (32.0, 42.0, 50.0))
    kidneys = [_ball(nodes, (s * 62.0, float(spine[0]) + 8.0, frame.lowest - 25.0 - 8 * s), (27.0, 29.0, 54.0))
               for s in (1.0, -1.0)]  # fmt: skip
    muscles = [_ball(nodes, (s * 34.0, float(spine[0]) - 2.0, frame.lowest - 130.0), (20.0, 22.0, 120.0))
               for s in (1.0, -1.0)]  # fmt: skip
    return [(muscles[0], 55.0), (muscles[1], 55.0), (liver, LIVER), (spleen, SPLEEN), *((k, KIDNEY) for k in kidneys)]


def _ball(nodes: Nodes, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Tensor:
    """Approximate depth of an ellipsoid."""
    parts = [((p - c) / r).square() for p, c, r in zip((nodes.x, nodes.y, nodes.z), centre, radii, strict=True)]
    return (1.0 - (parts[0] + parts[1] + parts[2]).sqrt()) * min(radii)


def _paint_gut(
    canvas: Canvas, frame: Frame, shapes: Shapes, belly: Tensor, rng: np.random.Generator
) -> None:  # fmt: skip
    """Stomach with gas above its fluid, and loops of bowel, some of them with gas."""
    chest, nodes, mid = frame.chest, shapes.nodes, frame.middle
    full = float(rng.uniform(0.7, 1.15))
    centre = (-0.42 * frame.a, mid + 0.3 * frame.b, frame.tops[1] - 50.0 * full)
    stomach = torch.minimum(_ball(nodes, centre, (40.0 * full, 46.0 * full, 48.0 * full)), belly - 4.0)
    _paint(canvas, nodes, stomach, 45.0)
    _paint(canvas, nodes, stomach - 4.0, float(rng.uniform(5, 60)))
    if chest.bowel_gas:
        level = mid + 0.3 * frame.b + (44.0 - 1.6 * chest.bowel_gas) * full
        _paint(canvas, nodes, torch.minimum(stomach - 4.0, nodes.y - level), GAS)
    for _ in range(int(rng.integers(3, 11)) if chest.bowel_gas else 2):
        high = rng.random() < 0.25
        place = (float(rng.uniform(-0.85, -0.45) if high else rng.uniform(-0.85, 0.7)) * frame.a,
                 mid + float(rng.uniform(0.1, 0.85)) * frame.b,
                 (frame.tops[1] - 25.0 if high else frame.lowest - 20.0) - float(rng.uniform(0, 110)))  # fmt: skip
        radii = (float(rng.uniform(10, 26)), float(rng.uniform(9, 20)), float(rng.uniform(12, 34)))
        loop = torch.minimum(_ball(nodes, place, radii), torch.minimum(belly - 3.0, -2.0 - stomach))
        _paint(canvas, nodes, loop, 40.0)
        gas = GAS if chest.bowel_gas and rng.random() < 0.7 else WATER
        _paint(canvas, nodes, torch.minimum(loop - 3.0, nodes.y - place[1] + float(rng.uniform(-4, 14))), gas)
