"""Gabor filters in the plane, by IBSI."""

from __future__ import annotations

import math

import numpy as np

from manabi.radiomics.filters.boundary import Box, extended, whole
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.reach import GABOR_SIGMAS
from manabi.radiomics.filters.spec import FilterSpec

AT_ONCE = 1 << 21
"""Voxels transformed at once: bounds the memory of a large box."""


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The modulus of the response, pooled over orientations and planes if asked; see the package's ``apply``.

    IBSI reference manual on filters (arXiv:2006.05470), Gabor filters. The kernel acts slice by slice; ``rotations``
    pools over the planes across each of the three axes. Lengths are mm in the plane, so pixels need not be square (the
    manual speaks of square ones). It ends 7.5 sigma from its centre (our choice; the manual names no end).
    """
    normals = (0,) if spec.rotations == "none" or spec.planar else (0, 1, 2)
    result = _across(array, spacing_mm, spec, box, normals[0])
    for normal in normals[1:]:
        other = _across(array, spacing_mm, spec, box, normal)
        result = np.maximum(result, other) if spec.rotations == "max" else result + other
    return {ibsi_name(spec): result if spec.rotations == "max" else result / len(normals)}


def angles(spec: FilterSpec) -> list[float]:
    """The orientations in radians; those half a turn apart, whose moduli are equal, once."""
    if not spec.theta_step_deg:
        return [math.radians(spec.theta_deg)]
    count = round(360 / spec.theta_step_deg)
    steps = range(count // 2 if count % 2 == 0 else count)
    return [math.radians(spec.theta_deg + n * spec.theta_step_deg) for n in steps]


def kernel(spec: FilterSpec, pixel_mm: tuple[float, float], theta: float) -> np.ndarray:
    """The complex kernel, (rows, columns), centred.

    Args:
        spec: sigma, wavelength and gamma count here.
        pixel_mm: row, column.
        theta: radians, clockwise where x points right and y down.
    """
    sigma, wavelength = float(spec.sigma_mm or 0), float(spec.wavelength_mm or 0)
    rows, columns = radii(spec, pixel_mm)
    y, x = np.mgrid[-rows : rows + 1, -columns : columns + 1].astype(np.float64)
    y, x = y * pixel_mm[0], x * pixel_mm[1]
    along = x * math.cos(theta) + y * math.sin(theta)
    across = x * math.sin(theta) - y * math.cos(theta)
    envelope = np.exp(-(along**2 + (spec.gamma * across) ** 2) / (2 * sigma**2))
    return envelope * np.exp(2j * np.pi * along / wavelength)


def radii(spec: FilterSpec, pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Pixels from the kernel's centre to its end, along rows and columns."""
    longest = GABOR_SIGMAS * float(spec.sigma_mm or 0) * max(1.0, 1 / spec.gamma)
    return math.ceil(longest / pixel_mm[0]), math.ceil(longest / pixel_mm[1])


def _across(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box, normal: int
) -> np.ndarray:
    """The moduli in the planes across one axis, pooled over the orientations."""
    from scipy import fft

    inner = [axis for axis in range(3) if axis != normal]
    pixel = spacing_mm[inner[0]], spacing_mm[inner[1]]
    half = radii(spec, pixel)
    reach = [(0, 0)] * 3
    reach[inner[0]], reach[inner[1]] = (half[0], half[0]), (half[1], half[1])
    around = extended(array, whole(array.shape), box, (reach[0], reach[1], reach[2]), array.shape, spec.boundary)
    planes = np.moveaxis(around, normal, 0)
    size = [fft.next_fast_len(side) for side in planes.shape[1:]]
    transfers = [fft.fft2(kernel(spec, pixel, theta), size) for theta in angles(spec)]
    bunch = max(1, AT_ONCE // (size[0] * size[1]))
    pooled = []
    for start in range(0, len(planes), bunch):
        transformed = fft.fft2(planes[start : start + bunch].astype(np.float64), size, axes=(1, 2))
        pooled.append(_pooled(transformed, transfers, half, planes.shape[1:], spec.rotations))
    return np.ascontiguousarray(np.moveaxis(np.concatenate(pooled), 0, normal))


def _pooled(
    transformed: np.ndarray,
    transfers: list[np.ndarray],
    half: tuple[int, int],
    shape: tuple[int, ...],
    pooling: str,
) -> np.ndarray:
    """Largest or average modulus over the orientations, where the kernel lay within the extended planes."""
    from scipy import fft

    result = np.zeros(())
    for transfer in transfers:
        response = fft.ifft2(transformed * transfer, axes=(1, 2), overwrite_x=True)
        modulus = np.abs(response[:, 2 * half[0] : shape[0], 2 * half[1] : shape[1]])
        result = np.maximum(result, modulus) if pooling == "max" else result + modulus
    return result if pooling == "max" else result / len(transfers)
