"""Distortion against the number of megavoltage slices, the source's experiment (Med Phys 2022, 10.1002/mp.15626).

Every arm takes the same number of steps, whatever its number of slices, so that fewer slices do not mean less training
(our choice; the source trains so many epochs). The kilovoltage slices are the same for all.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manabi.mvct.metrics import PAIRS, cnr, dig, tissue_masks, tissue_stats
from Training.experiments.mvct_bench import (
    TRAINING,
    Plan,
    View,
    numbers,
    site_of,
    spread,
    straight,
    training_pairs,
    views,
)
from Training.experiments.mvct_networks import Arm, model_of, record_of, train
from Training.experiments.mvct_numbers import column, mean_of, over_trainings, paired, value_of, verdict
from Training.mvct_evaluate import converter
from Training.mvct_evaluate_images import mae

logger = logging.getLogger(__name__)

KIND = "mvct"
METRICS = ("dig_a", "dig_b", "mae_hu", *(f"cnr_{a}_{b}" for a, b in PAIRS))
DIGS = ("dig_a", "dig_b")
FIRST = "plain"
"""What the others are compared with."""
Scores = list[dict[str, float]]
Table = dict[str, dict[int, list[Scores]]]
"""Scores of every training, by method and number of slices."""


def run(plan: Plan) -> dict[str, Any]:
    """Train and score every arm, or go on with it; then the numbers."""
    settings = plan.settings
    amounts = sorted(int(n) for n in numbers(settings.amounts, "amounts"))
    methods = [name.strip() for name in settings.compared.split(",")]
    grid = itertools.product(methods, amounts, range(settings.seeds))
    arms = {one: Arm(plan, one[0], settings.steps, one[1], one[2], KIND) for one in grid}
    training_pairs(plan, KIND)
    spread(score, list(arms.values()), settings.workers)
    records = {one: record_of(arm) or {} for one, arm in arms.items()}
    count = len(site_of(plan, KIND).patients(TRAINING))
    return {
        "amounts": amounts, "methods": methods, "patients": len(views(plan, KIND)), "seeds": settings.seeds,
        "used": {str(n): records[methods[0], n, 0]["patients"] for n in amounts},
        "targets": count - count // 2,
        **_unconverted(plan),
        **_compared(_table(arms), plan),
        "arm_s": round(float(np.mean([record["duration_s"] for record in records.values()])), 1),
    }  # fmt: skip


def _table(arms: Mapping[tuple[str, int, int], Arm]) -> Table:
    """The scores of all arms, by method and number of slices, training by training."""
    table: Table = {}
    for (method, amount, _), arm in arms.items():
        table.setdefault(method, {}).setdefault(amount, []).append(score(arm))
    return table


def _unconverted(plan: Plan) -> dict[str, Any]:
    """The metrics of the input and of the true kVCT."""
    seen, true = ([scores_of(v, getattr(v, what)) for v in views(plan, KIND)] for what in ("source", "target"))
    return {
        "input": {metric: value_of(column(seen, metric)) for metric in METRICS},
        "truth": {metric: value_of(column(true, metric)) for metric in METRICS if metric != "mae_hu"},
    }


def _compared(table: Table, plan: Plan) -> dict[str, Any]:
    """The metrics of every method and number of slices, whether they flatten, and the first method less the others."""
    settings, first = plan.settings, table.get(FIRST)
    return {
        "rows": {method: {str(n): _row(scores) for n, scores in found.items()} for method, found in table.items()},
        "flat": {method: flatness(found, settings.flat_from, settings.flat_share) for method, found in table.items()},
        "paired": {m: _paired(first, table[m]) for m in table if m != FIRST} if first is not None else {},
    }


def score(arm: Arm) -> Scores:
    """The scores of an arm on every test patient, kept."""
    train(arm)

    def work() -> dict[str, Any]:
        """Convert and score every test patient."""
        convert = converter(model_of(arm), arm.plan.context)
        return {"scores": [scores_of(view, straight(convert(view.pair.source))) for view in views(arm.plan, arm.kind)]}

    return arm.plan.once(f"amount/{arm.name}.json", arm.key, work)["scores"]


def scores_of(view: View, image: np.ndarray) -> dict[str, float]:
    """:data:`METRICS` of an image at the places that the true kVCT chooses."""
    change = dig(view.source, image, view.tissues.body, view.spacing)
    stats = tissue_stats(image, tissue_masks(view.tissues.labels, view.spacing), view.spacing)
    found = {f"cnr_{a}_{b}": cnr(stats[a], stats[b]) if a in stats and b in stats else float("nan") for a, b in PAIRS}
    return {
        "dig_a": change.dig_a, "dig_b": change.dig_b, "mae_hu": mae(view.target, image, view.tissues.body), **found
    }  # fmt: skip


def flatness(arms: Mapping[int, Sequence[Scores]], first: int, share: float) -> dict[str, Any]:
    """Whether DIG no longer changes from so many slices on.

    Args:
        arms: per number of slices and training, the scores of every patient.
        first: from so many slices on.
        share: of DIG with most slices; what changes less is flat.

    Returns:
        Per reading of DIG: ``difference`` (at ``from``, the least number from ``first`` on, less the most), ``slope``
        per doubling, both over trainings, the ``limit`` in HU/mm and whether the difference lies within it. Nothing
        where fewer than two numbers of slices are that large.
    """
    late = [n for n in sorted(arms) if n >= first]
    if len(late) < 2:
        return {}
    out: dict[str, Any] = {"from": late[0], "to": late[-1]}
    for name in DIGS:
        means = {n: [float(np.nanmean(column(rows, name))) for rows in arms[n]] for n in late}
        difference = over_trainings([a - b for a, b in zip(means[late[0]], means[late[-1]], strict=True)])
        slopes = [
            np.polyfit(np.log2(late), [means[n][seed] for n in late], 1)[0] for seed in range(len(means[late[0]]))
        ]
        limit = share * float(np.mean(means[late[-1]]))
        out[name] = {
            "difference": difference, "slope": over_trainings(slopes), "limit": limit,
            "verdict": verdict(difference, -limit, limit),
        }  # fmt: skip
    return out


def _row(trainings: Sequence[Scores]) -> dict[str, Any]:
    """Each metric over patients (trainings averaged), and its spread over trainings."""
    row: dict[str, Any] = {name: value_of(mean_of(trainings, name)) for name in METRICS}
    for name in DIGS:
        row[f"{name}_trainings"] = over_trainings([float(np.nanmean(column(rows, name))) for rows in trainings])
    return row


def _paired(first: Mapping[int, Sequence[Scores]], other: Mapping[int, Sequence[Scores]]) -> dict[str, Any]:
    """First less other, per number of slices and metric, over patients."""
    return {str(n): {m: paired(mean_of(first[n], m), mean_of(other[n], m)) for m in METRICS} for n in first}
