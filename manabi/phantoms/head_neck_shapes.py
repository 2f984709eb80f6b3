"""Bodies that the simulated head and neck is built of: where they may lie, and how deep a place is in them.

A body knows the box that holds it, so that only its neighbourhood is worked on, and combines with others by ``|``
(either), ``&`` (both) and ``-`` (the first without the second). Depths are mm below the surface, negative outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.brain_shapes import joined as blend

Corner = tuple[float, float, float]
Row = tuple[float, float, float, float, float, float]
"""Height, middle x, middle y, half width, half depth, turn of the section in degrees."""
LEVEL_MM = 0.5
"""Step of the tables of sections by height."""


@dataclass(frozen=True)
class Body:
    """A solid.

    Attributes:
        low: lowest x, y, z that it reaches.
        high: highest x, y, z.
        depth: mm below its surface at places.
    """

    low: Corner
    high: Corner
    depth: Callable[[Points], Tensor]

    def __or__(self, other: Body) -> Body:
        """Either of two."""
        low = tuple(min(a, b) for a, b in zip(self.low, other.low, strict=True))
        high = tuple(max(a, b) for a, b in zip(self.high, other.high, strict=True))
        return Body(low, high, lambda p: torch.maximum(self.depth(p), other.depth(p)))  # type: ignore[arg-type]

    def __and__(self, other: Body) -> Body:
        """What lies in both."""
        low = tuple(max(a, b) for a, b in zip(self.low, other.low, strict=True))
        high = tuple(min(a, b) for a, b in zip(self.high, other.high, strict=True))
        return Body(low, high, lambda p: torch.minimum(self.depth(p), other.depth(p)))  # type: ignore[arg-type]

    def __sub__(self, other: Body) -> Body:
        """The first without the second."""
        return replace(self, depth=lambda p: torch.minimum(self.depth(p), -other.depth(p)))

    def grown(self, mm: float) -> Body:
        """Larger by ``mm`` on all sides, smaller where negative."""
        low = tuple(v - mm for v in self.low)
        high = tuple(v + mm for v in self.high)
        return Body(low, high, lambda p: self.depth(p) + mm)  # type: ignore[arg-type]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Body:
        """Shifted."""
        by = (x, y, z)
        low = tuple(v + d for v, d in zip(self.low, by, strict=True))
        high = tuple(v + d for v, d in zip(self.high, by, strict=True))
        return Body(low, high, lambda p: self.depth((p[0] - x, p[1] - y, p[2] - z)))  # type: ignore[arg-type]

    def softly(self, other: Body, blend_mm: float) -> Body:
        """Either of two, rounded where they meet."""
        both = self | other
        return replace(both, depth=lambda p: blend(self.depth(p), other.depth(p), blend_mm))


def beyond(axis: int, value: float, sign: float = 1.0) -> Body:
    """Everything above a value along an axis, or below it for a ``sign`` of -1."""
    low, high = [-1e3] * 3, [1e3] * 3
    (low if sign > 0 else high)[axis] = value
    return Body(tuple(low), tuple(high), lambda p: sign * (p[axis] - value))  # type: ignore[arg-type]


def ball(centre: Corner, radii: Corner, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> Body:
    """An ellipsoid, turned (degrees) about x, then z, then y."""
    turn = _turn(pitch, yaw, roll)
    reach = np.sqrt(((turn * np.asarray(radii)) ** 2).sum(axis=1))
    low, high = np.subtract(centre, reach), np.add(centre, reach)

    def depth(p: Points) -> Tensor:
        """Mm below the ellipsoid's surface, to first order."""
        rel = [v - c for v, c in zip(p, centre, strict=True)]
        squares, slopes = torch.zeros_like(p[0]), torch.zeros_like(p[0])
        for axis, radius in enumerate(radii):
            column = turn[:, axis].tolist()
            along = (rel[0] * column[0] + rel[1] * column[1] + rel[2] * column[2]) / radius
            squares += along.square()
            slopes += (along / radius).square()
        root = squares.sqrt()
        far = (root * (1.0 - root) / slopes.sqrt_().clamp_(min=1e-6)).clamp_(max=min(radii))
        return torch.where(root < 0.3, torch.full_like(far, 0.7 * min(radii)), far)

    return Body(tuple(low.tolist()), tuple(high.tolist()), depth)


def _turn(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Axes of a turned body as columns."""
    a, b, c = (math.radians(v) for v in (pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    about_z = np.array([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]])
    about_y = np.array([[math.cos(c), 0, math.sin(c)], [0, 1, 0], [-math.sin(c), 0, math.cos(c)]])
    return about_y @ about_z @ about_x


def path(*points: tuple[float, float, float, float], stretch: Corner = (1.0, 1.0, 1.0)) -> Body:
    """A chain of cones with round ends through ``(x, y, z, radius)``; ``stretch`` widens its section along axes."""
    rows = np.asarray(points, float)
    reach = rows[:, 3:] * np.asarray(stretch)
    low, high = (rows[:, :3] - reach).min(axis=0), (rows[:, :3] + reach).max(axis=0)
    scaled = np.column_stack((rows[:, :3] / np.asarray(stretch), rows[:, 3])).tolist()

    def depth(p: Points) -> Tensor:
        """Mm below the chain's surface."""
        place = [v / s for v, s in zip(p, stretch, strict=True)]
        return reduce(torch.maximum, (_cone(place, a, b) for a, b in pairwise(scaled)))

    return Body(tuple(low.tolist()), tuple(high.tolist()), depth)


def _cone(p: Sequence[Tensor], a: Sequence[float], b: Sequence[float]) -> Tensor:
    d = [q - v for v, q in zip(a[:3], b[:3], strict=True)]
    length = max(sum(v * v for v in d), 1e-6)
    rel = [v - s for v, s in zip(p, a[:3], strict=True)]
    t = ((rel[0] * d[0] + rel[1] * d[1] + rel[2] * d[2]) / length).clamp_(0.0, 1.0)
    away = (rel[0] - t * d[0]).square_()
    away += (rel[1] - t * d[1]).square_()
    away += (rel[2] - t * d[2]).square_()
    return t.mul_(b[3] - a[3]).add_(a[3]).sub_(away.sqrt_())


def strap(*rows: Row, square: float = 0.0, smooth_mm: float = 6.0) -> Body:
    """A body by its sections: ellipses whose place, size and turn follow the height; cut level at both ends."""
    table = np.asarray(sorted(rows), float)
    top, bottom = table[-1, 0], table[0, 0]
    reach = table[:, 3:5].max(axis=1)
    low = ((table[:, 1] - reach).min(), (table[:, 2] - reach).min(), bottom)
    high = ((table[:, 1] + reach).max(), (table[:, 2] + reach).max(), top)
    look = torch.as_tensor(sections(table, smooth_mm), dtype=torch.float32)

    def depth(p: Points) -> Tensor:
        """Mm below the surface of the section at this height, and below the ends."""
        index = ((p[2] - bottom) / LEVEL_MM).round_().long().clamp_(0, look.shape[1] - 1)
        columns = look.to(p[0].device)
        x, y = p[0] - columns[0][index], p[1] - columns[1][index]
        cos, sin = columns[4][index], columns[5][index]
        a, b = columns[2][index], columns[3][index]
        u, v = (x * cos + y * sin) / a, (y * cos - x * sin) / b
        return torch.minimum(oval(u, v, a, b, square), torch.minimum(p[2] - bottom, top - p[2]))

    return Body(low, high, depth)


def oval(u: Tensor, v: Tensor, a: Tensor, b: Tensor, square: float = 0.0) -> Tensor:
    """Depth in an ellipse from coordinates over its half axes ``a`` and ``b``; squarish for ``square`` up to 0.4."""
    uu, vv = u.square().clamp_(min=1e-4), v.square().clamp_(min=1e-4)
    slope = (uu / (a * a) + vv / (b * b)).sqrt_()
    total = uu + vv
    if square:
        total = total - square * uu.clamp(max=1.4) * vv.clamp(max=1.4)
    radius = total.sqrt_()
    return radius * (1.0 - radius) / slope


def sections(table: np.ndarray, smooth_mm: float) -> np.ndarray:
    """Columns of a table by height every :data:`LEVEL_MM`: x, y, half axes, cosine and sine of the turn, ``(6, n)``."""
    heights = np.arange(table[0, 0], table[-1, 0] + LEVEL_MM, LEVEL_MM)
    shifts = np.linspace(-smooth_mm, smooth_mm, 5)
    out = [np.mean([np.interp(heights + s, table[:, 0], column) for s in shifts], axis=0) for column in table.T[1:]]
    angle = np.radians(out[4])
    return np.stack((*out[:4], np.cos(angle), np.sin(angle)))
