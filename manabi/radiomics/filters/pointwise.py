"""pyradiomics' filters of single voxels: original, square, squareroot, logarithm, exponential.

Each is scaled by the largest magnitude in the whole image, so it depends on more than the box; that maximum is found
without a copy. Formulas: pyradiomics 3.0.1 (10.1158/0008-5472.CAN-17-0339), documentation of its image operations.
"""

from __future__ import annotations

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.filters.boundary import Box
from manabi.radiomics.filters.spec import FilterSpec
from manabi.radiomics.filters.values import crop64


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The one response; see :func:`manabi.radiomics.filters.apply`.

    Raises:
        InvalidInputError: the image is 0 everywhere, which leaves nothing to scale by, or a value is not a number.
    """
    values = crop64(array, box)
    if spec.kind == "original":
        return {spec.kind: values}
    largest = max(abs(float(array.max())), abs(float(array.min())))
    if not 0 < largest < np.inf:
        raise InvalidInputError(
            f"The filter {spec.kind} scales by the largest magnitude in the image, which must be finite and above 0; "
            f"it is {largest:g}. Check the image."
        )
    return {spec.kind: CURVES[spec.kind](values, largest)}


def _square(values: np.ndarray, largest: float) -> np.ndarray:
    """x ** 2 / largest, in pyradiomics' order of operations."""
    return ((1 / np.sqrt(largest)) * values) ** 2


def _square_root(values: np.ndarray, largest: float) -> np.ndarray:
    """The root of largest * |x|, with the sign of x."""
    return np.where(values < 0, -1.0, 1.0) * np.sqrt(np.abs(values) * largest)


def _logarithm(values: np.ndarray, largest: float) -> np.ndarray:
    """log(|x| + 1) with the sign of x, scaled to the image's range."""
    signed = np.where(values < 0, -1.0, 1.0) * np.log(np.abs(values) + 1)
    return signed * (largest / np.log(largest + 1))


def _exponential(values: np.ndarray, largest: float) -> np.ndarray:
    """exp(x * log(largest) / largest)."""
    return np.exp(np.log(largest) / largest * values)


CURVES = {
    "square": _square,
    "squareroot": _square_root,
    "logarithm": _logarithm,
    "exponential": _exponential,
}
