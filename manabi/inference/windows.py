"""Where windows lie, how they are weighted, and the part of a volume that is worth predicting."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from manabi.errors import InvalidInputError
from manabi.geometry import Shape

Box = tuple[slice, slice, slice]


def rounded_up(shape: Shape, multiple: int) -> Shape:
    """The smallest multiples that are not below the shape."""
    k, j, i = (multiple * math.ceil(n / multiple) for n in shape)
    return k, j, i


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis.

    As MONAI's sliding window: a step of ``int(window * (1 - overlap))`` voxels, the last window shifted back so that
    it ends with the volume.
    """
    if window >= size:
        return [0]
    step = max(int(window * (1 - overlap)), 1)
    count = math.ceil((size - window) / step) + 1
    return [min(n * step, size - window) for n in range(count)]


def rows(shape: Shape, window: Shape, overlap: float) -> Iterator[tuple[int, list[Box]]]:
    """Windows grouped by their first slice, in order: ``(first slice, boxes)``."""
    along = [starts(n, w, overlap) for n, w in zip(shape, window, strict=True)]
    for k in along[0]:
        yield k, [
            (slice(k, k + window[0]), slice(j, j + window[1]), slice(i, i + window[2]))
            for j in along[1]
            for i in along[2]
        ]


def blend_weights(window: Shape, blend: str) -> np.ndarray:
    """Weight of each voxel of a window where windows overlap, float32, ``window`` shaped.

    ``constant``: 1. ``gaussian``: a Gaussian around the middle with a standard deviation of 1/8 of each side, at least
    0.001, as MONAI's sliding window (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, introduced it).
    """
    if blend == "constant":
        return np.ones(window, np.float32)
    if blend != "gaussian":
        raise InvalidInputError(f"blend must be constant or gaussian; got {blend!r}.")
    profiles = []
    for n in window:
        distance = np.arange(n) - (n - 1) / 2
        profiles.append(np.exp(-0.5 * (distance / (0.125 * n)) ** 2))
    weights = np.einsum("k,j,i->kji", *profiles)
    return np.maximum(weights, 1e-3).astype(np.float32)


def bounding_box(mask: np.ndarray, margin: int) -> Box | None:
    """The box around a mask's voxels, grown by ``margin`` voxels within the volume; None for an empty mask."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        present = np.flatnonzero(mask.any(axis=others))
        if present.size == 0:
            return None
        box.append(slice(max(int(present[0]) - margin, 0), min(int(present[-1]) + 1 + margin, mask.shape[axis])))
    return box[0], box[1], box[2]


def padded(array: np.ndarray, shape: Shape) -> tuple[np.ndarray, Box]:
    """The array mirrored at its borders up to at least ``shape`` in its last three axes, and the box that undoes it.

    Mirroring (our choice) keeps the intensity statistics that instance normalisation sees, and needs no background
    value. Nothing is copied where the array is large enough.
    """
    have = array.shape[-3:]
    extra = [max(want - n, 0) for want, n in zip(shape, have, strict=True)]
    k, j, i = (slice(e // 2, e // 2 + n) for e, n in zip(extra, have, strict=True))
    if not any(extra):
        return array, (k, j, i)
    lead = [(0, 0)] * (array.ndim - 3)
    return np.pad(array, [*lead, *((e // 2, e - e // 2) for e in extra)], mode="reflect"), (k, j, i)
