"""The grid that a simulated chest is painted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Box = tuple[slice, slice, slice]


@dataclass
class Canvas:
    """A grid in the chest's own frame (mm, RAS axes, origin at the carina) with the density painted so far.

    Attributes:
        x: ``(nx,)``, to the patient's right.
        y: ``(ny,)``, to the front.
        z: ``(nz,)``, to the head.
        hu: ``(nz, ny, nx)``.
        lung: share of each voxel that is aerated lung.
        depth: mm below the lungs' surface, approximately; negative outside.
        lumen: share of each voxel that is the airways' lumen.
    """

    x: Tensor
    y: Tensor
    z: Tensor
    hu: Tensor
    lung: Tensor
    depth: Tensor
    lumen: Tensor

    @classmethod
    def empty(cls, x: Tensor, y: Tensor, z: Tensor) -> Canvas:
        """Air everywhere."""
        shape = (len(z), len(y), len(x))
        nothing = [torch.zeros(shape, device=x.device) for _ in range(2)]
        return cls(x, y, z, torch.full(shape, -1000.0, device=x.device), nothing[0], torch.full_like(nothing[0], -1e3),
                   nothing[1])  # fmt: skip

    @cached_property
    def steps(self) -> tuple[float, float, float]:
        """Spacing along x, y, z."""
        x, y, z = (float(axis[1] - axis[0]) for axis in (self.x, self.y, self.z))
        return x, y, z

    @cached_property
    def origin(self) -> tuple[float, float, float]:
        """Coordinates of the first voxel."""
        return float(self.x[0]), float(self.y[0]), float(self.z[0])

    @cached_property
    def voxel(self) -> float:
        """Width over which edges are blurred: the mean of the spacings."""
        return sum(self.steps) / 3

    def box(self, low: Sequence[float], high: Sequence[float]) -> Box | None:
        """Indices (KJI) of the voxels between two corners (x, y, z) in mm; None where there are none."""
        out = []
        sizes = self.hu.shape[::-1]
        for size, start, step, a, b in zip(sizes, self.origin, self.steps, low, high, strict=True):
            first = max(int((a - start) / step), 0)
            last = min(int((b - start) / step) + 2, size)
            if last <= first:
                return None
            out.append(slice(first, last))
        return out[2], out[1], out[0]

    def axes(self, box: Box) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates x, y, z of a box, ready to broadcast to its shape."""
        k, j, i = box
        return self.x[i][None, None, :], self.y[j][None, :, None], self.z[k][:, None, None]

    def paint(self, occupancy: Tensor, hu: float | Tensor, box: Box | None = None) -> None:
        """Replace a share of each voxel."""
        here = self.hu if box is None else self.hu[box]
        here += occupancy * (hu - here)

    def ellipsoid(
        self, centre: Sequence[float], radii: Sequence[float], hu: float, *, into: Tensor | None = None
    ) -> None:  # fmt: skip
        """Paint an ellipsoid along the axes; ``into`` (a share of each voxel) bounds it."""
        low = [c - r - 2 for c, r in zip(centre, radii, strict=True)]
        high = [c + r + 2 for c, r in zip(centre, radii, strict=True)]
        box = self.box(low, high)
        if box is None:
            return
        occupancy = edge(self.ellipsoid_depth(centre, radii, box), self.voxel)
        self.paint(occupancy if into is None else occupancy * into[box], hu, box)

    def ellipsoid_depth(self, centre: Sequence[float], radii: Sequence[float], box: Box) -> Tensor:
        """Approximate mm below an ellipsoid's surface, over a box."""
        x, y, z = self.axes(box)
        parts = [((a - c) / r).square() for a, c, r in zip((x, y, z), centre, radii, strict=True)]
        return (1.0 - (parts[0] + parts[1] + parts[2]).sqrt()) * min(radii)

    def capsules(self, start: Tensor, end: Tensor, r0: Tensor, r1: Tensor, hu: float, *,
                 into: Tensor | None = None, record: Tensor | None = None, squeeze: float = 1.0) -> None:  # fmt: skip
        """Paint cones with round ends, one after the other.

        Args:
            start: ``(n, 3)``, x, y, z.
            end: ``(n, 3)``.
            r0: ``(n,)`` radius at the start.
            r1: ``(n,)`` at the end.
            hu: density.
            into: a share of each voxel that bounds them.
            record: gets the largest share painted.
            squeeze: width over depth of the section, keeping its area.
        """
        stretch = squeeze**0.5
        for a, b, ra, rb in zip(start.tolist(), end.tolist(), r0.tolist(), r1.tolist(), strict=True):
            reach = max(ra, rb) * max(stretch, 1 / stretch) + self.voxel
            box = self.box([min(p, q) - reach for p, q in zip(a, b, strict=True)],
                           [max(p, q) + reach for p, q in zip(a, b, strict=True)])  # fmt: skip
            if box is None:
                continue
            occupancy = edge(capsule_depth(self.axes(box), a, b, ra, rb, stretch), self.voxel)
            small = min(1.0, (max(ra, rb) / (0.5 * self.voxel)) ** 2)
            occupancy = occupancy * small if into is None else occupancy * small * into[box]
            self.paint(occupancy, hu, box)
            if record is not None:
                record[box] = torch.maximum(record[box], occupancy)


def edge(depth: Tensor, voxel: float) -> Tensor:
    """Share of a voxel below a surface: linear over one voxel."""
    return (depth / voxel + 0.5).clamp_(0.0, 1.0)


def capsule_depth(
    axes: tuple[Tensor, Tensor, Tensor], a: Sequence[float], b: Sequence[float], ra: float, rb: float, stretch: float
) -> Tensor:
    """Mm below the surface of a cone with round ends; ``stretch`` narrows x and widens y."""
    d = [q - p for p, q in zip(a, b, strict=True)]
    length2 = max(sum(v * v for v in d), 1e-6)
    rel = [axis - p for axis, p in zip(axes, a, strict=True)]
    t = ((rel[0] * d[0] + rel[1] * d[1] + rel[2] * d[2]) / length2).clamp_(0.0, 1.0)
    off = [r - t * v for r, v in zip(rel, d, strict=True)]
    distance = ((off[0] / stretch).square() + (off[1] * stretch).square() + off[2].square()).sqrt_()
    return ra + t * (rb - ra) - distance
