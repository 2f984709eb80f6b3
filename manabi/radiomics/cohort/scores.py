"""A score with its interval: what every number about a risk model is given as, and how the interval is made.

Intervals come from one bootstrap over patients (groups): each draw takes as many patients as there are, with
replacement, and every statistic is computed from the patients' counts. Two models are compared on the same draws.
What the bootstrap varies is the patients who are scored; the models and their cross-validation folds stay as they
are, so an interval does not hold the luck of the fit (said in ``Score.how``). A number that cannot be had, such as an
AUC at a time before the first event, is NaN with a reason, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from manabi.errors import InvalidInputError
from manabi.result import Cell, Table

NAN = float("nan")
COLUMNS = ("score", "estimate", "low", "high", "p", "n", "events", "interval", "reason")
LOST = 0.1
"""Share of draws that may leave a statistic undefined before it gets no interval (our choice)."""
CHUNK = 250
"""Draws that are held in memory at once."""


@dataclass(frozen=True)
class Score:
    """A number with its interval.

    Attributes:
        name: what was scored.
        estimate: the number; NaN where it cannot be had.
        low: lower end of the interval; NaN for none.
        high: upper end.
        how: how the interval was made.
        n: rows (tumours) behind it.
        events: of them with the event, or with the label.
        p: two-sided p of a difference or an effect; NaN where nothing was tested.
        reason: why the number or its interval is missing; "" where nothing is missing.
    """

    name: str
    estimate: float
    low: float
    high: float
    how: str
    n: int
    events: int
    p: float = NAN
    reason: str = ""

    def text(self, digits: int = 3) -> str:
        """``0.612 (0.551 to 0.670)``, or the reason why there is no number."""
        if not np.isfinite(self.estimate):
            return f"not available: {self.reason}"
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            return f"{self.estimate:.{digits}f}"
        return f"{self.estimate:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def missing(name: str, reason: str, n: int = 0, events: int = 0, how: str = "") -> Score:
    """A score that cannot be had."""
    return Score(name, NAN, NAN, NAN, how, n, events, NAN, reason)


def scores_table(scores: Iterable[Score]) -> Table:
    """A row per score; what is missing is empty, with the reason in the last column."""
    rows = []
    for one in scores:
        numbers: tuple[Cell, ...] = tuple(_cell(x) for x in (one.estimate, one.low, one.high, one.p))
        rows.append((one.name, *numbers, one.n, one.events, one.how, one.reason))
    return Table(COLUMNS, tuple(rows))


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        draws: how many.
        level: coverage aimed at.
        seed: of the draws; scores with the same seed and patients see the same draws.
    """

    draws: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no interval."""
        if self.draws < 20 or not 0 < self.level < 1:
            raise InvalidInputError(
                f"A bootstrap needs at least 20 draws and a level between 0 and 1; got {self.draws} and {self.level}."
            )

    @property
    def how(self) -> str:
        """In words."""
        return (
            f"percentile bootstrap over patients, {self.draws} draws, seed {self.seed}, {self.level:.0%}; models fixed"
        )

    def weights(self, groups: np.ndarray) -> Iterable[np.ndarray]:
        """Counts of each row in each draw, in chunks ``(draws, n)``; rows of one group come and go together.

        Args:
            groups: ``(n,)`` group (patient) of each row, as numbers from 0.
        """
        rng = np.random.default_rng(self.seed)
        n_groups = int(groups.max()) + 1
        share = np.full(n_groups, 1 / n_groups)
        for start in range(0, self.draws, CHUNK):
            size = min(CHUNK, self.draws - start)
            yield rng.multinomial(n_groups, share, size).astype(float)[:, groups]

    def limits(self, values: np.ndarray) -> tuple[float, float]:
        """Percentile interval of the draws that are numbers; NaN where more than a tenth are none."""
        good = values[np.isfinite(values)]
        if len(good) < (1 - LOST) * len(values):
            return NAN, NAN
        low, high = np.quantile(good, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Statistic:
    """A number that is computed from patients with weights, so that every draw of a bootstrap is one call.

    Attributes:
        name: what it is.
        of: ``(draws, n)`` weights to ``(draws,)`` values, NaN where undefined.
        groups: ``(n,)`` patient of each row, as numbers from 0.
        n: rows.
        events: of them with the event or label.
        reason: why it is undefined on the data as they are; "" where it is defined.
    """

    name: str
    of: Callable[[np.ndarray], np.ndarray]
    groups: np.ndarray
    n: int
    events: int
    reason: str = ""
    notes: Sequence[str] = field(default=())

    def estimate(self) -> float:
        """Its value on all rows."""
        return NAN if self.reason else float(self.of(np.ones((1, self.n)))[0])

    def draws(self, bootstrap: Bootstrap) -> np.ndarray:
        """Its value in each draw."""
        return np.concatenate([self.of(weights) for weights in bootstrap.weights(self.groups)])


def score(statistic: Statistic, bootstrap: Bootstrap | None = None) -> Score:
    """The statistic with its bootstrap interval.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
    """
    bootstrap = bootstrap or Bootstrap()
    estimate = statistic.estimate()
    how = "; ".join([bootstrap.how, *statistic.notes])
    if not np.isfinite(estimate):
        reason = statistic.reason or "it is undefined on these data"
        return missing(statistic.name, reason, statistic.n, statistic.events, how)
    low, high = bootstrap.limits(statistic.draws(bootstrap))
    return Score(statistic.name, estimate, low, high, how, statistic.n, statistic.events, NAN, _no_interval(low))


def difference(name: str, first: Statistic, second: Statistic, bootstrap: Bootstrap | None = None) -> Score:
    """First minus second on the same patients, with the interval and p of the paired bootstrap.

    The two-sided p is twice the smaller share of draws on one side of zero, with one added to both counts, so that it
    is never 0 and agrees with the percentile interval (A. Davison, D. Hinkley, "Bootstrap Methods and their
    Application", 1997, section 4.2).

    Args:
        name: what the difference is, e.g. ``combined - clinical``.
        first: one statistic.
        second: the other, of the same rows.
        bootstrap: how the interval is made.

    Raises:
        InvalidInputError: where the two are not of the same patients.
    """
    bootstrap = bootstrap or Bootstrap()
    if first.n != second.n or not np.array_equal(first.groups, second.groups):
        raise InvalidInputError(
            f"A paired difference needs the same patients in the same order; {first.name} has {first.n} rows and "
            f"{second.name} {second.n}. Score both on the rows that both have."
        )
    if reason := first.reason or second.reason:
        return missing(name, reason, first.n, first.events, bootstrap.how)
    values = first.draws(bootstrap) - second.draws(bootstrap)
    estimate = first.estimate() - second.estimate()
    low, high = bootstrap.limits(values)
    how = "; ".join([f"paired {bootstrap.how}", *first.notes])
    p = two_sided(values) if np.isfinite(low) else NAN
    return Score(name, estimate, low, high, how, first.n, first.events, p, _no_interval(low))


def two_sided(values: np.ndarray) -> float:
    """Two-sided bootstrap p that the draws' true value is 0."""
    good = values[np.isfinite(values)]
    below, above = (good <= 0).sum(), (good >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(good) + 1)))


def _no_interval(low: float) -> str:
    return "" if np.isfinite(low) else f"more than {LOST:.0%} of the draws leave it undefined: no interval"


def p_text(p: float) -> str:
    """``p 0.042``, ``p < 0.001``, or ``p not available``."""
    if not np.isfinite(p):
        return "p not available"
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def renamed(one: Score, name: str) -> Score:
    """The same score under another name."""
    return replace(one, name=name)
