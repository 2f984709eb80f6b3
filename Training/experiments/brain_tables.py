"""Numbers of the BrainSeg experiment: patients are the unit, seeds are averaged first.

A value is ``[mean, low, high, heads]``: the mean over test heads and its 95 % interval by bootstrap over heads. Heads
where neither truth nor result holds the structure have no value.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from Training.brain_tests import DIRECTIONS, TESTS, ScoreBook, rank_losses
from Training.experiments.brain_bench import Scores
from Training.resampling import interval, patient_counts
from Training.statistics import holm, wilcoxon_holm

RANKED = ("dice", "surface_dice", "mean_surface_mm", "hd95_mm")
"""The four metrics that the losses are ranked by, as many as the source's."""
Value = list[float]


def mean_of_seeds(arms: Sequence[Mapping[str, Any]]) -> Scores:
    """Scores of every head, averaged over the trainings of an arm."""
    runs: list[Scores] = [arm["scores"] for arm in arms]
    return [
        {
            name: {metric: _mean([run[head][name][metric] for run in runs]) for metric in values}
            for name, values in runs[0][head].items()
        }
        for head in range(len(runs[0]))
    ]


def _mean(values: Sequence[float]) -> float:
    usable = [value for value in values if np.isfinite(value)]
    return float(np.mean(usable)) if usable else float("nan")


def column(scores: Scores, structures: Sequence[str], metric: str) -> np.ndarray:
    """One value per head: the mean over structures that have one; nan where none has."""
    return np.array([_mean([head[name].get(metric, np.nan) for name in structures]) for head in scores])


def value_of(values: np.ndarray) -> Value:
    """Mean, interval and number of heads; the interval is nan for fewer than two."""
    usable = np.asarray(values, float)
    usable = usable[np.isfinite(usable)]
    if len(usable) < 2:
        return [float(usable.mean()) if len(usable) else float("nan"), float("nan"), float("nan"), len(usable)]
    estimate = interval(float(usable.mean()), _draws(len(usable)) @ usable / len(usable))
    return [estimate.value, estimate.low, estimate.high, len(usable)]


@lru_cache(maxsize=16)
def _draws(heads: int) -> np.ndarray:
    """How often each head is drawn in each resample; the same draws for every value, as they are for paired ones."""
    return patient_counts(heads)


def table_of(scores: Scores) -> dict[str, dict[str, Value]]:
    """Structure to metric to value."""
    metrics = {name: [m for m in DIRECTIONS if m in values] for name, values in scores[0].items()}
    return {name: {m: value_of(column(scores, [name], m)) for m in known} for name, known in metrics.items()}


def compared(
    arms: Mapping[str, Scores], pairs: Sequence[tuple[str, str]], structures: Sequence[str], metric: str = "dice"
) -> list[dict[str, Any]]:
    """Paired differences, first minus second, with Wilcoxon's test adjusted by Holm over the pairs.

    Args:
        arms: scores by name, averaged over seeds.
        pairs: names to compare.
        structures: whose mean is compared.
        metric: of :data:`Training.brain_tests.DIRECTIONS`.
    """
    rows: list[dict[str, Any]] = []
    p_values: list[float] = []
    for first, second in pairs:
        a, b = (column(arms[name], structures, metric) for name in (first, second))
        both = np.isfinite(a) & np.isfinite(b)
        rows.append({"first": first, "second": second, "difference": value_of((a - b)[both])})
        p_values.append(_p(a[both], b[both]))
    for row, p, adjusted in zip(rows, p_values, holm(p_values) if p_values else [], strict=True):
        row |= {"p": p, "p_holm": float(adjusted)}
    return rows


def _p(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2:
        return 1.0
    return wilcoxon_holm({"a": a, "b": b})[0].p


def rankings(arms: Mapping[str, Scores]) -> dict[str, Any]:
    """Every ranking of :data:`Training.brain_tests.TESTS` over the four metrics; a reason where there is none."""
    some = {
        name: [{s: {m: v for m, v in values.items() if m in RANKED} for s, values in head.items()} for head in scores]
        for name, scores in arms.items()
    }
    out: dict[str, Any] = {}
    for test in TESTS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                ranking = rank_losses(ScoreBook.of(some), test)
        except InvalidInputError as error:
            out[test] = {"reason": str(error)}
            continue
        out[test] = {"score": ranking.score, "rank": ranking.rank, "warnings": list(ranking.warnings)}
    return out


def spread(arms: Sequence[Mapping[str, Any]], structures: Sequence[str]) -> dict[str, float]:
    """How stable an arm is: SD of Dice over heads and over seeds, and how often a structure was missed altogether."""
    runs = [column(arm["scores"], structures, "dice") for arm in arms]
    means = [float(np.nanmean(run)) for run in runs]
    dice = [head[name]["dice"] for arm in arms for head in arm["scores"] for name in structures]
    usable = [value for value in dice if np.isfinite(value)]
    heads = np.nanmean(np.stack(runs), 0)
    return {
        "sd_heads": float(np.nanstd(heads, ddof=1)),
        "sd_seeds": float(np.std(means, ddof=1)) if len(means) > 1 else float("nan"),
        "missed": float(np.mean(np.array(usable) < MISSED)) if usable else float("nan"),
    }


MISSED = 0.01
"""A Dice below this counts as a structure that was not found (our choice)."""
