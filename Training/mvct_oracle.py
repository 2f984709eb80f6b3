"""Learning to convert from pairs: what could be reached if every patient had been seen by both scanners at once.

An upper bound for the unpaired methods, possible with phantoms and simulated scans only; 2.5-D or 3-D. L1 and the
difference of gradients are the usual terms of supervised synthetic CT (SynthRAD2023, arXiv:2403.08447); the network is
ours or any of :data:`manabi.networks.NETWORKS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks import build
from Training import mvct_losses as terms
from Training.losses import ssim
from Training.mvct_checks import check, scaled_batch
from Training.mvct_cycle_base import ConverterRecipe, numbers
from Training.mvct_domains import PairedCT, paired_digest
from Training.task import Task


@dataclass(frozen=True)
class OracleRecipe(ConverterRecipe):
    """Weights and network. In 3-D, ``context`` slices are converted together; in 2.5-D they give the middle one."""

    spatial_dims: Literal[2, 3] = field(default=2, metadata={"help": "2 sees slices as channels, 3 as a volume"})
    network: Literal["translator", "unet"] = field(default="translator", metadata={"help": "what converts"})
    l1: float = field(default=1.0, metadata={"low": 0.0, "help": "weight of the mean absolute error"})
    gradient: float = field(default=0.5, metadata={"low": 0.0, "help": "weight of the difference of gradients"})
    ssim: float = field(default=0.0, metadata={"low": 0.0, "help": "weight of 1 - structural similarity"})
    select: Literal["last", "mae"] = field(default="mae", metadata={"help": "the epoch that is kept"})

    def __post_init__(self) -> None:
        """Check every field, and those that must fit together."""
        super().__post_init__()
        if not (self.l1 or self.gradient or self.ssim):
            raise InvalidInputError("Of l1, gradient and ssim at least one must be above 0.")
        if self.network == "unet" and not self.residual:
            raise InvalidInputError("network=unet corrects its input: residual must be true.")

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build(recipe.network, ...)``."""
        channels = 1 if self.spatial_dims == 3 else self.context
        same = {"in_channels": channels, "out_channels": 1, "spatial_dims": self.spatial_dims}
        if self.network == "unet":
            return {**same, "filters": numbers(self.filters), "residual": True, "norm": self.norm}
        return {**self.translator_arguments(), **same}


class OracleTask(Task):
    """Crops of pairs, L1 and gradients; see :class:`OracleRecipe`.

    Args:
        recipe: what is learned.
        training: pairs to learn from.
        validation: pairs that choose the best epoch; none keeps the last.
        data_hash: digest of the training data; computed where it is not given.

    Raises:
        InvalidInputError: without pairs to learn from.
    """

    def __init__(
        self,
        recipe: OracleRecipe,
        training: Sequence[PairedCT],
        validation: Sequence[PairedCT] = (),
        data_hash: str | None = None,
    ) -> None:
        if not training:
            raise InvalidInputError("Supervised training needs pairs; there are none.")
        self.recipe, self.training, self.validation = recipe, list(training), list(validation)
        self.windows = (recipe.window("source"), recipe.window("target"))
        self.cropper = recipe.cropper()
        self._hash = paired_digest(training) if data_hash is None else data_hash
        self.monitor = "mae" if recipe.select == "mae" and validation else None

    def build_model(self) -> nn.Module:
        """The converter."""
        model = build(self.recipe.network, **self.recipe.network_arguments())
        order = torch.channels_last if self.recipe.spatial_dims == 2 else torch.channels_last_3d
        return model.to(memory_format=order)  # type: ignore[call-overload]

    def train_size(self) -> int:
        """Crops of an epoch."""
        return self.recipe.items_per_epoch or sum(len(pair.source) for pair in self.training)

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A crop of both, ``(context, crop, crop)``, or ``(1, context, crop, crop)`` in 3-D; the middle of the target.

        In 3-D all slices of the target are learned.
        """
        kinds = [[pair.source for pair in self.training], [pair.target for pair in self.training]]
        x, y = scaled_batch(self.cropper.draw_together(kinds, rng), self.windows)
        if self.recipe.spatial_dims == 3:
            return x[None], y[None]
        middle = self.recipe.context // 2
        return x, y[middle : middle + 1]

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The weighted sum of the terms under ``loss``, and each term as it is."""
        x, y = batch
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        made = model(x).float()
        if made.ndim == 5:
            made, y = made[:, 0], y[:, 0]
        known = {
            "l1": lambda: terms.difference(made, y),
            "gradient": lambda: terms.gradient(made, y),
            "ssim": lambda: 1 - ssim(made, y, data_range=2.0),
        }
        found = {name: known[name]() for name in known if getattr(self.recipe, name)}
        loss = torch.stack([getattr(self.recipe, name) * value for name, value in found.items()]).sum()
        return {"loss": loss, **found}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Errors in HU; see :func:`Training.mvct_checks.check`."""
        network = MiddleOfVolume(model) if self.recipe.spatial_dims == 3 else model
        return check(network, self.validation, self.recipe.context, self.windows)

    def settings(self) -> dict[str, Any]:
        """The recipe."""
        return self.recipe.recorded()

    def data_hash(self) -> str:
        """Digest of the training data."""
        return self._hash


class MiddleOfVolume(nn.Module):
    """A 3-D network as one of stacks: the slices as a volume in, its middle slice out.

    Args:
        network: ``(n, 1, slices, rows, columns)`` to the same.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """``(n, slices, rows, columns)`` to ``(n, 1, rows, columns)``."""
        return self.network(x[:, None])[:, :, x.shape[1] // 2]
