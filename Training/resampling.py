"""Bootstrap by patient: patients are drawn with replacement, with all that was measured on them.

Resamples are kept as counts (how often each patient was drawn), so that every statistic is a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import InvalidInputError

RESAMPLES = 10_000
"""Resamples of a 95 % interval (``methods/evaluation.md``)."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class MeanSd:
    """Mean and spread over slices (or striata) and over patients, with the interval of the mean over patients."""

    mean: float
    sd: float
    count: int
    patient_mean: float
    patient_sd: float
    patients: int
    patient_interval: Estimate


def patient_counts(patients: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each patient is drawn in each resample, ``(resamples, patients)``; every row sums to ``patients``."""
    if patients < 2:
        raise InvalidInputError(f"A bootstrap needs at least two patients; got {patients}.")
    draws = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=resamples)
    return draws.astype(np.float64)


def interval(value: float, resampled: np.ndarray, level: float = 0.95) -> Estimate:
    """Percentile interval of resampled values; undefined ones (nan) are left out."""
    usable = resampled[np.isfinite(resampled)]
    if not usable.size:
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def patient_index(patients: Sequence[object] | np.ndarray) -> tuple[np.ndarray, int]:
    """Every value's patient as a number, and how many patients there are."""
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    return index, len(names)


def patient_means(values: ArrayLike, patients: Sequence[object] | np.ndarray) -> np.ndarray:
    """Mean of each patient's values, patients in sorted order."""
    data = _values(values, patients)
    index, count = patient_index(patients)
    return np.bincount(index, data, count) / np.bincount(index, minlength=count)


def bootstrap_mean(
    values: ArrayLike, patients: Sequence[object] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Mean over patients of the patients' means, with its percentile interval."""
    means = patient_means(values, patients)
    counts = patient_counts(len(means), resamples, seed)
    return interval(float(means.mean()), counts @ means / len(means))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    patients: Sequence[object] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Paired difference ``first - second`` of values of the same slices, with the interval over patients."""
    return bootstrap_mean(_values(first, patients) - _values(second, patients), patients, resamples, seed)


def mean_sd(
    values: ArrayLike, patients: Sequence[object] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> MeanSd:
    """What a table shows of one metric: mean ± SD over all values, and over patients with a 95 % interval.

    SDs are sample SDs (``n - 1``).
    """
    data = _values(values, patients)
    means = patient_means(data, patients)
    estimate = bootstrap_mean(data, patients, resamples, seed)
    return MeanSd(
        float(data.mean()), float(data.std(ddof=1)), data.size, estimate.value, float(means.std(ddof=1)), means.size,
        estimate,
    )  # fmt: skip


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    patients: Sequence[object] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Interval of any statistic, one call per resample.

    Args:
        statistic: from the positions of the drawn values, shape ``(n,)``, to a number.
        patients: each value's patient.
        resamples: number of resamples.
        seed: of the draws.
    """
    index, count = patient_index(patients)
    members = [np.flatnonzero(index == patient) for patient in range(count)]
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    resampled = np.array([statistic(np.concatenate([members[patient] for patient in draw])) for draw in draws])
    return interval(statistic(np.arange(index.size)), resampled)


def _values(values: ArrayLike, patients: Sequence[object] | np.ndarray) -> np.ndarray:
    data = np.asarray(values, np.float64)
    if data.ndim != 1 or data.size != len(patients):
        raise InvalidInputError(f"Expected one value per patient entry; got {data.shape} and {len(patients)} entries.")
    if not np.isfinite(data).all():
        raise InvalidInputError("Statistics need finite values; leave out what is not, and say so.")
    return data
