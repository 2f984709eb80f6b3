"""Predicting a volume: the whole at once where it fits, overlapping windows where it does not."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from manabi.context import Context, Precision
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.geometry import Shape
from manabi.inference.ladder import Setting, climb_down
from manabi.inference.plan import Cost, budget_mb, plan_window
from manabi.inference.precision import DEFAULT_ALLOWED, choose_precision
from manabi.inference.probe import measure_demand
from manabi.inference.runner import Runner
from manabi.inference.sweep import Wishes, nothing, shape_of, sweep
from manabi.inference.windows import Box, blend_weights, bounding_box, rounded_up

SMALL_VOXELS = 128**3
"""Volumes up to this size are run at once without a probe, so that a click costs one forward pass (our choice)."""
SMALL_BUDGET_MB = 4096.0
SMALLEST_SIDE = 32
"""A window is not made smaller than this, in voxels (our choice)."""


def predict_volume(
    network: nn.Module,
    image: torch.Tensor | np.ndarray,
    *,
    context: Context,
    window: Shape | None = None,
    overlap: float = 0.25,
    blend: Literal["constant", "gaussian"] = "constant",
    batch: int = 1,
    foreground: np.ndarray | float | None = None,
    empty_value: float = 0.0,
    divisor: int = 16,
    n_outputs: int | None = None,
    reduce: Literal["none", "argmax"] = "none",
    allowed_precisions: Collection[Precision] = DEFAULT_ALLOWED,
) -> np.ndarray:
    """Run a network over a volume.

    Without ``window`` the whole volume is one window where memory (``context.memory_limit_mb``, or what is free)
    allows it; else its longest side is halved until the estimate fits. With instance normalisation the window is part
    of what is computed, so a model whose results must not depend on the computer states the window it wants. When
    memory runs out all the same, the steps of :mod:`manabi.inference.ladder` follow, each with a warning.

    Where windows overlap, their outputs are averaged (MONAI's sliding window with the same window and overlap gives
    the same values). A volume that is smaller than the window, or not a multiple of ``divisor``, is mirrored at its
    borders and cut back.

    Args:
        network: maps (N, C, k, j, i) to (N, n_outputs, k, j, i); of several outputs the first is taken.
        image: (C, slices, rows, columns) or (1, C, slices, rows, columns), any real dtype.
        context: device, precision, memory limit, progress and cancellation.
        window: KJI size of a window, multiples of ``divisor``; None takes the largest that fits.
        overlap: fraction of a window that neighbours share, from 0 to below 1.
        blend: ``constant`` or ``gaussian`` weights where windows overlap.
        batch: windows per forward pass.
        foreground: (slices, rows, columns) mask of what is worth predicting, or a threshold: voxels above it in any
            channel. Only the box around it, ``divisor`` voxels wider, is predicted, and windows without any of it
            are left out.
        empty_value: result where nothing was predicted (every output, or the label).
        divisor: what the network needs the sides of its input to be a multiple of.
        n_outputs: outputs the network must have; None takes what it has.
        reduce: ``none`` returns every output, ``argmax`` the label of the greatest.
        allowed_precisions: what the model was checked in; see :func:`manabi.inference.choose_precision`.

    Returns:
        float32 (n_outputs, slices, rows, columns), or labels (slices, rows, columns), uint8 up to 256 of them.

    Raises:
        InvalidInputError: for an image, window or network that does not fit together.
        OutOfMemoryError: when the last step of the ladder did not fit.
        CancelledError: when the context was cancelled; it is asked before every layer.
    """
    array = _channels_first(image)
    _check(array, window, overlap, batch, divisor)
    _check_words(blend, reduce, empty_value)
    mask = _mask(array, foreground)
    wishes = Wishes(overlap, blend, reduce == "argmax", empty_value, n_outputs)
    region = _region(array, mask, divisor)
    if region is None:
        return nothing(shape_of(array), wishes)
    part = array[:, region[0], region[1], region[2]]
    job = _Job(network, part, None if mask is None else mask[region], window, batch, divisor, wishes,
               allowed_precisions, context)
    found = climb_down(choose_device(context.device).device, job.plan, job.attempt, context)
    return _placed_back(found, shape_of(array), region, empty_value)


@dataclass(frozen=True)
class _Job:
    """What predict_volume was asked for, the image cut to what is worth predicting."""

    network: nn.Module
    array: np.ndarray
    mask: np.ndarray | None
    window: Shape | None
    batch: int
    divisor: int
    wishes: Wishes
    allowed: Collection[Precision]
    context: Context

    def plan(self, device: str) -> Setting:
        """The first setting on a device: the wished window or the whole volume, made smaller until it fits."""
        shape = shape_of(self.array)
        wished = self.window or rounded_up(shape, self.divisor)
        smallest = rounded_up((SMALLEST_SIDE,) * 3, self.divisor)
        start = Setting(device, self.batch, wished, smallest, self.divisor)
        budget = budget_mb(self.context, device)
        if math.prod(wished) * self.batch <= SMALL_VOXELS and budget >= SMALL_BUDGET_MB:
            return start
        with self._runner(device) as runner:
            demand = measure_demand(runner, self.array.shape[0], self.divisor)
        covered = _larger(shape, wished)
        copied = 0 if covered == shape else self.array.nbytes * math.prod(covered) // math.prod(shape)
        cost = Cost(demand, covered, self.wishes.labels, copied, not device.startswith("cuda"))
        return plan_window(start, cost, budget, self.context)

    def attempt(self, setting: Setting) -> np.ndarray:
        """Predict with one setting, from the start; memory shortages pass through."""
        with self._runner(setting.device) as runner:
            return sweep(runner, self.array, self.mask, setting, self.wishes, self.context)

    def _runner(self, device: str) -> Runner:
        return Runner(self.network, device, choose_precision(self.context, device, self.allowed), self.context)


def _channels_first(image: torch.Tensor | np.ndarray) -> np.ndarray:
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim == 5 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 4 or array.size == 0 or array.dtype.kind not in "biuf":
        raise InvalidInputError(
            "Expected a real image of shape (channels, slices, rows, columns), perhaps with a leading 1; "
            f"got {array.dtype} of shape {np.shape(image)}."
        )
    return array


def _check(array: np.ndarray, window: Shape | None, overlap: float, batch: int, divisor: int) -> None:
    if not 0 <= overlap < 1:
        raise InvalidInputError(f"overlap must be from 0 to below 1; got {overlap}.")
    if batch < 1 or divisor < 1:
        raise InvalidInputError(f"batch and divisor must be at least 1; got {batch} and {divisor}.")
    if window is not None and (len(window) != 3 or any(n < 1 or n % divisor for n in window)):
        raise InvalidInputError(f"A window has three sides, multiples of {divisor}; got {window}.")


def _check_words(blend: str, reduce: str, empty_value: float) -> None:
    blend_weights((1, 1, 1), blend)
    if reduce not in ("none", "argmax"):
        raise InvalidInputError(f"reduce must be none or argmax; got {reduce!r}.")
    if reduce == "argmax" and empty_value not in range(256):
        raise InvalidInputError(f"empty_value is a label from 0 to 255 with reduce='argmax'; got {empty_value}.")


def _mask(array: np.ndarray, foreground: np.ndarray | float | None) -> np.ndarray | None:
    if foreground is None:
        return None
    if np.ndim(foreground) == 0:
        return np.asarray((array > foreground).any(axis=0))
    mask = np.asarray(foreground).astype(bool)
    if mask.shape != array.shape[1:]:
        raise InvalidInputError(f"The foreground mask must be {array.shape[1:]}, as the image; got {mask.shape}.")
    return mask


def _region(array: np.ndarray, mask: np.ndarray | None, margin: int) -> Box | None:
    if mask is None:
        return slice(0, array.shape[1]), slice(0, array.shape[2]), slice(0, array.shape[3])
    return bounding_box(mask, margin)


def _placed_back(found: np.ndarray, shape: Shape, region: Box, empty: float) -> np.ndarray:
    if shape_of(found) == shape:
        return found
    result = np.full((*found.shape[:-3], *shape), empty, dtype=found.dtype)
    result[..., region[0], region[1], region[2]] = found
    return result


def _larger(one: Shape, other: Shape) -> Shape:
    k, j, i = (max(a, b) for a, b in zip(one, other, strict=True))
    return k, j, i
