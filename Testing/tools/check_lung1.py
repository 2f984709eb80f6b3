#!/usr/bin/env python3
"""Leak-free survival models on a real cohort: ``python Testing/tools/check_lung1.py PART [--results JSON]``.

What is run is fixed here, before anything was looked at: LUNG1, death of any cause, Coxnet in 5 folds x 10 repeats as
the primary analysis, its combined model against volume alone as the primary comparison; forest and boosting are
secondary. Parts: ``primary``, ``null`` (outcome permuted), ``leaky`` (the mistake, for comparison), ``forest``,
``boosting``, ``sets`` (scikit-survival's data sets) and ``tables`` (prints the Markdown of ``docs/results``). Each part
adds itself to the JSON file. Needs ``pip install openpyxl``; data are looked for below ``MANABI_TEST_DATA``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from manabi.radiomics.cohort import Cohort, Evaluation, Plan
    from manabi.radiomics.cohort.scores import Score

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data")) / "radiomics" / "lung1"
RESULTS = ROOT / "docs" / "results" / "radiomics_real.json"
SEED = 20191
FULL = {"primary": 10, "leaky": 10, "forest": 2, "boosting": 2, "sets": 10}
"""Repeats of the five folds of each part."""
PERMUTATIONS = {"null": 40, "leaky": 20}
SCORED_YEARS = (1.0, 2.0, 3.0)
CALIBRATED_YEARS = 2.0
PACKAGES = ("manabi", "scikit-survival", "lifelines", "scikit-learn", "numpy", "scipy", "pandas")


def plan_of(part: str, quick: bool) -> Plan:
    """What a part does; ``quick`` is a check that it works, not a figure."""
    from manabi.radiomics.cohort import Plan

    model: Any = part if part in ("forest", "boosting") else "elastic_net"
    permutations = min(PERMUTATIONS.get(part, 0), 2 if quick else 10**6)
    return Plan(model=model, repeats=1 if quick else FULL.get(part, 1), n_permutations=permutations, seed=SEED)


def row(one: Score) -> dict[str, Any]:
    """A score as JSON; what is missing is None."""
    numbers = {name: getattr(one, name) for name in ("estimate", "low", "high", "p")}
    known = {name: round(float(v), 5) if np.isfinite(v) else None for name, v in numbers.items()}
    return {"name": one.name, **known, "n": one.n, "events": one.events, "how": one.how, "reason": one.reason}


def c_scores(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Harrell's C of each block with its interval."""
    from manabi.radiomics.cohort.intervals import bootstrap_interval

    return {block: row(bootstrap_interval(evaluation, block)) for block in evaluation.blocks}


def all_scores(evaluation: Evaluation, cohort: Cohort) -> dict[str, Any]:
    """Every score of every block, differences, calibration, risk groups, and what the risks have to do with volume."""
    from manabi.radiomics.cohort.scores_blocks import score_survival
    from manabi.radiomics.cohort_study import CONTRASTS, followup, predictions

    follow, predicted = followup(evaluation), predictions(evaluation)
    scored = score_survival(follow, predicted, SCORED_YEARS, contrasts=CONTRASTS)
    return {
        "blocks": {block: [row(one) for one in ones] for block, ones in scored.blocks.items()},
        "differences": [row(one) for one in scored.differences],
        "corrected": corrected(evaluation),
        "calibration": {b: calibration(evaluation, b) for b in evaluation.blocks},
        "groups": {b: [row(one) for one in risk_groups(evaluation, b).scores()] for b in evaluation.blocks},
        "volume": volume_relations(evaluation, cohort),
        "selection": selection(evaluation),
    }


def corrected(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The contrasts again, with the interval that holds the luck of the split."""
    from manabi.radiomics.cohort.intervals import corrected_difference
    from manabi.radiomics.cohort_study import CONTRASTS

    pairs: Any = [pair for pair in CONTRASTS if set(pair) <= set(evaluation.blocks)]
    return [row(corrected_difference(evaluation, first, second)) for first, second in pairs]


def calibration(evaluation: Evaluation, block: str) -> list[dict[str, Any]]:
    """Calibration of a block at two years."""
    from manabi.radiomics.cohort.calibration import calibrate
    from manabi.radiomics.cohort_study import followup, predictions

    found = calibrate(followup(evaluation), predictions(evaluation)[block], CALIBRATED_YEARS)
    return [row(one) for one in found.scores]


def risk_groups(evaluation: Evaluation, block: Any) -> Any:
    """Above against below the training median, in most of the repeats."""
    from manabi.radiomics.cohort.groups import split_by_risk
    from manabi.radiomics.cohort_study import followup

    share = evaluation.high_risk(block).mean(axis=0)
    return split_by_risk(followup(evaluation), share, 0.5, CALIBRATED_YEARS)


def mean_risk(evaluation: Evaluation, block: Any) -> np.ndarray:
    """``(n,)`` out-of-fold risk against the model's own training median, mean over the repeats."""
    return np.asarray((evaluation.risk[block] - evaluation.threshold[block]).mean(axis=0))


def volume_relations(evaluation: Evaluation, cohort: Cohort) -> list[dict[str, Any]]:
    """Each block's out-of-fold risk: rank correlation with volume, hazard ratio alone and beside log volume."""
    from manabi.radiomics.cohort.groups_volume import volume_effects
    from manabi.radiomics.cohort_study import followup

    names = [block for block in evaluation.blocks if block != "volume"]
    values = np.column_stack([mean_risk(evaluation, block) for block in names])
    found = volume_effects(followup(evaluation), values, names, np.asarray(cohort.volume_ml))
    return [
        {"name": e.name, "rho": row(e.rho), "alone": row(e.alone), "adjusted": row(e.adjusted), "reading": e.reading()}
        for e in found
    ]


def selection(evaluation: Evaluation) -> dict[str, Any]:
    """How many and which features, and how steadily."""
    blocks: Any = [b for b in ("radiomics", "combined") if b in evaluation.blocks]
    return {
        b: {
            "median_selected": float(np.median([len(m.selected) for m in evaluation.models[b]])),
            "stability": round(evaluation.selection_stability(b), 4),
            "most_frequent": {k: round(v, 3) for k, v in list(evaluation.frequency(b).items())[:10]},
        }
        for b in blocks
    }


def primary(quick: bool) -> dict[str, Any]:
    """Coxnet, nested, with pictures."""
    return modelled("primary", quick)


def modelled(part: str, quick: bool) -> dict[str, Any]:
    """One honest evaluation of LUNG1 and all its scores."""
    from manabi.context import Context
    from manabi.radiomics.cohort import evaluate

    cohort, context = lung1_cohort(), Context(device="cpu")
    evaluation = evaluate(cohort, plan_of(part, quick), context, workers=1)
    if part == "primary" and not quick:
        from lung1_pictures import draw_all

        draw_all(evaluation, cohort)
    return {"about": about(evaluation), "warnings": context.warnings, **all_scores(evaluation, cohort)}


def null(quick: bool) -> dict[str, Any]:
    """The whole procedure on permuted outcomes, one repeat each."""
    from manabi.radiomics.cohort import evaluate

    evaluation = evaluate(lung1_cohort(), plan_of("null", quick), workers=1)
    return {"about": about(evaluation), "c": {b: rounded(values) for b, values in evaluation.null.items()}}


def leaky(quick: bool) -> dict[str, Any]:
    """Selection on everybody, then cross-validation: on the real outcome and on permuted ones."""
    from manabi.radiomics.cohort.leaky import leaky_evaluate

    evaluation = leaky_evaluate(lung1_cohort(), plan_of("leaky", quick), workers=1)
    return {
        "about": about(evaluation),
        "warnings": list(evaluation.warnings),
        "c": c_scores(evaluation),
        "null": {b: rounded(values) for b, values in evaluation.null.items()},
    }


def sets(quick: bool) -> dict[str, Any]:
    """scikit-survival's data sets: our nested C and the C of its own Cox model fitted to everybody."""
    from read_sets import apparent_c, cohorts

    from manabi.radiomics.cohort import Plan, evaluate

    out = {}
    for name, cohort in cohorts().items():
        plan = Plan(blocks=("clinical",), repeats=1 if quick else FULL["sets"], seed=SEED)
        evaluation = evaluate(cohort, plan, workers=1)
        out[name] = {"about": about(evaluation), "nested": c_scores(evaluation)["clinical"],
                     "apparent": round(apparent_c(name), 4)}  # fmt: skip
    return out


def lung1_cohort() -> Cohort:
    """The cohort."""
    from read_lung1 import read_lung1

    return read_lung1(FOLDER).cohort


def rounded(values: np.ndarray) -> list[float]:
    """As JSON."""
    return [round(float(v), 4) for v in values]


def about(evaluation: Evaluation) -> dict[str, Any]:
    """What was run on what."""
    plan = evaluation.plan
    return {
        "n": len(evaluation.outcome),
        "events": evaluation.outcome.n_events,
        "features": evaluation.n_features,
        "model": plan.model,
        "folds": plan.folds,
        "repeats": plan.n_repeats,
        "permutations": plan.n_permutations,
        "inner_folds": plan.inner_folds,
        "seed": plan.seed,
    }


def environment() -> dict[str, Any]:
    """Versions and the kind of device."""
    found = {name: version(name) for name in PACKAGES}
    return {"device": f"CPU, 1 thread of {os.cpu_count()}", "python": platform.python_version(), **found}


PARTS: Mapping[str, Callable[[bool], dict[str, Any]]] = {
    "primary": primary,
    "null": null,
    "leaky": leaky,
    "forest": lambda quick: modelled("forest", quick),
    "boosting": lambda quick: modelled("boosting", quick),
    "sets": sets,
}


def store(path: Path, part: str, found: dict[str, Any]) -> None:
    """Put a part into the JSON file beside the other parts."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known[part] = found
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    """Run one part, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=[*PARTS, "tables"])
    parser.add_argument("--quick", action="store_true", help="one repeat, two permutations: a check that it works")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    if given.part == "tables":
        from lung1_tables import tables

        sys.stdout.write(tables(json.loads(given.results.read_text(encoding="utf-8"))))
        return 0
    started, own = time.perf_counter(), time.process_time()
    found = PARTS[given.part](given.quick)
    spent = {"wall_s": round(time.perf_counter() - started), "cpu_s": round(time.process_time() - own)}
    store(given.results, given.part, {**found, "environment": environment(), **spent, "quick": given.quick})
    sys.stdout.write(f"{given.part}: {spent}; stored in {given.results}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
