"""What the parts of the NoduleSynth experiment share: settings, arms, films, and work that is kept once finished."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from manabi.bundle import Bundle
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.parameters import Parameters
from manabi.store import BundleStore
from Training.cohort import PHANTOMS
from Training.config import TrainConfig
from Training.engine import fit
from Training.experiments.mvct_bench import check_unseen, finite
from Training.experiments.slices_arms import digest, found, keep
from Training.nodule import NoduleRecipe, NoduleTask
from Training.nodule import Plan as TrainingPlan
from Training.nodule_augment import FilmAugment
from Training.nodule_boxes_task import BoxRecipe, BoxTask, box_finder
from Training.nodule_data import NoduleData, Part, held_out, open_data
from Training.nodule_evaluate import Finder, finder
from Training.nodule_finetune import FineTune
from Training.nodule_losses import PairWeights
from Training.nodule_lungs import limited

logger = logging.getLogger(__name__)

PARTS = ("arms", "finetune", "real")
TERMS: dict[str, dict[str, float]] = {
    "dice": {"nac": 0.0, "necmos": 0.0}, "nac": {"necmos": 0.0}, "necmos": {"nac": 0.0}, "both": {},
    "bce": {"bce": 1.0},
}  # fmt: skip
"""Arms of the U-Net and how their weights differ from the source's three terms of 10."""
BOXES = ("retinanet", "ssd")
MAIN, PLAIN, BUNDLE = "both", "dice", "bundle"
RATE = 0.2
"""False positives per film that the source reports at."""


@dataclass(frozen=True)
class Settings(Parameters):
    """Films and arms of the experiment; the defaults are the size of the source's study."""

    parts: str = field(default=",".join(PARTS), metadata={"help": "which parts to run, with commas"})
    data: str = field(default="phantoms:5001:131072", metadata={"help": "pairs to train on, as for the recipe"})
    held_out: int = field(default=300, metadata={"low": 2, "help": "pairs of the other domain to test on"})
    test_pairs: int = field(default=300, metadata={"low": 2, "help": "pairs of the training's domain to test on"})
    arms: str = field(default=",".join((*TERMS, *BOXES)), metadata={"help": "which arms, with commas"})
    seeds: int = field(default=3, metadata={"low": 1, "help": "trainings of every arm, averaged"})
    resamples: int = field(default=2000, metadata={"low": 10, "help": "resamples of chests"})
    tuned: str = field(default=f"{PLAIN},{MAIN}", metadata={"help": "arms that are fine-tuned, with commas"})
    bundle: str = field(default="", metadata={"help": "a bundle, by name or folder, to be scored beside them"})
    real: str = field(default="", metadata={"help": "folder of real films; empty: MANABI_TEST_DATA/cxr, where it is"})
    seen: str = field(
        default="",
        metadata={"help": "CSV with the column patient: whose real films training has seen; they are not scored"},
    )


@dataclass(frozen=True)
class Plan:
    """What is to be done, and where.

    Attributes:
        settings: of the experiment.
        training: all sections of the recipe; the loss is that of the arm ``both``.
        boxes: of the baselines.
        finetune: of the part of this name.
        folder: where finished work is kept.
        cache: for simulated pairs.
    """

    settings: Settings
    config: TrainConfig
    recipe: NoduleRecipe
    loss: PairWeights
    augment: FilmAugment
    boxes: BoxRecipe
    finetune: FineTune
    folder: Path
    cache: Path

    def key(self, *more: Any) -> str:
        """Digest of data, recipe, the engine's settings and more."""
        shape = {
            "recipe": self.recipe.to_dict(), "training": self.config.what_is_learned(), "loss": self.loss.to_dict(),
            "augment": self.augment.to_dict(), "boxes": self.boxes.to_dict(),
        }  # fmt: skip
        return digest(shape, [data_of(self).digest, self.settings.held_out, self.settings.test_pairs, *more])

    def once(self, path: str, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Finished work from ``folder/path``, or ``work`` done and kept there with the seconds it took."""
        done = found(self.folder / path, key)
        if done is None:
            started = time.perf_counter()
            content = finite(work())
            content["duration_s"] = round(time.perf_counter() - started, 2)
            done = keep(self.folder / path, key, content)
        return done

    def arm(self, name: str, seed: int) -> TrainingPlan:
        """The sections that an arm is trained with."""
        loss = PairWeights.of({**self.loss.to_dict(), **TERMS.get(name, {})})
        return TrainingPlan(replace(self.config, seed=self.config.seed + seed), self.recipe, loss, self.augment)


TYPES: dict[str, type[Parameters]] = {
    "experiment": Settings, "training": TrainConfig, "recipe": NoduleRecipe, "loss": PairWeights,
    "augment": FilmAugment, "boxes": BoxRecipe, "finetune": FineTune,
}  # fmt: skip
"""Sections of the experiment's settings."""


def listed(text: str, known: tuple[str, ...], name: str) -> list[str]:
    """Names with commas; raises InvalidInputError for one that is not known."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    strange = [n for n in names if n not in known]
    if strange or not names:
        raise InvalidInputError(
            f"experiment.{name}: unknown {', '.join(strange) or 'nothing'}; known {', '.join(known)}."
        )
    return names


def arms_of(settings: Settings) -> list[str]:
    """The arms that are run."""
    return listed(settings.arms, (*TERMS, *BOXES), "arms")


@lru_cache(maxsize=2)
def data_of(plan: Plan) -> NoduleData:
    """The pairs that all arms are trained on."""
    recipe = plan.recipe
    return open_data(plan.settings.data, recipe.wanted(), recipe.parts, recipe.split_seed, plan.cache)


@lru_cache(maxsize=2)
def domains(plan: Plan) -> dict[str, Part]:
    """The films to test on: chests of the training's domain that were kept apart, and another domain."""
    settings = plan.settings
    return {
        "test": data_of(plan).parts["test"].first(settings.test_pairs),
        "held_out": held_out(settings.data, settings.held_out, plan.recipe.wanted(), plan.cache),
    }


def trained(plan: Plan, name: str, seed: int) -> tuple[torch.nn.Module, dict[str, Any]]:
    """An arm's network, trained now or before, and what it took; a stopped training goes on."""
    arm = plan.arm(name, seed)
    data = data_of(plan)
    task: NoduleTask = NoduleTask(arm, data)
    if name in BOXES:
        task = BoxTask(arm, BoxRecipe.of({**plan.boxes.to_dict(), "kind": name}), data)
    result = fit(task, arm.config, plan.folder / "runs" / f"{name}-{seed}", show_progress=False)
    about = {
        "weights": sum(p.numel() for p in result.model.parameters()), "best_epoch": result.best_epoch,
        "pairs_seen": arm.config.epochs * arm.recipe.items_per_epoch, "duration_s": round(result.duration_s, 1),
    }  # fmt: skip
    return result.model.to(choose_device(plan.config.device).device), about


def bundle_of(plan: Plan) -> Bundle:
    """The bundle that is scored beside the arms.

    Raises:
        InvalidInputError: where it was trained on the films of this experiment.
    """
    bundle = BundleStore().get(plan.settings.bundle, method="nodule")
    for seed, count in PHANTOMS.findall(data_of(plan).source):
        check_unseen(bundle.trained_on, f"phantoms:{seed}:{count}")
    return bundle


def bundle_finder(bundle: Bundle, limit_to_lungs: bool) -> Finder:
    """How a bundle marks films."""
    return limited(finder(bundle.build_network(), int(bundle.facts["peak_distance"])), limit_to_lungs)


def finder_of(plan: Plan, name: str, model: torch.nn.Module) -> Finder:
    """How an arm marks films; for all arms alike, marks outside the lungs are left out or not."""
    find = box_finder(model) if name in BOXES else finder(model, plan.recipe.peak_distance)
    return limited(find, plan.recipe.limit_to_lungs)
