"""How much noise an image holds, and how it is spread over spatial frequencies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.fft import dctn

from manabi.errors import InvalidInputError

MAD_TO_STD = 0.6744897501960817


def estimate_noise_std(image: np.ndarray) -> float:
    """Standard deviation of white noise, from the finest diagonal Haar detail.

    The median absolute deviation of the diagonal detail coefficients, over 0.6745 (Donoho and Johnstone, Biometrika
    1994, 10.1093/biomet/81.3.425). Blocks of four equal pixels (an empty or clipped background) are left out: our
    choice. Noise that a reconstruction has smoothed has little diagonal detail and is underestimated; take
    :func:`noise_fraction` from pairs there.

    Args:
        image: ``(rows, columns)`` or ``(slices, rows, columns)``.

    Returns:
        The estimate in the units of the image; 0 for a constant image or one smaller than 2×2.
    """
    array = np.asarray(image, np.float64)
    rows, columns = array.shape[-2] // 2 * 2, array.shape[-1] // 2 * 2
    a, b = array[..., 0:rows:2, 0:columns:2], array[..., 0:rows:2, 1:columns:2]
    c, d = array[..., 1:rows:2, 0:columns:2], array[..., 1:rows:2, 1:columns:2]
    detail = 0.5 * (a - b - c + d)
    used = (a != b) | (a != c) | (a != d)
    if not used.any():
        return 0.0
    return float(np.median(np.abs(detail[used])) / MAD_TO_STD)


def noise_fraction(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Median over pairs of rms(noisy - reference) over max(noisy): the noise as a fraction of the image's maximum.

    Args:
        pairs: (noisy, reference) images of equal shape.

    Raises:
        InvalidInputError: where there is no pair, or no noisy image has a positive maximum.
    """
    found = [
        float(np.sqrt(np.mean((np.asarray(noisy, np.float64) - reference) ** 2)) / np.max(noisy))
        for noisy, reference in pairs
        if np.max(noisy) > 0
    ]
    if not found:
        raise InvalidInputError("Measuring the noise needs (noisy, reference) pairs with a positive maximum; got none.")
    return float(np.median(found))


def noise_spectrum(residuals: Iterable[np.ndarray], patch_size: int) -> np.ndarray:
    """Noise variance of each DCT coefficient of a patch, relative to the variance of a pixel.

    Args:
        residuals: noise-only images, 2-D or stacks of slices, such as noisy - reference; each counts alike.
        patch_size: width of the square patches.

    Returns:
        ``(patch_size, patch_size)``, mean 1; all ones for white noise, largest at the low frequencies for noise that
        a post-filter has smoothed. At least 1e-4 everywhere.

    Raises:
        InvalidInputError: where no residual is as large as a patch, or all are zero.
    """
    spectra = []
    for residual in residuals:
        stack = np.asarray(residual, np.float64).reshape(-1, *np.shape(residual)[-2:])
        if min(stack.shape[1:]) < patch_size:
            continue
        patches = np.lib.stride_tricks.sliding_window_view(stack, (patch_size, patch_size), axis=(1, 2))[:, ::2, ::2]
        power = np.mean(dctn(patches, axes=(-2, -1), norm="ortho") ** 2, axis=(0, 1, 2))
        if power.mean() > 0:
            spectra.append(power / power.mean())
    if not spectra:
        raise InvalidInputError(f"A noise spectrum needs residuals of at least {patch_size} pixels a side, not zero.")
    spectrum = np.maximum(np.mean(spectra, axis=0), 1e-4)
    return spectrum / spectrum.mean()
