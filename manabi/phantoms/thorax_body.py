"""The soft parts around the lungs: skin, fat, muscle, arms, heart and vessels, the abdomen, the couch.

Sizes are our choice after the anatomy of adults; the parameters vary them far enough that real patients lie within.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_abdomen import paint_abdomen
from manabi.phantoms.thorax_bones import paint_ribs, paint_shoulders, paint_spine, shoulder
from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_nodes import Nodes, ellipse, joined, table
from manabi.phantoms.thorax_parameters import Airway, Chest, Disease
from manabi.phantoms.thorax_shape import Frame, Shapes, shape_chest

FAT, MUSCLE = -100.0, 55.0


def place_lungs(
    canvas: Canvas, chest: Chest, disease: Disease, airway: Airway | None = None, rng: np.random.Generator | None = None
) -> Shapes:  # fmt: skip
    """Work out the chest's large shapes and fill ``canvas.depth`` and ``canvas.lung``.

    Args:
        canvas: to fill.
        chest: its measures.
        disease: raises the domes.
        airway: whose lean the spine follows; the average one's without.
        rng: draws how the chest is uneven.
    """
    nodes = Nodes(canvas, rng or np.random.default_rng(0), chest.uneven)
    shapes = shape_chest(nodes, Frame(chest, airway or Airway(), disease))
    canvas.depth = nodes.fine(shapes.lung)
    canvas.lung = edge(canvas.depth, canvas.voxel)
    return shapes


def paint_body(canvas: Canvas, frame: Frame, shapes: Shapes, rng: np.random.Generator) -> None:
    """Everything but the lungs' content, trachea and couch."""
    nodes, chest = shapes.nodes, frame.chest
    outline, arms = _skin(nodes, frame), _arms(nodes, chest)
    skin = joined((outline, arms), 14.0) if arms is not None else outline
    fine = nodes.fine(skin)
    body = edge(fine, canvas.voxel)
    canvas.paint(body, FAT)
    canvas.paint(edge(2.0 - fine.abs(), canvas.voxel), 20.0)
    uneven = 1.0 + 0.3 * nodes.noise(rng, 55.0)
    flesh = _flesh(nodes, frame, outline, shapes.cage, uneven)
    if arms is not None:
        flesh = torch.maximum(flesh, arms - 4.0 - 0.35 * chest.fat * uneven)
    flesh = torch.minimum(flesh, skin - 2.5)
    streaks = (1.8 * (nodes.noise(rng, 26.0).abs() - 0.35)).clamp(-0.55, 0.0) * min(chest.fat, 22.0) / 18.0
    canvas.paint(edge(nodes.fine(flesh), canvas.voxel), MUSCLE + 250.0 * nodes.fine(streaks))
    cage = nodes.fine(shapes.cage)
    _paint_room(canvas, shapes, cage, rng)
    paint_abdomen(canvas, frame, shapes, rng)
    paint_ribs(canvas, cage, shapes, chest, rng)
    paint_heart(canvas, frame, shapes)
    paint_spine(canvas, shapes, rng)
    paint_shoulders(canvas, shapes, chest, body)
    _paint_humeri(canvas, chest)


def _skin(nodes: Nodes, frame: Frame) -> Tensor:
    """Depth below the skin without the arms: squarish ellipses, flat where the patient lies, breasts."""
    chest, z, top = frame.chest, nodes.z[:, 0, 0], frame.apex
    fat, over, wide = chest.fat, chest.fat + 0.6 * chest.wall, 1.05 * frame.a
    wings = 150.0 + 30.0 * chest.size + 0.5 * fat
    at = (frame.lowest - 150, frame.lowest - 40, -105, -45, 0, 0.5 * top, top, top + 26, top + 58, top + 95, top + 170)
    half = table(z, at, (wide - 8 + over, wide + over, wide + 5 + over, 0.99 * frame.a + 24 + over,
                         0.95 * frame.a + 46 + over, wings - 4, wings,
                         wings * 0.92, chest.neck * 1.55, chest.neck, chest.neck * 1.15))  # fmt: skip
    f, k = frame.middle + frame.b, frame.behind + 25.0 + 0.55 * fat
    ahead = frame.lean * 105.0
    throat = [frame.lean * (top + high) + 25.0 for high in (0, 26, 58, 95)]
    front = table(z, at, (f + fat, f + 6 + fat, f + 12 + 0.8 * fat, f + 15 + 0.8 * fat, f + 6 + 0.7 * fat,
                          0.68 * f + 12 + 0.7 * fat, max(0.42 * f + 14 + 0.6 * fat, throat[0]),
                          max(0.3 * f + 12 + 0.5 * fat, throat[1]), throat[2], throat[3], throat[3] + 45))  # fmt: skip
    _, across, _, deep = frame.section(z, top)
    front = torch.where(z < 0.3 * top, torch.maximum(front, across + deep + 12.0 + 0.6 * fat), front)  # over the ribs
    nape = SPINE_BACK + ahead
    back = table(z, at, (k - 16 - 0.7 * fat, k - 20 - 0.7 * fat, k - 22 - 0.7 * fat, k - 24 - 0.7 * fat,
                         k - 22 - 0.7 * fat, k - 16 - 0.6 * fat, k - 8 - 0.6 * fat, 0.5 * (k + nape) - 12 - 0.3 * fat,
                         nape - 10, nape, nape - 30))  # fmt: skip
    half, front, back = (v[:, None, None] for v in (half, front, back))
    middle, deep = 0.5 * (front + back), 0.5 * (front - back)
    out = ellipse(nodes.x, nodes.y - middle, (half, deep + 4.0), 0.28)
    if chest.female:
        out = joined((out, *_breasts(nodes, frame)), 12.0)
    flat = nodes.y - frame.behind
    return -joined((-out, -flat), 16.0)


SPINE_BACK = -88.0
"""Y of the neck's skin behind, before the trachea's lean."""


def _breasts(nodes: Nodes, frame: Frame) -> list[Tensor]:
    chest, out = frame.chest, []
    y = frame.middle + 0.86 * frame.b + 0.4 * chest.fat
    for sign in (1.0, -1.0):
        place = (nodes.x - sign * 0.66 * frame.a, nodes.y - y, (nodes.z + 50.0).expand(-1, 1, 1))
        a, b, c = ((p / r).square() for p, r in zip(place, (58.0, 28.0 + chest.breast, 62.0), strict=True))
        out.append((1.0 - (a + b + c).sqrt()) * 32.0)
    return out


def _flesh(nodes: Nodes, frame: Frame, outline: Tensor, cage: Tensor, uneven: Tensor) -> Tensor:
    """Depth below the muscles' surface: around the ribs, thick at the shoulders and back, and the abdominal wall."""
    chest, z, top = frame.chest, nodes.z[:, 0, 0], frame.apex
    thick = table(z, (frame.lowest - 60, -100, -50, 0, 0.6 * top, top + 20), (12, 13, 20, 46, 75, 130))[:, None, None]
    back = ((frame.middle - nodes.y - 0.45 * frame.b) / 30.0).clamp(0, 1) * (nodes.x.abs() < 75.0) * 26.0
    around = cage + thick + 0.35 * chest.wall + back
    under = outline - chest.fat * uneven * table(z, (-100, 0, top, top + 60), (1.0, 0.9, 0.7, 0.35))[:, None, None]
    return torch.minimum(around, under)


def _arms(nodes: Nodes, chest: Chest) -> Tensor | None:
    """Depth below the arms' skin; raised beside the head or along the body."""
    parts = []
    for sign in (1.0, -1.0):
        begin, end, radius = arm(chest, sign)
        d = [q - p for p, q in zip(begin, end, strict=True)]
        rel = (nodes.x - begin[0], nodes.y - begin[1], nodes.z - begin[2])
        t = ((rel[0] * d[0] + rel[1] * d[1] + rel[2] * d[2]) / sum(v * v for v in d)).clamp(0.0, 1.0)
        off = [r - t * v for r, v in zip(rel, d, strict=True)]
        parts.append(radius * (1.0 - 0.18 * t) - (off[0].square() + off[1].square() + off[2].square()).sqrt())
    return torch.maximum(*parts)


def arm(chest: Chest, sign: float) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Begin, end and radius of an upper arm."""
    x, y, z = shoulder(chest)
    radius = 36.0 + 0.6 * chest.fat
    down = chest.arms == "down" or (chest.arms == "one" and sign > 0)
    if down:
        out = 136.0 * chest.size + chest.fat + radius + 26.0
        return (sign * (x + 4), y, z), (sign * out, -25.0, z - 380.0), radius
    return (sign * (x + 4), y, z), (sign * (x + chest.spread), y + 30.0, z + 300.0), radius


def _paint_humeri(canvas: Canvas, chest: Chest) -> None:
    for sign in (1.0, -1.0):
        begin, end, _ = arm(chest, sign)
        start, stop = (torch.tensor([v], device=canvas.hu.device) for v in (begin, end))
        for r, hu in ((11.5, 900.0), (6.5, 40.0)):
            size = torch.tensor([r], device=canvas.hu.device)
            canvas.capsules(start, stop, size, size * 0.92, hu)


def _paint_room(canvas: Canvas, shapes: Shapes, cage: Tensor, rng: np.random.Generator) -> None:
    """Mediastinal fat and tissue inside the ribs, above the domes."""
    nodes = shapes.nodes
    box = canvas.box((-250, -250, shapes.lowest), (250, 250, float(canvas.z[-1])))
    if box is None:
        return
    above = nodes.fine((nodes.z - shapes.dome).clamp(-30, 30), box)
    hu = nodes.fine((-60.0 + 70.0 * nodes.noise(rng, 16.0)).clamp(-95.0, 45.0), box)
    canvas.paint(edge(cage[box] + 1.0, canvas.voxel) * edge(above + 3.0, canvas.voxel), hu, box)


def paint_heart(canvas: Canvas, frame: Frame, shapes: Shapes) -> None:
    """Pericardium's fat, muscle and chambers, then the great vessels."""
    nodes, blood = shapes.nodes, frame.chest.contrast_hu
    box = nodes.box_of(shapes.heart)
    if box is not None:
        depth = nodes.fine(shapes.heart, box)
        above = edge(nodes.fine((nodes.z - shapes.dome).clamp(-30, 30), box) + 4.0, canvas.voxel)
        canvas.paint(edge(depth - 2.0, canvas.voxel) * above, 40.0 + 0.3 * (blood - 40.0), box)
        canvas.paint(edge(depth - 13.0, canvas.voxel) * above, blood, box)
    _great_vessels(canvas, frame, blood)


def _great_vessels(canvas: Canvas, frame: Frame, blood: float) -> None:
    """Aorta with its arch, pulmonary trunk, caval veins, vessels to the head, oesophagus, thyroid."""
    m, top, ahead = frame.chest.mediastinum / 30.0, frame.apex, frame.lean
    arch, lower, low, lowest = frame.spine(torch.tensor([22.0, -20.0, -110.0, -230.0])).tolist()
    neck = ahead * top
    cones = (
        ((12.0, 30.0, -55.0), (15.0, 34.0, 8.0), 15.0), ((15.0, 34.0, 8.0), (2.0, 22.0, 27.0), 14.0),
        ((2.0, 22.0, 27.0), (-20.0, arch + 22, 23.0), 13.0),
        ((-20.0, arch + 22, 23.0), (-23.0, lower + 20, -20.0), 12.5),
        ((-23.0, lower + 20, -20.0), (-19.0, low + 20, -110.0), 12.0),
        ((-19.0, low + 20, -110.0), (-8.0, lowest + 30, -230.0), 11.0),
        ((-6.0, 36.0, -42.0), (-14.0, 22.0, -16.0), 13.0), ((-14.0, 22.0, -16.0), (-36.0, 2.0, -12.0), 11.0),
        ((-12.0, 20.0, -18.0), (38.0, 6.0, -24.0), 10.5), ((24.0, 22.0, -40.0), (26.0, 18.0, 35.0), 9.5),
        ((26.0, 18.0, 35.0), (36.0, 8.0 + neck, top + 20), 7.0),
        ((25.0, 22.0, 38.0), (-36.0, 16.0 + ahead * 50, 0.8 * top), 6.5),
        ((6.0, 22.0, 28.0), (20.0, 6.0 + neck, top + 10), 6.5),
        ((-8.0, 12.0, 28.0), (-21.0, 2.0 + neck, top + 60), 5.0),
        ((20.0, 6.0 + neck, top + 10), (24.0, 4.0 + neck, top + 70), 5.0),
        ((-18.0, -8.0, 26.0), (-32.0, -6.0 + neck, 0.95 * top), 5.5),
        ((20.0, 8.0, -90.0), (22.0, low + 34, -150.0), 11.0),
        ((22.0, low + 34, -150.0), (18.0, lowest + 34, -260.0), 11.0),
    )  # fmt: skip
    numbers = np.array([(*a, *b, r) for a, b, r in cones])
    numbers[:, [0, 1, 3, 4, 6]] *= np.clip(m, 0.75, 1.3)
    numbers[:, [2, 5]] += frame.chest.vessels_up
    t = torch.as_tensor(numbers, dtype=torch.float32, device=canvas.hu.device)
    canvas.capsules(t[:, :3], t[:, 3:6], t[:, 6], t[:, 6], blood)
    _gullet(canvas, frame)
    canvas.ellipsoid((0.0, 4.0 + ahead * (top + 40), top + 40), (25.0, 11.0, 22.0), 110.0)


def _gullet(canvas: Canvas, frame: Frame) -> None:
    """Oesophagus between trachea and spine, with air in some."""
    heights = (160.0, 60.0, 0.0, -60.0, -110.0, -150.0)
    spine = frame.spine(torch.tensor(heights)).tolist()
    places = [(-4.0 - 3.0 * (z < 50), s + 23.0, z) for z, s in zip(heights, spine, strict=True)]
    t = torch.tensor(places, device=canvas.hu.device)
    sizes = torch.full((len(places) - 1,), 7.5, device=canvas.hu.device)
    canvas.capsules(t[:-1], t[1:], sizes, sizes, 35.0)
    if frame.chest.oesophagus_air:
        r = frame.chest.oesophagus_air
        z = frame.chest.oesophagus_air_z
        y = float(frame.spine(torch.tensor([z]))[0]) + 23.0
        canvas.ellipsoid((-7.0, y, z), (r, r * 0.8, 26.0), -900.0)


def paint_couch(canvas: Canvas, frame: Frame) -> None:
    """Below the back: a curved shell with a mattress, or a flat board with two faces."""
    chest = frame.chest
    if chest.couch == "none":
        return
    x, y = canvas.x[None, None, :], canvas.y[None, :, None]
    skin = frame.behind - 1.0
    outside = (canvas.hu < -600).float()
    if chest.couch == "curved":
        top = skin - 12.0 + 0.0011 * x.square()
        parts = ((2.0 - (y - top).abs(), 40.0), (2.0 - (y - top + 42.0 - 0.0006 * x.square()).abs(), -100.0),
                 (torch.minimum(top + 12.0 - y, y - top - 2.0), -900.0))  # fmt: skip
        half = 215.0
    else:
        off = y - skin + 12.0
        parts = ((1.5 - (off - 11.0).abs() + 0 * x, -350.0), (1.5 - (off + 16.0).abs() + 0 * x, -350.0),
                 (13.0 - (off + 2.0).abs() + 0 * x, -960.0))  # fmt: skip
        half = 250.0
    width = edge(half - x.abs(), canvas.voxel)
    for depth, hu in parts:
        canvas.paint(edge(depth, canvas.voxel) * width * outside, hu)
