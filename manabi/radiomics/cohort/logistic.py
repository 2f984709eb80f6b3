"""Elastic-net logistic regression for a whole grid of penalties at once.

All penalties are solved together by one accelerated proximal gradient, as matrix products: faster on the small tables
of a nested cross-validation than one solver call for each. The tests hold it equal to scikit-learn's.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

TOLERANCE = 1e-6
LIMIT = 5000


def logistic_paths(x: np.ndarray, y: np.ndarray, lasso: np.ndarray, ridge: np.ndarray,
                   weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Minimise mean log loss + lasso |w * b|_1 + ridge/2 |sqrt(w) * b|^2, the intercept unpenalised, for c penalties.

    Source: A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm", 2009, 10.1137/080716542, with
    the restart of B. O'Donoghue, E. Candes, 2015, 10.1007/s10208-013-9150-3.

    Args:
        x: ``(n, p)`` standardised.
        y: ``(n,)`` 0 or 1.
        lasso: ``(c,)``.
        ridge: ``(c,)``.
        weight: ``(p,)`` relative penalty of each column.

    Returns:
        ``(p, c)`` coefficients and ``(c,)`` intercepts.
    """
    n, p = x.shape
    full = np.hstack([x, np.ones((n, 1))])
    step = 1 / (np.linalg.norm(full, 2) ** 2 / (4 * n) + (ridge.max(initial=0.0) * weight.max(initial=0.0)))
    shrink = step * np.append(weight, 0.0)[:, None] * lasso[None]
    damp = np.append(weight, 0.0)[:, None] * ridge[None]
    b = np.zeros((p + 1, len(lasso)))
    b[p] = np.log(y.mean() / (1 - y.mean()))
    ahead, speed = b, np.ones(len(lasso))
    for _ in range(LIMIT):
        gradient = full.T @ (expit(full @ ahead) - y[:, None]) / n + damp * ahead
        moved = ahead - step * gradient
        new = np.sign(moved) * np.maximum(np.abs(moved) - shrink, 0)
        back = ((ahead - new) * (new - b)).sum(0) > 0
        faster = np.where(back, 1.0, (1 + np.sqrt(1 + 4 * speed**2)) / 2)
        ahead = new + np.where(back, 0.0, (speed - 1) / faster) * (new - b)
        change, b, speed = np.abs(new - b).max(), new, faster
        if change < TOLERANCE:
            break
    return b[:p], b[p]


def lasso_start(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Smallest lasso penalty at which every coefficient is 0."""
    if x.shape[1] == 0:
        return 1.0
    return float((np.abs(x.T @ (y - y.mean())) / len(y) / weight).max())
