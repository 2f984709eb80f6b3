"""How close a converted CT is to the true one, as the SynthRAD challenges define it.

Thummerer et al., SynthRAD2025 (2605.13555) and SynthRAD2023 (2403.08447): what lies outside the mask is -1024 HU, the
range is -1024 to 3000 HU whatever the image holds, and values beyond it are clipped. Written from the published
definitions; where they are silent the docstrings say "our choice". All arrays are ``(slices, rows, columns)`` in HU.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError

FLOOR_HU, CEILING_HU = -1024.0, 3000.0
RANGE_HU = CEILING_HU - FLOOR_HU
"""4024 HU, the data range of PSNR and SSIM."""
WINDOW = 7
"""Side of the uniform window of the structural similarity, voxels."""
K1, K2 = 0.01, 0.03
LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the five levels, finest first (Wang, Simoncelli and Bovik, Asilomar 2003, section 3.2)."""
SMALLEST = (WINDOW - 1) * 2 ** (len(LEVEL_WEIGHTS) - 1) + 1
"""97 voxels: what is smaller along an axis is padded, so that the coarsest level still holds a window."""


def mae(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute error in the mask, HU."""
    true, other, inside = _checked(reference, image, mask)
    return float(np.abs(true[inside] - other[inside]).mean())


def psnr(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Peak signal-to-noise ratio in the mask, dB, of images clipped to the range; inf where they are equal."""
    true, other, inside = _checked(reference, image, mask)
    error = float(np.square(_clipped(true[inside]) - _clipped(other[inside])).mean())
    return math.inf if error == 0 else 10 * math.log10(RANGE_HU**2 / error)


def ssim(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Structural similarity, the mean over the mask of its 3-D map; values are counted from -1024 HU."""
    true, other, inside = _checked(reference, image, mask)
    luminance, structure = _maps(*(_filled(array, inside) - FLOOR_HU for array in (true, other)))
    return float((luminance * structure)[inside].mean())


def ms_ssim(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Multi-scale structural similarity, the maps averaged over the mask at each of five levels.

    Each level halves the last by means over 2×2×2; a voxel is in the coarser mask where half of it was (our choice).
    A negative mean of a level counts as 0 (our choice).
    """
    true, other, inside = _checked(reference, image, mask)
    arrays = [_padded(_filled(array, inside) - FLOOR_HU) for array in (true, other)]
    weight = _padded(inside.astype(np.float32))
    value = 1.0
    for level, exponent in enumerate(LEVEL_WEIGHTS):
        luminance, structure = _maps(*arrays)
        last = level == len(LEVEL_WEIGHTS) - 1
        local = luminance * structure if last else structure
        chosen = weight >= 0.5
        mean = float(local[chosen].mean()) if chosen.any() else float(local.mean())
        value *= max(mean, 0.0) ** exponent
        arrays, weight = [_halved(array) for array in arrays], _halved(weight)
    return value


def _checked(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not np.shape(reference) == np.shape(image) == np.shape(mask) or np.ndim(mask) != 3:
        shapes = ", ".join(str(np.shape(a)) for a in (reference, image, mask))
        raise InvalidInputError(f"Reference, image and mask must have one shape of three axes; got {shapes}.")
    inside = np.asarray(mask, bool)
    if not inside.any():
        raise InvalidInputError("The mask is empty: there is nothing to compare.")
    return np.asarray(reference, np.float32), np.asarray(image, np.float32), inside


def _clipped(array: np.ndarray) -> np.ndarray:
    return np.clip(array, FLOOR_HU, CEILING_HU).astype(np.float64)


def _filled(array: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.where(inside, np.clip(array, FLOOR_HU, CEILING_HU), np.float32(FLOOR_HU))


def _maps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, voxel by voxel (uniform window, sample covariance)."""
    count = WINDOW**first.ndim
    unbiased = count / (count - 1)
    a, b = (array.astype(np.float64) for array in (first, second))
    mean_a, mean_b = _mean(a), _mean(b)
    var_a = unbiased * (_mean(a * a) - mean_a**2)
    var_b = unbiased * (_mean(b * b) - mean_b**2)
    both = unbiased * (_mean(a * b) - mean_a * mean_b)
    c1, c2 = (K1 * RANGE_HU) ** 2, (K2 * RANGE_HU) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * both + c2) / (var_a + var_b + c2)


def _mean(array: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(array, WINDOW)


def _padded(array: np.ndarray) -> np.ndarray:
    """Zeros after the end of every axis that is too short."""
    return np.pad(array, [(0, max(SMALLEST - n, 0)) for n in array.shape])


def _halved(array: np.ndarray) -> np.ndarray:
    """Means over 2×2×2; an odd last plane is doubled."""
    even = np.pad(array, [(0, n % 2) for n in array.shape], mode="edge")
    blocks = [size for n in even.shape for size in (n // 2, 2)]
    return even.reshape(blocks).mean(axis=(1, 3, 5))
