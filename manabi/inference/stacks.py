"""Predicting many slices: in batches, channels last, in the precision that the device is fast at."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import torch
from torch import nn

from manabi.context import Context, Precision
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.inference.ladder import Setting, climb_down
from manabi.inference.plan import budget_mb, largest_batch
from manabi.inference.precision import DEFAULT_ALLOWED, choose_precision
from manabi.inference.probe import measure_demand
from manabi.inference.runner import Runner
from manabi.inference.sweep import tensor_of
from manabi.inference.windows import padded

SMALL_PIXELS = 16 * 256 * 256
"""Batches up to this many pixels are run without a probe where at least SMALL_BUDGET_MB are free (our choice)."""
SMALL_BUDGET_MB = 4096.0


def predict_stack(
    network: nn.Module,
    slices: torch.Tensor | np.ndarray,
    *,
    context: Context,
    batch: int = 16,
    divisor: int = 1,
    allowed_precisions: Collection[Precision] = DEFAULT_ALLOWED,
) -> np.ndarray:
    """Run a 2-D (or 2.5-D) network over a stack of slices.

    Args:
        network: maps (N, C, rows, columns) to (N, ...), each slice by itself; of several outputs the first is taken.
        slices: (N, C, rows, columns), any real dtype; for 2.5-D, C holds the neighbours.
        context: device, precision, memory limit, progress and cancellation.
        batch: slices per forward pass; fewer are taken where memory does not allow it.
        divisor: what the network needs rows and columns to be a multiple of; slices are mirrored at their borders, and
            an output of the padded size is cut back.
        allowed_precisions: what the model was checked in; see :func:`manabi.inference.choose_precision`.

    Returns:
        float32, (N, ...) as the network's output.

    Raises:
        InvalidInputError: for an array of another kind.
        OutOfMemoryError: when one slice at a time on the processor did not fit.
        CancelledError: when the context was cancelled; it is asked before every layer.
    """
    array = _checked(slices, batch, divisor)
    rows, columns = (divisor * math.ceil(n / divisor) for n in array.shape[2:])

    def runner(device: str) -> Runner:
        return Runner(network, device, choose_precision(context, device, allowed_precisions), context)

    def plan(device: str) -> Setting:
        """The largest batch that fits the device's memory."""
        start = Setting(device, min(batch, len(array)))
        budget = budget_mb(context, device)
        if start.batch * rows * columns <= SMALL_PIXELS and budget >= SMALL_BUDGET_MB:
            return start
        with runner(device) as ready:
            demand = measure_demand(ready, array.shape[1], max(divisor, 32), n_axes=2)
        return largest_batch(start, demand, rows * columns, budget)

    def attempt(setting: Setting) -> np.ndarray:
        with runner(setting.device) as ready:
            return _in_batches(ready, array, setting.batch, (rows, columns), context)

    return climb_down(choose_device(context.device).device, plan, attempt, context)


def _in_batches(
    runner: Runner, array: np.ndarray, batch: int, size: tuple[int, int], context: Context
) -> np.ndarray:
    total = len(array)
    result: np.ndarray | None = None
    for first in range(0, total, batch):
        text = f"Slice {first + 1} of {total}"
        context.progress(first / total, text)
        part, back = padded(array[first : first + batch], (array.shape[1], *size))
        out = runner(tensor_of(part), first / total, len(part) / total, text)
        if out.dim() == 4 and tuple(out.shape[2:]) == size:
            out = out[:, :, back[1], back[2]]
        if result is None:
            result = np.empty((total, *out.shape[1:]), np.float32)
        result[first : first + batch] = out.float().cpu().numpy()
    return result if result is not None else np.empty((0,), np.float32)


def _checked(slices: torch.Tensor | np.ndarray, batch: int, divisor: int) -> np.ndarray:
    array = slices.detach().cpu().numpy() if isinstance(slices, torch.Tensor) else np.asarray(slices)
    if array.ndim != 4 or array.size == 0 or array.dtype.kind not in "biuf":
        raise InvalidInputError(
            "Expected real slices of shape (slices, channels, rows, columns), at least one; "
            f"got {array.dtype} of shape {array.shape}."
        )
    if batch < 1 or divisor < 1:
        raise InvalidInputError(f"batch and divisor must be at least 1; got {batch} and {divisor}.")
    return array
