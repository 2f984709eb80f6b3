"""Does the gate find corrupted and foreign inputs, and leave good ones alone? Its ROC, before and after converting.

The gate knows what a bundle knows (:func:`Training.mvct_calibrate.facts`), measured on training and validation
patients. Good inputs are the test patients; every corruption is tried on each of them. Foreign inputs are the
patient's kVCT and cone-beam CT.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.mvct import pipeline
from manabi.mvct.corrupt import CORRUPTIONS, corrupted
from manabi.mvct.gate import FLAG, OK, REFUSE, GateLimits, judge
from manabi.mvct.hu_check import check_hu, expected_hu
from manabi.mvct.metrics import dig
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import prepare
from manabi.mvct.safety import check_input, final_verdict
from manabi.mvct.tissue_map import tissue_map
from manabi.phantoms.ct.convert import simulate
from manabi.phantoms.ct.scanner import sample_scanner
from manabi.volume import Volume
from Training.experiments.mvct_bench import Plan, View, spread, views
from Training.experiments.mvct_networks import Job, watched
from Training.experiments.mvct_numbers import rate
from Training.roc import auc_bootstrap

logger = logging.getLogger(__name__)

KIND = "mvct"
GOOD = "good"
FOREIGN = ("kvct", "cbct")
STAGES = ("before", "after")
"""What the input alone says, and what is known once it was converted."""
WORST = 1e6
"""Score of what cannot be looked at at all."""
Case = dict[str, Any]


def run(plan: Plan) -> dict[str, Any]:
    """Try every input of every test patient, or go on with it."""
    jobs = [Job(plan, KIND, number) for number in range(len(views(plan, KIND)))]
    spread(patient, jobs, plan.settings.workers)
    cases = [{**case, "patient": job.which} for job in jobs for case in patient(job)]
    return {"patients": len(jobs), "network": watched(plan, KIND).name, "cases": cases, **summary(cases)}


def patient(job: Job) -> list[Case]:
    """The verdicts on every input made of one test patient, kept."""
    plan, number = job.plan, int(job.which)
    one, view = watched(plan, KIND), views(plan, KIND)[number]
    key = plan.key(
        KIND,
        gate=sorted(CORRUPTIONS),
        limits=GateLimits().to_dict(),
        foreign=list(FOREIGN),
        arm=one.key,
        patient=view.pair.name,
    )
    work = partial(_patient, plan, view, number, one.model)
    return plan.once(f"gate/{number}.json", key, work)["cases"]


def _patient(plan: Plan, view: View, number: int, model: Model) -> dict[str, Any]:
    """The verdicts on a patient's scan, on every corruption of it, and on foreign scans of the same patient."""
    logger.info("gate: test patient %d", number + 1)
    scan = view.pair.source.reoriented()
    scan = scan.like(np.asarray(scan.array, np.float32))
    cases = [{"name": GOOD, **verdicts(scan, model, plan)}]
    for name in CORRUPTIONS:
        cases.append({"name": name, **verdicts(corrupted(scan, name, seed=number), model, plan)})
    for name in FOREIGN:
        cases.append({"name": name, **verdicts(_foreign(plan, view, name, number), model, plan)})
    return {"cases": cases}


def _foreign(plan: Plan, view: View, name: str, seed: int) -> Volume:
    kvct = view.pair.target.reoriented()
    kvct = kvct.like(np.asarray(kvct.array, np.float32))
    if name == "kvct":
        return kvct
    scanner = sample_scanner(name, np.random.default_rng([seed, 5]))
    return simulate(kvct, seed=seed, scanner=scanner, fast=plan.settings.fast, context=plan.context)


def verdicts(volume: Volume, model: Model, plan: Plan) -> dict[str, Any]:
    """Level, score and first reason of the gate at both :data:`STAGES`."""
    work = prepare(volume, model.settings.pixel_mm)
    try:
        checked = check_input(work, model, plan.context)
    except InvalidInputError:
        nothing = {"level": REFUSE, "score": WORST, "why": "no body"}
        return dict.fromkeys(STAGES, nothing)
    first = judge(checked.evidence)
    done = pipeline.convert(work, checked.body, model, MVCTParameters.of({"uncertainty": "none"}), plan.context)
    inside = work.mask_to_straight(checked.body)
    spacing = np.asarray(work.straight.spacing_mm, float)
    tissues = tissue_map(done.after, spacing, "kvct", inside)
    lines = check_hu(done.after, tissues, spacing, expected_hu("kvct", model.facts.get("expected_hu")))
    residual = None if done.residual is None else done.residual[inside]
    last = final_verdict(checked, lines, dig(done.before, done.after, inside, spacing), residual)
    return {stage: _told(verdict) for stage, verdict in zip(STAGES, (first, last), strict=True)}


def _told(verdict: Any) -> dict[str, Any]:
    why = verdict.reasons[0].prefix if verdict.reasons else ""
    return {"level": verdict.level, "score": min(float(verdict.score), WORST), "why": why}


# --- numbers ----------------------------------------------------------------------------------------------------------


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """ROC areas by stage and by input, and how often each was flagged and refused."""
    names = list(dict.fromkeys(case["name"] for case in cases))
    return {
        "inputs": {name: {stage: _levels(cases, name, stage) for stage in STAGES} for name in names},
        "auc": {stage: area(cases, stage, [name for name in names if name != GOOD]) for stage in STAGES},
        "auc_by_input": {
            name: {stage: area(cases, stage, [name]) for stage in STAGES} for name in names if name != GOOD
        },
        "caught": {stage: _share(cases, stage, False) for stage in STAGES},
        "false_alarms": {stage: _share(cases, stage, True) for stage in STAGES},
    }


def area(cases: Sequence[Case], stage: str, names: Sequence[str]) -> list[float]:
    """Area under the ROC curve of bad against good inputs, patients resampled: value, low, high, bad inputs."""
    kept = [case for case in cases if case["name"] == GOOD or case["name"] in names]
    truth = np.array([case["name"] != GOOD for case in kept])
    scores = np.array([case[stage]["score"] for case in kept])
    found = auc_bootstrap(truth, scores, [case["patient"] for case in kept])
    return [found.value, found.low, found.high, int(truth.sum())]


def _levels(cases: Sequence[Case], name: str, stage: str) -> dict[str, int]:
    levels = [case[stage]["level"] for case in cases if case["name"] == name]
    return {level: levels.count(level) for level in (OK, FLAG, REFUSE)}


def _share(cases: Sequence[Case], stage: str, good: bool) -> list[float]:
    """Share of inputs that were flagged or refused."""
    levels = [case[stage]["level"] for case in cases if (case["name"] == GOOD) == good]
    return rate(sum(level != OK for level in levels), len(levels))
