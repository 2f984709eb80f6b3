"""Shoulders and the top of the chest of the simulated head and neck: bones and lung tips."""

from __future__ import annotations

import numpy as np

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path
from manabi.phantoms.head_neck_spine import LEVELS
from manabi.phantoms.thorax_canvas import edge

CLAVICLE = path((13, 28, -182, 8), (30, 32, -174, 6), (62, 30, -165, 5.2), (100, 4, -154, 5.4), (146, -26, -150, 6))
SCAPULA = (
    path((148, -40, -184, 11), (140, -44, -186, 9), stretch=(0.8, 1.3, 1.6)),
    path((146, -42, -190, 4), (118, -68, -200, 3), (90, -90, -215, 2.5), stretch=(0.7, 0.7, 7.0)),
    path((88, -94, -178, 4), (120, -86, -168, 4.5), (150, -66, -156, 6), (168, -42, -152, 6)),
    path((146, -30, -172, 6), (138, -8, -172, 6.5), (140, 0, -178, 5)),
)
"""Socket, blade, spine with acromion, coracoid."""
HUMERUS = (ball((172, -34, -184), (24, 25, 24)), path((176, -34, -196, 17), (190, -34, -225, 12), (200, -34, -310, 11)),
           path((188, -20, -182, 8), (190, -26, -200, 8)))  # fmt: skip
STERNUM = path((0, 34, -192, 7), (0, 46, -230, 6), stretch=(3.2, 1.0, 1.0))
PLEURA = ball((43, -16, -238), (40, 48, 74))
LOWER_RIBS = 4


def ribs() -> list[Body]:
    """The first ribs of one side, each sloping down to the front."""
    out = [
        path(
            (22, -36, -146, 4),
            (40, -36, -148, 4),
            (56, -18, -156, 4.2),
            (52, 10, -172, 4.4),
            (24, 30, -188, 5),
            stretch=(1.3, 1.3, 0.8),
        )
    ]
    for number in range(1, LOWER_RIBS + 1):
        _, z, y = LEVELS[5 + number]
        side = 66.0 + 12.0 * number
        out.append(
            path(
                (22, y - 18, z + 4, 4),
                (45, y - 34, z, 4.5),
                (side, y - 5, z - 18, 4.5),
                (side - 4, y + 40, z - 38, 4.5),
                (40, 54 + 4 * number, z - 48, 5),
            )
        )
    return out


def paint_shoulders(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Lung tips, ribs, clavicles, shoulder blades and arms."""
    canvas.paint(PLEURA.grown(4.5), "muscle", both=True)
    middle = path((0, 5, -185, 17), (0, -2, -262, 26), stretch=(1.2, 1.5, 1.0))
    canvas.paint(middle, "fat")
    lung = PLEURA - middle
    canvas.paint(lung, "lung", both=True)
    _paint_lung_vessels(canvas, lung)
    for number, rib in enumerate(ribs()):
        _bone(canvas, rib, 1.4, build, 900.0 if number else 950.0)
    _bone(canvas, CLAVICLE, 2.0, build, 1250.0)
    _bone(canvas, STERNUM, 1.5, build, 700.0)
    for part in SCAPULA:
        _bone(canvas, part, 1.6, build, 1000.0)
    for part in HUMERUS:
        canvas.paint(part, "cortical", both=True, hu=1150.0 * build.bone)
    for part, shell in zip(HUMERUS, (1.8, 4.2, 2.0), strict=True):
        canvas.paint(part.grown(-shell), "spongiosa", both=True, hu=230.0 * build.bone)


def _bone(canvas: Canvas, body: Body, shell: float, build: Build, hu: float) -> None:
    canvas.paint(body, "cortical", both=True, hu=hu * build.bone)
    canvas.paint(body.grown(-shell), "spongiosa", both=True, hu=280.0 * build.bone)


def _paint_lung_vessels(canvas: Canvas, lung: Body) -> None:
    """Spots and threads of vessels, drawn from the textures."""
    for side in (1.0, -1.0):
        box = canvas.near(lung, side)
        if box is None:
            continue
        share = edge(lung.depth(canvas.places(box, side)) - 2.0, canvas.voxel)
        thread = (2.2 * (canvas.fields["fibre"][box] * canvas.fields["mottle"][box].abs() - 1.15)).clamp(0.0, 1.0)
        canvas.fill(share * thread, "lung_vessel", box)
