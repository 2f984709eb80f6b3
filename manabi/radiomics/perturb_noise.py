"""Noise that is added to an image, at the level that the image has."""

from __future__ import annotations

import numpy as np

from manabi.errors import InvalidInputError

NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal variable."""
EDGE = 3
"""Coefficients at each end that the continued edge makes too small (7 % less on 40 by 44 voxels); left out."""


def noise_level(values: np.ndarray) -> float:
    """Standard deviation of the white noise of an image, from its finest diagonal wavelet coefficients.

    Chang, Yu, Vetterli, Adaptive wavelet thresholding, IEEE Trans Image Process 2000;9:1532-1546 (10.1109/83.862633):
    median of the absolute coefficients over 0.6745. The wavelet is coif1, within the slices, since slices are often
    thick. Coefficients of exactly 0 belong to padding or cut-out background and are left out (our choice). Noise
    that is correlated between neighbours, such as that of a smooth CT kernel, is found too small.

    Args:
        values: KJI.

    Returns:
        In the image's units; 0 for an image without structure.

    Raises:
        InvalidInputError: where slices are smaller than 4×4.
    """
    import pywt

    if min(values.shape[1:]) < 4:
        raise InvalidInputError(
            f"To estimate noise, slices need at least 4 by 4 voxels; got {values.shape[1:]}. Give a number."
        )
    diagonal = np.abs(pywt.dwt2(values, "coif1", mode="symmetric", axes=(1, 2))[1][2])
    rows, columns = (slice(EDGE, -EDGE) if size > 4 * EDGE else slice(None) for size in diagonal.shape[1:])
    diagonal = diagonal[:, rows, columns]
    size = np.abs(values).max()
    noisy = diagonal[diagonal > 1e-12 * size] if size else diagonal[:0]
    return float(np.median(noisy) / NORMAL_MEDIAN) if noisy.size else 0.0


def noisy(values: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """The values with white Gaussian noise of standard deviation ``level``."""
    return values + rng.normal(0.0, level, values.shape)
