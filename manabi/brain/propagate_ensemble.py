"""The ensemble: each member leaves out other painted slices, is scored on them, and then sees them all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from manabi.brain.propagate_network import PriorNetwork, Trainer
from manabi.brain.propagate_predict import HeldOut, hold_out
from manabi.brain.propagate_samples import Sampler
from manabi.context import Context

if TYPE_CHECKING:
    from manabi.brain.propagate import PropagateSettings

FILTERS = {2: (16, 32, 64), 3: (8, 16, 32)}
"""Channels of the U-Net by the learner's dimensions (our choice: about 130 and 100 thousand weights)."""
RATE, FINISH_RATE = 6e-3, 2e-3
"""Highest learning rates (our choices)."""
FINISH = 0.3
"""After a member was scored it learns from all slices, for this part of its steps (our choice)."""


def train_ensemble(
    sampler: Sampler, settings: PropagateSettings, context: Context, device: str
) -> tuple[list[PriorNetwork], list[HeldOut]]:
    """Train the members and predict every painted slice by the one that has not learned from it.

    Returns:
        The trained members, and the left-out slices (none where a single slice is painted).
    """
    count = len(sampler.items)
    folds = min(settings.members, count) if count > 1 else 0
    clock = _Clock(context, settings.members * (settings.steps + (_finish(settings) if folds else 0)))
    members, held = [], []
    for number in range(settings.members):
        seed = context.seed * 1000 + number
        network = _network(sampler, seed).to(device)
        trainer = Trainer(sampler, network, seed, settings.batch, device)
        left_out = [i for i in range(count) if folds > 1 and i % folds == number]
        trainer.run([i for i in range(count) if i not in left_out], settings.steps, RATE, clock.tick)
        held += hold_out(network, sampler, left_out, device)
        if folds:
            trainer.run(list(range(count)), _finish(settings), FINISH_RATE, clock.tick)
        members.append(network)
    return members, held


def _finish(settings: PropagateSettings) -> int:
    return max(round(FINISH * settings.steps), 1)


def _network(sampler: Sampler, seed: int) -> PriorNetwork:
    """A new member; torch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PriorNetwork(sampler.layout, FILTERS[sampler.dims], sampler.dims, sampler.prior)


class _Clock:
    """Tells progress with the time that is left."""

    def __init__(self, context: Context, steps: int) -> None:
        self._context, self._steps, self._done = context, steps, 0
        self._begun = time.monotonic()

    def tick(self) -> None:
        """Called before every step."""
        text = "Learning from the painted slices"
        if self._done >= 5:
            left = (time.monotonic() - self._begun) / self._done * (self._steps - self._done)
            text += f", about {max(left, 1):.0f} s left"
        self._context.progress(self._done / self._steps, text)
        self._done += 1
