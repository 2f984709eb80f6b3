"""Airways and vessels of a simulated chest: trees of cones that divide towards scattered targets in the lungs.

Calibres follow Murray's law (Murray CD. The physiological principle of minimum work. PNAS 1926,
10.1073/pnas.12.3.207): the cube of the parent's radius is the sum of the children's cubes. The branching (targets split
along their longest extent, each branch leading to the middle of its own) is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from manabi.phantoms.thorax_canvas import Canvas, capsule_depth
from manabi.phantoms.thorax_parameters import Airway

Hull = tuple[float, float, float, float, float, float]
"""A lung's extent: x, y and z from and to."""
WALL_HU = 30.0
LUMEN_HU = -1000.0


@dataclass
class Capsules:
    """Cones with round ends: ``start`` and ``end`` ``(n, 3)`` mm, radii ``(n,)`` mm, ``generation`` ``(n,)``."""

    start: list[np.ndarray] = field(default_factory=list)
    end: list[np.ndarray] = field(default_factory=list)
    r0: list[float] = field(default_factory=list)
    r1: list[float] = field(default_factory=list)
    generation: list[int] = field(default_factory=list)

    def add(self, start: np.ndarray, end: np.ndarray, r0: float, r1: float, generation: int) -> None:
        """One more cone."""
        self.start.append(np.asarray(start, float))
        self.end.append(np.asarray(end, float))
        self.r0.append(float(r0))
        self.r1.append(float(r1))
        self.generation.append(generation)

    def tensors(self, device: torch.device, keep: Sequence[int] | None = None) -> tuple[torch.Tensor, ...]:
        """Start, end and radii of all cones, or of some."""
        index = list(range(len(self.r0))) if keep is None else list(keep)
        ends = [np.array(points).reshape(-1, 3) for points in (self.start, self.end)]
        arrays = (*ends, np.array(self.r0), np.array(self.r1))
        return tuple(torch.as_tensor(a[index], dtype=torch.float32, device=device) for a in arrays)


def sample_airway(rng: np.random.Generator, female: bool) -> Airway:
    """Draw trachea and bronchi; means and deviations as :class:`Airway` says."""
    length, diameter = (101.4, 14.8) if female else (107.8, 18.0)
    return Airway(
        trachea=float(np.clip(rng.normal(length, 13.0), 70, 145)),
        diameter=float(np.clip(rng.normal(diameter, 2.2), 10.5, 25)),
        sabre=float(rng.uniform(0.6, 0.75) if rng.random() < 0.12 else rng.uniform(0.82, 1.12)),
        lean_deg=(float(rng.normal(2.0, 2.5)), float(np.clip(rng.normal(9.0, 5.0), 0, 20))),
        right_main=float(np.clip(rng.normal(13.6, 4.3), 6, 26)),
        left_main=float(np.clip(rng.normal(48.3, 6.5), 32, 65)),
        right_deg=float(np.clip(rng.normal(34.9, 6.0), 18, 52)),
        left_deg=float(np.clip(rng.normal(42.5, 6.5), 25, 60)),
        right_diameter=float(np.clip(rng.normal(diameter * 0.78, 1.2), 8, 18)),
        left_diameter=float(np.clip(rng.normal(diameter * 0.68, 1.0), 7, 16)),
        diverticulum=float(rng.uniform(2.5, 6.0)) if rng.random() < 0.08 else 0.0,
        secretions=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.08 else 0.0,
        tree_seed=int(rng.integers(2**31)),
    )


def grow_airways(airway: Airway, hulls: Mapping[str, Hull]) -> Capsules:
    """Trachea, main bronchi and the tree below them to the sub-segmental bronchi, origin at the carina."""
    tree = Capsules()
    lean_r, lean_b = np.radians(airway.lean_deg)
    radius = airway.diameter / 2
    up = np.array([np.tan(lean_r) * 0.3, np.tan(lean_b), 1.0])
    ends = {side: _main(tree, airway, side) for side in ("right", "left")}
    top = up / np.linalg.norm(up) * airway.trachea
    bow = np.array([np.sin(lean_r) * 6.0, 2.0, 0.0])
    points = [np.array([0.0, 0.0, 0.62 * radius]), top * 0.5 + bow, top]
    for a, b in zip(points, points[1:], strict=False):
        tree.add(b, a, radius, radius, 0)
    tree.add(points[-1], points[-1] + np.array([0.0, -4.0, 45.0]), radius * 0.8, radius * 1.1, 0)
    rng = np.random.default_rng(airway.tree_seed)
    for side, (end, r) in ends.items():
        targets = _targets(rng, hulls[side], 36 if side == "right" else 32, toward=end)
        divide(tree, end, targets, r * 0.92, 2, airway.dilation)
    return tree


def _main(tree: Capsules, airway: Airway, side: str) -> tuple[np.ndarray, float]:
    """A main bronchus from inside the trachea's end; returns where it divides and its radius."""
    sign = 1.0 if side == "right" else -1.0
    angle = np.radians(airway.right_deg if side == "right" else airway.left_deg)
    length = airway.right_main if side == "right" else airway.left_main
    r = (airway.right_diameter if side == "right" else airway.left_diameter) / 2
    radius = airway.diameter / 2
    begin = np.array([sign * 0.32 * radius, 0.0, 0.62 * radius])
    along = np.array([sign * np.sin(angle), -0.22 if side == "left" else -0.12, -np.cos(angle)])
    end = begin + along / np.linalg.norm(along) * (length + 0.8 * radius)
    tree.add(begin, end, r, r * 0.96, 1)
    return end, r


def _targets(
    rng: np.random.Generator, hull: Hull, count: int, toward: np.ndarray, reach: float = 0.8
) -> np.ndarray:  # fmt: skip
    """Points scattered in a lung, ``(count, 3)``; ``reach`` is how far out they go from its root."""
    low, high = np.array(hull[0::2]), np.array(hull[1::2])
    unit = rng.uniform(-1, 1, (count * 3, 3))
    unit = unit[(np.abs(unit) ** 2.4).sum(axis=1) < 1.0][:count]
    points = (low + high) / 2 + unit * (high - low) / 2
    return toward + (points - toward) * reach


def divide(
    tree: Capsules, start: np.ndarray, targets: np.ndarray, radius: float, generation: int, dilation: float = 1.0
) -> None:
    """Grow a branch towards the middle of its targets, and its children towards halves of them."""
    count = len(targets)
    if count == 0:
        return
    middle = targets.mean(axis=0)
    share = 1.0 if count == 1 else 0.42
    end = start + (middle - start) * share
    factor = 1.0 + (dilation - 1.0) * min(generation / 5, 1.0)
    thinner = 0.7 if count == 1 else 0.88
    tree.add(start, end, radius * factor, radius * thinner * factor, generation)
    if count == 1:
        return
    spread = targets - middle
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    first = spread @ axis > 0
    if first.all() or not first.any():
        first = np.arange(count) < count // 2
    for part in (targets[first], targets[~first]):
        child = radius * thinner * (len(part) / count) ** (1 / 3)
        divide(tree, end, part, child, generation + 1, dilation)


def grow_vessels(seed: int, hulls: Mapping[str, Hull], count: int = 110) -> Capsules:
    """Arteries and veins of both lungs, from the hila outwards."""
    tree = Capsules()
    rng = np.random.default_rng(seed)
    for side, sign in (("right", 1.0), ("left", -1.0)):
        x = sign * rng.uniform(30, 40)
        for height, radius, back in ((rng.uniform(-28, -12), 8.0, -6.0), (rng.uniform(-48, -30), 7.0, 6.0)):
            root = np.array([x, back, height])
            targets = _targets(rng, hulls[side], count, toward=root, reach=0.97)
            divide(tree, root, targets, radius * rng.uniform(0.85, 1.15), 0)
    return tree


def paint_vessels(canvas: Canvas, vessels: Capsules, hu: float) -> None:
    """Vessels within the lungs, and their trunks at the hila."""
    device = canvas.hu.device
    trunks = [i for i, g in enumerate(vessels.generation) if g <= 1]
    others = [i for i, g in enumerate(vessels.generation) if g > 1]
    canvas.capsules(*vessels.tensors(device, trunks), hu)
    canvas.capsules(*vessels.tensors(device, others), hu, into=canvas.lung)


def paint_airways(canvas: Canvas, tree: Capsules, airway: Airway) -> None:
    """Walls, then the lumen; the trachea's section is narrowed by ``sabre``."""
    device = canvas.hu.device
    start, end, r0, r1 = tree.tensors(device)
    walls = torch.tensor([1.6 if g == 0 else max(1.4 - 0.12 * g, 0.5) for g in tree.generation], device=device)
    central = [i for i, g in enumerate(tree.generation) if g == 0]
    others = [i for i, g in enumerate(tree.generation) if g > 0]
    for keep, squeeze in ((central, airway.sabre), (others, 1.0)):
        outer = (r0[keep] + walls[keep], r1[keep] + walls[keep])
        canvas.capsules(start[keep], end[keep], *outer, WALL_HU, squeeze=squeeze)
    for keep, squeeze in ((others, 1.0), (central, airway.sabre)):
        canvas.capsules(start[keep], end[keep], r0[keep], r1[keep], LUMEN_HU, record=canvas.lumen, squeeze=squeeze)
    _distractors(canvas, tree, airway)


def _distractors(canvas: Canvas, tree: Capsules, airway: Airway) -> None:
    if airway.diverticulum:
        r = airway.diverticulum
        middle = 0.72 * tree.start[tree.generation.index(0)] if 0 in tree.generation else np.zeros(3)
        centre = middle + np.array([airway.diameter * 0.7 + r, -airway.diameter * 0.5, airway.trachea * 0.25])
        canvas.ellipsoid(centre, (r, r, 1.6 * r), LUMEN_HU)
    if airway.secretions:
        r = airway.diameter / 2
        centre = (0.0, -r * (1.1 - 0.6 * airway.secretions), airway.trachea * 0.3)
        canvas.ellipsoid(centre, (r * 0.9, r * 0.7, 9.0), 15.0, into=canvas.lumen)


def split_level(tree: Capsules, airway: Airway, step_mm: float = 0.25) -> float:
    """Height at which the lumen, followed from above, is two for the first time (mm, near 0).

    Measured on the analytic lumen: trachea and main bronchi, in planes ``step_mm`` apart with pixels of 0.25 mm.
    """
    keep = [i for i, g in enumerate(tree.generation) if g <= 1]
    start, end, r0, r1 = (t.tolist() for t in tree.tensors(torch.device("cpu"), keep))
    stretch = [airway.sabre**0.5 if tree.generation[i] == 0 else 1.0 for i in keep]
    x = torch.arange(-30.0, 30.01, 0.25)
    y = torch.arange(-12.0, 12.01, 0.5)
    for z in np.arange(10.0, -30.0, -step_mm):
        axes = (x[None, None], y[None, :, None], torch.tensor([[[float(z)]]]))
        depth = [capsule_depth(axes, *cone, s) for *cone, s in zip(start, end, r0, r1, stretch, strict=True)]
        columns = torch.stack(depth).amax(dim=0)[0].amax(dim=0) > 0
        runs = int((columns[1:] & ~columns[:-1]).sum() + columns[0])
        if runs >= 2:
            return float(z)
    return 0.0


