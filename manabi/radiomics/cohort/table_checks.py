"""What a cohort must be: parts that fit each other, and enough patients with an outcome to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from manabi.radiomics.cohort.table import Cohort

MIN_EVENTS = 10
"""Fewer events (or rows of the rarer label) than this cannot be cross-validated (our choice; 10 to 20 events for each
candidate parameter are asked for in a study: R. Riley et al., 2019, 10.1002/sim.7992)."""


def check_parts(cohort: Cohort) -> None:
    """Refuse parts that do not fit each other or hold impossible numbers."""
    n, p = len(cohort.patients), len(cohort.feature_names)
    if n == 0:
        raise InvalidInputError("A cohort needs at least one row.")
    if cohort.features.shape != (n, p):
        raise InvalidInputError(f"Features must be rows x names, {(n, p)}; got {cohort.features.shape}.")
    if len(set(cohort.feature_names)) != p:
        raise InvalidInputError(f"{p - len(set(cohort.feature_names))} feature names occur twice; give each its own.")
    bad = np.flatnonzero(np.isinf(cohort.features).any(0))
    if bad.size:
        raise InvalidInputError(
            f"{bad.size} features hold infinite values, e.g. {cohort.feature_names[bad[0]]!r}; leave such values empty "
            "(missing)."
        )
    for name in ("volume_ml", "time_days", "event", "label", "centre", "repeated"):
        values = getattr(cohort, name)
        if values is not None and len(values) != n:
            raise InvalidInputError(f"{name} must have one value for each of {n} rows; got {len(values)}.")
    for column in cohort.clinical:
        if column.values.shape != (n,):
            raise InvalidInputError(f"Clinical column {column.name!r} must have {n} values.")
    if cohort.repeated is not None and (
        cohort.repeated.ndim != 3 or cohort.repeated.shape[2] != p or cohort.repeated.shape[1] < 2
    ):
        raise InvalidInputError(f"Repeated measures must be rows x at least 2 measures x {p} features.")
    _check_volume(cohort)
    _check_outcome(cohort)


def _check_volume(cohort: Cohort) -> None:
    if cohort.volume_ml is None:
        return
    wrong = int((~np.isnan(cohort.volume_ml) & ~(cohort.volume_ml > 0)).sum())
    if wrong:
        raise InvalidInputError(f"Volumes in mL must be above 0; {wrong} are not. Correct or empty them.")


def _check_outcome(cohort: Cohort) -> None:
    if (cohort.time_days is None) != (cohort.event is None):
        raise InvalidInputError("Survival needs both time_days and event.")
    if cohort.time_days is not None and cohort.label is not None:
        raise InvalidInputError("A cohort has either a time with an event or a label; make two cohorts for both.")
    if cohort.time_days is not None:
        wrong = int((~(cohort.time_days > 0) | np.isinf(cohort.time_days)).sum())
        if wrong:
            raise InvalidInputError(
                f"Times must be known and above 0 days; {wrong} rows are missing, negative, zero or infinite. Correct "
                "them (an event on the first day counts as half a day) or leave the rows out."
            )
    if cohort.label is not None:
        levels = len(cohort.label_levels)
        if levels < 2 or not np.isin(cohort.label, np.arange(levels)).all():
            raise InvalidInputError(f"Labels must be 0 to {max(levels, 2) - 1}, with a name for each level.")


def check_enough(cohort: Cohort) -> None:
    """Refuse a cohort that no cross-validation can learn from.

    Raises:
        InvalidInputError: no outcome, too few events or too few rows of a label.
    """
    if cohort.kind == "none":
        raise InvalidInputError("The cohort has no outcome: give time_days and event, or a label.")
    if cohort.kind == "survival":
        count, what = cohort.n_events, "events"
    else:
        counts = np.bincount(cohort.label, minlength=len(cohort.label_levels))  # type: ignore[arg-type]
        if (counts == 0).any():
            name = cohort.label_levels[int(np.argmin(counts))]
            raise InvalidInputError(f"No row has the label {name!r}: leave that level out.")
        count = cohort.n_events if cohort.kind == "ordinal" else int(counts.min())
        what = "rows that are not of the commonest label" if cohort.kind == "ordinal" else "rows of the rarer label"
    if count < MIN_EVENTS:
        raise InvalidInputError(
            f"{count} {what} in {len(cohort)} rows are too few: at least {MIN_EVENTS} are needed, and about 10 for "
            "each variable of a model. Wait for more follow-up, add patients, or take an outcome that is more frequent."
        )
