"""Noise and sharpness of a CT, from the image alone.

The noise level is the mode of the standard deviations in small squares of soft tissue: most squares hold nothing but
noise, and those with structure lie in the histogram's tail (the idea of Christianson et al., Automated technique to
measure noise in clinical CT examinations, AJR 2015; sizes and limits are our choice).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SQUARE_MM = 7.0
MOST_SLICES = 24
"""More slices than this are thinned evenly: the level does not need them."""
SOFT_HU = (-250.0, 250.0)
SD_PIXELS = (3, 15)
FEWEST = 200


def noise_hu(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray) -> float:
    """Standard deviation of the noise in soft tissue, HU; 0 where there is too little of it.

    Args:
        hu: ``(n, rows, columns)``.
        spacing_mm: of I, J, K.
        body: of the same shape.
    """
    keep = thinned(len(hu))
    size = int(np.clip(round(SQUARE_MM / float(min(spacing_mm[:2]))) | 1, *SD_PIXELS))
    inside = ndimage.minimum_filter(body[keep].astype(np.uint8), (1, size, size), mode="constant") > 0
    mean, sd = local_sd(hu[keep], size)
    values = sd[inside & (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])]
    return mode(values, 0.0) if values.size >= FEWEST else 0.0


def local_sd(hu: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in squares of ``size`` pixels around every pixel of every slice."""
    values = np.asarray(hu, np.float64)
    mean = ndimage.uniform_filter(values, (0, size, size))
    square = ndimage.uniform_filter(values * values, (0, size, size))
    count = size * size
    return mean, np.sqrt(np.maximum(square - mean * mean, 0.0) * count / (count - 1))


def mode(values: np.ndarray, low: float | None = None) -> float:
    """The most frequent value: the peak of a histogram whose bins follow the spread, smoothed and interpolated.

    Args:
        values: any number from one.
        low: nothing lies below (a standard deviation is not negative).
    """
    values = np.asarray(values, np.float64).ravel()
    first, last = np.percentile(values, [1.0, 99.0])
    if last - first < 1e-9 or values.size < 8:
        return float(np.median(values))
    quarter = np.subtract(*np.percentile(values, [75.0, 25.0]))
    width = max(2.0 * quarter / np.cbrt(values.size), (last - first) / 400.0, 1e-6)
    first = max(first - 3 * width, low) if low is not None else first - 3 * width
    counts, edges = np.histogram(values, np.arange(first, last + 4 * width, width))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), max(1.0, 0.3 * quarter / width), mode="constant")
    top = int(np.argmax(smooth))
    return float(edges[top] + width * (0.5 + _vertex(smooth, top)))


def edge_width_mm(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray) -> float:
    """Width of the step at the skin, mm: its height over its steepest slope, the median over the outline.

    A sharp image has about the pixel's size, a blurred one more; NaN where there is no outline.
    """
    keep = thinned(len(hu))
    values = np.asarray(hu[keep], np.float32)
    slope = np.hypot(
        np.gradient(values, float(spacing_mm[1]), axis=1), np.gradient(values, float(spacing_mm[0]), axis=2)
    )
    inside = body[keep]
    rim = inside & ~ndimage.binary_erosion(inside, np.ones((1, 3, 3), bool), border_value=1)
    size = max(3, round(8.0 / float(min(spacing_mm[:2]))) | 1)
    window = (1, size, size)
    height = ndimage.maximum_filter(values, window) - ndimage.minimum_filter(values, window)
    steep = ndimage.maximum_filter(slope, window)
    rim &= (height > 600.0) & (height < 1400.0)
    return float(np.median(height[rim] / steep[rim])) if rim.any() else float("nan")


def thinned(count: int, most: int = MOST_SLICES) -> np.ndarray:
    """Indices of at most ``most`` slices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _vertex(values: np.ndarray, top: int) -> float:
    """Where a parabola through a peak and its neighbours is highest, in bins from the peak."""
    if not 0 < top < len(values) - 1:
        return 0.0
    a, b, c = values[top - 1 : top + 2]
    bend = a - 2 * b + c
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5))
