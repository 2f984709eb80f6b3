"""Calibration of predicted survival at a time: in the large, slope, smooth curve, ICI, fifths of the patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.calibration_parts import (
    DRAWS,
    EDGE,
    GROUPS,
    Bin,
    Calibration,
    distances,
    grid_of,
    knots_of,
    spline,
    with_intervals,
)
from manabi.radiomics.cohort.groups_cox import fit_cox, survival_at_beta
from manabi.radiomics.cohort.scores import NAN, Bootstrap, Score, missing
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_km import kaplan_meier, survival_at

NAMES = ("observed / expected", "calibration slope", "ICI", "E50", "E90")


def calibrate(follow: Followup, predicted: Predicted, t: float, bootstrap: Bootstrap = DRAWS) -> Calibration:
    """Predicted against observed risk at a time.

    *In the large*: Kaplan-Meier risk over mean predicted risk, 1 is right, above 1 the model promises too much.
    *Slope*: coefficient of log(-log(predicted survival)) in a Cox model, 1 is right, below 1 the predictions are too
    extreme (an overfitted model). *Curve*: Cox on a restricted cubic spline of the same with three knots; *ICI, E50,
    E90*: mean, median and 90th percentile of its distance from the diagonal. Repeats of the cross-validation count as
    one each, divided by their number; patients are what the bootstrap draws.

    Source: P. Austin, F. Harrell, D. van Klaveren, "Graphical calibration curves and the integrated calibration index
    (ICI) for survival models", 2020, 10.1002/sim.8570; H. van Houwelingen, "Validation, calibration, revision and
    combination of prognostic survival models", 2000.

    Args:
        follow: n rows.
        predicted: with survival at ``t``.
        t: in the follow-up's unit.
        bootstrap: how intervals are made.

    Raises:
        InvalidInputError: where there is no predicted survival at ``t``, or of another number of rows.
    """
    predicted.fits(follow.n)
    survival = predicted.survival_at(t)
    if survival is None:
        raise InvalidInputError(f"No survival was predicted for {follow.words(t)}; predict it at that time.")
    title = follow.words(t)
    if reason := _why_not(follow, survival, t):
        nothing = np.zeros(0)
        scores = tuple(missing(name, reason, follow.n, follow.events) for name in NAMES)
        return Calibration(title, scores, nothing, nothing, nothing, nothing, ())
    parts = _Stacked.of(follow, survival, t)
    events = int((follow.event & (follow.time <= t)).sum())
    scores, observed, low, high = with_intervals(parts.numbers, NAMES, follow.patients, events, bootstrap)
    return Calibration(title, scores, parts.grid, observed, low, high, parts.bins(bootstrap.level))


def _why_not(follow: Followup, survival: np.ndarray, t: float) -> str:
    if not (follow.event & (follow.time <= t)).any():
        return f"no event by {follow.words(t)}"
    if not (follow.time >= t).any():
        return f"nobody was followed for {follow.words(t)}"
    if np.ptp(np.clip(survival, EDGE, 1 - EDGE)) < 1e-9:
        return "the predicted survival is the same for all patients"
    return ""


@dataclass(frozen=True, eq=False)
class _Stacked:
    """All repeats one below the other, each row weighing one over the number of repeats."""

    follow: Followup
    rows: Followup
    risk: np.ndarray
    log_hazard: np.ndarray
    knots: np.ndarray
    grid: np.ndarray
    repeats: int
    t: float

    @classmethod
    def of(cls, follow: Followup, survival: np.ndarray, t: float) -> _Stacked:
        """Stack."""
        repeats = len(survival)
        kept = np.clip(survival.ravel(), EDGE, 1 - EDGE)
        rows = Followup(np.tile(follow.time, repeats), np.tile(follow.event, repeats),
                        np.tile(follow.patients, repeats), follow.unit)  # fmt: skip
        log_hazard = np.log(-np.log(kept))
        return cls(follow, rows, 1 - kept, log_hazard, knots_of(log_hazard), grid_of(1 - kept), repeats, t)

    def numbers(self, weights: np.ndarray) -> np.ndarray:
        """``(draws, n)`` weights to ``(draws, 5 + points)``: the scores and the curve."""
        w = np.tile(weights, (1, self.repeats)) / self.repeats
        expected = (w * self.risk).sum(axis=1) / w.sum(axis=1)
        seen = 1 - survival_at(self.follow, np.array([self.t]), weights)[:, 0]
        slope = fit_cox(self.rows, self.log_hazard[:, None], w, "breslow").beta
        x = spline(self.log_hazard, self.knots)
        beta = fit_cox(self.rows, x, w, "breslow").beta
        at = spline(np.log(-np.log1p(-self.grid)), self.knots)
        both = 1 - survival_at_beta(self.rows, x, w, beta, np.concatenate([x, at]), self.t)
        own, curve = both[:, : len(x)], both[:, len(x) :]
        return np.concatenate([(seen / expected)[:, None], slope, distances(own, self.risk[None], w), curve], axis=1)

    def bins(self, level: float) -> tuple[Bin, ...]:
        """Fifths of the rows by predicted risk, with their Kaplan-Meier risk."""
        order = np.argsort(self.risk, kind="stable")
        out = []
        for members in np.array_split(order, min(GROUPS, len(order))):
            part = self.rows.take(members)
            at = kaplan_meier(part, np.full(part.n, 1 / self.repeats), level).at(self.t)
            out.append(Bin(part.n / self.repeats, float(self.risk[members].mean()), _turned(at)))
        return tuple(out)


def _turned(survival: Score) -> Score:
    """Risk from survival."""
    one = survival
    return Score("observed risk", 1 - one.estimate, 1 - one.high, 1 - one.low, one.how, one.n, one.events, NAN,
                 one.reason)  # fmt: skip
