"""The source's figure 3 without fine-tuning: every loss and both baselines, on two domains of films."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from Training.experiments.nodule_bench import (
    BOXES,
    BUNDLE,
    MAIN,
    PLAIN,
    RATE,
    TERMS,
    Plan,
    arms_of,
    bundle_finder,
    bundle_of,
    domains,
    finder_of,
    trained,
)
from Training.experiments.nodule_numbers import difference, mean_curve, summary
from Training.froc import Film, Scored, score_films
from Training.nodule_evaluate import films_from_json, films_of, films_to_json

logger = logging.getLogger(__name__)

CURVE_RATES = tuple(round(float(v), 4) for v in np.geomspace(0.02, 4.0, 60))
"""Places of the FROC curves."""


def run(plan: Plan) -> dict[str, Any]:
    """Train every arm, or go on; mark the films of both domains; compare."""
    names = arms_of(plan.settings)
    done = {name: [marked(plan, name, seed) for seed in range(plan.settings.seeds)] for name in names}
    if plan.settings.bundle:
        names, done = [*names, BUNDLE], {**done, BUNDLE: [marked_by_bundle(plan)]}
    films = {
        domain: {name: [films_from_json(one["films"][domain]) for one in done[name]] for name in names}
        for domain in domains(plan)
    }
    return {
        "arms": names, "seeds": plan.settings.seeds,
        "networks": {name: done[name][0]["network"] for name in names},
        "domains": {domain: compared(found, plan.settings.resamples) for domain, found in films.items()},
    }  # fmt: skip


def marked(plan: Plan, name: str, seed: int) -> dict[str, Any]:
    """The marks of one training of an arm on all test films, kept."""
    return plan.once(f"arms/{name}-{seed}.json", plan.key("arm", name, seed), lambda: _marked(plan, name, seed))


def marked_by_bundle(plan: Plan) -> dict[str, Any]:
    """The same of the bundle that is scored beside the arms."""
    bundle = bundle_of(plan)

    def work() -> dict[str, Any]:
        """What the network is, and its marks by domain."""
        find, training = bundle_finder(bundle, plan.recipe.limit_to_lungs), bundle.facts["training"]
        films = {domain: films_to_json(films_of(part, find)) for domain, part in domains(plan).items()}
        weights = sum(p.numel() for p in bundle.build_network().parameters())
        seen = training["settings"]["epochs"] * training["recipe"]["items_per_epoch"]
        about = {"weights": weights, "best_epoch": training["best_epoch"], "pairs_seen": seen, "duration_s": None}
        return {"network": about, "films": films}

    return plan.once("arms/bundle.json", plan.key("bundle", bundle.weights_sha256), work)


def _marked(plan: Plan, name: str, seed: int) -> dict[str, Any]:
    """What :func:`marked` keeps: the network in numbers, and its marks by domain."""
    logger.info("arm %s, training %d", name, seed + 1)
    model, about = trained(plan, name, seed)
    find = finder_of(plan, name, model)
    films = {domain: films_to_json(films_of(part, find)) for domain, part in domains(plan).items()}
    return {"network": about, "films": films}


def compared(found: Mapping[str, Sequence[Sequence[Film]]], resamples: int) -> dict[str, Any]:
    """Summaries, curves and paired differences of arms on one set of films.

    Args:
        found: by arm the marked films of each training.
        resamples: of every interval.
    """
    circles: dict[str, list[Scored]] = {n: [score_films(f) for f in trainings] for n, trainings in found.items()}
    boxes = {n: [score_films(f, "iou") for f in trainings] for n, trainings in found.items()}
    return {
        "rows": {name: summary(circles[name], boxes[name], resamples) for name in found},
        "curves": {name: mean_curve(circles[name], CURVE_RATES) for name in found},
        "rates": list(CURVE_RATES),
        "differences": {
            f"{a}|{b}": difference(circles[a], circles[b], RATE, resamples) for a, b in contrasts(list(found))
        },
    }


def contrasts(names: Sequence[str]) -> list[tuple[str, str]]:
    """Which arms are compared: each with Dice alone, and those with the paired terms with the baselines."""
    paired = [name for name in names if name in TERMS and name != PLAIN]
    against = [(name, PLAIN) for name in paired if PLAIN in names]
    return [*against, *((name, box) for name in paired for box in BOXES if box in names and name in (MAIN, "bce"))]
