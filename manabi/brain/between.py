"""Shape between painted slices: signed distances per slice, interpolated along the stack; no image is used.

Shape-based interpolation (Raya SP, Udupa JK. IEEE Trans Med Imaging 1990;9:32, 10.1109/42.52980): every painted slice
becomes a signed distance map, the maps are interpolated linearly, and the shape is where the result is positive. The
propagation of labels uses it as its prior, and is held against it as a baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

VANISH = 1.5
"""A structure that a painted slice does not hold has shrunk to nothing at 1 / VANISH of the way (our choice)."""
FAR_MM = 50.0
"""Signed distance of a label that no painted slice in reach holds (our choice)."""


def signed_distance(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance to the edge of a mask in mm, positive inside; the edge runs between the pixels.

    Args:
        mask: bool, any number of axes.
        spacing_mm: in the order of the axes.

    Returns:
        float32 of the mask's shape; -inf everywhere for an empty mask, and what the image's border allows for a full
        one.
    """
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return np.full(mask.shape, -np.inf, np.float32)
    half = 0.5 * min(spacing_mm)
    if mask.all():
        padded = np.pad(mask, 1)
        inside = distance_transform_edt(padded, sampling=spacing_mm)[(slice(1, -1),) * mask.ndim]
        return (inside - half).astype(np.float32)
    inside = distance_transform_edt(mask, sampling=spacing_mm)
    outside = distance_transform_edt(~mask, sampling=spacing_mm)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Between:
    """Signed distances of painted slices, and the shape anywhere between and beyond them.

    Attributes:
        positions_mm: places of the painted slices along the stack, increasing, ``(m,)``.
        fields: signed distance per painted slice and label, mm, ``(m, labels, rows, columns)``; -inf throughout
            where the slice does not hold the label.
        reach_mm: beyond the outermost painted slice the shape closes within this distance, as the cap of an ellipsoid
            (our choice).
        offset: what the fields are relative to is not a shape: beyond the ends they fade to 0 instead of closing.
    """

    positions_mm: np.ndarray
    fields: np.ndarray
    reach_mm: float
    offset: bool = False

    def at(self, position_mm: float, without: Collection[int] = ()) -> tuple[np.ndarray, float]:
        """Signed distances ``(labels, rows, columns)`` at a place, and how far the nearest painted slice lies, in mm.

        Args:
            position_mm: along the stack.
            without: indices of painted slices that must not be used: a slice that is itself to be predicted. Where
                none is left, the distances are 0: nothing is known.
        """
        left, right = self.neighbours(position_mm, without)
        if left is None and right is None:
            return np.zeros(self.fields.shape[1:], np.float32), float(max(self.reach_mm, 1.0))
        if left is None or right is None:
            end = right if left is None else left
            distance = abs(position_mm - self.positions_mm[end])
            return self.beyond(int(end), float(distance)), float(distance)  # type: ignore[arg-type]
        a, b = self.positions_mm[left], self.positions_mm[right]
        weight = 0.0 if a == b else (position_mm - a) / (b - a)
        return self.blend(left, right, float(weight)), float(min(position_mm - a, b - position_mm))

    def neighbours(self, position_mm: float, without: Collection[int] = ()) -> tuple[int | None, int | None]:
        """The nearest allowed painted slices at or below, and at or above, a place."""
        allowed = [i for i in range(len(self.positions_mm)) if i not in without]
        below = [i for i in allowed if self.positions_mm[i] <= position_mm + 1e-6]
        above = [i for i in allowed if self.positions_mm[i] >= position_mm - 1e-6]
        return (below[-1] if below else None), (above[0] if above else None)

    def blend(self, left: int, right: int, weight: float) -> np.ndarray:
        """Linear interpolation of two painted slices, ``weight`` of the right one."""
        out = np.empty(self.fields.shape[1:], np.float32)
        for k in range(len(out)):
            a, b = _both(self.fields[left, k], self.fields[right, k])
            out[k] = (1 - weight) * a + weight * b
        return out

    def beyond(self, end: int, distance_mm: float) -> np.ndarray:
        """The shape ``distance_mm`` outside an outermost painted slice."""
        field = self.fields[end]
        part = distance_mm / max(self.reach_mm, 1e-3)
        if self.offset:
            return field * np.float32(np.exp(-0.5 * part**2))
        out = np.empty_like(field)
        for k, one in enumerate(field):
            top = float(one.max())
            if not np.isfinite(top):
                out[k] = -FAR_MM
                continue
            lost = top * (1 - np.sqrt(1 - part**2)) if part < 1 else top + distance_mm - self.reach_mm
            out[k] = one - lost
        return out


def _both(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two signed distance maps, with something finite in place of one whose slice does not hold the label."""
    has_a, has_b = np.isfinite(a.flat[0]), np.isfinite(b.flat[0])
    if has_a and has_b:
        return a, b
    if not has_a and not has_b:
        return np.full_like(a, -FAR_MM), np.full_like(b, -FAR_MM)
    if has_a:
        return a, a - VANISH * max(float(a.max()), 0.0)
    return b - VANISH * max(float(b.max()), 0.0), b


def between_of(
    maps: Sequence[np.ndarray],
    positions_mm: Sequence[float],
    labels: Sequence[int],
    pixel_mm: Sequence[float],
    reach_mm: float,
) -> Between:
    """The signed distances of painted slices.

    Args:
        maps: label maps of the painted slices, ``(rows, columns)`` each.
        positions_mm: their places along the stack, increasing.
        labels: label values, in the order of the fields.
        pixel_mm: size of a pixel along rows and columns.
        reach_mm: see :class:`Between`.
    """
    fields = np.stack([[signed_distance(one == label, pixel_mm) for label in labels] for one in maps])
    return Between(np.asarray(positions_mm, float), fields.astype(np.float32), reach_mm)


def labels_of(fields: np.ndarray, labels: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """The label of the largest signed distance where that is positive, else 0; ``fields`` is ``(labels, ...)``."""
    best = fields.argmax(0)
    return np.where(fields.max(0) > 0, np.asarray(labels)[best], 0).astype(dtype)


def interpolate_shape(
    painted: np.ndarray, slices: Sequence[int], spacing_mm: Sequence[float], axis: int = 0, reach_mm: float = 0.0
) -> np.ndarray:
    """The baseline: every slice of a label map from its painted ones, by shape alone.

    Args:
        painted: integer label map with three axes.
        slices: indices of the painted slices along ``axis``; a slice may be empty on purpose.
        spacing_mm: in the order of the array's axes.
        axis: the array axis along which slices are painted.
        reach_mm: beyond the outermost painted slices the shape closes within this distance.

    Raises:
        InvalidInputError: when no slice is painted.
    """
    if not len(slices) or not painted.any():
        raise InvalidInputError("Shape interpolation needs at least one painted slice; got none. Paint a slice first.")
    stack = np.moveaxis(painted, axis, 0)
    order = sorted(int(s) for s in slices)
    labels = [int(v) for v in np.unique(stack[order]) if v]
    step = float(spacing_mm[axis])
    pixel = [s for a, s in enumerate(spacing_mm) if a != axis]
    shape = between_of([stack[s] for s in order], [s * step for s in order], labels, pixel, max(reach_mm, 1e-3))
    out = np.zeros_like(stack)
    for index in range(len(stack)):
        if index in order:
            out[index] = stack[index]
        elif order[0] * step - reach_mm <= index * step <= order[-1] * step + reach_mm:
            out[index] = labels_of(shape.at(index * step)[0], labels, stack.dtype)
    return np.moveaxis(out, 0, axis)
