"""What the figures of SliceMarker are made of: its markers, slices and planes, straight from a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib import colormaps as matplotlib_colormaps
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.views import Look
from manabi.result import Result, Table
from manabi.slices.reading import MARKERS, NAMES
from manabi.slices.representative import Chosen, chosen_of
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

WINDOW = (-450.0, 1300.0)
"""Level and width in HU of what a reader sees: the lungs, and the mediastinum apart from them (our choice; the
pictures for models keep the source's narrow window)."""
BRIGHT = {"apex": "#5cc8ff", "carina": "#ffb347", "diaphragm": "#7dff8a"}
DARK = dict(zip(MARKERS, style.SERIES, strict=False))
"""Colours of the markers on images and on paper."""
SHORT = {"apex": "Apex", "carina": "Carina", "diaphragm": "Diaphragm"}
BODY_HU = -300.0
MARGIN_MM = 10.0
BAR_MM = 50.0
TALLEST_MM = 650.0
AROUND_MM = (160.0, 120.0)
"""Of an image taller than ``TALLEST_MM``, what is shown below the lowest and above the highest marker (our choice)."""


@dataclass(frozen=True)
class Shown:
    """One marker as the figure shows it; ``index`` is the stack's slice, None where it is not in the image."""

    marker: str
    status: str
    index: int | None
    slice_number: int | None
    z_mm: float | None
    confidence: float


@dataclass(frozen=True)
class Scene:
    """A result with its image.

    Attributes:
        stack: of the input; columns run to the right, rows to the front, slices to the head.
        markers: in the order of :data:`MARKERS`.
        chosen: representative slices.
        result: everything else.
    """

    stack: AxialStack
    markers: tuple[Shown, ...]
    chosen: tuple[Chosen, ...]
    result: Result

    @classmethod
    def of(cls, volume: Volume, result: Result) -> Scene:
        """Raises InvalidInputError where the result is not one of SliceMarker on this volume."""
        if not {"markers", "representative"} <= set(result.tables):
            raise InvalidInputError("The figure needs a result of SliceMarker: it has no table of markers.")
        stack = AxialStack.of(volume)
        chosen = chosen_of(result.tables["representative"], stack)
        return cls(stack, _markers(result.tables["markers"], stack), chosen, result)

    @property
    def array(self) -> np.ndarray:
        """KJI of the stack."""
        return self.stack.volume.array

    @property
    def levels(self) -> list[Shown]:
        """Markers that are in the image."""
        return [one for one in self.markers if one.index is not None]

    @cached_property
    def field(self) -> tuple[slice, slice]:
        """Rows and columns around the body on the shown slices."""
        wanted = [c.index for c in self.chosen] or [self.stack.n // 2]
        body = np.logical_or.reduce([_body(self.array[k], self.stack.pixel_mm) for k in wanted[:12]])
        return _around(body.any(axis=1), self.stack.pixel_mm[1]), _around(body.any(axis=0), self.stack.pixel_mm[0])

    @cached_property
    def heights(self) -> slice:
        """Slices that the planes from the front and the side show."""
        z, known = self.stack.z_mm, [one.z_mm for one in self.levels if one.z_mm is not None]
        if not known or z[-1] - z[0] <= TALLEST_MM:
            return slice(0, self.stack.n)
        inside = np.flatnonzero((z >= min(known) - AROUND_MM[0]) & (z <= max(known) + AROUND_MM[1]))
        return slice(int(inside[0]), int(inside[-1]) + 1)

    @property
    def limits_mm(self) -> tuple[float, float]:
        """Positions of the lower and the upper edge of those planes."""
        z, half = self.stack.z_mm[self.heights], self.stack.spacing_mm / 2
        return float(z[0] - half), float(z[-1] + half)

    def axial(self, k: int) -> tuple[np.ndarray, tuple[float, float]]:
        """A slice within the field as a reader sees it, and its width and height in mm."""
        rows, columns = self.field
        return _seen(self.array[k, rows, columns], self.stack.pixel_mm)

    def coronal(self) -> tuple[np.ndarray, tuple[float, float], str]:
        """The plane through the carina, or through the body's middle; its size in mm and its name."""
        rows, columns = self.field
        point = self._point("carina")
        j = point[1] if point else (rows.start + rows.stop) // 2
        pixels, size = _seen(self.array[self.heights, j, columns], (self.stack.pixel_mm[0], self.stack.spacing_mm))
        return pixels, size, "Coronal, through the carina" if point else "Coronal, through the middle"

    def sagittal(self) -> tuple[np.ndarray, tuple[float, float], str]:
        """The plane through the lung apex, or through the middle of the right half."""
        rows, columns = self.field
        point = self._point("apex")
        i = point[0] if point else columns.start + (columns.stop - columns.start) * 7 // 10
        pixels, size = _seen(self.array[self.heights, rows, i], (self.stack.pixel_mm[1], self.stack.spacing_mm))
        return pixels, size, "Sagittal, through the lung apex" if point else "Sagittal, through the right half"

    def _point(self, marker: str) -> tuple[int, int] | None:
        """Column and row of a marker's point."""
        if marker not in self.result.landmarks:
            return None
        ijk = self.stack.volume.grid.ijk_of(np.array(self.result.landmarks[marker].position_ras))
        _, rows, columns = self.stack.volume.shape
        return int(np.clip(round(ijk[0]), 0, columns - 1)), int(np.clip(round(ijk[1]), 0, rows - 1))


def _markers(table: Table, stack: AxialStack) -> tuple[Shown, ...]:
    by_name = {shown: name for name, shown in NAMES.items()}
    out = []
    columns = ("marker", "status", "slice", "position_mm", "confidence")
    for name, status, number, z, sure in zip(*(table.column(c) for c in columns), strict=True):
        index = None if number is None else stack.input_index(int(number))
        z_mm = None if z is None else float(z)
        number = None if number is None else int(number)
        out.append(Shown(by_name[str(name)], str(status), index, number, z_mm, float(sure or 0.0)))
    return tuple(out)


def _seen(pixels: np.ndarray, pixel_mm: Sequence[float]) -> tuple[np.ndarray, tuple[float, float]]:
    """A plane of the stack turned for display, and its width and height in mm."""
    height, width = pixels.shape
    return pixels[::-1, ::-1], (width * float(pixel_mm[0]), height * float(pixel_mm[1]))


def _body(image: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """The largest solid part of a slice, without couch and blankets."""
    from scipy import ndimage

    opened = ndimage.binary_opening(image > BODY_HU, iterations=max(round(4.0 / min(pixel_mm)), 1))
    labels, count = ndimage.label(opened)
    if count == 0:
        return np.ones(image.shape, bool)
    return labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1


def _around(there: np.ndarray, step_mm: float) -> slice:
    """From the first to the last place that is set, with a margin."""
    places = np.flatnonzero(there)
    margin = round(MARGIN_MM / step_mm)
    return slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + margin + 1, len(there)))


# --- on images ------------------------------------------------------------------------------------------


def look() -> Look:
    """Grey in the reader's lung window."""
    level, width = WINDOW
    return Look(matplotlib_colormaps["gray"], level - width / 2, level + width / 2)


def level_line(axes: Axes, one: Shown, y: float, width: float, *, named: bool) -> None:
    """A marker's level across an image from the front or the side."""
    axes.plot([0, width], [y, y], color=BRIGHT[one.marker], linewidth=1.3,
              path_effects=[withStroke(linewidth=2.6, foreground="#000000a0")])  # fmt: skip
    if named:
        axes.text(0.985 * width, y, SHORT[one.marker], color=BRIGHT[one.marker], ha="right", va="bottom",
                  fontproperties=style.font(style.SMALL, True),
                  path_effects=[withStroke(linewidth=2, foreground="#000000")])  # fmt: skip
