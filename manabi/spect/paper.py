"""The source's image pipeline, exactly: 8-bit slices, five around the hottest, each normalised, central 64×64.

Source: Ishiwata, KAKENHI 20K16705 report, section 3 (2); journal version 10.1007/s11604-025-01933-z. Where it is
silent: the 8-bit window runs from 0 to the case's maximum, and normalisation divides by the image's maximum (our
choices).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.volume import Volume

PIXEL_MM = 3.29
MATRIX = 64
SLICES_EACH_SIDE = 2
PIXEL_TOLERANCE = 0.02
"""Relative deviation of the pixel size from 3.29 mm that is taken as equal (our choice)."""


@dataclass(frozen=True)
class PaperImages:
    """The five images of a case.

    Attributes:
        images: ``(5, 64, 64)`` float32 from 0 to 1, each with maximum 1.
        box: the same slices as a volume (counts), at their place in the patient.
        peaks: maximum of each 8-bit slice, which normalisation divided by.
        window_max: counts shown as 255.
    """

    images: np.ndarray
    box: Volume
    peaks: np.ndarray
    window_max: float

    def to_counts(self, images: np.ndarray) -> np.ndarray:
        """Images from 0 to 1 back in counts."""
        return (images * (self.peaks[:, None, None] / 255.0 * self.window_max)).astype(np.float32)


def straighten(volume: Volume) -> Volume:
    """The volume in closest-to-RAS order with 3.29 mm pixels; resampled only where they differ by more than 2 %."""
    straight = volume.reoriented()
    spacing = straight.spacing_mm
    if np.abs(spacing[:2] / PIXEL_MM - 1).max() <= PIXEL_TOLERANCE:
        return straight
    grid = straight.grid.with_spacing(np.array([PIXEL_MM, PIXEL_MM, spacing[2]]))
    return straight.resampled(grid).with_warning(
        f"Pixels of {spacing[0]:.2f}×{spacing[1]:.2f} mm were resampled to the {PIXEL_MM} mm of the source."
    )


def to_8bit(array: np.ndarray, window_max: float | None = None) -> np.ndarray:
    """Counts as the grey levels of the source's PNG files: 0 to ``window_max`` (the case's maximum) become 0 to 255."""
    top = float(array.max()) if window_max is None else window_max
    if top <= 0:
        raise InvalidInputError("The image holds no counts.")
    return np.clip(np.floor(array * (255.0 / top) + 0.5), 0, 255).astype(np.uint8)


def hottest_slice(array: np.ndarray) -> int:
    """Index of the slice with the highest maximum, kept two slices away from the ends.

    Raises:
        InvalidInputError: for fewer than five slices.
    """
    if array.shape[0] < 2 * SLICES_EACH_SIDE + 1:
        raise InvalidInputError(f"The source's pipeline takes 5 slices; this image has {array.shape[0]}.")
    peaks = array.reshape(array.shape[0], -1).max(1)
    return int(np.clip(peaks.argmax(), SLICES_EACH_SIDE, array.shape[0] - 1 - SLICES_EACH_SIDE))


def central_crop(array: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the central 64×64.

    Raises:
        InvalidInputError: for a smaller matrix.
    """
    rows, columns = array.shape[-2:]
    if min(rows, columns) < MATRIX:
        raise InvalidInputError(f"The source crops 64×64 pixels of 3.29 mm; this image has {rows}×{columns}.")
    top, left = (rows - MATRIX) // 2, (columns - MATRIX) // 2
    return slice(top, top + MATRIX), slice(left, left + MATRIX)


def paper_images(straight: Volume, centre_slice: int | None = None) -> PaperImages:
    """The source's five images of a straightened volume.

    Args:
        straight: from :func:`straighten`.
        centre_slice: of the 25-minute image, for the 5-minute image of the same case; the hottest by default.
    """
    grey = to_8bit(np.asarray(straight.array, float))
    middle = hottest_slice(grey) if centre_slice is None else centre_slice
    rows, columns = central_crop(grey)
    low, high = middle - SLICES_EACH_SIDE, middle + SLICES_EACH_SIDE + 1
    chosen = grey[low:high, rows, columns].astype(np.float32)
    peaks = np.maximum(chosen.reshape(len(chosen), -1).max(1), 1.0)
    box = straight.crop((low, rows.start, columns.start), (high, rows.stop, columns.stop))
    return PaperImages(chosen / peaks[:, None, None], box, peaks, float(straight.array.max()))
