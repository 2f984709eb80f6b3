"""Every filter by its specification."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.filters.boundary import Box, whole
from manabi.radiomics.filters.spec import FilterSpec

MODULES = {
    ("original", "pyradiomics"): "pointwise",
    ("wavelet", "pyradiomics"): "wavelet_pyradiomics",
    ("log", "pyradiomics"): "pyradiomics_itk",
    ("square", "pyradiomics"): "pointwise",
    ("squareroot", "pyradiomics"): "pointwise",
    ("logarithm", "pyradiomics"): "pointwise",
    ("exponential", "pyradiomics"): "pointwise",
    ("gradient", "pyradiomics"): "pyradiomics_itk",
    ("lbp-2D", "pyradiomics"): "lbp",
    ("mean", "ibsi"): "mean",
    ("log", "ibsi"): "log",
    ("laws", "ibsi"): "laws",
    ("gabor", "ibsi"): "gabor",
    ("wavelet", "ibsi"): "wavelet",
    ("simoncelli", "ibsi"): "fourier",
    ("shannon", "ibsi"): "fourier",
}
"""Filter and convention -> the module here whose ``responses`` computes it."""


def apply(
    array: np.ndarray,
    spacing_mm: tuple[float, float, float],
    spec: FilterSpec,
    box: Box | None = None,
) -> dict[str, np.ndarray]:
    """The responses of a filter, by name.

    Args:
        array: the whole image, any real type, (slices, rows, columns); never modified. The boundary is this array's.
            In ``pyradiomics`` mode float32 is filtered in float32, as pyradiomics does; all else in float64.
        spacing_mm: slice, row, column.
        spec: the filter.
        box: the part that is wanted, slices (k, j, i) with start and stop within the array; None means all. The result
            equals that part of the whole array's response.

    Returns:
        Name -> response, of the box's shape, float64 (float32 where pyradiomics gives that). Names hold no "_".

    Raises:
        InvalidInputError: the array is no real volume, the box is not inside, or the image is too small for the filter.
    """
    if array.ndim != 3 or array.dtype.kind not in "biuf" or not array.size:
        raise InvalidInputError(
            f"A filter needs a real volume (slices, rows, columns); got shape {array.shape}, type {array.dtype}."
        )
    if len(spacing_mm) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise InvalidInputError(f"spacing_mm must be three lengths above 0 (slice, row, column); got {spacing_mm}.")
    wanted = whole(array.shape) if box is None else box
    _check_box(wanted, array.shape)
    module = import_module(f"manabi.radiomics.filters.{MODULES[spec.kind, spec.mode]}")
    return module.responses(array, spacing_mm, spec, wanted)


def _check_box(box: Box, shape: tuple[int, ...]) -> None:
    """Refuse a box that is no part of the image."""
    for side, size in zip(box, shape, strict=True):
        if side.step not in (None, 1) or side.start is None or side.stop is None:
            raise InvalidInputError(f"A box has slices with start and stop, without step; got {box}.")
        if not 0 <= side.start < side.stop <= size:
            raise InvalidInputError(f"The box {box} is empty or reaches beyond the image {shape}.")
