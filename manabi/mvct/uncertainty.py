"""How sure a conversion is of every voxel: a standard deviation in HU from several conversions of the same image.

Several conversions come from a flipped and shifted copy of the input, from dropout that stays on (Gal and Ghahramani,
2016), or from several models: :func:`manabi.mvct.pipeline.doubt` makes them. Their spread is too small or too large by
a factor that is fitted once, on cases whose truth is known, and stored with the model (the closed form for a normal
error is that of Laves et al., Recalibration of aleatoric and epistemic regression uncertainty in medical imaging,
2021). The source has no uncertainty.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.errors import InvalidInputError

LEAST_SD_HU = 1.0
FEWEST = 100


def spread(outputs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Voxel-wise mean and standard deviation of conversions that come one after the other (Welford's sums).

    Raises:
        InvalidInputError: where there are fewer than two.
    """
    count = 0
    mean = squares = np.zeros(1, np.float32)
    for output in outputs:
        values = np.asarray(output, np.float32)
        count += 1
        if count == 1:
            mean, squares = values.copy(), np.zeros_like(values)
            continue
        away = values - mean
        mean += away / count
        squares += away * (values - mean)
    if count < 2:
        raise InvalidInputError(f"An uncertainty needs at least two conversions; got {count}.")
    return mean, np.sqrt(squares / (count - 1))


def calibration_factor(sd_hu: np.ndarray, error_hu: np.ndarray) -> float:
    """What the spread must be multiplied with so that it is the error's standard deviation.

    The maximum-likelihood scale of a normal error, ``sqrt(mean((error / sd)²))``, made robust: the 1 % largest ratios
    (metal, a moved patient) are cut to the next. Spreads below 1 HU count as 1 HU.

    Args:
        sd_hu: spread, any shape.
        error_hu: converted minus truth, the same shape.
    """
    sd, error = _pairs(sd_hu, error_hu)
    ratio = np.abs(error) / np.maximum(sd, LEAST_SD_HU)
    return float(np.sqrt(np.mean(np.minimum(ratio, np.quantile(ratio, 0.99)) ** 2)))


def calibrated(sd_hu: np.ndarray, factor: float) -> np.ndarray:
    """The spread as a standard deviation of the error, HU."""
    return (np.maximum(sd_hu, LEAST_SD_HU) * factor).astype(np.float32)


def calibration_curve(sd_hu: np.ndarray, error_hu: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed root mean square error in bins of equally many voxels, from sure to unsure."""
    sd, error = _pairs(sd_hu, error_hu)
    parts = np.array_split(np.argsort(sd, kind="stable"), bins)
    said = np.array([np.sqrt(np.mean(sd[p] ** 2)) for p in parts])
    seen = np.array([np.sqrt(np.mean(error[p] ** 2)) for p in parts])
    return said, seen


def expected_calibration_error(sd_hu: np.ndarray, error_hu: np.ndarray, bins: int = 10) -> float:
    """Mean distance of predicted and observed error over :func:`calibration_curve`, HU."""
    said, seen = calibration_curve(sd_hu, error_hu, bins)
    return float(np.mean(np.abs(said - seen)))


def coverage(sd_hu: np.ndarray, error_hu: np.ndarray, times: float = 1.96) -> float:
    """Share of voxels whose error lies within ``times`` standard deviations (0.95 for 1.96 where all is well)."""
    sd, error = _pairs(sd_hu, error_hu)
    return float(np.mean(np.abs(error) <= times * sd))


def _pairs(sd_hu: np.ndarray, error_hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sd, error = np.asarray(sd_hu, np.float64).ravel(), np.asarray(error_hu, np.float64).ravel()
    if sd.shape != error.shape or sd.size < FEWEST:
        raise InvalidInputError(
            f"Calibration needs spread and error of the same voxels, {FEWEST} at least; got {sd.size} and {error.size}."
        )
    return sd, error
