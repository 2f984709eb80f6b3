"""What every unpaired training of a converter shares: crops of two domains, their windows, and the check in HU."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from Training.mvct_checks import Validation, check, scaled_batch
from Training.mvct_cycle_base import ConverterRecipe
from Training.mvct_domains import Augment, Domains
from Training.task import Task


class ConverterTask(Task):
    """A converter to be learned from unpaired volumes; the model keeps it under ``pair``.

    Args:
        recipe: what is learned.
        training: volumes of both domains.
        validation: pairs, or unpaired volumes, for :func:`Training.mvct_checks.check`; may be empty.
        augment: changes crops in HU, for example their noise; called for both domains.
        data_hash: digest of the training data; computed where it is not given.
    """

    def __init__(
        self,
        recipe: ConverterRecipe,
        training: Domains,
        validation: Validation = None,
        augment: Augment | None = None,
        data_hash: str | None = None,
    ) -> None:
        self.recipe, self.training, self.validation, self.augment = recipe, training, validation, augment
        self.windows = (recipe.window("source"), recipe.window("target"))
        self.cropper = recipe.cropper()
        self._hash = training.digest() if data_hash is None else data_hash
        paired = bool(validation) and not isinstance(validation, Domains)
        self.monitor = "mae" if recipe.select == "mae" and paired else None

    def train_size(self) -> int:
        """Crops of an epoch."""
        return self.recipe.items_per_epoch or self.training.slices("source")

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A crop of either domain, ``(context, crop, crop)`` each, scaled."""
        x, y = self.cropper.draw(self.training.source, rng), self.cropper.draw(self.training.target, rng)
        if self.augment is not None:
            x, y = self.augment(x, rng, "source"), self.augment(y, rng, "target")
        first, second = scaled_batch((x, y), self.windows)
        return first, second

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Errors in HU; see :func:`Training.mvct_checks.check`."""
        return check(model.get_submodule("pair"), self.validation, self.recipe.context, self.windows)

    def settings(self) -> dict[str, Any]:
        """The recipe, and the augmentation's values where it is a dataclass."""
        augment: Any = self.augment is not None
        if is_dataclass(self.augment) and not isinstance(self.augment, type):
            augment = asdict(self.augment)
        return {"recipe": self.recipe.recorded(), "augment": augment}

    def data_hash(self) -> str:
        """Digest of the training data."""
        return self._hash
