"""Air-filled lumens around the middle of a chest's slices, and what divides two of them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.slices.stack import AxialStack

FINE_MM = 1.5
"""Finer pixels are thinned out to about this."""
COARSE_MM = 2.5
"""Coarser pixels are divided, interpolating linearly: a bronchus is then more than a few pixels."""
HALF_MM = 62.0
"""Half width of the field around the body's middle."""


class Field:
    """The part of a stack around the body's middle, in pixels of about 1.5 to 2.5 mm.

    Args:
        stack: the CT.
        inner: ``(n, rows, columns)`` air within the body, on every ``strides``-th row and column.
        strides: rows, columns.

    Attributes:
        pixel: width and height of a pixel, mm.
        middle_mm: x of the body's middle within the field.
    """

    def __init__(self, stack: AxialStack, inner: np.ndarray, strides: tuple[int, int]) -> None:
        self.stack = stack
        self.step = [max(int(FINE_MM / size), 1) for size in stack.pixel_mm]
        self.parts_per_pixel = [max(int(np.ceil(size / COARSE_MM)), 1) for size in stack.pixel_mm]
        self.pixel = [s * n / m for s, n, m in zip(stack.pixel_mm, self.step, self.parts_per_pixel, strict=True)]
        rows, columns = np.nonzero(inner.any(axis=0))
        across = float(np.mean(np.percentile(columns, (1, 99)))) * strides[1]
        along = float(np.median(rows)) * strides[0]
        half = [HALF_MM / size for size in stack.pixel_mm]
        self.i0, self.j0 = max(int(across - half[0]), 0), max(int(along - half[1]), 0)
        self.i1, self.j1 = int(across + half[0]), int(along + half[1])
        self.area = self.pixel[0] * self.pixel[1]
        self.middle_mm = (across - self.i0) * stack.pixel_mm[0]
        self._images: dict[int, np.ndarray] = {}
        self._parts: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}

    def image(self, k: int) -> np.ndarray:
        """The field in slice ``k``, HU."""
        if k not in self._images:
            plane = self.stack.plane(k)[self.j0 : self.j1 : self.step[1], self.i0 : self.i1 : self.step[0]]
            fine = self.parts_per_pixel[::-1]
            if max(fine) > 1:
                plane = ndimage.zoom(np.asarray(plane, np.float32), fine, order=1, mode="nearest", grid_mode=True)
            self._images[k] = plane
        return self._images[k]

    def parts(self, k: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the air in a slice, and the area of each in mm² (of label 0: no air)."""
        if (k, threshold) not in self._parts:
            labels, _ = ndimage.label(self.image(k) < threshold)
            self._parts[k, threshold] = labels, np.bincount(labels.ravel()) * self.area
        return self._parts[k, threshold]

    def centre(self, mask: np.ndarray) -> np.ndarray:
        """Middle of a mask in mm (x, y) within the field."""
        rows, columns = np.nonzero(mask)
        return np.array([columns.mean() * self.pixel[0], rows.mean() * self.pixel[1]])

    def extent_mm(self, mask: np.ndarray) -> float:
        """The longer side of the box around a mask."""
        rows, columns = np.nonzero(mask)
        return float(max((np.ptp(columns) + 1) * self.pixel[0], (np.ptp(rows) + 1) * self.pixel[1]))

    def put(self, plane: np.ndarray, part: np.ndarray) -> None:
        """Mark a mask of the field in a slice of the stack."""
        fine_i, fine_j = self.parts_per_pixel
        rows, columns = part.shape[0] // fine_j, part.shape[1] // fine_i
        whole = part.reshape(rows, fine_j, columns, fine_i).mean(axis=(1, 3)) >= 0.5
        grown = whole.repeat(self.step[1], axis=0).repeat(self.step[0], axis=1)
        room = plane[self.j0 : self.j1, self.i0 : self.i1]
        room |= grown[: room.shape[0], : room.shape[1]]

    def septum_hu(self, k: int, pair: tuple[np.ndarray, np.ndarray]) -> float:
        """How dense the wall between two lumens is: the least of the maxima along parallel lines from one to the other.

        Air that passes around through a lung does not count, since the lines are straight.
        """
        ends = []
        for mask in pair:
            rows, columns = np.nonzero(mask)
            ends.append((rows.mean(), columns.mean(), np.ptp(rows) / 2))
        (row_a, column_a, high_a), (row_b, column_b, high_b) = ends
        share = np.linspace(-0.8, 0.8, 9)[:, None]
        along = np.linspace(0.0, 1.0, 2 * int(np.hypot(row_a - row_b, column_a - column_b)) + 3)[None]
        rows = (row_a + share * high_a) * (1 - along) + (row_b + share * high_b) * along
        columns = np.broadcast_to(column_a * (1 - along) + column_b * along, rows.shape)
        values = ndimage.map_coordinates(self.image(k).astype(np.float32), [rows, columns], order=1, mode="nearest")
        return float(values.max(axis=1).min())
