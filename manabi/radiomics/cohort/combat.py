"""ComBat: removes the shift and the scale that a centre (scanner, batch) adds to features.

Source: W. Johnson, C. Li, A. Rabinovic, "Adjusting batch effects in microarray expression data using empirical Bayes
methods", 2007, 10.1093/biostatistics/kxj037 (parametric priors, section 3); for radiomics: F. Orlhac and others, 2018,
10.2967/jnumed.117.199935. Fitted on training patients only; the outcome is never among the covariates that are kept,
since a new patient has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from manabi.errors import InvalidInputError

Warn = Callable[[str], None]
MIN_ROWS = 2
"""A centre with fewer training rows has no variance, and counts as unseen."""


@dataclass(frozen=True, eq=False)
class ComBat:
    """Fitted centre effects.

    Attributes:
        centres: names of the c training centres.
        mean: ``(p,)`` grand mean.
        slopes: ``(k, p)`` effects of the covariates that are kept.
        scale: ``(p,)`` pooled standard deviation.
        shift: ``(c, p)`` gamma*, additive effect of each centre in units of the scale.
        spread: ``(c, p)`` delta* squared, multiplicative effect of each centre on the variance.
        unseen: ``warn`` or ``error``.
    """

    centres: tuple[str, ...]
    mean: np.ndarray
    slopes: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    spread: np.ndarray
    unseen: str = "warn"

    @classmethod
    def fit(cls, values: np.ndarray, centre: Sequence[str], covariates: np.ndarray | None = None,
            unseen: str = "warn") -> ComBat:  # fmt: skip
        """Fit on ``(n, p)`` values without gaps, with a centre and ``(n, k)`` covariates for each row."""
        labels = np.asarray(centre)
        names, counts = np.unique(labels, return_counts=True)
        known = tuple(str(name) for name in names[counts >= MIN_ROWS])
        inside = np.isin(labels, known)
        x, labels = values[inside], labels[inside]
        kept = np.empty((len(values), 0))[inside] if covariates is None else covariates[inside]
        if len(known) < 2:
            zero = np.zeros((len(known), values.shape[1]))
            return cls(known, values.mean(0), np.zeros((kept.shape[1], values.shape[1])), np.ones(values.shape[1]),
                       zero, zero + 1, unseen)  # fmt: skip
        batch = (labels[:, None] == np.array(known)[None]).astype(float)
        effects = np.linalg.lstsq(np.hstack([batch, kept]), x, rcond=None)[0]
        mean = batch.mean(0) @ effects[: len(known)]
        slopes = effects[len(known) :]
        variance = ((x - np.hstack([batch, kept]) @ effects) ** 2).mean(0)
        scale = np.sqrt(np.where(variance > 0, variance, 1.0))
        z = (x - mean - kept @ slopes) / scale
        shrunk = [_shrink(z[batch[:, k] > 0]) for k in range(len(known))]
        return cls(known, mean, slopes, scale, np.array([s for s, _ in shrunk]), np.array([d for _, d in shrunk]),
                   unseen)  # fmt: skip

    def transform(self, values: np.ndarray, centre: Sequence[str] | None, covariates: np.ndarray | None = None,
                  warn: Warn | None = None) -> np.ndarray:  # fmt: skip
        """Values as if from one average centre; those of a centre without training patients stay as they are.

        Raises:
            InvalidInputError: an unseen centre, where that was asked to be an error.
        """
        labels = np.asarray([""] * len(values) if centre is None else centre)
        lost = ~np.isin(labels, self.centres)
        if lost.any():
            self._report(int(lost.sum()), len(set(labels[lost])), warn)
        fixed = self.mean if covariates is None or not len(self.slopes) else self.mean + covariates @ self.slopes
        out = np.array(values, float)
        for k, name in enumerate(self.centres):
            rows = labels == name
            base = fixed if fixed.ndim == 1 else fixed[rows]
            z = (values[rows] - base) / self.scale
            out[rows] = (z - self.shift[k]) / np.sqrt(self.spread[k]) * self.scale + base
        return out

    def _report(self, rows: int, centres: int, warn: Warn | None) -> None:
        text = f"{rows} rows are of {centres} centres without (enough) training patients: ComBat cannot harmonise them"
        if self.unseen == "error":
            raise InvalidInputError(
                f"{text}. Predict for centres that were trained with, or let them through as they are "
                "(unseen_centre='warn')."
            )
        if warn is not None:
            warn(f"{text}, their values were taken as they are.")

    def take(self, columns: np.ndarray) -> ComBat:
        """Some of the columns."""
        return replace(self, mean=self.mean[columns], slopes=self.slopes[:, columns], scale=self.scale[columns],
                       shift=self.shift[:, columns], spread=self.spread[:, columns])  # fmt: skip


def _shrink(z: np.ndarray, tolerance: float = 1e-4, limit: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Empirical Bayes estimates of one centre's shift and variance over all features.

    Johnson's equations in section 3.2: the priors' moments come from the features, and the two posterior means, each
    of which needs the other, are iterated until the largest relative change is below the tolerance (as in his code).

    Args:
        z: ``(rows, p)`` standardised values of the centre.
        tolerance: of the iteration.
        limit: of the number of iterations.

    Returns:
        ``(p,)`` gamma* and ``(p,)`` delta* squared.
    """
    n = len(z)
    gamma, delta = z.mean(0), z.var(0, ddof=1)
    middle, tau = gamma.mean(), gamma.var(ddof=1) if len(gamma) > 1 else 0.0
    average, variance = delta.mean(), delta.var(ddof=1) if len(delta) > 1 else 0.0
    if tau == 0 or variance == 0 or average == 0:
        return gamma, np.where(delta > 0, delta, 1.0)
    shape = (2 * variance + average**2) / variance
    rate = (average * variance + average**3) / variance
    shift, spread = gamma.copy(), np.where(delta > 0, delta, average)
    for _ in range(limit):
        new_shift = (tau * n * gamma + spread * middle) / (tau * n + spread)
        new_spread = (rate + 0.5 * ((z - new_shift) ** 2).sum(0)) / (0.5 * n + shape - 1)
        change = max(_change(new_shift, shift), _change(new_spread, spread))
        shift, spread = new_shift, new_spread
        if change < tolerance:
            break
    return shift, spread


def _change(new: np.ndarray, old: np.ndarray) -> float:
    return float((np.abs(new - old) / np.maximum(np.abs(old), 1e-12)).max())
