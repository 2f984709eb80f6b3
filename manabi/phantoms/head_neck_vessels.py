"""Vessels, salivary glands and lymph nodes of the simulated neck."""

from __future__ import annotations

import numpy as np

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path

ARTERIES = (
    path((12, 6, -205, 4.5), (17, 4, -172, 4.0), (21, 10, -140, 3.5), (25, 13, -100, 3.4), (27, 13, -80, 4.0)),
    path((27, 12, -80, 3.8), (27, 8, -55, 2.7), (26, 9, -25, 2.6), (24, 8, 4, 2.6), (20, 12, 14, 2.5), (8, 24, 24, 2.3),
         (6, 34, 30, 2.2)),
    path((27, 16, -78, 2.6), (33, 20, -58, 2.3), (42, 16, -30, 2.0), (50, 6, -8, 1.8)),
    path((33, 20, -60, 1.6), (36, 40, -58, 1.4), (44, 50, -52, 1.2)),
    path((22, -10, -160, 2.0), (17, 0, -122, 1.9), (17.5, 3, -85, 1.9), (18, 0, -45, 1.9), (26, -6, -18, 1.9), (14,
         -22, -8, 1.8),
         (5, -6, 8, 1.8)),
    path((14, 0, -178, 4.5), (40, 4, -166, 4.2), (75, 0, -172, 4.0), (120, -14, -190, 3.8), (150, -22, -215, 3.6)),
)  # fmt: skip
"""Common, inner and outer carotid, facial, vertebral and subclavian artery."""
VEINS = (
    path(
        (22, 10, -185, 6.5),
        (27, 9, -165, 6.0),
        (33, 13, -125, 5.4),
        (35, 9, -92, 5.2),
        (34, 4, -60, 4.6),
        (31, 0, -25, 3.8),
        (29, -2, 0, 3.6),
        (34, -8, 8, 4.2),
    ),
    path((35, 14, -84, 2.2), (40, 34, -68, 1.9), (48, 46, -50, 1.5)),
    path((56, 4, -40, 1.9), (57, 2, -80, 2.2), (54, 0, -120, 2.4), (48, 8, -160, 2.4)),
    path((20, 14, -178, 6.0), (60, 20, -178, 5.0), (110, 2, -192, 4.6)),
    path((20, 48, -80, 1.4), (22, 46, -120, 1.5), (18, 36, -165, 1.6)),
)
"""Inner jugular, facial, outer jugular, subclavian and front jugular vein."""
CENTRAL = path((-4, 2, -250, 11), (2, 14, -215, 10), (8, 12, -205, 7))
PAROTID = (
    ball((59, 6, -18), (12, 19, 26), pitch=-10) | ball((48, -2, -20), (13, 9, 20)) | ball((60, 24, -14), (6, 18, 14))
)
SUBMANDIBULAR = ball((35, 40, -68), (9, 15, 13), yaw=-28)
NODES = (
    (40, 14, -62), (44, 2, -72), (44, -2, -95), (40, 10, -110), (38, 8, -135), (50, -18, -90), (54, -26, -115),
     (12, 66, -80),
    (30, 54, -74), (52, 0, -45), (48, -12, -62), (44, 0, -150)
)  # fmt: skip
"""Where lymph nodes of levels I to V lie."""


def paint_glands(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Parotid and submandibular glands, small lymph nodes."""
    grow = float(rng.normal(0.0, 0.8))
    canvas.paint(PAROTID.grown(grow), "parotid", both=True, hu=42.0 - 95.0 * build.gland_fat)
    canvas.paint(SUBMANDIBULAR.grown(float(rng.normal(0.0, 0.8))), "submandibular", both=True)
    for centre in NODES:
        for side in (1.0, -1.0):
            if rng.random() < 0.75:
                radius = float(np.clip(rng.normal(2.6, 0.7), 1.4, 4.2))
                shift = rng.normal(0.0, 2.0, 3)
                place = (side * centre[0] + shift[0], centre[1] + shift[1], centre[2] + shift[2])
                canvas.paint(ball(place, (radius, 1.2 * radius, 1.6 * radius)), "node")


def paint_vessels(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Arteries and veins, of which one inner jugular is the larger; plaques in the old."""
    for artery in ARTERIES:
        canvas.paint(artery.grown(float(rng.normal(0.0, 0.2))), "blood", both=True)
    canvas.paint(CENTRAL, "blood")
    wide = float(rng.uniform(-1.2, 2.0))
    for number, vein in enumerate(VEINS):
        if number == 0:
            for side, grow in ((1.0, wide), (-1.0, -0.8 * wide)):
                canvas.paint(_sided(vein.grown(grow), side), "blood")
        else:
            canvas.paint(vein.grown(float(rng.uniform(-1.0, 0.3))), "blood", both=True)
    if rng.random() < 0.02 * max(build.age - 45.0, 0.0):
        for side in (1.0, -1.0):
            place = (side * (27.0 + float(rng.uniform(0, 3))), 10.0, -78.0 + float(rng.uniform(-6, 4)))
            canvas.paint(ball(place, (1.4, 1.6, 3.2)), "cortical", hu=850.0)


def _sided(body: Body, side: float) -> Body:
    """The body, or its mirror image for the left."""
    if side > 0:
        return body
    low, high = (-body.high[0], *body.low[1:]), (-body.low[0], *body.high[1:])
    return Body(low, high, lambda p: body.depth((-p[0], p[1], p[2])))
