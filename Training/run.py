"""What a run is on disk, how far it is, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass(frozen=True)
class RunPaths:
    """The files of a run below its output folder."""

    folder: Path

    @property
    def last(self) -> Path:
        """Everything needed to go on."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The weights of the best epoch, averaged ones where ``ema_decay`` is set."""
        return self.folder / "checkpoints" / "best.pt"

    @property
    def metrics(self) -> Path:
        """A row per epoch."""
        return self.folder / "metrics.csv"

    @property
    def record(self) -> Path:
        """What ran."""
        return self.folder / "run.json"

    @property
    def events(self) -> Path:
        """TensorBoard's folder."""
        return self.folder / "tensorboard"


@dataclass
class Progress:
    """How far a run is; all of it is in the checkpoint."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float | None = None
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class FitResult:
    """What training gives back.

    Attributes:
        model: the network on the CPU with the best epoch's weights (averaged ones with ``ema_decay``).
        best_epoch: that epoch, counted from 1.
        best_metrics: that epoch's row of the history.
        history: a row per epoch, as in metrics.csv; validation metrics are called ``val_NAME``.
        paths: the run's files.
        resumed_epoch: completed epochs found at the start; 0 for a fresh run.
        already_finished: whether the run was complete before, so that nothing was trained.
        duration_s: training time, earlier parts of a resumed run included.
    """

    model: torch.nn.Module
    best_epoch: int
    best_metrics: dict[str, float]
    history: list[dict[str, float]]
    paths: RunPaths
    resumed_epoch: int
    already_finished: bool
    duration_s: float
