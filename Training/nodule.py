"""Training NoduleSynth's detector: ``python -m Training nodule --data PAIRS --output DIR``.

PAIRS is a folder that ``manabi phantom nodule-pairs`` wrote (from simulated films, or from a site's own normal films)
or ``phantoms:SEED:COUNT``. No annotated film is needed: the truth is where the nodules were put in. The output holds
the run (checkpoints, metrics.csv) and the finished bundle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.nodule.prepare import network_input
from manabi.parameters import Parameters
from manabi.store import BundleStore
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.froc import RATES, score_films, sensitivity
from Training.nodule_augment import FilmAugment, augment, crops
from Training.nodule_data import NoduleData, Wanted, open_data
from Training.nodule_evaluate import PEAK_DISTANCE, films_of, finder
from Training.nodule_losses import PairWeights, pair_loss
from Training.nodule_network import PairUNet
from Training.task import Task

UNLEARNED = ("start", "flow", "workers", "limit_to_lungs", "threshold_pairs")
"""Settings of the recipe that do not shape the weights, or are in the run's identity by their content."""


@dataclass(frozen=True)
class NoduleRecipe(Parameters):
    """What is learned, besides the engine's settings. Channels are the source's; the rest is our choice."""

    items_per_epoch: int = field(default=8000, metadata={"low": 1, "help": "pairs seen per epoch"})
    filters: str = field(default="32-64-128-256-512", metadata={"help": "channels per level of the U-Net"})
    norm: str = field(default="batch", metadata={"help": "none, batch or instance"})
    crop: int = field(default=0, metadata={"low": 0, "help": "side of training crops in pixels; 0 takes whole films"})
    near_share: float = field(default=0.75, metadata={"low": 0.0, "high": 1.0, "help": "crops with a nodule"})
    matrix: int = field(default=256, metadata={"low": 32, "help": "rows and columns of simulated films"})
    shrink: int = field(default=1, metadata={"low": 1, "help": "films are averaged by this for the network"})
    chests: int = field(default=256, metadata={"low": 3, "help": "anatomies that simulated films are made from"})
    flow: str = field(default="", metadata={"help": "bundle of the flow that blends nodules in; empty for none"})
    workers: int = field(default=1, metadata={"low": 1, "help": "processes that make simulated pairs"})
    start: str = field(default="", metadata={"help": "bundle to begin from, like nodule-default; empty: from nothing"})
    parts: str = field(default="80/8/12", metadata={"help": "training/validation/test chests"})
    split_seed: int = field(default=0, metadata={"low": 0})
    validation_pairs: int = field(default=200, metadata={"low": 1, "help": "scored to choose the epoch"})
    test_pairs: int = field(default=0, metadata={"low": 0, "help": "scored at most at the end; 0 takes all"})
    held_out: int = field(default=0, metadata={"low": 0, "help": "simulated pairs of another domain, to test on"})
    peak_distance: int = field(
        default=PEAK_DISTANCE, metadata={"low": 1, "help": "pixels of the network between marks"}
    )
    limit_to_lungs: bool = field(
        default=True, metadata={"help": "measure with marks outside the lungs left out, as the method's default does"}
    )
    threshold_pairs: int = field(
        default=1000, metadata={"low": 0, "help": "validation pairs that thresholds are chosen on; 0 takes all"}
    )
    name: str = field(default="nodule-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def wanted(self) -> Wanted:
        """How simulated pairs are made."""
        return Wanted(self.matrix, self.chests, self.flow, self.workers, shrink=self.shrink)

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build("unet", ...)``."""
        try:
            filters = [int(n) for n in self.filters.split("-")]
        except ValueError as error:
            raise InvalidInputError(f"filters must be channels like 16-32-64; got {self.filters!r}.") from error
        return {"in_channels": 1, "out_channels": 1, "filters": filters, "norm": self.norm}


@dataclass(frozen=True)
class Plan:
    """All sections of a configuration."""

    config: TrainConfig
    recipe: NoduleRecipe
    loss: PairWeights
    augment: FilmAugment


TYPES: dict[str, type[Parameters]] = {
    "training": TrainConfig, "recipe": NoduleRecipe, "loss": PairWeights, "augment": FilmAugment
}  # fmt: skip
"""The sections of a configuration."""


class NoduleTask(Task):
    """Pairs in, a heat map out; see :class:`NoduleRecipe` and :mod:`Training.nodule_losses`."""

    monitor = "froc"
    monitor_mode = "max"

    def __init__(self, plan: Plan, data: NoduleData, start: Bundle | None = None) -> None:
        self.plan, self.data = plan, data
        self.recipe, self.training_pairs = plan.recipe, data.parts["training"]
        self.start = start if start is not None else start_of(plan.recipe)
        self._validation = data.parts["validation"].first(plan.recipe.validation_pairs)

    def build_model(self) -> PairUNet:
        """The network of the recipe, with the weights it begins from."""
        model = PairUNet(features=self.plan.loss.features, **self.recipe.network_arguments())
        if self.start is not None:
            model.load_state_dict(self.start.load_state())
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def settings(self) -> dict[str, Any]:
        """Recipe, loss, augmentation, and the weights that it begins from; not how it is measured afterwards."""
        start = None if self.start is None else self.start.weights_sha256
        recipe = {k: v for k, v in self.recipe.to_dict().items() if k not in UNLEARNED}
        return {"recipe": recipe, "loss": self.plan.loss.to_dict(), "augment": self.plan.augment.to_dict(),
                "start": start}  # fmt: skip

    def data_hash(self) -> str:
        """Digest of the pairs."""
        return self.data.digest

    def train_size(self) -> int:
        """Pairs per epoch."""
        return self.recipe.items_per_epoch if len(self.training_pairs) else 0

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One pair; see :meth:`train_batch`."""
        inputs, mask = self.train_batch([index], [rng])
        return inputs[0], mask[0]

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor]:
        """Inputs ``(n, 2, size, size)``, the film with nodules first, and masks ``(n, size, size)``.

        Which pair an item shows follows from its own generator; the batch is augmented with the first item's. Films
        are normalised whole, as the method does it, and cut afterwards.
        """
        shown = [self.training_pairs[int(rng.integers(len(self.training_pairs)))] for rng in rngs]
        films = torch.from_numpy(np.stack([np.stack([one.positive, one.negative]) for one in shown]))
        mask = torch.from_numpy(np.stack([one.mask for one in shown]))
        generator = torch.Generator().manual_seed(int(rngs[0].integers(2**62)))
        films, mask = augment(films, mask, self.plan.augment, generator)
        inputs = network_input(films.flatten(0, 1)).reshape(films.shape)
        return crops(inputs, mask, self.recipe.crop, self.recipe.near_share, generator)

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """The weighted terms; both films of all pairs go through the network as one batch."""
        inputs, mask = batch
        count = len(inputs)
        stacked = inputs.transpose(0, 1).flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        out = model(stacked).float()
        features = (out[:count, 1:], out[count:, 1:]) if self.plan.loss.features else None
        return dict(pair_loss(out[:count, 0], out[count:, 0], mask, self.plan.loss, features))

    @torch.no_grad()
    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """Sensitivities on the validation pairs; ``froc`` is their mean over :data:`Training.froc.RATES`.

        Marks outside the lungs count here whatever ``limit_to_lungs`` is: it only chooses the epoch.
        """
        if not len(self._validation):
            return {"froc": math.nan}
        scored = score_films(films_of(self._validation, finder(model, self.recipe.peak_distance)))
        found = {f"at_{rate:g}": sensitivity(scored, rate) for rate in RATES}
        return {"froc": float(np.mean(list(found.values()))), **found}


def start_of(recipe: NoduleRecipe) -> Bundle | None:
    """The bundle that training begins from; raises InvalidInputError where it is another network."""
    if not recipe.start:
        return None
    bundle = BundleStore().get(recipe.start, method="nodule")
    has, wants = bundle.network["arguments"], recipe.network_arguments()
    if any(has.get(key) != value for key, value in wants.items()):
        raise InvalidInputError(
            f"start={bundle.name}: this bundle has the network {has}; the recipe wants {wants}. Give the recipe the "
            "bundle's filters and norm, or start from nothing."
        )
    return bundle


def _check_scale(start: Bundle | None, matrix: int) -> None:
    """Raise InvalidInputError where training would begin with weights that know films of another size."""
    known = None if start is None else start.facts.get("matrix")
    if start is not None and known not in (None, matrix):
        raise InvalidInputError(
            f"{start.name} was trained on films of {known} x {known} pixels; these pairs have {matrix}. Make pairs of "
            "another size, or set recipe.shrink so that both agree."
        )


def read_plan(config_path: str | Path | None, overrides: Sequence[str]) -> Plan:
    """A configuration with what the command line changes."""
    sections = read_sections(config_path, overrides, TYPES)
    return Plan(sections["training"], sections["recipe"], sections["loss"], sections["augment"])


def train(
    data: str, output: Path, config_path: str | Path | None, overrides: Sequence[str], resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """The recipe as the command line calls it; returns a JSON summary."""
    from Training.nodule_bundle import finish

    plan = read_plan(config_path, overrides)
    output, recipe = Path(output), plan.recipe
    output.mkdir(parents=True, exist_ok=True)
    place = cache or output / "cache"
    pairs = open_data(data, recipe.wanted(), recipe.parts, recipe.split_seed, place)
    task = NoduleTask(plan, pairs)
    _check_scale(task.start, pairs.matrix)
    result = fit(task, plan.config, output, resume=resume)
    bundle = finish(output / "bundle", plan, result, pairs, data, place)
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }  # fmt: skip
