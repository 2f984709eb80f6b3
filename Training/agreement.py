"""Agreement of readers and of measurements: kappa, intraclass correlation, Bland–Altman."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import InvalidInputError
from Training.resampling import RESAMPLES, Estimate, interval, patient_counts, patient_index

GRADES = (1, 2, 3, 4)
"""Grades of the striatum, 4 normal (``methods/spect.md`` 3c)."""


def quadratic_kappa(
    first: ArrayLike,
    second: ArrayLike,
    patients: Sequence[object] | np.ndarray,
    labels: Sequence[int] = GRADES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Cohen's kappa with quadratic weights, bootstrapped by patient (two striata of a patient stay together).

    ``1 - Σ w O / Σ w E`` with ``w = (i - j)²``, O the observed table and E that of independent readers with the same
    margins (Cohen, Psychol Bull 1968;70:213, 10.1037/h0026256). Undefined (nan) where both give one grade only.

    Args:
        first: grades of one reading, ``(n,)``.
        second: grades of the other.
        patients: each grade's patient.
        labels: all possible grades, whether they occur or not.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
    """
    tables, counts = _tables(first, second, patients, labels, resamples, seed)
    value = kappa_of_tables(tables.sum(0))
    return interval(float(value), kappa_of_tables(np.tensordot(counts, tables, 1)))


def kappa_difference(
    before: tuple[ArrayLike, ArrayLike],
    after: tuple[ArrayLike, ArrayLike],
    patients: Sequence[object] | np.ndarray,
    labels: Sequence[int] = GRADES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Gain in quadratic kappa, ``after`` minus ``before``, on the same striata, bootstrapped by patient."""
    old, counts = _tables(*before, patients, labels, resamples, seed)
    new, _ = _tables(*after, patients, labels, resamples, seed)
    value = kappa_of_tables(new.sum(0)) - kappa_of_tables(old.sum(0))
    resampled = kappa_of_tables(np.tensordot(counts, new, 1)) - kappa_of_tables(np.tensordot(counts, old, 1))
    return interval(float(value), resampled)


def kappa_of_tables(tables: np.ndarray) -> np.ndarray:
    """Quadratic kappa of contingency tables ``(..., k, k)``."""
    size = tables.shape[-1]
    weights = (np.arange(size)[:, None] - np.arange(size)) ** 2
    total = tables.sum((-2, -1))
    chance = tables.sum(-1)[..., :, None] * tables.sum(-2)[..., None, :] / total[..., None, None]
    expected = (weights * chance).sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (weights * tables).sum((-2, -1)) / expected, np.nan)


def _tables(
    first: ArrayLike,
    second: ArrayLike,
    patients: Sequence[object] | np.ndarray,
    labels: Sequence[int],
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """One contingency table per patient ``(patients, k, k)``, and the bootstrap's counts."""
    one, other = np.asarray(first), np.asarray(second)
    if one.shape != other.shape or one.ndim != 1 or one.size != len(patients):
        raise InvalidInputError("Kappa needs two lists of grades and the patients, all of one length.")
    unknown = set(np.concatenate([one, other]).tolist()) - set(labels)
    if unknown:
        raise InvalidInputError(f"Grades must be among {tuple(labels)}; got {sorted(unknown)}.")
    place = {label: index for index, label in enumerate(labels)}
    index, count = patient_index(patients)
    tables = np.zeros((count, len(labels), len(labels)))
    rows, columns = (np.array([place[grade] for grade in grades.tolist()], int) for grades in (one, other))
    np.add.at(tables, (index, rows, columns), 1)
    return tables, patient_counts(count, resamples, seed)


def icc_2_1(ratings: ArrayLike, level: float = 0.95) -> Estimate:
    """Intraclass correlation ICC(2,1): two-way random effects, absolute agreement, one rater.

    ``(BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n)`` with the mean squares between subjects, between raters and
    of the residual (Shrout and Fleiss, Psychol Bull 1979;86:420, 10.1037/0033-2909.86.2.420); the interval is theirs,
    with Satterthwaite's degrees of freedom (McGraw and Wong, Psychol Methods 1996;1:30, table 7). Undefined (nan)
    where all subjects have the same mean.

    Args:
        ratings: ``(subjects, raters)``, complete.
        level: of the interval.
    """
    from scipy.stats import f

    data = np.asarray(ratings, np.float64)
    if data.ndim != 2 or min(data.shape) < 2 or not np.isfinite(data).all():
        raise InvalidInputError("ICC needs a complete table of at least two subjects and two raters.")
    n, k = data.shape
    between, raters, residual = mean_squares(data)
    if between == 0 or raters + residual == 0:
        return Estimate(np.nan, np.nan, np.nan) if between == 0 else Estimate(1.0, 1.0, 1.0)
    value = (between - residual) / (between + (k - 1) * residual + k * (raters - residual) / n)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * raters + b * residual) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1))
    )
    upper_tail = (1 + level) / 2
    f_low, f_high = f.ppf(upper_tail, n - 1, freedom), f.ppf(upper_tail, freedom, n - 1)
    shared = k * raters + (k * n - k - n) * residual
    low = n * (between - f_low * residual) / (f_low * shared + n * between)
    high = n * (f_high * between - residual) / (shared + n * f_high * between)
    return Estimate(float(value), float(low), float(high))


def mean_squares(ratings: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between subjects (rows), between raters (columns) and of the residual."""
    n, k = ratings.shape
    mean = ratings.mean()
    rows = ratings.mean(1, keepdims=True)
    columns = ratings.mean(0, keepdims=True)
    residual = ratings - rows - columns + mean
    return (
        float(k * ((rows - mean) ** 2).sum() / (n - 1)),
        float(n * ((columns - mean) ** 2).sum() / (k - 1)),
        float((residual**2).sum() / ((n - 1) * (k - 1))),
    )


@dataclass(frozen=True)
class BlandAltman:
    """Bias of a measurement and the limits within which 95 % of differences lie, each with its interval."""

    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate
    sd: float
    count: int


def bland_altman(
    measured: ArrayLike,
    reference: ArrayLike,
    patients: Sequence[object] | np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BlandAltman:
    """Bias ``mean(measured - reference)`` and limits of agreement ``bias ± 1.96 SD``.

    Intervals by Student's t with standard errors ``s / √n`` and ``s √(1/n + 1.96² / (2 (n - 1)))`` (Bland and Altman,
    Stat Methods Med Res 1999;8:135, 10.1177/096228029900800204, section 2); with ``patients``, by bootstrap of whole
    patients, for measurements that share a patient.
    """
    difference = np.asarray(measured, np.float64) - np.asarray(reference, np.float64)
    if difference.ndim != 1 or difference.size < 2 or not np.isfinite(difference).all():
        raise InvalidInputError("Bland-Altman needs at least two pairs of finite values.")
    if patients is not None:
        return _clustered_limits(difference, patients, resamples, seed)
    from scipy.stats import t

    n, bias, sd = difference.size, float(difference.mean()), float(difference.std(ddof=1))
    quantile = float(t.ppf(0.975, n - 1))
    around_bias = quantile * sd / np.sqrt(n)
    around_limit = quantile * sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))

    def estimate(value: float, half: float) -> Estimate:
        return Estimate(value, value - half, value + half)

    limits = (estimate(bias - 1.96 * sd, around_limit), estimate(bias + 1.96 * sd, around_limit))
    return BlandAltman(estimate(bias, around_bias), *limits, sd, n)


def _clustered_limits(
    difference: np.ndarray, patients: Sequence[object] | np.ndarray, resamples: int, seed: int
) -> BlandAltman:
    index, count = patient_index(patients)
    if index.size != difference.size:
        raise InvalidInputError("Bland-Altman needs one patient per pair of values.")
    counts = patient_counts(count, resamples, seed)
    sizes, sums, squares = (counts @ np.bincount(index, w, count) for w in (None, difference, difference**2))
    bias = sums / sizes
    sd = np.sqrt(np.maximum(squares - sizes * bias**2, 0) / np.maximum(sizes - 1, 1))
    own_bias, own_sd = float(difference.mean()), float(difference.std(ddof=1))
    return BlandAltman(
        interval(own_bias, bias),
        interval(own_bias - 1.96 * own_sd, bias - 1.96 * sd),
        interval(own_bias + 1.96 * own_sd, bias + 1.96 * sd),
        own_sd,
        difference.size,
    )
