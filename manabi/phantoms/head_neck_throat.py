"""Airway, voice box, gullet and thyroid gland of the simulated neck."""

from __future__ import annotations

import numpy as np

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path, strap
from manabi.phantoms.thorax_canvas import edge

NASOPHARYNX = ((14.0, 0.0, 36.0, 9.0, 6.0, 0.0), (8.0, 0.0, 34.0, 13.0, 9.0, 0.0), (0.0, 0.0, 32.0, 14.0, 9.0, 0.0),
               (-12.0, 0.0, 24.5, 13.0, 5.5, 0.0), (-24.0, 0.0, 20.0, 12.0, 3.6, 0.0), (-36.0, 0.0, 20.5, 11.5,
                5.5, 0.0),
               (-50.0, 0.0, 21.0, 12.0, 6.0, 0.0), (-62.0, 0.0, 21.5, 14.0, 5.5, 0.0), (-72.0, 0.0, 23.0, 14.0,
                5.0, 0.0),
               (-80.0, 0.0, 28.0, 8.0, 7.0, 0.0), (-88.0, 0.0, 31.0, 5.0, 9.5, 0.0))  # fmt: skip
LARYNX = ((-78.0, 0.0, 28.0, 8.0, 7.0, 0.0), (-88.0, 0.0, 31.0, 5.0, 9.5, 0.0), (-94.0, 0.0, 32.0, 3.6, 10.5, 0.0),
          (-98.0, 0.0, 32.5, 1.9, 10.5, 0.0), (-103.0, 0.0, 32.0, 4.0, 10.5, 0.0), (-109.0, 0.0, 30.0, 7.5, 9.5, 0.0),
          (-118.0, 0.0, 27.5, 8.5, 9.0, 0.0), (-140.0, 0.0, 18.5, 8.8, 8.3, 0.0), (-166.0, 0.0, 7.0, 8.8, 8.0, 0.0),
          (-200.0, 0.0, -6.0, 8.8, 8.0, 0.0), (-262.0, -3.0, -24.0, 9.0, 8.0, 0.0))  # fmt: skip
PIRIFORM = path((11, 21, -74, 3.5), (13, 19, -84, 3.2), (12, 18, -96, 1.6), stretch=(0.9, 1.4, 1.0))
VALLECULA = path((4, 32, -66, 3.2), (9, 29, -65, 3.0), stretch=(1.0, 0.7, 1.4))
CHOANA = path((6.5, 60, 6, 5.0), (6, 36, 5, 6.0), stretch=(0.9, 1.0, 1.3))
"""Where the nose opens into the throat."""
EPIGLOTTIS = path((0, 27, -56, 1.3), (0, 31, -70, 1.5), (0, 38, -82, 1.3), stretch=(6.5, 1.0, 1.0))
HYOID = path((0, 45, -74, 3.2), (11, 42, -73, 2.8), (20, 30, -70, 1.8), (24, 17, -67, 1.5), stretch=(1.0, 1.0, 1.35))
CRICOID = strap((-117, 0, 28, 11, 12.0, 0), (-108, 0, 29.0, 11, 12.4, 0), (-100, 0, 28, 10.5, 11.0, 0))
ARYTENOID = ball((5, 21, -95), (2.6, 3.2, 5.5))
GULLET = ((-104.0, 0.0, 13.0, 8.5, 3.6, 0.0), (-120.0, -1.0, 7.0, 8.0, 4.2, 0.0), (-142.0, -4.0, 1.0, 7.5, 5.0, 0.0),
          (-168.0, -6.0, -9.0, 7.5, 5.2, 0.0), (-200.0, -5.0, -19.0, 8.0, 5.5, 0.0), (-262.0, -4.0, -34.0, 8.5,
           6.0, 0.0))  # fmt: skip
LOBE = path(
    (16, 24, -108, 3.5), (17.5, 22, -124, 7.5), (18, 17, -140, 8.0), (17, 12, -152, 5), stretch=(0.85, 1.15, 1.0)
)
ISTHMUS = path((0, 33, -130, 2.5), (9, 31, -130, 3.0), (14, 26, -130, 4.0), stretch=(1.0, 1.0, 2.2))


def thyroid_cartilage(build: Build) -> Body:
    """One plate with its horns; both meet at the prominence in front."""
    front = 40.0 + build.larynx
    plate = path(
        (1.0, front, -89, 1.5), (11, 0.5 * (front + 26), -91, 1.5), (20, 20, -92, 1.5), stretch=(1.0, 1.0, 8.0)
    )
    horns = path((20, 18, -84, 1.8), (23, 13, -70, 1.6)) | path((19, 19, -100, 1.8), (14, 18, -110, 1.7))
    return plate | horns


def paint_throat(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Walls first, then cartilages, gullet and thyroid, the air last."""
    upper, lower = strap(*NASOPHARYNX), strap(*LARYNX)
    canvas.paint(upper.grown(4.5) & ball((0, 25, -35), (40, 30, 75)), "muscle")
    canvas.paint(upper.grown(2.0), "mucosa")
    canvas.paint(ball((16, 22, -34), (5.5, 8, 12)).grown(float(rng.uniform(-2.0, 1.5))), "mucosa", both=True)
    canvas.paint(ball((0, 30, -62), (15, 9, 12)), "mucosa")
    canvas.paint(path((0, 26, -76, 14), (0, 30, -96, 15), (0, 29, -108, 12)) & strap(*_box()), "soft")
    canvas.paint(path((3, 40, -72, 4), (8, 36, -82, 4), (9, 34, -90, 3), stretch=(1.0, 0.9, 1.0)), "fat", both=True)
    canvas.paint(ISTHMUS.grown(2.0 * (build.thyroid - 1.0)), "thyroid", both=True)
    canvas.paint(LOBE.grown(5.0 * (build.thyroid - 1.0)), "thyroid", both=True)
    gullet = strap(*GULLET)
    canvas.paint(gullet, "oesophagus")
    canvas.paint(strap(*((z, x, y, 3.4, 1.3, t) for z, x, y, _, _, t in GULLET)), "fat", hu=5.0)
    if rng.random() < 0.5:
        low = float(rng.uniform(-220, -125))
        canvas.paint(gullet.grown(-3.2) & ball((-3, -10, low), (20, 40, 22)), "air")
    _paint_cartilages(canvas, build)
    canvas.paint(lower.grown(1.6), "mucosa")
    _paint_rings(canvas, lower)
    for body in (upper, lower, CHOANA, *_pouches(rng)):
        canvas.paint(body, "airway", both=body not in (upper, lower))
    canvas.paint(EPIGLOTTIS, "mucosa", hu=60.0)
    canvas.paint(path((0, 20, -22, 3.4), (0, 21, -34, 2.4)), "mucosa")


def _box() -> tuple[tuple[float, float, float, float, float, float], ...]:
    return ((-114.0, 0, 28, 16, 16, 0), (-95.0, 0, 28, 19, 17, 0), (-72.0, 0, 26, 20, 14, 0))


def _pouches(rng: np.random.Generator) -> list[Body]:
    return [PIRIFORM.grown(float(rng.uniform(-1.6, 0.6))), VALLECULA.grown(float(rng.uniform(-1.0, 0.6)))]


def _paint_cartilages(canvas: Canvas, build: Build) -> None:
    """Hyoid bone, thyroid and cricoid cartilage, partly turned to bone, arytenoids."""
    canvas.paint(HYOID, "cortical", both=True, hu=900.0 * build.bone)
    canvas.paint(HYOID.grown(-1.6), "spongiosa", both=True)
    ring = CRICOID - strap((-118, 0, 27.5, 8.2, 8.8, 0), (-108, 0, 30.5, 7.6, 9.2, 0), (-99, 0, 33, 8, 12, 0))
    tilted = Body(ring.low, ring.high, lambda p: -97.0 - 0.39 * (p[1] - 17.0) - p[2])
    for body in (thyroid_cartilage(build), ring & tilted, ARYTENOID):
        for side in (1.0, -1.0):
            box = canvas.near(body, side)
            if box is None:
                continue
            share = edge(body.depth(canvas.places(box, side)), canvas.voxel)
            canvas.fill(share, "cartilage", box)
            bony = (0.5 + 2.0 * (0.7 * canvas.fields["mottle"][box] + 2.4 * (build.ossified - 0.5))).clamp(0.0, 1.0)
            canvas.fill(share * bony, "ossified", box)


def _paint_rings(canvas: Canvas, trachea: Body) -> None:
    """Horseshoes of cartilage around the windpipe, open behind."""
    shell = (trachea.grown(2.2) - trachea.grown(0.5)) & ball((0, 10, -190), (20, 60, 72))
    box = canvas.near(shell)
    if box is None:
        return
    p = canvas.places(box)
    waves = ((p[2] / 4.6).remainder(1.0) < 0.62).float()
    share = edge(shell.depth(p), canvas.voxel) * waves
    canvas.fill(share, "cartilage", box, hu=85.0)
