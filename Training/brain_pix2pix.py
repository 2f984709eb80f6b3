"""Learning one contrast from another with Pix2Pix, for any pair: a task of the engine with two phases.

Isola et al., CVPR 2017, 10.1109/CVPR.2017.632, as Sugino uses it for heavy T2 to angiography. The judge sees source and
image together, and the generator minimises ``BCE + 100 L1`` (eq. 4). The source trains single images with Adam at 2e-4
and beta1 = 0.5; both are settings of the engine. Pairs must lie on one grid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manabi.brain.contrast import neighbours
from manabi.errors import InvalidInputError
from manabi.networks.pix2pix import Generator, PatchJudge
from manabi.parameters import Parameters
from Training.task import Task

OCCUPIED = 0.02
"""Slices with less than this share of target values above zero are not trained on (our choice)."""


@dataclass(frozen=True)
class Pair:
    """Two contrasts of one patient on one grid.

    Attributes:
        source: ``(slices, rows, columns)``, values from 0 to 1 (:func:`manabi.brain.contrast.normalised`).
        target: the same shape and range.
    """

    source: np.ndarray
    target: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that are no pair."""
        if self.source.shape != self.target.shape or self.source.ndim != 3:
            raise InvalidInputError(
                f"A pair is two volumes on one grid; got shapes {self.source.shape} and {self.target.shape}. "
                "Register and resample one to the other first."
            )


@dataclass(frozen=True)
class Pix2PixRecipe(Parameters):
    """What is learned, besides the engine's settings."""

    filters: str = field(default="32-64-128-256", metadata={"help": "channels per level of the generator"})
    judge_filters: str = field(default="64-128-256-512", metadata={"help": "of the judge; four see 70×70 pixels"})
    context: int = field(default=3, metadata={"low": 1, "high": 15, "help": "source slices the network sees; odd"})
    dropout: float = field(default=0.5, metadata={"low": 0.0, "high": 0.95, "help": "the generator's noise"})
    l1_weight: float = field(default=100.0, metadata={"low": 0.0, "help": "of L1 on the source's range, -1 to 1"})
    judge_weight: float = field(default=1.0, metadata={"low": 0.0, "help": "of the judge's verdict"})
    crop: int = field(default=128, metadata={"low": 16, "help": "side of the training crops in pixels"})
    slices_per_case: int = field(default=16, metadata={"low": 1, "help": "drawn anew every epoch"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies"})

    def __post_init__(self) -> None:
        """Check every field, and what a type cannot say."""
        super().__post_init__()
        if self.context % 2 == 0:
            raise InvalidInputError(f"context must be odd: a slice and as many on each side; got {self.context}.")
        for text in (self.filters, self.judge_filters):
            if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)+", text):
                raise InvalidInputError(f"filters must be channels per level, like 32-64-128; got {text!r}.")

    def generator(self) -> Generator:
        """A new generator; its image lies between 0 and 1."""
        return Generator(
            _numbers(self.filters), self.dropout, in_channels=self.context, output_activation="sigmoid", norm="instance"
        )


class Pix2Pix(nn.Module):
    """Generator and judge behind one ``forward``, as the engine needs it."""

    def __init__(self, recipe: Pix2PixRecipe) -> None:
        super().__init__()
        self.generator = recipe.generator()
        self.judge = PatchJudge(recipe.context + 1, _numbers(recipe.judge_filters))

    def forward(self, source: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The generator's image and the verdict on it or, with a target, the verdicts on the target and on the image.

        Args:
            source: ``(n, context, rows, columns)``.
            target: ``(n, 1, rows, columns)``; no gradient reaches the generator then.
        """
        if target is None:
            image = self.generator(source)
            return image, self.judge(source, image)
        with torch.no_grad():
            image = self.generator(source)
        return self.judge(source, target), self.judge(source, image)


class Pix2PixTask(Task):
    """Slices of the source, with neighbours, to slices of the target; see :class:`Pix2PixRecipe`.

    Args:
        recipe: what is learned.
        training: pairs to learn from.
        validation: pairs that choose the best epoch, by mean absolute error without noise; none keeps the last.
        data_hash: digest of the data.

    Raises:
        InvalidInputError: when no slice of the training pairs holds anything.
    """

    def __init__(
        self, recipe: Pix2PixRecipe, training: Sequence[Pair], validation: Sequence[Pair], data_hash: str = ""
    ) -> None:
        self.recipe, self.validation, self._hash = recipe, list(validation), data_hash
        self.monitor = "l1" if self.validation else None
        filled = [(pair, np.flatnonzero((pair.target > 0).mean((1, 2)) >= OCCUPIED)) for pair in training]
        self.training = [(pair, slices) for pair, slices in filled if len(slices)]
        if not self.training:
            raise InvalidInputError("There is nothing to learn from: every target slice of the training pairs is dark.")

    def build_model(self) -> nn.Module:
        """Generator and judge."""
        return Pix2Pix(self.recipe)

    def train_size(self) -> int:
        """Slices of an epoch."""
        return len(self.training) * self.recipe.slices_per_case

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """A crop of a random slice: ``(context, crop, crop)`` and ``(1, crop, crop)``; small slices are padded."""
        pair, slices = self.training[index % len(self.training)]
        middle, side = int(rng.choice(slices)), self.recipe.crop
        stack, target = neighbours(pair.source, [middle], self.recipe.context)[0], pair.target[middle][None]
        wide = [(0, 0), *((0, max(side - n, 0)) for n in target.shape[1:])]
        stack, target = np.pad(stack, wide), np.pad(target, wide)
        top, left = (int(rng.integers(0, n - side + 1)) for n in target.shape[1:])
        window = (slice(None), slice(top, top + side), slice(left, left + side))
        stack, target = stack[window], target[window]
        if self.recipe.mirror and rng.random() < 0.5:
            stack, target = stack[..., ::-1], target[..., ::-1]
        return torch.from_numpy(stack.astype(np.float32)), torch.from_numpy(target.astype(np.float32))

    def phases(self) -> tuple[str, ...]:
        """The judge first, as in the source."""
        return ("judge", "generator")

    def phase_parameters(self, model: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        """Those of the generator or of the judge."""
        return getattr(model, phase).parameters()

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The generator's step; see :meth:`phase_step`."""
        return self.phase_step(model, batch, "generator")

    def phase_step(self, model: nn.Module, batch: Any, phase: str) -> dict[str, Tensor]:
        """Binary cross-entropy of the verdicts (halved for the judge, as in the source), and L1 for the generator."""
        source, target = batch
        first, verdict = (value.float() for value in model(source, target if phase == "judge" else None))
        if phase == "judge":
            return {"loss": 0.5 * (_said(first, 1.0) + _said(verdict, 0.0))}
        fooled, l1 = _said(verdict, 1.0), self.difference(first, target)
        # Our images span 1 where the source's span 2, so the same weight needs twice the difference.
        loss = self.recipe.judge_weight * fooled + 2 * self.recipe.l1_weight * l1
        return {"loss": loss, "l1": l1, "fooled": fooled}

    def difference(self, image: Tensor, target: Tensor) -> Tensor:
        """L1, the mean over all pixels as in the source."""
        return F.l1_loss(image, target)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean absolute error of the validation pairs without noise, and of the source itself taken as the answer."""
        generator = model.get_submodule("generator")
        device, errors, copied = next(model.parameters()).device, [], []
        for pair in self.validation:
            stack = neighbours(pair.source, range(len(pair.source)), self.recipe.context).astype(np.float32)
            for part, target in zip(stack, pair.target, strict=True):
                image = generator(torch.from_numpy(part)[None].to(device)).float().cpu().numpy()[0, 0]
                errors.append(np.abs(image - target).mean())
            copied.append(np.abs(pair.source - pair.target).mean())
        if not errors:
            return {}
        return {"l1": float(np.mean(errors)), "l1_identity": float(np.mean(copied))}

    def settings(self) -> dict[str, Any]:
        """The recipe."""
        return self.recipe.to_dict()

    def data_hash(self) -> str:
        """The digest given."""
        return self._hash


def _said(verdict: Tensor, real: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(verdict, torch.full_like(verdict, real))


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split("-")]
