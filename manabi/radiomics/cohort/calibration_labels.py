"""Calibration of predicted probabilities of a label: in the large, slope, smooth curve, ICI, fifths of the patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from manabi.radiomics.cohort.calibration_parts import (
    DRAWS,
    EDGE,
    GROUPS,
    Bin,
    Calibration,
    distances,
    grid_of,
    knots_of,
    spline,
    with_intervals,
)
from manabi.radiomics.cohort.scores import NAN, Bootstrap, Score, missing
from manabi.radiomics.cohort.scores_data import Predicted, numbered
from manabi.radiomics.cohort.scores_labels import ONE_CLASS, checked_labels, probabilities

NAMES = ("calibration intercept", "calibration slope", "ICI", "E50", "E90")
STEPS, DIVERGED = 40, 30.0
"""Newton steps at most, and the coefficient beyond which classes are separated (our choice)."""


def calibrate_labels(
    label: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None, bootstrap: Bootstrap = DRAWS
) -> Calibration:
    """Predicted against observed probability of a label.

    *Intercept*: of a logistic model with the predicted log odds as offset, 0 is right, above 0 the model promises too
    little risk. *Slope* of the log odds: 1 is right, below 1 the predictions are too extreme. *Curve*: logistic on a
    restricted cubic spline of the log odds with three knots (our choice in place of loess).

    Source: B. Van Calster et al., "A calibration hierarchy for risk models was defined", 2016,
    10.1016/j.jclinepi.2015.12.005; ICI: P. Austin, E. Steyerberg, 2019, 10.1002/sim.8281.

    Args:
        label: ``(n,)`` 0 or 1.
        predicted: ``risk`` is the probability of 1.
        groups: patients.
        bootstrap: how intervals are made.

    Raises:
        InvalidInputError: where labels are not 0 and 1, or risks are no probabilities.
    """
    risk = np.clip(probabilities(predicted), EDGE, 1 - EDGE)
    y = checked_labels(label, risk.shape[1])
    patients = numbered(groups, len(y))
    reason = "" if 0 < y.sum() < len(y) else ONE_CLASS
    reason = reason or ("the predicted probability is the same for all patients" if np.ptp(risk) < 1e-9 else "")
    if reason:
        nothing = np.zeros(0)
        scores = tuple(missing(name, reason, len(y), int(y.sum())) for name in NAMES)
        return Calibration("label", scores, nothing, nothing, nothing, nothing, ())
    parts = _Stacked.of(y, risk)
    scores, observed, low, high = with_intervals(parts.numbers, NAMES, patients, int(y.sum()), bootstrap)
    return Calibration("label", scores, parts.grid, observed, low, high, parts.bins(bootstrap.level))


def fit_logistic(y: np.ndarray, x: np.ndarray, weights: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
    """Logistic regression for each set of weights, by Newton's method; NaN where classes are separated.

    Args:
        y: ``(n,)`` 0 or 1.
        x: ``(n, p)`` covariates, the constant among them.
        weights: ``(draws, n)``.
        offset: ``(n,)`` fixed part of the log odds.

    Returns:
        ``(draws, p)``.
    """
    beta = np.zeros((len(weights), x.shape[1]))
    step = beta
    for _ in range(STEPS):
        p = expit(beta @ x.T + offset)
        gradient = (weights * (y - p)) @ x
        information = np.einsum("bn,ni,nj->bij", weights * p * (1 - p), x, x, optimize=True)
        information += 1e-10 * np.eye(x.shape[1])
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        step *= np.minimum(1.0, 3.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    bad = (np.abs(beta).max(axis=1) > DIVERGED) | (np.abs(step).max(axis=1) > 1e-4)
    return np.where(bad[:, None], NAN, beta)


@dataclass(frozen=True, eq=False)
class _Stacked:
    """All repeats one below the other, each row weighing one over the number of repeats."""

    y: np.ndarray
    risk: np.ndarray
    knots: np.ndarray
    grid: np.ndarray
    repeats: int

    @classmethod
    def of(cls, y: np.ndarray, risk: np.ndarray) -> _Stacked:
        """Stack."""
        flat = risk.ravel()
        return cls(np.tile(y, len(risk)), flat, knots_of(logit(flat)), grid_of(flat), len(risk))

    def numbers(self, weights: np.ndarray) -> np.ndarray:
        """``(draws, n)`` weights to ``(draws, 5 + points)``: the scores and the curve."""
        w = np.tile(weights, (1, self.repeats)) / self.repeats
        odds, one = logit(self.risk), np.ones((len(self.risk), 1))
        intercept = fit_logistic(self.y, one, w, odds)
        slope = fit_logistic(self.y, np.column_stack([one, odds]), w)[:, 1:]
        beta = fit_logistic(self.y, self._basis(self.risk), w)
        own, curve = (expit(beta @ self._basis(risk).T) for risk in (self.risk, self.grid))
        return np.concatenate([intercept, slope, distances(own, self.risk[None], w), curve], axis=1)

    def _basis(self, risk: np.ndarray) -> np.ndarray:
        """Constant and spline of the log odds, near unit scale."""
        x = spline(logit(risk), self.knots)
        return np.column_stack([np.ones(len(x)), x])

    def bins(self, level: float) -> tuple[Bin, ...]:
        """Fifths of the rows by predicted probability, with the share of label 1 and Wilson's interval."""
        from statsmodels.stats.proportion import proportion_confint

        out = []
        for members in np.array_split(np.argsort(self.risk, kind="stable"), GROUPS):
            n, ones = len(members) / self.repeats, self.y[members].sum() / self.repeats
            low, high = proportion_confint(ones, n, 1 - level, "wilson")
            seen = Score("observed risk", ones / n, float(low), float(high), f"Wilson, {level:.0%}", round(n),
                         round(ones))  # fmt: skip
            out.append(Bin(n, float(self.risk[members].mean()), seen))
        return tuple(out)
