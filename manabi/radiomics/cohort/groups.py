"""Two groups by predicted risk: Kaplan-Meier, log-rank, hazard ratio, survival at a time, restricted mean survival.

The cut is one that was fixed on training patients. A cut that is looked for in the patients who are then compared makes
small p-values by itself (D. Altman et al., "Dangers of using optimal cutpoints in the evaluation of prognostic
factors", 1994, 10.1093/jnci/86.11.829), so there is no search for one here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.groups_cox import fit_cox
from manabi.radiomics.cohort.scores import NAN, Score, missing, scores_table
from manabi.radiomics.cohort.scores_data import Followup
from manabi.radiomics.cohort.scores_km import Curve, kaplan_meier
from manabi.result import Table

LOW, HIGH = "low risk", "high risk"


@dataclass(frozen=True, eq=False)
class Split:
    """Low against high risk.

    Attributes:
        high: ``(n,)`` who is in the group of high risk.
        curves: Kaplan-Meier curve by group.
        ratio: hazard ratio of high against low risk, Cox.
        log_rank: chi-squared of the log-rank test with its p.
        survival: at ``t``, by group.
        rmst: restricted mean survival to ``t``, by group.
        rmst_gain: of low over high risk.
        t: the time, in the follow-up's unit.
    """

    high: np.ndarray
    curves: dict[str, Curve]
    ratio: Score
    log_rank: Score
    survival: dict[str, Score]
    rmst: dict[str, Score]
    rmst_gain: Score
    t: float

    def scores(self) -> tuple[Score, ...]:
        """All numbers."""
        return (self.ratio, self.log_rank, *self.survival.values(), *self.rmst.values(), self.rmst_gain)

    def table(self) -> Table:
        """A row per number."""
        return scores_table(self.scores())


def split_by_risk(
    follow: Followup, risk: np.ndarray, threshold: float | np.ndarray, t: float | None = None, level: float = 0.95
) -> Split:
    """Compare patients above a risk with those at or below it.

    Rows of one patient are taken as independent in these tests; ``how`` says so where there are such rows.

    Args:
        follow: n rows.
        risk: ``(n,)`` out-of-fold or external risk.
        threshold: the *training* patients' median risk; ``(n,)`` where each row's model has its own.
        t: for survival and restricted mean; None for 5 years, or the last time both groups were followed to.
        level: of the intervals.

    Raises:
        InvalidInputError: where the arrays do not fit.
    """
    risk = np.asarray(risk, float)
    cut = np.asarray(threshold, float)
    if risk.shape != (follow.n,) or cut.shape not in ((), (follow.n,)):
        raise InvalidInputError(
            f"Expected {follow.n} risks and one threshold or as many; got {risk.shape}, {cut.shape}."
        )
    if not (np.isfinite(risk).all() and np.isfinite(cut).all()):
        raise InvalidInputError("Every row needs a known risk and a known training median; leave the others out.")
    high = risk > cut
    parts = {LOW: follow.take(np.flatnonzero(~high)) if not high.all() else None,
             HIGH: follow.take(np.flatnonzero(high)) if high.any() else None}  # fmt: skip
    present = {name: part for name, part in parts.items() if part is not None}
    if t is None:
        t = min(follow.default_times()[-1], *[part.time.max() for part in present.values()])
    curves = {name: kaplan_meier(part, level=level) for name, part in present.items()}
    words = follow.words(t)
    one_group = f"all patients are in one group at this threshold; nobody is at {LOW if high.all() else HIGH}"
    survival = {
        name: curves[name].at(t, f"survival at {words}, {name}")
        if name in curves else missing(f"survival at {words}, {name}", one_group) for name in (LOW, HIGH)
    }  # fmt: skip
    rmst = {name: restricted_mean(curves[name], t, name, level) if name in curves
            else missing(f"mean survival to {words}, {name}", one_group) for name in (LOW, HIGH)}  # fmt: skip
    return Split(high, curves, hazard_ratio(follow, high, level), log_rank(follow, high), survival, rmst,
                 _gain(rmst, words, level), t)  # fmt: skip


def hazard_ratio(follow: Followup, high: np.ndarray, level: float = 0.95) -> Score:
    """Hazard ratio of one group against the other, Cox with Efron's ties, Wald's interval."""
    fit = fit_cox(follow, np.asarray(high, float)[:, None])
    return noted(fit.ratio("hazard ratio, high against low risk", follow, level=level), follow)


def log_rank(follow: Followup, high: np.ndarray) -> Score:
    """Log-rank chi-squared (1 degree of freedom) with its p, by lifelines; it has no interval.

    Source: N. Mantel, "Evaluation of survival data and two new rank order statistics arising in its consideration",
    1966.
    """
    from lifelines.statistics import logrank_test

    high = np.asarray(high, bool)
    name, how = "log-rank chi-squared", "log-rank test, 1 degree of freedom"
    if high.all() or not high.any() or follow.events == 0:
        reason = "no event" if follow.events == 0 else "all patients are in one group"
        return missing(name, reason, follow.n, follow.events, how)
    time, event = follow.time, follow.event
    result = logrank_test(time[high], time[~high], event[high], event[~high])
    return noted(Score(name, float(result.test_statistic), NAN, NAN, how, follow.n, follow.events,
                        float(result.p_value)), follow)  # fmt: skip


def noted(one: Score, follow: Followup) -> Score:
    """The score, saying where rows of one patient were taken as independent."""
    repeated = follow.n > len(np.unique(follow.patients))
    return replace(one, how=one.how + "; rows of one patient taken as independent") if repeated else one


def restricted_mean(curve: Curve, t: float, group: str = "", level: float = 0.95) -> Score:
    """Mean survival within the first ``t``: the area under the curve, with a normal interval from Greenwood's variance.

    Source: P. Royston, M. Parmar, "Restricted mean survival time: an alternative to the hazard ratio", 2013,
    10.1186/1471-2288-13-152.
    """
    follow = curve.follow
    name = f"mean survival to {follow.words(t)}" + (f", {group}" if group else "")
    how = f"area under Kaplan-Meier, Greenwood, {level:.0%}"
    if t > curve.times[-1] and curve.survival[-1] > 0:
        return missing(name, f"nobody was followed for {follow.words(t)}", follow.n, follow.events, how)
    inside = curve.times < t
    times = np.append(curve.times[inside], t)
    areas = curve.survival[inside] * np.diff(times)
    to_come = np.cumsum(areas[::-1])[::-1]
    dead = np.array([(follow.event & (follow.time == u)).sum() for u in times[1:-1]])
    risk = curve.at_risk(times[1:-1])
    left = risk - dead
    terms = np.where((dead > 0) & (left > 0), to_come[1:] ** 2 * dead / (risk * np.maximum(left, 1)), 0.0)
    error = float(np.sqrt(terms.sum()))
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    value = float(areas.sum())
    reason = "" if error > 0 else "no event before: no variance, no interval"
    low, high = (value - half, value + half) if error > 0 else (NAN, NAN)
    return Score(name, value, low, high, how, follow.n, follow.events, NAN, reason)


def _gain(rmst: dict[str, Score], words: str, level: float) -> Score:
    """Difference of two independent restricted means."""
    low, high = rmst[LOW], rmst[HIGH]
    name, how = f"mean survival to {words}, {LOW} - {HIGH}", f"difference of two areas, Greenwood, {level:.0%}"
    if not (np.isfinite(low.estimate) and np.isfinite(high.estimate)):
        return missing(name, low.reason or high.reason, low.n + high.n, low.events + high.events, how)
    gain = low.estimate - high.estimate
    if not (np.isfinite(low.low) and np.isfinite(high.low)):
        return Score(name, gain, NAN, NAN, how, low.n + high.n, low.events + high.events, NAN,
                     "a group without event has no variance: no interval")  # fmt: skip
    half = float(np.hypot(low.high - low.estimate, high.high - high.estimate))
    error = half / stats.norm.ppf((1 + level) / 2)
    p = float(2 * stats.norm.sf(abs(gain) / error))
    return Score(name, gain, gain - half, gain + half, how, low.n + high.n, low.events + high.events, p)
