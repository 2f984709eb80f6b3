"""How answers of slice extractors are scored: the source's 1-Up-Down and what it leaves out, as pure functions.

Source: Zhang et al., 2021 (``seeds/003``, section 3.4). An extractor that predicts slices for a marker of a case is
right with every predicted slice at most one from the true one. The source's text leaves open what recall counts (its
abstract gives 97.2, 95.8 and 93.0 %, which are 69, 68 and 66 of 71, so cases) and whether precision counts every
predicted slice or the best one of a case; all readings are here under their own names. Cases are the unit of every
interval: slices of one case are not independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import DependencyError, InvalidInputError
from manabi.slices.reading import NEAR_MM
from Training.resampling import RESAMPLES, Estimate, interval, patient_counts

THRESHOLD = 0.5
"""Probability above which a slice is predicted (the source's two classes)."""
TOLERANCE = 1
"""Slices on each side that count as right (1-Up-Down)."""
ROUNDING_MM = 1e-6
"""Of positions."""


@dataclass(frozen=True)
class Answer:
    """What one method says about one marker of one case, on the case's 4 mm slices.

    Attributes:
        case: name.
        marker: one of :data:`manabi.slices.reading.MARKERS`.
        truth: the true slice; None where the marker is not in the image.
        predicted: slices that the method calls the marker's; none, one or several.
        top: the most probable slice; None where the method says that the marker is not in the image, or nothing.
        error_mm: distance of the chosen slice's middle from the true level; None without either.
        confidence: probability that the answer is right; None where the method gives none.
        absent: ``above``, ``below`` or empty, as the method says.
        absent_truth: the same, as it is.
        beyond_mm: how far beyond the image's end the marker is; 0 where it is in the image.
        probability: of every slice; empty where the method gives none.
    """

    case: str
    marker: str
    truth: int | None
    predicted: tuple[int, ...]
    top: int | None
    error_mm: float | None = None
    confidence: float | None = None
    absent: str = ""
    absent_truth: str = ""
    beyond_mm: float = 0.0
    probability: tuple[float, ...] = ()

    @property
    def offset(self) -> int | None:
        """Slices from the true one to ``top``, towards the head; None without either."""
        return None if self.top is None or self.truth is None else self.top - self.truth

    @property
    def is_hit(self) -> bool:
        """Whether ``top`` is right in the sense of 1-Up-Down."""
        return self.offset is not None and abs(self.offset) <= TOLERANCE

    @property
    def is_right(self) -> bool:
        """Whether the answer holds: within 4 mm of the true level, or rightly said to be above or below the image."""
        if self.truth is None:
            return self.top is None and self.absent == self.absent_truth
        return self.error_mm is not None and self.error_mm <= NEAR_MM + ROUNDING_MM

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "predicted": list(self.predicted), "probability": list(self.probability)}

    def brief(self) -> dict[str, Any]:
        """JSON values without the probabilities."""
        return {key: value for key, value in self.to_dict().items() if key != "probability"}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Answer:
        """From :meth:`to_dict`."""
        predicted, probability = values["predicted"], values.get("probability", ())
        tuples = {"predicted": tuple(int(k) for k in predicted), "probability": tuple(float(p) for p in probability)}
        return cls(**{**values, **tuples})


def answer_of(
    probability: ArrayLike, truth: int | None, level_mm: float, z_mm: ArrayLike, case: str = "", marker: str = ""
) -> Answer:
    """The answer of a binary extractor.

    Args:
        probability: ``(n,)``, that each slice is the marker.
        truth: the true slice, or None.
        level_mm: the true level, which need not be the middle of a slice.
        z_mm: ``(n,)`` positions of the slices.
        case: name.
        marker: name.
    """
    p, z = np.asarray(probability, float), np.asarray(z_mm, float)
    if p.ndim != 1 or p.shape != z.shape or not p.size or not np.isfinite(p).all():
        raise InvalidInputError(f"Expected one finite probability per slice; got {p.shape} for {z.shape} slices.")
    top = int(p.argmax())
    error = None if truth is None else float(abs(z[top] - level_mm))
    predicted = tuple(int(k) for k in np.flatnonzero(p > THRESHOLD))
    return Answer(case, marker, truth, predicted, top, error, float(p[top]), probability=tuple(p.tolist()))


# --- counts and shares ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpDown:
    """1-Up-Down counts of each case whose marker is in the image, all ``(cases,)``.

    Attributes:
        true_positives: predicted slices at most one from the true one.
        predicted: predicted slices.
        exact: whether the true slice itself is predicted.
        band: slices of the image at most one from the true one (its own included); at a stack's end 2, else 3.
    """

    true_positives: np.ndarray
    predicted: np.ndarray
    exact: np.ndarray
    band: np.ndarray


def one_up_down(answers: Sequence[Answer], sizes: Mapping[str, int] | None = None) -> UpDown:
    """Counts per case; ``sizes`` gives the number of slices of each case (None: markers are not at an end)."""
    known = [a for a in answers if a.truth is not None]
    near = [[abs(k - (a.truth or 0)) <= TOLERANCE for k in a.predicted] for a in known]
    return UpDown(
        np.array([sum(row) for row in near], float),
        np.array([len(a.predicted) for a in known], float),
        np.array([a.truth in a.predicted for a in known], float),
        np.array([_band(a, sizes) for a in known], float),
    )


def _band(answer: Answer, sizes: Mapping[str, int] | None) -> int:
    truth = answer.truth or 0
    last = truth + TOLERANCE if sizes is None else sizes[answer.case] - 1
    return min(truth + TOLERANCE, last) - max(truth - TOLERANCE, 0) + 1


def share(numerator: np.ndarray, denominator: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """A ratio of sums over cases, with its interval over cases (bootstrap); nan where nothing is counted.

    At 0 and 100 % every resample says the same: there it is Wilson's interval of as many cases as count.
    """
    total = float(denominator.sum())
    value = float(numerator.sum()) / total if total else np.nan
    if value in (0.0, 1.0):
        cases = int(np.count_nonzero(denominator))
        return wilson(value * cases, cases)
    if len(numerator) < 2:
        return Estimate(value, np.nan, np.nan)
    counts = patient_counts(len(numerator), resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval(value, (counts @ numerator) / (counts @ denominator))


def wilson(successes: float, count: int) -> Estimate:
    """A proportion with Wilson's 95 % interval (Wilson, JASA 1927;22:209); nan for no cases."""
    if not count:
        return Estimate(np.nan, np.nan, np.nan)
    try:
        from statsmodels.stats.proportion import proportion_confint
    except ImportError as error:
        raise DependencyError("Wilson's interval needs statsmodels: pip install 'manabi[train]'") from error
    low, high = proportion_confint(successes, count, method="wilson")
    return Estimate(successes / count, float(low), float(high))


def patient_share(values: Sequence[bool], patients: Sequence[str]) -> Estimate:
    """A share of answers, several per patient; Wilson's interval as if each patient gave one (they go together)."""
    count = len(set(patients))
    return wilson(float(np.mean(values)) * count, count) if count else wilson(0, 0)


READINGS: dict[str, str] = {
    "precision_slices": "predicted slices within ±1, of all predicted slices (the source's text)",
    "precision_top": "cases whose most probable slice is within ±1, of all cases",
    "recall_cases": "cases with a predicted slice within ±1, of all cases (fits the source's numbers)",
    "recall_exact": "true slices that are predicted themselves",
    "recall_band": "predicted slices within ±1, of all slices within ±1",
}
"""Every reading of the source's precision and recall."""


def readings(
    answers: Sequence[Answer], sizes: Mapping[str, int] | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """All of :data:`READINGS` for one method and marker; proportions of cases with Wilson's interval."""
    counts = one_up_down(answers, sizes)
    known = [a for a in answers if a.truth is not None]
    n = len(known)
    return {
        "precision_slices": share(counts.true_positives, counts.predicted, resamples, seed),
        "precision_top": wilson(sum(a.is_hit for a in known), n),
        "recall_cases": wilson(int((counts.true_positives > 0).sum()), n),
        "recall_exact": wilson(int(counts.exact.sum()), n),
        "recall_band": share(counts.true_positives, counts.band, resamples, seed),
    }


def within(answers: Sequence[Answer], slices: int) -> Estimate:
    """Share of cases whose most probable slice is at most so many from the true one, Wilson's interval."""
    known = [a for a in answers if a.truth is not None]
    return wilson(sum(a.offset is not None and abs(a.offset) <= slices for a in known), len(known))


def near(answers: Sequence[Answer]) -> Estimate:
    """Share of cases whose chosen slice lies within 4 mm of the true level, Wilson's interval."""
    known = [a for a in answers if a.truth is not None]
    return wilson(sum(a.is_right for a in known), len(known))


def offsets(answers: Sequence[Answer]) -> dict[int, int]:
    """How many predicted slices lie how far from the true one, towards the head (figure 5)."""
    found = Counter(k - a.truth for a in answers if a.truth is not None for k in a.predicted)
    return dict(sorted(found.items()))


def errors_mm(answers: Sequence[Answer]) -> np.ndarray:
    """Distances of the chosen slice from the true level, of the cases that have one."""
    return np.array([a.error_mm for a in answers if a.error_mm is not None], float)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided p of McNemar's test of two methods on the same cases (McNemar, Psychometrika 1947;12:153)."""
    try:
        from statsmodels.stats.contingency_tables import mcnemar as test
    except ImportError as error:
        raise DependencyError("McNemar's test needs statsmodels: pip install 'manabi[train]'") from error
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    if a.shape != b.shape:
        raise InvalidInputError(f"McNemar's test needs the same cases for both; got {a.size} and {b.size}.")
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    return float(test(table, exact=True).pvalue)
