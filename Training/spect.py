"""Training SPECTDenoise: ``python -m Training spect --data COHORT --output DIR``.

COHORT is a CSV with the columns case, input, target (files or DICOM folders of the short and the full scan), or
``phantoms:SEED:COUNT``. The output holds the run (checkpoints, metrics.csv, splits.json) and the finished bundle.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.parameters import Parameters
from manabi.spect.denoise import mirrored_index
from Training import losses
from Training.cohort import PAPER_PARTS, Cohort, open_cohort
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.run import FitResult
from Training.spect_bundle import calibrate, export
from Training.spect_data import Slices, prepare
from Training.task import Task

logger = logging.getLogger(__name__)

CROP = 64
VARIANCE_SHARE = 0.02
"""Weight of the uncertainty's likelihood; its gradient does not pass through the predicted image (our choice)."""
STRIATAL_SHARE = 0.75
"""Share of training slices drawn within ``STRIATAL_REACH`` of the hottest one (our choice)."""
STRIATAL_REACH = 8
VALIDATION_REACH = 6


@dataclass(frozen=True)
class SPECTRecipe(Parameters):
    """What is learned, besides the engine's settings; our defaults (``spect_paper.json``: the source)."""

    pipeline: Literal["ours", "paper"] = "ours"
    network: Literal["unet", "vnet", "unetpp", "r2unet", "attention_unet", "transunet"] = "unet"
    filters: str = field(default="20-40-80-160", metadata={"help": "channels per level"})
    context: int = field(default=5, metadata={"low": 1, "high": 15, "help": "slices the network sees; odd"})
    variance: bool = field(default=True, metadata={"help": "also learn the uncertainty (ours)"})
    hot_weight: float = field(default=1.0, metadata={"low": 0.0, "help": "extra weight where the input is hot (ours)"})
    loss: Literal["mse", "l1", "l1_ssim"] = field(default="mse", metadata={"help": "of the image (paper)"})
    slices_per_case: int = field(default=12, metadata={"low": 1, "help": "drawn anew every epoch (ours)"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies (ours)"})
    shift_px: int = field(default=6, metadata={"low": 0, "high": 8, "help": "random shift of the crop (ours)"})
    parts: str = field(default=PAPER_PARTS, metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    name: str = field(default="spect-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        """Check every field, and what a type cannot say."""
        super().__post_init__()
        if self.context % 2 == 0:
            raise InvalidInputError(f"context must be odd: a slice and as many on each side; got {self.context}.")
        if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", self.filters):
            raise InvalidInputError(f"filters must be channels per level, like 20-40-80-160; got {self.filters!r}.")

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build``."""
        filters = [int(n) for n in self.filters.split("-")]
        if self.pipeline == "paper":
            return {"in_channels": 1, "out_channels": 1, "filters": filters, "output_activation": "sigmoid"}
        outputs = 2 if self.variance else 1
        return {"in_channels": self.context, "out_channels": outputs, "filters": filters, "residual": True}


class SPECTTask(Task):
    """Slices in, slices out; see :class:`SPECTRecipe`."""

    monitor = "loss"

    def __init__(
        self,
        recipe: SPECTRecipe,
        training: list[Slices],
        validation: list[Slices],
        data_hash: str,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe, self.training, self.validation = recipe, training, validation
        self.arguments = dict(arguments or recipe.network_arguments())
        self._hash = data_hash

    def build_model(self) -> torch.nn.Module:
        """The network of the recipe."""
        return build(self.recipe.network, **self.arguments)

    def settings(self) -> dict[str, Any]:
        """Recipe and network."""
        return {"recipe": self.recipe.to_dict(), "network": self.arguments}

    def data_hash(self) -> str:
        """Digest of the cohort."""
        return self._hash

    def train_size(self) -> int:
        """Slices per epoch."""
        per_case = self.recipe.slices_per_case if self.recipe.pipeline == "ours" else len(self.training[0].short)
        return len(self.training) * per_case

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Input ``(context, 64, 64)`` and target ``(1, 64, 64)``."""
        if self.recipe.pipeline == "paper":
            case, image = divmod(index, len(self.training[0].short))
            chosen = self.training[case]
            return torch.from_numpy(chosen.short[image][None]), torch.from_numpy(chosen.full[image][None])
        return self._our_item(self.training[index % len(self.training)], rng)

    def _our_item(self, case: Slices, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        n = len(case.short)
        middle = int(rng.integers(n))
        if rng.random() < STRIATAL_SHARE:
            middle = int(np.clip(case.hottest + rng.integers(-STRIATAL_REACH, STRIATAL_REACH + 1), 0, n - 1))
        room, shift = case.short.shape[1], self.recipe.shift_px
        top, left = ((room - CROP) // 2 + rng.integers(-shift, shift + 1, 2)).tolist()
        window = (slice(top, top + CROP), slice(left, left + CROP))
        stack = _neighbours(case.short, middle, self.recipe.context)[(slice(None), *window)]
        target = case.full[middle][window][None]
        if self.recipe.mirror and rng.random() < 0.5:
            stack, target = stack[..., ::-1], target[..., ::-1]
        return torch.from_numpy(stack.copy()), torch.from_numpy(target.copy())

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        """Squared error of the image, and the likelihood of what is left where the network predicts its variance."""
        inputs, target = batch
        out = model(inputs.contiguous(memory_format=torch.channels_last)).float()
        image = out[:, :1]
        if self.recipe.pipeline == "paper":
            return {"loss": losses.LOSSES[self.recipe.loss](image, target)}
        loss = (self._weights(inputs) * (image - target).square()).mean()
        parts = {"image": loss}
        if out.shape[1] == 2:
            parts["variance"] = losses.gaussian_nll(image.detach(), out[:, 1:], target)
            loss = loss + VARIANCE_SHARE * parts["variance"]
        return {"loss": loss, **parts}

    def _weights(self, inputs: torch.Tensor) -> torch.Tensor:
        """More weight where the smoothed *input* is hot; weights from the target would bias the mean upwards."""
        centre = inputs.shape[1] // 2
        warm = torch.nn.functional.avg_pool2d(inputs[:, centre : centre + 1], 5, stride=1, padding=2).clamp(0.0, 6.0)
        weights = 1.0 + self.recipe.hot_weight * warm
        return weights / weights.mean()

    @torch.no_grad()
    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """Mean squared error over the validation patients' striatal slices."""
        device = next(model.parameters()).device
        errors = []
        for case in self.validation:
            stack, target = self._validation_arrays(case)
            inputs = torch.from_numpy(stack).to(device).contiguous(memory_format=torch.channels_last)
            mean = model(inputs).float()[:, :1].cpu()
            errors.append(float((mean - torch.from_numpy(target)).square().mean()))
        return {"loss": float(np.mean(errors)), "psnr_1": float(-10 * np.log10(np.mean(errors)))}

    def _validation_arrays(self, case: Slices) -> tuple[np.ndarray, np.ndarray]:
        if self.recipe.pipeline == "paper":
            return case.short[:, None], case.full[:, None]
        low = max(case.hottest - VALIDATION_REACH, 0)
        rows = range(low, min(case.hottest + VALIDATION_REACH + 1, len(case.short)))
        stacks = [_neighbours(case.short, k, self.recipe.context) for k in rows]
        return np.stack(stacks), case.full[list(rows)][:, None]


def _neighbours(array: np.ndarray, middle: int, context: int) -> np.ndarray:
    """A slice with its neighbours; the ends are mirrored, as in :func:`manabi.spect.denoise.context_stack`."""
    index = np.arange(middle - context // 2, middle + context // 2 + 1)
    return array[mirrored_index(index, len(array))]


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    bundle: Bundle
    result: FitResult
    cohort: Cohort


def train_cohort(
    cohort: Cohort, recipe: SPECTRecipe, config: TrainConfig, output: Path, data: str, resume: bool = True
) -> Trained:
    """Train on a cohort that is split already, calibrate on its validation patients, write the bundle.

    Args:
        cohort: from :func:`Training.cohort.open_cohort`.
        recipe: what is learned.
        config: how.
        output: folder of the run; the bundle is written to ``output/bundle``.
        data: the cohort in words, for the model card.
        resume: go on with a run found there.
    """
    cohort.write_splits(output / "splits.json")
    training = prepare(cohort.split("training"), recipe.pipeline)
    validation = prepare(cohort.split("validation"), recipe.pipeline)
    task = SPECTTask(recipe, training, validation, cohort.data_hash)
    result = fit(task, config, output, resume=resume)
    measured = calibrate(result.model, recipe, cohort)
    bundle = export(output / "bundle", recipe, config, result, cohort, measured, data)
    return Trained(bundle, result, cohort)


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> dict[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    sections = read_sections(config_path, overrides, {"training": TrainConfig, "recipe": SPECTRecipe})
    config, recipe = sections["training"], sections["recipe"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    cohort = open_cohort(
        data,
        cache or output / "cache",
        phantom="striatum",
        seed=recipe.split_seed,
        parts=recipe.parts,
        keep=("spect_5min", "spect_25min"),
    )
    for warning in cohort.warnings:
        logger.warning(warning)
    trained = train_cohort(cohort, recipe, config, output, data, resume)
    return {
        "bundle": str(trained.bundle.folder),
        "best_epoch": trained.result.best_epoch,
        "metrics": trained.bundle.metrics,
        "duration_s": round(trained.result.duration_s, 1),
    }
