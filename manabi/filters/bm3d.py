"""A collaborative filter of the BM3D class, for single slices and for noise that is not white.

Source: Dabov, Foi, Katkovnik and Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative filtering",
IEEE TIP 2007, 10.1109/TIP.2007.901238; one variance per transform coefficient for correlated noise as in Dabov et al.,
"Image restoration by sparse 3D transform-domain collaborative filtering", SPIE 6812, 2008, 10.1117/12.766355.

Two steps: hard thresholding of groups of similar patches, then Wiener filtering of groups found on, and weighted by,
the first estimate. Differences from the original are our choices, made so that all groups can be computed at once:
every group holds the same number of patches, the most similar ones, without a limit on their distance; patches are
transformed by the DCT in both steps; groups by the Haar transform. The mean of a group is never shrunk, so that counts
are kept where they are low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F

from manabi.errors import InvalidInputError
from manabi.filters.base import Filter, Pairs
from manabi.filters.noise import noise_fraction, noise_spectrum
from manabi.filters.parallel import parallel_map

KAISER_BETA = 2.0
THRESHOLD = 2.7
OUTSIDE = 1e4


@dataclass(frozen=True)
class BM3D(Filter):
    """Block matching and collaborative filtering of each slice.

    Attributes:
        strength: multiplies the standard deviation of the noise.
        patch_size: width of a patch in pixels.
        step: distance between reference patches in pixels.
        search_radius: largest shift at which similar patches are sought, in pixels.
        group_size: patches per group in the first step; twice as many in the second. A power of 2.
        noise_spectrum: variance of the noise in each DCT coefficient of a patch relative to that of a pixel,
            ``patch_size²`` numbers by rows (see :func:`manabi.filters.noise.noise_spectrum`); None for white noise.
    """

    name: ClassVar[str] = "bm3d"
    title: ClassVar[str] = "BM3D-class"

    strength: float = field(default=1.0, metadata={"help": "times the noise", "low": 0.01, "high": 100.0})
    patch_size: int = field(default=8, metadata={"help": "patch width, pixels", "low": 2, "high": 16})
    step: int = field(default=3, metadata={"help": "distance of reference patches, pixels", "low": 1, "high": 16})
    search_radius: int = field(default=12, metadata={"help": "pixels", "low": 1, "high": 32})
    group_size: int = field(default=16, metadata={"help": "patches per group", "low": 1, "high": 64})
    noise_spectrum: tuple | None = field(default=None, metadata={"help": "relative variance per DCT coefficient"})

    def __post_init__(self) -> None:
        """Check also that the group is a power of 2 and the spectrum fits the patch."""
        if self.noise_spectrum is not None and not isinstance(self.noise_spectrum, str):
            object.__setattr__(self, "noise_spectrum", tuple(float(v) for v in self.noise_spectrum))
        super().__post_init__()
        if self.group_size & (self.group_size - 1):
            raise InvalidInputError(f"group_size must be a power of 2; got {self.group_size}.")
        if self.step > self.patch_size:
            raise InvalidInputError(f"step must not exceed patch_size ({self.patch_size}); got {self.step}.")
        if self.noise_spectrum is not None and (
            len(self.noise_spectrum) != self.patch_size**2 or not min(self.noise_spectrum) > 0
        ):
            raise InvalidInputError(
                f"noise_spectrum must hold {self.patch_size}² positive numbers; got {len(self.noise_spectrum)}."
            )

    @classmethod
    def grid(cls) -> list[Self]:
        """Strengths from 0.5 to 2.5 for patches of 4 and 8 pixels."""
        return [cls(patch_size=p, step=s, strength=h) for p, s in ((4, 2), (8, 3)) for h in (0.5, 0.75, 1.0, 1.5, 2.5)]

    @classmethod
    def candidates(cls, pairs: Pairs) -> list[Self]:
        """The grid for white noise and for the spectrum of noisy - reference, each with the noise measured."""
        fraction = noise_fraction(pairs)
        found = []
        for one in cls.grid():
            spectrum = tuple(noise_spectrum([n - r for n, r in pairs], one.patch_size).ravel())
            for choice in (None, spectrum):
                found.append(cls.of({**vars(one), "noise_fraction": fraction, "noise_spectrum": choice}))
        return found

    def _apply(self, image: np.ndarray, spacing_mm: tuple[float, ...], noise_std: float) -> np.ndarray:
        if noise_std == 0:
            return image.copy()
        stack = image.reshape(-1, *image.shape[-2:])
        slices = parallel_map(lambda one: self._slice(torch.from_numpy(one), noise_std), list(stack))
        return torch.stack(slices).reshape(image.shape).numpy()

    def _slice(self, image: torch.Tensor, noise_std: float) -> torch.Tensor:
        """Both steps on one slice, padded by reflection so that the reference patches reach every pixel."""
        size = self.patch_size
        extra = [max(size - n, 0) or (size - n) % self.step for n in image.shape]
        padded = torch.from_numpy(np.pad(image.numpy(), [(0, e) for e in extra], mode="reflect"))
        relative = torch.ones(size * size) if self.noise_spectrum is None else torch.tensor(self.noise_spectrum)
        variance = relative * (self.strength * noise_std) ** 2
        basic = self._step(padded, padded, variance, self.group_size, wiener=False)
        final = self._step(padded, basic, variance, 2 * self.group_size, wiener=True)
        return final[: image.shape[0], : image.shape[1]]

    def _step(
        self, noisy: torch.Tensor, guide: torch.Tensor, variance: torch.Tensor, group: int, wiener: bool
    ) -> torch.Tensor:
        """One collaborative filtering of ``noisy`` with groups found on ``guide``."""
        size = self.patch_size
        members = _match(guide, size, self.step, self.search_radius, group)
        dct = torch.kron(_dct(size), _dct(size))
        haar = _haar(members.shape[1])
        groups = haar @ (_patches(noisy, size) @ dct.T)[members]
        if wiener:
            power = (haar @ (_patches(guide, size) @ dct.T)[members]) ** 2
            gain = power / (power + variance)
        else:
            gain = (groups**2 > THRESHOLD**2 * variance).to(groups.dtype)
        gain[:, 0, 0] = 1.0
        weight = 1.0 / (gain**2 * variance).sum((1, 2)).clamp(min=1e-12)
        weight = weight / weight.max()
        patches = (haar.T @ (groups * gain)) @ dct
        return _aggregate(patches, weight, members, noisy.shape, size)


def _patches(image: torch.Tensor, size: int) -> torch.Tensor:
    """All patches, ``(positions, size²)``, positions by rows."""
    return image.unfold(0, size, 1).unfold(1, size, 1).reshape(-1, size * size)


def _match(image: torch.Tensor, size: int, step: int, radius: int, group: int) -> torch.Tensor:
    """Positions of the most similar patches of each reference patch, ``(references, group)``, itself first.

    The group is cut to the largest power of 2 that a corner of the image can fill.
    """
    rows, columns = image.shape
    ny, nx = rows - size + 1, columns - size + 1
    room = min(radius + 1, ny) * min(radius + 1, nx)
    group = min(group, 2 ** int(math.log2(room)))
    span = float(image.max() - image.min()) or 1.0
    normal = (image - image.min()) / span
    padded = F.pad(normal, (radius,) * 4, value=OUTSIDE)
    width = 2 * radius + 1
    distances = []
    for i in range(width):
        shifted = padded[i : i + rows].unfold(1, columns, 1).transpose(0, 1)
        distances.append(F.avg_pool2d((shifted - normal).square_()[None], size, step)[0].flatten(1))
    table = torch.cat(distances)
    table[radius * width + radius] = -1.0
    shift = table.topk(group, dim=0, largest=False).indices.T
    y, x = torch.meshgrid(torch.arange(0, ny, step), torch.arange(0, nx, step), indexing="ij")
    return (y.reshape(-1, 1) + shift // width - radius) * nx + x.reshape(-1, 1) + shift % width - radius


def _aggregate(
    patches: torch.Tensor, weight: torch.Tensor, members: torch.Tensor, shape: torch.Size, size: int
) -> torch.Tensor:
    """Weighted mean, at every pixel, of the estimates of all patches over it."""
    window = torch.kaiser_window(size, periodic=False, beta=KAISER_BETA)
    window = torch.outer(window, window).reshape(-1)
    count = (shape[0] - size + 1) * (shape[1] - size + 1)
    places, each = members.flatten(), weight.repeat_interleave(members.shape[1])
    values = torch.zeros(count, size * size).index_add_(0, places, patches.flatten(0, 1) * each[:, None])
    weights = torch.zeros(count).index_add_(0, places, each)
    both = torch.stack([(values * window).T, window[:, None] * weights])
    total, norm = F.fold(both, shape, size)[:, 0]
    return total / norm


@cache
def _dct(size: int) -> torch.Tensor:
    """The orthonormal DCT-II matrix."""
    k, n = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    matrix = torch.cos(math.pi * (n + 0.5) * k / size) * math.sqrt(2.0 / size)
    matrix[0] /= math.sqrt(2.0)
    return matrix


@cache
def _haar(size: int) -> torch.Tensor:
    """The orthonormal Haar matrix; the first row is the mean times sqrt(size)."""
    matrix = torch.ones(1, 1)
    while matrix.shape[0] < size:
        mean = torch.kron(matrix, torch.tensor([[1.0, 1.0]]))
        detail = torch.kron(torch.eye(matrix.shape[0]), torch.tensor([[1.0, -1.0]]))
        matrix = torch.cat([mean, detail]) / math.sqrt(2.0)
    return matrix
