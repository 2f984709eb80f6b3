"""Wavelet bands as pyradiomics 3.0.1 makes them: names, values, and even their rounding.

pyradiomics decomposes with PyWavelets' ``swtn``, periodic, an odd axis first lengthened by its first voxel; every
level takes the lowest band of the one before with the same, undilated, kernels. Letters follow x, y, z.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from manabi.radiomics.filters.boundary import EVEN, Box
from manabi.radiomics.filters.separable import Triple, kept, staged
from manabi.radiomics.filters.spec import FilterSpec
from manabi.radiomics.filters.values import pywt_kernels, swt_type


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The bands in the order that pyradiomics has; see :func:`manabi.radiomics.filters.apply`.

    Equal to PyWavelets' to the last bit, but for the last voxels of an axis, half a kernel wide, where it adds the
    weights in another order.
    """
    dtype = swt_type(array.dtype)
    low, high = pywt_kernels(spec.family, np.dtype(dtype).name)
    found: dict[str, np.ndarray] = {}
    for level in range(1, spec.level + 1):
        jobs = {}
        for letters in _letters(spec, level):
            i, j, k = (low if letter == "L" else high for letter in letters)
            lows: Triple = (low, low, low)
            jobs[letters] = [lows] * (spec.start_level + level - 1) + [(k, j, i)]
        done = kept(staged(array, box, EVEN, jobs, dtype), len(jobs)) if jobs else {}
        number = "" if level == 1 else str(level)
        found |= {f"wavelet{number}-{letters}": done[letters] for letters in jobs}
    return found


def _letters(spec: FilterSpec, level: int) -> list[str]:
    """Bands of one level that are wanted: the lowest only of the last level, and last."""
    bands = sorted(("".join(letters) for letters in product("LH", repeat=3)), key=lambda band: band == "LLL")
    return [band for band in bands if band in (spec.bands or bands) and (band != "LLL" or level == spec.level)]
