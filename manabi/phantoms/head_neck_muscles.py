"""Muscles of chewing, throat, neck and shoulders of the simulated head and neck, each a body of its own between fat.

Courses and sizes follow the anatomy of adults (our choice); the fat planes between them are what remains.
"""

from __future__ import annotations

import torch
from torch import Tensor

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path, strap
from manabi.phantoms.thorax_canvas import edge

CHEWING: tuple[Body, ...] = (
    ball((57, 30, -24), (7.5, 17, 32), pitch=-14, yaw=-8),
    path((30, 42, 6, 7), (46, 15, 4, 7), stretch=(1.0, 1.0, 1.4)),
    path((19, 38, -2, 6), (33, 28, -28, 7), (44, 20, -50, 5.5), stretch=(0.85, 1.4, 1.0)),
    path((58, 50, 34, 9), (54, 40, 8, 8), (51, 34, -8, 5), stretch=(0.8, 1.5, 1.0)),
    path((46, 72, -22, 3.5), (44, 48, -26, 3.0), stretch=(1.0, 1.0, 3.0)),
    path((0, 100, -24, 3.5), (20, 94, -26, 3.0), (38, 80, -26, 2.6), stretch=(1.0, 1.0, 3.2)),
)
"""Masseter, lateral and medial pterygoid, temporal muscle below the cheek bone, cheek, lips."""
TEMPORAL = ball((62, 30, 42), (15, 42, 44), yaw=-6)
DEEP: tuple[Body, ...] = (
    strap(
        (2, 6, 12, 6, 3.6, 0),
        (-20, 7, 13, 6.5, 4.0, 0),
        (-45, 7.5, 13.5, 6, 3.6, 8),
        (-90, 9, 14.5, 6, 3.2, 12),
        (-120, 9, 5, 5.5, 3.2, 15),
        (-150, 9, -4, 4, 2.6, 15),
    ),
    strap(
        (-55, 25, 4, 3.5, 4.5, -25),
        (-85, 30, 3, 7, 8, -35),
        (-115, 35, 0, 9, 12, -42),
        (-145, 42, -4, 9, 13, -48),
        (-166, 48, -6, 7, 10, -50),
    ),
    strap(
        (-50, 30, -8, 3.5, 6, -35), (-85, 37, -14, 5, 10, -35), (-120, 46, -22, 6, 12, -38), (-160, 60, -30, 6, 12, -35)
    ),
    strap(
        (-20, 33, -20, 5, 6, 20),
        (-60, 40, -24, 7, 10, 15),
        (-100, 46, -34, 8, 12, 5),
        (-140, 60, -54, 8, 13, -8),
        (-165, 76, -76, 7, 10, -20),
    ),
    strap(
        (14, 14, -52, 11, 9, 10),
        (0, 16, -44, 13, 9, 10),
        (-14, 20, -42, 14, 9, 15),
        (-30, 19, -42, 13, 9, 15),
        (-44, 15, -44, 10, 7, 5),
    ),
    strap(
        (-36, 11, -42, 8, 9, 0),
        (-70, 13, -34, 9.5, 10, 0),
        (-110, 14, -38, 10, 11, 0),
        (-160, 15, -60, 11, 13, 0),
        (-230, 16, -78, 12, 13, 0),
        (-280, 18, -82, 14, 14, 0),
    ),
    strap(
        (24, 14, -74, 11, 8, 5),
        (0, 15, -64, 13, 8.5, 10),
        (-25, 16, -59, 14, 8.5, 12),
        (-65, 17, -54, 14.5, 8.5, 15),
        (-105, 18, -58, 13, 8.5, 15),
        (-150, 20, -74, 9, 7, 10),
        (-200, 24, -92, 7, 6, 0),
    ),
    strap(
        (12, 47, -42, 5, 12, 48),
        (-10, 43, -47, 5.5, 16, 52),
        (-30, 38, -52, 6, 18, 57),
        (-65, 31, -60, 6, 19, 64),
        (-105, 24, -70, 5.5, 18, 72),
        (-140, 16, -87, 5, 15, 80),
    ),
)
"""Long muscles before the spine, scalenes (two), levator, suboccipital, multifidus, semispinal, splenius."""
SURFACE: tuple[Body, ...] = (
    strap(
        (4, 60, -28, 5, 12, 20),
        (-20, 57, -18, 6, 15, 28),
        (-50, 54, -6, 6.5, 17, 42),
        (-85, 47, 6, 7, 18, 54),
        (-120, 37, 16, 7.5, 17, 64),
        (-150, 26, 24, 7, 14, 72),
        (-176, 17, 27, 6, 8, 78),
    ),
    strap(
        (22, 10, -82, 2.6, 8, 80),
        (-10, 12, -76, 3, 11, 82),
        (-40, 16, -74, 3.4, 15, 82),
        (-80, 22, -74, 4, 22, 76),
        (-112, 34, -76, 5.5, 35, 70),
        (-132, 54, -72, 7.5, 50, 66),
        (-150, 76, -66, 9, 64, 64),
        (-172, 66, -86, 8, 60, 76),
        (-215, 44, -98, 6, 44, 86),
        (-290, 26, -104, 5, 26, 90),
    ),
)
"""Sternocleidomastoid and trapezius."""
THROAT: tuple[Body, ...] = (
    path((7, 47, -78, 3.2), (12, 40, -110, 3.4), (13, 36, -140, 3.2), (9, 33, -172, 3.0), stretch=(2.0, 0.9, 1.0)),
    path((20, 36, -96, 2.6), (19, 33, -125, 3.2), (12, 28, -172, 2.8), stretch=(1.2, 1.2, 1.0)),
    path((14, 8, 0, 2), (24, 18, -22, 2.6), (25, 26, -62, 2.4)),
    path((54, -16, -16, 4), (38, 14, -58, 4.2), (28, 30, -70, 2.5)),
    path((14, 16, -12, 2.5), (17, 17, -60, 2.6), (18, 18, -92, 2.6), stretch=(1.0, 2.6, 1.0)),
)
"""Straps below the hyoid, styloid group, digastric's belly behind, constrictors."""
SHOULDER: tuple[Body, ...] = (
    ball((178, -30, -200), (37, 44, 46)),
    path((196, -30, -220, 26), (206, -32, -300, 24)),
    path((88, -62, -160, 9), (120, -52, -160, 13), (150, -38, -160, 8)),
    path((96, -92, -212, 13), (125, -78, -200, 14), (158, -52, -192, 8), stretch=(1.0, 0.8, 2.2)),
    path((100, -66, -215, 12), (130, -52, -205, 12), (158, -28, -190, 7), stretch=(1.0, 0.8, 2.2)),
    path((40, 52, -215, 10), (85, 44, -200, 13), (135, 12, -195, 13), (165, -8, -205, 9), stretch=(1.0, 0.8, 1.9)),
    path((95, 26, -190, 6), (135, 0, -178, 7)),
    path((14, -82, -195, 5), (50, -92, -225, 6), (78, -92, -240, 5), stretch=(1.0, 0.8, 3.0)),
    path((72, -10, -200, 5), (92, -45, -215, 6), (86, -82, -225, 5), stretch=(0.9, 1.0, 3.5)),
    path((38, 26, -174, 5), (70, 18, -166, 6), (110, -6, -160, 4)),
)
"""Deltoid, arm, supraspinatus, infraspinatus, subscapularis, pectorals, rhomboid, serratus, subclavius."""


GROUPS = ((SHOULDER, 1.4, 4.5), (DEEP, 0.8, 2.0), (SURFACE, 0.55, 0.3), (CHEWING, 0.7, 0.6), (THROAT, 0.3, 0.3))
"""Muscles, how far they follow the patient's muscle, and how much larger than the tables all are, mm."""
PLANE_MM = 0.9
PLATYSMA = ball((30, 40, -112), (32, 44, 52)) | ball((-30, 40, -112), (32, 44, 52))


def paint_muscles(canvas: Canvas, build: Build, skin: Tensor) -> None:
    """All muscles; those that bones cover are painted before the bones."""
    thick = 2.2 * (build.muscle - 1.0) * 3.0
    for group, share, more in GROUPS:
        for body in group:
            canvas.paint(body.grown(more + share * thick + PLANE_MM), "fat", both=True, hu=-75.0)
            canvas.paint(body.grown(more + share * thick), "muscle", both=True)
    _paint_platysma(canvas, build, skin)


def _paint_platysma(canvas: Canvas, build: Build, skin: Tensor) -> None:
    """A thin sheet in the fat below the skin of the front of the neck."""
    box = canvas.near(Body((-70.0, -20.0, -165.0), (70.0, 80.0, -62.0), PLATYSMA.depth))
    if box is not None:
        sheet = 0.9 - (skin[box] - 2.0 - 0.45 * build.fat).abs()
        share = edge(torch.minimum(sheet, PLATYSMA.depth(canvas.places(box))), canvas.voxel)
        canvas.fill(0.8 * share, "muscle", box)


def paint_temporal(canvas: Canvas, build: Build) -> None:
    """The temporal muscles, of which the skull leaves the outer part."""
    canvas.paint(TEMPORAL.grown(2.0 * (build.muscle - 1.0)), "muscle", both=True)
