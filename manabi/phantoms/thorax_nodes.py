"""A coarse grid for smooth depths below surfaces, the way back to the image's grid, and shapes by level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.thorax_canvas import Box, Canvas

NODE_MM = 4.0


class Nodes:
    """A coarse grid over a canvas, and the way back.

    Attributes:
        x: ``(nz, ny, nx)``, to the right, shifted by a smooth random field.
        y: likewise to the front.
        z: ``(nz, 1, 1)``.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator, uneven_mm: float) -> None:
        self.canvas = canvas
        axes: list[Tensor] = []
        self._places: list[Tensor] = []
        self._weights: list[Tensor] = []
        for fine in (canvas.z, canvas.y, canvas.x):
            span = float(fine[-1] - fine[0])
            count = max(round(span / NODE_MM) + 1, 2)
            axes.append(torch.linspace(float(fine[0]), float(fine[-1]), count, device=fine.device))
            place = torch.linspace(0, count - 1, len(fine), device=fine.device)
            low = place.long().clamp_(max=count - 2)
            nodes = torch.arange(count, device=fine.device)[None, :]
            self._places.append(low)
            self._weights.append((1.0 - (nodes - place[:, None]).abs()).clamp_(min=0.0))
        self.z = axes[0][:, None, None]
        y, x = axes[1][None, :, None], axes[2][None, None, :]
        self.shape = (len(axes[0]), len(axes[1]), len(axes[2]))
        away = ((x.square() + y.square()).sqrt() / 90.0 - 0.35).clamp(0.0, 1.0)
        self.x = x + uneven_mm * away * self.noise(rng, 70.0)
        self.y = y + uneven_mm * away * self.noise(rng, 70.0)

    def noise(self, rng: np.random.Generator, scale_mm: float) -> Tensor:
        """A smooth random field of mean 0 and standard deviation about 1, ``(nz, ny, nx)``."""
        counts = [max(round(n * NODE_MM / scale_mm), 1) + 3 for n in self.shape]
        values = torch.as_tensor(rng.standard_normal(counts), dtype=torch.float32, device=self.z.device)
        return 1.5 * F.interpolate(values[None, None], self.shape, mode="trilinear", align_corners=True)[0, 0]

    def fine(self, values: Tensor, box: Box | None = None) -> Tensor:
        """Values at the nodes, interpolated to the canvas or a box of it."""
        z, y, x = (w if box is None else w[box[axis]] for axis, w in enumerate(self._weights))
        if values.shape[0] > 1:
            values = torch.tensordot(z, values, dims=1)
        return torch.matmul(torch.matmul(y, values), x.T)

    def box_of(self, depth: Tensor, margin_mm: float = 3.0) -> Box | None:
        """Indices on the canvas of where a depth is above ``-margin_mm``."""
        inside = depth > -margin_mm
        rows = inside.any(dim=2)
        out = []
        for axis, along in enumerate((rows.any(dim=1), rows.any(dim=0), inside.any(dim=0).any(dim=0))):
            there = torch.nonzero(along)
            if not len(there):
                return None
            first, last = int(there[0]) - 1, int(there[-1]) + 1
            low = self._places[axis]
            hit = torch.nonzero((low >= first) & (low <= last))
            out.append(slice(int(hit[0]), int(hit[-1]) + 1))
        return out[0], out[1], out[2]


def table(z: Tensor, at: Sequence[float], values: Sequence[float], spread_mm: float = 12.0) -> Tensor:
    """Values by height, linear between the given ones and smoothed; like ``z``."""
    order = np.argsort(at)
    heights = z.cpu().numpy().astype(float)
    places, numbers = np.asarray(at)[order], np.asarray(values)[order]
    smooth = np.mean([np.interp(heights + s, places, numbers) for s in np.linspace(-spread_mm, spread_mm, 7)], axis=0)
    return torch.as_tensor(smooth, dtype=torch.float32, device=z.device)


def ellipse(x: Tensor, y: Tensor, half: tuple[Tensor | float, Tensor | float], square: float = 0.0) -> Tensor:
    """Approximate mm below the outline of an ellipse, squarish for ``square`` up to 0.4.

    Args:
        x: from its middle.
        y: likewise.
        half: its half axes.
        square: share of ``x² y²`` taken off the squared radius (after Fernandez-Guasti's squircle).
    """
    a, b = (x / half[0]).square_().clamp_(min=1e-4), (y / half[1]).square_().clamp_(min=1e-4)
    slope = (a / _squared(half[0]) + b / _squared(half[1])).sqrt_()
    radius = (a + b - square * a.clamp(max=1.4) * b.clamp(max=1.4)).sqrt_()
    return radius * (1.0 - radius) / slope


def _squared(value: Tensor | float) -> Tensor | float:
    return value * value


def joined(parts: Sequence[Tensor], blend_mm: float) -> Tensor:
    """Union of depths with rounded seams."""
    out = parts[0]
    for part in parts[1:]:
        share = (0.5 + 0.5 * (part - out) / blend_mm).clamp(0.0, 1.0)
        out = torch.lerp(out, part, share) + blend_mm * share * (1.0 - share)
    return out
