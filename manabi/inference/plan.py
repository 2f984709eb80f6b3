"""How large a window fits: an estimate made before anything large is allocated."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

from manabi.context import Context
from manabi.device import describe_memory
from manabi.geometry import Shape
from manabi.inference.ladder import Setting, sides
from manabi.inference.probe import Demand

logger = logging.getLogger(__name__)

SHARE_OF_FREE = {"cpu": 0.7, "mps": 0.7, "cuda": 0.9}
"""Part of the free memory that is planned with where no limit is set (our choice: others need memory, too)."""

LONGEST_STEP = 2e11
"""Floating-point operations in one layer call on a processor. Cancellation is answered between layers; at 60 GFLOP/s,
a slow two-core laptop, this is about 3 s (our choice; cancelling must take less than 5 s)."""


@dataclass(frozen=True)
class Cost:
    """What a prediction over a volume needs, as a function of its window.

    Attributes:
        demand: of one forward pass.
        shape: KJI shape of the part of the volume that is predicted, padding included.
        labels: whether only labels are kept (one byte per voxel), not every output in float32.
        copy_bytes: input copied for padding.
        on_cpu: whether the network shares memory with input and result.
    """

    demand: Demand
    shape: Shape
    labels: bool
    copy_bytes: int = 0
    on_cpu: bool = True

    def memory_mb(self, window: Shape, batch: int = 1) -> float:
        """Estimated peak, in MB, on top of what the process holds already (the network and the input)."""
        window_voxels = math.prod(window)
        n_outputs = self.demand.n_outputs
        slab_voxels = window[0] * self.shape[1] * self.shape[2]
        whole = all(w >= n for w, n in zip(window, self.shape, strict=True))
        sums = 0 if whole else slab_voxels * (2 * n_outputs + 1) * 4
        blend = n_outputs * window_voxels * 4
        kept = self.copy_bytes + math.prod(self.shape) * (1 if self.labels else 4 * n_outputs)
        return self.demand.forward_mb(batch * window_voxels) + (sums + blend + (kept if self.on_cpu else 0)) / 2**20

    def longest_step(self, window: Shape, batch: int = 1) -> float:
        """Floating-point operations of the longest layer call."""
        return self.demand.step_flops_per_voxel * math.prod(window) * batch


def budget_mb(context: Context, device: str) -> float:
    """Memory to plan with: a share of what is free on the device, or less where the context sets a limit."""
    share = SHARE_OF_FREE[device.partition(":")[0]] * describe_memory(device).free_mb
    return share if context.memory_limit_mb is None else min(share, context.memory_limit_mb)


def plan_window(start: Setting, cost: Cost, budget: float, context: Context) -> Setting:
    """Go down from ``start`` until the estimate fits: half the batch, then half the longest side of the window.

    A window is halved, not fitted to the megabyte, so that small differences in free memory do not change results.

    Args:
        start: the wished device, batch and window.
        cost: what the work needs.
        budget: MB to stay below.
        context: gets a warning where the window is smaller than wished for lack of memory, or where even the
            smallest one is estimated to need more than the budget; the work is then tried all the same.
    """
    setting = start
    while not _fits(setting, cost, budget) and (smaller := setting.smaller()) is not None:
        setting = smaller
    window = setting.window or cost.shape
    needed = cost.memory_mb(window, setting.batch)
    logger.info("window %s, batch %d: about %.0f of %.0f MB", window, setting.batch, needed, budget)
    if needed > budget:
        context.warn(
            f"About {needed:.0f} MB are needed even for parts of {sides(window)} voxels, but {budget:.0f} MB are "
            "allowed or free; it was tried all the same. Raise the memory limit or close other programs."
        )
    if setting.window != start.window and not _fits_memory(start, cost, budget):
        context.warn(
            f"The image was computed in overlapping parts of {sides(window)} voxels, because the whole needs more "
            f"than the {budget:.0f} MB that are allowed or free. Near their borders the result can differ slightly."
        )
    return setting


def _fits_memory(setting: Setting, cost: Cost, budget: float) -> bool:
    """Whether the estimate of one window at a time stays below the budget."""
    return cost.memory_mb(setting.window or cost.shape, 1) <= budget


def _fits(setting: Setting, cost: Cost, budget: float) -> bool:
    window = setting.window or cost.shape
    if cost.memory_mb(window, setting.batch) > budget:
        return False
    if setting.device != "cpu":
        return True
    return cost.longest_step(window, setting.batch) <= LONGEST_STEP


def largest_batch(start: Setting, demand: Demand, voxels: int, budget: float) -> Setting:
    """The setting with its batch halved until a forward pass over ``voxels`` pixels each is estimated to fit."""
    batch = start.batch
    while batch > 1 and demand.forward_mb(batch * voxels) > budget:
        batch //= 2
    return replace(start, batch=batch)
