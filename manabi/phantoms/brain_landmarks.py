"""Where a brain lies in a label map: axes, size, the front of the pons, and the distance from its surface.

Vessels are grown in the *pons frame*: origin at the most anterior point of the brainstem in the midline, axes right,
anterior and superior of the head itself, lengths relative to a brain of :data:`REFERENCE_MM`. The angles and sizes were
measured in 14 heads with whole-head labels (our measurement; heads of adults, 1 mm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from manabi.brain.structures import CLASSES
from manabi.errors import InvalidInputError
from manabi.geometry import Grid

FRONT_DEG, UP_DEG = 9.0, 30.0
"""Pitch of the line from cerebellum to brainstem over the horizontal, and of the line from both to the cerebrum before
the vertical, in a head that looks straight ahead."""
REFERENCE_MM = (138.0, 172.0, 93.0)
"""Width and length of the cerebrum and its height above the front of the pons, in the average head."""
MAP_MM = 2.0
"""Spacing of the distance map, about (our choice: fine enough to follow the brain's surface)."""
MIDLINE_MM = 2.5
NEEDED = ("cerebrum", "cerebellum", "brainstem")


@dataclass(frozen=True)
class Landmarks:
    """A brain's place.

    Attributes:
        pons_mm: front of the pons in the midline, RAS mm.
        axes: 3×3, rows are the head's right, anterior and superior as unit vectors in RAS.
        scale: ``(3,)``, the brain's size over :data:`REFERENCE_MM` along those axes.
        grid: of the maps below; coarser than the label map.
        outside_mm: distance from the brain's surface, negative inside it.
        uphill: ``(..., 3)``, unit vectors (RAS) along which that distance grows fastest.
        classes: the label map on that grid, :data:`manabi.brain.structures.CLASSES`.
    """

    pons_mm: np.ndarray
    axes: np.ndarray
    scale: np.ndarray
    grid: Grid
    outside_mm: np.ndarray
    uphill: np.ndarray
    classes: np.ndarray

    def to_ras(self, places: np.ndarray) -> np.ndarray:
        """RAS mm of places in the pons frame, ``(..., 3)``."""
        return self.pons_mm + (np.asarray(places, float) * self.scale) @ self.axes

    def to_frame(self, ras: np.ndarray) -> np.ndarray:
        """Places in the pons frame of RAS points in mm, ``(..., 3)``."""
        return ((np.asarray(ras, float) - self.pons_mm) @ self.axes.T) / self.scale

    def distance(self, ras: np.ndarray) -> np.ndarray:
        """Distance from the brain's surface in mm at RAS points ``(n, 3)``; beyond the map, from its edge on."""
        return self.surface(ras)[0]

    def surface(self, ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance from the brain's surface in mm and unit vectors that lead away from it, at RAS points ``(n, 3)``.

        Both are the nearest voxel's; the distance is carried on along its slope.
        """
        at = ras @ self._inverse[:3, :3].T + self._inverse[:3, 3]
        i, j, k = np.minimum(np.maximum(np.rint(at).astype(int), 0), np.array(self.grid.shape[::-1]) - 1).T
        away = self.uphill[k, j, i]
        rest = (at - np.stack([i, j, k], axis=-1)) @ self.grid.ijk_to_ras[:3, :3].T
        return self.outside_mm[k, j, i] + (rest * away).sum(axis=-1), away

    @cached_property
    def _inverse(self) -> np.ndarray:
        # Kept, as growing vessels asks thousands of times.
        return np.linalg.inv(self.grid.ijk_to_ras)


def landmarks_of(classes: np.ndarray, grid: Grid) -> Landmarks:
    """Landmarks of a label map.

    Args:
        classes: ``(slices, rows, columns)`` of :data:`manabi.brain.structures.CLASSES`; vessels count as outside.
        grid: where it lies.

    Raises:
        InvalidInputError: where cerebrum, cerebellum or brainstem is missing.
    """
    coarse, small = _coarse(classes, grid)
    points = {name: _places(coarse == CLASSES[name], small) for name in NEEDED}
    for name, found in points.items():
        if len(found) < 10:
            raise InvalidInputError(f"The label map has no {name}. Vessels need a map with {', '.join(NEEDED)}.")
    axes = _axes(*(found.mean(axis=0) for found in points.values()))
    pons = _pons(points["brainstem"], axes)
    brain = (points["cerebrum"] - pons) @ axes.T
    low, high = np.percentile(brain, 0.2, axis=0), np.percentile(brain, 99.8, axis=0)
    size = np.array([high[0] - low[0], high[1] - low[1], high[2]])
    scale = np.clip(size / REFERENCE_MM, 0.5, 1.6)
    inside = (coarse > 0) & (coarse != CLASSES["vessels"])
    distance = _signed_distance(inside, small)
    return Landmarks(pons, axes, scale, small, distance, _uphill(distance, small), coarse)


def _coarse(classes: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """The map at about :data:`MAP_MM`, by leaving voxels out."""
    steps = np.maximum(np.round(MAP_MM / grid.spacing_mm), 1).astype(int)
    picked = np.ascontiguousarray(classes[:: steps[2], :: steps[1], :: steps[0]])
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :3] = matrix[:3, :3] * steps
    return picked, Grid(picked.shape, matrix)


def _places(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return grid.ras_of(np.argwhere(mask)[:, ::-1])


def _axes(cerebrum: np.ndarray, cerebellum: np.ndarray, brainstem: np.ndarray) -> np.ndarray:
    """Right, anterior, superior from the three centres, which lie in the midsagittal plane."""
    front, up = brainstem - cerebellum, cerebrum - 0.5 * (cerebellum + brainstem)
    right = np.cross(front, up)
    right /= np.linalg.norm(right)
    pitches = []
    for line, usual in ((front, FRONT_DEG), (up, 90.0 - UP_DEG)):
        reference = np.array([0.0, 1.0, 0.0]) - right * right[1]
        reference /= np.linalg.norm(reference)
        angle = math.atan2(line @ np.cross(right, reference), line @ reference)
        pitches.append(angle - math.radians(usual))
    pitch = 0.5 * (pitches[0] + pitches[1])
    anterior = math.cos(pitch) * reference + math.sin(pitch) * np.cross(right, reference)
    return np.stack([right, anterior, np.cross(right, anterior)])


def _pons(brainstem: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The most anterior point of the brainstem near the midline, RAS mm."""
    middle = brainstem.mean(axis=0)
    places = (brainstem - middle) @ axes.T
    near = places[np.abs(places[:, 0]) < MIDLINE_MM]
    near = near if len(near) else places
    edge = np.quantile(near[:, 1], 0.97)
    height = near[near[:, 1] >= edge, 2].mean()
    # Centres of voxels lie inside the surface, by half a voxel of the coarse map on average.
    return middle + np.array([0.0, near[:, 1].max() + 0.25 * MAP_MM, height]) @ axes


def _signed_distance(inside: np.ndarray, grid: Grid) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    spacing = grid.spacing_mm[::-1]
    half = 0.5 * float(spacing.min())
    outer = distance_transform_edt(~inside, sampling=spacing)
    inner = distance_transform_edt(inside, sampling=spacing)
    return (np.where(inside, half - inner, outer - half)).astype(np.float32)


def _uphill(distance: np.ndarray, grid: Grid) -> np.ndarray:
    """Unit vectors of the steepest rise in RAS, ``(..., 3)`` float32."""
    from scipy.ndimage import gaussian_filter

    # Voxel steps make the raw slope point along the axes; a little blur gives it the surface's direction.
    smooth = gaussian_filter(distance, 0.7)
    slopes = np.stack([np.gradient(smooth, axis=axis) if smooth.shape[axis] > 1 else np.zeros_like(smooth)
                       for axis in (2, 1, 0)], axis=-1)  # fmt: skip
    ras = slopes @ np.linalg.inv(grid.ijk_to_ras[:3, :3]).astype(np.float32)
    return ras / np.maximum(np.linalg.norm(ras, axis=-1, keepdims=True), 1e-6)
