"""How far noise alone can move a binding ratio, and the alert when denoising moves it further.

What denoising removed (input minus output) is itself a sample of the image's noise. Its mean over a volume of interest
that is moved about the brain, away from the striata, spreads as much as the noise of that volume's mean: this gives a
standard error from one scan, whatever the scanner, counts or reconstruction. Noise grows with local counts in
iterative reconstruction; the exponent is :data:`GROWTH`. The method is our choice: the source saw over-correction
(background suppressed, striata inflated) and had no alert.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, signal

from manabi.spect.quantify import Binding, Regions
from manabi.spect.template import REGIONS

GROWTH = 0.75
"""Noise of a volume's mean grows as (mean counts)^GROWTH from the background upwards (our choice, between the 0.5 of
Poisson counts and the 1 of converged ML-EM)."""
ALERT_Z = 2.5
"""Default threshold of the alert, in standard errors."""
LEAST_PLACES = 20
LEAST_CHANGE_SBR = 0.02
LEAST_CHANGE_PERCENT = 1.0
"""Smaller changes of a binding ratio and of the background are never an alert, however sure (our choice)."""
CLIP = 3.0
"""Places whose mean is further out than this many robust standard deviations are left out (our choice): edges and
spill-out that a smoothing denoiser also removes must not pass for noise."""
MAD_TO_SD = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True)
class BindingNoise:
    """Standard errors of one scan's binding ratios.

    Attributes:
        sd: of the SBR, per (structure, side).
        reference_sd: of the reference region's mean, in counts.
    """

    sd: dict[tuple[str, str], float]
    reference_sd: float


@dataclass(frozen=True)
class Shift:
    """What denoising did to one region's binding ratio."""

    region: tuple[str, str]
    before: float
    after: float
    sd: float

    @property
    def z(self) -> float:
        """Change in standard errors of the input's own noise."""
        return (self.after - self.before) / self.sd if self.sd > 0 else 0.0


def binding_noise(removed: np.ndarray, places: Regions, before: Binding) -> BindingNoise:
    """Standard errors of the binding ratios of the noisy image.

    Args:
        removed: input minus denoised image, counts, KJI.
        places: the regions the ratios were measured in.
        before: the ratios of the input.
    """
    allowed = places.whole_brain > 0
    sd_region = {region: _spread(removed, places.structures[region], allowed) for region in REGIONS}
    reference_sd = _spread(removed, places.occipital, allowed)
    sd = {}
    for region in REGIONS:
        level = max(1.0 + before.sbr[region], 0.1)
        own = sd_region[region] * level**GROWTH
        sd[region] = float(np.hypot(own, level * reference_sd) / before.reference)
    return BindingNoise(sd, reference_sd)


def _spread(removed: np.ndarray, weights: np.ndarray, allowed: np.ndarray) -> float:
    """Standard deviation of a region's mean over places in the brain where the region fits."""
    box = tuple(slice(int(v.min()), int(v.max()) + 1) for v in np.nonzero(weights))
    kernel = weights[box] / weights.sum()
    means = signal.fftconvolve(removed, kernel[::-1, ::-1, ::-1], mode="same")
    fits = signal.fftconvolve(allowed.astype(float), kernel[::-1, ::-1, ::-1], mode="same") > 0.9
    if fits.sum() < LEAST_PLACES:
        fits = allowed & ndimage.binary_erosion(allowed)
    if fits.sum() < LEAST_PLACES:
        fits = allowed
    values = means[fits]
    if not values.size:
        return 0.0
    away = np.abs(values - np.median(values))
    return float(np.std(values[away <= CLIP * MAD_TO_SD * np.median(away)]))


def shifts(before: Binding, after: Binding, noise: BindingNoise) -> list[Shift]:
    """The change of each region's binding ratio against its noise, in the order of ``REGIONS``."""
    return [Shift(r, before.sbr[r], after.sbr[r], noise.sd[r]) for r in REGIONS]


def with_noise(binding: Binding, noise: BindingNoise) -> Binding:
    """A measured image with the standard errors filled in."""
    return replace(binding, sd=dict(noise.sd))


def alerts(changes: list[Shift], before: Binding, after: Binding, noise: BindingNoise, limit: float) -> list[str]:
    """Warnings for a reader: each region moved by more than ``limit`` standard errors, and the background."""
    texts = [
        f"Over-correction alert: denoising moved the binding ratio of the {c.region[1]} {c.region[0]} from "
        f"{c.before:.2f} to {c.after:.2f}, {abs(c.z):.1f} times its noise ({c.sd:.2f}). "
        "Read the scan that was not denoised."
        for c in changes
        if abs(c.z) > limit and abs(c.after - c.before) > LEAST_CHANGE_SBR
    ]
    moved = after.reference - before.reference
    percent = 100.0 * moved / before.reference
    if abs(percent) > LEAST_CHANGE_PERCENT and abs(moved) > limit * noise.reference_sd > 0:
        texts.append(
            f"Over-correction alert: denoising changed the background (reference region) by {percent:+.1f} %, "
            "more than noise allows. Read the scan that was not denoised."
        )
    return texts
