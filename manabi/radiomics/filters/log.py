"""The Laplacian of Gaussian of IBSI."""

from __future__ import annotations

import math

import numpy as np

from manabi.radiomics.filters.boundary import Box, extended, whole
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.separable import NOTHING, Kernel, one_pass, widest
from manabi.radiomics.filters.spec import FilterSpec


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The Laplacian of Gaussian, or its Riesz transform; see :func:`manabi.radiomics.filters.apply`.

    IBSI reference manual on filters (arXiv:2006.05470): the sampled Laplacian of a Gaussian, cut where an axis is
    farther than ``truncate`` sigma (a cube), in voxel units. It is a sum of products of kernels along the axes, so
    seven passes do. IBSI speaks of cubic voxels; for others we take sigma in mm along each axis, and the second
    derivative per smallest voxel side, squared (our choice).
    """
    name = ibsi_name(spec)
    if spec.riesz is not None:
        from manabi.radiomics.filters.fourier import riesz_of_kernel

        return {name: riesz_of_kernel(array, dense_kernel(spacing_mm, spec), spec, box)}
    smooth, second = axis_kernels(spacing_mm, spec)
    reach = widest([(smooth[0], smooth[1], smooth[2])])
    around = extended(array, whole(array.shape), box, reach, array.shape, spec.boundary).astype(np.float64)
    smoothed, total = one_pass(around, 2, smooth[2]), one_pass(around, 2, second[2] or NOTHING)
    for axis in (1, 0):
        total, bent = one_pass(total, axis, smooth[axis]), second[axis]
        if bent is not None:
            total += one_pass(smoothed, axis, bent)
            smoothed = one_pass(smoothed, axis, smooth[axis])
    inside = tuple(slice(0, side.stop - side.start) for side in box)
    return {name: np.ascontiguousarray(total[inside])}


def axis_kernels(spacing_mm: tuple[float, float, float], spec: FilterSpec) -> tuple[list[Kernel], list[Kernel | None]]:
    """Gaussians, and second derivatives of Gaussians, along slices, rows and columns; planar: nothing along slices."""
    filtered = (1, 2) if spec.planar else (0, 1, 2)
    smallest = min(spacing_mm[axis] for axis in filtered)
    smooth: list[Kernel] = [NOTHING] * 3
    second: list[Kernel | None] = [None] * 3
    for axis in filtered:
        sigma = float(spec.sigma_mm or 0) / spacing_mm[axis]
        half = math.floor(spec.truncate * sigma + 0.5)
        places = np.arange(-half, half + 1) / sigma
        gauss = np.exp(-(places**2) / 2) / (math.sqrt(2 * math.pi) * sigma)
        curved = gauss * (places**2 - 1) / (float(spec.sigma_mm or 0) / smallest) ** 2
        smooth[axis], second[axis] = Kernel.odd(gauss), Kernel.odd(curved)
    return smooth, second


def dense_kernel(spacing_mm: tuple[float, float, float], spec: FilterSpec) -> np.ndarray:
    """The kernel as an array (slices, rows, columns)."""
    smooth, second = axis_kernels(spacing_mm, spec)
    total = np.zeros([len(kernel.weights) for kernel in smooth])
    for bent in range(3):
        if second[bent] is not None:
            along = [second[axis] if axis == bent else smooth[axis] for axis in range(3)]
            total += np.einsum("k,j,i->kji", *(kernel.weights for kernel in along if kernel is not None))
    return total
