"""Small unpaired CT volumes whose conversion is known: a shift, a slope, noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from Training.mvct_domains import Domains, PairedCT


def anatomy(seed, slices=4, size=48):
    """Round bodies with blobs of fat and bone inside, in HU, air outside."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(-1, 1, size)
    body = rows[:, None] ** 2 + rows[None] ** 2 < 0.75
    blobs = ndimage.gaussian_filter(rng.normal(size=(slices, size, size)), (0.7, 2.5, 2.5))
    blobs /= blobs.std()
    hu = np.where(blobs > 1.0, 500.0, np.where(blobs < -0.7, -100.0, 40.0))
    return np.where(body, ndimage.gaussian_filter(hu, (0, 0.7, 0.7)), -1000.0).astype(np.float32)


def as_megavoltage(hu, seed, noise=15.0):
    """Less contrast against water, shifted, and noisy; air stays."""
    rng = np.random.default_rng([1, seed])
    inside = 0.8 * hu - 80 + rng.normal(0, noise, hu.shape)
    return np.where(hu > -600, inside, hu + rng.normal(0, 5, hu.shape)).astype(np.float32)


def pair(seed, **more):
    hu = anatomy(seed, **more)
    return PairedCT(as_megavoltage(hu, seed), hu)


def domains(count=3, **more):
    """Source and target of different patients."""
    sources = [as_megavoltage(anatomy(seed, **more), seed) for seed in range(count)]
    return Domains(sources, [anatomy(100 + seed, **more) for seed in range(count)], (1.0, 1.0))
