"""One prediction with one setting: all at once, or window after window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.geometry import Shape
from manabi.inference.ladder import Setting
from manabi.inference.runner import Runner
from manabi.inference.slab import Canvas, Slab
from manabi.inference.windows import Box, blend_weights, padded, rows


@dataclass(frozen=True)
class Wishes:
    """How the outputs of windows become one result.

    Attributes:
        overlap: fraction of a window that neighbours share.
        blend: ``constant`` or ``gaussian``.
        labels: keep the label of the greatest output instead of every output.
        empty: value where nothing was predicted.
        n_outputs: outputs the network must have; None takes what it has.
    """

    overlap: float
    blend: str
    labels: bool
    empty: float
    n_outputs: int | None


def sweep(
    runner: Runner, array: np.ndarray, mask: np.ndarray | None, setting: Setting, wishes: Wishes, context: Context
) -> np.ndarray:
    """Predict an image (C, slices, rows, columns); memory shortages pass through.

    Args:
        runner: the network, entered.
        array: the image.
        mask: (slices, rows, columns); windows without any of it are left out. None keeps all.
        setting: device, batch and window.
        wishes: how outputs are put together.
        context: progress and cancellation.

    Returns:
        As :func:`manabi.inference.predict_volume`, on the image's own grid.
    """
    window = setting.window or shape_of(array)
    whole, back = padded(array, window)
    if window == shape_of(whole):
        return _at_once(runner, whole, back, wishes)
    if mask is not None:
        mask = np.pad(mask, [(s.start, n - s.stop) for s, n in zip(back, shape_of(whole), strict=True)])
    boxes = [[box for box in row if mask is None or mask[box].any()] for _, row in rows(shape_of(whole), window,
                                                                                        wishes.overlap)]
    found = _in_windows(runner, whole, [row for row in boxes if row], setting, wishes, context)
    return np.ascontiguousarray(found[(..., *back)])


def _at_once(runner: Runner, whole: np.ndarray, back: Box, wishes: Wishes) -> np.ndarray:
    out = runner(tensor_of(whole[None]), 0.0, 1.0, "Computing")
    _check_output(out, shape_of(whole), wishes)
    values = out[0][:, back[0], back[1], back[2]]
    k, j, i = values.shape[1:]
    canvas = Canvas(values.shape[0], (k, j, i), wishes.labels)
    canvas.write(0, values)
    return canvas.array


def _in_windows(
    runner: Runner, whole: np.ndarray, boxes: list[list[Box]], setting: Setting, wishes: Wishes, context: Context
) -> np.ndarray:
    """Windows, row after row; a batch does not reach into the next row, whose slices may need the memory."""
    window = setting.window or shape_of(whole)
    weights = None
    if wishes.blend != "constant":
        weights = torch.from_numpy(blend_weights(window, wishes.blend)).to(setting.device)
    groups = [row[n : n + setting.batch] for row in boxes for n in range(0, len(row), setting.batch)]
    total = sum(len(row) for row in boxes)
    done, slab = 0, None
    for group in groups:
        text = f"Part {done + 1} of {total}"
        context.progress(done / total, text)
        out = runner(_batch(whole, group), done / total, len(group) / total, text)
        _check_output(out, window, wishes)
        if slab is None:
            slab = Slab(out.shape[1], shape_of(whole), window[0], wishes.labels, wishes.empty, setting.device)
        for box, values in zip(group, out, strict=True):
            slab.add(box, values, weights)
        done += len(group)
    return slab.finish() if slab is not None else nothing(shape_of(whole), wishes)


def nothing(shape: Shape, wishes: Wishes) -> np.ndarray:
    """The result where no window was worth predicting."""
    if wishes.n_outputs is None and not wishes.labels:
        raise InvalidInputError("The foreground is empty. Lower its threshold, or say n_outputs.")
    return Canvas(wishes.n_outputs or 1, shape, wishes.labels, wishes.empty).array


def _check_output(out: torch.Tensor, window: Shape, wishes: Wishes) -> None:
    if tuple(out.shape[2:]) != window:
        raise InvalidInputError(
            f"The network must return one value per voxel: for {window} voxels it gave {tuple(out.shape)}. "
            "Check that the bundle's network is one for volumes, and the divisor of its input sizes."
        )
    if wishes.n_outputs is not None and out.shape[1] != wishes.n_outputs:
        raise InvalidInputError(f"Expected a network with {wishes.n_outputs} outputs; this one has {out.shape[1]}.")


def _batch(whole: np.ndarray, boxes: list[Box]) -> torch.Tensor:
    return tensor_of(np.stack([whole[:, box[0], box[1], box[2]] for box in boxes]))


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """A float32 tensor of an array; it shares memory where it can, and is never written to."""
    values = np.asarray(array, dtype=np.float32, order="C")
    if not values.flags.writeable:
        values = values.copy()
    return torch.from_numpy(values)


def shape_of(array: np.ndarray) -> Shape:
    """Slices, rows and columns of an image with leading axes."""
    k, j, i = array.shape[-3:]
    return k, j, i
