"""The lung round a tumour: parenchyma, vessels, a fissure, and the chest wall with its ribs (shapes are our choice)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from manabi.phantoms.tumour_parameters import Lung
from manabi.phantoms.tumour_shapes import Space, coarse_field, paint_tube

BLOOD_HU, MUSCLE_HU, FAT_HU, AIR_HU = 40.0, 50.0, -100.0, -1000.0
MARROW_HU, CORTEX_HU = 230.0, 750.0
EMPHYSEMA_HU = -960.0
GRAVITY_HU_PER_MM = 0.35
"""The lung is denser at the back (supine)."""
CURVATURE_MM = 110.0
"""Radius of the pleura."""
RIB_STEP_MM = 30.0
RIB_SLANT = 0.45
"""How far a rib descends along the wall, mm per mm."""
INTERCOSTAL_MM, MUSCLE_MM, FAT_MM = 11.0, 24.0, 42.0
"""Outer limits of the layers, from the pleura."""
LONGEST = 900
"""Vessel segments at most; bounds the time."""


def wall_distance(lung: Lung, space: Space) -> np.ndarray:
    """Distance of every voxel from the pleura in mm: above 0 in the lung, below 0 in the wall."""
    y, x, z = _wall_axes(lung, space)
    centre = lung.wall_mm - CURVATURE_MM
    return CURVATURE_MM - np.sqrt((x - centre) ** 2 + y**2 + (0.45 * z) ** 2)


def _wall_axes(lung: Lung, space: Space) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates along the wall, towards it, and to the head."""
    angle = math.radians(lung.wall_deg)
    z, y, x = space.offsets(np.zeros(3))
    return y * math.cos(angle) - x * math.sin(angle), x * math.cos(angle) + y * math.sin(angle), z


def parenchyma(lung: Lung, space: Space, rng: np.random.Generator) -> np.ndarray:
    """HU of the lung without vessels."""
    spacing = space.spacing_mm
    out = lung.parenchyma_hu + GRAVITY_HU_PER_MM * space.y[None, :, None].astype(np.float32)
    out = (
        out + 14.0 * coarse_field(rng, space.shape, spacing, 9.0) + 16.0 * coarse_field(rng, space.shape, spacing, 2.5)
    )
    if lung.emphysema > 0:
        holes = coarse_field(rng, space.shape, spacing, 4.5) - np.float32(2.2 - 2.4 * lung.emphysema)
        out += np.clip(holes * 1.2, 0.0, 0.9) * (EMPHYSEMA_HU - out)
    if lung.fissure:
        out += 160.0 * _fissure(space, rng)
    return out.astype(np.float32)


def _fissure(space: Space, rng: np.random.Generator) -> np.ndarray:
    """A thin oblique sheet, slightly curved."""
    tilt, height = math.radians(rng.uniform(35.0, 60.0)), rng.uniform(15.0, 35.0) * rng.choice((-1.0, 1.0))
    z, y, x = space.offsets(np.zeros(3))
    sheet = z * math.cos(tilt) + y * math.sin(tilt) - height + 0.002 * x**2
    return np.exp(-0.5 * (sheet / 0.6) ** 2)


def vessels(lung: Lung, space: Space, rng: np.random.Generator, targets: np.ndarray) -> np.ndarray:
    """Share of every voxel that blood vessels fill.

    Args:
        lung: its vessels grow from the side away from the wall towards it, and branch.
        space: the grid.
        rng: draws the branching.
        targets: points (z, y, x) in mm that one more vessel each runs to: those that feed the tumour.
    """
    out = np.zeros(space.shape, np.float32)
    blur = float(np.mean(space.spacing_mm))
    half = np.array([space.z[-1], space.y[-1], space.x[-1]])
    for start, end, radii in _grow(lung, half, rng, targets):
        paint_tube(out, space, start, end, radii, blur)
    return out


@dataclass(frozen=True)
class _Tip:
    """The growing end of a vessel."""

    point: np.ndarray
    heading: np.ndarray
    radius: float
    target: np.ndarray | None = None


Segment = tuple[np.ndarray, np.ndarray, tuple[float, float]]


def _grow(lung: Lung, half: np.ndarray, rng: np.random.Generator, targets: np.ndarray) -> list[Segment]:
    angle = math.radians(lung.wall_deg)
    outward = np.array([0.0, math.sin(angle), math.cos(angle)])
    across = np.array([0.0, math.cos(angle), -math.sin(angle)])
    tips: list[_Tip] = []
    for n in range(lung.vessels + len(targets)):
        target = targets[n - lung.vessels] if n >= lung.vessels else None
        side = rng.uniform(-1.1, 1.1, 2)
        point = -1.15 * half[1] * outward + side[0] * half[0] * np.array([1.0, 0, 0]) + side[1] * half[1] * across
        radius = float(np.clip(rng.lognormal(math.log(1.3), 0.4), 0.6, 3.2)) if target is None else 1.3
        heading = outward + rng.normal(0.0, 0.3, 3) if target is None else target - point
        tips.append(_Tip(point, heading / np.linalg.norm(heading), radius, target))
    found: list[Segment] = []
    while tips and len(found) < LONGEST:
        found += _advance(tips.pop(0), tips, half, rng)
    return found


def _advance(tip: _Tip, tips: list[_Tip], half: np.ndarray, rng: np.random.Generator) -> list[Segment]:
    """One step of a vessel: its segment; what goes on from there is added to ``tips``."""
    step = 5.0 + 2.5 * tip.radius * rng.random()
    end = tip.point + step * tip.heading
    shrunk = tip.radius * 0.985
    if tip.target is not None and np.linalg.norm(tip.target - tip.point) < step:
        return [(tip.point, tip.target, (tip.radius, shrunk))]
    if shrunk > 0.3 and np.all(np.abs(end) < 1.4 * half):
        heading = _turned(tip.heading if tip.target is None else tip.target - end, 0.13, rng)
        if rng.random() < 0.33:
            share = rng.uniform(0.55, 0.85)
            # Murray's law: the cubes of the daughters' radii add up to the mother's.
            tips.append(_Tip(end, _turned(tip.heading, 0.55, rng), shrunk * float(np.cbrt(1 - share**3)), None))
            shrunk = shrunk * share if tip.target is None else shrunk
        tips.append(_Tip(end, heading, shrunk, tip.target))
    return [(tip.point, end, (tip.radius, shrunk))]


def _turned(heading: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    unit = heading / max(float(np.linalg.norm(heading)), 1e-6)
    turned = unit + rng.normal(0.0, amount, 3)
    return turned / np.linalg.norm(turned)


def paint_wall(hu: np.ndarray, lung: Lung, space: Space, depth: np.ndarray, rng: np.random.Generator) -> None:
    """Chest wall where ``depth`` (distance from the pleura) is below 0: muscle between ribs, muscle, fat, skin, air."""
    outside = -depth
    if float(outside.max()) <= 0:
        return
    blur = float(np.mean(space.spacing_mm))
    wavy = outside + 2.0 * coarse_field(rng, space.shape, space.spacing_mm, 14.0)
    strands = coarse_field(rng, space.shape, space.spacing_mm, 5.0)
    muscle = MUSCLE_HU - 110.0 * np.clip(strands - 1.3, 0.0, 1.0)
    fat = FAT_HU + 8.0 * strands
    layers = ((0.0, fat), (1.2, muscle), (MUSCLE_MM, fat), (FAT_MM, np.float32(30.0)), (FAT_MM + 2.0, AIR_HU))
    for n, (start, value) in enumerate(layers):
        share = np.clip((outside if n < 2 else wavy) / blur - start / blur + 0.5, 0.0, 1.0)
        hu += share * (value - hu)
    if lung.ribs:
        _paint_ribs(hu, lung, space, outside, rng, blur)


def _paint_ribs(
    hu: np.ndarray, lung: Lung, space: Space, outside: np.ndarray, rng: np.random.Generator, blur: float
) -> None:  # fmt: skip
    """Slanting flat tubes of cortex and marrow in the intercostal layer."""
    along, _, z = _wall_axes(lung, space)
    phase = z + RIB_SLANT * along + rng.uniform(0.0, RIB_STEP_MM)
    height = (phase + RIB_STEP_MM / 2) % RIB_STEP_MM - RIB_STEP_MM / 2
    flat = np.sqrt((height / 6.0) ** 2 + ((outside - 0.55 * INTERCOSTAL_MM) / 3.9) ** 2)
    inside = (1.0 - flat) * 4.5  # about mm below the surface of the rib
    cortex = np.clip(0.5 + inside / blur, 0.0, 1.0)
    hu += cortex * (CORTEX_HU - hu)
    marrow = np.clip(0.5 + (inside - 1.1) / blur, 0.0, 1.0)
    hu += marrow * (MARROW_HU - hu)
