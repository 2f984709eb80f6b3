"""Non-local means in two and three dimensions.

Sources: Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005, 10.1109/CVPR.2005.38; the
shift-wise box-sum form of Darbon et al., ISBI 2008, 10.1109/ISBI.2008.4541250; the noise-corrected distance of Buades,
Coll and Morel, IPOL 2011, 10.5201/ipol.2011.bcm_nlm; the exponential of Schraudolph, Neural Computation 1999,
10.1162/089976699300016467.

The result is that of ``skimage.restoration.denoise_nl_means(fast_mode=True)``, its habits included: the sum of squared
differences runs over a box one voxel narrower than the patch but is divided by the size of the whole patch; distances
above 5 count nothing; the exponential is piecewise linear.

Each shift is one pass of vector arithmetic over the flattened padded image, where a shift in space is a shift of the
flat index. Half of the shifts suffice, because the distance from r to r + t is the distance from r + t to r.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import torch

from manabi.errors import InvalidInputError
from manabi.filters.base import Filter, checked_image
from manabi.filters.parallel import parallel_map

CUTOFF = 5.0
EXPONENT_STEP = 2.0**23 / math.log(2.0)
EXPONENT_ONE = 127 * 2**23 - 60801 * 2**3
SLAB_VOXELS = 262144


def non_local_means(
    image: np.ndarray,
    patch_size: int = 5,
    patch_distance: int = 6,
    strength: float = 0.1,
    noise_std: float = 0.0,
    volumetric: bool = True,
) -> np.ndarray:
    """Average every voxel with those whose surroundings look alike.

    Args:
        image: ``(rows, columns)`` or ``(slices, rows, columns)``.
        patch_size: width of a patch in voxels; an even one is taken one larger, as in scikit-image.
        patch_distance: largest shift searched along each axis, in voxels.
        strength: ``h``, in the units of the image: how different a patch may be and still count.
        noise_std: standard deviation of the noise, whose expected share is taken off the distances; 0 for none.
        volumetric: compare in three dimensions; False treats a 3-D array as a stack of separate slices.

    Returns:
        The denoised image, float32, of the same shape.

    Raises:
        InvalidInputError: for an image that is not 2-D or 3-D and finite, or a parameter out of range.
    """
    array = checked_image(image)
    if patch_size < 2 or patch_distance < 0 or not strength > 0 or not noise_std >= 0:
        raise InvalidInputError(
            "Non-local means needs patch_size >= 2, patch_distance >= 0, strength > 0 and noise_std >= 0; got "
            f"{patch_size}, {patch_distance}, {strength} and {noise_std}."
        )
    offset = patch_size // 2
    stack = array if array.ndim == 3 else array[None]
    depth = array.ndim == 3 and volumetric
    scale = math.sqrt(EXPONENT_STEP) / (strength * (2 * offset + 1) ** (1.5 if depth else 1.0))
    search = _Search(stack, offset, patch_distance, depth, scale, 2.0 * (noise_std * scale) ** 2)
    return search.run().reshape(array.shape)


class _Search:
    """One run: the padded image, flattened and scaled so that a squared difference is an exponent."""

    def __init__(
        self, stack: np.ndarray, offset: int, distance: int, depth: bool, scale: float, variance: float
    ) -> None:
        self.offset, self.distance, self.variance, self.scale = offset, distance, variance, scale
        pad = offset + distance
        self.pads = (pad if depth else 0, pad, pad)
        self.reach = distance if depth else 0
        self.inside = stack.shape
        padded = np.pad(stack, [(p, p) for p in self.pads], mode="reflect")
        self.shape = padded.shape
        self.row, self.plane = self.shape[2], self.shape[1] * self.shape[2]
        self.strides = (self.plane, self.row, 1)
        self.box = self.strides if depth else self.strides[1:]
        self.image = torch.from_numpy(padded).reshape(-1) * scale

    def run(self) -> np.ndarray:
        """Slabs of slices in parallel, each small enough for the cache; added up in a fixed order."""
        first, last = self.pads[0] - self.reach, self.pads[0] + self.inside[0]
        count = 4 * math.ceil((last - first) * self.plane / (4 * SLAB_VOXELS))
        thickness = math.ceil((last - first) / count)
        slabs = [(z, min(z + thickness, last)) for z in range(first, last, thickness)]
        weights, change = torch.zeros_like(self.image), torch.zeros_like(self.image)
        for (start, _), sums in zip(slabs, parallel_map(self._slab, slabs), strict=True):
            for total, part in zip((weights, change), sums, strict=True):
                goal = total[start * self.plane : start * self.plane + part.shape[0]]
                goal += part[: goal.shape[0]]
        mean = (self.image + change / (weights + ONE)) / self.scale
        inner = tuple(slice(p, p + n) for p, n in zip(self.pads, self.inside, strict=True))
        return mean.reshape(self.shape)[inner].numpy().copy()

    def _slab(self, slab: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights, and the weighted differences from each voxel, of all pairs that begin in a slab."""
        start, stop = slab
        weights = torch.zeros((stop - start + self.reach + 1) * self.plane)
        change = torch.zeros_like(weights)
        for shift in self._half_of_the_shifts():
            low = max(start, self.pads[0] - shift[0])
            if low < stop:
                self._add(low, stop, shift, start * self.plane, weights, change)
        return weights, change

    def _half_of_the_shifts(self) -> Iterator[tuple[int, int, int]]:
        """One of each pair t, -t, without 0."""
        near = range(-self.distance, self.distance + 1)
        for shift in itertools.product(range(self.reach + 1), near, near):
            if shift > (0, 0, 0):
                yield shift

    def _add(
        self, low: int, stop: int, shift: tuple[int, int, int], base: int, weights: torch.Tensor, change: torch.Tensor
    ) -> None:
        """Add one shift for slices ``low`` to ``stop``, in both directions; the sums begin at flat index ``base``."""
        jump = sum(t * s for t, s in zip(shift, self.strides, strict=True))
        corner = [p - max(t, 0) for p, t in zip(self.pads[1:], shift[1:], strict=True)]
        far = [p + n - 1 - min(t, 0) for p, n, t in zip(self.pads[1:], self.inside[1:], shift[1:], strict=True)]
        begin = low * self.plane + corner[0] * self.row + corner[1]
        end = (stop - 1) * self.plane + far[0] * self.row + far[1] + 1
        before, after = (self.offset - 1) * sum(self.box), self.offset * sum(self.box)
        difference = self.image[begin - before : end + after] - self.image[begin - before + jump : end + after + jump]
        share = torch.tensor(EXPONENT_ONE / (2 * self.offset) ** len(self.box) + self.variance)
        exponent = torch.addcmul(share, difference, difference, value=-1.0)
        for stride in self.box:
            exponent = _window_sum(exponent, 2 * self.offset, stride)
        weight = _exponential(exponent, clamp=self.variance > 0)
        weighted = difference[before : before + end - begin].mul_(weight)
        weights[begin - base : end - base].add_(weight)
        weights[begin - base + jump : end - base + jump].add_(weight)
        change[begin - base : end - base].sub_(weighted)
        change[begin - base + jump : end - base + jump].add_(weighted)


def _window_sum(values: torch.Tensor, width: int, stride: int) -> torch.Tensor:
    """Sums over ``width`` values ``stride`` apart, by doubling: item i is the sum from i to i + (width-1) stride."""
    length = values.shape[0] - (width - 1) * stride
    total, start, size = None, 0, 1
    while width:
        if width & 1:
            piece = values[start : start + length]
            total = piece if total is None else total + piece
            start += size * stride
        width >>= 1
        if width:
            values = values[: -size * stride] + values[size * stride :]
            size *= 2
    return total if total is not None else values


def _exponential(exponent: torch.Tensor, clamp: bool) -> torch.Tensor:
    """Schraudolph's exponential: the number as the bits of a float; 0 beyond the cut-off. Overwrites its input."""
    if clamp:
        exponent.clamp_(max=float(EXPONENT_ONE))
    cut = torch.nn.functional.threshold(exponent, EXPONENT_ONE - CUTOFF * EXPONENT_STEP, 0.0, inplace=True)
    return cut.to(torch.int32).view(torch.float32)


ONE = float(torch.tensor(EXPONENT_ONE, dtype=torch.float32).to(torch.int32).view(torch.float32))


@dataclass(frozen=True)
class NonLocalMeans(Filter):
    """Non-local means with strengths in units of the noise.

    Attributes:
        patch_size: width of a patch in voxels.
        patch_distance: largest shift searched, in voxels.
        strength: ``h`` as a multiple of the noise.
        volumetric: compare patches in three dimensions; False slice by slice.
    """

    name: ClassVar[str] = "nlm"
    title: ClassVar[str] = "Non-local means"

    patch_size: int = field(default=5, metadata={"help": "patch width, voxels", "low": 2, "high": 15})
    patch_distance: int = field(default=6, metadata={"help": "search distance, voxels", "low": 1, "high": 30})
    strength: float = field(default=0.8, metadata={"help": "h, times the noise", "low": 0.01, "high": 100.0})
    volumetric: bool = field(default=False, metadata={"help": "three-dimensional patches"})

    @classmethod
    def grid(cls) -> list[Self]:
        """Patches of 3 to 7 pixels, strengths from 0.4 to 3 times the noise."""
        return [
            cls(patch_size=p, patch_distance=d, strength=h)
            for p, d in ((3, 5), (5, 6), (7, 9))
            for h in (0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)
        ]

    def _apply(self, image: np.ndarray, spacing_mm: tuple[float, ...], noise_std: float) -> np.ndarray:
        if noise_std == 0:
            return image.copy()
        return non_local_means(
            image, self.patch_size, self.patch_distance, self.strength * noise_std, noise_std, self.volumetric
        )
