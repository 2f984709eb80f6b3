"""From a radiograph of any matrix, spacing, grey scale and order of axes to the film that a network works on, and back.

A film is float32 ``(rows, columns)`` in [0, 1], denser brighter, upright, the patient's right on the left. Nothing here
depends on the scale or offset of the stored values. All numbers are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import closest_axes
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = (0.5, 99.5)
"""Percentiles of the exposed pixels that become 0 and 1."""
WINDOW_PIXELS = 256
"""Of the longer side of the copy whose percentiles are taken."""
BORDER = 0.01
"""Rows and columns whose values span less than this share of the window are collimated or padded, not exposed."""
LEAST_SIDE = 64
"""Rows and columns that a film must have."""
FACING = {1: (0, 2), 2: (0, 1)}
"""In-plane RAS axes of an image, by the axis across it: a coronal plane, or the plane pictures are read in."""


@dataclass(frozen=True)
class Film:
    """A radiograph, upright and windowed.

    Attributes:
        source: the input, on its own grid.
        straight: the same pixels as ``(1, rows, columns)``, the patient's right on the left and the head up.
        pixels: float32 ``(rows, columns)`` in [0, 1].
        box: first row, row beyond the last, first column, column beyond the last of what is exposed.
        window: stored values that are 0 and 1 on the film.
        mm_factor: lengths on the film are the grid's times this, where its spacing is known to be another.
    """

    source: Volume
    straight: Volume
    pixels: np.ndarray
    box: tuple[int, int, int, int]
    window: tuple[float, float]
    mm_factor: float = 1.0

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distance of rows and of columns, mm."""
        columns, rows, _ = (float(v) * self.mm_factor for v in self.straight.spacing_mm)
        return rows, columns

    def back(self, array: np.ndarray, name: str) -> Volume:
        """Values at the film's pixels, ``(rows, columns)``, as a volume on the input's own grid; exact."""
        turned = self.straight.like(np.ascontiguousarray(array)[None]).reoriented_like(self.source.grid)
        return self.source.like(np.ascontiguousarray(turned.array), name=name, units=None)

    def ras(self, row: float, column: float) -> tuple[float, float, float]:
        """Where a place on the film lies, mm."""
        place = self.straight.grid.ras_of(np.array([column, row, 0.0]))
        return float(place[0]), float(place[1]), float(place[2])

    def place(self, ras: tuple[float, float, float]) -> tuple[float, float]:
        """Row and column of a point, which may lie off the film's plane."""
        column, row, _ = self.straight.grid.ijk_of(np.asarray(ras, float))
        return float(row), float(column)


def film_of_volume(volume: Volume) -> Film:
    """The film of a radiograph, however its array runs.

    Raises:
        InvalidInputError: where it has more than one slice, fewer pixels than 64 × 64, or one value only.
        GeometryError: where it lies in a sagittal plane, or its axes are not perpendicular.
    """
    if volume.grid.is_sheared:
        raise GeometryError("The film's axes are not perpendicular. Resample it to a straight grid first.")
    straight = upright(volume)
    if min(straight.shape[1:]) < LEAST_SIDE:
        raise InvalidInputError(
            f"Expected a film of at least {LEAST_SIDE} × {LEAST_SIDE} pixels; got {straight.shape[1:]}. "
            "Export it at its full size."
        )
    array = np.asarray(straight.array[0])
    box = exposed(array)
    pixels, window = windowed(array, box)
    return Film(volume, straight, pixels, box, window)


def film_of(array: np.ndarray) -> np.ndarray:
    """Any upright picture, ``(rows, columns)``, denser brighter, as a film."""
    return windowed(array, exposed(array))[0]


def upright(volume: Volume) -> Volume:
    """The volume with one slice, columns towards the patient's left and rows away from the head."""
    single = [axis for axis in range(3) if volume.shape[2 - axis] == 1]
    if not single:
        raise InvalidInputError(
            f"Expected one film; got {volume.shape} slices, rows and columns. Choose one frame or one slice."
        )
    across = closest_axes(volume.grid.directions)[0]
    ras_axis = next((ras for ras in (2, 1) if across[ras] in single), None)
    if ras_axis is None:
        raise GeometryError("This image lies in a sagittal plane; expected a frontal chest film. Choose another.")
    first, second = FACING[ras_axis]
    return volume.reoriented((first, second, ras_axis), (-1, -1, 1))


def exposed(array: np.ndarray) -> tuple[int, int, int, int]:
    """The box within which rows and columns are not constant, see :attr:`Film.box`.

    Raises:
        InvalidInputError: where all values are the same.
    """
    low, high = np.percentile(array, WINDOW)
    least = BORDER * float(high - low)
    if not high > low:
        low, high = float(array.min()), float(array.max())
        least = BORDER * (high - low)
    if not high > low:
        raise InvalidInputError("All pixels of the film have the same value. Export it again.")
    ends = []
    for axis in (1, 0):
        spread = np.ptp(array.astype(np.float64), axis=axis)
        present = np.flatnonzero(spread > least)
        ends += [int(present[0]), int(present[-1]) + 1]
    if ends[1] - ends[0] < LEAST_SIDE or ends[3] - ends[2] < LEAST_SIDE:
        return 0, array.shape[0], 0, array.shape[1]
    return ends[0], ends[1], ends[2], ends[3]


def windowed(array: np.ndarray, box: tuple[int, int, int, int]) -> tuple[np.ndarray, tuple[float, float]]:
    """Values as float32 in [0, 1] between the percentiles of the box, 0 outside it; and the values that are 0 and 1.

    The percentiles are those of the box averaged to :data:`WINDOW_PIXELS`, so that they do not follow the noise of
    single pixels, of which a finer film has more.
    """
    inner = (slice(box[0], box[1]), slice(box[2], box[3]))
    values = np.asarray(array[inner], np.float64)
    least, most = float(values.min()), float(values.max())
    shrink = min(WINDOW_PIXELS / max(values.shape), 1.0)
    size = (max(round(values.shape[0] * shrink), 1), max(round(values.shape[1] * shrink), 1))
    coarse = resized((values - least) / (most - least), size)
    low, high = (least + (most - least) * float(v) for v in np.percentile(coarse, WINDOW))
    if not high > low:
        low, high = least, most
    film = np.zeros(array.shape, np.float32)
    film[inner] = np.clip((values - low) / (high - low), 0.0, 1.0)
    return film, (low, high)


# --- the network's grid -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Canonical:
    """A film on the square grid of a network: its exposed box, square pixels, the rest 0.

    Attributes:
        film: float32 ``(matrix, matrix)``.
        box: of the film, see :attr:`Film.box`.
        inner: first row, row beyond the last, first column, column beyond the last where the box lies on the grid.
        mm_per_pixel: of the grid.
    """

    film: np.ndarray
    box: tuple[int, int, int, int]
    inner: tuple[int, int, int, int]
    mm_per_pixel: float

    @property
    def scale(self) -> tuple[float, float]:
        """The film's rows and columns to a row and a column of the grid."""
        a, b = self.box, self.inner
        return (a[1] - a[0]) / (b[1] - b[0]), (a[3] - a[2]) / (b[3] - b[2])

    def to_film(self, row: float, column: float) -> tuple[float, float]:
        """A place on the grid as row and column of the film; whole numbers are pixel centres."""
        rows, columns = self.scale
        return (
            (row + 0.5 - self.inner[0]) * rows - 0.5 + self.box[0],
            (column + 0.5 - self.inner[2]) * columns - 0.5 + self.box[2],
        )

    def from_film(self, row: float, column: float) -> tuple[float, float]:
        """The inverse of :meth:`to_film`."""
        rows, columns = self.scale
        return (
            (row + 0.5 - self.box[0]) / rows - 0.5 + self.inner[0],
            (column + 0.5 - self.box[2]) / columns - 0.5 + self.inner[2],
        )

    def spread(self, array: np.ndarray, shape: tuple[int, int], nearest: bool = False) -> np.ndarray:
        """Values on the grid at the film's pixels, linearly or (labels) nearest; 0 outside the box.

        Args:
            array: ``(matrix, matrix)``.
            shape: rows and columns of the film.
            nearest: keep the type and the labels.
        """
        inner = array[self.inner[0] : self.inner[1], self.inner[2] : self.inner[3]]
        size = (self.box[1] - self.box[0], self.box[3] - self.box[2])
        out = np.zeros(shape, array.dtype if nearest else np.float32)
        out[self.box[0] : self.box[1], self.box[2] : self.box[3]] = resized(inner, size, nearest)
        return out


def canonical(film: Film | np.ndarray, matrix: int = 256) -> Canonical:
    """A film on a network's grid; averaged where it has more pixels, so that its size does not matter.

    Args:
        film: of :func:`film_of_volume`, or an array in [0, 1] with square pixels of 1 mm.
        matrix: rows and columns of the grid.
    """
    if isinstance(film, Film):
        pixels, box, spacing = film.pixels, film.box, film.spacing_mm
    else:
        pixels, box, spacing = np.asarray(film, np.float32), (0, film.shape[0], 0, film.shape[1]), (1.0, 1.0)
    sides_mm = ((box[1] - box[0]) * spacing[0], (box[3] - box[2]) * spacing[1])
    pitch = max(sides_mm) / matrix
    rows, columns = (min(max(round(side / pitch), 1), matrix) for side in sides_mm)
    top, left = (matrix - rows) // 2, (matrix - columns) // 2
    out = np.zeros((matrix, matrix), np.float32)
    inner = (top, top + rows, left, left + columns)
    shrunk = resized(pixels[box[0] : box[1], box[2] : box[3]], (rows, columns))
    out[top : top + rows, left : left + columns] = np.clip(shrunk, 0.0, 1.0)
    return Canonical(out, box, inner, pitch)


def resized(array: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """A picture with another number of pixels over the same area: averaged, linear between, or (labels) the nearest."""
    import torch
    from torch.nn.functional import interpolate

    values = torch.from_numpy(np.array(array, np.float32))[None, None]
    if nearest:
        return interpolate(values, size, mode="nearest-exact")[0, 0].numpy().astype(array.dtype)
    smaller = size[0] < array.shape[0] or size[1] < array.shape[1]
    return interpolate(values, size, mode="bilinear", antialias=smaller, align_corners=False)[0, 0].numpy()


def network_input(films: Tensor) -> Tensor:
    """What a network is given: each film with mean 0 and standard deviation 1 inside its padding, which stays 0.

    Args:
        films: ``(b, rows, columns)`` in [0, 1]; rows and columns that are 0 throughout are padding.

    Returns:
        ``(b, 1, rows, columns)``.
    """
    import torch

    rows, columns = (films > 0).any(2), (films > 0).any(1)
    inside = (rows[:, :, None] & columns[:, None, :]).to(films.dtype)
    count = inside.sum((1, 2), keepdim=True).clamp(min=1.0)
    mean = (films * inside).sum((1, 2), keepdim=True) / count
    spread = torch.sqrt((((films - mean) ** 2) * inside).sum((1, 2), keepdim=True) / count)
    return (((films - mean) / spread.clamp(min=1e-3)) * inside)[:, None]
