"""Cox regression with a few covariates for many data sets at once: one for each feature, or one for each draw.

A fit of 744 features with and without volume, or a calibration slope in a thousand draws, is one set of Newton steps on
stacked arrays. Models with many covariates, or with penalties, are scikit-survival's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import NAN, Score, missing
from manabi.radiomics.cohort.scores_data import Followup
from manabi.radiomics.cohort.scores_km import in_order

STEPS, LONGEST, DONE = 30, 2.0, 1e-9
"""Newton steps at most, the longest in standard deviations, and the relative change at which they end (our choice)."""
DIVERGED = 12.0
"""A log hazard ratio per standard deviation beyond this is one that grows without end (our choice)."""
CHUNK_BYTES = 2**27


@dataclass(frozen=True, eq=False)
class CoxFits:
    """Fits of ``batch`` models with ``p`` covariates; NaN where one did not converge.

    Attributes:
        beta: ``(batch, p)`` log hazard ratios.
        covariance: ``(batch, p, p)`` inverse of the observed information.
    """

    beta: np.ndarray
    covariance: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """``(batch, p)`` standard errors."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def p(self) -> np.ndarray:
        """``(batch, p)`` two-sided Wald p."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return 2 * stats.norm.sf(np.abs(self.beta) / self.error)

    def ratio(self, name: str, follow: Followup, batch: int = 0, covariate: int = 0, level: float = 0.95) -> Score:
        """Hazard ratio of one covariate with Wald's interval and p."""
        beta = float(self.beta[batch, covariate])
        how = f"Cox, Wald, {level:.0%}"
        if not np.isfinite(beta):
            reason = "the hazard ratio has no finite estimate (no event in a group, or nothing varies)"
            return missing(name, reason, follow.n, follow.events, how)
        error = float(np.sqrt(self.covariance[batch, covariate, covariate]))
        half = float(stats.norm.ppf((1 + level) / 2)) * error
        low, high = np.exp([beta - half, beta + half])
        p = float(2 * stats.norm.sf(abs(beta) / error))
        return Score(name, float(np.exp(beta)), float(low), float(high), how, follow.n, follow.events, p)


def fit_cox(follow: Followup, x: np.ndarray, weights: np.ndarray | None = None, ties: str = "efron") -> CoxFits:
    """Fit a batch of small Cox models on the same follow-up.

    Args:
        follow: n rows.
        x: ``(n, p)`` or ``(batch, n, p)`` covariates.
        weights: ``(batch, n)`` case weights, e.g. counts of a bootstrap's draws; None for ones.
        ties: ``efron`` or ``breslow`` (right for copies of a row, as a bootstrap makes them).

    Source: D. Cox, "Regression models and life-tables", 1972, 10.1111/j.2517-6161.1972.tb00899.x; B. Efron, "The
    efficiency of Cox's likelihood function for censored data", 1977, 10.1080/01621459.1977.10480613.

    Raises:
        InvalidInputError: where shapes do not fit, values are unknown, or the way with ties is.
    """
    x = np.asarray(x, float)
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[1] != follow.n or not np.isfinite(x).all():
        raise InvalidInputError(f"Expected known covariates of {follow.n} rows; got {x.shape}. Fill or leave out gaps.")
    if ties not in ("efron", "breslow"):
        raise InvalidInputError(f"Ties are met by efron or breslow; got {ties!r}.")
    w = np.ones((1, follow.n)) if weights is None else np.asarray(weights, float)
    batch = max(len(x), len(w))
    size = max(1, int(CHUNK_BYTES / (8 * follow.n * (x.shape[2] + 1) ** 2)))
    parts = [
        _fit_chunk(follow, x[s : s + size] if len(x) > 1 else x, w[s : s + size] if len(w) > 1 else w, ties)
        for s in range(0, batch, size)
    ]
    return CoxFits(np.concatenate([b for b, _ in parts]), np.concatenate([c for _, c in parts]))


def _fit_chunk(follow: Followup, x: np.ndarray, w: np.ndarray, ties: str) -> tuple[np.ndarray, np.ndarray]:
    data = _Ordered.of(follow, x, w, ties)
    beta = np.zeros((data.batch, data.p))
    for _ in range(STEPS):
        gradient, information = data.derivatives(beta)
        step = _solve(information, gradient)
        longest = np.abs(step).max(axis=1, keepdims=True)
        step = step * np.minimum(1.0, LONGEST / np.maximum(longest, 1e-300))
        beta = beta + np.nan_to_num(step)
        if not (np.abs(np.nan_to_num(step)) > DONE * (1 + np.abs(beta))).any():
            break
    gradient, information = data.derivatives(beta)
    covariance = _inverse(information)
    total = np.abs(w).sum(axis=1, keepdims=True)
    bad = (
        (np.abs(beta) > DIVERGED).any(1)
        | ~np.isfinite(covariance).all((1, 2))
        | (np.abs(gradient) > 1e-6 * total).any(1)
    )
    beta = np.where(bad[:, None], NAN, beta) / data.scale
    covariance = np.where(bad[:, None, None], NAN, covariance) / (data.scale[:, :, None] * data.scale[:, None])
    return beta, covariance


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses, NaN where there is none."""
    good = np.isfinite(matrices).all((1, 2))
    size = matrices.shape[1]
    safe = np.where(good[:, None, None], matrices, np.eye(size))
    # The scale of information is events; singular to rounding means that nothing varies or two covariates are one.
    good &= np.linalg.svd(safe, compute_uv=False).min(axis=1) > 1e-9 * np.maximum(1.0, np.abs(safe).max((1, 2)))
    safe = np.where(good[:, None, None], safe, np.eye(size))
    return np.where(good[:, None, None], np.linalg.inv(safe), NAN)


def _solve(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("bij,bj->bi", _inverse(matrices), vectors)


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Standardised covariates in order of time, with what ties need."""

    x: np.ndarray
    w: np.ndarray
    scale: np.ndarray
    events: np.ndarray
    first: np.ndarray
    last: np.ndarray
    part: np.ndarray

    @classmethod
    def of(cls, follow: Followup, x: np.ndarray, w: np.ndarray, ties: str) -> _Ordered:
        """Sort, standardise, and find the ties."""
        order = in_order(follow.time, follow.event)
        time, events = follow.time[order], np.flatnonzero(follow.event[order])
        x, w = x[:, order], w[:, order]
        x = x - x.mean(axis=1, keepdims=True)
        scale = x.std(axis=1)
        scale = np.where(scale > 0, scale, 1.0)
        first = np.searchsorted(time, time[events], side="left")
        tied = np.searchsorted(time[events], time[events], side="right") - np.searchsorted(
            time[events], time[events], side="left"
        )
        rank = events - first
        part = rank / tied if ties == "efron" else np.zeros(len(events))
        return cls(x / scale[:, None], w, scale, events, first, first + tied, part)

    @property
    def batch(self) -> int:
        """Models."""
        return max(len(self.x), len(self.w))

    @property
    def p(self) -> int:
        """Covariates."""
        return self.x.shape[2]

    def derivatives(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(batch, p)`` gradient and ``(batch, p, p)`` information of the partial likelihood."""
        lp = np.einsum("bnp,bp->bn", np.broadcast_to(self.x, (len(beta), *self.x.shape[1:])), beta)
        r = self.w * np.exp(np.clip(lp, -500, 500) - lp.max(axis=1, keepdims=True).clip(-500, 500))
        rx = r[..., None] * self.x
        w = self._case_weights()
        s0 = self._risk(r[..., None])[..., 0]
        s1 = self._risk(rx)
        with np.errstate(invalid="ignore", divide="ignore"):
            use = np.where(w > 0, w / s0, 0.0)
            mean = np.where(w[..., None] > 0, s1 / s0[..., None], 0.0)
        seen = self.w[:, self.events, None] * self.x[:, self.events]
        gradient = seen.sum(1) - np.einsum("be,bep->bp", w, mean)
        information = np.empty((len(beta), self.p, self.p))
        for i in range(self.p):
            s2 = self._risk(rx * self.x[..., i : i + 1])
            information[:, i] = np.einsum("be,bep->bp", use, s2)
        return gradient, information - np.einsum("be,bep,beq->bpq", w, mean, mean)

    def _risk(self, values: np.ndarray) -> np.ndarray:
        """Sums over those at risk at each event, less the share of tied events that came before."""
        start = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, axis=1)], axis=1)
        all_later = start[:, -1:] - start[:, self.first]
        tied = start[:, self.last] - start[:, self.first]
        return all_later - self.part[None, :, None] * tied

    def _case_weights(self) -> np.ndarray:
        """``(batch, events)`` weight of each event; with Efron's ties the mean of those tied."""
        w = self.w[:, self.events]
        if self.part.any():
            start = np.concatenate([np.zeros_like(self.w[:, :1]), np.cumsum(self.w, axis=1)], axis=1)
            w = (start[:, self.last] - start[:, self.first]) / (self.last - self.first)
        return np.broadcast_to(w, (self.batch, w.shape[1]))


def survival_at_beta(
    follow: Followup, x: np.ndarray, weights: np.ndarray, beta: np.ndarray, at: np.ndarray, t: float
) -> np.ndarray:
    """Breslow's survival at a time for new covariates, for each fitted model.

    Args:
        follow: n rows.
        x: ``(n, p)`` covariates of the fit.
        weights: ``(batch, n)`` of the fit.
        beta: ``(batch, p)`` of the fit.
        at: ``(k, p)`` new covariates.
        t: the time.

    Returns:
        ``(batch, k)``.

    Source: N. Breslow, "Covariance analysis of censored survival data", 1974, 10.2307/2529620.
    """
    order = in_order(follow.time, follow.event)
    time, event = follow.time[order], follow.event[order]
    centre = x.mean(axis=0)
    r = weights[:, order] * np.exp(np.clip((x[order] - centre) @ beta.T, -500, 500).T)
    later = np.cumsum(r[:, ::-1], axis=1)[:, ::-1]
    rows = np.flatnonzero(event & (time <= t))
    first = np.searchsorted(time, time[rows], side="left")
    w = weights[:, order][:, rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(w > 0, w / later[:, first], 0.0).sum(axis=1)
    return np.exp(-hazard[:, None] * np.exp(np.clip((at - centre) @ beta.T, -500, 500).T))
