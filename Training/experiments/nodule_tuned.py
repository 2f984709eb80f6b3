"""Figure 3 with fine-tuning: networks of the first part, fitted to the other domain's films, leave-one-case-out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from Training.experiments.nodule_arms import compared, marked
from Training.experiments.nodule_bench import MAIN, PLAIN, RATE, TERMS, Plan, arms_of, domains, listed, trained
from Training.experiments.nodule_numbers import difference
from Training.froc import Film, score_films
from Training.nodule_evaluate import films_from_json, films_to_json
from Training.nodule_finetune import cross_tuned, left_out
from Training.nodule_network import PairUNet

logger = logging.getLogger(__name__)

DOMAIN = "held_out"


def run(plan: Plan) -> dict[str, Any]:
    """Fine-tune the first training of every chosen arm, case by case left out; compare with and without."""
    wanted = listed(plan.settings.tuned, tuple(TERMS), "tuned")
    names = [name for name in wanted if name in arms_of(plan.settings)]
    tuned = {name: [tuned_films(plan, name)] for name in names}
    before = {name: [films_from_json(marked(plan, name, 0)["films"][DOMAIN])] for name in names}
    resamples = plan.settings.resamples
    gains = {
        name: difference([score_films(tuned[name][0])], [score_films(before[name][0])], RATE, resamples)
        for name in names
    }
    found = compared({f"{name}_tuned": films for name, films in tuned.items()}, resamples)
    if {MAIN, PLAIN} <= set(names):
        main, plain = ([score_films(tuned[name][0])] for name in (MAIN, PLAIN))
        found["differences"][f"{MAIN}_tuned|{PLAIN}_tuned"] = difference(main, plain, RATE, resamples)
    patients = domains(plan)[DOMAIN].patients
    return {
        "arms": names, "gain": gains, "folds": len(left_out(patients, plan.finetune.folds, plan.finetune.seed)),
        "chests": len(set(patients)), "settings": plan.finetune.to_dict(), **found,
    }  # fmt: skip


def tuned_films(plan: Plan, name: str) -> list[Film]:
    """Marks on every film of the other domain by networks that were fitted to the others; folds are kept one by one."""
    model, _ = trained(plan, name, 0)
    key = plan.key("tuned", name, plan.finetune.to_dict())

    def keep(number: int, work: Callable[[], list[Film]]) -> list[Film]:
        path = f"finetune/{name}/{number}.json"
        return films_from_json(plan.once(path, key, lambda: {"films": films_to_json(work())})["films"])

    logger.info("fine-tuning arm %s", name)
    weights = plan.arm(name, 0).loss
    network = cast(PairUNet, model)
    return cross_tuned(
        network, domains(plan)[DOMAIN], plan.finetune, weights, keep, plan.recipe.peak_distance,
        plan.recipe.limit_to_lungs,
    )  # fmt: skip
