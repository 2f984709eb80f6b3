"""What the scanner does to a simulated chest: blur within the slice, correlated noise, streaks at the shoulders."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CORRELATION_PX = 0.8
"""Blur of the noise, in pixels (our choice: a soft to medium kernel)."""
STREAK_PX = 12
"""Length of the streaks from side to side, in pixels (our choice)."""
STREAK_SHARE = 1.5
"""Their standard deviation over the noise's, per unit of the noise's excess over the average slice (our choice)."""


def gaussian_kernel(sd: float, device: torch.device) -> Tensor:
    """A normalised kernel over ±3 standard deviations."""
    reach = max(int(np.ceil(3 * sd)), 1)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32, device=device)
    weights = torch.exp(-0.5 * (at / max(sd, 1e-3)).square())
    return weights / weights.sum()


def blurred(slices: Tensor, sd: float) -> Tensor:
    """Slices ``(n, rows, columns)`` blurred by a Gaussian of ``sd`` pixels; edges repeated."""
    if sd < 0.2:
        return slices
    kernel = gaussian_kernel(sd, slices.device).tolist()
    reach = len(kernel) // 2
    out = F.pad(slices[:, None], (reach, reach, reach, reach), mode="replicate")[:, 0]
    for axis in (1, 2):  # sums of shifted copies; torch convolves one channel slowly on a processor
        length = out.shape[axis] - 2 * reach
        total = out.narrow(axis, 0, length) * kernel[0]
        for shift, weight in enumerate(kernel[1:], start=1):
            total.add_(out.narrow(axis, shift, length), alpha=weight)
        out = total
    return out


def noise_strength(slices: Tensor) -> Tensor:
    """Noise of each slice over the average one's ``(n,)``: more where more tissue is crossed, 0.6 to 1.8."""
    tissue = (slices > -400).float().mean(dim=(1, 2))
    return (tissue / tissue.mean().clamp(min=1e-3)).clamp(0.6, 1.8)


def scanned(
    slices: Tensor, pixel_mm: float, psf_mm: float, noise_hu: float, generator: np.random.Generator
) -> Tensor:  # fmt: skip
    """Blur, then add noise that is correlated within each slice and stronger where more tissue is crossed.

    Args:
        slices: ``(n, rows, columns)`` HU.
        pixel_mm: size of a pixel.
        psf_mm: standard deviation of the blur.
        noise_hu: standard deviation of the noise in an average slice.
        generator: draws the noise.
    """
    out = blurred(slices, psf_mm / pixel_mm)
    seed = torch.Generator().manual_seed(int(generator.integers(2**62)))
    noise = blurred(torch.randn(out.shape, generator=seed).to(out.device), CORRELATION_PX)
    noise /= noise.std().clamp(min=1e-6)
    strength = noise_strength(out)
    noise *= strength[:, None, None]
    noise += _streaks(out, seed) * (STREAK_SHARE * (strength - 1.0).clamp(min=0.0))[:, None, None]
    return out + noise * noise_hu


def _streaks(slices: Tensor, seed: torch.Generator) -> Tensor:
    """Horizontal streaks of standard deviation 1 within the body."""
    count, rows, columns = slices.shape
    coarse = torch.randn((count, 1, rows, max(columns // STREAK_PX, 2)), generator=seed).to(slices.device)
    lines = F.interpolate(coarse, (rows, columns), mode="bilinear", align_corners=True)[:, 0]
    return lines / lines.std().clamp(min=1e-6) * (slices > -700)
