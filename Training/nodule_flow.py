"""Training a flow of normal chest films: ``python -m Training nodule_flow --data FILMS --output DIR``.

FILMS is a folder or a table of normal films, ``phantoms:SEED:COUNT``, or both joined by ``+``
(:mod:`Training.nodule_flow_films`). The output holds the run, a report with pictures, and the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.nodule.glow import Glow
from manabi.nodule.glow_grey import film_noise
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.nodule_flow_films import FlowFilms, open_films
from Training.nodule_flow_items import draw_item, draw_items
from Training.nodule_flow_recipe import FlowRecipe
from Training.order import steps_per_epoch
from Training.task import Task

FIRST_STREAM, VALIDATION_STREAM = 2, 3
"""First words of seeds: of the items of the initialisation, and of validation."""
CHUNK = 16
"""Items of validation at once."""


class FlowInTraining(nn.Module):
    """A flow and how many steps it was trained, which decides its grey levels; kept with the weights."""

    glow: Glow
    done: Tensor

    def __init__(self, glow: Glow) -> None:
        super().__init__()
        self.glow = glow
        self.register_buffer("done", torch.tensor(0))

    def forward(self, films: Tensor, noise: Tensor) -> Tensor:
        """Bits per dimension ``(b,)``."""
        return self.glow(films, noise)


class FlowTask(Task):
    """Maximum likelihood of normal films; see :class:`Training.nodule_flow_recipe.FlowRecipe`."""

    monitor = "bits"

    def __init__(self, recipe: FlowRecipe, films: FlowFilms, steps: int) -> None:
        self.recipe, self.films, self.steps = recipe, films, steps
        self._hash = films.sha256()
        shown = draw_items(films.validation, recipe, recipe.validation_items, VALIDATION_STREAM, vary=False)
        self.validation = shown, film_noise(tuple(shown.shape), VALIDATION_STREAM)

    def build_model(self) -> FlowInTraining:
        """A flow whose ActNorms fit training items at the first number of grey levels."""
        glow = Glow(**self.recipe.network_arguments())
        glow.bits = self.recipe.grey_bits(0.0)
        glow.initialise(draw_items(self.films.training, self.recipe, self.recipe.first_items, FIRST_STREAM))
        return FlowInTraining(glow)

    def settings(self) -> dict[str, Any]:
        """The recipe."""
        return {"recipe": self.recipe.to_dict(), "steps": self.steps}

    def data_hash(self) -> str:
        """Digest of the films."""
        return self._hash

    def train_size(self) -> int:
        """Items per epoch."""
        return self.recipe.items_per_epoch

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A patch or film, and noise within a grey level; which one follows from ``rng``."""
        item = draw_item(self.films.training, self.recipe, rng)
        return torch.from_numpy(item), torch.from_numpy(rng.random(item.shape, np.float32))

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Mean bits per dimension at the present number of grey levels."""
        inner = cast(FlowInTraining, getattr(model, "module", model))
        inner.glow.bits = self.recipe.grey_bits(int(inner.done) / self.steps)
        inner.done += 1
        bits = model(*batch).mean()
        return {"loss": bits, "grey": inner.glow.grey_bits.float()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Bits per dimension of held-out items at the last number of grey levels; infinite where it is no number."""
        flow = cast(FlowInTraining, model).glow
        before, flow.bits = flow.bits, self.recipe.grey_bits(1.0)
        device = flow.grey_bits.device
        films, noise = (part.to(device).split(CHUNK) for part in self.validation)
        bits = torch.cat([flow(*both) for both in zip(films, noise, strict=True)]).mean()
        flow.bits = before
        return {"bits": float(bits.detach().nan_to_num(float("inf")))}


def read_plan(config_path: str | Path | None, overrides: Sequence[str]) -> tuple[FlowRecipe, TrainConfig]:
    """Recipe and engine's settings; raises InvalidInputError for what cannot be trained."""
    sections = read_sections(config_path, overrides, {"training": TrainConfig, "recipe": FlowRecipe})
    recipe: FlowRecipe = sections["recipe"]
    config: TrainConfig = sections["training"]
    if config.precision != "32-true" and recipe.reversible:
        raise InvalidInputError(
            f"precision={config.precision} would not invert the flow's steps exactly enough to back-propagate through "
            "them. Take precision=32-true, or reversible=false."
        )
    return recipe, replace(config, batch_size=recipe.batch_size(config.batch_size))


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    from Training.nodule_flow_bundle import finish

    recipe, config = read_plan(config_path, overrides)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    films = open_films(data, recipe, cache or output / "cache")
    with atomic_file(output / "splits.json", overwrite=True) as aside:
        aside.write_text(json.dumps(films.record(), indent=1) + "\n", encoding="utf-8")
    steps = config.epochs * steps_per_epoch(recipe.items_per_epoch, config.batch_size)
    result = fit(FlowTask(recipe, films, steps), config, output, resume=resume)
    bundle = finish(output, recipe, config, result, films)
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }  # fmt: skip
