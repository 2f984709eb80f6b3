"""Jaws, teeth, dental metal, tongue and floor of the mouth of the simulated head and neck."""

from __future__ import annotations

import numpy as np

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build, Mouth
from manabi.phantoms.head_neck_shapes import Body, ball, beyond, path

TEETH_PER_ROW = 14
WIDTHS = (8.2, 6.6, 7.6, 7.2, 7.0, 10.2, 9.8)
"""Widths of one side's upper teeth from the middle."""
LOWER = 0.9
"""Widths of lower teeth over those of upper ones, about."""
CROWN_SHARE = 0.45
"""Share of the shell that stands for a crown which is metal: real ones are thinner and open below."""
BITE = -31.0
"""Height at which the teeth meet."""
MANDIBLE = path((0, 86, -67, 5.2), (12, 84, -66, 5.0), (21, 77, -65, 4.8), (28, 65, -63, 4.8), (34, 50, -61, 4.9),
                 (41, 35, -59, 4.8), (46, 25, -57, 4.5),
                (49, 18, -54, 4.0), stretch=(1.0, 1.0, 2.6))  # fmt: skip
RAMUS = path((48, 20, -52, 3.6), (51, 16, -28, 3.2), (52, 13, -6, 2.6), stretch=(1.0, 3.9, 1.0))
CONDYLE = path((52, 8, -8, 3.6), (53, 8, 4, 4.2)) | ball((53, 8, 9), (10, 5, 5.5), yaw=-15)
CORONOID = path((50, 28, -22, 3.6), (50, 33, -2, 2.2), stretch=(0.8, 1.6, 1.0))
CHIN = ball((0, 88, -74), (15, 7, 8))
TONGUE = ball((0, 55, -35), (26, 32, 20)).softly(ball((0, 33, -50), (21, 16, 24)), 8.0)
SLING = path((34, 34, -56, 3.0), (20, 60, -64, 3.2), (4, 78, -66, 3.0), stretch=(1.0, 1.0, 1.6))
FLOOR = ball((0, 58, -52), (30, 31, 25))
PALATE = path((0, 90, -7, 2.4), (0, 48, -6, 2.2), stretch=(7.0, 1.0, 1.0))
VELUM = path((0, 46, -6, 4), (0, 34, -14, 4.5), (0, 29, -26, 3.6), stretch=(2.6, 1.0, 1.0))
UPPER_ARCH, LOWER_ARCH = (95.0, 28.5), (92.0, 28.5)
"""Front of each arch and its half width; see :func:`arch_y`."""


def arch_y(x: np.ndarray, lower: bool) -> np.ndarray:
    """Y of an arch at ``x``: a U, more open than a parabola."""
    front, wide = LOWER_ARCH if lower else UPPER_ARCH
    return front - 42.0 * (np.abs(x) / wide) ** 2.6


def place(lower: bool, index: int) -> tuple[float, float, float]:
    """X and y of tooth ``index`` (0 is the rightmost of 14) on its arch, and its width."""
    from_middle = 6 - index if index < 7 else index - 7
    widths = [w * (LOWER if lower else 1.0) for w in WIDTHS]
    along = sum(widths[:from_middle]) + 0.5 * widths[from_middle]
    x = np.linspace(0, 45, 901)
    y = arch_y(x, lower)
    length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    at = float(np.interp(along, length, x))
    return (at if index < 7 else -at), float(arch_y(np.array(at), lower)), widths[from_middle]


def paint_mouth(canvas: Canvas, build: Build, mouth: Mouth, metal: bool) -> None:
    """Jaws with teeth, palate, tongue."""
    _paint_tongue(canvas, build, mouth)
    canvas.paint(VELUM, "mucosa")
    canvas.paint(PALATE, "thin_bone", hu=1000.0 * build.bone)
    ridge = _arch(False, -13.0, 5.6, 1.5) if set(mouth.upper) - {"."} else _arch(False, -10.0, 4.2, 1.2)
    canvas.paint(ridge.grown(2.2) & beyond(2, -10.0, -1.0), "mucosa", both=True)
    _paint_bone(canvas, ridge, 1.4, build)
    low = mouth.gape
    height = 1.0 if set(mouth.lower) - {"."} else 0.0
    alveolar = _arch(True, -55.0 - 4.0 * (1.0 - height), 4.7, 1.0 + 0.7 * height).moved(z=-low)
    canvas.paint(alveolar.grown(2.0), "mucosa", both=True)
    mandible = (MANDIBLE | CHIN | RAMUS | CORONOID | alveolar).moved(z=-low)
    for body in (
        alveolar,
        MANDIBLE.moved(z=-low),
        CHIN.moved(z=-low),
        RAMUS.moved(z=-low),
        CORONOID.moved(z=-0.7 * low),
        CONDYLE,
    ):
        canvas.paint(body, "jaw", both=True, hu=1420.0 * build.bone)
    canvas.paint(mandible.grown(-2.3), "jaw_marrow", both=True, hu=230.0 * build.bone)
    canvas.paint(CONDYLE.grown(-1.6), "jaw_marrow", both=True, hu=420.0 * build.bone)
    nerve = path((46, 20, -42, 1.2), (40, 40, -64, 1.3), (28, 68, -66, 1.2)).moved(z=-low)
    canvas.paint(nerve, "soft", both=True)
    for kinds, lower in ((mouth.upper, False), (mouth.lower, True)):
        for index, kind in enumerate(kinds):
            if kind != ".":
                _paint_tooth(canvas, index, lower, kind if metal else "t", low if lower else 0.0, mouth.alloy)


def _arch(lower: bool, z: float, radius: float, tall: float) -> Body:
    """The horseshoe that holds a row of teeth; one side, from the middle to behind the last tooth."""
    across = (0.0, 8.0, 14.0, 19.0, 23.0, 26.0, 28.5)
    levels = arch_y(np.asarray(across), lower).tolist()
    points = [(x, y - 1.5, z - 0.04 * x, radius * (1.0 + 0.006 * x)) for x, y in zip(across, levels, strict=True)]
    return path(*points, stretch=(1.0, 1.0, tall))


def _paint_bone(canvas: Canvas, body: Body, shell: float, build: Build) -> None:
    canvas.paint(body, "cortical", both=True, hu=1050.0 * build.bone)
    canvas.paint(body.grown(-shell), "spongiosa", both=True, hu=420.0 * build.bone)


def _paint_tooth(canvas: Canvas, index: int, lower: bool, kind: str, gape: float, alloy: str) -> None:
    """A tooth with crown, root and pulp; or its filling, metal crown, or implant."""
    x, y, width = place(lower, index)
    sign = -1.0 if lower else 1.0
    edge_z = BITE - (gape + 0.5 if lower else -0.5)
    deep = width * (0.75 if width < 8.5 and abs(x) < 13 else 1.15)
    rise = np.diff(arch_y(np.array([x - 0.5, x + 0.5]), lower))
    yaw = float(np.degrees(np.arctan2(rise, 1.0))[0])
    crown = ball((x, y, edge_z + sign * 4.2), (0.5 * width, 0.5 * deep, 5.2), yaw=yaw)
    spread = 0.22 * width if width > 9 else 0.0
    tip = (x * 0.96, y - 1.5, edge_z + sign * 20.0)
    if kind == "i":
        canvas.plate(path((x, y, edge_z + sign * 8.0, 2.2), (*tip[:2], edge_z + sign * 20.0, 1.9)), "titanium")
        canvas.paint(crown, "enamel", hu=2300.0)
        return
    neck = (x, y, edge_z + sign * 7.5)
    for shift in {spread, -spread}:
        canvas.paint(path((*neck, 0.34 * min(width, deep)), (tip[0], tip[1] + shift, tip[2], 1.3)), "dentine")
    canvas.paint(crown, "enamel")
    canvas.paint(crown.grown(-1.5).moved(z=sign * 1.0), "dentine")
    canvas.paint(path((*neck, 1.0), (*tip[:2], edge_z + sign * 16.0, 0.5)), "pulp")
    if kind == "c":
        canvas.plate(crown.grown(0.2) - crown.grown(-0.4).moved(z=sign * 0.6), alloy, CROWN_SHARE)
    elif kind == "f":
        canvas.plate(ball((x, y, edge_z + sign * 1.8), (0.24 * width, 0.2 * deep, 1.2)), alloy)


def _paint_tongue(canvas: Canvas, build: Build, mouth: Mouth) -> None:
    """Tongue, floor of the mouth, and the air over them."""
    cavity = ball((0, 58, -30), (27, 36, 26))
    canvas.paint(cavity, "soft")
    if mouth.air:
        canvas.paint(ball((0, 58, -14), (19, 27, 3.0 + mouth.air)), "airway")
    canvas.paint(FLOOR, "muscle")
    for body in (SLING, path((7, 81, -76, 4.6), (13, 60, -80, 5.0), (20, 44, -76, 3.4)),
                 path((4.5, 80, -70, 3.5), (5, 50, -74, 4))):  # fmt: skip
        canvas.paint(body, "muscle", both=True)
    canvas.paint(TONGUE, "tongue")
    canvas.paint(
        path((0, 78, -40, 0.9), (0, 52, -34, 0.9), (0, 44, -44, 0.8), stretch=(1.0, 1.0, 11.0)), "fat", hu=-40.0
    )
    canvas.paint(
        path((14, 66, -55, 4), (23, 48, -54, 4.2), stretch=(1.0, 1.0, 1.5)), "submandibular", both=True, hu=30.0
    )
    canvas.paint(path((11, 70, -48, 1.4), (17, 44, -52, 1.6), stretch=(1.0, 1.0, 4.0)), "fat", both=True)
