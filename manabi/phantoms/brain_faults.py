"""Faults of hand-painted labels: slices left out, edges and places that jump from slice to slice, leaks.

Each function returns the faulty map and which slices it still labels; the map that it was given stays as it was. Slices
are those along ``axis`` (0 is the array's first). Ranges after the project's survey of the source studies: independent
dilation or erosion by 1 to 3 pixels, shifts, leaks of region growing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

Faulty = tuple[np.ndarray, np.ndarray]
"""The map, and ``(n,)`` bool: which slices are labelled."""


@dataclass(frozen=True)
class Faults:
    """How a reader's labels go wrong.

    Attributes:
        keep: share of the slices that are labelled, or, where above 1, every how manieth is; 1 keeps all.
        edge_px: each slice is dilated or eroded by up to so many pixels.
        shift_px: each slice is moved by up to so many pixels along both of its axes.
        leaks: number of places where a label runs out of its structure.
        axis: along which the reader went through the slices.
        fault_seed: draws the faults.
    """

    keep: float = 1.0
    edge_px: int = 0
    shift_px: int = 0
    leaks: int = 0
    axis: int = 0
    fault_seed: int = 0


def apply_faults(labels: np.ndarray, faults: Faults) -> Faulty:
    """All faults of one reader, in the order leaks, edges, shifts, missing slices."""
    rng = np.random.default_rng(faults.fault_seed)
    painted = leak(labels, faults.leaks, rng, axis=faults.axis)[0]
    painted = jitter_edges(painted, faults.edge_px, rng, faults.axis)[0]
    painted = shift_slices(painted, faults.shift_px, rng, faults.axis)[0]
    return drop_slices(painted, faults.keep, rng, faults.axis)


def drop_slices(labels: np.ndarray, keep: float, rng: np.random.Generator, axis: int = 0) -> Faulty:
    """Leave out slices among those that hold labels, so that no two kept ones are neighbours.

    Args:
        labels: integers, any three axes.
        keep: up to 1 the share that is kept (above a half, neighbours cannot be avoided); above 1 every ``keep``-th.
        rng: draws which.
        axis: of the slices.

    Raises:
        InvalidInputError: for a ``keep`` of 0 or less.
    """
    if keep <= 0:
        raise InvalidInputError(f"keep is a share above 0 up to 1, or every how manieth slice; got {keep}.")
    slices = np.moveaxis(labels, axis, 0)
    filled = np.flatnonzero(slices.reshape(len(slices), -1).any(axis=1))
    kept = np.zeros(len(slices), bool)
    if keep == 1:
        kept[filled] = True
    elif keep > 1:
        step = round(keep)
        kept[filled[int(rng.integers(min(step, max(len(filled), 1)))) :: step]] = True
    else:
        kept[_apart(filled, max(round(keep * len(filled)), 1), rng)] = True
    out = np.where(kept[:, None, None], slices, 0).astype(labels.dtype)
    return np.moveaxis(out, 0, axis), kept


def _apart(places: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of the places, no two neighbours where that can be."""
    free = len(places) - count + 1
    if count > free:
        return np.sort(rng.choice(places, min(count, len(places)), replace=False))
    # Choosing among n - count + 1 and spreading by one each gives every set without neighbours the same chance.
    chosen = np.sort(rng.choice(free, count, replace=False)) + np.arange(count)
    return places[chosen]


def jitter_edges(labels: np.ndarray, most_px: int, rng: np.random.Generator, axis: int = 0) -> Faulty:
    """Dilate or erode each label in each slice by a number of pixels from ``-most_px`` to ``most_px``."""
    from scipy.ndimage import binary_dilation, binary_erosion

    def change(plane: np.ndarray) -> np.ndarray:
        """A slice with every label grown or shrunk."""
        out = plane.copy()
        for value in np.unique(plane[plane > 0]):
            by = int(rng.integers(-most_px, most_px + 1))
            mask = plane == value
            if by > 0:
                out[binary_dilation(mask, iterations=by) & (plane == 0)] = value
            elif by < 0:
                out[mask & ~binary_erosion(mask, iterations=-by, border_value=1)] = 0
        return out

    return _each(labels, axis, change if most_px else None)


def shift_slices(labels: np.ndarray, most_px: int, rng: np.random.Generator, axis: int = 0) -> Faulty:
    """Move each slice within its plane by up to ``most_px`` pixels along both axes; what leaves is lost."""
    from scipy.ndimage import shift

    def change(plane: np.ndarray) -> np.ndarray:
        return shift(plane, rng.integers(-most_px, most_px + 1, 2), order=0, cval=0, prefilter=False)

    return _each(labels, axis, change if most_px else None)


def leak(
    labels: np.ndarray, count: int, rng: np.random.Generator, radius_px: float = 6.0, axis: int = 0
) -> Faulty:  # fmt: skip
    """Let a label run out of its structure at ``count`` places: lobed blobs on its edge, over unlabelled voxels.

    Such leaks come from growing a region over a gap in its border.
    """
    out = labels.copy()
    edge = np.argwhere((labels > 0) & _touches_empty(labels))
    for _ in range(count if len(edge) else 0):
        centre = edge[rng.integers(len(edge))]
        value = labels[tuple(centre)]
        reach = radius_px * float(rng.uniform(0.5, 1.5))
        for _ in range(3):
            _ball(out, centre + rng.normal(0.0, 0.5 * reach, 3), 0.6 * reach, value)
    return out, _labelled(out, axis)


def _ball(out: np.ndarray, centre: np.ndarray, radius: float, value: int) -> None:
    low = np.maximum(np.floor(centre - radius), 0).astype(int)
    high = np.minimum(np.ceil(centre + radius) + 1, out.shape).astype(int)
    if (high <= low).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = np.ogrid[box]
    near = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2
    part = out[box]
    part[near & (part == 0)] = value


def _touches_empty(labels: np.ndarray) -> np.ndarray:
    from scipy.ndimage import minimum_filter

    return np.asarray(minimum_filter(labels, 3, mode="nearest") == 0)


def _each(labels: np.ndarray, axis: int, change: Callable[[np.ndarray], np.ndarray] | None) -> Faulty:
    """Apply a change to every slice that holds labels."""
    if change is None:
        return labels.copy(), _labelled(labels, axis)
    out = labels.copy()
    slices = np.moveaxis(out, axis, 0)
    for plane in slices:
        if plane.any():
            plane[...] = change(plane)
    return out, _labelled(out, axis)


def _labelled(labels: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.moveaxis(labels, axis, 0).reshape(labels.shape[axis], -1).any(axis=1))
