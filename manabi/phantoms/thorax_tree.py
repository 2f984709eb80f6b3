"""Airways and vessels of a simulated chest: trees of cones that divide towards scattered targets in the lungs.

Calibres follow Murray's law (Murray CD. The physiological principle of minimum work. PNAS 1926,
10.1073/pnas.12.3.207): the cube of the parent's radius is the sum of the children's cubes; vessels taper a little
faster. The bronchi down to the segments are the named ones of both lungs; their directions, and the branching beyond
(targets halved along their longest extent, each branch leading to the middle of its own), are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from manabi.phantoms.thorax_canvas import Canvas
from manabi.phantoms.thorax_capsules import Capsules, cone_depth, occupancy
from manabi.phantoms.thorax_parameters import Airway

Hull = tuple[float, float, float, float, float, float]
"""A lung's extent: x, y and z from and to."""
WALL_HU = 30.0
LUMEN_HU = -1000.0
WIDE_SHARE, SHORT_SHARE = 0.2, 0.2
"""Shares of chests whose main bronchi part at a wide angle (up to horizontal), and whose right upper lobe's bronchus
leaves at the carina's level."""
SECTIONS = (0.12, 0.16, 0.72)
"""Shares of sabre-sheath, broad and ordinary tracheas."""
SEGMENTAL = 3
"""Generation of the segmental bronchi."""
MURRAY = 1 / 3
TAPERED = 1 / 2.9
"""Exponent for the vessels (our choice: they thin faster than by Murray's law, as seen in CT)."""
SEGMENT_TARGETS = 6
"""Ends of each segmental bronchus."""

Place = tuple[float, float, float]
"""Inside to outside, back to front, bottom to top of a lung, each 0 to 1."""
LOBES: dict[str, tuple[tuple[str, str, Place, float, float, tuple[Place, ...]], ...]] = {
    "right": (
        ("RUL", "main", (0.93, 0.05, 0.18), 13.0, 0.66, ((0.4, 0.45, 0.93), (0.6, 0.2, 0.76), (0.6, 0.8, 0.7))),
        ("BI", "main", (0.3, -0.22, -0.92), 22.0, 0.78, ()),
        ("RML", "BI", (0.5, 0.62, -0.6), 14.0, 0.5, ((0.75, 0.72, 0.42), (0.35, 0.88, 0.42))),
        ("RLL", "BI", (0.28, -0.38, -0.88), 9.0, 0.68, ((0.55, 0.12, 0.55),)),
        ("basal", "RLL", (0.25, -0.25, -0.92), 11.0, 0.6,
         ((0.15, 0.35, 0.25), (0.7, 0.55, 0.24), (0.82, 0.3, 0.22), (0.5, 0.12, 0.18))),
    ),
    "left": (
        ("LUL", "main", (0.86, 0.3, 0.1), 10.0, 0.74, ()),
        ("division", "LUL", (0.45, 0.15, 0.85), 9.0, 0.6, ((0.4, 0.3, 0.92), (0.55, 0.2, 0.8), (0.55, 0.8, 0.72))),
        ("lingula", "LUL", (0.55, 0.6, -0.6), 13.0, 0.46, ((0.75, 0.75, 0.48), (0.6, 0.9, 0.38))),
        ("LLL", "main", (0.28, -0.42, -0.86), 11.0, 0.74, ((0.5, 0.12, 0.57),)),
        ("basal", "LLL", (0.28, -0.2, -0.92), 12.0, 0.62, ((0.55, 0.55, 0.24), (0.82, 0.3, 0.22), (0.5, 0.12, 0.18))),
    ),
}  # fmt: skip
"""Bronchus, its parent, direction (outwards, forwards, upwards), length in mm, radius over the main bronchus's, and
where its segments are (the right lung's 10, the left one's 9)."""


def sample_airway(rng: np.random.Generator, female: bool) -> Airway:
    """Draw trachea and bronchi; means and deviations as :class:`Airway` says."""
    length, diameter = (101.4, 14.8) if female else (107.8, 18.0)
    wide = float(rng.uniform(8.0, 26.0)) if rng.random() < WIDE_SHARE else 0.0
    short = float(rng.uniform(0.0, 8.0)) if rng.random() < SHORT_SHARE else 0.0
    sabre = (rng.uniform(0.6, 0.75), rng.uniform(1.12, 1.55), rng.uniform(0.82, 1.12))[rng.choice(3, p=SECTIONS)]
    return Airway(
        trachea=float(np.clip(rng.normal(length, 13.0), 70, 145)),
        diameter=float(np.clip(rng.normal(diameter, 2.2), 10.5, 25)),
        sabre=float(sabre),
        angular=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.6 else 0.0,
        lean_deg=(float(rng.normal(2.0, 2.5)), float(np.clip(rng.normal(9.0, 5.0), 0, 20))),
        right_main=short or float(np.clip(rng.normal(13.6, 4.3), 6, 26)),
        left_main=float(np.clip(rng.normal(48.3, 6.5), 32, 65)),
        right_deg=float(np.clip(rng.normal(35.5, 8.0) + wide, 16, 70)),
        left_deg=float(np.clip(rng.normal(43.5, 8.0) + wide, 22, 76)),
        right_diameter=float(np.clip(rng.normal(diameter * 0.78, 1.2), 8, 18)),
        left_diameter=float(np.clip(rng.normal(diameter * 0.68, 1.0), 7, 16)),
        diverticulum=float(rng.uniform(2.5, 6.0)) if rng.random() < 0.08 else 0.0,
        secretions=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.08 else 0.0,
        tree_seed=int(rng.integers(2**31)),
    )


def grow_airways(airway: Airway, hulls: Mapping[str, Hull]) -> Capsules:
    """Trachea, main bronchi and the tree below them to the sub-segmental bronchi, origin at the carina."""
    tree = Capsules()
    radius = airway.diameter / 2
    ends = {side: _main(tree, airway, side) for side in ("right", "left")}
    points = [trachea_at(airway, share) for share in np.linspace(0.0, 1.0, 6)]
    for number, (a, b) in enumerate(zip(points, points[1:], strict=False)):
        low = min(radius, 0.95 * fork_height(airway)) if number == 0 else radius
        tree.add(b, a, radius, low, 0)
        for sign in (-1.0, 1.0) if airway.angular else ():
            corner = np.array([0.72 * sign, -0.5, 0.0]) * airway.angular
            tree.add(b + corner * radius, a + corner * low, 0.55 * radius, 0.55 * low, 0)
    tree.add(points[-1], points[-1] + np.array([0.0, -4.0, 45.0]), radius * 0.8, radius * 1.1, 0)
    rng = np.random.default_rng(airway.tree_seed)
    for side, (end, r) in ends.items():
        _lobes(tree, rng, side, end, r, hulls[side], airway.dilation)
    return tree


def trachea_at(airway: Airway, share: float) -> np.ndarray:
    """Middle of the trachea, from just above the carina (``share`` 0) to the larynx (1), bowed to the right."""
    lean_r, lean_b = np.radians(airway.lean_deg)
    up = np.array([np.tan(lean_r) * 0.3, np.tan(lean_b), 1.0])
    top = up / np.linalg.norm(up) * airway.trachea
    bow = np.array([np.sin(lean_r) * 6.0, 2.0, 0.0]) * 4 * share * (1 - share)
    first = np.array([0.0, 0.0, fork_height(airway)])
    return first + share * (top - first) + bow


def fork_height(airway: Airway) -> float:
    """How far above the carina (where their lumens part) the main bronchi's axes meet, in mm.

    There the near edges of both, cut level, meet: ``h tan a - r / cos a`` of one is the other's with a minus.
    """
    right, left = np.radians((airway.right_deg, airway.left_deg))
    edges = 0.5 * (airway.right_diameter / np.cos(right) + airway.left_diameter / np.cos(left))
    return float(edges / (np.tan(right) + np.tan(left)))


def _main(tree: Capsules, airway: Airway, side: str) -> tuple[np.ndarray, float]:
    """A main bronchus from where the axes meet; returns where it divides and its radius."""
    sign = 1.0 if side == "right" else -1.0
    angle = np.radians(airway.right_deg if side == "right" else airway.left_deg)
    length = airway.right_main if side == "right" else airway.left_main
    r = (airway.right_diameter if side == "right" else airway.left_diameter) / 2
    height = fork_height(airway)
    begin = np.array([0.0, 0.0, height])
    along = np.array([sign * np.sin(angle), -0.22 if side == "left" else -0.12, -np.cos(angle)])
    end = begin + along / np.linalg.norm(along) * (length + height / np.cos(angle))
    tree.add(begin, end, r, r * 0.96, 1)
    return end, r


def _lobes(tree: Capsules, rng: np.random.Generator, side: str, end: np.ndarray, radius: float, hull: Hull,
           dilation: float) -> None:  # fmt: skip
    """Lobar bronchi of a lung, their segments and what follows."""
    sign = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    scale = (hull[5] - hull[4]) / 230.0
    tips = {"main": end}
    for name, parent, direction, length, share, segments in LOBES[side]:
        along = (np.array(direction) + rng.normal(0, 0.07, 3)) * sign
        start, r = tips[parent], radius * share
        tips[name] = start + along / np.linalg.norm(along) * length * scale * rng.uniform(0.85, 1.15)
        tree.add(start, tips[name], r, r * 0.95, 2)
        for place in segments:
            targets = _around(rng, hull, place, side)
            thin = r * 0.72 * max(len(segments), 2) ** -MURRAY
            divide(tree, tips[name], targets, thin, SEGMENTAL, dilation, exponent=0.5)


def _around(rng: np.random.Generator, hull: Hull, place: Place, side: str) -> np.ndarray:
    """Ends of a segment's bronchi, ``(SEGMENT_TARGETS, 3)``, inside the lung's extent."""
    low, high = np.array(hull[0::2]), np.array(hull[1::2])
    unit = np.array(place) + rng.uniform(-0.14, 0.14, (SEGMENT_TARGETS, 3))
    unit = np.clip(unit, 0.06, 0.94)
    if side == "left":
        unit[:, 0] = 1 - unit[:, 0]
    return low + unit * (high - low)


def _targets(rng: np.random.Generator, hull: Hull, count: int, toward: np.ndarray, reach: float) -> np.ndarray:
    """Points scattered in a lung, ``(count, 3)``; ``reach`` is how far out they go from its root."""
    low, high = np.array(hull[0::2]), np.array(hull[1::2])
    unit = rng.uniform(-1, 1, (count * 3, 3))
    power = np.where(unit[:, 2:] > 0, 2.4, 5.0)  # tapered above, filling the recesses below
    unit = unit[(np.abs(unit) ** power).sum(axis=1) < 1.0][:count]
    low[2] -= 12.0
    points = (low + high) / 2 + unit * (high - low) / 2
    return toward + (points - toward) * reach


def divide(
    tree: Capsules, start: np.ndarray, targets: np.ndarray, radius: float, generation: int, dilation: float = 1.0,
    exponent: float = MURRAY,
) -> None:  # fmt: skip
    """Grow a branch towards the middle of its targets, and its children towards halves of them.

    Args:
        tree: gets the branches.
        start: where the branch begins.
        targets: ``(n, 3)`` where its last children end.
        radius: of the branch.
        generation: of the branch.
        dilation: factor of the calibre, reached five generations down (traction bronchiectasis).
        exponent: a child's radius over its parent's is its share of the targets to this power.
    """
    count = len(targets)
    if count == 0:
        return
    end = start + (targets.mean(axis=0) - start) * (1.0 if count == 1 else 0.36)
    factor = 1.0 + (dilation - 1.0) * min(generation / 5, 1.0)
    thinner = 0.7 if count == 1 else 0.97
    tree.add(start, end, radius * factor, radius * thinner * factor, generation)
    if count == 1:
        return
    order = targets[:, np.ptp(targets, axis=0).argmax()].argsort()
    for half in np.split(order, [count // 2]):
        child = radius * thinner * (len(half) / count) ** exponent
        divide(tree, end, targets[half], child, generation + 1, dilation, exponent)


def grow_vessels(seed: int, hulls: Mapping[str, Hull], count: int = 480) -> Capsules:
    """Arteries and veins of both lungs, from the hila outwards; ``count`` ends of each of the four trees."""
    tree = Capsules()
    rng = np.random.default_rng(seed)
    for side, sign in (("right", 1.0), ("left", -1.0)):
        x = sign * rng.uniform(30, 40)
        for height, radius, back in ((rng.uniform(-28, -12), 8.5, -6.0), (rng.uniform(-48, -30), 7.8, 6.0)):
            root = np.array([x, back, height])
            targets = _targets(rng, hulls[side], count, toward=root, reach=0.97)
            order = targets[:, 2].argsort()
            size = radius * rng.uniform(0.85, 1.15)
            cut = int(rng.uniform(0.52, 0.62) * len(order))
            for part in (targets[order[:cut]], targets[order[cut:]]):
                divide(tree, root, part, size * (len(part) / len(order)) ** TAPERED, 1, exponent=TAPERED)
    return tree


def paint_vessels(canvas: Canvas, vessels: Capsules, hu: float) -> None:
    """Vessels within the lungs, and their trunks at the hila; the outermost millimetres stay free."""
    generation = np.array(vessels.generation)
    inner = (canvas.depth / 5.0).clamp_(0.0, 1.0).mul_(canvas.lung)
    canvas.paint(occupancy(canvas, vessels.table(generation > 1)).mul_(inner), hu)
    canvas.paint(occupancy(canvas, vessels.table(generation <= 1)), hu)


def paint_airways(canvas: Canvas, tree: Capsules, airway: Airway) -> None:
    """Walls, then the lumen; the trachea's section is narrowed by ``sabre``."""
    generation = np.array(tree.generation)
    stretch = np.where(generation == 0, airway.sabre**0.5, 1.0)
    cones = tree.table()
    outer = cones.copy()
    outer[:, 6:8] += np.where(generation == 0, 1.6, np.maximum(1.4 - 0.16 * generation, 0.5))[:, None]
    canvas.paint(occupancy(canvas, outer, stretch), WALL_HU)
    lumen = occupancy(canvas, cones, stretch)
    canvas.paint(lumen, LUMEN_HU)
    torch.maximum(canvas.lumen, lumen, out=canvas.lumen)
    _distractors(canvas, airway)


def _distractors(canvas: Canvas, airway: Airway) -> None:
    if airway.diverticulum:
        r = airway.diverticulum
        beside = np.array([0.5 * airway.diameter + 1.1 * r, -0.35 * airway.diameter, 0.0])
        centre = (trachea_at(airway, 0.72) + beside).tolist()
        canvas.ellipsoid(centre, (r + 1, r + 1, 1.6 * r + 1), WALL_HU)
        canvas.ellipsoid(centre, (r, r, 1.6 * r), LUMEN_HU)
    if airway.secretions:
        r = airway.diameter / 2
        low = trachea_at(airway, 0.25) - np.array([0.0, r * (1.1 - 0.6 * airway.secretions), 0.0])
        canvas.ellipsoid(low.tolist(), (r * 0.9, r * 0.7, 9.0), 15.0, into=canvas.lumen)


def split_level(tree: Capsules, airway: Airway, step_mm: float = 0.25) -> float:
    """Height at which the lumen, followed from above, is two for the first time (mm, near 0).

    Measured on the analytic lumen: trachea and main bronchi, in planes ``step_mm`` apart with pixels of 0.25 mm.
    """
    generation = np.array(tree.generation)
    cones = torch.as_tensor(tree.table(generation <= 1), dtype=torch.float32)
    stretch = torch.as_tensor(np.where(generation[generation <= 1] == 0, airway.sabre**0.5, 1.0), dtype=torch.float32)
    x = torch.arange(-30.0, 30.01, 0.25)[None, None, None]
    y = torch.arange(-12.0, 12.01, 0.5)[None, None, :, None]
    for z in np.arange(12.0, -30.0, -step_mm):
        depth = cone_depth((x, y, torch.full((1, 1, 1, 1), float(z))), cones, stretch)
        if runs(depth.amax(dim=(0, 1, 2)) > 0) >= 2:
            return float(z)
    return 0.0


def runs(line: Sequence[bool] | torch.Tensor) -> int:
    """How many separate stretches of True a line has."""
    values = torch.as_tensor(line)
    return int((values[1:] & ~values[:-1]).sum() + values[0])
