"""Whether intervals hold the true effect, and how much concordance there is to be had."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.phantoms.tumour_survival import OutcomeModel, draw_times, oracle_c, outcome_model
from manabi.radiomics.cohort.groups_cox import fit_cox
from manabi.radiomics.cohort.plan import Plan
from manabi.radiomics.cohort.scores_data import Predicted
from manabi.radiomics.cohort.scores_pairs import harrell
from manabi.radiomics.cohort.validate import evaluate
from Training.experiments.survival_bench import Bench, Job, as_cohort, followup, mean, rate, thinned

COVERED = (1.0, 1.25, 1.5, 2.0, 3.0)
"""True hazard ratios per standard deviation of z whose intervals are tried."""
TABLE = {1.25: 0.562, 1.5: 0.609, 1.75: 0.644, 2.0: 0.672, 3.0: 0.739}
"""Oracle concordance by hazard ratio, as it was computed for this project before."""
PAIRS = 200_000
Z95 = 1.959964


def coverage(bench: Bench) -> dict[str, Any]:
    """How often the 95 % interval of a Cox model holds the true log hazard ratio of the texture."""
    settings = bench.settings
    out: dict[str, Any] = {"patients": settings.patients, "cohorts": settings.cohorts, "ratios": {}}
    for n, ratio in enumerate(COVERED):
        model = OutcomeModel(beta=math.log(ratio))
        job = Job(bench.surrogate, model, settings.patients, settings.training, settings.seed, 100 + n)
        found = bench.map(covered, job, settings.cohorts)
        out["ratios"][f"{ratio:g}"] = {
            "truth": math.log(ratio),
            **{name: _interval(found, name, math.log(ratio)) for name in ("known", "alone", "measured")},
            "events": mean(found["events"]),
        }
    out["measured"] = bench.surrogate.names[best_for_z(job)]
    out["reliability"] = float(abs(correlation_with_z(job)[best_for_z(job)]))
    return out


def _interval(found: dict[str, np.ndarray], name: str, truth: float) -> dict[str, list[float]]:
    """Coverage, bias and power of one way to fit."""
    beta, error = found[f"{name}_beta"], found[f"{name}_error"]
    return {
        "covered": rate(np.abs(beta - truth) <= Z95 * error),
        "bias": mean(beta - truth),
        "found": rate(np.abs(beta) > Z95 * error),
    }


def covered(job: Job, index: int) -> dict[str, float]:
    """The texture's coefficient beside volume, age and sex; alone; and of the best feature instead of the texture."""
    cohort, features = job.draw(index)
    people, times = cohort.patients, followup(cohort)
    others = np.column_stack([people.v, people.age_years / 10.0, people.male])
    proxy = features[:, best_for_z(job)] * np.sign(correlation_with_z(job)[best_for_z(job)])
    fits = {
        "known": fit_cox(times, np.column_stack([people.z, others])),
        "alone": fit_cox(times, people.z[:, None]),
        "measured": fit_cox(times, np.column_stack([(proxy - proxy.mean()) / proxy.std(), others])),
    }
    numbers = {"events": float(times.events)}
    for name, fit in fits.items():
        numbers[f"{name}_beta"] = float(fit.beta[0, 0])
        numbers[f"{name}_error"] = float(fit.error[0, 0])
    return numbers


def correlation_with_z(job: Job) -> np.ndarray:
    """``(p,)`` correlation of each feature with z at one centre, where v is independent of it, by its construction."""
    surrogate = job.surrogate
    z = list(surrogate.drivers).index("z")
    v = list(surrogate.drivers).index("v")
    spread = (surrogate.effects[[z, v]] ** 2).sum(axis=0) + (surrogate.factors**2).sum(axis=0) + surrogate.own**2
    return surrogate.effects[z] / np.sqrt(np.maximum(spread, 1e-12))


def best_for_z(job: Job) -> int:
    """The feature that tells most about the texture: known here from its construction, unknown in any study."""
    return int(np.abs(correlation_with_z(job)).argmax())


# --- concordance ------------------------------------------------------------------------------------------------------


def concordance(bench: Bench) -> dict[str, Any]:
    """Oracle concordance: by formula, by Monte Carlo, in censored cohorts; and what nested validation achieves."""
    settings = bench.settings
    surrogate = thinned(bench.surrogate, settings.nested_features)
    plan = Plan(blocks=("radiomics",), model="ridge", repeats=settings.repeats, seed=settings.seed)
    out: dict[str, Any] = {"patients": settings.patients, "nested": settings.nested, "ratios": {}}
    for n, (ratio, tabled) in enumerate(TABLE.items()):
        model = outcome_model("null", beta=math.log(ratio))
        job = Job(surrogate, model, settings.patients, settings.training, settings.seed, 200 + n, plan=plan)
        oracle = bench.map(oracle_cohort, replace(job, stream=300 + n), min(settings.cohorts, 300))
        achieved = bench.map(achieved_cohort, job, settings.nested)
        out["ratios"][f"{ratio:g}"] = {
            "tabled": tabled,
            "formula": oracle_c(math.log(ratio)),
            "monte_carlo": monte_carlo(math.log(ratio), settings.seed + n),
            "censored": mean(oracle["c"]),
            "censored_spread": [float(q) for q in np.quantile(oracle["c"], [0.025, 0.975])],
            "split_ratio": mean(oracle["split"]),
            "achieved": mean(achieved["c"]),
            "achieved_spread": [float(q) for q in np.quantile(achieved["c"], [0.025, 0.975])],
        }
    return out


def monte_carlo(beta: float, seed: int) -> list[float]:
    """Share of uncensored pairs in the order of their true hazards, with its 95 % interval."""
    rng = np.random.default_rng([seed, 9])
    lp = beta * rng.standard_normal(2 * PAIRS)
    model = OutcomeModel(accrual_years=0.0, follow_years=1e9, dropout_per_year=0.0)
    days, _ = draw_times(rng, lp, model)
    first, second = slice(None, None, 2), slice(1, None, 2)
    untied = days[first] != days[second]
    agree = ((days[first] < days[second]) == (lp[first] > lp[second]))[untied]
    share = float(agree.mean())
    half = Z95 * math.sqrt(share * (1 - share) / len(agree))
    return [share, share - half, share + half]


def oracle_cohort(job: Job, index: int) -> dict[str, float]:
    """Harrell's C of the true hazard in a censored cohort, and the hazard ratio of a split at its median."""
    cohort, _ = job.draw(index)
    times, lp = followup(cohort), cohort.log_hazard
    split = fit_cox(times, (lp > np.median(lp)).astype(float)[:, None])
    return {"c": harrell(times, Predicted(lp)).estimate(), "split": float(np.exp(split.beta[0, 0]))}


def achieved_cohort(job: Job, index: int) -> dict[str, float]:
    """C of nested cross-validation of all features."""
    cohort, features = job.draw(index)
    table = as_cohort(cohort, job.surrogate.names, features)
    plan = replace(job.plan or Plan(), seed=index)
    return {"c": evaluate(table, plan, workers=1).concordance("radiomics")}
