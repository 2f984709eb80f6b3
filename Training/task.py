"""What a recipe gives the engine: a network, training items, a loss, a validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import default_collate


class Task(ABC):
    """One thing to learn. The engine is the same for every method; a recipe is a subclass of this.

    Items must follow from their index and the generator they are handed, and from nothing else: that is why a
    killed run, resumed, ends with the weights of one that was not killed.

    Attributes:
        monitor: key of :meth:`validate`'s answer that chooses the best epoch; None keeps the last.
        monitor_mode: whether a larger or a smaller value is better.
    """

    monitor: str | None = None
    monitor_mode: Literal["min", "max"] = "min"

    @abstractmethod
    def build_model(self) -> torch.nn.Module:
        """A fresh network; torch's generator is seeded before the call."""

    @abstractmethod
    def train_size(self) -> int:
        """How many training items an epoch has."""

    @abstractmethod
    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """Training item ``index``, augmented with ``rng`` alone, as torch's ``default_collate`` takes it."""

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> Any:
        """A batch; override it to prepare all items at once. Tensors come back on the CPU."""
        return default_collate([self.train_item(index, rng) for index, rng in zip(indices, rngs, strict=True)])

    @abstractmethod
    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        """The loss to minimise under ``"loss"``, a scalar averaged over the batch; other scalars are logged."""

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """Metrics of the network (evaluation mode, float32, no gradients); called on one process."""
        return {}

    def settings(self) -> dict[str, Any]:
        """JSON values that shape the weights besides the engine's; a resumed run must have the same."""
        return {}

    def data_hash(self) -> str:
        """A digest of the training data; a resumed run must have the same."""
        return ""

    # --- for adversarial and other alternating training; one phase otherwise ------------------------------------

    def phases(self) -> tuple[str, ...]:
        """Parts of a step that have an optimiser each, in order (for example generator, discriminator)."""
        return ("all",)

    def phase_parameters(self, model: torch.nn.Module, phase: str) -> Iterable[torch.nn.Parameter]:
        """The weights that a phase changes."""
        return model.parameters()

    def phase_rate(self, phase: str) -> float:
        """The phase's learning rate as a multiple of the configuration's."""
        return 1.0

    def phase_step(self, model: torch.nn.Module, batch: Any, phase: str) -> dict[str, torch.Tensor]:
        """As :meth:`training_step`, for one phase. Call ``model`` itself, never its parts: it may be distributed."""
        return self.training_step(model, batch)
