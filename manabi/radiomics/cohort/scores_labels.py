"""Scores for labels: AUC with DeLong's interval, balanced accuracy, Brier, ordinal C and weighted kappa."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import NAN, Bootstrap, Score, Statistic, missing, score
from manabi.radiomics.cohort.scores_data import Predicted, numbered, tolerance
from manabi.radiomics.cohort.scores_pairs import CONSTANT, Lower, Pairs, pair_statistic

ONE_CLASS = "only one class is present"


def checked_labels(label: np.ndarray, n: int) -> np.ndarray:
    """Labels as 0 and 1.

    Raises:
        InvalidInputError: where they are others, or not as many as predictions.
    """
    values = np.asarray(label)
    if values.shape != (n,) or not np.isin(values, [0, 1]).all():
        raise InvalidInputError(f"Expected {n} labels of 0 or 1; got {values.shape} with {np.unique(values)[:5]}.")
    return values.astype(int)


def auc(label: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None, name: str = "AUC") -> Statistic:
    """Area under the ROC curve for the bootstrap, for paired differences and for several tumours of a patient.

    Raises:
        InvalidInputError: where labels are not 0 and 1.
    """
    y = checked_labels(label, predicted.risk.shape[1])
    first = np.flatnonzero(y == 1)
    pairs = Pairs(first, np.ones(len(first)), Lower(y), predicted)
    return pair_statistic(name, pairs, numbered(groups, len(y)), int(y.sum()))


def delong(
    label: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None, level: float = 0.95, name: str = "AUC"
) -> Score:
    """AUC with DeLong's interval, from placements averaged over the repeats.

    With several rows per patient, or with folds, its assumption of independent rows is not met, and the interval is
    the bootstrap's. Where the classes are separated completely the variance is 0 and no interval is given.

    Source: E. DeLong et al., "Comparing the areas under two or more correlated receiver operating characteristic
    curves: a nonparametric approach", 1988, 10.2307/2531595.

    Raises:
        InvalidInputError: where labels are not 0 and 1.
    """
    statistic = auc(label, predicted, groups, name)
    if statistic.reason or predicted.folds is not None or int(statistic.groups.max()) + 1 < statistic.n:
        return score(statistic, Bootstrap(level=level))
    cases, controls = placements(np.asarray(label).astype(int), predicted)
    m, n = len(cases), len(controls)
    if min(m, n) < 2:
        return missing(name, "a class has fewer than two patients", m + n, m)
    estimate = float(cases.mean())
    error = float(np.sqrt(cases.var(ddof=1) / m + controls.var(ddof=1) / n))
    how = f"DeLong, {level:.0%}"
    if error == 0:
        return Score(name, estimate, NAN, NAN, how, m + n, m, NAN, "the classes are separated: DeLong's variance is 0")
    half = stats.norm.ppf((1 + level) / 2) * error
    return Score(name, estimate, max(0.0, estimate - half), min(1.0, estimate + half), how, m + n, m)


def delong_difference(label: np.ndarray, first: Predicted, second: Predicted, name: str, level: float = 0.95) -> Score:
    """First AUC minus second on the same patients, with DeLong's interval and p; source as :func:`delong`.

    Raises:
        InvalidInputError: where labels are not 0 and 1, or the predictions are of other rows.
    """
    y = checked_labels(label, first.risk.shape[1])
    second.fits(len(y))
    if min(y.sum(), len(y) - y.sum()) < 2:
        return missing(name, "a class has fewer than two patients", len(y), int(y.sum()))
    parts = [a - b for a, b in zip(placements(y, first), placements(y, second), strict=True)]
    estimate = float(parts[0].mean())
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)))
    how = f"DeLong, paired, {level:.0%}"
    if error == 0:
        return Score(name, estimate, NAN, NAN, how, len(y), int(y.sum()), NAN, "DeLong's variance is 0")
    half = stats.norm.ppf((1 + level) / 2) * error
    p = float(2 * stats.norm.sf(abs(estimate) / error))
    return Score(name, estimate, estimate - half, estimate + half, how, len(y), int(y.sum()), p)


def placements(label: np.ndarray, predicted: Predicted) -> tuple[np.ndarray, np.ndarray]:
    """Share of controls below each case, and of cases above each control; means over the repeats; ties half."""
    case, control = label == 1, label == 0
    close = tolerance(predicted.ranked)
    table = np.zeros((case.sum(), control.sum()))
    for risk in predicted.ranked:
        gap = risk[case][:, None] - risk[control][None]
        table += np.where(np.abs(gap) <= close, 0.5, gap > 0)
    table /= len(predicted.ranked)
    return table.mean(axis=1), table.mean(axis=0)


def balanced_accuracy(
    label: np.ndarray, predicted: Predicted, threshold: float = 0.5, groups: np.ndarray | None = None,
    name: str = "balanced accuracy",
) -> Statistic:  # fmt: skip
    """Mean of sensitivity and specificity at a threshold that was fixed beforehand; .5 knows nothing.

    Raises:
        InvalidInputError: where labels are not 0 and 1.
    """
    y = checked_labels(label, predicted.risk.shape[1])
    right = ((predicted.risk >= threshold) == (y == 1)).mean(axis=0)
    reason = "" if 0 < y.sum() < len(y) else ONE_CLASS
    notes = (f"threshold {threshold:g}",)
    return Statistic(name, partial(_balanced, right, y), numbered(groups, len(y)), len(y), int(y.sum()), reason, notes)


def _balanced(right: np.ndarray, label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        parts = [(weights * (label == k)) @ right / (weights @ (label == k)) for k in (0, 1)]
    return (parts[0] + parts[1]) / 2


def brier(label: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None, name: str = "Brier") -> Statistic:
    """Mean squared error of predicted probabilities (``risk`` is one): G. Brier, 1950.

    Raises:
        InvalidInputError: where labels are not 0 and 1, or risks are no probabilities.
    """
    y = checked_labels(label, predicted.risk.shape[1])
    error = ((probabilities(predicted) - y) ** 2).mean(axis=0)
    return Statistic(name, partial(_average, error), numbered(groups, len(y)), len(y), int(y.sum()))


def scaled_label_brier(
    label: np.ndarray, predicted: Predicted, groups: np.ndarray | None = None, name: str = "scaled Brier"
) -> Statistic:
    """``1 - Brier / Brier of the prevalence``: 0 knows nothing, 1 all.

    Source: E. Steyerberg et al., "Assessing the performance of prediction models", 2010, 10.1097/EDE.0b013e3181c30fb2.

    Raises:
        InvalidInputError: where labels are not 0 and 1, or risks are no probabilities.
    """
    y = checked_labels(label, predicted.risk.shape[1])
    error = ((probabilities(predicted) - y) ** 2).mean(axis=0)
    reason = "" if 0 < y.sum() < len(y) else ONE_CLASS
    return Statistic(name, partial(_explained, error, y), numbered(groups, len(y)), len(y), int(y.sum()), reason)


def _average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ values / weights.sum(axis=1)


def _explained(error: np.ndarray, label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    share = _average(label, weights)
    spread = share * (1 - share)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, 1 - _average(error, weights) / spread, NAN)


def probabilities(predicted: Predicted) -> np.ndarray:
    """``(repeats, n)`` the risks as probabilities.

    Raises:
        InvalidInputError: where they are none.
    """
    if predicted.risk.min() < 0 or predicted.risk.max() > 1:
        raise InvalidInputError("This score needs predicted probabilities between 0 and 1; the risks lie outside.")
    return predicted.risk


def kappa(
    label: np.ndarray, grade: np.ndarray, groups: np.ndarray | None = None, weighting: str = "quadratic",
    name: str = "",
) -> Statistic:  # fmt: skip
    """Agreement of predicted grades with the true ones beyond chance, with weights for how far they lie apart.

    Source: J. Cohen, "Weighted kappa", 1968, 10.1037/h0026256.

    Args:
        label: ``(n,)`` true grades, whole numbers.
        grade: ``(n,)`` or ``(repeats, n)`` predicted grades.
        groups: patients.
        weighting: ``quadratic``, ``linear`` or ``none``.
        name: of the score.

    Raises:
        InvalidInputError: where the grades do not fit or the weighting is unknown.
    """
    truth, guess = np.asarray(label), np.atleast_2d(np.asarray(grade))
    if truth.ndim != 1 or guess.shape[1:] != truth.shape:
        raise InvalidInputError(f"Expected a predicted grade for each of {truth.shape} rows; got {guess.shape}.")
    powers = {"quadratic": 2, "linear": 1, "none": 0}
    if weighting not in powers:
        raise InvalidInputError(f"The weighting is one of {', '.join(powers)}; got {weighting!r}.")
    values = np.unique(np.concatenate([truth, guess.ravel()])).astype(float)
    apart = np.abs(values[:, None] - values[None])
    cost = apart ** powers[weighting] if weighting != "none" else (apart > 0).astype(float)
    true_is = (truth[:, None] == values).astype(float)
    said = (guess[:, :, None] == values).mean(axis=0)
    reason = CONSTANT if len(values) < 2 else ""
    events = int((truth > truth.min()).sum())
    return Statistic(name or f"kappa, {weighting}", partial(_kappa, true_is, said, cost), numbered(groups, len(truth)),
                     len(truth), events, reason)  # fmt: skip


def _kappa(true_is: np.ndarray, said: np.ndarray, cost: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1)
    seen = weights @ np.einsum("ni,nj,ij->n", true_is, said, cost, optimize=True) / total
    chance = np.einsum("bi,bj,ij->b", weights @ true_is, weights @ said, cost, optimize=True) / total**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - seen / chance, NAN)
