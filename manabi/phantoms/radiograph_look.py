"""From the detector's signal to the film that is read: logarithm, harmonised detail, window, curve, grey levels.

Every maker's processing differs and none is published in full; this is the part that they share (our choice): the
logarithm of the signal, coarse structures flattened and fine ones raised (unsharp masks), a window over the patient,
an S-shaped curve like a film's and a random gamma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.radiograph_detector import blurred

LEAST_SIGNAL = 1e-4
"""Of the open beam; what the logarithm is cut off at."""
PATIENT = 0.35
"""Logarithm from which on a pixel is taken as behind the patient: about 2 cm of water (our choice)."""
SAMPLE = 4
"""Every that many-th pixel of each direction counts for the window."""
FLATTEN_SIZE = 16
"""Rows and columns on which coarse structures are seen."""


@dataclass(frozen=True)
class LookParameters:
    """Processing of the film.

    Attributes:
        low_percent: of the patient's pixels that are black.
        high_percent: of the patient's pixels from which on everything is white.
        steepness: of the S-shaped curve at its middle over the straight line's; 0 gives a straight line.
        middle: where in the window the curve is steepest.
        gamma: power of the grey values.
        detail: share of the difference to the film blurred by ``detail_mm`` that is added.
        detail_mm: standard deviation of that blur.
        flatten: share of the coarse structures that is taken off.
        below: room under the black level that the curve still shows, over the window's width.
        above: likewise beyond the white level.
    """

    low_percent: float = 0.5
    high_percent: float = 99.5
    steepness: float = 4.0
    middle: float = 0.5
    gamma: float = 1.0
    detail: float = 0.5
    detail_mm: float = 4.0
    flatten: float = 0.2
    below: float = 0.05
    above: float = 0.2


def sample_look(rng: np.random.Generator, domain: str = "training") -> LookParameters:
    """Draw a film's processing; the held-out domain has straighter curves, more detail and other windows."""
    held_out = domain == "held_out"
    return LookParameters(
        low_percent=float(rng.uniform(0.2, 1.0)),
        high_percent=float(rng.uniform(96.0, 99.8)),
        steepness=float(rng.uniform(0.5, 2.0) if held_out else rng.uniform(2.0, 5.0)),
        middle=float(rng.uniform(0.35, 0.55) if held_out else rng.uniform(0.40, 0.58)),
        gamma=float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))),
        detail=float(rng.uniform(0.6, 1.2) if held_out else rng.uniform(0.0, 0.6)),
        detail_mm=float(rng.uniform(2.0, 4.0) if held_out else rng.uniform(3.0, 6.0)),
        flatten=float(rng.uniform(0.3, 0.55) if held_out else rng.uniform(0.1, 0.4)),
        below=float(rng.uniform(0.0, 0.3)),
        above=float(rng.uniform(0.0, 0.4)),
    )


def processed(signal: Tensor, looks: Sequence[LookParameters], pixel_mm: float) -> Tensor:
    """Minus the logarithm of the signal (1 in the open beam) with coarse parts flattened and detail raised."""
    logs = signal.clamp(min=LEAST_SIGNAL).log_().neg_()
    detail, flatten = (_column([getattr(look, n) for look in looks], logs) for n in ("detail", "flatten"))
    fine = logs - blurred(logs, [look.detail_mm / pixel_mm for look in looks])
    size = (min(FLATTEN_SIZE, logs.shape[-2]), min(FLATTEN_SIZE, logs.shape[-1]))
    coarse = F.adaptive_avg_pool2d(logs[:, None], size)
    coarse = F.interpolate(coarse, logs.shape[-2:], mode="bicubic", align_corners=False)[:, 0]
    return logs + detail * fine - flatten * (coarse - coarse.mean(dim=(1, 2), keepdim=True))


def windows(logs: Tensor, looks: Sequence[LookParameters]) -> Tensor:
    """Black and white level ``(b, 2)`` of each film: percentiles over the patient, with room beyond."""
    out = []
    for film, look in zip(logs[:, SAMPLE // 2 :: SAMPLE, SAMPLE // 2 :: SAMPLE], looks, strict=True):
        values = film[film > PATIENT]
        values = values if values.numel() > 1 else film.reshape(-1)
        at = torch.tensor([look.low_percent, look.high_percent], device=logs.device) / 100
        low, high = torch.quantile(values, at)
        out.append(torch.stack((low - look.below * (high - low), high + look.above * (high - low))))
    return torch.stack(out)


def shown(logs: Tensor, levels: Tensor, looks: Sequence[LookParameters]) -> Tensor:
    """Grey values ``(b, rows, columns)`` from 0 to 1, denser brighter.

    Args:
        logs: from :func:`processed`.
        levels: ``(b, 2)`` from :func:`windows`.
        looks: one for each film.
    """
    low, high = levels[:, 0, None, None], levels[:, 1, None, None]
    place = (logs - low) / (high - low).clamp(min=1e-6)
    steep, middle = (_column([getattr(look, n) for look in looks], logs) for n in ("steepness", "middle"))
    gamma = _column([look.gamma for look in looks], logs)
    steep = steep.clamp(min=1e-3)
    ends = [torch.sigmoid(steep * (edge - middle)) for edge in (0.0, 1.0)]
    curve = (torch.sigmoid(steep * (place - middle)) - ends[0]) / (ends[1] - ends[0])
    return curve.clamp_(0.0, 1.0).pow(gamma)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(list(values), dtype=like.dtype, device=like.device)[:, None, None]
