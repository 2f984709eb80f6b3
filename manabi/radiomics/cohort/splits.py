"""Which patients are trained on and which are tested: stratified, and never the same patient on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.plan import Plan
from manabi.radiomics.cohort.table import Cohort


@dataclass(frozen=True, eq=False)
class Split:
    """One training set and its test set, as row indices."""

    train: np.ndarray
    test: np.ndarray


def outer_splits(cohort: Cohort, plan: Plan, repeat: int) -> list[Split]:
    """The splits of one repeat of the outer validation.

    Raises:
        InvalidInputError: where there are too few patients or events for them.
    """
    if plan.scheme == "loo":
        return [Split(np.flatnonzero(cohort.groups != g), np.flatnonzero(cohort.groups == g))
                for g in range(cohort.n_patients)]  # fmt: skip
    rng = np.random.default_rng([plan.seed, 1, repeat])
    if plan.scheme == "holdout":
        return [_holdout(cohort, plan.holdout, rng)]
    _check_folds(cohort, plan.folds)
    return stratified_folds(cohort, plan.folds, rng)


def inner_splits(train: Cohort, plan: Plan, seed: int) -> list[Split]:
    """Folds of the tuning: fewer than asked for where a fold would be without an event (or a label)."""
    rarest = _rarest(train)
    folds = max(2, min(plan.inner_folds, rarest, train.n_patients))
    return stratified_folds(train, folds, np.random.default_rng([seed, 2]))


def stratified_folds(cohort: Cohort, folds: int, rng: np.random.Generator) -> list[Split]:
    """Deal the patients of each stratum (outcome, then centre) to the folds one after the other.

    The dealing goes on from stratum to stratum, so that folds differ by at most one patient in size and in events.
    """
    order = _dealt(cohort, rng)
    fold_of_patient = np.empty(cohort.n_patients, int)
    fold_of_patient[order] = (np.arange(len(order)) + rng.integers(folds)) % folds
    fold = fold_of_patient[cohort.groups]
    return [Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def _dealt(cohort: Cohort, rng: np.random.Generator) -> np.ndarray:
    """Patients in random order within strata, strata after each other."""
    strata = _strata(cohort)
    shuffled = rng.permutation(cohort.n_patients)
    return shuffled[np.argsort(strata[shuffled], kind="stable")]


def _strata(cohort: Cohort) -> np.ndarray:
    """Stratum of each patient: the worst outcome of the patient's rows, then the centre of the first row."""
    outcome = cohort.event.astype(int) if cohort.event is not None else np.asarray(cohort.label)
    worst = np.zeros(cohort.n_patients, int)
    np.maximum.at(worst, cohort.groups, outcome)
    if cohort.centre is None:
        return worst
    codes = np.unique(cohort.centre, return_inverse=True)[1]
    first = np.unique(cohort.groups, return_index=True)[1]
    return worst * (codes.max() + 1) + codes[first]


def _holdout(cohort: Cohort, count: int, rng: np.random.Generator) -> Split:
    if count >= cohort.n_patients:
        raise InvalidInputError(
            f"Plan.holdout must leave patients to train with: {count} of {cohort.n_patients} are to be tested."
        )
    order = _dealt(cohort, rng)
    places = np.floor((np.arange(count) + rng.random()) * len(order) / count).astype(int)
    tested = np.isin(cohort.groups, order[places])
    return Split(np.flatnonzero(~tested), np.flatnonzero(tested))


def _rarest(cohort: Cohort) -> int:
    if cohort.event is not None:
        return len(set(cohort.groups[cohort.event]))
    return min(len(set(cohort.groups[cohort.label == level])) for level in np.unique(np.asarray(cohort.label)))


def _check_folds(cohort: Cohort, folds: int) -> None:
    rarest = _rarest(cohort)
    if rarest < 2 * folds:
        what = "patients with the event" if cohort.event is not None else "patients of the rarest label"
        raise InvalidInputError(
            f"{folds} folds need at least {2 * folds} {what}; there are {rarest}. Take {max(2, rarest // 2)} folds, or "
            "scheme='loo'."
        )
