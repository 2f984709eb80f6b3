"""What fills the simulated pelvis: bowel, the four organs with walls and contents, vessels and what hangs on them."""

from __future__ import annotations

import math

import numpy as np
import torch

from manabi.phantoms.head_neck_canvas import SIDES, Canvas
from manabi.phantoms.head_neck_shapes import Body, ball, beyond, path
from manabi.phantoms.pelvis_organs import RECTAL_WALL_MM, Bodies, Station
from manabi.phantoms.pelvis_parameters import Build, Finds, Organs
from manabi.phantoms.pelvis_shapes import lumpy
from manabi.phantoms.thorax_canvas import edge

LEFT_COLON: tuple[Station, ...] = ((-30, -40, 84, 11), (-44, -8, 92, 12), (-70, 18, 84, 12), (-98, 34, 100, 13),
                                   (-112, 20, 126, 14), (-118, 0, 165, 15), (-118, -6, 260, 15))  # fmt: skip
"""Upper sigmoid and descending colon."""
RIGHT_COLON: tuple[Station, ...] = ((92, 40, 64, 14), (100, 34, 84, 23), (106, 26, 112, 25), (110, 14, 150, 24),
                                    (110, 6, 260, 22))  # fmt: skip
"""Caecum and ascending colon."""
ARTERY: tuple[Station, ...] = ((12, 10, 122, 6.5), (24, 4, 92, 5.8), (42, 14, 66, 5.5), (56, 36, 44, 5.2),
                               (66, 50, 26, 5), (70, 55, 6, 5), (74, 52, -18, 5.2), (80, 46, -50, 5),
                               (84, 38, -110, 4.2), (82, 26, -300, 4))  # fmt: skip
VEIN: tuple[Station, ...] = ((12, -2, 122, 8), (28, -6, 96, 7.5), (44, 0, 72, 6.8), (50, 20, 50, 6.5),
                             (57, 42, 26, 6.5), (60, 48, 6, 6.8), (65, 45, -18, 6.8), (72, 38, -50, 6.2),
                             (80, 30, -110, 5.5), (80, 18, -300, 5))  # fmt: skip
INNER: tuple[tuple[Station, ...], ...] = (
    ((28, 0, 88, 4.5), (36, -24, 72, 4), (44, -40, 52, 3.5), (48, -48, 30, 2.6), (44, -40, 6, 2)),
    ((34, -8, 84, 5), (42, -32, 66, 4.5), (49, -46, 46, 4), (50, -52, 26, 3), (40, -34, -2, 2.2)),
    ((46, -36, 50, 2.4), (46, -12, 36, 2.2), (44, 14, 28, 2), (38, 34, 14, 1.8)),
)  # fmt: skip
"""Internal iliac artery and vein, and the obturator vessels."""
PROFUNDA: tuple[Station, ...] = ((78, 47, -40, 4), (96, 30, -70, 3.2), (104, 14, -120, 2.4))
AORTA: tuple[Station, ...] = ((12, 10, 122, 6.5), (-4, 18, 136, 8.5), (-6, 20, 260, 9))
CAVA: tuple[Station, ...] = ((12, -2, 122, 8), (14, 12, 134, 10), (20, 12, 260, 10.5))
NERVE: tuple[Station, ...] = ((40, -70, 52, 5), (72, -58, 18, 5.5), (84, -50, -30, 5), (84, -46, -110, 4.5))


def paint_bowel(canvas: Canvas, organs: Bodies, rng: np.random.Generator) -> None:
    """Sigmoid, colon and loops of small bowel above the bladder."""
    dome = max(organs.bladder.high[2] - 8.0, 34.0)
    for _ in range(int(rng.integers(9, 15))):
        _paint_loop(canvas, dome, rng)
    swing = float(rng.uniform(-14.0, 22.0))
    end = organs.stations[-1]
    sigmoid = (end, (end[0] + 0.5 * swing, -44.0, 72.0, 11.0), (swing, -18.0, 86.0 + 0.3 * abs(swing), 12.0),
               (0.3 * swing - 16, -16.0, 96.0, 11.0), *LEFT_COLON[1:])  # fmt: skip
    _paint_colon(canvas, sigmoid, 1.0, rng)
    _paint_colon(canvas, RIGHT_COLON, float(rng.uniform(0.75, 1.15)), rng)


def _paint_loop(canvas: Canvas, dome: float, rng: np.random.Generator) -> None:
    """A few turns of small bowel."""
    place = np.array([rng.uniform(-70, 60), rng.uniform(0, 60), rng.uniform(dome + 8.0, 165.0)])
    heading = float(rng.uniform(0, 2 * math.pi))
    points: list[Station] = []
    radius = float(rng.uniform(8.0, 13.0))
    for _ in range(int(rng.integers(5, 10))):
        x, y, z = place.tolist()
        points.append((x, y, z, radius * float(rng.uniform(0.8, 1.15))))
        heading += float(rng.normal(0.0, 0.9))
        step = 20.0 * np.array([math.cos(heading), 0.7 * math.sin(heading), rng.normal(0.0, 0.45)])
        place = np.clip(place + step, (-78.0, -4.0, dome + 4.0), (74.0, 68.0, 175.0))
    tube = path(*points)
    canvas.paint(tube, "bowel_wall")
    hu = float(rng.normal(22.0, 9.0))
    canvas.paint(tube.grown(-2.2), "chyme", hu=hu)
    if rng.random() < 0.35:
        x, y, z, r = points[int(rng.integers(len(points)))]
        canvas.paint(
            tube.grown(-2.4) & ball((x, y + 0.5 * r, z), (1.3 * r,) * 3) & beyond(1, y + 0.15 * r), "bowel_gas"
        )


def _paint_colon(canvas: Canvas, line: tuple[Station, ...], wide: float, rng: np.random.Generator) -> None:
    """Colon with haustra, faeces and gas."""
    tube = path(*((x, y, z, r * wide) for x, y, z, r in line))
    tube = lumpy(tube, int(rng.integers(2**31)), 1.8, 24.0)
    canvas.paint(tube, "bowel_wall")
    canvas.paint(tube.grown(-2.6), "faeces" if rng.random() < 0.75 else "chyme")
    for x, y, z, r in line:
        if rng.random() < 0.35:
            pocket = ball((x, y + 0.4 * r, z + float(rng.normal(0, 6))), (1.2 * r, 1.1 * r, 1.6 * r))
            canvas.paint(tube.grown(-2.8) & pocket & beyond(1, y + 0.1 * r), "bowel_gas")


def paint_vessels(canvas: Canvas, build: Build, finds: Finds, rng: np.random.Generator) -> None:
    """Iliac and femoral vessels with plaques, nerves, small vessels in the fat, stones in the veins."""
    for line in (VEIN, *INNER, PROFUNDA):
        canvas.paint(path(*line), "blood", both=True)
    for line in (CAVA, AORTA):
        canvas.paint(path(*line), "blood")
    canvas.paint(path(*ARTERY), "blood", both=True)
    canvas.paint(path(*NERVE, stretch=(1.5, 0.7, 1.0)), "muscle", both=True, hu=30.0)
    _paint_plaques(canvas, finds.plaques, rng)
    for _ in range(70):
        side = float(rng.choice(SIDES))
        x, y, z = side * float(rng.uniform(14, 50)), float(rng.uniform(-62, 30)), float(rng.uniform(-30, 90))
        dx, dy, dz = (rng.normal(0, 1, 3) * (7, 8, 13)).tolist()
        r = float(rng.uniform(0.8, 2.0))
        _fat_only(canvas, path((x, y, z, r), (x + side * dx, y + dy, z + dz, 0.8 * r)), "soft")
    for _ in range(finds.phleboliths):
        side = float(rng.choice(SIDES))
        place = (side * rng.uniform(22, 44), rng.uniform(-40, -6), rng.uniform(-34, 14))
        _fat_only(canvas, ball(place, (float(rng.uniform(1.4, 3.0)),) * 3), "blood", float(rng.uniform(250, 650)))


def _fat_only(canvas: Canvas, body: Body, tissue: str, hu: float | None = None) -> None:
    """A small body where there is fat."""
    box = canvas.near(body)
    if box is not None:
        fat = (canvas.hu[box] < -40.0) & (canvas.hu[box] > -300.0)
        canvas.fill(edge(body.depth(canvas.places(box)), canvas.voxel) * fat, tissue, box, hu)


def _paint_plaques(canvas: Canvas, share: float, rng: np.random.Generator) -> None:
    """Chalk in the arteries' walls."""
    for line, sides in ((ARTERY, SIDES), (INNER[0], SIDES), (AORTA, SIDES[:1])):
        for side in sides:
            for a, b in zip(line, line[1:], strict=False):
                if rng.random() < share:
                    t, turn = float(rng.random()), float(rng.uniform(0, 2 * math.pi))
                    x, y, z, r = (p + t * (q - p) for p, q in zip(a, b, strict=True))
                    place = (side * x + r * math.cos(turn), y + r * math.sin(turn), z)
                    canvas.paint(
                        ball(place, (1.6, 1.6, float(rng.uniform(2, 6)))), "blood", hu=float(rng.uniform(350, 900))
                    )


def paint_rectum(canvas: Canvas, organs: Organs, shapes: Bodies, rng: np.random.Generator) -> None:
    """Wall, mucus, stool and gas."""
    canvas.paint(shapes.rectum, "rectal_wall")
    lumen = shapes.rectum.grown(-RECTAL_WALL_MM)
    canvas.paint(lumen, "mucus")
    stations = shapes.stations[3:]
    order = list(range(len(stations)))
    start = int(rng.integers(len(order)))
    order = order[start:] + order[:start]
    filled = round(organs.gas * len(stations))
    solid = round((len(stations) - filled) * organs.stool)
    for number, index in enumerate(order[: filled + solid]):
        x, y, z, r = stations[index]
        if number >= filled:
            canvas.paint(lumen.grown(-0.8) & ball((x, y - 1.0, z), (1.1 * r, r, 1.05 * r + 4.0)), "stool")
    for index in order[:filled]:
        x, y, z, r = stations[index]
        pocket = ball((x, y + 0.25 * r, z + float(rng.normal(0, 2))), (1.05 * r, 0.85 * r, r + 3.0))
        canvas.paint(lumen & pocket & beyond(1, y - float(rng.uniform(0.1, 0.7)) * r), "rectal_gas")


def paint_gland(canvas: Canvas, organs: Organs, shapes: Bodies, finds: Finds, rng: np.random.Generator) -> None:
    """Veins around the prostate, vesicles, the gland and its calcifications."""
    _paint_plexus(canvas, shapes, rng)
    for body, line in zip(shapes.vesicles, shapes.roots, strict=True):
        side = math.copysign(1.0, line[-1][0])
        x, y, z, _ = line[0]
        duct = path(
            (x, y + 2, z, 2.2), (side * 12, y + 4, z + 12, 2.2), (side * 40, 2, z + 26, 1.6), (side * 58, 46, 30, 1.6)
        )
        canvas.paint(duct, "soft")
        canvas.paint(body, "vesicles", hu=organs.vesicles_hu)
    canvas.paint(shapes.prostate, "prostate", hu=organs.prostate_hu)
    for _ in range(finds.calcifications):
        place = _inside(shapes, rng, 0.55)
        r = float(rng.uniform(0.7, 2.2))
        canvas.paint(ball(place, (r, r, 1.2 * r)) & shapes.prostate, "prostate", hu=float(rng.uniform(180, 800)))


def _paint_plexus(canvas: Canvas, shapes: Bodies, rng: np.random.Generator) -> None:
    """Veins and fat beside and in front of the prostate, which blur its outline."""
    (_, y, z), radii = shapes.centre, shapes.radii
    around = shapes.prostate.grown(float(rng.uniform(2.5, 6.0))) & beyond(2, z + 0.5 * radii[2], -1.0)
    canvas.paint(around & beyond(1, y - 0.45 * radii[1]), "plexus")
    front = y + 0.75 * radii[1]
    canvas.paint(
        ball((0.0, front + 4.0, z - 0.45 * radii[2]), (0.6 * radii[0], 7.0, 0.5 * radii[2])), "plexus", hu=14.0
    )


def _inside(shapes: Bodies, rng: np.random.Generator, reach: float) -> tuple[float, float, float]:
    """A place in the prostate, within a share of its half axes."""
    at = rng.uniform(-reach, reach, 3)
    x, y, z = (c + float(t) * r for c, t, r in zip(shapes.centre, at, shapes.radii, strict=True))
    return x, y, z


def paint_bladder(canvas: Canvas, organs: Organs, shapes: Bodies, finds: Finds) -> torch.Tensor | None:
    """Wall and urine; what contrast medium adds to it in HU on the whole grid, None without."""
    canvas.paint(shapes.bladder, "bladder_wall")
    inner = shapes.bladder.grown(-shapes.wall_mm)
    canvas.paint(inner, "urine", hu=organs.urine_hu)
    box = canvas.near(inner) if finds.bladder_contrast_hu else None
    if box is None:
        return None
    share = edge(inner.depth(canvas.places(box)), canvas.voxel)
    out = torch.zeros_like(canvas.hu)
    back = 1.0
    if finds.layered:
        low, high = shapes.bladder.low[1], shapes.bladder.high[1]
        level = low + 0.42 * (high - low)
        back = 0.12 + 0.88 * torch.sigmoid((level - canvas.points[1][box]) / 4.0)  # type: ignore[assignment]
    out[box] = finds.bladder_contrast_hu * share * back
    return out
