"""Vessels of the lungs as a film shows them: arteries that leave the hila up and down, veins that run to the heart.

Calibres follow a law like Murray's (1926, 10.1073/pnas.12.3.207), a little steeper; upright, the lower lungs are
better filled. Ends are scattered through the lung itself, so that vessels reach its rim and fill the recesses; each
branch bends. All numbers are our choice; the held-out domain divides unevenly and bends more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from manabi.phantoms.radiograph_rays import node_grid
from manabi.phantoms.thorax_capsules import Capsules
from manabi.phantoms.thorax_shape import Shapes

HILAR, OUTER, FAN = (0.12, 0.24), (0.3, 0.5), 5
"""How far towards the middle of its ends a branch goes, near the hilum and beyond, and the generation between."""
RIM_MM = 6.0
"""Ends lie at least so deep in the lung."""


@dataclass(frozen=True)
class VesselStyle:
    """How the trees grow.

    Attributes:
        ends: of each of the eight trees, on average.
        exponent: a child's radius over its parent's is its share of the ends to this power.
        uneven: by how much of its ends a branch's children differ from halves, 0 to 0.4.
        bend: sideways shift of a branch's middle over its length.
        calibre: factor of all radii.
    """

    ends: int = 420
    exponent: float = 1 / 3.3
    uneven: float = 0.15
    bend: float = 0.06
    calibre: float = 1.1


def sample_style(rng: np.random.Generator, domain: str = "training") -> VesselStyle:
    """Draw a style."""
    held_out = domain == "held_out"
    return VesselStyle(
        ends=int(rng.integers(250, 600) if held_out else rng.integers(340, 520)),
        exponent=float(1 / (rng.uniform(2.7, 2.95) if held_out else rng.uniform(3.1, 3.5))),
        uneven=float(rng.uniform(0.2, 0.35) if held_out else rng.uniform(0.0, 0.18)),
        bend=float(rng.uniform(0.08, 0.14) if held_out else rng.uniform(0.02, 0.06)),
        calibre=float(rng.uniform(0.9, 1.35) if held_out else rng.uniform(1.0, 1.25)),
    )


TREES = (
    # height of the root above the left atrium's, x, y, z of the trunk's end from its root; radius; part of the lung
    ("upper artery", (30.0, 4.0, -8.0), (13.0, -2.0, 14.0), 3.8, "upper"),
    ("lower artery", (34.0, -2.0, -14.0), (14.0, -10.0, -46.0), 5.8, "lower"),
    ("upper vein", (30.0, 14.0, -40.0), (14.0, 6.0, 18.0), 3.6, "upper"),
    ("lower vein", (32.0, -12.0, -58.0), (18.0, -10.0, -10.0), 4.4, "lower"),
)
LEFT_UP_MM = 11.0
"""The left hilum lies higher."""


def grow_film_vessels(shapes: Shapes, style: VesselStyle, seed: int) -> Capsules:
    """The trees of both lungs."""
    tree, rng = Capsules(), np.random.default_rng(seed)
    for sign in (1.0, -1.0):
        ends = _ends(shapes, sign, rng, 4 * style.ends)
        up = LEFT_UP_MM if sign < 0 else 0.0
        split = -30.0 + up + rng.normal(0, 6)
        for _, root, trunk, radius, part in TREES:
            start = np.array(root) * (sign, 1, 1) + (0, 0, up) + rng.normal(0, 2.0, 3)
            end = start + np.array(trunk) * (sign, 1, 1) + rng.normal(0, 3.0, 3)
            own = ends[(ends[:, 2] > split) == (part == "upper")]
            own = own[rng.permutation(len(own))[: int(style.ends * (0.8 if part == "upper" else 1.2))]]
            r = radius * style.calibre * float(rng.uniform(0.88, 1.12))
            tree.add(start, end, r, 0.93 * r, 1)
            near = np.linalg.norm(own - start, axis=1) < np.linalg.norm(own - end, axis=1)
            for place, some in ((0.5 * (start + end), own[near]), (end, own[~near])):
                _divide(tree, place, some, r * (max(len(some), 1) / max(len(own), 1)) ** style.exponent, 2, style, rng)
    return tree


def _ends(shapes: Shapes, sign: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """Places ``(count, 3)`` scattered evenly through one lung."""
    grid = node_grid(shapes.nodes)
    axes = [axis.cpu() for axis in (grid.z, grid.y, grid.x)]
    inside = torch.nonzero((shapes.lung > RIM_MM).cpu() & (sign * axes[2] > 0)).numpy()
    if not len(inside):
        return np.zeros((0, 3))
    chosen = inside[rng.integers(len(inside), size=count)]
    steps = np.array([float(a[1] - a[0]) for a in axes])
    places = np.stack([axes[k].numpy()[chosen[:, k]] for k in range(3)], axis=1)
    return (places + rng.uniform(-0.5, 0.5, places.shape) * steps)[:, ::-1].astype(float)


def _divide(
    tree: Capsules, start: np.ndarray, ends: np.ndarray, radius: float, generation: int, style: VesselStyle,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A bent branch towards the middle of its ends, and its children towards two parts of them."""
    count = len(ends)
    if count == 0:
        return
    reach = rng.uniform(*(HILAR if generation < FAN else OUTER))
    way = (ends.mean(axis=0) - start) * (1.0 if count == 1 else reach)
    length = float(np.linalg.norm(way))
    thinner = radius * (0.7 if count == 1 else 0.96)
    knee = start + 0.5 * way + rng.normal(0, style.bend * length, 3)
    end = start + way
    tree.add(start, knee, radius, 0.5 * (radius + thinner), generation)
    tree.add(knee, end, 0.5 * (radius + thinner), thinner, generation)
    if count == 1:
        return
    order = _fan(ends - end, way / max(length, 1e-6))
    cut = int(np.clip(round(count * (0.5 + style.uneven * rng.uniform(-1.0, 1.0))), 1, count - 1))
    for part in np.split(order, [cut]):
        _divide(tree, end, ends[part], thinner * (len(part) / count) ** style.exponent, generation + 1, style, rng)


def _fan(ways: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Order of ends ``(n, 3)`` across a branch's direction, in which they spread most as seen from its end."""
    across = ways - np.outer(ways @ along, along)
    across /= np.linalg.norm(ways, axis=1, keepdims=True) + 1.0
    return across[:, np.ptp(across, axis=0).argmax()].argsort()
