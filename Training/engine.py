"""The training loop, the same for every method: epochs, validation, checkpoints, resuming.

A run that is killed at any moment and started again ends with the same weights, bit for bit, as one that was not
(same machine, same number of devices, ``deterministic``): the order of the data and its augmentation follow from
(seed, epoch, index), the learning rate from the epoch, and everything else is in the checkpoint.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from manabi.errors import CancelledError, InvalidInputError, ManabiError, OutOfMemoryError
from Training.checkpoint import (
    generator_states,
    identity_hash,
    load_checkpoint,
    remove_strays,
    require_same_run,
    restore_generators,
    save_checkpoint,
    seed_all,
)
from Training.config import TrainConfig, learning_rate
from Training.launch import StopSignal, launch, repeatable
from Training.loggers import ProgressBar, TensorBoardLog, write_metrics, write_run
from Training.order import EpochSampler, steps_per_epoch, training_loader
from Training.run import FitResult, Progress, RunPaths
from Training.task import Task

logger = logging.getLogger(__name__)

CHECK_EVERY = 50
"""Steps between looks at whether the loss is still a number (reading it makes a GPU wait; our choice)."""


def fit(task: Task, config: TrainConfig, output: Path, resume: bool = True, show_progress: bool = True) -> FitResult:
    """Train ``task`` into the folder ``output``, or go on with the run that is there.

    Args:
        task: what to learn.
        config: how.
        output: folder for checkpoints, metrics.csv, run.json and TensorBoard events; made when absent.
        resume: go on from the last checkpoint; False starts anew and replaces the run in the folder.
        show_progress: draw a progress bar where standard error is a terminal.

    Raises:
        InvalidInputError: the folder holds a run with other settings or data, or the settings do not fit the machine.
        CancelledError: stopped by SIGTERM or SIGINT, after a checkpoint; the same call goes on.
        CorruptModelError: the checkpoint is damaged.
        OutOfMemoryError: a batch does not fit into the device's memory.
        ManabiError: the loss is no longer a number.
    """
    if task.train_size() < 1:
        raise InvalidInputError("There is nothing to train on: the training split is empty.")
    paths = RunPaths(Path(output))
    identity = {"training": config.what_is_learned(), "task": task.settings(), "data": task.data_hash()}
    stored = _found(paths.last, identity) if resume else None
    if stored is not None and stored["finished"]:
        logger.warning("%s is trained already (%d epochs); --fresh trains it again.", paths.folder, config.epochs)
        return _result(task, paths, Progress(**stored["progress"]), config.epochs, True)
    fabric = launch(config, several_phases=len(task.phases()) > 1)
    if fabric.is_global_zero:
        _tidy(paths, keep=resume)
    fabric.barrier()
    with repeatable(config.deterministic), StopSignal() as stop:
        loop = _Loop(task, config, paths, fabric, identity, stop)
        resumed = loop.restore(stored) if stored is not None else 0
        try:
            loop.run(show_progress)
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"The device has not enough memory for batch_size {config.batch_size}. Take a smaller one, or "
                "precision=bf16-mixed."
            ) from error
    return _result(task, paths, loop.progress, resumed, False)


def _tidy(paths: RunPaths, keep: bool) -> None:
    """Remove what a kill left half-written and, to start anew, the former run."""
    remove_strays(paths.last.parent)
    if not keep:
        for path in (paths.last, paths.best, paths.metrics, paths.record, *paths.events.glob("events.*")):
            path.unlink(missing_ok=True)


def _found(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The run's checkpoint, if there is one of the same run."""
    if not path.is_file():
        return None
    stored = load_checkpoint(path)
    require_same_run(stored["identity"], identity, path)
    return stored


def _result(task: Task, paths: RunPaths, progress: Progress, resumed: int, finished: bool) -> FitResult:
    """The best weights in a fresh network."""
    model = task.build_model()
    model.load_state_dict(load_checkpoint(paths.best)["model"])
    row = progress.history[progress.best_epoch - 1]
    return FitResult(
        model.eval(), progress.best_epoch, row, progress.history, paths, resumed, finished, progress.elapsed_s
    )


def _optimizer(config: TrainConfig, parameters: Any) -> torch.optim.Optimizer:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adamax": torch.optim.Adamax, "sgd": torch.optim.SGD}
    beta1 = config.beta1
    extra: dict[str, Any] = {"betas": (beta1, 0.999)}
    if config.optimizer == "sgd":
        extra = {"momentum": beta1, "nesterov": beta1 > 0}
    return kinds[config.optimizer](parameters, lr=config.lr, weight_decay=config.weight_decay, **extra)


class _Loop:
    """One run on one process."""

    def __init__(
        self, task: Task, config: TrainConfig, paths: RunPaths, fabric: Any, identity: dict[str, Any], stop: StopSignal
    ) -> None:
        self.task, self.config, self.paths, self.fabric, self.stop = task, config, paths, fabric, stop
        self.identity = identity
        self.progress = Progress()
        self._build()
        size, rank, world = task.train_size(), fabric.global_rank, fabric.world_size
        self.steps = steps_per_epoch(size, config.batch_size)
        self.sampler = EpochSampler(config.seed, size, config.batch_size, rank, world)
        pin = fabric.device.type == "cuda"
        self.loader = training_loader(task, self.sampler, config.seed, config.num_workers, pin)
        self.finite = torch.ones((), device=fabric.device)
        self.sums: dict[str, torch.Tensor] = {}
        self.started = time.perf_counter()

    def _build(self) -> None:
        """The network, its average and the optimisers, on the device."""
        seed_all(self.config.seed)
        self.raw = self.task.build_model()
        groups = [list(self.task.phase_parameters(self.raw, phase)) for phase in self.task.phases()]
        plain = [_optimizer(self.config, group) for group in groups]
        self.model, *optimizers = self.fabric.setup(self.raw, *plain)
        self.optimizers = dict(zip(self.task.phases(), optimizers, strict=True))
        self.average = None if self.config.ema_decay is None else copy.deepcopy(self.raw).requires_grad_(False)

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def restore(self, stored: dict[str, Any]) -> int:
        """Continue from a checkpoint; returns the epochs that were complete."""
        self.progress = Progress(**stored["progress"])
        self.raw.load_state_dict(stored["model"])
        for phase, optimizer in self.optimizers.items():
            optimizer.load_state_dict(stored["optimizers"][phase])
        if self.average is not None:
            self.average.load_state_dict(stored["average"])
        self.fabric.strategy.precision.load_state_dict(stored["precision"])
        self.sums = {key: torch.tensor(v, device=self.fabric.device) for key, v in self.progress.sums.items()}
        self._states = stored["generators"]
        self.started -= self.progress.elapsed_s
        logger.info("Going on after epoch %d, step %d.", self.progress.epoch, self.progress.step)
        return self.progress.epoch

    def _resume_generators(self) -> None:
        """Seed for this epoch, or go on with the stored states in the middle of one."""
        rank = self.fabric.global_rank
        seed_all(self.config.seed, self.progress.epoch, rank)
        if self.progress.step:
            if len(self._states) == self.fabric.world_size:
                restore_generators(self._states[rank])
            else:
                logger.warning("The number of processes has changed: this run will differ from an unbroken one.")

    def save(self, finished: bool = False) -> None:
        """Write last.pt; refuses to replace a good one by weights that are not numbers."""
        self._require_finite()
        states: list[Any] = [generator_states()]
        if self.fabric.world_size > 1:
            states = [None] * self.fabric.world_size
            torch.distributed.all_gather_object(states, generator_states())
        self.progress.sums = {key: float(value) for key, value in self.sums.items()}
        self.progress.elapsed_s = time.perf_counter() - self.started
        if self.fabric.is_global_zero:
            content = {
                "finished": finished,
                "identity": self.identity,
                "identity_sha256": identity_hash(self.identity),
                "progress": asdict(self.progress),
                "model": self.raw.state_dict(),
                "optimizers": {phase: optimizer.state_dict() for phase, optimizer in self.optimizers.items()},
                "average": None if self.average is None else self.average.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "generators": states,
            }
            save_checkpoint(self.paths.last, content)
        self.fabric.barrier()

    def _require_finite(self) -> None:
        """Raise when a loss or a weight is no longer a number; every process comes to the same answer."""
        weights = [p for p in self.raw.parameters() if p.is_floating_point()]
        good = self.finite * torch.stack([p.detach().isfinite().all() for p in weights]).all()
        if bool(self.fabric.all_reduce(good.float(), reduce_op="mean") == 1):
            return
        saved = f"The last good checkpoint is {self.paths.last}" if self.paths.last.is_file() else "Nothing was saved"
        raise ManabiError(
            f"Training left the numbers (NaN or infinite loss or weights) in epoch {self.progress.epoch + 1} by step "
            f"{self.progress.step}. {saved}. Try a lower lr, clip_norm=1, or precision=32-true, with --fresh."
        )

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self, show_progress: bool) -> None:
        """All epochs that are left."""
        done = self.progress.epoch * self.steps + self.progress.step
        shown = show_progress and self.fabric.is_global_zero
        board = TensorBoardLog(self.paths.events, self.progress.epoch + 1) if self.fabric.is_global_zero else None
        self._record("running")
        try:
            with ProgressBar(self.config.epochs, done, self.steps, shown) as bar:
                while self.progress.epoch < self.config.epochs:
                    self._train_epoch(bar)
                    row = self._end_epoch()
                    if board is not None:
                        board.write(row)
                        bar.epoch(row)
            self._record("finished")
        except CancelledError:
            self._record("stopped")
            raise
        finally:
            if board is not None:
                board.close()

    def _train_epoch(self, bar: ProgressBar) -> None:
        self.sampler.epoch, self.sampler.first_step = self.progress.epoch, self.progress.step
        batches = iter(self.loader)
        self._resume_generators()
        self.model.train()
        for batch in batches:
            self._step(self.fabric.to_device(batch))
            self.progress.step += 1
            bar.step()
            if self.stop.agreed(self.fabric):
                self._stop()
            at = self.progress.epoch * self.steps + self.progress.step
            if self.config.checkpoint_steps and at % self.config.checkpoint_steps == 0:
                self.save()
            elif at % CHECK_EVERY == 0:
                self._require_finite()

    def _stop(self) -> None:
        self.save()
        raise CancelledError(
            f"Stopped in epoch {self.progress.epoch + 1} after step {self.progress.step} of {self.steps}; "
            f"the checkpoint is {self.paths.last}. The same command goes on from there."
        )

    def _step(self, batch: Any) -> None:
        """One optimiser step per phase."""
        rate = learning_rate(self.config, self.progress.epoch + self.progress.step / self.steps)
        for phase, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * self.task.phase_rate(phase)
            values = self.task.phase_step(self.model, batch, phase)
            loss = values["loss"]
            optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            if self.config.clip_norm is not None:
                self.fabric.clip_gradients(
                    self.model, optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
                )
            optimizer.step()
            self.finite = self.finite * loss.detach().isfinite()
            self._add(values, "" if len(self.optimizers) == 1 else f"{phase}_")
        if self.average is not None:
            count = self.progress.epoch * self.steps + self.progress.step
            update_average(self.average, self.raw, self.config.ema_decay or 0.0, count)

    def _add(self, values: dict[str, torch.Tensor], prefix: str) -> None:
        for key, value in values.items():
            name = f"train_{prefix}{key}"
            self.sums[name] = self.sums.get(name, torch.zeros((), device=self.fabric.device)) + value.detach().float()

    # --- the end of an epoch ------------------------------------------------------------------------------------

    def _end_epoch(self) -> dict[str, float]:
        """Validate, note the row, keep the best weights, save."""
        rate = learning_rate(self.config, self.progress.epoch + (self.steps - 1) / self.steps)
        means = {key: self._over_processes(value / self.steps) for key, value in self.sums.items()}
        self._require_finite()
        self.progress.epoch, self.progress.step, self.sums = self.progress.epoch + 1, 0, {}
        last = self.progress.epoch == self.config.epochs
        row = {"epoch": self.progress.epoch, "step": self.progress.epoch * self.steps, "lr": rate, **means}
        validated = last or self.progress.epoch % self.config.val_every == 0
        if validated:
            row.update(self._validate())
        self.progress.history.append(row)
        self._keep_best(row, validated)
        stopping = self.stop.agreed(self.fabric)
        if last or stopping or self.progress.epoch % self.config.checkpoint_every == 0:
            self.save(finished=last)
        if self.fabric.is_global_zero:
            write_metrics(self.paths.metrics, self.progress.history)
        if stopping and not last:
            self._stop()
        return row

    def _over_processes(self, value: torch.Tensor) -> float:
        return float(self.fabric.all_reduce(value, reduce_op="mean"))

    def _validate(self) -> dict[str, float]:
        """The task's metrics, from the first process, as every process's."""
        metrics: dict[str, float] = {}
        if self.fabric.is_global_zero:
            model = self.raw if self.average is None else self.average
            model.eval()
            with torch.no_grad():
                metrics = {f"val_{key}": float(value) for key, value in self.task.validate(model).items()}
        return self.fabric.broadcast(metrics)

    def _keep_best(self, row: dict[str, float], validated: bool) -> None:
        """Write best.pt when the monitored metric is the best so far, or when nothing is monitored."""
        better = True
        if self.task.monitor is not None:
            better = validated and self._is_better(row)
        if better or not self.progress.best_epoch:
            self.progress.best_epoch = self.progress.epoch
            if self.fabric.is_global_zero:
                model = self.raw if self.average is None else self.average
                content = {"model": model.state_dict(), "metrics": row, "identity": self.identity}
                save_checkpoint(self.paths.best, content)

    def _is_better(self, row: dict[str, float]) -> bool:
        key = f"val_{self.task.monitor}"
        if key not in row:
            known = ", ".join(name[4:] for name in row if name.startswith("val_")) or "none"
            raise InvalidInputError(f"The metric to monitor is {self.task.monitor!r}; validation gave: {known}.")
        value, best = row[key], self.progress.best_value
        sign = 1 if self.task.monitor_mode == "max" else -1
        if math.isnan(value) or (best is not None and sign * value <= sign * best):
            return False
        self.progress.best_value = value
        return True

    def _record(self, status: str) -> None:
        """Write run.json."""
        if self.fabric.is_global_zero:
            record = {
                "status": status,
                "config": self.config.to_dict(),
                "task": self.identity["task"],
                "data": self.identity["data"],
                "identity_sha256": identity_hash(self.identity),
                "device": _device_name(self.fabric.device),
                "processes": self.fabric.world_size,
                "epochs": self.progress.epoch,
                "best_epoch": self.progress.best_epoch,
                "best": self.progress.history[self.progress.best_epoch - 1] if self.progress.best_epoch else {},
                "duration_s": round(time.perf_counter() - self.started, 3),
            }
            write_run(self.paths.record, record)


@torch.no_grad()
def update_average(average: torch.nn.Module, model: torch.nn.Module, decay: float, count: int) -> None:
    """Exponential moving average of the weights after ``count`` earlier steps; buffers are copied.

    The decay ramps up at the start, ``min(decay, (1 + n) / (10 + n))`` after n steps, as in TensorFlow's
    ExponentialMovingAverage, so that a short run does not keep the initial weights.
    """
    ramped = min(decay, (1 + count) / (10 + count))
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1 - ramped)
    for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
