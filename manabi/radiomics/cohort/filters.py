"""Which features stay: those that vary, are measured stably, and say something that no other feature says already.

Functions of training values; each returns a mask of columns. Nothing here is exported from the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from manabi.radiomics.stability_icc import icc

MAX_MISSING = 0.5
"""A feature missing in more training rows than this is dropped (our choice)."""
MAX_SAME = 0.95
"""A feature with one value in more training rows than this hardly varies (M. Kuhn's caret has 95/5, 2008,
10.18637/jss.v028.i05)."""


def varying(values: np.ndarray) -> np.ndarray:
    """``(p,)`` True for the columns of ``(n, p)`` that are known in half of the rows and vary."""
    known = ~np.isnan(values)
    counts = known.sum(0)
    ordered = np.sort(values, axis=0)
    width = np.maximum(np.ceil(MAX_SAME * counts).astype(int), 1)
    same = np.zeros(values.shape[1], bool)
    for size in np.unique(width):
        columns = np.flatnonzero(width == size)
        if size < len(values):
            part = ordered[:, columns]
            same[columns] = (part[size:] == part[: len(part) - size]).any(0)
    low, high = ordered[0], np.where(counts > 0, ordered[np.maximum(counts - 1, 0), np.arange(values.shape[1])], np.nan)
    constant = ~(high - low > 1e-12 * np.maximum(np.abs(low), np.abs(high)))
    return (counts >= (1 - MAX_MISSING) * len(values)) & ~constant & ~same


def stability(
    names: Sequence[str], known: Mapping[str, float] | None, repeated: np.ndarray | None
) -> np.ndarray | None:
    """``(p,)`` ICC of the features: from repeated measures of the training rows, else as given, else None.

    Repeated measures are judged by ICC(1,1), as by A. Zwanenburg and others, 2019, 10.1038/s41598-018-36938-4. A
    feature without an ICC is NaN, and does not pass.
    """
    if repeated is not None:
        return icc(repeated).value
    return None if known is None else np.array([known.get(name, np.nan) for name in names], float)


def not_redundant(values: np.ndarray, priority: np.ndarray, limit: float) -> np.ndarray:
    """Mask of columns of which none is correlated (|Spearman rho|) above the limit with one of higher priority.

    Columns are gone through from the highest priority on; each that is still there removes those like it.

    Args:
        values: ``(n, p)`` without gaps.
        priority: ``(p,)``; NaN is lowest.
        limit: from 0 to 1.
    """
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(0)
    length = np.sqrt((ranks**2).sum(0))
    ranks /= np.where(length > 0, length, 1.0)
    like = np.abs(ranks.T @ ranks) > limit
    alive, kept = np.ones(values.shape[1], bool), np.zeros(values.shape[1], bool)
    for column in np.argsort(-np.nan_to_num(priority, nan=-np.inf), kind="stable"):
        if alive[column]:
            kept[column] = True
            alive &= ~like[column]
    return kept
