"""Every delta is a weighted sum of the values at the times that were seen; these are the weights.

From the weights follows the noise of a delta: the measurement's standard deviation times their root sum of squares.
"""

from __future__ import annotations

import numpy as np

from manabi.radiomics.delta_sets import LEAST_SCANS, DeltaSet


def weights(one: DeltaSet, times_weeks: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Weights of a set, NaN where it cannot be had.

    Args:
        one: the set.
        times_weeks: ``(n_patients, n_times)``; what stands at times that were not seen is not used.
        seen: bool, ``(n_patients, n_times, n_features)``.

    Returns:
        ``(n_patients, n_times, n_features)``.
    """
    times = np.where(seen, np.nan_to_num(times_weeks)[:, :, None], 0.0)
    return {"difference": _difference, "slope": _slope, "area": _area}[one.kind](one, times, seen)


def _difference(one: DeltaSet, times: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Later minus earlier."""
    found = np.zeros(times.shape)
    found[:, one.stop], found[:, one.start] = 1.0, -1.0
    return np.where((seen[:, one.stop] & seen[:, one.start])[:, None], found, np.nan)


def _slope(one: DeltaSet, times: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Least squares over what was seen: (t - mean t) / sum (t - mean t)²."""
    count = seen.sum(axis=1, keepdims=True)
    away = np.where(seen, times - times.sum(axis=1, keepdims=True) / np.maximum(count, 1), 0.0)
    squares = (away**2).sum(axis=1, keepdims=True)
    enough = (count >= LEAST_SCANS) & (squares > 0)
    return np.where(enough, away / np.where(squares > 0, squares, 1.0), np.nan)


def _area(one: DeltaSet, times: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Trapezoids between scans that were seen, over the time they cover, less the first scan's value."""
    n_times = times.shape[1]
    found = np.zeros(times.shape)
    last = np.zeros(seen[:, :1].shape, int)
    for index in range(1, n_times):
        width = times[:, index : index + 1] - np.take_along_axis(times, last, axis=1)
        half = np.where(seen[:, index : index + 1], width / 2, 0.0)
        found[:, index : index + 1] += half
        np.put_along_axis(found, last, np.take_along_axis(found, last, axis=1) + half, axis=1)
        last = np.where(seen[:, index : index + 1], index, last)
    covered = np.take_along_axis(times, last, axis=1) - times[:, :1]
    enough = seen[:, :1] & (covered > 0)
    found /= np.where(enough, covered, 1.0)
    found[:, :1] -= 1.0
    return np.where(enough, found, np.nan)
