"""From slices of any size and spacing to what the network sees: body-centred, slab-averaged, with their neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from manabi.slices.stack import AIR_HU, AxialStack

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", np.ndarray, torch.Tensor)

BODY_HU = -400.0
COARSE_MM = 6.0
PROBES = 13
"""Slices that the body's middle is taken from (our choice)."""
BLOCK = 16
"""Slices that are reduced together; bounds the memory."""


@dataclass(frozen=True)
class InputSettings:
    """What a network was trained to see.

    Attributes:
        size: rows and columns.
        pixel_mm: their distance.
        slab_mm: thickness that each plane averages over (the source's 4 mm).
        offsets_mm: planes above and below that are seen along with the slice; 0 is the slice itself. Those 20 and 28 mm
            below show whether the lung ends in between, which is what the diaphragm's marker is about.
        lung: level and width of the lung window in HU, for all planes (ILD-Slider: width 700; level our choice).
        soft: level and width of a second window, for the slice itself (our choice).
    """

    size: int = 128
    pixel_mm: float = 3.0
    slab_mm: float = 4.0
    offsets_mm: tuple[float, ...] = (-28.0, -20.0, -12.0, -4.0, 0.0, 4.0, 12.0)
    lung: tuple[float, float] = (-550.0, 700.0)
    soft: tuple[float, float] = (0.0, 500.0)

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return len(self.offsets_mm) + 1

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> InputSettings:
        """From a bundle's metadata."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
        return cls(**values)

    def facts(self) -> dict[str, Any]:
        """For a bundle's metadata."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}


class Preparer:
    """Prepares slices of one stack; each slice of the stack is read and reduced once, when it is first needed."""

    def __init__(self, stack: AxialStack, settings: InputSettings) -> None:
        self.stack, self.settings = stack, settings
        self._reduced: dict[int, np.ndarray] = {}

    @cached_property
    def centre_ij(self) -> tuple[float, float]:
        """Column and row of the body's middle."""
        return body_centre(self.stack)

    def planes(self, z_mm: Sequence[float] | np.ndarray) -> np.ndarray:
        """Slab averages at positions along the stack.

        Args:
            z_mm: ``(m,)`` positions; beyond the image its outermost slice is repeated.

        Returns:
            ``(m, size, size)``, float32, HU.
        """
        weights = [slab_weights(self.stack, float(z), self.settings.slab_mm) for z in z_mm]
        self._reduce(sorted({k for indices, _ in weights for k in indices} - self._reduced.keys()))
        size = self.settings.size
        out = np.zeros((len(weights), size, size), np.float32)
        for plane, (indices, shares) in zip(out, weights, strict=True):
            for k, share in zip(indices, shares, strict=True):
                plane += share * self._reduced[k]
        return out

    def inputs(self, z_mm: Sequence[float] | np.ndarray) -> np.ndarray:
        """What the network sees at positions: ``(m, channels, size, size)``, float32."""
        z = np.asarray(z_mm, float)
        offsets = np.array(self.settings.offsets_mm)
        places = (z[:, None] + offsets[None]).round(3)
        wanted, where = np.unique(places, return_inverse=True)
        planes = self.planes(wanted)[where.reshape(places.shape)]
        return to_channels(planes, self.settings)

    def _reduce(self, indices: Sequence[int]) -> None:
        rows, columns = self._matrices
        for first in range(0, len(indices), BLOCK):
            some = indices[first : first + BLOCK]
            block = np.stack([self.stack.plane(k) for k in some]).astype(np.float32) - np.float32(AIR_HU)
            np.clip(block, 0, 4095, out=block)
            self._reduced.update(zip(some, rows @ (block @ columns) + np.float32(AIR_HU), strict=True))

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """``(size, rows)`` and ``(columns, size)`` that bring a slice to the network's pixels."""
        (centre_i, centre_j), (step_i, step_j) = self.centre_ij, self.stack.pixel_mm
        _, n_rows, n_columns = self.stack.volume.shape
        s = self.settings
        rows = reduction(n_rows, step_j, centre_j, s.size, s.pixel_mm)
        return rows, reduction(n_columns, step_i, centre_i, s.size, s.pixel_mm).T.copy()


def prepare(stack: AxialStack, z_mm: Sequence[float] | np.ndarray, settings: InputSettings) -> np.ndarray:
    """What the network sees at positions of a stack: ``(m, channels, size, size)``, float32, 0 to 1."""
    return Preparer(stack, settings).inputs(z_mm)


def to_channels(planes: Array, settings: InputSettings) -> Array:
    """Windows of planes ``(m, n_offsets, size, size)`` in HU: all in the lung window, the middle one in the soft one.

    Takes and gives a NumPy array or a torch tensor, float32 from 0 to 1.
    """
    middle = settings.offsets_mm.index(0.0)
    lung = _windowed(planes, settings.lung)
    soft = _windowed(planes[:, middle : middle + 1], settings.soft)
    if isinstance(planes, np.ndarray):
        return np.concatenate([lung, soft], axis=1)
    import torch

    return torch.cat([lung, soft], dim=1)


def _windowed(values: Array, window: tuple[float, float]) -> Array:
    level, width = window
    return ((values - (level - width / 2)) / width).clip(0.0, 1.0)


def slab_weights(stack: AxialStack, z_mm: float, slab_mm: float) -> tuple[list[int], list[float]]:
    """Which slices a slab averages, and with what shares (they sum to 1); each slice is as thick as their distance."""
    spacing = stack.spacing_mm
    z = float(np.clip(z_mm, stack.z_mm[0], stack.z_mm[-1]))
    half, slab = spacing / 2, max(slab_mm, 1e-3) / 2
    low, high = z - slab, z + slab
    overlap = np.minimum(stack.z_mm + half, high) - np.maximum(stack.z_mm - half, low)
    indices = np.flatnonzero(overlap > 1e-6 * spacing)
    if not len(indices):
        return [stack.nearest(z)], [1.0]
    shares = overlap[indices] / overlap[indices].sum()
    return indices.tolist(), shares.tolist()


def reduction(n: int, step_mm: float, centre: float, size: int, pixel_mm: float) -> np.ndarray:
    """Weights ``(size, n)`` of linear interpolation that averages where pixels become larger; beyond the image, none.

    Rows sum to 1 within the image: a triangle as wide as the coarser of both pixels, as antialiased resizing does.
    """
    width = max(step_mm, pixel_mm)
    here = (np.arange(n) - centre) * step_mm
    there = (np.arange(size) - (size - 1) / 2) * pixel_mm
    weights = np.clip(1.0 - np.abs(there[:, None] - here[None]) / width, 0.0, None)
    inside = (there - width >= here[0] - step_mm) & (there + width <= here[-1] + step_mm)
    full = np.where(inside, weights.sum(axis=1), width / step_mm)
    return (weights / full[:, None]).astype(np.float32)


def body_centre(stack: AxialStack) -> tuple[float, float]:
    """Column and row of the body's middle: the median over some slices of the outline's middle; couch left out."""
    from scipy import ndimage

    stride_i, stride_j = (max(round(COARSE_MM / step), 1) for step in stack.pixel_mm)
    centres = []
    for k in np.unique(np.linspace(0, stack.n - 1, PROBES).round().astype(int)):
        mask = ndimage.binary_opening(stack.plane(k)[::stride_j, ::stride_i] > BODY_HU, iterations=2)
        labels, count = ndimage.label(mask)
        if count == 0:
            continue
        largest = int(np.bincount(labels.ravel())[1:].argmax())
        rows, columns = ndimage.find_objects(labels)[largest]
        centres.append((_middle(columns) * stride_i, _middle(rows) * stride_j))
    if not centres:
        _, n_rows, n_columns = stack.volume.shape
        return (n_columns - 1) / 2, (n_rows - 1) / 2
    i, j = np.median(np.array(centres), axis=0)
    return float(i), float(j)


def _middle(extent: slice) -> float:
    return (extent.start + extent.stop - 1) / 2
