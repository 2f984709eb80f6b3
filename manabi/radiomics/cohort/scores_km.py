"""Kaplan-Meier for many sets of weights at once, and the curve with its intervals.

The product over rows in order of time, events before censored rows of the same time, equals Kaplan and Meier's product
over distinct times: factors of tied events telescope. The same holds for Greenwood's sum. So one reversed cumulative
sum serves every draw of a bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from manabi.radiomics.cohort.scores import NAN, Score, missing
from manabi.radiomics.cohort.scores_data import Followup


def in_order(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Rows by time, events before censored rows of the same time."""
    return np.lexsort((~event, time))


def survival_at(follow: Followup, times: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Kaplan-Meier survival at times, for each set of weights.

    Args:
        follow: n rows.
        times: ``(k,)``.
        weights: ``(draws, n)``; None for one set of ones.

    Returns:
        ``(draws, k)``; NaN after the last follow-up of a draw, unless its curve has reached 0.

    Source: E. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", 1958,
    10.1080/01621459.1958.10501452.
    """
    weights = np.ones((1, follow.n)) if weights is None else weights
    times = np.atleast_1d(np.asarray(times, float))
    order = in_order(follow.time, follow.event)
    time, event, w = follow.time[order], follow.event[order], weights[:, order]
    at_risk = np.cumsum(w[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(event & (w > 0), 1 - w / at_risk, 1.0)
    factor[factor < 1e-12] = 0.0
    curve = np.concatenate([np.ones((len(w), 1)), np.cumprod(factor, axis=1)], axis=1)
    out = curve[:, np.searchsorted(time, times, side="right")]
    last = np.where(w > 0, time, -np.inf).max(axis=1)
    return np.where((times[None] > last[:, None]) & (out > 0), NAN, out)


def censoring_at(follow: Followup, times: np.ndarray) -> np.ndarray:
    """``(k,)`` share still under observation at times if nobody had the event: Kaplan-Meier of the censoring.

    Right-continuous, as in scikit-survival; constant after the last follow-up.
    """
    times = np.atleast_1d(np.asarray(times, float))
    order = in_order(follow.time, follow.event)
    at_risk = np.arange(follow.n, 0, -1)
    factor = np.where(follow.event[order], 1.0, 1 - 1 / at_risk)
    curve = np.concatenate([[1.0], np.cumprod(factor)])
    return curve[np.searchsorted(follow.time[order], times, side="right")]


@dataclass(frozen=True, eq=False)
class Curve:
    """A Kaplan-Meier curve.

    Attributes:
        times: ``(k,)`` 0 and the distinct times of follow-up.
        survival: ``(k,)``.
        low: ``(k,)`` lower end of the pointwise interval.
        high: ``(k,)`` upper end.
        follow: the rows behind it.
        level: of the interval.
    """

    times: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    follow: Followup
    level: float

    def at_risk(self, times: np.ndarray) -> np.ndarray:
        """Rows under observation just before each time."""
        return (self.follow.time[None] >= np.asarray(times, float).reshape(-1, 1)).sum(1)

    def at(self, t: float, name: str = "") -> Score:
        """Survival at a time with its interval; missing beyond the last follow-up."""
        name = name or f"survival at {self.follow.words(t)}"
        how = f"Kaplan-Meier, log-log, {self.level:.0%}"
        if t > self.times[-1] and self.survival[-1] > 0:
            return missing(name, f"nobody was followed for {self.follow.words(t)}", self.follow.n,
                           self.follow.events, how)  # fmt: skip
        k = int(np.searchsorted(self.times, t, side="right")) - 1
        low, high = float(self.low[k]), float(self.high[k])
        reason = "" if np.isfinite(low) else "no variance at a survival of 0 or 1: no interval"
        return Score(name, float(self.survival[k]), low, high, how, self.follow.n, self.follow.events, NAN, reason)

    def median(self) -> float:
        """First time at which survival is at most one half; NaN where it stays above."""
        below = np.flatnonzero(self.survival <= 0.5 + 1e-12)
        return float(self.times[below[0]]) if len(below) else NAN


def kaplan_meier(follow: Followup, weights: np.ndarray | None = None, level: float = 0.95) -> Curve:
    """The curve with pointwise intervals from Greenwood's variance on the log-log scale.

    Where survival is 1 or 0 there is no variance, and the interval is NaN.

    Args:
        follow: n rows.
        weights: ``(n,)`` weights, or None.
        level: of the interval.

    Source: J. Kalbfleisch, R. Prentice, "The Statistical Analysis of Failure Time Data", 2002, section 1.4.
    """
    w = np.ones(follow.n) if weights is None else np.asarray(weights, float)
    times = np.concatenate([[0.0], np.unique(follow.time[w > 0])])
    survival = survival_at(follow, times, w[None])[0]
    variance = greenwood(follow, times, w)
    z = stats.norm.ppf((1 + level) / 2)
    inside = (survival > 0) & (survival < 1)
    log = np.log(np.where(inside, survival, 0.5))
    half = z * np.sqrt(variance) / -log
    low = np.where(inside, np.exp(log * np.exp(half)), NAN)
    high = np.where(inside, np.exp(log * np.exp(-half)), NAN)
    return Curve(times, survival, low, high, follow, level)


def greenwood(follow: Followup, times: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(k,)`` Greenwood's sum of d / (r (r - d)) up to each time; 0 is given for an infinite one."""
    order = in_order(follow.time, follow.event)
    w = weights[order]
    at_risk = np.cumsum(w[::-1])[::-1]
    left = at_risk - w
    terms = np.zeros(len(w))
    seen = follow.event[order] & (w > 0) & (left > 1e-9)
    terms[seen] = w[seen] / (at_risk[seen] * left[seen])
    return np.concatenate([[0.0], np.cumsum(terms)])[np.searchsorted(follow.time[order], times, side="right")]
