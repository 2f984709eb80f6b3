"""Training that begins with the weights of a bundle: few slices of a site go further from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from Training.mvct_pair import PREFIX, pair_state
from Training.task import Task


class StartedTask(Task):
    """A task whose converter pair begins with given weights; everything else is the task's own.

    A way back that only one of the two has is left as it is: new, or unused.

    Args:
        inner: the task.
        state: weights of a converter pair.
        digest: what the weights are, for a resumed run to be the same.
    """

    def __init__(self, inner: Task, state: dict[str, Tensor], digest: str) -> None:
        self.inner, self.state, self.digest = inner, state, digest
        self.monitor, self.monitor_mode = inner.monitor, inner.monitor_mode

    def build_model(self) -> nn.Module:
        """The task's network with the weights."""
        model = self.inner.build_model()
        own = pair_state(model)
        shared = {key: value for key, value in self.state.items() if key in own}
        wrong = [key for key, value in shared.items() if own[key].shape != value.shape]
        lacking = [key for key in own if key.startswith(PREFIX) and key not in shared]
        if wrong or lacking:
            raise InvalidInputError(
                f"The bundle to start from has another network ({(wrong + lacking)[0]} does not fit). Give the recipe "
                "the same filters, blocks, skip, up, down and context."
            )
        with torch.no_grad():
            for key, value in shared.items():
                own[key].copy_(value)
        return model

    def train_size(self) -> int:
        """The task's."""
        return self.inner.train_size()

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """The task's."""
        return self.inner.train_item(index, rng)

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> Any:
        """The task's."""
        return self.inner.train_batch(indices, rngs)

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The task's."""
        return self.inner.training_step(model, batch)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The task's."""
        return self.inner.validate(model)

    def settings(self) -> dict[str, Any]:
        """The task's, and what it began with."""
        return {**self.inner.settings(), "start": self.digest}

    def data_hash(self) -> str:
        """The task's."""
        return self.inner.data_hash()

    def phases(self) -> tuple[str, ...]:
        """The task's."""
        return self.inner.phases()

    def phase_parameters(self, model: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        """The task's."""
        return self.inner.phase_parameters(model, phase)

    def phase_rate(self, phase: str) -> float:
        """The task's."""
        return self.inner.phase_rate(phase)

    def phase_step(self, model: nn.Module, batch: Any, phase: str) -> dict[str, Tensor]:
        """The task's."""
        return self.inner.phase_step(model, batch, phase)


def started(task: Task, start: str) -> StartedTask:
    """The task, beginning with a bundle's weights.

    Args:
        task: that trains a converter.
        start: a bundle's name, or its folder.

    Raises:
        ModelNotFoundError: when there is no such bundle.
        CorruptModelError: when it is damaged or of another method.
    """
    from manabi.store import BundleStore

    bundle = Bundle(Path(start).resolve()) if Path(start).is_dir() else BundleStore().get(start, method="mvct")
    bundle.require_method("mvct")
    return StartedTask(task, bundle.load_state(), bundle.weights_sha256)
