"""Round things in the simulated lungs: nodules and masses with their spicules, bullae with thin walls."""

from __future__ import annotations

import numpy as np

from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_capsules import Capsules, occupancy
from manabi.phantoms.thorax_patterns import cropped, field, lung_box


def paint_nodules(canvas: Canvas, rng: np.random.Generator, lowest: float) -> None:
    """One mass of 18 to 45 mm radius, in half of cases at a hilum, or 2 to 8 nodules of 3 to 11 mm."""
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 9))
    for _ in range(count):
        r = float(rng.uniform(18, 45) if count == 1 else rng.uniform(3, 11))
        sign = rng.choice([-1.0, 1.0])
        hilar = count == 1 and rng.random() < 0.5
        centre = np.array([sign * (r + 14.0 if hilar else rng.uniform(45, 115)), rng.uniform(-50, 40),
                           rng.uniform(-40, 10) if hilar else rng.uniform(lowest + 30, 60)])  # fmt: skip
        paint_mass(canvas, rng, centre, r, float(rng.uniform(20, 60)))


def paint_mass(canvas: Canvas, rng: np.random.Generator, centre: np.ndarray, radius: float, hu: float) -> None:
    """A lobulated, spiculated ellipsoid of soft tissue within the lung, which is then no longer aerated."""
    radii = radius * rng.uniform(0.8, 1.15, 3)
    spicules = Capsules()
    for direction in rng.standard_normal((int(rng.integers(0, 16)), 3)):
        unit = direction / np.linalg.norm(direction)
        tip = centre + unit * radius * rng.uniform(1.25, 1.7)
        spicules.add(centre + unit * 0.8 * radius, tip, 0.06 * radius + 0.8, 0.4, 0)
    lumps = int(rng.integers(2**31))
    box = canvas.box((centre - 1.4 * radius - 2).tolist(), (centre + 1.4 * radius + 2).tolist())
    if len(spicules.r0):
        canvas.paint(occupancy(canvas, spicules.table()) * canvas.lung, 0.5 * hu - 100.0)
    if box is None:
        return
    part = cropped(canvas, box)
    whole = (slice(None),) * 3
    depth = part.ellipsoid_depth(centre.tolist(), radii.tolist(), whole)
    depth = depth + 0.12 * radius * field(part, np.random.default_rng(lumps), max(0.45 * radius, 6.0))
    solid = edge(depth, part.voxel)
    part.paint(solid * (2.0 * part.lung).clamp(max=1.0), hu)
    part.lung *= 1.0 - solid
    part.lumen *= 1.0 - solid


def paint_bullae(canvas: Canvas, rng: np.random.Generator, count: int) -> None:
    """Air in thin walls, 8 to 26 mm in radius, near the tips of the lungs; they count as lung."""
    box = lung_box(canvas, 0)
    if box is None:
        return
    tip = float(canvas.z[box[0].stop - 1])
    for _ in range(count):
        sign, r = rng.choice([-1.0, 1.0]), float(rng.uniform(8, 26))
        centre = (sign * rng.uniform(25, 60), rng.uniform(-45, 0), tip - rng.uniform(0.3 * r, 60.0))
        canvas.ellipsoid(centre, (r + 1.0, r + 1.0, r + 1.0), -300.0, into=canvas.lung)
        canvas.ellipsoid(centre, (r, r, r), -985.0, into=canvas.lung)
