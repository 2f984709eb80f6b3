"""Numbers of a FROC with 95 % intervals: patients are drawn with replacement, with all films and marks of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from Training.froc import RATES, Denominator, Scored, cuts, sensitivity, shares, threshold
from Training.resampling import Estimate, interval, patient_counts, patient_index
from Training.roc import auc_bootstrap

RESAMPLES = 2000
"""As ``methods/nodule.md`` has it."""
CHUNK = 250
"""Resamples at once: a thousand films with ten marks each stay below 50 MB."""
NODE21_RATE, NODE21_AUC = 0.25, 0.75
"""NODE21's rank is 0.75 · AUC + 0.25 · sensitivity at 0.25 false positives per film."""


def weights(scored: Scored, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each film is in each resample, ``(resamples, films)``; the same for every method with these films."""
    index, count = patient_index(scored.patients)
    return patient_counts(count, resamples, seed)[:, index]


def _in_chunks(work: Callable[[np.ndarray], np.ndarray], drawn: np.ndarray) -> np.ndarray:
    return np.concatenate([work(drawn[start : start + CHUNK]) for start in range(0, len(drawn), CHUNK)])


def sensitivities(scored: Scored, rate: float, drawn: np.ndarray, denominator: Denominator = "all") -> np.ndarray:
    """Sensitivity at a rate in every resample; the threshold is found anew in each."""
    return _in_chunks(lambda w: shares(scored, cuts(scored, rate, w, denominator), w), drawn)


def sensitivity_at(
    scored: Scored, rate: float, denominator: Denominator = "all", resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Sensitivity at so many false positives per film, with its interval."""
    value = sensitivity(scored, rate, denominator)
    if len(set(scored.patients.tolist())) < 2:
        return Estimate(value, np.nan, np.nan)
    return interval(value, sensitivities(scored, rate, weights(scored, resamples, seed), denominator))


def difference_at(
    first: Scored, second: Scored, rate: float, denominator: Denominator = "all", resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:  # fmt: skip
    """Sensitivity of the first less that of the second on the same films, the same resamples for both.

    Raises:
        InvalidInputError: when the films are not the same.
    """
    check_paired([first, second])
    drawn = weights(first, resamples, seed)
    both = [sensitivities(scored, rate, drawn, denominator) for scored in (first, second)]
    value = sensitivity(first, rate, denominator) - sensitivity(second, rate, denominator)
    return interval(value, both[0] - both[1])


def check_paired(every: Sequence[Scored]) -> None:
    """Raise InvalidInputError where films, in their order, or nodules are not the same for all."""
    one = every[0]
    for other in every[1:]:
        same = np.array_equal(one.patients, other.patients) and np.array_equal(one.nodule_film, other.nodule_film)
        if not same:
            raise InvalidInputError("A paired difference needs the same films in the same order for both methods.")


def by_group(
    scored: Scored, groups: np.ndarray, rate: float, resamples: int = RESAMPLES, seed: int = 0
) -> dict[int, tuple[Estimate, int]]:
    """Sensitivity of every group of nodules at one threshold for all, with its interval and the number of nodules.

    The threshold is that of ``rate`` on all films and is held fixed: within a group there is no rate of its own.
    """
    once = np.ones((1, len(scored.patients)))
    cut = cuts(scored, rate, once)
    drawn = weights(scored, resamples, seed)
    out: dict[int, tuple[Estimate, int]] = {}
    for group in np.unique(groups):
        among = groups == group
        value = float(shares(scored, cut, once, among)[0])
        resampled = shares(scored, np.repeat(cut, len(drawn)), drawn, among)
        out[int(group)] = interval(value, resampled), int(among.sum())
    return out


def image_auc(scored: Scored, resamples: int = RESAMPLES, seed: int = 0) -> Estimate | None:
    """Area under the ROC curve of films with against films without nodules; None where one kind is missing."""
    if scored.diseased.all() or not scored.diseased.any():
        return None
    return auc_bootstrap(scored.diseased, scored.image_scores, scored.patients, resamples, seed)


def node21(scored: Scored) -> float:
    """NODE21's rank score; nan without films of both kinds. ``scored`` should be by the rule ``iou``."""
    area = image_auc(scored, resamples=1)
    if area is None:
        return float("nan")
    return NODE21_AUC * area.value + (1 - NODE21_AUC) * sensitivity(scored, NODE21_RATE)


def entry(estimate: Estimate | None, digits: int = 4) -> dict[str, Any] | None:
    """An estimate as bundles hold it: mean and 95 % interval; None for what is not known."""
    if estimate is None:
        return None
    ends = [round(float(v), digits) if np.isfinite(v) else None for v in (estimate.low, estimate.high)]
    return {"mean": round(float(estimate.value), digits), "ci95": ends}


def operating_points(
    chosen: Scored, tested: Scored, rates: Sequence[float], lowest: float, resamples: int = RESAMPLES
) -> list[dict[str, Any]]:
    """For each rate the score to show marks from, and what it gives on other films, as the bundle holds them.

    Args:
        chosen: films (validation) that the thresholds are chosen on.
        tested: films that sensitivity and false positives at these thresholds are measured on.
        rates: false positives per film that are wanted.
        lowest: threshold where all marks may be shown.
        resamples: of the sensitivities' intervals.
    """
    once = np.ones((1, len(tested.patients)))
    several = len(set(tested.patients.tolist())) > 1
    drawn = weights(tested, resamples) if several else once
    out = []
    for rate in sorted(rates):
        level = round(threshold(chosen, rate, lowest=lowest), 5)
        cut = np.nextafter(level, -np.inf)
        value = float(shares(tested, np.array([cut]), once)[0])
        found = entry(interval(value, shares(tested, np.full(len(drawn), cut), drawn))) or {}
        out.append({
            "false_positives": rate, "threshold": level, "sensitivity": found["mean"],
            "ci95": found["ci95"] if several and None not in found["ci95"] else None,
            "false_positives_tested": round(float((tested.false_score > cut).sum() / len(tested.patients)), 4),
        })  # fmt: skip
    return out


def summary(scored: Scored, boxed: Scored | None = None, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Everything that a card or a table says of one method, as JSON values with intervals.

    Args:
        scored: by the rule of the study.
        boxed: the same films by the rule ``iou``, for NODE21's score; None leaves it out.
        resamples: of every interval.
    """
    both: Mapping[Denominator, Any] = {
        denominator: {f"{rate:g}": entry(sensitivity_at(scored, rate, denominator, resamples)) for rate in RATES}
        for denominator in ("all", "diseased")
    }  # fmt: skip
    groups = {"place": scored.place, "subtlety": scored.subtlety}
    return {
        "films": len(scored.patients), "with_nodule": int(scored.diseased.sum()), "nodules": len(scored.nodule_film),
        "sensitivity": both, "image_auc": entry(image_auc(scored, resamples)),
        "node21": None if boxed is None else round(node21(boxed), 4),
        **{
            name: {
                str(k): {**(entry(e) or {}), "nodules": n}
                for k, (e, n) in by_group(scored, of, 0.2, resamples).items()
            }
            for name, of in groups.items()
        },
    }  # fmt: skip
