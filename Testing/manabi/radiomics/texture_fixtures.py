"""Discretised images for the texture tests, and pyradiomics' own values for them."""

from __future__ import annotations

import logging
import warnings

import numpy as np
from scipy.ndimage import gaussian_filter


def random_levels(shape: tuple[int, int, int], n_levels: int, smooth: float, seed: int = 0) -> np.ndarray:
    """A random field in bins, with a ragged region: about 30 % of the voxels are outside."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), smooth) if smooth else rng.normal(size=shape)
    low, high = field.min(), field.max()
    levels = 1 + np.minimum((field - low) / (high - low) * n_levels, n_levels - 1).astype(np.int32)
    levels[rng.random(shape) > 0.7] = 0
    return levels


def binned(values: np.ndarray, mask: np.ndarray, width: float) -> np.ndarray:
    """Bins of a fixed width with an edge at 0, as pyradiomics has them."""
    bins = np.floor(values / width) - np.floor(values[mask].min() / width) + 1
    return np.where(mask, bins, 0).astype(np.int32)


def pyradiomics_values(levels: np.ndarray) -> dict[str, float]:
    """Every texture feature by the classes of pyradiomics, called directly."""
    import SimpleITK as sitk
    from radiomics import glcm, gldm, glrlm, glszm, ngtdm

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    families = {
        "glcm": glcm.RadiomicsGLCM,
        "glrlm": glrlm.RadiomicsGLRLM,
        "glszm": glszm.RadiomicsGLSZM,
        "gldm": gldm.RadiomicsGLDM,
        "ngtdm": ngtdm.RadiomicsNGTDM,
    }
    image = sitk.GetImageFromArray(levels.astype(np.float64))
    mask = sitk.GetImageFromArray((levels > 0).astype(np.uint8))
    found = {}
    for family, kind in families.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = kind(image, mask, binWidth=1).execute()
        found |= {f"{family}_{name}": float(np.real(value)) for name, value in values.items()}
    return found


def largest_difference(expected: dict[str, float], found: dict[str, float]) -> float:
    """The largest relative difference; infinite where one is NaN and the other is not, or names differ."""
    if set(expected) != set(found):
        return float("inf")
    worst = 0.0
    for name, value in expected.items():
        if np.isnan(value) != np.isnan(found[name]):
            return float("inf")
        if not np.isnan(value):
            worst = max(worst, abs(value - found[name]) / max(abs(value), 1e-300))
    return worst
