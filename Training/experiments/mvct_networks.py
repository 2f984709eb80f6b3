"""The networks of the MVCTConvert experiment: trained once each, kept, and applied as the method applies them."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.mvct.convert import Settings as Applied
from manabi.mvct.pipeline import Model
from manabi.networks import build
from Training.config import TrainConfig
from Training.engine import fit
from Training.experiments.mvct_bench import Plan, check_unseen, site_of, spread, training_pairs
from Training.experiments.slices_arms import digest, found, keep
from Training.mvct_calibrate import facts
from Training.mvct_cut import CutRecipe, CutTask
from Training.mvct_cycle import CycleRecipe, CycleTask
from Training.mvct_domains import Domains
from Training.mvct_evaluate import BASELINES, INPUT, NETWORK, Convert, converter
from Training.mvct_oracle import OracleRecipe, OracleTask
from Training.task import Task

logger = logging.getLogger(__name__)

CYCLES, CUT, ORACLE, OURS = ("plain", "proposed", "ours"), "cut", "oracle", "ours"
METHODS = (*CYCLES, CUT, ORACLE)
Recipe = CycleRecipe | CutRecipe | OracleRecipe
BUNDLE = "bundle"
SHARED = (
    "filters", "blocks", "skip", "down", "up", "norm", "dropout", "judge_filters", "judge_kernel", "context", "crop",
    "rotate_deg", "zoom", "mirror", "source_low", "source_high", "target_low", "target_high",
)  # fmt: skip
"""Fields of the recipe that all methods share; the presets decide what corrects its input and what ends in tanh."""


@dataclass(frozen=True)
class Arm:
    """One network to train.

    Attributes:
        plan: of the experiment.
        method: one of :data:`METHODS`.
        steps: of the optimiser, whatever the number of slices.
        slices: source slices to learn from; 0 takes all.
        seed: of the training.
        kind: ``mvct`` or ``cbct``.
    """

    plan: Plan
    method: str
    steps: int
    slices: int = 0
    seed: int = 0
    kind: str = "mvct"

    @property
    def name(self) -> str:
        """Unique among the arms of a plan."""
        return f"{self.kind}-{self.method}-{self.slices or 'all'}-{self.steps}-{self.seed}"

    @property
    def key(self) -> str:
        """Digest of everything that shapes the weights."""
        return self.plan.key(self.kind, arm=self.name, method=recipe_of(self).recorded())


def recipe_of(arm: Arm) -> Recipe:
    """The recipe of an arm: its method's preset with the shared fields.

    Raises:
        InvalidInputError: for an unknown method.
    """
    shared = {name: getattr(arm.plan.recipe, name) for name in SHARED}
    items = arm.plan.recipe.items_per_epoch or arm.steps * arm.plan.training.batch_size
    shared["items_per_epoch"] = min(items, arm.steps * arm.plan.training.batch_size)
    if arm.method in CYCLES:
        return CycleRecipe.preset(arm.method, **shared)  # type: ignore[arg-type]
    if arm.method == CUT:
        return CutRecipe.preset("cut", **shared)
    if arm.method == ORACLE:
        return OracleRecipe.of({**shared, "select": "last"})
    raise InvalidInputError(f"Expected methods of {', '.join(METHODS)}; got {arm.method!r}.")


def config_of(arm: Arm) -> TrainConfig:
    """The engine's settings: as many epochs as the steps make."""
    training, items = arm.plan.training, recipe_of(arm).items_per_epoch
    epochs = max(round(arm.steps * training.batch_size / items), 1)
    return replace(training, epochs=epochs, seed=arm.seed, checkpoint_every=epochs, val_every=epochs)


def task_of(arm: Arm) -> Task:
    """The task of an arm. Half of the training patients give the source, the other half the target; the oracle has both
    scans of all."""
    pairs, recipe = training_pairs(arm.plan, arm.kind), recipe_of(arm)
    data_hash = site_of(arm.plan, arm.kind).data_hash
    if isinstance(recipe, OracleRecipe):
        return OracleTask(recipe, pairs, data_hash=data_hash)
    half = len(pairs) // 2
    sources = first_slices([pair.source for pair in pairs[:half]], arm.slices)
    pixel = arm.plan.settings.pixel_mm
    domains = Domains(sources, [pair.target for pair in pairs[half:]], (pixel, pixel))
    if isinstance(recipe, CutRecipe):
        return CutTask(recipe, domains, data_hash=data_hash)
    return CycleTask(recipe, domains, data_hash=data_hash)


def first_slices(volumes: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """So many slices, patient by patient; 0 takes all.

    Raises:
        InvalidInputError: where there are fewer.
    """
    there = sum(len(volume) for volume in volumes)
    if count > there:
        raise InvalidInputError(f"{count} source slices were asked for, and the training patients have {there}.")
    kept: list[np.ndarray] = []
    left = count or there
    for volume in volumes:
        if left > 0:
            kept.append(volume[:left])
            left -= len(kept[-1])
    return kept


# --- training ---------------------------------------------------------------------------------------------------------


def train(arm: Arm) -> None:
    """Train an arm unless its weights are there already."""
    if record_of(arm) is not None:
        return
    logger.info("training %s", arm.name)
    started, run = time.perf_counter(), _folder(arm) / arm.name
    task = task_of(arm)
    result = fit(task, config_of(arm), run, show_progress=False)
    network = _converter(result.model)
    with atomic_file(_weights(arm), overwrite=True) as aside:
        torch.save(network.state_dict(), aside)
    sources = 0 if isinstance(task, OracleTask) else task.training.slices("source")  # type: ignore[attr-defined]
    record = {
        "method": arm.method, "slices": sources, "steps": arm.steps, "seed": arm.seed,
        "weights": sum(p.numel() for p in network.parameters()),
        "patients": 0 if isinstance(task, OracleTask) else len(task.training.source),  # type: ignore[attr-defined]
        "duration_s": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    keep(_folder(arm) / f"{arm.name}.json", arm.key, record)
    shutil.rmtree(run, ignore_errors=True)


def train_all(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Train arms, in several processes where the plan says so; returns their records."""
    missing = [arm for arm in arms if record_of(arm) is None]
    if missing:
        training_pairs(missing[0].plan, missing[0].kind)
        spread(train, missing, missing[0].plan.settings.workers)
    return [record_of(arm) or {} for arm in arms]


def record_of(arm: Arm) -> dict[str, Any] | None:
    """What a finished training left; None before."""
    if not _weights(arm).is_file():
        return None
    return found(_folder(arm) / f"{arm.name}.json", arm.key)


def network_of(arm: Arm) -> nn.Module:
    """The trained converter of an arm, ready to be applied."""
    train(arm)
    with torch.random.fork_rng():
        network = _blank(recipe_of(arm))
    network.load_state_dict(torch.load(_weights(arm), map_location="cpu", weights_only=True))
    return network.eval()


def model_of(arm: Arm, known: dict[str, Any] | None = None) -> Model:
    """The trained converter as the method applies it."""
    recipe, pixel = recipe_of(arm), arm.plan.settings.pixel_mm
    windows = recipe.window("source"), recipe.window("target")
    return Model(Applied(arm.kind, *windows, (pixel, pixel), recipe.context), known or {}, network_of(arm))


def _blank(recipe: Recipe) -> nn.Module:
    if isinstance(recipe, CycleRecipe):
        return build("converter_pair", **recipe.pair_arguments())
    if isinstance(recipe, OracleRecipe):
        return build(recipe.network, **recipe.network_arguments())
    return build("converter_pair", forward=recipe.translator_arguments())


def _converter(model: nn.Module) -> nn.Module:
    """What is kept of a trained model: the pair, or the oracle's network."""
    kept: nn.Module = getattr(model, "pair", model)
    return kept


def _folder(arm: Arm) -> Path:
    return arm.plan.folder / "networks"


def _weights(arm: Arm) -> Path:
    return _folder(arm) / f"{arm.name}.pt"


# --- converters -------------------------------------------------------------------------------------------------------


def long_arms(plan: Plan, kind: str) -> dict[str, Arm]:
    """The networks of all parts but amount, by method; trained on all slices."""
    names = [name.strip() for name in plan.settings.methods.split(",") if name.strip()]
    return {name: Arm(plan, name, plan.settings.long_steps, kind=kind) for name in names}


def main_arm(plan: Plan, kind: str) -> Arm:
    """The network that stands for those trained here: ours where it is, else the first.

    Raises:
        InvalidInputError: where none is to be trained and no bundle is named.
    """
    arms = long_arms(plan, kind)
    if not arms:
        raise InvalidInputError("experiment.methods names no network: name one, or a bundle to score.")
    return arms.get(OURS) or next(iter(arms.values()))


def main_name(plan: Plan, kind: str) -> str:
    """The row of :func:`main_arm`; that of the bundle where no network is trained."""
    return main_arm(plan, kind).method if long_arms(plan, kind) or not named_bundle(plan, kind) else BUNDLE


def named_bundle(plan: Plan, kind: str) -> str:
    """The bundle that the settings name for a kind of scan; empty for none."""
    return plan.settings.cbct_bundle if kind == "cbct" else plan.settings.bundle


@dataclass(frozen=True)
class Watched:
    """The converter whose safety is looked at.

    Attributes:
        name: of its row: a method, or :data:`BUNDLE`.
        model: with everything that it knows.
        key: changes with it.
    """

    name: str
    model: Model
    key: str


@lru_cache(maxsize=2)
def watched(plan: Plan, kind: str) -> Watched:
    """The shipped bundle where one is named, else :func:`main_arm` with what a bundle of it would know."""
    named = named_bundle(plan, kind)
    if named:
        model = bundle_model(named, plan.settings.data)
        return Watched(BUNDLE, model, f"bundle {named} {digest({}, [str(sorted(model.facts.items()))])}")
    arm = main_arm(plan, kind)
    return Watched(arm.method, model_of(arm, known_facts(plan, kind)), arm.key)


def known_facts(plan: Plan, kind: str) -> dict[str, Any]:
    """What the baselines and the gate know: histogram, usual inputs, usual distortion.

    Those of the bundle where one is named; else what a bundle of :func:`main_arm` would know, measured and kept.
    """
    named = named_bundle(plan, kind)
    if named:
        return dict(bundle_model(named, plan.settings.data).facts)
    arm = main_arm(plan, kind)
    train(arm)
    done = plan.once(
        f"facts/{arm.name}.json", arm.key, lambda: dict(facts(site_of(plan, kind), model_of(arm), plan.context))
    )
    return {name: value for name, value in done.items() if name != "duration_s"}


@lru_cache(maxsize=4)
def steps(plan: Plan, kind: str) -> dict[str, Convert]:
    """The input as it is, and :func:`converters`."""
    return {INPUT: lambda volume: volume, **converters(plan, kind)}


@dataclass(frozen=True)
class Job:
    """A piece of work for a process: a converter, or a test patient."""

    plan: Plan
    kind: str
    which: str | int


def jobs_of(plan: Plan, kind: str, patients: int) -> list[Job]:
    """A job per test patient, when everything is trained that they need."""
    steps(plan, kind)
    return [Job(plan, kind, number) for number in range(patients)]


def converters(plan: Plan, kind: str) -> dict[str, Convert]:
    """Every converter that is compared: HU maps and filters, the networks, and a bundle where one is named."""
    arms = long_arms(plan, kind)
    train_all(list(arms.values()))
    known = known_facts(plan, kind)
    named = named_bundle(plan, kind)
    settings = (watched(plan, kind).model if named else model_of(main_arm(plan, kind))).settings
    plain = Model(settings, known)
    out = {name: converter(plain, plan.context, name) for name in BASELINES}
    out |= {name: converter(model_of(arm), plan.context) for name, arm in arms.items()}
    return out | ({BUNDLE: converter(bundle_model(named, plan.settings.data), plan.context, NETWORK)} if named else {})


def bundle_model(name: str, data: str = "") -> Model:
    """A bundle's converter, by its name or folder, not trained on ``data`` (:func:`check_unseen`).

    Raises:
        ModelNotFoundError: where there is none.
    """
    from manabi.store import BundleStore

    bundle = Bundle(Path(name).resolve()) if Path(name).is_dir() else BundleStore().get(name, method="mvct")
    bundle.require_method("mvct")
    known = bundle.metadata["manabi"]
    check_unseen(str(known.get("trained_on", "")), data)
    return Model(Applied.of(bundle), known.get("mvct", {}), bundle.build_network())
