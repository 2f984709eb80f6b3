"""Cox's model in a few vectorised lines: ridge fit, partial likelihood of many risks, baseline hazard.

scikit-survival has the same; its fit loops over patients in Python, which the thousands of small fits of a nested
cross-validation cannot afford. The tests hold the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

LIMIT = 50.0
"""Largest |linear predictor|; beyond it exp() says nothing any more (our choice)."""


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Rows by falling time, with the end of each row's risk set (ties share one).

    Attributes:
        order: ``(n,)`` row indices.
        last: ``(n,)`` place of the last row with the same time, in that order.
        event: ``(n,)`` in that order.
        time: ``(n,)`` in that order.
    """

    order: np.ndarray
    last: np.ndarray
    event: np.ndarray
    time: np.ndarray

    @classmethod
    def of(cls, time: np.ndarray, event: np.ndarray) -> RiskSets:
        """From follow-up times and events."""
        order = np.argsort(-time, kind="stable")
        falling = time[order]
        return cls(order, np.searchsorted(-falling, -falling, side="right") - 1, event[order], falling)


def log_partial_likelihood(risk: np.ndarray, sets: RiskSets) -> np.ndarray:
    """Breslow's log partial likelihood of each column of ``(n, c)`` risks.

    Source: N. Breslow, discussion of Cox, 1972, 10.1111/j.2517-6161.1972.tb00900.x.
    """
    eta = np.clip(risk[sets.order], -LIMIT, LIMIT)
    top = eta.max(0)
    total = np.cumsum(np.exp(eta - top), 0)[sets.last]
    return (eta - top - np.log(total))[sets.event].sum(0)


def ridge_cox(x: np.ndarray, sets: RiskSets, ridge: float, start: np.ndarray | None = None) -> np.ndarray:
    """``(p,)`` coefficients that maximise log partial likelihood - ridge/2 |coefficients|^2, by Newton's method.

    Source: P. Verweij, H. van Houwelingen, "Penalized likelihood in Cox regression", 1994, 10.1002/sim.4780132307.
    The penalty is that of scikit-survival's ``CoxPHSurvivalAnalysis(alpha=ridge)``, ties are Breslow's.

    Args:
        x: ``(n, p)``.
        sets: of the same rows.
        ridge: above 0.
        start: coefficients to start from.
    """
    x = x[sets.order]
    coefficients = np.zeros(x.shape[1]) if start is None else start.copy()
    value = _penalised(x, coefficients, sets, ridge)
    for _ in range(50):
        gradient, hessian = _derivatives(x, coefficients, sets, ridge)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (new := _penalised(x, coefficients + size * step, sets, ridge)) < value - 1e-12 and size > 1e-4:
            size /= 2
        coefficients = coefficients + size * step
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
        value = new
    return coefficients


def _penalised(x: np.ndarray, coefficients: np.ndarray, sets: RiskSets, ridge: float) -> float:
    eta = x @ coefficients
    top = eta.max(initial=-LIMIT)
    total = np.cumsum(np.exp(eta - top))[sets.last]
    likelihood = (eta - top - np.log(np.maximum(total, 1e-300)))[sets.event].sum()
    return float(likelihood - 0.5 * ridge * coefficients @ coefficients)


def _derivatives(
    x: np.ndarray, coefficients: np.ndarray, sets: RiskSets, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and negative Hessian of the penalised log partial likelihood; x in the order of the risk sets."""
    eta = x @ coefficients
    weight = np.exp(eta - eta.max())
    total = np.maximum(np.cumsum(weight)[sets.last], 1e-300)
    middle = (np.cumsum(weight[:, None] * x, 0)[sets.last] / total[:, None])[sets.event]
    hazard = _hazard(sets, total)
    gradient = (x[sets.event] - middle).sum(0) - ridge * coefficients
    hessian = (x * (weight * hazard)[:, None]).T @ x - middle.T @ middle
    return gradient, hessian + ridge * np.eye(x.shape[1])


def _hazard(sets: RiskSets, total: np.ndarray) -> np.ndarray:
    """Cumulative baseline hazard at each row's own time (rows by falling time, tied rows alike)."""
    jumps = np.where(sets.event, 1 / total, 0.0)
    cumulative = np.cumsum(jumps[::-1])[::-1]
    first = np.searchsorted(-sets.time, -sets.time, side="left")
    return cumulative[first]


def breslow(risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct times, ascending, and the cumulative baseline hazard at them.

    Source: N. Breslow, 1972, as above.
    """
    sets = RiskSets.of(time, event)
    total = np.cumsum(np.exp(np.clip(risk[sets.order], -LIMIT, LIMIT)))[sets.last]
    times, first = np.unique(sets.time[::-1], return_index=True)
    return times, _hazard(sets, total)[::-1][first]


def step_at(times: np.ndarray, values: np.ndarray, wanted: np.ndarray, before: float) -> np.ndarray:
    """Values of step functions at wanted times: the last one at or before each; ``before`` ahead of the first.

    Args:
        times: ``(k,)`` ascending.
        values: ``(..., k)``.
        wanted: ``(m,)``.
        before: value ahead of the first time.

    Returns:
        ``(..., m)``; NaN after the last time: nobody was followed for so long.
    """
    if len(times) == 0:
        raise InvalidInputError("There is no baseline: the model was not fitted to follow-up times.")
    place = np.searchsorted(times, wanted, side="right") - 1
    out = np.where(place >= 0, values[..., np.maximum(place, 0)], before)
    return np.where(wanted > times[-1], np.nan, out)
