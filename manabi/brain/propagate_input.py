"""What the propagation of painted slices is given: checks, the array's canonical order, and which slices are painted.

Everything is worked out on arrays whose axes run towards right, anterior and superior, so that a flipped or permuted
copy of the image gives the same result; slices are named by the axes and indices of the user's own array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid, closest_axes
from manabi.volume import Volume

FEW = 0.8
"""Painted slices along one axis leave gaps: they fill no more than this part of the extent (our choice)."""
TWO_AXES = 0.6
"""Slices along two axes are assumed where they are fewer than this part of those along the best one (our choice)."""


class PaintedSlice(NamedTuple):
    """A painted slice: the array axis (0 slices, 1 rows, 2 columns) and the number along it, from 0."""

    axis: int
    number: int


@dataclass(frozen=True, eq=False)
class Task:
    """The checked inputs in canonical order.

    Attributes:
        image: float32, finite.
        painted: the user's label map, all labels.
        labels: the values that are propagated.
        slices: the painted slices, canonical axes and indices.
        blocked: where no label may be written (protected voxels, and labels that are not propagated), bool.
        start: label map of an automatic result, or None.
        spacing_mm: in the order of the array's axes.
        grid: the user's grid.
        warnings: what had to be assumed or changed.
    """

    image: np.ndarray
    painted: np.ndarray
    labels: tuple[int, ...]
    slices: tuple[PaintedSlice, ...]
    blocked: np.ndarray
    start: np.ndarray | None
    spacing_mm: tuple[float, float, float]
    grid: Grid
    warnings: tuple[str, ...]


def prepare(
    image: Volume, painted: Volume, labels: Sequence[int] | None = None, slices: Sequence[PaintedSlice] | None = None,
    axis: int | None = None, protected: Volume | None = None, start: Volume | None = None,
) -> Task:  # fmt: skip
    """Check the inputs and bring them into canonical order.

    Raises:
        GeometryError: for a label map, mask or start on another grid than the image's.
        InvalidInputError: when nothing is painted, slices or labels do not exist, or the image is empty.
    """
    for name, volume in (("painted labels", painted), ("protected mask", protected), ("start", start)):
        _check_grid(name, volume, image)
    values = _labels(painted, labels)
    straight = painted.reoriented()
    chosen = np.isin(straight.array, values)
    spacing = tuple(float(s) for s in straight.spacing_mm[::-1])
    found = _slices(chosen, slices, axis, painted.grid, spacing)
    blocked = (straight.array != 0) & ~chosen
    if protected is not None:
        blocked |= protected.reoriented().array != 0
    _check_background(chosen, found, values)
    array, warnings = _finite(image.reoriented().array)
    return Task(
        array, straight.array, values, found, blocked, _start(start, values), spacing,  # type: ignore[arg-type]
        image.grid, warnings,
    )  # fmt: skip


def _check_grid(name: str, volume: Volume | None, image: Volume) -> None:
    if volume is not None and not volume.grid.same_as(image.grid):
        raise GeometryError(
            f"The {name} must lie on the image's grid of {image.shape} slices, rows and columns; got another grid, of "
            f"{volume.shape}. Resample it to the image first."
        )


def _labels(painted: Volume, labels: Sequence[int] | None) -> tuple[int, ...]:
    """The label values to propagate, sorted."""
    if painted.array.dtype.kind not in "biu":
        raise InvalidInputError(f"Painted labels are whole numbers; got {painted.array.dtype}. Convert the label map.")
    present = [int(v) for v in np.unique(painted.array) if v]
    if not present:
        raise InvalidInputError("Expected at least one painted slice; the label map is empty. Paint a few slices.")
    wanted = sorted({int(v) for v in labels}) if labels is not None else present
    missing = [v for v in wanted if v not in present]
    if missing or not wanted:
        raise InvalidInputError(f"Labels {missing or 'none'} were asked for; painted are {present}. Paint them first.")
    return tuple(wanted)


def _finite(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image as finite float32."""
    image = array.astype(np.float32)
    good = np.isfinite(image)
    if not good.any() or float(image[good].max()) == float(image[good].min()):
        raise InvalidInputError("The image is empty: all its values are the same. Choose the image that was painted.")
    if good.all():
        return image, ()
    text = f"{int((~good).sum())} voxels of the image were not finite; they count as its lowest value."
    return np.where(good, image, image[good].min()).astype(np.float32), (text,)


def _check_background(chosen: np.ndarray, slices: Sequence[PaintedSlice], labels: Sequence[int]) -> None:
    if len(labels) == 1 and all(chosen.take(s.number, s.axis).all() for s in slices):
        raise InvalidInputError(
            "Every painted slice is filled to the image's edge: there is no background to tell the structure from. "
            "Paint only the structure."
        )


def _start(start: Volume | None, labels: tuple[int, ...]) -> np.ndarray | None:
    """The automatic result as a label map in canonical order; probabilities count for the one label."""
    if start is None:
        return None
    array = start.reoriented().array
    if array.dtype.kind in "biu" and (len(labels) > 1 or np.isin(array, labels).any()):
        return np.where(np.isin(array, labels), array, 0).astype(np.int32)
    if len(labels) == 1:
        return np.where(array >= 0.5, labels[0], 0).astype(np.int32)
    raise InvalidInputError(
        f"A start for {len(labels)} labels is a label map; got values of {array.dtype}. Give the labels, not "
        "probabilities."
    )


# --- which slices are painted -------------------------------------------------------------------------------------


def _slices(
    chosen: np.ndarray, slices: Sequence[PaintedSlice] | None, axis: int | None, grid: Grid, spacing: tuple[float, ...]
) -> tuple[PaintedSlice, ...]:
    """The painted slices in canonical axes: those that the user names, or those found."""
    if slices is not None:
        named = sorted({_canonical(PaintedSlice(*s), grid) for s in slices})
        missed = chosen.copy()
        for one in named:
            missed[_plane(one)] = False
        if not named or missed.all() or not any(chosen[_plane(one)].any() for one in named):
            raise InvalidInputError("None of the slices that were named holds a painted label. Check their numbers.")
        return tuple(named)
    only = _canonical(PaintedSlice(axis, 0), grid).axis if axis is not None else None
    return tuple(sorted(find_painted(chosen, spacing, only)))


def find_painted(chosen: np.ndarray, spacing_mm: Sequence[float], axis: int | None = None) -> list[PaintedSlice]:
    """The slices on which a mask was painted.

    One axis is taken where its slices leave gaps; else two axes where few slices along both explain every voxel; else
    the axis with the fewest slices (of equals, the one with the widest spacing). All rules are our choice.

    Args:
        chosen: bool, three axes; at least one voxel is set.
        spacing_mm: in the order of the axes.
        axis: take the slices along this axis.
    """
    along = [np.flatnonzero(chosen.any(tuple(b for b in range(3) if b != a))) for a in range(3)]
    if axis is not None:
        return [PaintedSlice(axis, int(i)) for i in along[axis]]
    order = sorted(range(3), key=lambda a: (len(along[a]), -spacing_mm[a], a))
    gaps = [len(found) / (found[-1] - found[0] + 1) for found in along]
    best = min(order, key=lambda a: (gaps[a], order.index(a)))
    if gaps[best] > FEW:
        best = order[0]
        crossed = _crossed(chosen, len(along[best]))
        if crossed:
            return crossed
    return [PaintedSlice(best, int(i)) for i in along[best]]


def _crossed(chosen: np.ndarray, fewest: int) -> list[PaintedSlice]:
    """Slices along two axes that together hold every voxel, by taking the fullest one again and again; or nothing."""
    left = chosen.copy()
    found: list[PaintedSlice] = []
    counts = [np.count_nonzero(left, axis=tuple(b for b in range(3) if b != a)) for a in range(3)]
    while left.any() and len(found) < TWO_AXES * fewest:
        axis = max(range(3), key=lambda a: (counts[a].max(), -a))
        one = PaintedSlice(axis, int(counts[axis].argmax()))
        found.append(one)
        left[_plane(one)] = False
        counts = [np.count_nonzero(left, axis=tuple(b for b in range(3) if b != a)) for a in range(3)]
    return [] if left.any() else found


def _plane(one: PaintedSlice) -> tuple[slice | int, ...]:
    return tuple(one.number if a == one.axis else slice(None) for a in range(3))


def _canonical(one: PaintedSlice, grid: Grid) -> PaintedSlice:
    """A slice of the user's array as a slice of the canonical one."""
    if one.axis not in (0, 1, 2) or not 0 <= one.number < grid.shape[one.axis]:
        raise InvalidInputError(
            f"A painted slice has an axis 0 to 2 and an index within the image of {grid.shape}; got {tuple(one)}."
        )
    found, signs = closest_axes(grid.directions)
    new = found.index(2 - one.axis)
    return PaintedSlice(2 - new, one.number if signs[new] > 0 else grid.shape[one.axis] - 1 - one.number)


def as_given(one: PaintedSlice, grid: Grid) -> PaintedSlice:
    """A canonical slice as a slice of the user's array."""
    found, signs = closest_axes(grid.directions)
    new = 2 - one.axis
    axis = 2 - found[new]
    return PaintedSlice(axis, one.number if signs[new] > 0 else grid.shape[axis] - 1 - one.number)
