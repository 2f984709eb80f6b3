"""Filters given in the frequency domain, by IBSI: Simoncelli and Shannon wavelets, and Riesz transforms.

Their responses depend on every voxel, so the whole image is transformed whatever the box: about five float64 copies of
it in memory. The image is taken as periodic.

Frequencies. IBSI's reference maps follow a grid that runs from -1 to 1 (in units of the Nyquist frequency), both ends
in, along each axis, and the real part of the response. An axis of even length then has no sample at zero frequency.
The transform's own frequencies would be more natural, but lie 0.9, 2.5 and 8 % of the range away from IBSI's maps
8.a.1 to 8.a.3, where 1 % is the tolerance; the standard's grid 0.4 % or less. So we take the standard's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from manabi.radiomics.filters.boundary import Box, extended, whole
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.spec import FilterSpec

Frequencies = dict[int, np.ndarray]
"""Array axis -> its frequencies in units of the Nyquist frequency, in shapes that broadcast."""


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """One level of a non-separable wavelet, or its Riesz transform; see :func:`manabi.radiomics.filters.apply`.

    IBSI reference manual on filters (arXiv:2006.05470), non-separable wavelets. With r the distance from zero
    frequency times 2 ** (level - 1), Simoncelli's band is cos(pi/2 log2(2 r)) for 1/4 <= r <= 1 (Portilla, Simoncelli
    2000, 10.1023/A:1026553619983), Shannon's is 1 for 1/2 <= r <= 1.
    """
    axes = (1, 2) if spec.planar else (0, 1, 2)
    image = array[box[0]] if spec.planar else array
    orders = spec.riesz

    def passed(frequencies: Frequencies) -> np.ndarray:
        """The wavelet's band, and the Riesz transform of it where asked for."""
        values = band(_radius(frequencies) * 2 ** (spec.level - 1), spec.kind)
        return values if orders is None else values * riesz(frequencies, orders)

    wanted = (slice(None), *box[1:]) if spec.planar else box
    transfer = hermitian(image.shape, axes, passed)
    return {ibsi_name(spec): _filtered(image.astype(np.float64), transfer, axes)[wanted].copy()}


def riesz_of_kernel(array: np.ndarray, kernel: np.ndarray, spec: FilterSpec, box: Box) -> np.ndarray:
    """The Riesz transform of the response to a kernel.

    The image is extended by half the kernel by the spec's boundary, then taken as periodic (our choice: a Riesz
    transform has no bounded support, and the manual does not say how far the boundary condition goes).

    Args:
        array: the whole image.
        kernel: odd sides, centred; one slice where planar.
        spec: gives the orders and the boundary.
        box: where the response is wanted.
    """
    axes = (1, 2) if spec.planar else (0, 1, 2)
    halves = [side // 2 for side in kernel.shape]
    reach = ((halves[0], halves[0]), (halves[1], halves[1]), (halves[2], halves[2]))
    part = whole(array.shape)
    around = extended(array, part, part, reach, array.shape, spec.boundary).astype(np.float64)
    placed = np.zeros([around.shape[axis] if axis in axes else 1 for axis in range(3)])
    placed[tuple(slice(0, side) for side in kernel.shape)] = kernel
    placed = np.roll(placed, [-half for half in halves], axis=(0, 1, 2))
    orders = spec.riesz or ()
    transfer = np.fft.rfftn(placed, axes=axes) * hermitian(around.shape, axes, lambda found: riesz(found, orders))
    inside = tuple(slice(side.start + half, side.stop + half) for side, half in zip(box, halves, strict=True))
    return _filtered(around, transfer, axes)[inside].copy()


def band(radius: np.ndarray, kind: str) -> np.ndarray:
    """What a wavelet passes at a distance from zero frequency, in units of the level's largest frequency."""
    if kind == "shannon":
        return ((radius >= 0.5) & (radius <= 1)).astype(np.float64)
    inside = (radius >= 0.25) & (radius <= 1)
    return np.where(inside, np.cos(np.pi / 2 * np.log2(2 * np.where(inside, radius, 0.5))), 0.0)


def riesz(frequencies: Frequencies, orders: tuple[int, ...]) -> np.ndarray:
    """Transfer function of a Riesz transform; 0 at zero frequency.

    IBSI reference manual on filters (arXiv:2006.05470), Riesz transform; Unser, Van De Ville 2010,
    10.1109/TIP.2009.2038832: (-i) ** L sqrt(L! / prod l!) prod f ** l / |f| ** L.

    Args:
        frequencies: of each axis.
        orders: in x, y, z order, so the last array axis comes first.
    """
    total = sum(orders)
    scale = math.sqrt(math.factorial(total) / math.prod(math.factorial(order) for order in orders))
    radius = _radius(frequencies)
    along: np.ndarray = np.ones(1)
    for axis, order in zip(sorted(frequencies, reverse=True), orders, strict=True):
        along = along * frequencies[axis] ** order
    return (-1j) ** total * scale * along / np.where(radius == 0, 1, radius) ** total * (radius > 0)


def hermitian(
    shape: tuple[int, ...], axes: tuple[int, ...], function: Callable[[Frequencies], np.ndarray]
) -> np.ndarray:
    """A transfer function on the standard's grid, made such that real images stay real (their real part is taken).

    Args:
        shape: of the image.
        axes: those that are transformed.
        function: frequencies -> transfer.

    Returns:
        For a real transform: half of the last axis.
    """
    there, mirrored = {}, {}
    for axis in axes:
        size = shape[axis]
        grid = np.fft.ifftshift(np.linspace(-1, 1, size)) if size > 1 else np.zeros(1)
        kept = size // 2 + 1 if axis == axes[-1] else size
        along = [-1 if other == axis else 1 for other in range(3)]
        there[axis] = grid[:kept].reshape(along)
        mirrored[axis] = grid[-np.arange(kept) % size].reshape(along)
    return (function(there) + np.conj(function(mirrored))) / 2


def _radius(frequencies: Frequencies) -> np.ndarray:
    """The distance from zero frequency."""
    return np.sqrt(sum((along**2 for along in frequencies.values()), start=np.zeros(1)))


def _filtered(image: np.ndarray, transfer: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Multiply an image's transform."""
    from scipy import fft

    transformed = fft.rfftn(image, axes=axes)
    transformed *= transfer
    return fft.irfftn(transformed, s=[image.shape[axis] for axis in axes], axes=axes, overwrite_x=True)
