"""Bodies that the simulated pelvis adds to those of :mod:`manabi.phantoms.head_neck_shapes`, and their volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.brain_shapes import Points, band
from manabi.phantoms.head_neck_shapes import LEVEL_MM, Body, oval, sections

Blade = tuple[float, float, float, float, float, float]
"""Height, middle x, middle y, half length, half thickness, direction of the length in degrees from x to y."""
MEASURE_MM = 2.5
"""Spacing of the places at which a volume is measured."""
SEEK = 9
"""Halvings in the search for a size."""


def blade(*rows: Blade, bend: float = 0.0, thick: float = 0.0, smooth_mm: float = 6.0) -> Body:
    """A curved plate by its sections, cut level at both ends.

    Args:
        rows: sections by height.
        bend: curvature of a section in 1/mm, its ends towards the left of its direction.
        thick: how much thicker its ends are than its middle, as a share.
        smooth_mm: over which sections pass into one another.
    """
    table = np.asarray(sorted(rows), float)
    bottom, top = table[0, 0], table[-1, 0]
    reach = table[:, 3] + table[:, 4] * (1 + thick) + abs(bend) * table[:, 3] ** 2
    low = ((table[:, 1] - reach).min(), (table[:, 2] - reach).min(), bottom)
    high = ((table[:, 1] + reach).max(), (table[:, 2] + reach).max(), top)
    look = torch.as_tensor(sections(table, smooth_mm), dtype=torch.float32)

    def depth(p: Points) -> Tensor:
        """Mm below the plate's surface, to first order."""
        index = ((p[2] - bottom) / LEVEL_MM).round_().long().clamp_(0, look.shape[1] - 1)
        x0, y0, a, b, cos, sin = look.to(p[0].device)[:, index]
        x, y = p[0] - x0, p[1] - y0
        u, v = x * cos + y * sin, y * cos - x * sin
        if bend:
            v = v - bend * (u.square() - a.square() / 3.0)
        if thick:
            b = b * (1.0 + thick * (u / a).abs().clamp(max=1.0).pow(3))
        flat = oval(u / a, v / b, a, b, 0.35)
        return torch.minimum(flat, torch.minimum(p[2] - bottom, top - p[2]))

    return Body(low, high, depth)


def lumpy(body: Body, seed: int, mm: float, wave_mm: float) -> Body:
    """The body with a surface uneven by a standard deviation of ``mm``, over waves of ``wave_mm``."""
    if mm <= 0:
        return body

    def depth(p: Points) -> Tensor:
        """Mm below the uneven surface."""
        return body.depth(p) + mm * band(p, np.random.default_rng(seed), wave_mm, 8).clamp_(-2.0, 2.0)

    return replace(body.grown(2.0 * mm), depth=depth)


def pear(centre: tuple[float, float, float], radii: tuple[float, float, float], flat_back: float, taper: float) -> Body:
    """An ellipsoid whose back is flatter than its front and whose lower end is narrower than its upper.

    Args:
        centre: x, y, z.
        radii: half axes.
        flat_back: depth of the back half over that of the front.
        taper: how much wider the section is at the top than in the middle, as a share.
    """
    low = tuple(c - 1.3 * r for c, r in zip(centre, radii, strict=True))
    high = tuple(c + 1.3 * r for c, r in zip(centre, radii, strict=True))

    def depth(p: Points) -> Tensor:
        """Mm below the surface, to first order."""
        x, y, z = ((v - c) / r for v, c, r in zip(p, centre, radii, strict=True))
        wide = 1.0 + taper * z.clamp(-1.0, 1.0)
        y = torch.where(y < 0, y / flat_back, y)
        root = ((x / wide).square() + (y / wide).square() + z.square()).sqrt_()
        return (1.0 - root) * min(radii)

    return Body(low, high, depth)  # type: ignore[arg-type]


def places(low: tuple[float, float, float], high: tuple[float, float, float], step: float = MEASURE_MM) -> Points:
    """Places ``step`` apart in a box, ``(nz, ny, nx)`` each."""
    axes = [torch.arange(a, b + step, step) for a, b in zip(low, high, strict=True)]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return x, y, z


def volume_ml(body: Body, step: float = MEASURE_MM) -> float:
    """Volume of a body."""
    depth = body.depth(places(body.low, body.high, step))
    return float((depth / step + 0.5).clamp_(0.0, 1.0).sum()) * step**3 / 1000.0


def sized(make: Callable[[float], Body], ml: float, low: float, high: float, taken: Sequence[Body] = ()) -> Body:
    """The body of a family that has a volume.

    Args:
        make: the family, by a size; larger for larger sizes.
        ml: the volume wanted; the nearest is taken where no size reaches it.
        low: smallest size.
        high: largest size.
        taken: bodies whose place it cannot take.
    """
    largest = make(high)
    at = places(largest.low, largest.high)
    free = torch.full_like(at[0], 1e3)
    for other in taken:
        torch.minimum(free, -other.depth(at), out=free)
    for _ in range(SEEK):
        middle = 0.5 * (low + high)
        share = (torch.minimum(make(middle).depth(at), free) / MEASURE_MM + 0.5).clamp_(0.0, 1.0)
        if float(share.sum()) * MEASURE_MM**3 / 1000.0 < ml:
            low = middle
        else:
            high = middle
    return reduce(Body.__sub__, taken, make(0.5 * (low + high)))


def front_of(body: Body, x: float, z: float) -> float | None:
    """The highest y of a body at a place; None where it is not there."""
    y = torch.arange(body.low[1] - 1.0, body.high[1] + 1.0, 0.5)
    inside = body.depth((torch.full_like(y, x), y, torch.full_like(y, z))) > 0
    return float(y[inside].max()) if bool(inside.any()) else None
