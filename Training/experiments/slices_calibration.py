"""Whether a method knows what it does not know: reliability of its confidence, and markers outside the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import InvalidInputError
from Training.experiments.slices_cases import CLOSE_MM, FAR_MM
from Training.experiments.slices_scores import ROUNDING_MM, Answer, patient_share
from Training.resampling import Estimate

BINS = 10
"""Of the reliability diagram (our choice)."""


@dataclass(frozen=True)
class Reliability:
    """How often answers of a confidence are right.

    Attributes:
        confidence: mean confidence per bin that has answers.
        right: share of them that is right.
        count: how many they are.
        ece: expected calibration error: the mean distance of both, weighted by count.
        brier: mean squared distance of confidence and rightness (Brier, Mon Weather Rev 1950;78:1).
    """

    confidence: np.ndarray
    right: np.ndarray
    count: np.ndarray
    ece: float
    brier: float


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Reliability in equal bins of confidence (Guo et al., On calibration of modern neural networks, ICML 2017)."""
    p, y = np.asarray(confidence, float), np.asarray(right, float)
    if p.shape != y.shape or p.ndim != 1 or not p.size or p.min() < 0 or p.max() > 1 + 1e-9:
        raise InvalidInputError(f"Expected confidences from 0 to 1 and as many answers; got {p.shape} and {y.shape}.")
    place = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = np.flatnonzero(count)
    mean = (np.bincount(place, p, bins)[used]) / count[used]
    rate = (np.bincount(place, y, bins)[used]) / count[used]
    ece = float((np.abs(mean - rate) * count[used]).sum() / p.size)
    return Reliability(mean, rate, count[used], ece, float(((p - y) ** 2).mean()))


def absence(answers: Sequence[Answer]) -> dict[str, Estimate]:
    """How often markers are called missing: by 10 to 50 mm, by more, and those that are in the image.

    Wilson's intervals for as many patients as there are, who give up to three answers each.
    """
    kinds = {
        "missing_near": [a for a in answers if a.truth is None and _is_near(a)],
        "missing_far": [a for a in answers if a.truth is None and a.beyond_mm > FAR_MM + ROUNDING_MM],
        "false_alarms": [a for a in answers if a.truth is not None],
    }
    return {kind: patient_share([a.top is None for a in rows], [a.case for a in rows]) for kind, rows in kinds.items()}


def _is_near(answer: Answer) -> bool:
    """Whether the scene is about this marker: it was cut off by so much on purpose."""
    return CLOSE_MM - ROUNDING_MM <= answer.beyond_mm <= FAR_MM + ROUNDING_MM
