"""Scores of rank: Harrell's and Uno's C, time-dependent AUC and the ordinal C, all as weighted shares of pairs.

Each is a ratio of two quadratic forms in the patients' weights, so that a thousand draws of a bootstrap are one matrix
product. Rows are taken in blocks: memory grows with n, not with its square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manabi.radiomics.cohort.scores import NAN, Statistic
from manabi.radiomics.cohort.scores_data import Followup, Predicted, tolerance
from manabi.radiomics.cohort.scores_km import censoring_at

PAIRS = 2**16
"""Pairs that are held at once: so many fit the processor's cache."""
CONSTANT = "the risk is the same for all patients that are compared"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs (i, j) of which i should have the higher risk.

    Attributes:
        first: rows i.
        weight: ``(len(first),)`` weight of each i.
        against: block of rows i to ``(block, n)``, whether (i, j) is compared.
        predicted: the risks.
    """

    first: np.ndarray
    weight: np.ndarray
    against: Callable[[np.ndarray], np.ndarray]
    predicted: Predicted

    def share(self, weights: np.ndarray) -> np.ndarray:
        """``(draws, n)`` weights of rows to the weighted share of pairs in right order; a tie in risk counts half."""
        right = np.zeros(len(weights))
        compared = np.zeros(len(weights))
        for part in self._parts():
            rows = self.first[part]
            pairs, better = self._block(rows)
            w = weights[:, rows] * self.weight[part]
            compared += np.einsum("bk,bk->b", weights @ pairs.T, w)
            right += np.einsum("bk,bk->b", weights @ better.T, w)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(compared > 0, right / compared, NAN)

    def any(self) -> bool:
        """Whether there is a pair to compare."""
        return any(self._block(self.first[part])[0].any() for part in self._parts())

    def _parts(self) -> list[slice]:
        size = max(8, PAIRS // self.predicted.risk.shape[1])
        return [slice(start, start + size) for start in range(0, len(self.first), size)]

    def _block(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs compared and pairs in right order, as means over the repeats."""
        allowed = self.against(rows)
        risk, folds = self.predicted.ranked, self.predicted.folds
        close = tolerance(risk)
        pairs = np.zeros(allowed.shape)
        better = np.zeros(allowed.shape)
        for repeat, values in enumerate(risk):
            here = allowed if folds is None else allowed & (folds[repeat, rows][:, None] == folds[repeat][None])
            gap = values[rows][:, None] - values[None]
            better += here * np.where(np.abs(gap) <= close, 0.5, gap > 0)
            pairs += here
        return pairs / len(risk), better / len(risk)


@dataclass(frozen=True, eq=False)
class Later:
    """Who was still without the event after row i had it; a row censored at that very time counts as later."""

    follow: Followup

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """``(block, n)`` of truth values."""
        time, event = self.follow.time, self.follow.event
        mine = time[rows][:, None]
        return (time[None] > mine) | ((time[None] == mine) & ~event[None])


@dataclass(frozen=True, eq=False)
class Free:
    """Who was followed beyond a time without the event."""

    follow: Followup
    t: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """``(block, n)`` of truth values."""
        return np.broadcast_to(self.follow.time > self.t, (len(rows), self.follow.n))


@dataclass(frozen=True, eq=False)
class Lower:
    """Who has a lower label than row i."""

    label: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """``(block, n)`` of truth values."""
        return self.label[None] < self.label[rows][:, None]


def pair_statistic(name: str, pairs: Pairs, groups: np.ndarray, events: int, notes: tuple[str, ...] = ()) -> Statistic:
    """The share of pairs in right order as a statistic, with the reason where there is nothing to compare."""
    reason = ""
    if not pairs.any():
        reason = "no pair of patients can be compared"
        reason += "" if pairs.predicted.folds is None else " within a fold"
    elif pairs.predicted.constant:
        reason = CONSTANT
    if pairs.predicted.folds is not None:
        notes = (*notes, "patients compared within their test fold only")
    return Statistic(name, pairs.share, groups, len(groups), events, reason, notes)


def harrell(follow: Followup, predicted: Predicted, name: str = "Harrell C") -> Statistic:
    """Share of comparable pairs in which the patient with the earlier event has the higher risk.

    Source: F. Harrell et al., "Evaluating the yield of medical tests", 1982, 10.1001/jama.1982.03320430047030. It
    depends on the censoring; :func:`uno` does not.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    predicted.fits(follow.n)
    first = np.flatnonzero(follow.event)
    pairs = Pairs(first, np.ones(len(first)), Later(follow), predicted)
    return pair_statistic(name, pairs, follow.patients, follow.events)


def uno(
    follow: Followup, predicted: Predicted, training: Followup | None = None, tau: float | None = None,
    name: str = "Uno C",
) -> Statistic:  # fmt: skip
    """C with each event weighted by the inverse squared probability of having been under observation.

    Source: H. Uno et al., "On the C-statistics for evaluating overall adequacy of risk prediction procedures with
    censored survival data", 2011, 10.1002/sim.4154. The censoring distribution stays fixed in the bootstrap (our
    choice; it is the training cohort's).

    Args:
        follow: who is scored.
        predicted: the risks.
        training: whose censoring the weights come from; None for ``follow`` itself.
        tau: events from here on are left out; None for the last time at which someone is still under observation.
        name: of the score.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    predicted.fits(follow.n)
    observed = censoring_at(training or follow, follow.time)
    within = follow.event & (observed > 0)
    if tau is not None:
        within &= follow.time < tau
    first = np.flatnonzero(within)
    left_out = follow.events - len(first)
    notes = [f"events before {follow.words(tau)}"] if tau is not None else []
    if tau is None and left_out:
        notes.append(f"{left_out} events beyond the training follow-up left out")
    pairs = Pairs(first, 1 / observed[first] ** 2, Later(follow), predicted)
    return pair_statistic(name, pairs, follow.patients, follow.events, tuple(notes))


def auc_at(
    follow: Followup, predicted: Predicted, t: float, training: Followup | None = None, name: str = ""
) -> Statistic:
    """Cumulative/dynamic AUC: patients with the event by ``t`` against those free of it at ``t``, censoring weighted.

    Source: H. Uno et al., "Evaluating prediction rules for t-year survivors with censored regression models", 2007,
    10.1198/016214507000000149; J. Lambert, S. Chevret, 2016, 10.1177/0962280213515571.

    Args:
        follow: who is scored.
        predicted: the risks.
        t: in the follow-up's unit.
        training: whose censoring the weights come from; None for ``follow`` itself.
        name: of the score.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    predicted.fits(follow.n)
    name = name or f"AUC at {follow.words(t)}"
    observed = censoring_at(training or follow, follow.time)
    had = follow.event & (follow.time <= t)
    first = np.flatnonzero(had & (observed > 0))
    pairs = Pairs(first, 1 / observed[first], Free(follow, t), predicted)
    reason = ""
    if not had.any():
        reason = f"no event by {follow.words(t)}"
    elif not (follow.time > t).any():
        reason = f"nobody was followed beyond {follow.words(t)}"
    elif len(first) < had.sum():
        reason = f"the training cohort's follow-up ends before {follow.words(t)}"
    if reason:
        return Statistic(name, pairs.share, follow.patients, follow.n, int(had.sum()), reason)
    return pair_statistic(name, pairs, follow.patients, int(had.sum()))


def ordinal(label: np.ndarray, predicted: Predicted, groups: np.ndarray, name: str = "ordinal C") -> Statistic:
    """Share of pairs of different grade in which the higher grade has the higher score; for two grades the AUC.

    Source: N. Obuchowski, "Estimating and comparing diagnostic tests' accuracy when the gold standard is not binary",
    2005, 10.1016/j.acra.2005.05.013 (without costs of misordering).
    """
    pairs = Pairs(np.arange(len(label)), np.ones(len(label)), Lower(np.asarray(label)), predicted)
    return pair_statistic(name, pairs, groups, int((np.asarray(label) > np.min(label)).sum()))
