"""Small studies of changes during treatment: the best of 17 sets of delta features against selection inside the folds.

The source (oesophageal cancer, 26 patients, cone-beam CT in each of 5 weeks; Physica Medica) fitted an elastic-net Cox
model to each of 17 sets of changes, left one patient out at a time, and reports the best set: C .821, log-rank p .003;
four of the 17 were significant. How penalties were chosen is not known to us. Here studies of that size are simulated,
in which it is known what tells survival, and each is analysed twice: as one would report the best of 17, and with set
and penalty chosen anew without each patient that is left out.

A patient's series follows from the surrogate of :mod:`manabi.phantoms.tumour_surrogate`: the tumour shrinks, so the
driver "volume" falls from week to week and features follow as they do between patients; what a patient's features have
of their own stays, and each scan adds noise. Values are ``exp(score / 2)``, above 0 as most features are, so that
relative changes exist. Numbers without a source are our choice.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manabi.phantoms.tumour_sampling import LOG_SHRINK_SD, SHRINK_PER_WEEK
from manabi.phantoms.tumour_surrogate import lung_drivers
from manabi.phantoms.tumour_survival import LOG_ML_SD, OutcomeModel, Patients, SimulatedCohort, draw_patients, follow
from manabi.radiomics.cohort.association import concordance, concordance_counts, cox_score, pairs
from manabi.radiomics.cohort.groups_cox import fit_cox
from manabi.radiomics.cohort.groups_tests import permutation_p
from manabi.radiomics.cohort.splits import stratified_folds
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.delta import FeatureSeries, delta_sets, deltas
from Training.experiments.survival_bench import Bench, Job, followup, mean, rate

PATIENTS, WEEKS = 26, np.arange(1.0, 6.0)
SETS = delta_sets(WEEKS.tolist())
NAMED = "slope"
"""The set that is named before anybody looks."""
SOURCE_C, ALPHA = 0.821, 0.05
SCAN_SHARE = 0.3
"""Of the variance that is a feature's own: what differs between two scans of one patient."""
DRIFT_SD = 0.5
"""Of a drifting machine's change over the weeks, per feature, in standard deviations between patients."""
SURVIVAL = 0.35
"""At five years: more die than of the lung tumours, so that a small study has events."""
KEEP, STEPS, SHALLOWEST, RATIO, INNER = 50, 20, 0.05, 0.5, 3
"""Features that univariate selection keeps; penalties of a path and the smallest against the largest; share of the
lasso; inner folds."""


@dataclass(frozen=True)
class Truth:
    """What is true in a study.

    Attributes:
        effects: changes of :class:`OutcomeModel` where nothing else tells survival.
        drift: whether one of the two machines drifts over the weeks.
    """

    effects: dict[str, float]
    drift: bool = False


NOTHING = {"beta": 0.0, "gamma_v": 0.0, "age_effect": 0.0, "male_effect": 0.0, "five_year_survival": SURVIVAL}
TRUTHS = {
    "nothing": Truth({}),
    "how fast the tumour shrinks": Truth({"response_effect": -math.log(2.5)}),
    "volume at the start": Truth({"gamma_v": math.log(2.5)}),
    "nothing, a machine drifts": Truth({}, drift=True),
    "which machine, and it drifts": Truth({"confounding": math.log(6.0)}, drift=True),
}


def delta(bench: Bench) -> dict[str, Any]:
    """Every truth: what the best of 17 sets gives, and what is left when nothing is chosen by its result."""
    count, out = bench.settings.delta_studies, dict[str, Any]()
    for n, (name, truth) in enumerate(TRUTHS.items()):
        model = OutcomeModel(**{**NOTHING, **truth.effects})
        job = Job(bench.surrogate, model, PATIENTS, PATIENTS - 1, bench.settings.seed, 1000 + n)
        found = bench.map(drifting if truth.drift else steady, job, count)
        out[name] = {
            **{key: mean(found[key]) for key in ("best", "inside", "named", "oracle", "events", "significant")},
            "best_spread": [float(q) for q in np.quantile(found["best"], [0.025, 0.975])],
            "as_source": rate(found["best"] >= SOURCE_C),
            "best_p": rate(found["best_p"] < ALPHA),
            "permuted": permuted(bench, job) if name in ("nothing", "how fast the tumour shrinks") else None,
        }
    return {"studies": count, "patients": PATIENTS, "sets": len(SETS), "features": len(bench.surrogate.names),
            "source_c": SOURCE_C, "truths": out}  # fmt: skip


def steady(job: Job, index: int) -> dict[str, float]:
    """A study with machines that stay as they are."""
    return analysed(*drawn(job, index, drift=False), index)


def drifting(job: Job, index: int) -> dict[str, float]:
    """A study in which one of two machines drifts."""
    return analysed(*drawn(job, index, drift=True), index)


def permuted(bench: Bench, job: Job) -> dict[str, Any] | None:
    """The first study again with its outcomes permuted: both analyses from the start, and where they lie."""
    draws = bench.settings.delta_permutations
    if not draws:
        return None
    seen = analysed(*drawn(job, 0, drift=False), 0)
    null = bench.map(shuffled, job, draws)
    return {"draws": draws, **{
        key: {"c": seen[key], "null": mean(null[key]), "p": permutation_p(seen[key], null[key])}
        for key in ("best", "inside", "named")
    }}  # fmt: skip


def shuffled(job: Job, index: int) -> dict[str, float]:
    """The first study with the outcomes of its patients exchanged."""
    cohort, values = drawn(job, 0, drift=False)
    order = np.random.default_rng([job.seed, job.stream, 77, index]).permutation(PATIENTS)
    other = replace(cohort, time_days=cohort.time_days[order], event=cohort.event[order])
    return analysed(other, values, index)


# --- a study ----------------------------------------------------------------------------------------------------------


def drawn(job: Job, index: int, drift: bool) -> tuple[SimulatedCohort, np.ndarray]:
    """Patients with their survival, and their changes ``(26, 17, features)``."""
    rng = np.random.default_rng([job.seed, job.stream, index])
    people = draw_patients(rng, PATIENTS)
    people = replace(people, centre=np.where(rng.random(PATIENTS) < 0.5, 0, 3))
    cohort = follow(rng, people, job.model)
    values = series(rng, job, people, drift)
    names = tuple(map(str, range(PATIENTS)))
    table = deltas(FeatureSeries(names, job.surrogate.names, values, WEEKS), SETS)
    return cohort, np.nan_to_num(table.values)


def series(rng: np.random.Generator, job: Job, people: Patients, drift: bool) -> np.ndarray:
    """``(26, 5, features)`` values at the weeks; all machines alike but for the drift of the second."""
    surrogate, shape = job.surrogate, (PATIENTS, len(WEEKS), len(job.surrogate.names))
    rate_per_week = SHRINK_PER_WEEK * np.exp(LOG_SHRINK_SD * people.response)
    alike = replace(people, centre=np.zeros(PATIENTS, int))
    stays = replace(surrogate, own=math.sqrt(1 - SCAN_SHARE) * surrogate.own).draw(rng, lung_drivers(alike))
    shrunk = -rate_per_week[:, None] * WEEKS / LOG_ML_SD
    volume = surrogate.effects[list(surrogate.drivers).index("v")]
    scores = stays[:, None] + shrunk[:, :, None] * volume
    scores = scores + math.sqrt(SCAN_SHARE) * surrogate.own * rng.standard_normal(shape)
    if drift:
        moved = DRIFT_SD * rng.standard_normal(shape[2])
        scores = scores + (people.centre > 0)[:, None, None] * (WEEKS / WEEKS[-1])[None, :, None] * moved
    return np.exp(scores / 2)


def analysed(cohort: SimulatedCohort, values: np.ndarray, seed: int) -> dict[str, float]:
    """Both analyses of a study.

    ``best``: for each set the penalty with the highest leave-one-out C, and of the sets the best: what a report of the
    best of 17 shows. ``inside``: set and penalty by inner cross-validation without the patient. ``named``: the set
    that was named beforehand, its penalty likewise.
    """
    table = Cohort(tuple(map(str, range(PATIENTS))), time_days=cohort.time_days, event=cohort.event)
    comparable, rows = pairs(table), np.arange(PATIENTS)
    left_out = np.full((len(SETS), PATIENTS, STEPS), 0.0)
    chosen = {"inside": np.zeros(PATIENTS), "named": np.zeros(PATIENTS)}
    for patient in rows:
        train = rows[rows != patient]
        for k in range(len(SETS)):
            left_out[k, patient] = path(values[:, k], table, train, np.array([patient]))[0]
        inner = inner_concordance(values, table, train, seed)
        best, step = np.unravel_index(int(inner.argmax()), inner.shape)
        chosen["inside"][patient] = left_out[best, patient, step]
        named = [one.name for one in SETS].index(NAMED)
        chosen["named"][patient] = left_out[named, patient, int(inner[named].argmax())]
    return {
        **reported(cohort, left_out, comparable),
        **{name: concordance(risk, comparable) for name, risk in chosen.items()},
        "oracle": concordance(cohort.log_hazard, comparable) if np.ptp(cohort.log_hazard) else 0.5,
        "events": float(cohort.event.sum()),
    }


def reported(cohort: SimulatedCohort, left_out: np.ndarray, comparable: np.ndarray) -> dict[str, float]:
    """C and log-rank p of the best set at its best penalty, and how many sets are significant at theirs."""
    found, p = [], []
    for risks in left_out:
        counts, total = concordance_counts(risks, comparable)
        step = int(counts.argmax())
        found.append(counts[step] / total)
        p.append(split_p(cohort, risks[:, step]))
    best = int(np.argmax(found))
    return {"best": float(found[best]), "best_p": p[best], "significant": float((np.array(p) < ALPHA).sum())}


def split_p(cohort: SimulatedCohort, risk: np.ndarray) -> float:
    """Log-rank p (score test) of a split at the median; 1 where all risks are alike."""
    high = (risk > np.median(risk)).astype(float)
    if not np.ptp(high):
        return 1.0
    return float(fit_cox(followup(cohort), high[:, None]).p[0, 0])


def inner_concordance(values: np.ndarray, table: Cohort, train: np.ndarray, seed: int) -> np.ndarray:
    """``(sets, penalties)`` C within the training patients; the pairs of a fold count, and folds are added up."""
    part = table.take(train)
    score, total = np.zeros((len(SETS), STEPS)), 0.0
    for split in stratified_folds(part, INNER, np.random.default_rng([seed, 5])):
        comparable = pairs(part.take(split.test))
        total += float(comparable.sum())
        for k in range(len(SETS)):
            risks = path(values[:, k], table, train[split.train], train[split.test])
            score[k] += concordance_counts(risks, comparable)[0]
    return np.round(score / max(total, 1.0), 9)


def path(x: np.ndarray, table: Cohort, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """``(test, penalties)`` risks of an elastic-net Cox model along its path; all of it learned on ``train``."""
    from sksurv.linear_model import CoxnetSurvivalAnalysis
    from sksurv.util import Surv

    days, event = np.asarray(table.time_days)[train], np.asarray(table.event)[train]
    centre, spread = x[train].mean(0), np.maximum(x[train].std(0), 1e-12)
    strength = np.abs(cox_score((x[train] - centre) / spread, days, event))
    kept = np.argsort(-strength, kind="stable")[:KEEP]
    known, new = ((x[rows][:, kept] - centre[kept]) / spread[kept] for rows in (train, test))
    model = CoxnetSurvivalAnalysis(l1_ratio=RATIO, n_alphas=STEPS, alpha_min_ratio=SHALLOWEST, tol=1e-5)
    out = np.zeros((len(test), STEPS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the empty model at the top of the path is meant to be there
        try:
            found = new @ model.fit(known, Surv.from_arrays(event, days)).coef_
        except (ArithmeticError, ValueError):
            return out  # too few events in an inner fold: no model
    out[:, : found.shape[1]] = found
    out[:, found.shape[1] :] = found[:, -1:]
    return out
