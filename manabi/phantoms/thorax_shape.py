"""The chest's large shapes: lungs, rib cage, domes, mediastinum, heart and skin, as depths below their surfaces.

Depths are smooth, so they are worked out on a coarse grid (:mod:`manabi.phantoms.thorax_nodes`) and interpolated to the
image's. Sections of the lungs are two squarish ellipses whose size follows the level; a smooth random shift of places
makes every chest uneven. Sizes are our choice, checked against the levels' widths and depths in three real CTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_nodes import NODE_MM, Nodes, ellipse, joined, table
from manabi.phantoms.thorax_parameters import Airway, Chest, Disease

HALF_WIDTH, HALF_DEPTH = 122.0, 90.0
"""Of the average chest's inside, in mm."""
SPINE_Y = -41.0
"""Middle of the vertebral body behind the carina."""
SPINOUS = 56.0
"""From there to the tip of a spinous process, before a vertebra's size."""
Hull = tuple[float, float, float, float, float, float]


@dataclass
class Shapes:
    """Depths (mm, positive inside) at the nodes.

    Attributes:
        nodes: the grid.
        lung: both lungs' hemithoraces cut by mediastinum, heart and diaphragm.
        cage: inside of the ribs.
        dome: height of the diaphragm, ``(1, ny, nx)`` at the nodes.
        heart: of the heart.
        spine: y of the vertebral bodies' middle, by level, on the canvas.
        front: y of the cage's front, by level, on the canvas.
        back: likewise of its back.
        side: its half width.
        lowest: height of the lungs' lowest part.
        hulls: extent of each lung.
    """

    nodes: Nodes
    lung: Tensor
    cage: Tensor
    dome: Tensor
    heart: Tensor
    spine: Tensor
    front: Tensor
    back: Tensor
    side: Tensor
    lowest: float
    hulls: dict[str, Hull]


class Frame:
    """Measures of one chest by level."""

    def __init__(self, chest: Chest, airway: Airway, disease: Disease) -> None:
        self.chest = chest
        self.lean = float(np.tan(np.radians(airway.lean_deg[1])))
        self.a, self.b = HALF_WIDTH * chest.size, HALF_DEPTH * chest.size * chest.depth
        self.tops = dome_tops(chest, disease)
        self.drop = chest.recess * (1 - 0.6 * disease.volume_loss)
        self.lowest = min(self.tops) - self.drop
        self.apex = 0.5 * (chest.apex_right + chest.apex_left)

    @cached_property
    def middle(self) -> float:
        """Y of the middle of the lungs below the carina."""
        return SPINE_Y - 44.0 + self.b * 1.0

    @cached_property
    def behind(self) -> float:
        """Y of the skin that the patient lies on: behind ribs and spinous processes."""
        z = torch.linspace(self.lowest - 40.0, 0.4 * self.apex, 16)
        tip = float((self.spine(z) - SPINOUS * vertebra_size(z)).min())
        return min(self.middle - self.b - 25.0 - 0.55 * self.chest.fat, tip - 4.0 - 0.4 * self.chest.fat)

    def spine(self, z: Tensor) -> Tensor:
        """Y of the vertebral bodies' middle: forward with the trachea above, hollow at the chest, forward below."""
        bend = self.chest.kyphosis
        up = SPINE_Y + self.lean * 105.0 + 8.0
        return table(z, (-330, -260, -190, -110, -45, 0, 105, 200),
                     (SPINE_Y + 20, SPINE_Y + 14, SPINE_Y + 2, SPINE_Y - 8 - bend, SPINE_Y - 5 - bend, SPINE_Y, up,
                      up + self.lean * 60), 20.0)  # fmt: skip

    def section(self, z: Tensor, apex: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Middle x, middle y, half width, half depth of one lung's section by level."""
        low = self.lowest
        at = (low - 80, low, 0.6 * low, 0.3 * low, 0.0, 0.25 * apex, 0.5 * apex, 0.72 * apex, apex + 60)
        lateral = table(z, at, (1.0, 1.05, 1.06, 1.01, 0.95, 0.9, 0.81, 0.68, 0.64)) * self.a
        medial = table(z, at, (-0.05, -0.05, -0.05, -0.05, -0.05, -0.03, 0.02, 0.07, 0.07)) * self.a
        depth = table(z, at, (0.98, 1.0, 1.0, 0.97, 0.89, 0.8, 0.67, 0.57, 0.54)) * self.b
        behind = table(z, at, (40, 40, 40, 40, 38, 36, 31, 26, 24))
        cap = (1.0 - ((z - 0.5 * apex) / (0.5 * apex)).clamp(min=0.0).square()).clamp(min=4e-3).sqrt()
        across = self.spine(z) - behind + depth
        return 0.5 * (lateral + medial), across, 0.5 * (lateral - medial) * cap, depth * cap


def vertebra_size(z: Tensor) -> Tensor:
    """How large a vertebra is, by level: small in the neck, large in the loins."""
    return ((20.0 - z) / 300.0).clamp(-0.25, 0.35) + 1.0


def dome_tops(chest: Chest, disease: Disease) -> tuple[float, float]:
    """Heights of the right and left dome, raised by disease; negative, below the carina."""
    lift = disease.volume_loss
    right, left = (-d * (1 - lift) for d in (chest.dome_right, chest.dome_left))
    right += disease.raised if disease.side == "right" else 0.0
    left += disease.raised if disease.side == "left" else 0.0
    return right, left


def shape_chest(nodes: Nodes, frame: Frame) -> Shapes:
    """All large shapes of one chest."""
    chest, z = frame.chest, nodes.z[:, 0, 0]
    sides, domes = [], []
    for sign, apex, top in ((1.0, chest.apex_right, frame.tops[0]), (-1.0, chest.apex_left, frame.tops[1])):
        cx, cy, w, d = (v[:, None, None] for v in frame.section(z, apex))
        lean = 0.10 * (nodes.y - cy)
        side = ellipse(sign * nodes.x - cx + lean, nodes.y - cy, (w, d), 0.14)
        sides.append(torch.minimum(side, apex - nodes.z))
        domes.append(_dome(nodes, frame, sign, top))
    right = nodes.x > 0
    dome = torch.lerp(domes[1], domes[0], torch.sigmoid(nodes.x[:1] / 9.0))
    inside = torch.where(right, sides[0], sides[1])
    heart = _heart(nodes, frame)
    middle = _mediastinum(nodes, frame, heart)
    across, along = torch.gradient(dome[0], spacing=NODE_MM)
    steep = (1.0 + across.square() + along.square()).sqrt_().clamp_(max=3.0)
    lung = torch.minimum(torch.minimum(inside - 1.0, (nodes.z - dome) / steep), -middle)
    whole = frame.section(z, frame.apex)
    side, depth = whole[0] + whole[2], whole[3]
    core = ellipse(nodes.x, nodes.y - whole[1][:, None, None] - 5.0, (0.62 * side[:, None, None], depth[:, None, None]))
    cage = joined((inside, torch.minimum(core, 0.9 * frame.apex - nodes.z)), 10.0)
    fine = frame.section(nodes.canvas.z, frame.apex)
    hulls = _hulls(frame)
    return Shapes(nodes, lung, cage, dome, heart, frame.spine(nodes.canvas.z), fine[1] + fine[3] + 3.0,
                  fine[1] - fine[3], fine[0] + fine[2], frame.lowest, hulls)  # fmt: skip


def _hulls(frame: Frame) -> dict[str, Hull]:
    chest, out = frame.chest, {}
    for name, sign, top, apex in (("right", 1.0, frame.tops[0], chest.apex_right),
                                  ("left", -1.0, frame.tops[1], chest.apex_left)):  # fmt: skip
        low, high = sorted((sign * 0.22 * frame.a, sign * 1.0 * frame.a))
        out[name] = (low, high, SPINE_Y - 40, frame.middle + 0.92 * frame.b, top - 0.7 * frame.drop, 0.94 * apex)
    return out


def _dome(nodes: Nodes, frame: Frame, sign: float, top: float) -> Tensor:
    """Height of one side's diaphragm ``(1, ny, nx)``: a cap, lowest behind, high towards the heart."""
    cx, w = 0.52 * frame.a, 0.545 * frame.a
    across = (nodes.y[:1] - frame.middle + 4.0) / (0.985 * frame.b)
    along = (sign * nodes.x[:1] - cx) / w
    behind = ((-across - 0.25) / 0.5).clamp(0.0, 1.0)
    along = torch.where(along < 0, along * (0.3 + 0.7 * behind), along)
    square = (along.square() + across.square() - 0.14 * along.square() * across.square()).clamp(max=1.0)
    fore, aft = across.clamp(0.0, 1.0), (-across).clamp(0.0, 1.0)
    share = 0.9 - frame.chest.front_recess * (fore + 0.65 * fore.square())
    share = share + frame.chest.rear_recess * (2.9 - 1.9 * aft) * aft
    return top - frame.drop * share * (0.55 * (1.0 - (1.0 - 0.9996 * square).sqrt()) + 0.45 * square)


def _heart(nodes: Nodes, frame: Frame) -> Tensor:
    """Four ellipsoids that rest on the diaphragm."""
    h = frame.chest.heart
    low = 0.5 * sum(frame.tops) - 10.0
    half = float(np.clip(0.5 * (-30.0 - low), 24.0, 75.0))
    mid = low + half
    wide = h * (47.0 / half) ** 0.25
    turn = 0.6
    x, y, z = nodes.x + 20.0 * wide, nodes.y - frame.middle - 26.0, (nodes.z - mid) / half
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    main = _ellipsoid((u + 12.0 * z, v - 5.0 * z, z + 0.1), (64.0 * wide, 44.0 * h, 0.92), half)
    x, y = nodes.x, nodes.y - frame.middle
    atrium = _ellipsoid((x - 16.0 * h, y - 18.0, z - 0.12), (33.0 * wide, 34.0 * h, 0.9), half)
    left = _ellipsoid((x + 4.0, y + 8.0, z - 0.5), (36.0 * h, 22.0 * h, 0.55), half)
    root = _ellipsoid((x + 4.0, y - 24.0, z - 0.75), (30.0 * h, 24.0 * h, 0.7), half)
    return joined((main, atrium, left, root), 9.0)


def _ellipsoid(place: tuple[Tensor, Tensor, Tensor], half: tuple[float, float, float], tall: float) -> Tensor:
    """Depth of an ellipsoid whose third coordinate is in units of ``tall``."""
    a, b, c = ((p / r).square().clamp_(min=1e-4) for p, r in zip(place, half, strict=True))
    radius = (a + b + c).sqrt()
    slope = (a / half[0] ** 2 + b / half[1] ** 2 + c / (half[2] * tall) ** 2).sqrt()
    return (radius * (1.0 - radius) / slope).clamp(-60.0, 60.0)


def _mediastinum(nodes: Nodes, frame: Frame, heart: Tensor) -> Tensor:
    """Spine, aorta, central vessels, thin plates before and behind them, heart."""
    z, m = nodes.z[:, 0, 0], frame.chest.mediastinum
    ys = frame.spine(z)[:, None, None]
    cx, cy, _, d = (v[:, None, None] for v in frame.section(z, frame.apex))
    z = z - frame.chest.vessels_up
    spine = ellipse(nodes.x, nodes.y - ys + 12.0, (26.0, 32.0))
    top = max(frame.apex, 50.0)
    half = m * table(z, (-140, -75, -45, -20, 10, 45, 0.8 * top, top), (0.3, 0.6, 0.9, 1.12, 1.0, 0.95, 0.8, 0.7))
    depth = table(z, (-140, -75, -20, 10, 45, 0.8 * top, top), (16, 24, 34, 40, 40, 34, 28))
    ahead = table(z, (-140, -60, -10, 45, top), (-14, -6, 4, 8, 12 + 60 * frame.lean))
    centre = ellipse(nodes.x + 2.0, nodes.y - ahead[:, None, None], (half[:, None, None], depth[:, None, None]), 0.2)
    front = cy + d
    near = ((nodes.y - front + 22.0) / 22.0).clamp(0.0, 1.0)
    plate = torch.minimum(2.2 + 10.0 * near.square() - (nodes.x + 6.0).abs(), nodes.y - 15.0)
    rear = torch.minimum(8.0 - (nodes.x + 3.0).abs(), torch.minimum(nodes.y - ys, 20.0 - nodes.y))
    sweep = table(z, (-180, -60, 20, 40), (-12.0, -23.0, -24.0, -20.0))[:, None, None]
    across = ((nodes.x - sweep).square() + (nodes.y - ys - 20.0).square()).sqrt()
    aorta = torch.minimum(14.0 - across, 32.0 - z[:, None, None])
    return joined((spine, centre, heart + 1.0, plate, rear, aorta), 7.0)
