"""Tests between methods that were scored on the same images, as published and as the design of the data asks.

``scores`` is a mapping from a method's name to its values; every method has one value per image (or per patient), in
the same order. The source study tests slices with Friedman and Dunn–Holm. Dunn's test is made for independent groups,
and slices of one patient are not independent, so its p-values are far too small: :func:`wilcoxon_holm` and
:func:`conover_friedman` on patient means (:func:`Training.resampling.patient_means`) are the tests to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import DependencyError, InvalidInputError

Scores = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class FriedmanTest:
    """Whether the methods differ at all; ``kendall_w`` is the effect size, 0 to 1."""

    statistic: float
    degrees: int
    p: float
    kendall_w: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """One pair of methods; ``p_holm`` is adjusted over ``family`` comparisons."""

    first: str
    second: str
    p: float
    p_holm: float
    family: int

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p_holm < 0.05


def friedman(scores: Scores) -> FriedmanTest:
    """Friedman's rank test over three or more methods, ties corrected (Friedman, JASA 1937;32:675).

    ``kendall_w = χ² / (n (k - 1))`` for n images and k methods (Kendall and Babington Smith 1939).
    """
    from scipy.stats import friedmanchisquare

    table = _table(scores)
    count, methods = table.shape
    if methods < 3:
        raise InvalidInputError(f"Friedman's test needs at least three methods; got {methods}. Use wilcoxon_holm.")
    statistic, p = friedmanchisquare(*table.T)
    return FriedmanTest(float(statistic), methods - 1, float(p), float(statistic / (count * (methods - 1))), count)


def dunn_holm(scores: Scores, reference: str | None = None) -> list[Comparison]:
    """Dunn's test with Holm's adjustment, as published (Dunn, Technometrics 1964;6:241).

    Groups are taken for independent, which paired slices are not: for comparison with published tables only.

    Args:
        scores: values by method.
        reference: adjust over the comparisons with this method (12 of 13 methods); None: over all pairs (78).
    """
    return _matrix_test("posthoc_dunn", scores, reference)


def conover_friedman(scores: Scores, reference: str | None = None) -> list[Comparison]:
    """Conover's test after Friedman, for paired values, with Holm's adjustment over the family as above.

    Conover, Practical Nonparametric Statistics, 3rd ed., 1999, chapter 5.8.
    """
    return _matrix_test("posthoc_conover_friedman", scores, reference)


def wilcoxon_holm(scores: Scores, reference: str | None = None) -> list[Comparison]:
    """Wilcoxon's signed-rank test of every pair, two-sided, with Holm's adjustment; give it patient means.

    Zero differences are dropped (Wilcoxon, Biometrics Bulletin 1945;1:80); p = 1 where all are zero.
    """
    from scipy.stats import wilcoxon

    columns = dict(zip(scores, _table(scores).T, strict=True))

    def p_value(first: str, second: str) -> float:
        difference = columns[first] - columns[second]
        return float(wilcoxon(difference).pvalue) if np.any(difference) else 1.0

    return _family(scores, reference, p_value)


def holm(p_values: ArrayLike) -> np.ndarray:
    """P-values adjusted by Holm's step-down method (Holm, Scand J Stat 1979;6:65)."""
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise DependencyError("Holm's adjustment needs statsmodels: pip install 'manabi[train]'") from error
    return multipletests(np.asarray(p_values, float), method="holm")[1]


def _matrix_test(name: str, scores: Scores, reference: str | None) -> list[Comparison]:
    """A test of scikit-posthocs that gives all raw p-values at once."""
    try:
        import scikit_posthocs
    except ImportError as error:
        raise DependencyError("This test needs scikit-posthocs: pip install 'manabi[train]'") from error
    table = _table(scores)
    raw = getattr(scikit_posthocs, name)(list(table.T) if name == "posthoc_dunn" else table).to_numpy()
    place = {method: index for index, method in enumerate(scores)}
    return _family(scores, reference, lambda first, second: float(raw[place[first], place[second]]))


def _family(scores: Scores, reference: str | None, p_value: Callable[[str, str], float]) -> list[Comparison]:
    """Every comparison of the family, adjusted together."""
    if reference is not None and reference not in scores:
        raise InvalidInputError(f"The reference {reference!r} is not among the methods: {', '.join(scores)}.")
    pairs = [p for p in combinations(scores, 2) if reference is None or reference in p]
    found = [Comparison(a, b, p_value(a, b), np.nan, len(pairs)) for a, b in pairs]
    adjusted = holm([c.p for c in found])
    return [replace(c, p_holm=float(p)) for c, p in zip(found, adjusted, strict=True)]


def _table(scores: Scores) -> np.ndarray:
    """``(images, methods)``; raises InvalidInputError for unequal lengths or values that are not finite."""
    columns = [np.asarray(values, np.float64) for values in scores.values()]
    if len(columns) < 2 or len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise InvalidInputError("Give at least two methods with one value per image each, in the same order.")
    table = np.stack(columns, axis=1)
    if not np.isfinite(table).all():
        raise InvalidInputError("Statistics need finite values; leave out what is not, and say so.")
    return table
