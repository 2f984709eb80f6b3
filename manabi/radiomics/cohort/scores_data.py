"""What is scored: follow-up, and predictions for it that were made without having seen it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

YEARS = (1.0, 2.0, 3.0, 5.0)
"""When a model is scored unless told otherwise."""
PER_YEAR = {"days": 365.25, "weeks": 365.25 / 7, "months": 12.0, "years": 1.0}


@dataclass(frozen=True, eq=False)
class Followup:
    """How long each row (tumour, patient) was followed and what ended it.

    Attributes:
        time: ``(n,)`` time to the event or to the end of follow-up, in ``unit``, above 0.
        event: ``(n,)`` whether the event was seen.
        groups: ``(n,)`` patient of each row, any values; None where every row is a patient.
        unit: ``days``, ``weeks``, ``months`` or ``years``.

    Raises:
        InvalidInputError: where the arrays do not fit or hold what is no follow-up.
    """

    time: np.ndarray
    event: np.ndarray
    groups: np.ndarray | None = None
    unit: str = "months"

    def __post_init__(self) -> None:
        """Check, and bring to floats, truth values and group numbers."""
        time = np.array(self.time, float)
        event = np.asarray(self.event)
        if time.ndim != 1 or event.shape != time.shape or len(time) == 0:
            raise InvalidInputError(f"Times and events must be as many; got {time.shape} and {event.shape}.")
        if not (np.isfinite(time).all() and (time > 0).all()):
            raise InvalidInputError("Follow-up times must be above 0 and known; leave the others out, or correct them.")
        if not np.isin(event, [0, 1]).all():
            raise InvalidInputError("An event is 0 (not seen, censored) or 1 (seen).")
        if self.unit not in PER_YEAR:
            raise InvalidInputError(f"The unit of time is one of {', '.join(PER_YEAR)}; got {self.unit!r}.")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "event", event.astype(bool))
        object.__setattr__(self, "groups", numbered(self.groups, len(time)))

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.time)

    @property
    def events(self) -> int:
        """Rows with the event."""
        return int(self.event.sum())

    @property
    def patients(self) -> np.ndarray:
        """``(n,)`` patient of each row as numbers from 0."""
        return np.asarray(self.groups)

    def default_times(self) -> tuple[float, ...]:
        """1, 2, 3 and 5 years in the unit."""
        return tuple(year * PER_YEAR[self.unit] for year in YEARS)

    def years(self, t: float) -> float:
        """A time of the unit in years."""
        return t / PER_YEAR[self.unit]

    def words(self, t: float) -> str:
        """A time as a reader says it: whole years for days and weeks, else the number with the unit."""
        years = self.years(t)
        if self.unit in ("days", "weeks") and years >= 1 and abs(years - round(years)) < 1e-6:
            return f"{round(years)} year{'s' if round(years) > 1 else ''}"
        return f"{t:g} {self.unit}"

    def take(self, rows: np.ndarray) -> Followup:
        """Some of the rows."""
        return Followup(self.time[rows], self.event[rows], self.patients[rows], self.unit)


def numbered(groups: np.ndarray | None, n: int) -> np.ndarray:
    """Groups as numbers from 0; each row its own where there are none.

    Raises:
        InvalidInputError: where there are not as many as rows.
    """
    if groups is None:
        return np.arange(n)
    values = np.asarray(groups)
    if values.shape != (n,):
        raise InvalidInputError(f"Every row needs its group (patient): expected {n}, got {values.shape}.")
    return np.unique(values, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for every row, made by a model that had not seen it (out of fold, or from another cohort).

    Attributes:
        risk: ``(repeats, n)`` or ``(n,)``, higher is worse.
        survival: ``(repeats, n, times)`` or ``(n, times)`` predicted survival at ``times``, or None.
        times: ``(times,)`` ascending, in the follow-up's unit.
        folds: ``(repeats, n)`` or ``(n,)`` test fold of each row. Where given, only patients of one fold are compared
            by rank: risks of two models are not on one scale, and pooling them biases C downwards for weak models.
            None for one model (external validation) or leave-one-out.
        ranks: ``(repeats, n)`` or ``(n,)`` what is compared by rank, where that is not the risk as it is:
            leave-one-out compares risks of many models, see :meth:`Evaluation.ranked`. None for the risk.

    Raises:
        InvalidInputError: where the arrays do not fit each other or hold gaps.
    """

    risk: np.ndarray
    survival: np.ndarray | None = None
    times: np.ndarray | None = None
    folds: np.ndarray | None = None
    ranks: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check, and give every array its axis of repeats."""
        risk = np.atleast_2d(np.array(self.risk, float))
        if risk.ndim != 2 or not np.isfinite(risk).all():
            raise InvalidInputError("The risk is a known number for every repeat and row; rows without are left out.")
        object.__setattr__(self, "risk", risk)
        ranks = risk if self.ranks is None else np.atleast_2d(np.array(self.ranks, float))
        if ranks.shape != risk.shape or not np.isfinite(ranks).all():
            raise InvalidInputError(f"Ranks are known numbers, one for each risk: expected {risk.shape}.")
        object.__setattr__(self, "ranks", ranks)
        if self.folds is not None:
            folds = np.atleast_2d(np.asarray(self.folds))
            if folds.shape != risk.shape:
                raise InvalidInputError(f"Every risk needs its fold: expected {risk.shape}, got {folds.shape}.")
            object.__setattr__(self, "folds", folds)
        if self.survival is not None:
            self._check_survival(risk.shape)

    def _check_survival(self, shape: tuple[int, ...]) -> None:
        survival = np.array(self.survival, float)
        survival = survival[None] if survival.ndim == 2 else survival
        times = np.array(self.times if self.times is not None else [], float)
        if survival.shape != (*shape, len(times)) or len(times) == 0 or (np.diff(times) <= 0).any():
            raise InvalidInputError(
                f"Predicted survival must be repeats x rows x times, with ascending times; expected "
                f"{(*shape, len(times))}, got {survival.shape}."
            )
        if not ((survival >= 0) & (survival <= 1)).all():
            raise InvalidInputError("Predicted survival lies between 0 and 1.")
        object.__setattr__(self, "survival", survival)
        object.__setattr__(self, "times", times)

    def survival_at(self, t: float) -> np.ndarray | None:
        """``(repeats, n)`` survival at ``t``: the step at or before it; None beyond the last time predicted for."""
        if self.survival is None or self.times is None or t > self.times[-1]:
            return None
        place = int(np.searchsorted(self.times, t, side="right")) - 1
        return np.ones(self.risk.shape) if place < 0 else self.survival[:, :, place]

    def fits(self, n: int) -> None:
        """Refuse predictions for another number of rows."""
        if self.risk.shape[1] != n:
            raise InvalidInputError(f"Expected predictions for {n} rows; got {self.risk.shape[1]}.")

    @property
    def constant(self) -> bool:
        """Whether no two rows that are compared differ in risk."""
        spread = [np.ptp(row[labels == f]) for row, labels in self._parts() for f in np.unique(labels)]
        return max(spread) <= tolerance(self.ranked)

    @property
    def ranked(self) -> np.ndarray:
        """``(repeats, n)`` what is compared by rank."""
        return np.asarray(self.ranks)

    def _parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        folds = np.zeros(self.risk.shape, int) if self.folds is None else self.folds
        return list(zip(self.ranked, folds, strict=True))


def tolerance(risk: np.ndarray) -> float:
    """Differences of risk up to this are rounding, and count as ties (our choice)."""
    return 1e-10 * float(np.abs(risk).max(initial=0.0))
