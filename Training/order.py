"""Which items a step sees, and with which random numbers: pure functions of (seed, epoch, index).

No global generator is involved, so the order survives a kill, other work in between, and another number of devices.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from Training.task import Task

ORDER_STREAM, ITEM_STREAM = 0, 1
"""First word of a seed sequence: one stream for the order, another for the items."""

Request = tuple[int, int]
"""Epoch and index of an item."""


def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The items of an epoch in the order they are seen, each once, shape ``(size,)``."""
    return np.random.default_rng([ORDER_STREAM, seed, epoch]).permutation(size)


def item_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator for one item's augmentation."""
    return np.random.default_rng([ITEM_STREAM, seed, epoch, index])


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Optimiser steps in an epoch; the last batch is filled up from the epoch's start, so none is smaller."""
    return -(-size // batch_size)


def step_items(seed: int, epoch: int, size: int, batch_size: int, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """The items of every step of an epoch on one process.

    ``batch_size`` counts over all processes (it must divide by ``world``), so that the batches, and up to rounding the
    gradients, do not depend on how many devices there are.
    """
    order = epoch_order(seed, epoch, size)
    count = steps_per_epoch(size, batch_size)
    filled = np.resize(order, count * batch_size).reshape(count, batch_size)
    return list(filled[:, rank::world])


class EpochSampler(Sampler[list[Request]]):
    """Batches of requests for the epoch and step that were set last."""

    def __init__(self, seed: int, size: int, batch_size: int, rank: int, world: int) -> None:
        self._plan = (seed, size, batch_size, rank, world)
        self.epoch = 0
        self.first_step = 0

    def __iter__(self) -> Iterator[list[Request]]:
        seed, size, batch_size, rank, world = self._plan
        for items in step_items(seed, self.epoch, size, batch_size, rank, world)[self.first_step :]:
            yield [(self.epoch, int(index)) for index in items]

    def __len__(self) -> int:
        """Steps that are left in the epoch."""
        return steps_per_epoch(self._plan[1], self._plan[2]) - self.first_step


class _Items(Dataset[Any]):
    """The task's batches behind torch's interface; picklable, for worker processes."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task, self._seed = task, seed

    def __getitems__(self, requests: list[Request]) -> Any:
        rngs = [item_rng(self._seed, epoch, index) for epoch, index in requests]
        return self._task.train_batch([index for _, index in requests], rngs)

    def __getitem__(self, request: Request) -> Any:
        return self.__getitems__([request])


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_parent(_: int) -> None:
    """Ctrl-C reaches worker processes too; the parent decides when they end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def training_loader(task: Task, sampler: EpochSampler, seed: int, num_workers: int, pin: bool) -> DataLoader[Any]:
    """A loader whose batches follow the sampler; it draws nothing from torch's global generator."""
    return DataLoader(
        _Items(task, seed),
        batch_sampler=sampler,
        collate_fn=_as_it_is,
        num_workers=num_workers,
        worker_init_fn=_leave_signals_to_parent,
        persistent_workers=num_workers > 0,
        pin_memory=pin,
        generator=torch.Generator(),
    )
