"""Kernels of PyWavelets, and the number types that filters work in."""

from __future__ import annotations

from functools import cache

import numpy as np

from manabi.errors import DependencyError, InvalidInputError
from manabi.radiomics.filters.separable import Kernel


@cache
def pywt_kernels(family: str, dtype: str = "float64") -> tuple[Kernel, Kernel]:
    """The low and the high decomposition kernel of a wavelet, as PyWavelets' stationary transform applies them.

    Read off the transform of a single 1: PyWavelets' weights in float32 are not always its float64 ones, rounded. The
    weight on the voxel itself is the one after the half: IBSI's zero at the end of an even number comes to the same.

    Raises:
        DependencyError: PyWavelets is not installed.
        InvalidInputError: PyWavelets does not know the wavelet.
    """
    try:
        import pywt
    except ImportError as error:
        raise DependencyError("Wavelets need PyWavelets. Install it: pip install PyWavelets.") from error
    try:
        half = pywt.Wavelet(family).dec_len // 2
    except ValueError as error:
        raise InvalidInputError(
            f"PyWavelets has no wavelet {family!r}; choose one such as coif1, db3, haar."
        ) from error
    impulse = np.zeros(8 * half, dtype)
    impulse[4 * half] = 1
    ((low, high),) = pywt.swt(impulse, family, level=1)
    return Kernel.odd(low[3 * half : 5 * half]), Kernel.odd(high[3 * half : 5 * half])


def swt_type(dtype: np.dtype) -> type[np.floating]:
    """The type in which PyWavelets filters an image of a type: float32 for float16 and float32, else float64."""
    return np.float32 if dtype in (np.dtype(np.float32), np.dtype(np.float16)) else np.float64


def crop64(array: np.ndarray, box: tuple[slice, slice, slice]) -> np.ndarray:
    """A part of an image as a new float64 array."""
    return array[box].astype(np.float64)
