"""Scattered radiation of a chest film, behind an anti-scatter grid.

Scatter arises where primary photons pass tissue, in proportion to both, and spreads over centimetres, so that lungs
receive little of it and the mediastinum, where little primary radiation arrives, is mostly lit by its surroundings.
Anchors: about 0.9 of the signal of the mediastinum without a grid, and less than half of the primary contrast left
there with a 12:1 grid (L. T. Niklason et al., Scattered radiation in chest radiography, Med Phys 1981, 8(5):677-681,
10.1118/1.595027). Strength and spread are our choice within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 32
"""Rows and columns on which scatter is worked out; it is far smoother than they are."""


@dataclass(frozen=True)
class ScatterParameters:
    """Scatter and grid.

    Attributes:
        per_gram: scattered over primary signal without a grid, for each g/cm² on the ray.
        grid: share of the scatter over the share of the primary signal that the grid lets pass; 1 without a grid.
        sigma_mm: spread at the detector.
        screening: how far tissue over the detector weakens the scatter that comes from around it: the power of the
            local primary signal over its surroundings'; 0 not at all.
    """

    per_gram: float = 0.30
    grid: float = 0.20
    sigma_mm: float = 50.0
    screening: float = 0.6


def sample_scatter(rng: np.random.Generator, domain: str = "training") -> ScatterParameters:
    """Draw scatter behind a grid of about 10:1 to 13:1; in the held-out domain a weaker grid or an air gap."""
    low, high = (0.26, 0.36) if domain == "held_out" else (0.18, 0.26)
    return ScatterParameters(float(rng.uniform(0.26, 0.34)), float(rng.uniform(low, high)), float(rng.uniform(40, 60)))


def scattered(primary: Tensor, grams: Tensor, parameters: Sequence[ScatterParameters], pixel_mm: float) -> Tensor:
    """Scattered signal in the open beam's units ``(b, rows, columns)``.

    Args:
        primary: ``(b, rows, columns)``, 1 in the open beam.
        grams: likewise, g/cm² on the ray.
        parameters: one for each film.
        pixel_mm: distance of the pixels at the detector.
    """
    rows, columns = primary.shape[-2:]
    size = (min(COARSE, rows), min(COARSE, columns))
    source = F.adaptive_avg_pool2d((primary * grams)[:, None], size)[:, 0]
    down = _spread(size[0], [p.sigma_mm / (pixel_mm * rows / size[0]) for p in parameters], primary)
    across = _spread(size[1], [p.sigma_mm / (pixel_mm * columns / size[1]) for p in parameters], primary)
    strength = torch.tensor([p.per_gram * p.grid for p in parameters], device=primary.device)
    here = F.adaptive_avg_pool2d(primary[:, None], size)[:, 0]
    around = torch.bmm(torch.bmm(down, here), across.transpose(1, 2)).clamp(min=1e-6)
    power = torch.tensor([p.screening for p in parameters], device=primary.device)[:, None, None]
    coarse = torch.bmm(torch.bmm(down, source), across.transpose(1, 2)) * strength[:, None, None]
    coarse = coarse * (here / around).clamp(0.0, 2.0).pow(power)
    return F.interpolate(coarse[:, None], (rows, columns), mode="bilinear", align_corners=False)[:, 0]


def _spread(size: int, sigmas: Sequence[float], like: Tensor) -> Tensor:
    """Gaussian kernels ``(b, size, size)``; what leaves the film is lost, nothing comes from outside."""
    at = torch.arange(size, dtype=torch.float32, device=like.device)
    widths = torch.tensor(list(sigmas), dtype=torch.float32, device=like.device)[:, None, None]
    kernel = torch.exp(-0.5 * ((at[:, None] - at[None, :]) / widths).square())
    return kernel / (widths * np.sqrt(2 * np.pi))
