"""Tasks that train in a second, on synthetic slices."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from Training.task import Task


class TinyTask(Task):
    """Learn to keep eleven 8×8 slices under noise; with dropout and noise it uses both kinds of random numbers.

    ``die_at``, ``nan_at`` and ``signal_at`` name the step at which something goes wrong. Without ``batch_norm`` there
    is no dropout either: then two half batches give the gradient of a whole one.
    """

    monitor = "error"

    def __init__(
        self,
        size: int = 11,
        die_at: int | None = None,
        nan_at: int | None = None,
        signal_at: int | None = None,
        pause_s: float = 0.0,
        batch_norm: bool = True,
    ) -> None:
        self.size, self.die_at, self.nan_at, self.signal_at = size, die_at, nan_at, signal_at
        self.pause_s, self.batch_norm, self.calls = pause_s, batch_norm, 0
        self.slices = np.random.default_rng(5).normal(size=(size, 1, 8, 8)).astype(np.float32)

    def build_model(self) -> nn.Module:
        between = [nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.2)] if self.batch_norm else [nn.Tanh()]
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *between, nn.Conv2d(4, 1, 3, padding=1))

    def train_size(self) -> int:
        return self.size

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        clean = self.slices[index]
        return {"input": clean + rng.normal(0, 0.5, clean.shape).astype(np.float32), "target": clean}

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        self._mishap()
        error = model(batch["input"]) - batch["target"]
        loss = error.square().mean()
        return {"loss": loss * float("nan") if self.calls == self.nan_at else loss, "mae": error.abs().mean()}

    def _mishap(self) -> None:
        self.calls += 1
        time.sleep(self.pause_s)
        if self.calls == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.calls == self.die_at:
            raise KeyboardInterrupt("killed in step")

    def validate(self, model: nn.Module) -> dict[str, float]:
        slices = torch.from_numpy(self.slices).to(next(model.parameters()).device)
        return {"error": float((model(slices) - slices).square().mean())}

    def settings(self) -> dict[str, Any]:
        return {"size": self.size}

    def data_hash(self) -> str:
        return "tiny"


class Pair(nn.Module):
    """A generator and a judge of it behind one ``forward``, as distributed training needs it."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Conv2d(1, 1, 3, padding=1)
        self.judge = nn.Conv2d(1, 1, 8)

    def forward(self, image: torch.Tensor, phase: str) -> torch.Tensor:
        return self.judge(self.generator(image)) if phase == "generator" else self.judge(image)


class AdversarialTask(TinyTask):
    """Two phases with an optimiser each."""

    monitor = None

    def build_model(self) -> nn.Module:
        return Pair()

    def phases(self) -> tuple[str, ...]:
        return ("generator", "judge")

    def phase_parameters(self, model: nn.Module, phase: str) -> Any:
        return getattr(model, phase).parameters()

    def phase_step(self, model: nn.Module, batch: Any, phase: str) -> dict[str, torch.Tensor]:
        self._mishap()
        if phase == "generator":
            return {"loss": (model(batch["input"], phase) - 1).square().mean()}
        return {"loss": (model(batch["target"], phase) - 1).square().mean()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {}
