"""Steps that change the values of features: fitted on training patients, then applied to anybody.

Each is an immutable set of numbers: ``Step.fit(values, ...)`` makes it, ``step.transform(values, ...)`` applies it, and
``step.take(columns)`` keeps some columns, so that a fitted model stores only what it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import norm


class Scaler(Protocol):
    """Brings features to a common scale."""

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Apply to ``(n, p)``."""

    def take(self, columns: np.ndarray) -> Scaler:
        """Some of the columns."""


@dataclass(frozen=True, eq=False)
class MedianImputer:
    """Fills gaps with the training median, and can tell the model where it did.

    Attributes:
        medians: ``(p,)``; 0 for a column that was missing in every training row.
        indicators: ``(q,)`` columns for which a 0/1 column "was missing" is added at the end.
    """

    medians: np.ndarray
    indicators: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, indicate: bool = False) -> MedianImputer:
        """Medians of ``(n, p)``; indicators for the columns with gaps on request."""
        gaps = np.isnan(values)
        medians = np.zeros(values.shape[1])
        known = ~gaps.all(0)
        if gaps.any():
            medians[known] = np.nanmedian(values[:, known], axis=0)
        elif values.size:
            medians = np.median(values, axis=0)
        columns = np.flatnonzero(gaps.any(0) & known) if indicate else np.empty(0, int)
        return cls(medians, columns)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n, p + q)`` without gaps."""
        gaps = np.isnan(values)
        filled = np.where(gaps, self.medians, values)
        return np.hstack([filled, gaps[:, self.indicators].astype(float)]) if self.indicators.size else filled

    def take(self, columns: np.ndarray) -> MedianImputer:
        """Some of the columns, without indicators."""
        return MedianImputer(self.medians[columns], np.empty(0, int))


@dataclass(frozen=True, eq=False)
class StandardScaler:
    """To mean 0 and standard deviation 1 of the training rows.

    Attributes:
        means: ``(p,)``.
        scales: ``(p,)``; 1 for a constant column.
    """

    means: np.ndarray
    scales: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> StandardScaler:
        """Of ``(n, p)`` without gaps."""
        deviation = values.std(0)
        return cls(values.mean(0), np.where(deviation > 1e-12 * np.abs(values).max(0, initial=0.0), deviation, 1.0))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n, p)``."""
        return (values - self.means) / self.scales

    def take(self, columns: np.ndarray) -> StandardScaler:
        """Some of the columns."""
        return StandardScaler(self.means[columns], self.scales[columns])


@dataclass(frozen=True, eq=False)
class RankScaler:
    """To normal scores: the place among the training rows, interpolated between them, as a normal quantile.

    Values beyond the training range get the score of its end, so one outlier cannot carry a prediction away.

    Attributes:
        knots: ``(k, p)`` quantiles of the training rows, ascending (at most 101: our choice).
        scores: ``(k,)`` normal scores at the knots.
    """

    knots: np.ndarray
    scores: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> RankScaler:
        """Of ``(n, p)`` without gaps."""
        n = len(values)
        count = min(n, 101)
        share = np.linspace(0, 1, count)
        knots = np.quantile(values, share, axis=0)
        return cls(knots, norm.ppf((share * (n - 1) + 0.5) / n))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n, p)``; ties in the training rows get their middle score."""
        out = np.empty(values.shape)
        for k in range(values.shape[1]):
            knots = self.knots[:, k]
            up = np.interp(values[:, k], knots, self.scores)
            down = -np.interp(-values[:, k], -knots[::-1], -self.scores[::-1])
            out[:, k] = (up + down) / 2
        return out

    def take(self, columns: np.ndarray) -> RankScaler:
        """Some of the columns."""
        return RankScaler(self.knots[:, columns], self.scores)


@dataclass(frozen=True, eq=False)
class YeoJohnsonScaler:
    """Power transform that makes features more normal, then standardised.

    Source: I. Yeo, R. Johnson, "A new family of power transformations to improve normality or symmetry", 2000,
    10.1093/biomet/87.4.954. The power is the likeliest of -2, -1.8, ..., 4 (our choice: a grid is fast and cannot run
    away); features are standardised before it, since the power depends on the unit.

    Attributes:
        before: standardises.
        powers: ``(p,)``.
        after: standardises again.
    """

    before: StandardScaler
    powers: np.ndarray
    after: StandardScaler

    @classmethod
    def fit(cls, values: np.ndarray) -> YeoJohnsonScaler:
        """Of ``(n, p)`` without gaps."""
        before = StandardScaler.fit(values)
        x = before.transform(values)
        jacobian = (np.sign(x) * np.log1p(np.abs(x))).sum(0)
        best, powers = np.full(x.shape[1], -np.inf), np.ones(x.shape[1])
        for power in np.linspace(-2, 4, 31).round(1):
            variance = np.maximum(yeo_johnson(x, np.full(x.shape[1], power)).var(0), 1e-300)
            likelihood = -0.5 * len(x) * np.log(variance) + (power - 1) * jacobian
            better = likelihood > best
            best[better], powers[better] = likelihood[better], power
        return cls(before, powers, StandardScaler.fit(yeo_johnson(x, powers)))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n, p)``."""
        return self.after.transform(yeo_johnson(self.before.transform(values), self.powers))

    def take(self, columns: np.ndarray) -> YeoJohnsonScaler:
        """Some of the columns."""
        return YeoJohnsonScaler(self.before.take(columns), self.powers[columns], self.after.take(columns))


def yeo_johnson(x: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """The power transform of ``(n, p)`` with a power for each column."""
    size = np.log1p(np.abs(x))
    up, down = np.broadcast_to(powers, x.shape), np.broadcast_to(2 - powers, x.shape)
    exponent = np.where(x >= 0, up, down)
    safe = np.where(exponent == 0, 1.0, exponent)
    return np.sign(x) * np.where(exponent == 0, size, np.expm1(exponent * size) / safe)


def fit_scaler(name: str, values: np.ndarray) -> Scaler:
    """The scaler of that name (:class:`manabi.radiomics.cohort.plan.Preparation`), fitted."""
    if name == "rank":
        return RankScaler.fit(values)
    return YeoJohnsonScaler.fit(values) if name == "yeo-johnson" else StandardScaler.fit(values)


@dataclass(frozen=True, eq=False)
class VolumeResidual:
    """What of each feature log volume does not explain: residuals of a straight line on the training rows.

    Attributes:
        middle: mean log volume of the training rows.
        slopes: ``(p,)`` of features on log volume.
    """

    middle: float
    slopes: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, volume_ml: np.ndarray) -> VolumeResidual:
        """Of ``(n, p)`` without gaps and ``(n,)`` volumes; rows without a volume are left out."""
        known = np.isfinite(volume_ml)
        log = np.log(volume_ml[known])
        middle = float(log.mean()) if known.any() else 0.0
        centred = log - middle
        square = float(centred @ centred)
        slopes = centred @ values[known] / square if square > 0 else np.zeros(values.shape[1])
        return cls(middle, slopes)

    def transform(self, values: np.ndarray, volume_ml: np.ndarray) -> np.ndarray:
        """``(n, p)``; rows without a volume count as of the middle one."""
        log = np.where(np.isfinite(volume_ml), np.log(np.where(np.isfinite(volume_ml), volume_ml, 1.0)), self.middle)
        return values - (log - self.middle)[:, None] * self.slopes

    def take(self, columns: np.ndarray) -> VolumeResidual:
        """Some of the columns."""
        return VolumeResidual(self.middle, self.slopes[columns])
