"""How far a patient lies outside of the patients that a model was fitted to.

The flag is calibrated: of patients who come from where the training patients come from, at most one in twenty is called
outside. That is split conformal prediction's rank rule (V. Vovk and others, Algorithmic Learning in a Random World,
2005, 10.1007/b106715) on distances that each training row has from the others, as in the jackknife (R. Barber and
others, 2021, 10.1214/20-AOS1965). A patient from elsewhere may still lie inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FALSE_ALARMS = 0.05
"""Share of the cohort's own kind of patients that may be called outside (our choice)."""


@dataclass(frozen=True)
class Outside:
    """Where a patient lies against the training patients.

    Attributes:
        distance: Mahalanobis distance from the training mean, over the columns that the model uses.
        limit: the distance beyond which a patient is called outside, see :func:`cutoff`.
        percentile: share of the training rows that lie nearer, in percent.
        beyond: by column that lies out of the training range: how far, in widths of that range (negative: below). With
            many columns this happens to many patients of the cohort's own kind, so that it is no reason for ``far``.
        unknown: columns that are missing for the patient, and were filled in.
        columns: how many were compared.
    """

    distance: float
    limit: float
    percentile: float
    beyond: dict[str, float]
    unknown: tuple[str, ...]
    columns: int = 0

    @property
    def far(self) -> bool:
        """Whether the prediction is an extrapolation."""
        return self.distance > self.limit

    @property
    def text(self) -> str:
        """In words, for a report."""
        parts = [f"Distance {self.distance:.1f}, more than that of {self.percentile:.0f} % of the cohort"]
        parts.append("outside of the cohort: the prediction is an extrapolation" if self.far else "inside the cohort")
        if self.beyond:
            parts.append(f"{len(self.beyond)} inputs beyond the cohort's range")
        if self.unknown:
            parts.append(f"{len(self.unknown)} inputs missing and filled with the cohort's median")
        return "; ".join(parts) + "."


@dataclass(frozen=True, eq=False)
class Reference:
    """The training rows in short: range, mean and covariance of the columns that a model uses.

    The covariance is shrunk towards its diagonal's mean (O. Ledoit, M. Wolf, 2004, 10.1016/S0047-259X(03)00096-4), so
    that it can be inverted with more columns than rows.

    Attributes:
        names: of the columns.
        low: ``(p,)`` smallest training value.
        high: ``(p,)`` largest.
        mean: ``(p,)``.
        precision: ``(p, p)`` inverse covariance.
        distances: ``(101,)`` percentiles of the training rows' distances, each row measured against the others.
        limit: cut-off.
    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    distances: np.ndarray
    limit: float

    @classmethod
    def fit(cls, x: np.ndarray, names: tuple[str, ...]) -> Reference:
        """From the prepared training matrix ``(n, p)``."""
        n, p = x.shape
        if p == 0:
            return cls((), np.empty(0), np.empty(0), np.empty(0), np.empty((0, 0)), np.zeros(101), 0.0)
        mean, precision = _moments(x)
        distances = np.array([_distance(x[k : k + 1], *_moments(np.delete(x, k, 0)))[0] for k in range(n)])
        marks = np.quantile(distances, np.linspace(0, 1, 101))
        return cls(names, x.min(0), x.max(0), mean, precision, marks, cutoff(distances))

    def of(self, x: np.ndarray, missing: np.ndarray) -> Outside:
        """Where one prepared row ``(1, p)`` lies; ``missing`` ``(p,)`` tells which of its values were filled in."""
        distance = float(_distance(x, self.mean, self.precision)[0]) if len(self.names) else 0.0
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        above, below = (x[0] - self.high) / width, (x[0] - self.low) / width
        out = np.where(above > 1e-9, above, np.where(below < -1e-9, below, 0.0))
        beyond = {name: float(far) for name, far in zip(self.names, out, strict=True) if far}
        percentile = float((self.distances < distance).mean() * 100)
        unknown = tuple(name for name, gap in zip(self.names, missing, strict=True) if gap)
        return Outside(distance, self.limit, percentile, beyond, unknown, len(self.names))


def cutoff(distances: np.ndarray) -> float:
    """The distance that a new patient of the same kind exceeds with a probability of 5 % at most.

    Of ``n`` distances the one of rank ``ceil(0.95 (n + 1))``: a new one is as likely to take any of ``n + 1`` ranks.
    Below 19 rows there is no such rank and the largest is taken, which one in ``n + 1`` exceeds.

    Args:
        distances: ``(n,)`` of the training rows, each from the others.
    """
    rank = math.ceil((1.0 - FALSE_ALARMS) * (len(distances) + 1))
    return float(np.sort(distances)[min(rank, len(distances)) - 1])


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.covariance import ledoit_wolf

    covariance = ledoit_wolf(x)[0] + 1e-9 * np.eye(x.shape[1])
    return x.mean(0), np.linalg.inv(covariance)


def _distance(x: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
    apart = x - mean
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", apart, precision, apart), 0.0))
