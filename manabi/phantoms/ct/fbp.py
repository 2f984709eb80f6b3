"""Filtered back-projection: ramp filter with a window, then back-projection, for a batch of slices."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.geometry import ParallelGeometry, PixelSize
from manabi.phantoms.ct.project import backproject

WINDOWS = ("ramp", "shepp", "cosine", "hann")


def fbp(
    sinograms: Tensor,
    geometry: ParallelGeometry,
    shape: tuple[int, int],
    pixel_mm: PixelSize,
    window: str = "ramp",
    cutoff: float = 1.0,
    engine: str = "auto",
) -> Tensor:
    """Reconstruct.

    Args:
        sinograms: line integrals ``(n, views, bins)``.
        geometry: the rays.
        shape: rows and columns of the image.
        pixel_mm: pixel size, one number or width and height.
        window: of the ramp: ``ramp`` (none), ``shepp``, ``cosine`` or ``hann``.
        cutoff: where the window ends, as a share of the highest frequency the bins hold, above 0 and at most 1.
        engine: of the back-projection, see :func:`manabi.phantoms.ct.project.project`.

    Returns:
        ``(n, rows, columns)`` float32 per mm; 0 outside the circle that every view covers.
    """
    filtered = filter_views(sinograms, geometry.bin_mm, window, cutoff)
    return backproject(filtered, geometry, shape, pixel_mm, engine).mul_(math.pi / geometry.views)


def filter_views(sinograms: Tensor, bin_mm: float, window: str = "ramp", cutoff: float = 1.0) -> Tensor:
    """The views, ramp-filtered along the last axis; same shape."""
    bins = sinograms.shape[-1]
    response = torch.as_tensor(response_of(bins, window, cutoff), dtype=torch.float32, device=sinograms.device) / bin_mm
    size = 2 * (len(response) - 1)
    out = torch.empty_like(sinograms, dtype=torch.float32)
    for one, into in zip(sinograms, out, strict=True):
        into.copy_(torch.fft.irfft(torch.fft.rfft(one.float(), size) * response, size)[..., :bins])
    return out


@lru_cache(maxsize=32)
def response_of(bins: int, window: str, cutoff: float) -> np.ndarray:
    """Frequency response of ramp and window for bins of size 1, padded against wrap-around ``(size // 2 + 1,)``.

    The ramp is sampled in space, so that its mean is right (A. C. Kak, M. Slaney, Principles of Computerized
    Tomographic Imaging, 1988, equation 3.61).

    Raises:
        InvalidInputError: for an unknown window or a cutoff outside (0, 1].
    """
    if window not in WINDOWS or not 0 < cutoff <= 1:
        raise InvalidInputError(f"The window is one of {WINDOWS} and the cutoff in (0, 1]; got {window!r}, {cutoff}.")
    size = 2 ** math.ceil(math.log2(2 * bins))
    at = np.minimum(np.arange(size), size - np.arange(size))
    taps = np.where(at % 2 == 1, -1 / (math.pi * np.maximum(at, 1)) ** 2, 0.0)
    taps[0] = 0.25
    ramp = np.fft.rfft(taps).real
    share = np.fft.rfftfreq(size) * 2 / cutoff
    return ramp * window_at(window, share)


def window_at(window: str, share: np.ndarray) -> np.ndarray:
    """The window at shares of its cutoff; 0 beyond."""
    shapes = {
        "ramp": np.ones_like(share),
        "shepp": np.sinc(share / 2),
        "cosine": np.cos(math.pi * share / 2),
        "hann": 0.5 * (1 + np.cos(math.pi * share)),
    }
    return np.where(share <= 1, shapes[window], 0.0)


def noise_gain(bins: int, window: str, cutoff: float) -> float:
    """Variance of a pixel over that of one bin, for bins of 1 mm and one view: times π²/views/bin_mm².

    White noise is filtered, then interpolated to the pixel at an even spread of places between two bins.
    """
    response = response_of(bins, window, cutoff)
    size = 2 * (len(response) - 1)
    taps = np.fft.irfft(response, size)
    apart = float(np.dot(taps, np.roll(taps, 1)))
    return float(2 / 3 * np.dot(taps, taps) + apart / 3)
