"""Area under the ROC curve, with DeLong's interval and one by bootstrap of patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from manabi.errors import InvalidInputError
from Training.resampling import RESAMPLES, Estimate, interval, patient_counts, patient_index


def _comparisons(truth: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every positive against every negative: 1 where it scores higher, ½ where equal; and both's positions."""
    positive, values = np.asarray(truth).astype(bool), np.asarray(scores, np.float64)
    if positive.shape != values.shape or positive.ndim != 1 or not np.isfinite(values).all():
        raise InvalidInputError("ROC needs two lists of one length: the truth, and a finite score for each.")
    yes, no = np.flatnonzero(positive), np.flatnonzero(~positive)
    if not yes.size or not no.size:
        raise InvalidInputError(f"ROC needs both kinds of cases; got {yes.size} positive and {no.size} negative.")
    higher = values[yes][:, None] - values[no][None, :]
    return np.heaviside(higher, 0.5), yes, no


def auc_delong(truth: ArrayLike, scores: ArrayLike, level: float = 0.95) -> Estimate:
    """Area under the ROC curve with DeLong's interval, limited to 0 to 1.

    The area is the mean ψ of all positive-negative pairs; its variance is ``var(V10) / m + var(V01) / n`` with the
    means of ψ over negatives (V10, one per positive) and over positives (V01) (DeLong, DeLong and Clarke-Pearson,
    Biometrics 1988;44:837, 10.2307/2531595). Cases must be independent: for several per patient use
    :func:`auc_bootstrap`.

    Raises:
        InvalidInputError: when there are not at least two cases of each kind.
    """
    from scipy.stats import norm

    wins, yes, no = _comparisons(truth, scores)
    if min(yes.size, no.size) < 2:
        raise InvalidInputError("DeLong's interval needs at least two cases of each kind.")
    area = float(wins.mean())
    variance = wins.mean(1).var(ddof=1) / yes.size + wins.mean(0).var(ddof=1) / no.size
    half = float(norm.ppf((1 + level) / 2) * np.sqrt(variance))
    return Estimate(area, max(area - half, 0.0), min(area + half, 1.0))


def auc_bootstrap(
    truth: ArrayLike,
    scores: ArrayLike,
    patients: Sequence[object] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Area under the ROC curve, bootstrapped by patient; resamples that lack a kind of case are left out."""
    wins, yes, no = _comparisons(truth, scores)
    index, count = patient_index(patients)
    if index.size != yes.size + no.size:
        raise InvalidInputError("ROC needs one patient per case.")
    counts = patient_counts(count, resamples, seed)
    weight_yes, weight_no = counts[:, index[yes]], counts[:, index[no]]
    pairs = weight_yes.sum(1) * weight_no.sum(1)
    won = ((weight_yes @ wins) * weight_no).sum(1)
    resampled = np.divide(won, pairs, out=np.full(resamples, np.nan), where=pairs > 0)
    return interval(float(wins.mean()), resampled)
