"""Numbers of the NoduleSynth experiment: several trainings of an arm averaged, chests resampled.

A value is ``[mean, low, high]``. Every training of every arm marks the same films, and the resamples are the same for
all, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from Training.froc import RATES, Denominator, Scored, curve, cuts, shares
from Training.froc_statistics import check_paired, node21, sensitivities, weights
from Training.resampling import Estimate, interval

Value = list[float]
Statistic = Callable[[Scored, np.ndarray], np.ndarray]
"""Of the films and their weights ``(resamples, films)``: one number per resample."""


def as_value(estimate: Estimate) -> Value:
    """As JSON has it."""
    return [float(estimate.value), float(estimate.low), float(estimate.high)]


def averaged(trainings: Sequence[Scored], statistic: Statistic, drawn: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over trainings: of all films, and in every resample."""
    once = np.ones((1, drawn.shape[1]))
    value = float(np.mean([statistic(scored, once)[0] for scored in trainings]))
    return value, np.mean([statistic(scored, drawn) for scored in trainings], axis=0)


def found_at(rate: float, denominator: Denominator = "all") -> Statistic:
    """Sensitivity at a rate."""
    return lambda scored, w: sensitivities(scored, rate, w, denominator)


def found_among(groups: np.ndarray, group: int, rate: float) -> Statistic:
    """Sensitivity of a group of nodules at the threshold of all films, held fixed."""

    def statistic(scored: Scored, w: np.ndarray) -> np.ndarray:
        cut = cuts(scored, rate, np.ones((1, w.shape[1])))
        return shares(scored, np.repeat(cut, len(w)), w, groups == group)

    return statistic


def area(scored: Scored, w: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of films with against films without nodules."""
    yes, no = np.flatnonzero(scored.diseased), np.flatnonzero(~scored.diseased)
    wins = np.heaviside(scored.image_scores[yes][:, None] - scored.image_scores[no][None], 0.5)
    pairs = w[:, yes].sum(1) * w[:, no].sum(1)
    won = ((w[:, yes] @ wins) * w[:, no]).sum(1)
    return np.divide(won, pairs, out=np.full(len(w), np.nan), where=pairs > 0)


def summary(trainings: Sequence[Scored], boxed: Sequence[Scored], resamples: int) -> dict[str, object]:
    """Everything that the page says of an arm on one set of films.

    Args:
        trainings: the arm's, by circles.
        boxed: the same by boxes, for NODE21's score.
        resamples: of every interval.
    """
    one = trainings[0]
    drawn = weights(one, resamples)

    def value(statistic: Statistic) -> Value:
        return as_value(interval(*averaged(trainings, statistic, drawn)))

    denominators: tuple[Denominator, ...] = ("all", "diseased")
    return {
        "films": len(one.patients), "chests": len(set(one.patients.tolist())), "nodules": len(one.nodule_film),
        "sensitivity": {d: {f"{r:g}": value(found_at(r, d)) for r in RATES} for d in denominators},
        "auc": value(area), "node21": float(np.mean([node21(scored) for scored in boxed])),
        "place": {str(g): [*value(found_among(one.place, int(g), 0.2)), int((one.place == g).sum())]
                  for g in np.unique(one.place)},
        "subtlety": {str(g): [*value(found_among(one.subtlety, int(g), 0.2)), int((one.subtlety == g).sum())]
                     for g in np.unique(one.subtlety)},
    }  # fmt: skip


def difference(
    first: Sequence[Scored], second: Sequence[Scored], rate: float, resamples: int
) -> Value:  # fmt: skip
    """Sensitivity of the first arm less that of the second at a rate, trainings averaged, same resamples.

    Raises:
        InvalidInputError: when the films are not the same.
    """
    check_paired([*first, *second])
    drawn = weights(first[0], resamples)
    a, b = (averaged(trainings, found_at(rate), drawn) for trainings in (first, second))
    return as_value(interval(a[0] - b[0], a[1] - b[1]))


def mean_curve(trainings: Sequence[Scored], rates: Sequence[float]) -> list[float]:
    """Sensitivity at every rate of a grid, trainings averaged, for the figure."""
    found = []
    for scored in trainings:
        x, y = curve(scored)
        found.append([float(y[x <= rate + 1e-12].max()) for rate in rates])
    return [float(v) for v in np.mean(found, axis=0)]
