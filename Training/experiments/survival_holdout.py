"""The source's design in simulated cohorts: select among all features in the training set, test in the validation set.

Each cohort is split as in the source (250 to train, 108 to validate, of one centre). What is asked of it: how often
tests of nothing come out positive, honestly and after a peep at the validation set; whether volume passes for texture;
and how often a p-value as small as the source's comes by chance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from manabi.phantoms.tumour_survival import OutcomeModel, outcome_model
from manabi.radiomics.cohort.association import cox_score
from manabi.radiomics.cohort.groups_cox import fit_cox
from manabi.radiomics.cohort.groups_tests import events_needed, expected_false_positives, permuted_concordance, power_of
from manabi.radiomics.cohort.scores_data import Followup
from Training.experiments.survival_bench import Bench, Job, followup, mean, rate

SOURCE_P = 0.044
"""Log-rank p of LargeAreaEmphasis_LHH in the validation set (Sawayanagi et al., 2022, doi:10.3390/cancers14163859)."""
SOURCE_SURVIVAL = (0.707, 0.503)
"""Five-year survival of its two groups."""
SOURCE_FEATURE = "wavelet-LHH_glszm_LargeAreaEmphasis"
ALPHA, TOP = 0.05, 10
RULES = {
    "named": "the one feature, named before anybody looked",
    "best": "the best feature of the training set, and only that",
    "two": "either of the two best of the training set",
    "top": f"any of the {TOP} best of the training set",
    "significant": "any feature significant (p < .05) in the training set",
    "peeped": "the best feature of both sets together, tested in the validation set",
}
"""Ways to come to the feature that is tested in the validation set, from honest to not."""


def null(bench: Bench) -> dict[str, Any]:
    """A cohort in which nothing tells survival: concordance and false-positive rates."""
    found = bench.map(holdout, job_of(bench, outcome_model("null"), 400), bench.settings.cohorts)
    return {
        "cohorts": bench.settings.cohorts,
        "training": bench.settings.training,
        "validation": bench.settings.patients - bench.settings.training,
        "c": {name: mean(found[f"{name}_c"]) for name in ("best", "peeped")},
        "log_rank": {name: rate(found[f"{name}_p"] < ALPHA) for name in ("named", "best", "peeped")},
        "permutation": {name: rate(found[f"{name}_permuted"] <= ALPHA) for name in ("best", "peeped")},
    }


def volume(bench: Bench) -> dict[str, Any]:
    """A cohort in which volume tells survival and texture does not: who gets the credit."""
    found = bench.map(holdout, job_of(bench, outcome_model("volume"), 500), bench.settings.cohorts)
    names = {"texture": "the true texture", "best": "the best feature of the training set", "named": SOURCE_FEATURE}
    return {
        "cohorts": bench.settings.cohorts,
        "names": names,
        "alone": {name: rate(found[f"{name}_alone"] < ALPHA) for name in names},
        "adjusted": {name: rate(found[f"{name}_adjusted"] < ALPHA) for name in names},
        "volume_rho": {name: mean(np.abs(found[f"{name}_rho"])) for name in names},
    }


def source(bench: Bench) -> dict[str, Any]:
    """The source's p-value: how often by chance, by the way the feature was come to; and the power of its design."""
    settings = bench.settings
    validation = settings.patients - settings.training
    truths = {
        "nothing": outcome_model("null"),
        "volume only": outcome_model("volume"),
        "texture": outcome_model("null", beta=math.log(1.5)),
    }
    out: dict[str, Any] = {"cohorts": settings.cohorts, "validation": validation, "p": SOURCE_P, "truths": {}}
    for n, (name, model) in enumerate(truths.items()):
        found = bench.map(holdout, job_of(bench, model, 600 + n), settings.cohorts)
        out["truths"][name] = {
            **{rule: rate(found[f"{rule}_p"] <= SOURCE_P) for rule in RULES},
            "oracle": rate(found["oracle_p"] <= SOURCE_P),
            "events": mean(found["events"]),
            "below": mean(found["below"]),
            "below_spread": [float(q) for q in np.quantile(found["below"], [0.025, 0.5, 0.975])],
            "training_below": mean(found["training_below"]),
            "named_rho": mean(found["named_rho"]),
        }
    return {**out, **power(out["truths"]["texture"]["events"][0], len(bench.surrogate.names))}


def power(events: float, features: int) -> dict[str, Any]:
    """Events that the source's difference needs, power with the events there are, and false positives of all tests."""
    low, high = SOURCE_SURVIVAL
    ratio = math.log(high) / math.log(low)
    return {
        "features": features,
        "ratio": ratio,
        "events_needed": events_needed(ratio),
        "power": {f"{hr:g}": power_of(hr, events) for hr in (1.5, 1.89, round(ratio, 2), 2.5)},
        "expected": expected_false_positives(features),
        "expected_at_p": expected_false_positives(features, SOURCE_P),
    }


def job_of(bench: Bench, model: OutcomeModel, stream: int) -> Job:
    """Cohorts of the source's size at one centre."""
    s = bench.settings
    return Job(bench.surrogate, model, s.patients, s.training, s.seed, stream, permutations=s.permutations)


def holdout(job: Job, index: int) -> dict[str, float]:
    """One cohort: every question's numbers."""
    cohort, features = job.draw(index)
    rows = np.arange(job.patients)
    train, test = rows[: job.training], rows[job.training :]
    z_train = cox_score(features[train], cohort.time_days[train], cohort.event[train])
    z_all = cox_score(features, cohort.time_days, cohort.event)
    splits = _split_p(features, train, test, cohort.time_days[test], cohort.event[test])
    order = np.argsort(-np.abs(z_train))
    named = named_feature(job.surrogate.names)
    significant = 2 * stats.norm.sf(np.abs(z_train)) < ALPHA
    picked = {"best": int(order[0]), "peeped": int(np.abs(z_all).argmax()), "named": named}
    numbers = {
        "events": float(cohort.event[test].sum()),
        "below": float((splits <= SOURCE_P).sum()),
        "training_below": float(significant.sum()),
        "two_p": float(splits[order[:2]].min()),
        "top_p": float(splits[order[:TOP]].min()),
        "significant_p": float(splits[significant].min(initial=1.0)),
        **{f"{name}_p": float(splits[column]) for name, column in picked.items()},
    }
    truth = cohort.log_hazard if np.ptp(cohort.log_hazard) > 0 else cohort.patients.z
    oracle = _split_p(truth[:, None], train, test, cohort.time_days[test], cohort.event[test])
    numbers["oracle_p"] = float(oracle[0])
    signs = {"best": np.sign(z_train[picked["best"]]), "peeped": np.sign(z_all[picked["peeped"]])}
    columns = {name: features[test, column] for name, column in picked.items()}
    columns["texture"] = cohort.patients.z[test]
    return numbers | _validated(job, followup(cohort, test), columns, signs, cohort.patients.v[test], index)


def _validated(
    job: Job, times: Followup, columns: dict[str, np.ndarray], signs: dict[str, float], v: np.ndarray, seed: int
) -> dict[str, float]:  # fmt: skip
    """Each picked column in the validation set: beside volume, and as a risk where its sign was learned."""
    numbers: dict[str, float] = {}
    for name, values in columns.items():
        numbers |= {f"{name}_{key}": value for key, value in _beside_volume(times, values, v).items()}
    for name, sign in signs.items():
        found = permuted_concordance(times, sign * columns[name], job.permutations, seed)
        numbers |= {f"{name}_c": found.estimate, f"{name}_permuted": found.p}
    return numbers


def named_feature(names: tuple[str, ...]) -> int:
    """Column of the source's feature; the first where these features do not have it."""
    return names.index(SOURCE_FEATURE) if SOURCE_FEATURE in names else 0


def _split_p(
    values: np.ndarray, train: np.ndarray, test: np.ndarray, time_days: np.ndarray, event: np.ndarray
) -> np.ndarray:  # fmt: skip
    """``(p,)`` log-rank p of each column's split at its training median, in the validation set.

    The score test of a Cox model with one binary covariate is the log-rank test (days hardly tie).
    """
    high = (values[test] > np.median(values[train], axis=0)).astype(float)
    varied = np.ptp(high, axis=0) > 0
    p = np.ones(values.shape[1])
    p[varied] = 2 * stats.norm.sf(np.abs(cox_score(high[:, varied], time_days, event)))
    return p


def _beside_volume(times: Followup, values: np.ndarray, v: np.ndarray) -> dict[str, float]:
    """Wald p alone and beside log volume, and the rank correlation with volume."""
    alone, beside = fit_cox(times, values[:, None]), fit_cox(times, np.column_stack([values, v]))
    return {
        "alone": float(alone.p[0, 0]),
        "adjusted": float(beside.p[0, 0]),
        "rho": float(stats.spearmanr(values, v).statistic),
    }
