"""The grid that the simulated head and neck is painted on: places in the atlas, densities, iodine, metal and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.head_neck_shapes import Body
from manabi.phantoms.head_neck_tissues import METAL, TISSUES, Tissue
from manabi.phantoms.thorax_canvas import Box, edge

SEARCH_MM = 8.0
"""About the distance of the places at which the neighbourhood of a body is looked for."""
MARGIN_MM = 2.5
SIDES = (1.0, -1.0)
"""Right (x above 0) and left."""
FIELD_MM: dict[str, tuple[float, float, float]] = {
    "grain": (2.4, 2.4, 2.4), "mottle": (7.0, 7.0, 7.0), "fibre": (16.0, 3.0, 3.0), "septa": (9.0, 8.0, 8.0)
}  # fmt: skip
"""Size of the random textures along z, y and x in mm (our choice)."""
STREAK_FROM, STREAKED = 0.9, 9.0
"""Where fibres turn to fat, in standard deviations, and how much in full marbling (our choice)."""


@dataclass
class Canvas:
    """A grid with atlas places and what has been painted.

    Attributes:
        points: atlas x, y, z (mm) of every voxel, each ``(nz, ny, nx)``.
        voxel: width over which edges are blurred, mm.
        hu: kilovoltage density without contrast medium.
        iodine: share of the blood's enhancement.
        metal: share of each voxel that an alloy fills, by its name; empty until some is placed.
        label: label of the tissue that fills most of the voxel.
        fields: random textures of mean 0 and standard deviation 1.
        limit: share of each voxel below the skin, within which bodies are painted; None for everywhere.
        tissues: what can be painted, by name; those of the head and neck unless given.
    """

    points: Points
    spacing_mm: tuple[float, float, float]
    hu: Tensor
    iodine: Tensor
    label: Tensor
    fields: dict[str, Tensor] = field(default_factory=dict)
    metal: dict[str, Tensor] = field(default_factory=dict)
    limit: Tensor | None = None
    tissues: Mapping[str, Tissue] = field(default_factory=lambda: TISSUES)

    @classmethod
    def empty(cls, points: Points, spacing_mm: tuple[float, float, float], rng: np.random.Generator,
              marbling: float = 0.3) -> Canvas:  # fmt: skip
        """Air everywhere, textures drawn.

        Args:
            points: atlas places.
            spacing_mm: along x, y, z.
            rng: draws the textures.
            marbling: how much fat streaks the muscles, 0 to 1.
        """
        nothing = torch.zeros_like(points[0])
        fields = {name: texture(tuple(nothing.shape), spacing_mm, rng, size) for name, size in FIELD_MM.items()}
        fields["septa"] = torch.exp(-(fields["septa"] / 0.16).square_()) - 0.16
        streaks = (fields["fibre"] - STREAK_FROM).clamp_(min=0.0)
        fields["fibre"] -= (1.0 + STREAKED * marbling) * streaks
        fields = {name: values.to(nothing.device) for name, values in fields.items()}
        label = torch.zeros_like(nothing, dtype=torch.uint8)
        return cls(points, spacing_mm, nothing - 1000.0, nothing, label, fields)

    @cached_property
    def voxel(self) -> float:
        """Width over which edges are blurred: the mean of the spacings."""
        return sum(self.spacing_mm) / 3

    @cached_property
    def _steps(self) -> tuple[int, int, int]:
        return tuple(max(round(SEARCH_MM / s), 1) for s in self.spacing_mm[::-1])  # type: ignore[return-value]

    @cached_property
    def _coarse(self) -> list[Tensor]:
        k, j, i = self._steps
        return [v[::k, ::j, ::i].contiguous() for v in self.points]

    def near(self, body: Body, side: float = 1.0) -> Box | None:
        """The voxels among which a body, or its mirror image, lies; None outside the grid."""
        inside: Tensor | None = None
        for axis, places in enumerate(self._coarse):
            low, high = body.low[axis], body.high[axis]
            if axis == 0 and side < 0:
                low, high = -high, -low
            reach = MARGIN_MM + 1.25 * self._steps[2 - axis] * self.spacing_mm[axis]
            within = (places > low - reach) & (places < high + reach)
            inside = within if inside is None else inside & within
        if inside is None or not bool(inside.any()):
            return None
        rows, out = inside.any(dim=2), []
        along = (rows.any(dim=1), rows.any(dim=0), inside.any(dim=0).any(dim=0))
        for hit, step, size in zip(along, self._steps, self.hu.shape, strict=True):
            there = torch.nonzero(hit)
            out.append(slice(int(there[0]) * step, min((int(there[-1]) + 1) * step, size)))
        return out[0], out[1], out[2]

    def places(self, box: Box, side: float = 1.0) -> Points:
        """Atlas places of a box, mirrored for the left."""
        x, y, z = (v[box] for v in self.points)
        return (x if side > 0 else -x), y, z

    def paint(self, body: Body, tissue: str, both: bool = False, hu: float | None = None, free: bool = False) -> None:
        """Fill a body with a tissue.

        Args:
            body: the body.
            tissue: a key of ``tissues``.
            both: also its mirror image.
            hu: another density than the tissue's.
            free: also through the skin.
        """
        for side in SIDES if both else SIDES[:1]:
            box = self.near(body, side)
            if box is not None:
                share = edge(body.depth(self.places(box, side)), self.voxel)
                if self.limit is not None and not free:
                    share *= self.limit[box]
                self.fill(share, tissue, box, hu)

    def fill(self, share: Tensor, tissue: str, box: Box, hu: float | None = None) -> None:
        """Replace a share of each voxel of a box by a tissue."""
        kind = self.tissues[tissue]
        density: Tensor | float = kind.hu if hu is None else hu
        for name, amplitude in kind.texture:
            density = density + amplitude * self.fields[name][box]
        old, iodine = self.hu[box], self.iodine[box]
        old += share * (density - old)
        iodine += share * (kind.iodine - iodine)
        for filled in self.metal.values():
            filled[box] *= 1.0 - share
        self.label[box].masked_fill_(share > 0.5, kind.label)

    def plate(self, body: Body, alloy: str, part: float = 1.0) -> None:
        """Fill a body with a metal; ``part`` below 1 for what is thinner than a voxel shows."""
        box = self.near(body)
        if box is not None:
            share = part * edge(body.depth(self.places(box)), self.voxel)
            filled = self.metal.setdefault(alloy, torch.zeros_like(self.hu))
            filled[box] = torch.maximum(filled[box], share)
            self.label[box].masked_fill_(share > 0.5 * part, METAL)


def texture(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], rng: np.random.Generator,
    size_mm: tuple[float, float, float],
) -> Tensor:  # fmt: skip
    """A smooth random field ``shape`` of standard deviation about 1; ``size_mm`` along z, y, x."""
    spans = [n * s for n, s in zip(shape, spacing_mm[::-1], strict=True)]
    counts = [min(max(round(span / size) + 2, 3), n + 2) for span, size, n in zip(spans, size_mm, shape, strict=True)]
    seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
    values = torch.randn(counts, generator=seed)
    return 1.5 * F.interpolate(values[None, None], shape, mode="trilinear", align_corners=True)[0, 0]
