"""Bricks of the tumour phantom: a grid in mm, random fields, tubes, and the lobulated tumour of an exact volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.phantoms.tumour_parameters import Lesion

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Space:
    """Voxel centres in mm from the middle, one axis each: z to the head, y to the back, x to the left."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (slice, row, column)."""
        return tuple(float(axis[1] - axis[0]) for axis in (self.z, self.y, self.x))  # type: ignore[return-value]

    def box(self, low: np.ndarray, high: np.ndarray) -> Box:
        """Voxels between two corners (z, y, x in mm)."""
        pairs = zip((self.z, self.y, self.x), low, high, strict=True)
        return tuple(slice(int(np.searchsorted(a, lo)), int(np.searchsorted(a, hi, "right"))) for a, lo, hi in pairs)  # type: ignore[return-value]

    def part(self, box: Box) -> Space:
        """The space of a box."""
        return Space(self.z[box[0]], self.y[box[1]], self.x[box[2]])

    def offsets(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates from a point (z, y, x), shaped to broadcast."""
        return (
            (self.z - point[0])[:, None, None].astype(np.float32),
            (self.y - point[1])[None, :, None].astype(np.float32),
            (self.x - point[2])[None, None, :].astype(np.float32),
        )


def axis_mm(count: int, step: float) -> np.ndarray:
    """Centres of ``count`` voxels, symmetric about 0."""
    return (np.arange(count) - (count - 1) / 2) * step


def random_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], length_mm: float
) -> np.ndarray:
    """A Gaussian random field of mean 0 and standard deviation 1 with the autocorrelation ``exp(-(r / length)²)``.

    White noise blurred by a Gaussian of standard deviation ``length / 2`` has this autocorrelation.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, [length_mm / 2.0 / step for step in spacing_mm], mode="wrap", truncate=3.0)
    return (field - field.mean()) / max(float(field.std()), 1e-9)


def coarse_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], length_mm: float
) -> np.ndarray:
    """:func:`random_field` for lengths far above the voxel, drawn on a coarser grid and interpolated."""
    steps = [max(int(length_mm / 3.0 / step), 1) for step in spacing_mm]
    small = tuple(-(-n // step) + 1 for n, step in zip(shape, steps, strict=True))
    field = random_field(rng, small, tuple(s * k for s, k in zip(spacing_mm, steps, strict=True)), length_mm)  # type: ignore[arg-type]
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        at = np.arange(n, dtype=np.float32) / step
        first = at.astype(int)
        share = (at - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        last = np.minimum(first + 1, field.shape[axis] - 1)
        field = field.take(first, axis) * (1 - share) + field.take(last, axis) * share
    return field


def paint_tube(
    out: np.ndarray, space: Space, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], blur_mm: float
) -> None:
    """Raise ``out`` to the share of each voxel that a tapered tube fills; ends are points (z, y, x) in mm."""
    reach = max(radii) + blur_mm
    box = space.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
    part = space.part(box)
    if 0 in part.shape:
        return
    z, y, x = part.offsets(start)
    line = (end - start).astype(np.float32)
    along = np.clip((z * line[0] + y * line[1] + x * line[2]) / max(float(line @ line), 1e-6), 0.0, 1.0)
    distance = np.sqrt((z - along * line[0]) ** 2 + (y - along * line[1]) ** 2 + (x - along * line[2]) ** 2)
    radius = radii[0] + (radii[1] - radii[0]) * along
    # A vessel thinner than a voxel fills less of it: the share falls with the cross-section.
    thin = np.minimum(1.0, (2.0 * radius / blur_mm) ** 2)
    share = np.clip(0.5 + (radius - distance) / blur_mm, 0.0, 1.0) * thin
    np.maximum(out[box], share, out=out[box])


@dataclass(frozen=True)
class Blob:
    """A tumour on a grid.

    Attributes:
        box: where it lies in the grid.
        depth_mm: about how deep each voxel of the box lies under the surface; below 0 outside.
        share: how much of each voxel it fills.
        texture: its random field in the box, mean 0 and standard deviation 1 within it.
    """

    box: Box
    depth_mm: np.ndarray
    share: np.ndarray
    texture: np.ndarray


def grow_blob(lesion: Lesion, space: Space, allowed_mm: np.ndarray | None = None, volume_ml: float = 0.0) -> Blob:
    """The tumour: an ellipsoid with lobes and a rough edge, cut at the level that gives the volume exactly.

    Args:
        lesion: its parameters; the same seed gives the same lobes at every volume.
        space: the grid, with the tumour in its middle.
        allowed_mm: depth of every voxel within what the tumour may fill (not the chest wall); None for everywhere.
        volume_ml: another volume than the lesion's, for a tumour that shrinks; 0 for the lesion's own.
    """
    rng = np.random.default_rng([lesion.seed, 0])
    radius = float(np.cbrt(3e3 * lesion.volume_ml / (4 * math.pi)))
    reach = np.full(3, 1.9 * radius + 4.0)
    box = space.box(-reach, reach)
    part = space.part(box)
    level = _potential(lesion, part, radius, rng)
    if allowed_mm is not None:
        level = np.where(allowed_mm[box] > 0, level, -np.float32(1e3))
    cut = _cut(level, (volume_ml or lesion.volume_ml) * 1e3 / math.prod(part.spacing_mm))
    slope = np.sqrt(sum(g**2 for g in np.gradient(np.maximum(level, cut - 3.0), *part.spacing_mm)))
    depth = np.clip((level - cut) / np.maximum(slope, 0.02), -50.0, 50.0)
    share = np.clip(0.5 + depth / float(np.cbrt(math.prod(part.spacing_mm))), 0.0, 1.0)
    share = _largest(share)
    texture = random_field(np.random.default_rng([lesion.seed, 1]), part.shape, part.spacing_mm, lesion.length_mm)
    inside = texture[share > 0.5]
    if inside.size:
        texture = (texture - inside.mean()) / max(float(inside.std()), 1e-6)
    return Blob(box, depth, share, texture)


def _potential(lesion: Lesion, part: Space, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Logarithm of a sum of Gaussian balls, roughened; falls outward like ``-r² / 2`` in units of the balls' width."""
    directions = rng.standard_normal((lesion.lobes, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    away = radius * (0.45 + 0.45 * lesion.lobulation) * rng.uniform(0.75, 1.15, lesion.lobes)
    width = radius * (0.62 - 0.32 * lesion.lobulation)
    total = np.zeros(part.shape, np.float32)
    centres = np.vstack([np.zeros(3), directions * away[:, None]])
    widths = np.concatenate([[0.55 * radius], width * rng.uniform(0.75, 1.15, lesion.lobes)])
    for centre, spread in zip(centres, widths, strict=True):
        z, y, x = part.offsets(centre)
        balls = [np.exp(-0.5 * (c / (spread * a)) ** 2) for c, a in zip((z, y, x), lesion.elongation, strict=True)]
        total += balls[0] * balls[1] * balls[2]
    rough = coarse_field(rng, part.shape, part.spacing_mm, max(0.25 * radius, 2.0))
    return np.log(total + np.float32(1e-12)) + np.float32(0.06 + 0.14 * lesion.lobulation) * rough


def _cut(level: np.ndarray, voxels: float) -> float:
    """The level above which so many voxels lie."""
    count = int(np.clip(round(voxels), 1, level.size - 1))
    return float(np.partition(level.ravel(), level.size - count)[level.size - count])


def _largest(share: np.ndarray) -> np.ndarray:
    """Only the largest piece."""
    labels, count = ndimage.label(share > 0.0)
    if count < 2:
        return share
    largest = int(np.bincount(labels.ravel(), share.ravel())[1:].argmax()) + 1
    return np.where(labels == largest, share, np.float32(0.0))
