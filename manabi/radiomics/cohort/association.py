"""Univariate association of many features with an outcome at once. Used on training patients only.

Nothing here is exported from the package: selection is part of the cross-validation or does not happen.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from manabi.radiomics.cohort.table import Cohort


def association(values: np.ndarray, cohort: Cohort, method: str) -> np.ndarray:
    """Strength of association of each column with the outcome, higher is stronger; signs are dropped.

    Args:
        values: ``(n, p)`` without gaps.
        cohort: the rows' outcome.
        method: ``auto``, ``cox_score``, ``concordance`` or ``wilcoxon``.

    Returns:
        ``(p,)`` absolute z for ``cox_score`` and ``wilcoxon``; |C - 1/2| for ``concordance``.
    """
    if values.shape[1] == 0:
        return np.empty(0)
    if cohort.kind == "survival":
        if method == "concordance":
            return concordance_distance(values, pairs(cohort))
        return np.abs(cox_score(values, np.asarray(cohort.time_days), np.asarray(cohort.event)))
    if method == "concordance":
        return concordance_distance(values, pairs(cohort))
    return np.abs(rank_z(values, np.asarray(cohort.label)))


def cox_score(values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """z of the score test of each column alone in a Cox model, at a coefficient of 0 (Breslow's ties).

    Source: D. Cox, "Regression models and life-tables", 1972, 10.1111/j.2517-6161.1972.tb00899.x.
    """
    order = np.argsort(-time, kind="stable")
    x, t, seen = values[order], time[order], event[order]
    x = x - x.mean(0)
    last = np.searchsorted(-t, -t, side="right") - 1
    at_risk = (last + 1.0)[:, None]
    first = np.cumsum(x, 0)[last] / at_risk
    second = np.cumsum(x * x, 0)[last] / at_risk
    score = (x - first)[seen].sum(0)
    variance = (second - first**2)[seen].sum(0)
    return np.divide(score, np.sqrt(variance), out=np.zeros_like(score), where=variance > 1e-12)


def rank_z(values: np.ndarray, label: np.ndarray) -> np.ndarray:
    """z of the Wilcoxon-Mann-Whitney test for two labels, of the rank correlation for more.

    With ranks r of a feature and labels l, sum (l - mean l) r over its permutation standard deviation; for two labels
    that is the normal form of Wilcoxon-Mann-Whitney with its correction for ties.
    """
    ranks = rankdata(values, axis=0)
    centred = ranks - ranks.mean(0)
    weight = label - label.mean()
    spread = np.sqrt((weight**2).sum() * (centred**2).sum(0) / (len(label) - 1))
    return np.divide(weight @ centred, spread, out=np.zeros(values.shape[1]), where=spread > 1e-12)


def pairs(cohort: Cohort) -> np.ndarray:
    """``(n, n)`` True where row i should have the higher risk than row j.

    Survival: i had the event, and j was followed for longer, or for as long without the event (F. Harrell, 1982,
    10.1001/jama.1982.03320430047030). Labels: i has the higher label.
    """
    if cohort.kind != "survival":
        label = np.asarray(cohort.label)
        return label[:, None] > label[None, :]
    time, event = np.asarray(cohort.time_days), np.asarray(cohort.event)
    longer = time[:, None] < time[None, :]
    censored_then = (time[:, None] == time[None, :]) & ~event[None, :]
    return event[:, None] & (longer | censored_then)


def concordance_counts(risk: np.ndarray, comparable: np.ndarray) -> tuple[np.ndarray, float]:
    """Concordant pairs (ties count half) for many risks, and how many pairs there are.

    Args:
        risk: ``(n, c)``.
        comparable: ``(n, n)`` from :func:`pairs`.

    Returns:
        ``(c,)`` concordant pairs, and the number of pairs.
    """
    first, second = np.nonzero(comparable)
    scale = 1e-10 * np.abs(risk).max(initial=0.0)
    difference = risk[first] - risk[second]
    return (difference > scale).sum(0) + 0.5 * (np.abs(difference) <= scale).sum(0), float(len(first))


def concordance(risk: np.ndarray, comparable: np.ndarray) -> float:
    """C of one risk; NaN without pairs."""
    counts, total = concordance_counts(risk[:, None], comparable)
    return float(counts[0] / total) if total else float("nan")


def concordance_distance(values: np.ndarray, comparable: np.ndarray) -> np.ndarray:
    """|C - 1/2| of each column, computed column by column to bound memory."""
    return np.array([abs(concordance(column, comparable) - 0.5) for column in values.T])
