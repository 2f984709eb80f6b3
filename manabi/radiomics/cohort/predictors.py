"""Fitted linear models as plain numbers: what they predict, and what each column contributes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.special import expit

from manabi.radiomics.cohort.cox import LIMIT, step_at


class Predictor(Protocol):
    """What a fitted model can do with a prepared matrix ``(n, columns)``."""

    @property
    def used(self) -> np.ndarray:
        """Indices of the columns that have an influence."""

    @property
    def method(self) -> str:
        """How contributions are computed, in words."""

    def risk(self, x: np.ndarray) -> np.ndarray:
        """``(n,)`` higher is worse."""

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """``(n, times)`` probability of being without the event; NaN after the last training time."""

    def probability(self, x: np.ndarray) -> np.ndarray:
        """``(n, levels)`` probability of each label."""

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """``(n, columns)`` share of each column in the risk."""

    def take(self, columns: np.ndarray) -> Predictor:
        """The same model for a matrix with some of the columns, which hold all that are used."""


@dataclass(frozen=True, eq=False)
class LinearSurvival:
    """A Cox model: risk is the linear predictor (log hazard ratio against the training mean).

    Attributes:
        coefficients: ``(columns,)``.
        offset: taken off, so that the training mean has risk 0.
        times: ``(k,)`` distinct training times.
        hazard: ``(k,)`` cumulative baseline hazard.
    """

    coefficients: np.ndarray
    offset: float
    times: np.ndarray
    hazard: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Columns with a coefficient other than 0."""
        return np.flatnonzero(self.coefficients)

    @property
    def method(self) -> str:
        """How contributions are computed."""
        return "coefficient x standardised value: part of the log hazard ratio against the cohort's mean"

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Linear predictor."""
        return x @ self.coefficients - self.offset

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """exp(-H0(t) exp(risk)); 1 before the first event, however high the risk."""
        return np.exp(
            -np.exp(np.clip(self.risk(x), -LIMIT, LIMIT))[:, None] * step_at(self.times, self.hazard, times, 0.0)[None]
        )

    def probability(self, x: np.ndarray) -> np.ndarray:
        """A survival model has no labels."""
        return np.empty((len(x), 0))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Coefficient x value."""
        return x * self.coefficients

    def take(self, columns: np.ndarray) -> LinearSurvival:
        """With some of the columns."""
        return replace(self, coefficients=self.coefficients[columns])


@dataclass(frozen=True, eq=False)
class LinearLabel:
    """Logistic regressions: one for two labels, one for each "above level k" of ordinal labels.

    Ordinal labels follow E. Frank, M. Hall, "A simple approach to ordinal classification", 2001,
    10.1007/3-540-44795-4_13: P(label > k) for each k; the risk is the expected level. For two labels the risk is the
    log odds.

    Attributes:
        coefficients: ``(columns, levels - 1)``.
        intercepts: ``(levels - 1,)``.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Columns with a coefficient other than 0."""
        return np.flatnonzero(self.coefficients.any(1))

    @property
    def method(self) -> str:
        """How contributions are computed."""
        return "coefficient x standardised value: part of the log odds (mean over the levels) against the cohort's mean"

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Log odds, or the expected level."""
        odds = x @ self.coefficients + self.intercepts
        return odds[:, 0] if odds.shape[1] == 1 else expit(odds).sum(1)

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """A label has no follow-up."""
        return np.empty((len(x), 0))

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Probabilities of the labels; crossing "above k" curves are made to fall first, so that none is negative."""
        above = np.minimum.accumulate(expit(x @ self.coefficients + self.intercepts), axis=1)
        edges = np.hstack([np.ones((len(x), 1)), above, np.zeros((len(x), 1))])
        return edges[:, :-1] - edges[:, 1:]

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Coefficient x value."""
        return x * self.coefficients.mean(1)

    def take(self, columns: np.ndarray) -> LinearLabel:
        """With some of the columns."""
        return replace(self, coefficients=self.coefficients[columns])
