"""Hip bones, sacrum, coccyx, lower spine and femora of the simulated pelvis.

Places and sizes are those of an adult man (bony landmarks measured on a CT, else anatomy's textbooks; our choice).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import torch

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_shapes import Body, ball, beyond, path, strap
from manabi.phantoms.pelvis_parameters import Build
from manabi.phantoms.pelvis_shapes import blade

HIP = (84.0, 0.0, 0.0)
"""Middle of the right hip joint."""
HEAD_MM, JOINT_MM, SOCKET_MM = 24.0, 26.0, 32.5
"""Radius of the femoral head, of the joint's outer wall, and of the bone around it."""

WING = blade((28, 79, -4, 30, 16, 76), (42, 84, 1, 36, 11, 68), (51, 87, -1, 42, 8.5, 64), (60, 85, -8, 54, 7.5, 61),
             (69, 82, -16, 66, 7, 60), (78, 84, -17, 75, 6.5, 60), (96, 80, -28, 84, 6, 54),
             (114, 88, -28, 80, 5.5, 48), (132, 95, -26, 60, 5, 41), (143, 95, -29, 40, 5, 38),
             (153, 99, -28, 10, 4, 40), bend=0.0016, thick=0.9)  # fmt: skip
MEDIAL = blade((-26, 55, -14, 26, 5, 88), (-12, 54, -14, 38, 5.5, 87), (0, 52, -10, 47, 6, 88), (12, 53, -8, 46, 6, 86),
               (24, 59, -5, 38, 9, 82), (34, 70, -4, 30, 12, 78), bend=-0.0008, thick=0.25)  # fmt: skip
BEHIND = path((80, -26, 26, 12), (72, -32, 8, 13), (66, -36, -10, 13), (60, -40, -30, 13), (58, -40, -46, 15),
              (57, -38, -62, 12), stretch=(0.85, 1.25, 1.0))  # fmt: skip
FRONT = path((84, 30, 34, 9), (76, 30, 18, 12), (60, 31, 4, 11), (44, 36, -6, 8), (28, 42, -13, 8), (15, 41, -17, 9))
PUBIS = ball((12.5, 34, -26), (11, 11, 23), pitch=-35, roll=-6)
RAMUS = path((13, 22, -42, 7), (24, 8, -54, 6), (40, -14, -62, 6.5), (54, -34, -62, 9), stretch=(0.85, 1.2, 1.0))
SYMPHYSIS = ball((0, 35, -26), (2.8, 9, 20), pitch=-35)

SACRUM = strap((112, 0, -40, 46, 18, 0), (104, 0, -42, 57, 27, 0), (92, 0, -52, 58, 28, 0), (80, 0, -62, 56, 26, 0),
               (68, 0, -74, 46, 18, 0), (56, 0, -85, 38, 11, 0), (42, 0, -89, 32, 8, 0), (30, 0, -89, 15, 6, 0),
               (20, 0, -87, 8, 5, 0), (10, 0, -81, 5, 4, 0), (3, 0, -76, 3, 3, 0), square=0.2)  # fmt: skip
PROMONTORY = strap((108, 0, -12, 27, 18, 0), (98, 0, -20, 27, 18, 0), (84, 0, -34, 24, 16, 0), square=0.1)
SACRAL_CANAL = path((0, -58, 112, 8), (0, -72, 88, 7), (0, -86, 62, 4), stretch=(1.4, 1.0, 1.0))
FORAMINA: tuple[Body, ...] = tuple(
    path((15, inner, z, r), (22, front, z - 3, r), stretch=(1.0, 1.0, 1.2))
    for inner, front, z, r in ((-50, -22, 88, 4.5), (-68, -44, 72, 4.2), (-82, -66, 58, 3.6), (-88, -78, 46, 3.0))
)
JOINT = blade((48, 51, -62, 14, 1.3, 62), (64, 54, -52, 26, 1.5, 62), (84, 60, -44, 30, 1.6, 63),
              (104, 64, -40, 24, 1.4, 62), bend=0.001)  # fmt: skip

LEVELS = (("L5", 123.0, -14.0), ("L4", 157.0, -6.0), ("L3", 191.0, -4.0), ("L2", 225.0, -8.0))
DISCS = (106.5, 140.0, 174.0, 208.0, 242.0)
COLUMN = strap((102, 0, -13, 26, 18, 0), *((z, 0.0, y, 25.0, 17.5, 0.0) for _, z, y in LEVELS),
               (242, 0, -12, 24, 17, 0), square=0.2)  # fmt: skip

SHAFT = path((124, -9, -42, 17), (124, -6, -75, 15.5), (120, 0, -150, 14.5), (112, 4, -320, 15))
NECK = path((88, 0, -3, 16), (108, -5, -17, 15), (124, -9, -34, 18), stretch=(1.0, 0.95, 1.0))
TROCHANTER = ball((137, -18, -16), (13, 20, 25), roll=8)
LESSER = ball((110, -22, -60), (10, 9, 13))
CANAL = path((124, -7, -58, 8), (123, -5, -80, 9), (120, 0, -150, 8.5), (112, 4, -320, 8.5))


def facing(mm: float) -> Body:
    """What lies to the middle, above and behind the opening of the right hip's socket, and ``mm`` beyond it."""

    def depth(p: Points) -> torch.Tensor:
        """Mm below the plane of the opening."""
        x, y, z = (v - c for v, c in zip(p, HIP, strict=True))
        return mm - (0.74 * x + 0.22 * y - 0.63 * z)

    return Body((-1e3, -1e3, -1e3), (1e3, 1e3, 1e3), depth)


SOCKET = ball(HIP, (SOCKET_MM,) * 3) & facing(5.0)
HEAD = ball(HIP, (HEAD_MM,) * 3)


def paint_bones(canvas: Canvas, build: Build) -> None:
    """All bones, the joints between them, and the spine."""
    thin = 1.0 - 0.25 * min(max((build.age - 60.0) / 30.0, 0.0), 1.0)
    _paint_hips(canvas, build, thin)
    _paint_sacrum(canvas, build, thin)
    _paint_spine(canvas, build, thin)
    _paint_femora(canvas, build, thin)


def whole(parts: Sequence[Body], blend_mm: float) -> Body:
    """One bone of several parts, rounded where they meet."""
    return reduce(lambda a, b: a.softly(b, blend_mm), parts)


HIP_BONE = whole((WING, SOCKET, MEDIAL, BEHIND, FRONT, PUBIS, RAMUS), 7.0)
FEMUR_BONE = whole((HEAD, NECK, TROCHANTER, SHAFT, LESSER), 6.0)


def _paint_hips(canvas: Canvas, build: Build, thin: float) -> None:
    canvas.paint(HIP_BONE, "cortical", both=True, hu=build.bone * 1050.0)
    canvas.paint(HIP_BONE.grown(-2.2 * thin), "spongiosa", both=True, hu=build.bone * 115.0)
    canvas.paint(ball(HIP, (JOINT_MM,) * 3), "cartilage", both=True)
    canvas.paint(SYMPHYSIS, "cartilage")


def _paint_sacrum(canvas: Canvas, build: Build, thin: float) -> None:
    bone = SACRUM.softly(PROMONTORY, 8.0)
    canvas.paint(bone, "thin_bone", hu=build.bone * 700.0)
    canvas.paint(bone.grown(-1.8 * thin), "sacral_bone", hu=build.bone * 140.0)
    for hole in FORAMINA:
        canvas.paint(hole.grown(1.2) & bone, "thin_bone", both=True, hu=build.bone * 420.0)
        canvas.paint(hole, "pelvic_fat", both=True)
        canvas.paint(hole.grown(-2.0), "soft", both=True)
    canvas.paint(SACRAL_CANAL.grown(1.0) & bone, "thin_bone", hu=build.bone * 500.0)
    canvas.paint(SACRAL_CANAL, "theca")
    canvas.paint(JOINT.grown(1.6), "thin_bone", both=True, hu=build.bone * 800.0)
    canvas.paint(JOINT, "cartilage", both=True)


def _paint_spine(canvas: Canvas, build: Build, thin: float) -> None:
    for _, z, y in LEVELS:
        arch = (path((15, y - 14, z + 4, 5), (17, y - 24, z + 1, 6), (12, y - 36, z - 4, 4.5), (0, y - 42, z - 8, 4)),
                path((0, y - 40, z - 7, 4.5), (0, y - 62, z - 10, 4), stretch=(0.8, 1.0, 2.2)),
                path((17, y - 22, z + 2, 4), (44, y - 26, z + 4, 3.5)),
                path((19, y - 32, z - 16, 6), (19, y - 30, z + 12, 6)))  # fmt: skip
        bone = whole(arch, 3.0)
        canvas.paint(bone, "thin_bone", both=True, hu=build.bone * 700.0)
        canvas.paint(bone.grown(-1.5 * thin), "vertebra", both=True, hu=build.bone * 170.0)
        canvas.paint(path((0, y - 27, z - 17, 8), (0, y - 27, z + 17, 8), stretch=(1.35, 1.0, 1.0)), "theca")
    canvas.paint(COLUMN, "thin_bone", hu=build.bone * 620.0)
    for low, high in pairwise(DISCS):
        core = COLUMN.grown(-1.5) & strap((low + 6.5, 0, -10, 60, 60, 0), (high - 6.5, 0, -10, 60, 60, 0))
        canvas.paint(core, "vertebra", hu=build.bone * 170.0)
    for z in DISCS:
        canvas.paint(COLUMN.grown(0.8) & strap((z - 4.7, 0, -10, 60, 60, 0), (z + 4.7, 0, -10, 60, 60, 0)), "cartilage")


def _paint_femora(canvas: Canvas, build: Build, thin: float) -> None:
    canvas.paint(FEMUR_BONE, "femur", both=True, hu=build.bone * 1150.0)
    canvas.paint(FEMUR_BONE.grown(-2.0 * thin) & beyond(2, -66.0), "femur_marrow", both=True,
                 hu=60.0 + 130.0 * (build.bone - 0.6))  # fmt: skip
    canvas.paint(HEAD.grown(-1.6), "femur_head", both=True, hu=build.bone * 290.0)
    canvas.paint(CANAL, "shaft_marrow", both=True)
