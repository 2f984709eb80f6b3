"""Brier score of predicted survival, at a time and integrated, against the Kaplan-Meier curve as a prediction.

Censoring is met by inverse weights (E. Graf et al., "Assessment and comparison of prognostic classification schemes for
survival data", 1999, 10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5). Each score is a mean
over patients; the censoring distribution is the training cohort's and fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.integrate import trapezoid

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import NAN, Statistic
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_km import censoring_at, survival_at

NO_SURVIVAL = "the model predicts no survival at this time"


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ values / weights.sum(axis=1)


def _gain(values: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One minus the ratio of two means."""
    below = weights @ reference
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, 1 - weights @ values / below, NAN)


def brier_at(
    follow: Followup, predicted: Predicted, t: float, training: Followup | None = None, name: str = ""
) -> Statistic:
    """Mean squared error of the predicted survival at a time; 0 is perfect, .25 says one half to all.

    Args:
        follow: who is scored.
        predicted: with survival.
        t: in the follow-up's unit.
        training: whose censoring the weights come from; None for ``follow`` itself.
        name: of the score.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    predicted.fits(follow.n)
    name = name or f"Brier at {follow.words(t)}"
    events = int((follow.event & (follow.time <= t)).sum())
    survival = predicted.survival_at(t)
    reason = _why_not(follow, t, training or follow)
    if survival is None or reason:
        reason = reason or NO_SURVIVAL
        return Statistic(name, partial(_mean, np.zeros(follow.n)), follow.patients, follow.n, events, reason)
    values = squared_error(follow, survival, t, training or follow)
    return Statistic(name, partial(_mean, values), follow.patients, follow.n, events)


def _why_not(follow: Followup, t: float, training: Followup) -> str:
    """Why a Brier score at a time cannot be had."""
    if not (follow.event & (follow.time <= t)).any():
        return f"no event by {follow.words(t)}"
    if not (follow.time > t).any():
        return f"nobody was followed beyond {follow.words(t)}"
    if t >= training.time.max() or censoring_at(training, np.array([t]))[0] <= 0:
        return f"the training cohort's follow-up ends before {follow.words(t)}"
    return ""


def squared_error(follow: Followup, survival: np.ndarray, t: float, training: Followup) -> np.ndarray:
    """``(n,)`` weighted squared error of each row at a time, mean over the repeats.

    Args:
        follow: n rows.
        survival: ``(repeats, n)`` predicted at ``t``.
        t: the time.
        training: whose censoring the weights come from.
    """
    then = censoring_at(training, np.array([t]))[0]
    own = censoring_at(training, follow.time)
    had = follow.event & (follow.time <= t)
    dead = np.where(had, 1 / np.where(had, own, 1.0), 0.0)
    alive = np.where(follow.time > t, 1 / then, 0.0)
    return (survival**2 * dead + (1 - survival) ** 2 * alive).mean(axis=0)


def usable_times(follow: Followup, times: np.ndarray, training: Followup) -> np.ndarray:
    """Of the times, those at which a Brier score is defined."""
    return np.array([t for t in np.asarray(times, float) if not _why_not(follow, float(t), training)])


def integrated_error(
    follow: Followup, survivals: Sequence[np.ndarray], times: np.ndarray, training: Followup
) -> np.ndarray:
    """``(n,)`` squared error of each row, mean over time by the trapezoidal rule."""
    values = np.stack([squared_error(follow, s, float(t), training) for s, t in zip(survivals, times, strict=True)])
    return trapezoid(values, times, axis=0) / (times[-1] - times[0])


def integrated_brier(
    follow: Followup, predicted: Predicted, training: Followup | None = None, name: str = "IBS"
) -> Statistic:
    """Brier score averaged over those of the prediction's times at which it is defined.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    values, times, reason = _integrated(follow, predicted, training or follow)
    return Statistic(name, partial(_mean, values), follow.patients, follow.n, follow.events, reason,
                     _over(times, follow))  # fmt: skip


def scaled_brier(
    follow: Followup, predicted: Predicted, training: Followup | None = None,
    reference: np.ndarray | None = None, name: str = "scaled IBS",
) -> Statistic:  # fmt: skip
    """``1 - IBS / IBS of Kaplan-Meier``: 0 for knowing nothing of the patient, 1 for knowing all, below 0 for harm.

    Args:
        follow: who is scored.
        predicted: with survival.
        training: whose Kaplan-Meier curve is the reference and whose censoring gives the weights; None for ``follow``
            itself, whose curve has then seen the outcomes: a little hard on the model.
        reference: ``(repeats, n, times)`` Kaplan-Meier survival of each fold's training patients instead.
        name: of the score.

    Raises:
        InvalidInputError: where the arrays do not fit.
    """
    source = training or follow
    values, times, reason = _integrated(follow, predicted, source)
    base = np.ones(follow.n)
    if not reason:
        base = integrated_error(follow, _reference(predicted, source, times, reference), times, source)
    notes = (*_over(times, follow), "against Kaplan-Meier" + (" of each fold's training" if reference is not None
                                                              else ""))  # fmt: skip
    return Statistic(
        name, partial(_gain, values, base), follow.patients, follow.n, follow.events, reason, notes
    )  # fmt: skip


def _integrated(follow: Followup, predicted: Predicted, training: Followup) -> tuple[np.ndarray, np.ndarray, str]:
    """Each row's integrated error, the times used, and why it cannot be had."""
    predicted.fits(follow.n)
    nothing = np.zeros(follow.n)
    if predicted.times is None or predicted.survival is None:
        return nothing, np.zeros(0), NO_SURVIVAL
    times = usable_times(follow, predicted.times, training)
    if len(times) < 2:
        return nothing, times, "fewer than two of the predicted times have events before and patients beyond"
    survivals = [predicted.survival[:, :, k] for k in np.searchsorted(predicted.times, times)]
    return integrated_error(follow, survivals, times, training), times, ""


def _reference(
    predicted: Predicted, source: Followup, times: np.ndarray, reference: np.ndarray | None
) -> list[np.ndarray]:
    if reference is None:
        return [np.full((1, 1), s) for s in survival_at(source, times)[0]]
    known = np.asarray(reference, float)
    if predicted.survival is None or known.shape != predicted.survival.shape:
        raise InvalidInputError("The reference needs survival of the predictions' shape: repeats x rows x times.")
    return [known[:, :, k] for k in np.searchsorted(np.asarray(predicted.times), times)]


def _over(times: np.ndarray, follow: Followup) -> tuple[str, ...]:
    return (f"over {times[0]:g} to {times[-1]:g} {follow.unit}",) if len(times) else ()
