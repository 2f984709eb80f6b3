"""Sums of overlapping windows, kept only for the slices that windows still to come can reach."""

from __future__ import annotations

import numpy as np
import torch

from manabi.geometry import Shape
from manabi.inference.windows import Box


class Canvas:
    """The result of a prediction, filled from the first slice to the last.

    Attributes:
        array: (n_outputs, slices, rows, columns) float32, or (slices, rows, columns) labels.
    """

    def __init__(self, n_outputs: int, shape: Shape, labels: bool, empty: float = 0.0) -> None:
        self._labels = labels
        self._empty = empty
        if labels:
            self.array = np.full(shape, empty, dtype=np.uint8 if n_outputs <= 256 else np.int32)
        else:
            self.array = np.full((n_outputs, *shape), empty, dtype=np.float32)

    def write(self, first: int, values: torch.Tensor, reached: torch.Tensor | None = None) -> None:
        """Write finished slices; ``values`` is (n_outputs, slices, rows, columns).

        Labels are taken slice by slice, so that no second copy of all outputs exists. ``reached`` is False where no
        window came.
        """
        for n in range(values.shape[1]):
            plane = values[:, n].argmax(0) if self._labels else values[:, n].float()
            if reached is not None:
                plane = torch.where(reached[n], plane, torch.full_like(plane, self._empty))
            self.array[..., first + n, :, :] = plane.cpu().numpy()


class Slab:
    """Weighted sums over the slices from the current window's first to its last; older ones are on the canvas."""

    def __init__(self, n_outputs: int, shape: Shape, depth: int, labels: bool, empty: float, device: str) -> None:
        self._canvas = Canvas(n_outputs, shape, labels, empty)
        self._first = 0
        self._sums = torch.zeros((n_outputs, depth, *shape[1:]), device=device)
        self._weights = torch.zeros((depth, *shape[1:]), device=device)

    def add(self, box: Box, values: torch.Tensor, weights: torch.Tensor | None) -> None:
        """Add a window's outputs (n_outputs, slices, rows, columns) at its box; None weighs every voxel 1.

        Boxes come in the order of their first slice: what lies before it is finished and written.
        """
        self._move_to(box[0].start)
        sums = self._sums[:, :, box[1], box[2]]
        if weights is None:
            sums.add_(values)
            self._weights[:, box[1], box[2]] += 1
        else:
            sums.addcmul_(values.float(), weights)
            self._weights[:, box[1], box[2]] += weights

    def finish(self) -> np.ndarray:
        """Write what is left; returns the result."""
        left = min(self._sums.shape[1], self._canvas.array.shape[-3] - self._first)
        self._write(left)
        return self._canvas.array

    def _move_to(self, first: int) -> None:
        step = first - self._first
        if step > 0:
            self._write(min(step, self._sums.shape[1]))
            _shift(self._sums, 1, step)
            _shift(self._weights, 0, step)
            self._first = first

    def _write(self, count: int) -> None:
        weights = self._weights[:count]
        reached = weights > 0
        values = self._sums[:, :count].div_(torch.where(reached, weights, torch.ones_like(weights)))
        self._canvas.write(self._first, values, reached)


def _shift(buffer: torch.Tensor, axis: int, step: int) -> None:
    """Move the content ``step`` planes towards the front; zeros come in at the back."""
    depth = buffer.shape[axis]
    for n in range(depth):
        target = buffer.select(axis, n)
        if n + step < depth:
            target.copy_(buffer.select(axis, n + step))
        else:
            target.zero_()
