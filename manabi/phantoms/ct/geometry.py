"""Where the rays of a scan run: parallel views over half a turn.

Fan-beam and helical data are taken as rebinned to parallel views, as scanners do before they reconstruct; what
rebinning itself costs is part of the detector's blur (our simplification).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

PixelSize = float | tuple[float, float]


@dataclass(frozen=True)
class ParallelGeometry:
    """Parallel rays: at angle ``a`` a ray holds the points with ``x cos a + y sin a = u``.

    x runs along columns and y along rows, in mm from the axis of rotation.

    Attributes:
        views: views over 180°.
        bins: detector bins, the axis in their middle.
        bin_mm: distance of two rays.
        centre_mm: the axis, along columns and rows, in mm from the middle of the image.
    """

    views: int
    bins: int
    bin_mm: float
    centre_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse what holds no image."""
        if self.views < 1 or self.bins < 2 or not self.bin_mm > 0:
            raise InvalidInputError(
                f"A scan needs at least 1 view and 2 bins of a positive size; got {self.views}, {self.bins} and "
                f"{self.bin_mm:g} mm."
            )

    @property
    def angles(self) -> np.ndarray:
        """View angles in radians ``(views,)``."""
        return math.pi * np.arange(self.views) / self.views

    @property
    def offsets_mm(self) -> np.ndarray:
        """Distance of each ray from the axis ``(bins,)``."""
        return (np.arange(self.bins) - (self.bins - 1) / 2) * self.bin_mm

    @property
    def radius_mm(self) -> float:
        """Radius of the circle that every view covers."""
        return (self.bins - 1) / 2 * self.bin_mm

    def axis(self, shape: tuple[int, int], pixel_mm: PixelSize) -> tuple[float, float]:
        """Column and row of the axis of rotation in an image of (rows, columns)."""
        width, height = pixel_size(pixel_mm)
        return (shape[1] - 1) / 2 + self.centre_mm[0] / width, (shape[0] - 1) / 2 + self.centre_mm[1] / height


def pixel_size(pixel_mm: PixelSize) -> tuple[float, float]:
    """Width (along columns) and height of a pixel in mm; raises InvalidInputError unless both are positive."""
    pair = pixel_mm if isinstance(pixel_mm, tuple) else (pixel_mm, pixel_mm)
    if len(pair) != 2 or not min(pair) > 0:
        raise InvalidInputError(f"A pixel's size is one positive number in mm, or width and height; got {pixel_mm}.")
    return float(pair[0]), float(pair[1])


@dataclass(frozen=True)
class Rays:
    """Views whose rays cross the image along one axis.

    Attributes:
        views: their indices.
        along_rows: the rays cross every row; otherwise every column.
        rays: for each view, where ray 0 crosses line 0, pixels from ray to ray, and from line to line ``(v, 3)``.
        lengths_mm: length of a ray within one line of each view.
    """

    views: np.ndarray
    along_rows: bool
    rays: np.ndarray
    lengths_mm: np.ndarray


def rays(geometry: ParallelGeometry, shape: tuple[int, int], pixel_mm: PixelSize) -> tuple[Rays, Rays]:
    """The rays that cross rows, and those that cross columns, of an image of (rows, columns)."""
    width, height = pixel_size(pixel_mm)
    column, row = geometry.axis(shape, pixel_mm)
    cosine, sine = np.cos(geometry.angles), np.sin(geometry.angles)
    upright = np.abs(cosine) / height >= np.abs(sine) / width
    first = geometry.offsets_mm[0]

    def one(chosen: np.ndarray, along: np.ndarray, across: np.ndarray, sizes: tuple[float, ...]) -> Rays:
        """``along`` is the factor of the interpolated axis; sizes: pixel along it, pixel across, axis along, across."""
        pixel, line, axis, axis_line = sizes
        slope = -across * line / (along * pixel)
        start = axis + first / (along * pixel) - slope * axis_line
        table = np.stack([start, geometry.bin_mm / (along * pixel), slope], axis=1)
        return Rays(np.flatnonzero(chosen), along is not sine, table, line / np.abs(along))

    with np.errstate(divide="ignore", invalid="ignore"):
        down = one(upright, cosine, sine, (width, height, column, row))
        over = one(~upright, sine, cosine, (height, width, row, column))
    return _kept(down), _kept(over)


def _kept(found: Rays) -> Rays:
    """The table's rows of the chosen views only."""
    return Rays(found.views, found.along_rows, np.ascontiguousarray(found.rays[found.views]),
                found.lengths_mm[found.views])  # fmt: skip
