"""What calibration of survival and of labels share: the result, splines, weighted quantiles and the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.radiomics.cohort.scores import NAN, Bootstrap, Score, missing, scores_table
from manabi.result import Table

DRAWS = Bootstrap(draws=200)
"""Each draw refits the smooth curve, so there are fewer than for other scores (our choice)."""
GRID = 50
"""Points of the smooth curve (our choice)."""
GROUPS = 5
EDGE = 1e-6
"""Predictions are kept this far from 0 and 1, where their logarithms end (our choice)."""
BIN_COLUMNS = ("group", "n", "predicted", "observed", "low", "high")


@dataclass(frozen=True)
class Bin:
    """Patients of similar prediction.

    Attributes:
        n: rows, as a mean over the repeats.
        predicted: mean predicted risk.
        observed: risk seen, with its interval.
    """

    n: float
    predicted: float
    observed: Score


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether predicted risks are the risks that come true.

    Attributes:
        title: of what, at which time.
        scores: ratio or intercept (calibration in the large), slope, ICI, E50, E90.
        predicted: ``(k,)`` predicted risks between their 1st and 99th percentile; empty where there is no curve.
        observed: ``(k,)`` risk seen at them, by a smooth curve.
        low: ``(k,)`` lower end of the pointwise interval.
        high: ``(k,)`` upper end.
        bins: fifths of the patients by predicted risk.
    """

    title: str
    scores: tuple[Score, ...]
    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bins: tuple[Bin, ...]

    def score(self, name: str) -> Score:
        """One of the scores by its name."""
        return next(one for one in self.scores if one.name == name)

    def table(self) -> Table:
        """A row per score."""
        return scores_table(self.scores)

    def bins_table(self) -> Table:
        """A row per group of patients."""
        rows = []
        for k, one in enumerate(self.bins):
            numbers = (one.predicted, one.observed.estimate, one.observed.low, one.observed.high)
            rows.append((k + 1, one.n, *(float(x) if np.isfinite(x) else None for x in numbers)))
        return Table(BIN_COLUMNS, tuple(rows))


def spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """``(n, 1 or 2)`` restricted cubic spline with three knots; only the line where knots coincide.

    Source: F. Harrell, "Regression Modeling Strategies", 2015, section 2.4.5; three knots as P. Austin et al., 2020.
    """
    first, second, third = knots
    if min(second - first, third - second) <= 1e-9 * max(1.0, abs(third)):
        return x[:, None]
    cubes = [np.maximum(x - k, 0) ** 3 for k in knots]
    bent = cubes[0] - cubes[1] * (third - first) / (third - second) + cubes[2] * (second - first) / (third - second)
    return np.stack([x, bent / (third - first) ** 2], axis=1)


def knots_of(x: np.ndarray) -> np.ndarray:
    """The 10th, 50th and 90th percentile (Harrell's places for three knots)."""
    return np.quantile(x, [0.1, 0.5, 0.9])


def grid_of(risk: np.ndarray) -> np.ndarray:
    """Risks to draw the curve at: from the 1st to the 99th percentile of the predictions (our choice)."""
    return np.linspace(float(np.quantile(risk, 0.01)), float(np.quantile(risk, 0.99)), GRID)


def weighted_quantile(values: np.ndarray, weights: np.ndarray, q: float) -> np.ndarray:
    """``(draws,)`` smallest value with at least a share ``q`` of the weight at or below it; both ``(draws, n)``."""
    order = np.argsort(values, axis=1)
    share = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    place = np.argmax(share >= q * share[:, -1:] - 1e-12, axis=1)
    return np.take_along_axis(values, order, axis=1)[np.arange(len(values)), place]


def distances(observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(draws, 3)`` ICI, E50 and E90: mean, median and 90th percentile of |observed - predicted| over patients.

    Source: P. Austin, E. Steyerberg, "The Integrated Calibration Index", 2019, 10.1002/sim.8281.
    """
    gap = np.abs(observed - predicted)
    mean = (gap * weights).sum(axis=1) / weights.sum(axis=1)
    gap = np.where(np.isfinite(gap), gap, NAN)
    return np.stack([mean, weighted_quantile(gap, weights, 0.5), weighted_quantile(gap, weights, 0.9)], axis=1)


def with_intervals(
    numbers: Callable[[np.ndarray], np.ndarray], names: Sequence[str], patients: np.ndarray, events: int,
    bootstrap: Bootstrap,
) -> tuple[tuple[Score, ...], np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Scores and curve of one function of weights, with the bootstrap's intervals.

    Args:
        numbers: ``(draws, n)`` weights to ``(draws, len(names) + points)`` scores and points of the curve.
        names: of the scores.
        patients: ``(n,)`` group of each row.
        events: of the rows.
        bootstrap: how intervals are made.

    Returns:
        The scores; then the curve, its lower and its upper end.
    """
    n = len(patients)
    estimate = numbers(np.ones((1, n)))[0]
    draws = np.concatenate([numbers(weights) for weights in bootstrap.weights(patients)])
    limits = [bootstrap.limits(column) for column in draws.T]
    how = bootstrap.how
    scores = tuple(
        Score(name, float(value), low, high, how + (ABOVE_ZERO if name in ("ICI", "E50", "E90") else ""), n, events)
        if np.isfinite(value) else missing(name, "the curve could not be fitted", n, events, how)
        for name, value, (low, high) in zip(names, estimate, limits, strict=False)
    )  # fmt: skip
    low, high = np.array(limits[len(names) :]).reshape(-1, 2).T
    return scores, estimate[len(names) :], low, high


ABOVE_ZERO = "; above 0 by chance alone, so the interval lies high"
