"""Skull of the simulated head: vault with diploe, base, ear bones with air cells, face, sinuses, nose and orbits."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms import brain_anatomy_outside as outside
from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path
from manabi.phantoms.thorax_canvas import edge

TILT_DEG = 9.0
SCALE = 0.94
SHIFT_MM = (0.0, -9.0, -52.0)
FLOOR_MM, FLATTER = -8.0, 0.28
"""The brain's shapes below this height are drawn out, to the depth of the hindmost fossa over the basion."""
FORAMEN = path((0, -18, 14, 16), (0, -18, -14, 15), stretch=(1.0, 1.15, 1.0))
"""Opening of the skull for the cord."""
CAVITY_BOX = ((-76.0, -95.0, -36.0), (76.0, 96.0, 146.0))
SKULL_BOX = ((-84.0, -108.0, -40.0), (84.0, 108.0, 150.0))
ZYGOMA = path((34, 80, 10, 5), (47, 72, 8, 5.5), (58, 58, 4, 5), (65, 38, 5, 3.2), (66, 18, 9, 3), (60, 4, 12, 5))
RIM = path((18, 91, 38, 4), (26, 94, 47, 4.5), (40, 88, 47, 4.5), (50, 78, 36, 4), (49, 74, 18, 4.5), (34, 84, 11, 4),
           (20, 90, 17, 3))  # fmt: skip
MAXILLA = ball((22, 68, 3), (24, 25, 22)) | ball((10, 80, -12), (17, 16, 12))
SINUS = ball((28, 64, 6), (13.5, 18.5, 17)) | ball((31, 62, -4), (9, 13, 9))
FRONTAL = ball((12, 96, 52), (12, 5, 12)) | ball((6, 97, 46), (6, 5, 9))
SPHENOID = ball((8, 36, 25), (9.0, 12.5, 9.5))
ETHMOID = ball((9, 66, 30), (7, 20, 10), pitch=8)
NASAL = ball((5.5, 70, 14), (9, 32, 22)) | path((6, 92, 2, 6.5), (7, 48, 6, 8), stretch=(1.0, 1.0, 1.5))
NOSTRIL = path((8, 108, -7, 3.6), (6, 100, 4, 4.5), (6, 88, 4, 4.5), stretch=(0.9, 1.0, 1.3))
TURBINATES = (path((9.5, 87, 3, 4.2), (9.5, 68, 3, 5.2), (9.5, 54, 4, 4), stretch=(0.85, 1.0, 1.6)),
              path((8, 76, 17, 3.2), (8, 60, 16, 3.6), stretch=(0.9, 1.0, 1.7)), path((6, 66, 27, 2.2), (6, 54, 25,
                   2.4)))  # fmt: skip
ORBIT = path((12, 40, 28, 3), (30, 68, 29, 16.5), (33, 80, 29, 17))
EYE = ball((32.5, 78.5, 29), (12.0, 12.2, 12.0))
STRAIGHT = tuple(path((13, 42, 28, 1.5), (24 + 0.8 * dx, 62, 29 + 0.8 * dz, 2.6), (32 + 0.95 * dx, 76,
                 29 + 0.95 * dz, 1.6))
                 for dx, dz in ((10.5, 0), (-10.5, 0), (0, 10), (0, -10)))  # fmt: skip
NERVE = path((9, 36, 30, 2.0), (20, 54, 29, 2.1), (31, 70, 29, 2.1))
PETROUS = path((9, 16, 14, 7), (28, 2, 15, 9), (50, -12, 16, 12), (57, -17, 10, 12))
MASTOID = ball((56, -20, -4), (11, 15, 20), roll=-8)
CELLS = ball((56, -18, 0), (8.5, 12, 18), roll=-8) | ball((50, -10, 17), (8, 8, 7))
EAR_CANAL = path((46, -1, 16, 3.2), (60, -3, 14, 3.4), (76, -7, 13, 4.6))
CONDYLE = ball((16, -6, -6), (6, 11, 7), yaw=20)
PLATES = path((12, 42, 8, 1.2), (14, 38, -6, 1.0), stretch=(1.0, 3.0, 1.0)) | path(
    (16, 42, 8, 1.2), (22, 36, -6, 1.0), stretch=(1.0, 4.0, 1.0))  # fmt: skip
CLIVUS = path((0, 4, 2, 6), (0, 15, 16, 7), (0, 21, 29, 5), stretch=(1.5, 1.0, 1.0))


def pons(p: Points) -> Points:
    """Places in the frame of the brain's shapes (:mod:`manabi.phantoms.brain_anatomy_inside`)."""
    cos, sin = math.cos(math.radians(TILT_DEG)) / SCALE, math.sin(math.radians(TILT_DEG)) / SCALE
    y = p[1] * cos - p[2] * sin + SHIFT_MM[1]
    z = p[1] * sin + p[2] * cos + SHIFT_MM[2]
    return p[0] / SCALE, y, z + FLATTER * (FLOOR_MM - z).clamp(min=0.0)


def cavity(p: Points) -> Tensor:
    """Depth below the inner table of the skull, above the foramen magnum."""
    inner = SCALE * outside.cavity(pons(p))
    return torch.minimum(inner, p[2] + 25.0 + 0.25 * p[1].abs())


def paint_skull(canvas: Canvas, build: Build, rng: np.random.Generator, skin: Tensor) -> None:
    """Everything of bone above the mouth, with what it holds except the brain."""
    _paint_vault(canvas, build, skin)
    for body in (PETROUS, MASTOID, CONDYLE):
        _bone(canvas, body, build, 2.2, "petrous" if body is PETROUS else "cortical")
    _bone(canvas, CLIVUS, build, 1.6, "cortical", both=False)
    canvas.paint(PLATES, "thin_bone", both=True)
    _paint_ears(canvas, rng)
    _paint_face(canvas, build)
    _paint_orbits(canvas)
    _paint_nose(canvas, build, rng)


def _bone(canvas: Canvas, body: Body, build: Build, shell: float, tissue: str, both: bool = True) -> None:
    """A bone with a cortex ``shell`` mm thick around its marrow."""
    canvas.paint(body, tissue, both, hu=build.bone * 1300.0)
    canvas.paint(body.grown(-shell), "spongiosa", both, hu=build.bone * 330.0)


def _paint_vault(canvas: Canvas, build: Build, skin: Tensor) -> None:
    box = canvas.near(Body(*SKULL_BOX, cavity))
    if box is None:
        return
    p, skin = canvas.places(box), skin[box]
    inner = cavity(p)
    thick = 6.4 + 1.1 * torch.sin(p[1] / 31.0) + 1.4 * canvas.fields["mottle"][box].clamp(-0.4, 0.4)
    low = (1.0 - (p[2] - 35.0) / 20.0).clamp(0.0, 1.0)
    roof = low * ((p[1] - 30.0) / 20.0).clamp(0.0, 1.0) * ((64.0 - p[0].abs()) / 12.0).clamp(0.0, 1.0)
    thick = thick * (1.0 - 0.72 * roof) * (1.0 - 0.45 * low * (p[0].abs() > 56) * (p[1] > -10) * (p[2] > 14))
    crest = 5.0 * torch.exp(-(((p[2] - 8.0) / 9.0).square() + ((p[0]) / 18.0).square())) * (p[1] < -50)
    table = torch.minimum(inner + thick + crest, skin - 3.0)
    shell = edge(table, canvas.voxel) * edge(0.3 - inner, canvas.voxel)
    shell = shell * edge(-FORAMEN.depth(p), canvas.voxel)
    canvas.fill(shell, "cortical", box, hu=build.bone * 1330.0)
    marrow = torch.minimum(torch.minimum(table - 1.7, -inner - 1.5), 0.5 * (thick - 3.6))
    canvas.fill(edge(marrow, canvas.voxel) * shell, "diploe", box, hu=build.bone * 620.0)


def _paint_ears(canvas: Canvas, rng: np.random.Generator) -> None:
    """Mastoid air cells, middle ear and ear canal."""
    canvas.paint(path((38, 2, 15, 3.5), (44, -2, 17, 4.5)), "airway", both=True)
    for side in (1.0, -1.0):
        filled = float(rng.uniform(-0.5, 0.5)) if rng.random() < 0.85 else -1.6
        box = canvas.near(CELLS, side)
        if box is not None:
            cells = edge(CELLS.depth(canvas.places(box, side)), canvas.voxel)
            walls = (0.5 + 1.4 * (canvas.fields["grain"][box] + 0.4 + filled)).clamp(0.0, 1.0)
            canvas.fill(cells * walls, "airway", box)
    canvas.paint(EAR_CANAL.grown(1.8), "soft", both=True)
    canvas.paint(EAR_CANAL, "airway", both=True, free=True)


def _paint_face(canvas: Canvas, build: Build) -> None:
    """Cheek bones, rims of the orbits, upper jaw, frontal and maxillary sinuses."""
    for body in (ZYGOMA, RIM):
        _bone(canvas, body, build, 1.9, "cortical")
    canvas.paint(
        path((0, 100, 36, 5), (0, 104, 26, 3.5), (3, 107, 17, 2.5)), "cortical", both=True, hu=950.0 * build.bone
    )
    canvas.paint(MAXILLA, "thin_bone", both=True, hu=820.0 * build.bone)
    canvas.paint(MAXILLA.grown(-1.8), "spongiosa", both=True, hu=300.0 * build.bone)
    grow = 8.0 * (build.sinus - 1.0)
    for sinus, wall in ((SINUS.grown(grow), 1.2), (FRONTAL.grown(0.8 * grow), 2.0)):
        canvas.paint(sinus.grown(wall), "thin_bone", both=True)
        canvas.paint(sinus, "mucosa", both=True)
        canvas.paint(sinus.grown(-build.swollen), "airway", both=True)


def _paint_orbits(canvas: Canvas) -> None:
    """Fat behind the eye, muscles, nerve, eyeball with lens, lid."""
    canvas.paint(ORBIT.grown(1.4) & ball((30, 60, 30), (40, 34, 40)), "thin_bone", both=True)
    canvas.paint(ORBIT, "fat", both=True)
    for muscle in STRAIGHT:
        canvas.paint(muscle, "muscle", both=True)
    canvas.paint(NERVE, "stem", both=True, hu=35.0)
    canvas.paint(ball((42, 82, 40), (7, 5, 4)), "soft", both=True)
    canvas.paint(EYE.grown(2.2) & ball((33, 94, 29), (22, 14, 20)), "skin", both=True, free=True)
    canvas.paint(EYE, "sclera", both=True, free=True)
    canvas.paint(EYE.grown(-1.1), "vitreous", both=True, free=True)
    canvas.paint(ball((32.5, 85.0, 29), (4.8, 2.1, 4.8)), "lens", both=True, free=True)


def _paint_nose(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Nasal cavity with septum and turbinates, ethmoid cells, sphenoid sinus."""
    cells = ETHMOID | SPHENOID
    canvas.paint(NASAL.grown(1.2), "thin_bone", both=True)
    canvas.paint(cells.grown(1.0), "thin_bone", both=True)
    canvas.paint(SPHENOID, "mucosa", both=True)
    canvas.paint(SPHENOID.grown(-0.6 * build.swollen), "airway", both=True)
    for side in (1.0, -1.0):
        box = canvas.near(ETHMOID, side)
        if box is not None:
            inside = edge(ETHMOID.depth(canvas.places(box, side)), canvas.voxel)
            open_cells = (0.5 + 1.2 * (canvas.fields["mottle"][box].abs() - 0.22)).clamp(0.0, 1.0)
            canvas.fill(inside, "mucosa", box)
            canvas.fill(inside * open_cells, "airway", box)
    canvas.paint(NASAL, "mucosa", both=True)
    canvas.paint(NASAL.grown(-1.1), "airway", both=True)
    canvas.paint(NOSTRIL, "airway", both=True, free=True)
    for turbinate in TURBINATES:
        canvas.paint(turbinate.grown(float(rng.uniform(-0.6, 0.6))), "mucosa", both=True)
        canvas.paint(turbinate.grown(-2.9), "thin_bone", both=True)
    bow = build.septum
    septum = path((0.2 * bow, 98, 8, 1.5), (bow, 78, 10, 1.4), (0.3 * bow, 52, 12, 1.4), stretch=(1.0, 1.0, 13.0))
    canvas.paint(septum, "mucosa")
    canvas.paint(path((bow, 76, 14, 0.7), (0.2 * bow, 48, 14, 0.8), stretch=(1.0, 1.0, 18.0)), "thin_bone")
