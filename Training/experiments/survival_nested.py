"""Nested cross-validation of whole cohorts: nothing to find, only volume to find, and centres that pass for biology."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.phantoms.tumour_survival import outcome_model
from manabi.radiomics.cohort.association import concordance_counts, pairs
from manabi.radiomics.cohort.evaluation import Evaluation
from manabi.radiomics.cohort.plan import Block, Plan, Preparation
from manabi.radiomics.cohort.validate import evaluate
from Training.experiments.survival_bench import Bench, Job, as_cohort, mean, rate, thinned

BLOCKS: tuple[Block, ...] = ("volume", "radiomics", "combined")
TRUTHS: dict[str, tuple[str, dict[str, float]]] = {
    "nothing": ("null", {}),
    "centre only": ("confounded", {}),
    "texture": ("null", {"beta": math.log(2.0)}),
    "texture and centre": ("confounded", {"beta": math.log(2.0)}),
}
"""What tells survival in the batch part: a cohort's name and what is changed in it."""


def null(bench: Bench) -> dict[str, Any]:
    """Nothing tells survival: C of volume, radiomics and both."""
    found = bench.map(blocks_of, _job(bench, "null", {}, 700), bench.settings.nested)
    return {"nested": bench.settings.nested, "c": {b: mean(found[b]) for b in BLOCKS}, "above_half": {
        b: rate(found[b] > 0.5) for b in BLOCKS
    }}  # fmt: skip


def volume(bench: Bench) -> dict[str, Any]:
    """Only volume tells survival: what radiomics reaches by itself, and what it adds to volume."""
    found = bench.map(blocks_of, _job(bench, "volume", {}, 800), bench.settings.nested)
    added = found["combined"] - found["volume"]
    return {
        "nested": bench.settings.nested,
        "c": {block: mean(found[block]) for block in BLOCKS},
        "added": mean(added),
        "added_spread": [float(q) for q in np.quantile(added, [0.025, 0.975])],
    }


def batch(bench: Bench) -> dict[str, Any]:
    """Four centres with four scanners: C over all patients and within centres, with and without ComBat in the folds."""
    out: dict[str, Any] = {"nested": bench.settings.nested, "patients": bench.settings.patients, "truths": {}}
    for n, (name, (cohort, changes)) in enumerate(TRUTHS.items()):
        job = replace(_job(bench, cohort, changes, 900 + n), one_centre=False)
        found = bench.map(harmonised_or_not, job, bench.settings.nested)
        out["truths"][name] = {key: mean(values) for key, values in found.items()}
    return out


def _job(bench: Bench, cohort: str, changes: dict[str, float], stream: int) -> Job:
    s = bench.settings
    plan = Plan(blocks=BLOCKS, model="ridge", repeats=s.repeats)
    surrogate = thinned(bench.surrogate, s.nested_features)
    return Job(surrogate, outcome_model(cohort, **changes), s.patients, s.training, s.seed, stream, plan=plan)


def blocks_of(job: Job, index: int) -> dict[str, float]:
    """C of each block."""
    cohort, features = job.draw(index)
    table = as_cohort(cohort, job.surrogate.names, features)
    found = evaluate(table, replace(job.plan or Plan(), seed=index), workers=1)
    return {block: found.concordance(block) for block in BLOCKS}


def harmonised_or_not(job: Job, index: int) -> dict[str, float]:
    """C of radiomics over all and within centres, with and without ComBat."""
    cohort, features = job.draw(index)
    table = as_cohort(cohort, job.surrogate.names, features)
    numbers = {}
    for name, harmonise in (("as they are", False), ("ComBat", True)):
        plan = Plan(blocks=("radiomics",), model="ridge", repeats=(job.plan or Plan()).repeats, seed=index,
                    preparation=Preparation(harmonise=harmonise))  # fmt: skip
        found = evaluate(table, plan, workers=1)
        numbers[f"{name}, all"] = found.concordance("radiomics")
        numbers[f"{name}, within centres"] = within_centres(found, cohort.patients.centre)
    return numbers


def within_centres(found: Evaluation, centre: np.ndarray) -> float:
    """C of radiomics over pairs of the same centre (and fold), mean over the repeats."""
    same = pairs(found.outcome) & (centre[:, None] == centre[None, :])
    values = []
    for repeat, risk in enumerate(found.risk["radiomics"]):
        counts, total = concordance_counts(risk[:, None], same & found.together(repeat))
        values.append(float(counts[0]) / total)
    return float(np.mean(values))
