"""Decision curves: what acting on a model is worth against treating all or none, for survival and for labels.

Net benefit counts true positives, less false positives at the exchange rate that the threshold itself states: who acts
at a risk of 20 % thinks four unneeded treatments as bad as one missed (A. Vickers, E. Elkin, "Decision curve analysis",
2006, 10.1177/0272989X06295361; survival: A. Vickers et al., "Extensions to decision curve analysis", 2008,
10.1186/1472-6947-8-53).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import NAN, Bootstrap
from manabi.radiomics.cohort.scores_data import Followup, Predicted, numbered
from manabi.radiomics.cohort.scores_km import survival_at
from manabi.radiomics.cohort.scores_labels import checked_labels, probabilities
from manabi.result import Table

THRESHOLDS = tuple(np.round(np.arange(0.05, 0.951, 0.05), 2).tolist())
DRAWS = Bootstrap(draws=500)


@dataclass(frozen=True, eq=False)
class NetBenefit:
    """One line of a decision curve.

    Attributes:
        name: of the model.
        value: ``(k,)`` net benefit at each threshold, per patient; NaN where it cannot be had.
        low: ``(k,)`` lower end of the interval.
        high: ``(k,)`` upper end.
    """

    name: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit of models, and of treating all; treating none is 0 at every threshold.

    Attributes:
        title: of what, at which time.
        thresholds: ``(k,)`` risks at which one would act.
        models: of each block.
        treat_all: of treating everybody.
        how: how the intervals were made.
    """

    title: str
    thresholds: np.ndarray
    models: tuple[NetBenefit, ...]
    treat_all: NetBenefit
    how: str

    def table(self) -> Table:
        """A row per strategy and threshold."""
        rows = [
            (
                line.name,
                float(t),
                *(float(x[k]) if np.isfinite(x[k]) else None for x in (line.value, line.low, line.high)),
            )
            for line in (*self.models, self.treat_all)
            for k, t in enumerate(self.thresholds)
        ]
        return Table(("strategy", "threshold", "net_benefit", "low", "high"), tuple(rows))


def decide_survival(
    follow: Followup, blocks: Mapping[str, Predicted], t: float, thresholds: tuple[float, ...] = THRESHOLDS,
    bootstrap: Bootstrap = DRAWS,
) -> DecisionCurve:  # fmt: skip
    """Net benefit at a time: the event's risk among those above the threshold is Kaplan-Meier's.

    It cannot be had where nobody above a threshold was followed to ``t``.

    Args:
        follow: n rows.
        blocks: predictions with survival at ``t``, by name.
        t: in the follow-up's unit.
        thresholds: between 0 and 1.
        bootstrap: how intervals are made.

    Raises:
        InvalidInputError: where no survival was predicted for ``t``, or a threshold is none.
    """
    risks = {}
    for name, one in blocks.items():
        one.fits(follow.n)
        survival = one.survival_at(t)
        if survival is None:
            raise InvalidInputError(f"{name}: no survival was predicted for {follow.words(t)}; predict it there.")
        risks[name] = 1 - survival
    positives = partial(_by_time, follow, t)
    return _curve(follow.words(t), risks, positives, follow.patients, thresholds, bootstrap)


def decide_labels(
    label: np.ndarray, blocks: Mapping[str, Predicted], groups: np.ndarray | None = None,
    thresholds: tuple[float, ...] = THRESHOLDS, bootstrap: Bootstrap = DRAWS,
) -> DecisionCurve:  # fmt: skip
    """Net benefit for a label.

    Args:
        label: ``(n,)`` 0 or 1.
        blocks: predicted probabilities by name.
        groups: patients.
        thresholds: between 0 and 1.
        bootstrap: how intervals are made.

    Raises:
        InvalidInputError: where labels are not 0 and 1, risks are no probabilities, or a threshold is none.
    """
    y = checked_labels(label, len(np.asarray(label)))
    for one in blocks.values():
        one.fits(len(y))
    risks = {name: probabilities(one) for name, one in blocks.items()}
    return _curve("label", risks, partial(_by_label, y), numbered(groups, len(y)), thresholds, bootstrap)


def _by_time(follow: Followup, t: float, weights: np.ndarray) -> np.ndarray:
    """Weight of those with the event by ``t``, by Kaplan-Meier; none where nobody has weight."""
    total = weights.sum(axis=1)
    return np.where(total > 0, total * (1 - survival_at(follow, np.array([t]), weights)[:, 0]), 0.0)


def _by_label(label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ label


def _curve(
    title: str, risks: Mapping[str, np.ndarray], positives: partial, patients: np.ndarray,
    thresholds: tuple[float, ...], bootstrap: Bootstrap,
) -> DecisionCurve:  # fmt: skip
    at = np.asarray(thresholds, float)
    if at.ndim != 1 or len(at) == 0 or not ((at > 0) & (at < 1)).all():
        raise InvalidInputError("Thresholds are risks between 0 and 1, both left out.")
    everyone = np.ones((1, len(patients)))
    lines = [_line(name, risk, positives, patients, at, bootstrap) for name, risk in risks.items()]
    return DecisionCurve(title, at, tuple(lines), _line("treat all", everyone, positives, patients, at, bootstrap),
                         bootstrap.how)  # fmt: skip


def _line(
    name: str, risk: np.ndarray, positives: partial, patients: np.ndarray, thresholds: np.ndarray, bootstrap: Bootstrap
) -> NetBenefit:
    value = _benefit(risk, positives, thresholds, np.ones((1, len(patients))))[0]
    draws = np.concatenate([_benefit(risk, positives, thresholds, w) for w in bootstrap.weights(patients)])
    limits = np.array([bootstrap.limits(column) for column in draws.T])
    known = np.isfinite(value)
    return NetBenefit(name, value, np.where(known, limits[:, 0], NAN), np.where(known, limits[:, 1], NAN))


def _benefit(risk: np.ndarray, positives: partial, thresholds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(draws, k)`` net benefit, mean over the repeats."""
    out = np.zeros((len(weights), len(thresholds)))
    total = weights.sum(axis=1)
    for one in risk:
        for k, threshold in enumerate(thresholds):
            treated = weights * (one >= threshold)
            true = positives(treated)
            false = treated.sum(axis=1) - true
            out[:, k] += (true - false * threshold / (1 - threshold)) / total
    return out / len(risk)
