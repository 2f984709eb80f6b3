"""How far the responses of a box read the image: what a caller who crops the image must keep around it."""

from __future__ import annotations

import math

from manabi.radiomics.filters.spec import IBSI, FilterSpec

WHOLE_IMAGE_MM = 1e4
"""Longer than any image: the caller keeps all of it."""

GABOR_SIGMAS = 7.5
"""Where Gabor's envelope ends: exp(-7.5 ** 2 / 2) is below 1e-12 of its peak (our choice; IBSI names no end)."""


def reach_mm(spec: FilterSpec, spacing_mm: tuple[float, float, float] | None = None) -> float:
    """How far from a voxel its response reads the image.

    A filter that counts in voxels needs to know their size; without it, and for filters whose response depends on the
    whole image, the answer is :data:`WHOLE_IMAGE_MM`. Beyond the image's border the boundary condition takes over, so
    a margin that the border cuts is enough, but for "periodize", which reads the opposite side.

    Args:
        spec: the filter.
        spacing_mm: slice, row, column, of the image to be filtered.

    Returns:
        mm, the same for all axes; the caller rounds up to whole voxels.
    """
    if spec.boundary == "periodize" or spec.riesz is not None:
        return WHOLE_IMAGE_MM
    if (spec.kind, spec.mode) == ("log", IBSI):
        return spec.truncate * float(spec.sigma_mm or 0)
    if spec.kind == "gabor":
        return GABOR_SIGMAS * float(spec.sigma_mm or 0) * max(1.0, 1 / spec.gamma)
    voxels = reach_voxels(spec)
    if voxels == 0:
        return 0.0
    if spacing_mm is None or math.isinf(voxels):
        return WHOLE_IMAGE_MM
    return voxels * max(spacing_mm)


def reach_voxels(spec: FilterSpec) -> float:
    """The reach of a filter that counts in voxels; infinite where the response depends on the whole image."""
    if spec.kind == "original":
        return 0
    if spec.kind == "mean":
        return (spec.support or 1) // 2
    if spec.kind == "laws":
        return 2 + (spec.energy_distance or 0)
    if (spec.kind, spec.mode) == ("wavelet", IBSI):
        from manabi.radiomics.filters.values import pywt_kernels

        low, high = pywt_kernels(spec.family)
        widest = max(*low.reach, *high.reach)
        return widest * (2**spec.level - 1)
    if spec.kind == "gradient":
        return 1
    if spec.kind == "lbp-2D":
        return math.ceil(spec.radius) + 1
    return math.inf
