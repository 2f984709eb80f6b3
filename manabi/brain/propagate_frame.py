"""The part of the image in which labels are propagated: a crop at a size that a small network learns in seconds.

Along painted axes the image's own slices are kept; in plane, large structures are worked on with larger pixels, and
what comes of it is brought back by linear interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.brain.between import Between, signed_distance
from manabi.brain.propagate_input import PaintedSlice, Task

MARGIN_MM, MARGIN_PART = 8.0, 0.12
"""Around the painted structure in plane: at least so much, or this part of its extent (our choices)."""
CAP = 1.5
"""The prior closes beyond the outermost slices within so many times the predicted reach (our choice): it is generous,
and the image decides."""
CLIP_PIXELS = 10.0
"""Signed distances are cut at so many working pixels (our choice)."""


@dataclass(frozen=True, eq=False)
class View:
    """The working crop seen along one painted axis; arrays are ``(slices, rows, columns)`` of that view.

    Attributes:
        axis: of the canonical array.
        image: normalised.
        slices: painted slices as indices of the view.
        maps: class of every pixel of the painted slices (0 background, then the labels in order), one-hot, soft where
            pixels are larger than the image's: ``(painted, classes, rows, columns)``.
        between: signed distances of painted slices, in working pixels; with a start, what to add to the start's.
        start: signed distances of the start in working pixels ``(slices, labels, rows, columns)``, or None.
        step: distance of slices in working pixels.
    """

    axis: int
    image: np.ndarray
    slices: tuple[int, ...]
    maps: np.ndarray
    between: Between
    start: np.ndarray | None
    step: float

    def prior(self, index: int, without: Sequence[int] = ()) -> tuple[np.ndarray, float]:
        """Signed distances ``(labels, rows, columns)`` at a slice, and how far the nearest painted one is, in pixels.

        Args:
            index: slice of the view.
            without: positions in :attr:`slices` that must not be used.
        """
        field, distance = self.between.at(index * self.step, without)
        return (field if self.start is None else field + self.start[index]), distance


@dataclass(frozen=True, eq=False)
class Frame:
    """The working crop.

    Attributes:
        box: of the canonical array.
        shape: of the box in working voxels.
        pixel_mm: size of a working pixel.
        views: one per painted axis.
        reach_mm: how far beyond the outermost painted slices labels are predicted.
    """

    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]
    pixel_mm: float
    views: tuple[View, ...]
    reach_mm: float

    def box_shape(self) -> tuple[int, int, int]:
        """Shape of the box in the image's voxels."""
        return tuple(s.stop - s.start for s in self.box)


def frame_of(task: Task, reach_mm: float | None, max_pixels: int) -> Frame:
    """Crop, normalise and resample.

    Args:
        task: the checked inputs.
        reach_mm: beyond the outermost painted slices; None takes :func:`default_reach`.
        max_pixels: in a slice of the crop; larger ones get larger pixels.
    """
    reach = default_reach(task) if reach_mm is None else reach_mm
    axes = sorted({s.axis for s in task.slices})
    box = _box(task, axes, reach)
    sizes = [s.stop - s.start for s in box]
    pixel = _pixel(sizes, task.spacing_mm, axes, max_pixels)
    shape = tuple(n if a in axes else _count(n, task.spacing_mm[a], pixel) for a, n in enumerate(sizes))
    image = _normalised(resized(task.image[box], shape))
    views = tuple(_view(task, box, image, axis, pixel, reach) for axis in axes)
    return Frame(box, shape, pixel, views, reach)  # type: ignore[arg-type]


def default_reach(task: Task) -> float:
    """The median gap between painted slices, in mm; for one slice, the radius of a circle of the structure's area."""
    gaps = []
    for axis in {s.axis for s in task.slices}:
        places = sorted(s.number for s in task.slices if s.axis == axis)
        gaps += [float(g) * task.spacing_mm[axis] for g in np.diff(places)]
    if gaps:
        return float(np.median(gaps))
    one = task.slices[0]
    pixel = np.prod([s for a, s in enumerate(task.spacing_mm) if a != one.axis])
    area = np.isin(task.painted.take(one.number, one.axis), task.labels).sum() * pixel
    return float(np.sqrt(area / np.pi))


def _box(task: Task, axes: Sequence[int], reach: float) -> tuple[slice, slice, slice]:
    """Around everything painted on the painted slices (and the start), with a margin."""
    mask = np.zeros(task.image.shape, bool)
    for one in task.slices:
        plane = tuple(one.number if a == one.axis else slice(None) for a in range(3))
        mask[plane] |= np.isin(task.painted[plane], task.labels)
    if task.start is not None:
        mask |= task.start > 0
    out = []
    for axis, spacing in enumerate(task.spacing_mm):
        found = np.flatnonzero(mask.any(tuple(b for b in range(3) if b != axis))).tolist()
        found += [s.number for s in task.slices if s.axis == axis]
        low, high = min(found), max(found)
        margin = max(MARGIN_MM, MARGIN_PART * (high - low + 1) * spacing)
        if axis in axes:
            margin = reach if len(axes) == 1 else max(reach, margin)
        more = max(int(np.ceil(margin / spacing - 1e-6)), 0)
        out.append(slice(max(low - more, 0), min(high + more + 1, mask.shape[axis])))
    return tuple(out)  # type: ignore[return-value]


def _pixel(sizes: Sequence[int], spacing: Sequence[float], axes: Sequence[int], max_pixels: int) -> float:
    """The smallest pixel at which no view has more pixels in a slice than allowed."""
    pixel = min(s for a, s in enumerate(spacing) if a not in axes) if len(axes) < 3 else min(spacing)

    def most(size: float) -> int:
        n = [sizes[a] if a in axes else _count(sizes[a], spacing[a], size) for a in range(3)]
        return max(int(np.prod([m for b, m in enumerate(n) if b != a])) for a in axes)

    limit = max(spacing) * 16
    while most(pixel) > max_pixels and pixel < limit:
        pixel *= 1.02
    return pixel


def _count(n: int, spacing: float, pixel: float) -> int:
    return max(int(np.ceil(n * spacing / max(pixel, spacing) - 1e-6)), 1)


def resized(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The same box of space in other voxels, linearly; smoothed before it becomes coarser. Last axes of ``array``."""
    from scipy.ndimage import gaussian_filter, zoom

    lead = array.ndim - len(shape)
    old = array.shape[lead:]
    if tuple(old) == tuple(shape):
        return array.astype(np.float32, copy=False)
    ratios = [n / m for n, m in zip(old, shape, strict=True)]
    sigmas = [0.0] * lead + [0.5 * np.sqrt(max(r * r - 1, 0)) for r in ratios]
    smooth = gaussian_filter(array.astype(np.float32), sigmas, mode="nearest")
    return zoom(smooth, [1.0] * lead + [1 / r for r in ratios], order=1, mode="nearest", grid_mode=True)


def _normalised(image: np.ndarray) -> np.ndarray:
    """Median 0 and half the distance of the 5th and 95th percentile 1, cut at ±4; float32."""
    low, middle, high = np.percentile(image, (5, 50, 95))
    scale = max(float(high - low) / 2, 1e-6 * max(abs(float(high)), 1e-6))
    if high == low:
        scale = max(float(np.ptp(image)) / 2, 1e-12)
    return np.clip((image - middle) / scale, -4, 4).astype(np.float32)


def _view(
    task: Task, box: tuple[slice, slice, slice], image: np.ndarray, axis: int, pixel: float, reach: float
) -> View:
    """The crop seen along one axis."""
    places = sorted(s.number - box[axis].start for s in task.slices if s.axis == axis)
    seen = np.ascontiguousarray(np.moveaxis(image, axis, 0))
    plane_mm = [s for a, s in enumerate(task.spacing_mm) if a != axis]
    painted = np.moveaxis(task.painted[box], axis, 0)
    fields = np.stack([_fields(painted[i], task.labels, plane_mm, pixel, seen.shape[1:]) for i in places])
    classes = np.array([0, *task.labels])[:, None, None]
    maps = []
    for i in places:
        known = np.where(np.isin(painted[i], task.labels), painted[i], 0)
        maps.append(resized((known == classes).astype(np.float32), seen.shape[1:]))
    start = None
    if task.start is not None:
        begun = np.moveaxis(task.start[box], axis, 0)
        start = np.stack([_fields(one, task.labels, plane_mm, pixel, seen.shape[1:]) for one in begun])
        start = _bounded(start)
        fields = _bounded(fields) - start[places]
    step = task.spacing_mm[axis] / pixel
    between = Between(np.array(places) * step, fields, CAP * reach / pixel, offset=start is not None)
    return View(axis, seen, tuple(places), np.stack(maps), between, start, step)


def _fields(
    labels: np.ndarray, values: Sequence[int], plane_mm: Sequence[float], pixel: float, shape: Sequence[int]
) -> np.ndarray:
    """Signed distances of one slice's labels in working pixels, ``(labels, *shape)``; -inf where there is none."""
    out = []
    for value in values:
        field = signed_distance(labels == value, plane_mm) / np.float32(pixel)
        out.append(resized(field, shape) if np.isfinite(field.flat[0]) else np.full(shape, -np.inf, np.float32))
    return np.stack(out)


def _bounded(fields: np.ndarray) -> np.ndarray:
    return np.clip(fields, -2 * CLIP_PIXELS, 2 * CLIP_PIXELS)


def painted_planes(slices: Sequence[PaintedSlice], shape: Sequence[int]) -> np.ndarray:
    """The voxels of the painted slices, bool."""
    out = np.zeros(tuple(shape), bool)
    for one in slices:
        out[tuple(one.number if a == one.axis else slice(None) for a in range(3))] = True
    return out
