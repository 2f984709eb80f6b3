"""Rectum, prostate, seminal vesicles and bladder of the simulated pelvis: bodies of wanted volumes that touch.

The rectum lies in the hollow of the sacrum, the prostate in front of it on the floor of the pelvis, the vesicles spread
between rectum and bladder, and the bladder takes what room is left to its volume. Proportions are our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from manabi.phantoms.head_neck_shapes import Body, ball, beyond, path
from manabi.phantoms.pelvis_bones import FRONT, MEDIAL, PUBIS, SYMPHYSIS
from manabi.phantoms.pelvis_muscles import DEEP
from manabi.phantoms.pelvis_parameters import Build, Organs
from manabi.phantoms.pelvis_shapes import front_of, lumpy, pear, sized

APEX_MM = -46.0
"""Height of the prostate's lower end, on the floor of the pelvis."""
TOUCH_MM = 0.8
"""Least distance between the bodies of two organs."""
SPAN_MM = 33.0
"""Length of a seminal vesicle of average volume."""
AVERAGE_VESICLES_ML = 9.0
RECTAL_WALL_MM = 3.2
Station = tuple[float, float, float, float]
CENTRE = ((0.0, -66.0, -72.0, 0.42), (0.0, -54.0, -57.0, 0.55), (0.0, -43.0, -42.0, 0.66), (0.0, -42.0, -27.0, 0.9),
          (0.3, -46.0, -9.0, 1.0), (1.0, -52.0, 10.0, 1.08), (0.3, -58.0, 28.0, 1.0), (-0.8, -61.0, 46.0, 0.86),
          (-1.0, -56.0, 62.0, 0.72))  # fmt: skip
"""Middle line of the rectum: share of the sway, y, z, radius over the ampulla's."""


@dataclass(frozen=True)
class Bodies:
    """The organs as bodies in the atlas.

    Attributes:
        rectum: with wall and contents.
        stations: x, y, z, radius along its middle line, from below.
        prostate: the gland.
        centre: middle of the prostate.
        radii: half axes of the prostate.
        vesicles: right and left.
        roots: middle lines of the vesicles, from the prostate.
        bladder: with its wall.
        wall_mm: thickness of the bladder's wall.
    """

    rectum: Body
    stations: tuple[Station, ...]
    prostate: Body
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    vesicles: tuple[Body, Body]
    roots: tuple[tuple[Station, ...], tuple[Station, ...]]
    bladder: Body
    wall_mm: float


def bodies(organs: Organs, build: Build) -> Bodies:
    """All four organs, each with its volume in the patient."""
    seeds = np.random.default_rng(organs.shape_seed).integers(2**31, size=8).tolist()
    grown = build.size**3 * build.width
    rectum, stations = _rectum(organs, organs.rectum_ml / grown, seeds[0])
    prostate, centre, radii = _prostate(organs, organs.prostate_ml / grown, rectum, seeds[1])
    lines = tuple(_root(organs, rectum, centre, radii, side) for side in (1.0, -1.0))
    shares = (1.0 - organs.vesicles_left, organs.vesicles_left)
    vesicles = tuple(_vesicle(line, organs.vesicles_ml * share / grown, (rectum, prostate), seed)
                     for line, share, seed in zip(lines, shares, seeds[2:4], strict=True))  # fmt: skip
    taken = (rectum.grown(1.5), prostate.grown(TOUCH_MM), *(v.grown(TOUCH_MM) for v in vesicles))
    bladder = _bladder(organs, organs.bladder_ml / grown, (centre, radii), taken, seeds[4])
    wall = 2.6 + 3.4 * math.exp(-organs.bladder_ml / 70.0)
    return Bodies(rectum, stations, prostate, centre, radii, vesicles, lines, bladder, wall)  # type: ignore[arg-type]


def stations_of(organs: Organs, radius: float) -> tuple[Station, ...]:
    """Middle line of a rectum whose ampulla has a radius; a wide one reaches further forward."""
    out = []
    for sway, y, z, share in CENTRE:
        r = max(radius * share, 5.5)
        out.append((sway * organs.rectum_sway, y + 0.65 * max(share - 0.5, 0.0) / 0.5 * (radius - 13.0), z, r))
    return tuple(out)


def _rectum(organs: Organs, ml: float, seed: int) -> tuple[Body, tuple[Station, ...]]:
    def make(radius: float) -> Body:
        return lumpy(path(*stations_of(organs, radius), stretch=(1.12, 1.0, 1.0)), seed, 0.09 * radius, 26.0)

    radius = _radius_of(organs, ml)
    return sized(make, ml, 0.7 * radius, 1.4 * radius), stations_of(organs, radius)


def _radius_of(organs: Organs, ml: float) -> float:
    """Radius of the ampulla of an even rectum of this volume."""
    low, high = 5.0, 32.0
    for _ in range(16):
        middle = 0.5 * (low + high)
        line = stations_of(organs, middle)
        total = sum(math.dist(a[:3], b[:3]) * math.pi * 1.12 * ((a[3] + b[3]) / 2) ** 2 for a, b in pairwise(line))
        low, high = (middle, high) if total / 1000.0 < ml else (low, middle)
    return 0.5 * (low + high)


def _prostate(
    organs: Organs, ml: float, rectum: Body, seed: int
) -> tuple[Body, tuple[float, float, float], tuple[float, float, float]]:
    long = organs.prostate_long

    def shape(size: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Centre and radii of a gland of this size, its back on the rectum."""
        radii = (size, 0.74 * size / math.sqrt(long), 0.80 * size * long)
        z = APEX_MM + radii[2]
        fronts = [front_of(rectum, 0.0, z + t * radii[2]) for t in (-0.5, 0.0, 0.5)]
        back = max((f for f in fronts if f is not None), default=-36.0)
        return (0.0, back + organs.gap + 0.72 * radii[1], z), radii

    def make(size: float) -> Body:
        """The gland of this size."""
        centre, radii = shape(size)
        gland = pear(centre, radii, 0.75, 0.2)
        if organs.median_lobe:
            r = 0.42 * size
            gland = gland.softly(
                ball((0.0, centre[1] + 3.0, centre[2] + radii[2] + organs.median_lobe - r), (r,) * 3), 5.0
            )
        return lumpy(gland, seed, 0.035 * size, 20.0)

    nominal = 7.8 * ml ** (1 / 3)
    body = sized(make, ml, 0.7 * nominal, 1.4 * nominal, (rectum.grown(organs.gap),))
    size = (body.high[0] - body.low[0]) / 2 / (1.3 + 0.07)
    centre, radii = shape(size)
    return body, centre, radii


def _root(
    organs: Organs, rectum: Body, centre: tuple[float, float, float], radii: tuple[float, float, float], side: float
) -> tuple[Station, ...]:
    """Middle line of a vesicle with radii over its thickest: from behind the prostate's base to the side and up."""
    span = SPAN_MM * (organs.vesicles_ml / AVERAGE_VESICLES_ML) ** (1 / 3)
    rise = math.radians(organs.vesicles_rise)
    start = (3.0, centre[1] - 0.62 * radii[1], centre[2] + 0.72 * radii[2])
    out = []
    for t, share in ((0.0, 0.62), (0.25, 0.9), (0.5, 1.0), (0.75, 1.0), (1.0, 0.62)):
        along = t * span
        x, z = start[0] + along * math.cos(rise), start[2] + 3.0 + along * math.sin(rise)
        front = front_of(rectum, side * x, z)
        y = start[1] + 1.0 - 0.16 * along
        if front is not None:
            y = max(y, front + 5.5)
        out.append((side * x, y, z, share))
    return tuple(out)


def _vesicle(line: tuple[Station, ...], ml: float, taken: tuple[Body, Body], seed: int) -> Body:
    def make(radius: float) -> Body:
        """The tube, of this radius at its thickest."""
        tube = path(*((x, y, z, radius * share) for x, y, z, share in line), stretch=(1.0, 0.85, 1.15))
        return lumpy(tube, seed, 0.16 * radius, 10.0)

    middle = beyond(0, 0.0, -math.copysign(1.0, line[-1][0]))
    return sized(make, ml, 2.0, 12.0, (taken[0].grown(TOUCH_MM), taken[1].grown(0.3), middle))


def _bladder(
    organs: Organs, ml: float, prostate: tuple[tuple[float, float, float], tuple[float, float, float]],
    taken: tuple[Body, ...], seed: int,
) -> Body:  # fmt: skip
    (_, y, z), radii = prostate
    neck = z + radii[2] - 4.0
    full = min(max((ml - 30.0) / 300.0, 0.0), 1.0)

    def make(radius: float) -> Body:
        """The bladder, of this radius."""
        wide = radius * (1.22 - 0.27 * full)
        deep = radius * (1.08 - 0.02 * full)
        high = radius * (0.62 + 0.26 * full) * (1.0 - 0.22 * organs.bladder_flat)
        middle = (organs.bladder_lean * full, y + 11.0 + 0.46 * radius, neck + 0.9 * high)
        body = ball(middle, (wide, deep, high), pitch=16.0 - 10.0 * full, roll=0.3 * organs.bladder_lean)
        funnel = path((0.0, y + 4.0, neck + 3.0, 0.22 * radius), (0.0, middle[1], middle[2], 0.55 * radius))
        return lumpy(body.softly(funnel, 8.0), seed, 0.05 * radius, 1.6 * radius + 12.0)

    walls = [beyond(1, 70.0), beyond(1, 27.0) & beyond(2, 0.0, -1.0), beyond(0, 51.0), beyond(0, -51.0, -1.0)]
    for side in (1.0, -1.0):
        walls += [_mirrored(b.grown(mm), side) for b, mm in
                  ((FRONT, 3.5), (PUBIS, 4.0), (MEDIAL, 3.0), (DEEP[0], 2.5))]  # fmt: skip
    nominal = 6.2 * ml ** (1 / 3)
    return sized(make, ml, 0.75 * nominal, 1.5 * nominal, (*taken, SYMPHYSIS.grown(4.0), *walls))


def _mirrored(body: Body, side: float) -> Body:
    """The body, or its mirror image for a side of -1."""
    if side > 0:
        return body
    low = (-body.high[0], body.low[1], body.low[2])
    high = (-body.low[0], body.high[1], body.high[2])
    return Body(low, high, lambda p: body.depth((-p[0], p[1], p[2])))
