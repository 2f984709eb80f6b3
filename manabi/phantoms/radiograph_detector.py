"""What a flat detector makes of the radiation: quantum noise, then blur.

Noise is the square root of the number of quanta times a field of standard normal numbers that depends on the seed
alone, so that a film with and without a nodule has the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

QUANTA_PER_UGY_MM2 = 30174.0
"""Photons per µGy and mm² of the beam RQA5 (IEC 62220-1)."""
LEAST_BLUR_PX = 0.05
"""Blur below this is none."""


@dataclass(frozen=True)
class DetectorParameters:
    """The detector and how the exposure is set.

    Attributes:
        dose_ugy: at the detector, mean behind the patient (automatic exposure control); 2.5 µGy for chest films.
        dqe: share of the quanta that count.
        blur_mm: standard deviation of its point spread (0.15 to 0.2 mm for caesium iodide).
    """

    dose_ugy: float = 2.5
    dqe: float = 0.6
    blur_mm: float = 0.18


def sample_detector(rng: np.random.Generator, domain: str = "training") -> DetectorParameters:
    """Draw a flat detector; in the held-out domain a storage phosphor, which blurs more and counts less."""
    if domain == "held_out":
        return DetectorParameters(
            float(rng.uniform(2.5, 5.0)), float(rng.uniform(0.2, 0.35)), float(rng.uniform(0.2, 0.3))
        )
    return DetectorParameters(
        float(rng.uniform(1.5, 3.5)), float(rng.uniform(0.5, 0.65)), float(rng.uniform(0.15, 0.2))
    )


def quanta(detector: DetectorParameters, pixel_mm: float) -> float:
    """Counted quanta per pixel at the mean signal behind the patient."""
    return detector.dose_ugy * QUANTA_PER_UGY_MM2 * pixel_mm**2 * detector.dqe


def noise_fields(seeds: Sequence[int], rows: int, columns: int, device: torch.device) -> Tensor:
    """Standard normal numbers ``(b, rows, columns)``, each film's from its seed alone, on any device the same."""
    fields = [torch.randn((rows, columns), generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    return torch.stack(fields).to(device)


def detected(
    signal: Tensor, level: Tensor, noise: Tensor, detectors: Sequence[DetectorParameters], pixel_mm: float
) -> Tensor:  # fmt: skip
    """Signal with noise and blur ``(b, rows, columns)``, in the units of ``signal``.

    Args:
        signal: primary and scattered, ``(b, rows, columns)``.
        level: ``(b,)`` signal at which the detector receives its dose.
        noise: ``(b, rows, columns)`` from :func:`noise_fields`.
        detectors: one for each film.
        pixel_mm: distance of the pixels.
    """
    counts = torch.tensor([quanta(d, pixel_mm) for d in detectors], device=signal.device)
    noisy = signal + noise * (signal * (level / counts)[:, None, None]).sqrt()
    return blurred(noisy, [d.blur_mm / pixel_mm for d in detectors])


def blurred(films: Tensor, sigmas_px: Sequence[float]) -> Tensor:
    """Each film ``(b, rows, columns)`` blurred by its Gaussian, edges repeated; the kernel is averaged over pixels."""
    widest = max(sigmas_px)
    if widest < LEAST_BLUR_PX:
        return films
    reach = max(math.ceil(3 * widest), 1)
    kernels = torch.stack([_kernel(sigma, reach) for sigma in sigmas_px]).to(films.device)
    count = len(films)
    padded = F.pad(films[None], (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, kernels[:, None, :, None], groups=count)
    return F.conv2d(down, kernels[:, None, None, :], groups=count)[0]


def _kernel(sigma: float, reach: int) -> Tensor:
    """Shares of a Gaussian within each pixel, ``(2 reach + 1,)``."""
    edges = torch.arange(-reach, reach + 2, dtype=torch.float64) - 0.5
    steps = torch.special.ndtr(edges / max(sigma, 1e-6)).diff()
    return (steps / steps.sum()).float()
