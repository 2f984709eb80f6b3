"""From any CT to the grid that a network works on, and exactly back.

The volume is put in closest-to-RAS order (nothing is interpolated), so that slices are axial; only where the pixels of
its slices are not of the bundle's size are they resampled, slices staying slices. Whatever is computed there comes back
as a *correction*, output minus input, which is interpolated to the input's own voxels and added to their own values: no
detail of the input is blurred by going there and back (our choice; the authors' converter leaves its result on the
forced grid).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from manabi.geometry import Shape
from manabi.mvct.padding import find_padding
from manabi.volume import Volume

AIR_HU = -1000.0
SPACING_TOLERANCE = 0.02
"""Relative deviation from the bundle's pixel size that is processed as it is (our choice)."""
MARGIN_MM = 4.0
"""The body is grown by this much before what lies outside is left as it is, so that the skin is inside (our choice)."""
FADE_MM = 4.0
"""Over this width the correction fades out, so that no seam shows in the air (our choice)."""
FWHM = 2.3548
HALF = 0.499


@dataclass(frozen=True)
class Work:
    """An input and its copy on the grid where the work is done.

    Attributes:
        source: the input, on its own grid.
        straight: the same voxels in closest-to-RAS order, float32 HU.
        image: ``straight`` with air for its padding, or that resampled within its slices to the bundle's pixels.
        padding: voxels of ``straight`` that the scanner did not see; None where there are none.
    """

    source: Volume
    straight: Volume
    image: Volume
    padding: np.ndarray | None = None

    @property
    def resampled(self) -> bool:
        """Whether the work grid has other pixels than the input."""
        return not self.image.grid.same_as(self.straight.grid)

    @cached_property
    def hu(self) -> np.ndarray:
        """The input on the work grid, ``(slices, rows, columns)`` float32 HU."""
        return np.asarray(self.image.array)

    @property
    def lowest_hu(self) -> float:
        """The lowest value of the input, padding aside."""
        array = np.asarray(self.straight.array)
        return float(array.min() if self.padding is None else array.min(where=~self.padding, initial=np.inf))

    def to_straight(self, array: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Values on the work grid at the voxels of ``straight``, interpolated linearly where the grids differ.

        Args:
            array: ``(slices, rows, columns)`` on the work grid.
            fill: what there is outside it.
        """
        if not self.resampled:
            return array
        return np.asarray(self.image.like(array).resampled(self.straight.grid, "linear", fill).array)

    def mask_to_straight(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the work grid at the voxels of ``straight``: where at least half of the voxel is inside.

        A hair less than half counts, so that the rounding of a turned patient's grid does not decide.
        """
        if not self.resampled:
            return mask
        return self.to_straight(mask.astype(np.float32)) > HALF

    def back(self, array: np.ndarray, name: str) -> Volume:
        """An array on the grid of ``straight`` as a volume on the input's own grid; exact."""
        turned = self.straight.like(array).reoriented_like(self.source.grid)
        return self.source.like(np.ascontiguousarray(turned.array), name=name)


def prepare(volume: Volume, pixel_mm: Sequence[float] | None = None) -> Work:
    """Bring a volume to the work grid.

    Args:
        volume: HU, any grid.
        pixel_mm: pixel size along I and J of the work grid; None, or one within 2 % of the input's, changes nothing.
    """
    straight = volume.reoriented()
    straight = straight.like(np.asarray(straight.array, np.float32))
    padding = find_padding(np.asarray(straight.array))
    filled = straight
    if padding is not None:
        filled = straight.like(np.where(padding, np.float32(AIR_HU), straight.array))
    return Work(volume, straight, _at_pixels(filled, pixel_mm), padding)


def _at_pixels(straight: Volume, pixel_mm: Sequence[float] | None) -> Volume:
    """Resampled within the slices; blurred first where pixels grow, so that noise is averaged instead of aliased."""
    spacing = straight.spacing_mm
    if pixel_mm is None:
        return straight
    wanted = np.array([*pixel_mm[:2], spacing[2]])
    if np.abs(spacing / wanted - 1).max() <= SPACING_TOLERANCE:
        return straight
    from scipy import ndimage

    array = np.asarray(straight.array)
    # Widths as if each pixel averaged over its own size (FWHM); the finer grid has some of it already (our choice).
    sd = np.sqrt(np.maximum(wanted**2 - spacing**2, 0.0)) / FWHM / spacing
    if sd.max() > 0:
        array = ndimage.gaussian_filter(array, sd[::-1])
    return straight.like(array).resampled(straight.grid.with_spacing(wanted), "linear", float(array.min()))


def fading(body: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """How much of a correction applies: 1 in the body and close to it, 0 in the air farther away.

    Args:
        body: mask, ``(slices, rows, columns)``.
        spacing_mm: along I, J, K.

    Returns:
        float32, 0 to 1; 1 within ``MARGIN_MM`` of the body in its slice, 0 beyond another ``FADE_MM``, whatever its
        shape (distances are those of a box).
    """
    from scipy import ndimage

    out = np.asarray(body, np.float32)
    for axis, spacing in ((1, spacing_mm[1]), (2, spacing_mm[0])):
        half = max(int(round(0.5 * FADE_MM / spacing)), 1)
        reach = int(round(MARGIN_MM / spacing)) + half
        out = ndimage.maximum_filter1d(out, 2 * reach + 1, axis=axis)
        out = ndimage.uniform_filter1d(out, 2 * half + 1, axis=axis)
    return np.clip(out, 0.0, 1.0, out=out)


def faded_reach_px(spacing: float) -> int:
    """Pixels beyond the body, along an axis with this spacing in mm, from which on :func:`fading` is 0."""
    half = max(int(round(0.5 * FADE_MM / spacing)), 1)
    return int(round(MARGIN_MM / spacing)) + 2 * half


@dataclass(frozen=True)
class Crop:
    """The part of the work grid that a network sees.

    Attributes:
        slices: numbers of the slices with any body.
        rows: first row and one beyond the last.
        columns: first column and one beyond the last.
    """

    slices: np.ndarray
    rows: tuple[int, int]
    columns: tuple[int, int]

    def of(self, array: np.ndarray) -> np.ndarray:
        """All slices, cut to the rows and columns; a view."""
        return array[:, self.rows[0] : self.rows[1], self.columns[0] : self.columns[1]]

    def place(self, part: np.ndarray, shape: Shape) -> np.ndarray:
        """The slices of :attr:`slices`, cut, put back into zeros of the work grid's shape."""
        out = np.zeros(shape, np.float32)
        self.of(out)[self.slices] = part
        return out


def crop_to_body(body: np.ndarray, margin_px: int = 16, least_px: int = 64) -> Crop:
    """The body's box with a margin, within the image; the whole image where there is no body.

    Instance normalisation sees the whole box, so it is one for all slices (our choice), and never tiny.

    Args:
        body: mask, ``(slices, rows, columns)``.
        margin_px: around the body.
        least_px: rows and columns that it has at least, where the image has them.
    """
    slices = np.flatnonzero(body.any((1, 2)))
    if slices.size == 0:
        return Crop(np.arange(len(body)), (0, body.shape[1]), (0, body.shape[2]))
    rows, columns = (np.asarray(body.any(axes)) for axes in ((0, 2), (0, 1)))
    return Crop(slices, _ends(rows, margin_px, least_px), _ends(columns, margin_px, least_px))


def _ends(present: np.ndarray, margin: int, least: int) -> tuple[int, int]:
    found = np.flatnonzero(present)
    first, stop = int(found[0]) - margin, int(found[-1]) + 1 + margin
    lacking = max(least - (stop - first), 0)
    first, stop = first - lacking // 2, stop + lacking - lacking // 2
    return max(first, 0), min(stop, len(present))
