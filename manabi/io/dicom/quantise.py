"""Real values as 16-bit integers with a slope and an intercept that DICOM can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.dicom.decimals import ds

STEPS = 65535


@dataclass(frozen=True, eq=False)
class Stored:
    """16-bit pixels and how to read them: ``value = pixels * slope + intercept``.

    ``slope`` and ``intercept`` are texts as DICOM's DS writes them (at most 16 characters); quantisation was done
    with the numbers that the texts say.
    """

    pixels: np.ndarray
    slope: str = "1"
    intercept: str = "0"

    @property
    def is_exact(self) -> bool:
        """Whether the pixels are the values themselves."""
        return self.slope == "1" and self.intercept == "0"


def quantised(array: np.ndarray, *, zero_is_zero: bool, to_whole: bool = False) -> Stored:
    """The array as uint16 or int16; values change by at most half a step of the slope.

    Whole numbers that fit 16 bits are kept exactly, with slope 1. Otherwise the range of values is spread over 16
    bits.

    Args:
        array: real values of any dtype.
        zero_is_zero: keep the intercept at 0, as PET requires; a viewer that ignores the slope then still shows
            values in proportion.
        to_whole: round to whole numbers where they fit 16 bits.

    Raises:
        InvalidInputError: for values that are not finite.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidInputError("The volume has values that are not numbers (NaN or infinite); DICOM cannot hold them.")
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind in "biu" or bool((array == np.rint(array)).all())
    dtype = np.uint16 if low >= 0 else np.int16
    limits = np.iinfo(dtype)
    if (whole or to_whole) and limits.min <= low and high <= limits.max:
        return Stored(array.astype(dtype) if whole else np.rint(array).astype(dtype))
    if zero_is_zero:
        slope = ds(max(high / limits.max, low / limits.min if limits.min else 0.0))
        return _divided(array, slope, "0", dtype)
    return _divided(array, ds((high - low) / STEPS or 1.0), ds(low), np.uint16)


def _divided(array: np.ndarray, slope: str, intercept: str, dtype: type[np.integer]) -> Stored:
    """Slice by slice, so that the float64 copy stays small."""
    limits = np.iinfo(dtype)
    pixels = np.empty(array.shape, dtype)
    for k, image in enumerate(array):
        steps = (image.astype(np.float64) - float(intercept)) / float(slope)
        pixels[k] = np.clip(np.rint(steps), limits.min, limits.max)
    return Stored(pixels, slope, intercept)
