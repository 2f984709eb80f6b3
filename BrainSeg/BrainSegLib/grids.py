"""Painted slices on two grids: that of the segments and that of the image. No Slicer here.

Slicer keeps segments on a grid of their own, which may be finer than the image, turned against it, or larger. What was
painted is read from it slice by slice, so that a stroke of one thin slice is not lost between two voxels of the image,
and what was found is written back without touching the painted slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from manabi.geometry import Grid, closest_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

PLANES = ("sagittal", "coronal", "axial")
"""Names of slices by the axis of R, A, S that they lie across."""
ALIGNED_VOXELS = 0.05
"""Grids whose corners part by less than this many voxels when one is laid along the other are parallel (our choice)."""
FINER = 0.75
"""A grid whose voxels are smaller than this part of another's is finer than it (our choice)."""
TIE = 1e-6
"""A voxel half way between two others takes the lower one, despite rounding (our choice)."""


@dataclass(frozen=True)
class Along:
    """How the axes of one grid run along those of another, parallel one.

    Attributes:
        axes: array axis (KJI) of the other grid for each array axis of the one.
        places: continuous index on that axis for each voxel along each array axis of the one.
    """

    axes: tuple[int, int, int]
    places: tuple[np.ndarray, np.ndarray, np.ndarray]

    def step(self, axis: int) -> float:
        """Voxels of the other grid from one voxel of the one to the next along an array axis of the one."""
        places = self.places[axis]
        return float(abs(places[1] - places[0])) if len(places) > 1 else 1.0


def along(grid: Grid, other: Grid) -> Along | None:
    """How a grid runs along another; None where they are not parallel.

    Args:
        grid: whose voxels are looked up.
        other: in which they are looked up.
    """
    matrix = np.linalg.solve(other.ijk_to_ras, grid.ijk_to_ras)
    turn = matrix[:3, :3]
    best = [int(np.argmax(np.abs(turn[:, column]))) for column in range(3)]
    rest = turn.copy()
    rest[best, range(3)] = 0.0
    drift = np.abs(rest) @ (np.array(grid.shape[::-1]) - 1)
    if sorted(best) != [0, 1, 2] or float(drift.max()) > ALIGNED_VOXELS:
        return None
    middle = (np.array(grid.shape[::-1]) - 1) / 2
    offset = matrix[:3, 3] + rest @ middle
    by_column = [turn[row, column] * np.arange(grid.shape[2 - column]) + offset[row] for column, row in enumerate(best)]
    k, j, i = (by_column[column] for column in (2, 1, 0))
    return Along((2 - best[2], 2 - best[1], 2 - best[0]), (k, j, i))


def nearest(places: np.ndarray, n: int) -> np.ndarray:
    """Indices of the nearest voxels of an axis of ``n``; -1 outside of it."""
    index = np.ceil(places - 0.5 - TIE).astype(int)
    return np.where((index >= 0) & (index < n), index, -1)


def snapped(places: np.ndarray, n: int, painted: Sequence[int], step: float) -> np.ndarray:
    """As :func:`nearest`, but a painted slice that lies within a voxel is taken before an empty one that is nearer.

    Args:
        places: continuous index for each slice of the one grid.
        n: slices of the other.
        painted: those of them that are painted.
        step: from one slice to the next, in slices of the other.
    """
    index = nearest(places, n)
    if not len(painted):
        return index
    known = np.asarray(sorted(painted))
    far = np.abs(places[:, None] - known[None, :])
    closest = far.argmin(axis=1)
    reach = max(0.5, 0.5 * step) + TIE
    return np.where(far[np.arange(len(places)), closest] <= reach, known[closest], index)


def sampled(array: np.ndarray, axes: Sequence[int], indices: Sequence[np.ndarray]) -> np.ndarray:
    """Voxels of an array by indices along its axes; 0 where an index is -1.

    Args:
        array: on the other grid, KJI.
        axes: its axis for each axis of the outcome.
        indices: along that axis, for each axis of the outcome.
    """
    turned = np.transpose(array, axes)
    out = turned[np.ix_(*[np.maximum(index, 0) for index in indices])]
    for axis, index in enumerate(indices):
        where = [slice(None)] * 3
        where[axis] = index < 0  # type: ignore[call-overload]
        out[tuple(where)] = 0
    return out


def voted(labels: np.ndarray, there: Along, axis: int = -1, slices: Sequence[int] = ()) -> np.ndarray:
    """Labels on a coarser or equal grid: what half of each voxel is, or more; 0 for the rest.

    Args:
        labels: on the finer grid, KJI.
        there: how the coarser grid runs along it.
        axis: of the finer grid, across which slices are painted: there is no vote along it, the painted slice counts.
        slices: the painted ones.
    """
    choices = [_voters(labels, there, at, slices if to == axis else None) for at, to in enumerate(there.axes)]
    votes = [sampled(labels, there.axes, indices) for indices in product(*choices)]
    if len(votes) == 1:
        return votes[0]
    known = [int(label) for label in np.unique(labels) if label]
    counts = np.array([sum((vote == label).astype(np.uint16) for vote in votes) for label in known] or [votes[0] * 0])
    best = np.array(known or [0], labels.dtype)[counts.argmax(axis=0)]
    return np.where(2 * counts.sum(axis=0) >= len(votes), best, 0).astype(labels.dtype)


def _voters(labels: np.ndarray, there: Along, at: int, slices: Sequence[int] | None) -> list[np.ndarray]:
    """Along one axis, the fine voxels that vote for each coarse one; across painted slices just the painted one."""
    n, step, places = labels.shape[there.axes[at]], there.step(at), there.places[at]
    if slices is not None:
        return [snapped(places, n, slices, step)]
    parts = max(round(step), 1)
    return [nearest(places + (part - (parts - 1) / 2) * step / parts, n) for part in range(parts)]


def refined(labels: np.ndarray, back: Along) -> np.ndarray:
    """Labels on a finer or equal grid: borders run between the coarse voxels, not along their edges.

    Args:
        labels: on the coarser grid, KJI.
        back: how the finer grid runs along it.
    """
    if all(back.step(axis) > FINER for axis in range(3)):
        shape = [labels.shape[to] for to in back.axes]
        return sampled(labels, back.axes, [nearest(places, n) for places, n in zip(back.places, shape, strict=True)])
    out = np.zeros([len(places) for places in back.places], labels.dtype)
    most, total = np.zeros(out.shape, np.float32), np.zeros(out.shape, np.float32)
    for label in (int(one) for one in np.unique(labels) if one):
        share = _between((labels == label).astype(np.float32), back)
        out[share > most] = label
        np.maximum(most, share, out=most)
        total += share
    out[total < 0.5 - TIE] = 0
    return out


def _between(array: np.ndarray, back: Along) -> np.ndarray:
    """Linear interpolation along each axis; the edges' values within half a voxel of them, 0 beyond."""
    out = np.transpose(array, back.axes)
    for axis, places in enumerate(back.places):
        n = out.shape[axis]
        inside = (places >= -0.5 - TIE) & (places <= n - 0.5 + TIE)
        at = np.clip(places, 0, n - 1)
        low = np.minimum(at.astype(int), max(n - 2, 0))
        high = np.minimum(low + 1, n - 1)
        shape = [-1 if one == axis else 1 for one in range(3)]
        part = (at - low).astype(np.float32).reshape(shape)
        out = out.take(low, axis) * (1 - part) + out.take(high, axis) * part
        out *= inside.reshape(shape)
    return out


def axis_of(grid: Grid, plane: str) -> int:
    """The array axis (KJI) across which slices of a plane lie, the closest one of an oblique grid."""
    return 2 - closest_axes(grid.directions)[0][PLANES.index(plane)]


def plane_of(grid: Grid, axis: int) -> str:
    """The plane of the slices across an array axis."""
    return next(plane for plane in PLANES if axis_of(grid, plane) == axis)


def slices_with(mask: np.ndarray, axis: int) -> list[int]:
    """The slices across an array axis that hold something."""
    others = tuple(other for other in range(3) if other != axis)
    return np.flatnonzero(mask.any(axis=others)).tolist()


def painted_axis(mask: np.ndarray) -> int:
    """The array axis across which something was painted slice by slice: the one with the most gaps (our choice).

    Args:
        mask: what is painted; something is.
    """

    def filled(axis: int) -> tuple[float, int]:
        found = slices_with(mask, axis)
        return len(found) / (found[-1] - found[0] + 1), len(found)

    return min(range(3), key=filled)
