"""Augmentation of pairs: both films and the mask of a pair are changed alike, so that they still differ in the nodule.

Everything is our choice. Grey values and geometry vary as between departments; the places outside the film (padding,
exactly 0) stay 0. Films are ``(pairs, 2, rows, columns)`` with the positive film first, masks ``(pairs, rows,
columns)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.parameters import Parameters

COARSE = 16
"""Pixels, in side, of what coarse unsharp masking calls the surroundings."""


@dataclass(frozen=True)
class FilmAugment(Parameters):
    """How far films are changed; 0 leaves a step out."""

    gamma: float = field(default=0.25, metadata={"low": 0.0, "high": 1.0, "help": "exponent of e to the ± this"})
    contrast: float = field(default=0.15, metadata={"low": 0.0, "high": 0.9, "help": "around grey, 1 ± this"})
    brightness: float = field(default=0.05, metadata={"low": 0.0, "high": 0.5, "help": "either way"})
    noise: float = field(default=0.02, metadata={"low": 0.0, "help": "most standard deviation that is added"})
    sharpen: float = field(default=0.6, metadata={"low": 0.0, "help": "most unsharp masking, fine and coarse"})
    blur: float = field(default=0.6, metadata={"low": 0.0, "high": 1.0, "help": "most share of a 3×3 blur"})
    rotate_deg: float = field(default=6.0, metadata={"low": 0.0, "high": 45.0, "help": "either way"})
    zoom: float = field(default=0.15, metadata={"low": 0.0, "high": 0.5, "help": "scale of 1 ± this"})
    mirror: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0, "help": "share mirrored left to right"})


def augment(films: Tensor, mask: Tensor, how: FilmAugment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Films in 0 to 1 and masks, both changed; every pair is drawn for itself."""
    films, mask = _moved(films, mask, how, generator)
    inside = films > 0
    films = _sharpness(films, how, generator)
    films = _greys(films, how, generator)
    return films.clamp(1e-4, 1) * inside, mask


def crops(
    films: Tensor, mask: Tensor, size: int, near_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A square of every pair: with the chance ``near_share`` around a pixel of the mask, else anywhere.

    Args:
        films: ``(pairs, 2, rows, columns)``.
        mask: ``(pairs, rows, columns)``.
        size: side in pixels; 0, or one as large as the film, leaves films whole.
        near_share: share of crops that hold a part of a nodule.
        generator: of torch.
    """
    rows, columns = mask.shape[1:]
    if not size or size >= min(rows, columns):
        return films, mask
    out, cut = [], []
    for one, place in zip(films, mask, strict=True):
        spots = place.nonzero()
        if len(spots) and torch.rand((), generator=generator) < near_share:
            spot = spots[int(torch.randint(len(spots), (), generator=generator))]
            lows = [max(0, min(int(s) - int(torch.randint(size, (), generator=generator)), n - size))
                    for s, n in zip(spot, (rows, columns), strict=True)]  # fmt: skip
        else:
            lows = [int(torch.randint(n - size + 1, (), generator=generator)) for n in (rows, columns)]
        window = tuple(slice(low, low + size) for low in lows)
        out.append(one[(slice(None), *window)])
        cut.append(place[window])
    return torch.stack(out), torch.stack(cut)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """``(count, 1, 1, 1)``."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def _moved(films: Tensor, mask: Tensor, how: FilmAugment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rotated, scaled, mirrored about the middle."""
    count = len(films)
    angle = torch.deg2rad(_uniform(count, -how.rotate_deg, how.rotate_deg, generator)).flatten()
    scale = 1 / _uniform(count, 1 - how.zoom, 1 + how.zoom, generator).flatten()
    flip = torch.where(torch.rand(count, generator=generator) < how.mirror, -1.0, 1.0)
    if not (how.rotate_deg or how.zoom or how.mirror):
        return films, mask
    zero = torch.zeros(count)
    first = torch.stack([flip * scale * angle.cos(), -scale * angle.sin(), zero], 1)
    second = torch.stack([flip * scale * angle.sin(), scale * angle.cos(), zero], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(films.shape), align_corners=False)
    moved = F.grid_sample(films, grid, align_corners=False)
    place = F.grid_sample(mask[:, None].float(), grid, align_corners=False)[:, 0] > 0.5
    whole = F.grid_sample((films[:, 1:] > 0).float(), grid, align_corners=False) > 0.99
    return moved * whole, place


def _sharpness(films: Tensor, how: FilmAugment, generator: torch.Generator) -> Tensor:
    """Blurred a little, or edges and structures raised as films are after processing."""
    count = len(films)
    soft = F.avg_pool2d(films, 3, 1, 1, count_include_pad=False)
    share = _uniform(count, -how.sharpen, how.blur, generator)
    films = films + share * (soft - films)
    if how.sharpen:
        small = F.interpolate(films, scale_factor=1 / COARSE, mode="area")
        coarse = F.interpolate(small, films.shape[2:], mode="bilinear", align_corners=False)
        films = films + _uniform(count, 0, how.sharpen, generator) * (films - coarse)
    return films


def _greys(films: Tensor, how: FilmAugment, generator: torch.Generator) -> Tensor:
    """Gamma, contrast, brightness and noise; the noise is the same field on both films of a pair."""
    count = len(films)
    films = films.clamp(1e-4, 1) ** torch.exp(_uniform(count, -how.gamma, how.gamma, generator))
    contrast = _uniform(count, 1 - how.contrast, 1 + how.contrast, generator)
    films = 0.5 + contrast * (films - 0.5) + _uniform(count, -how.brightness, how.brightness, generator)
    spread = _uniform(count, 0, how.noise, generator)
    return films + spread * torch.randn(count, 1, *films.shape[2:], generator=generator)
