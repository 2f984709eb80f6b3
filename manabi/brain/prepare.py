"""From an MR image of any orientation and resolution to what BrainSeg's networks see, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.structures.ct_input import averaged
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor

WORK_MM = 1.0
"""Voxels that the networks see (our choice; SynthSeg's)."""
LOW_PERCENT, HIGH_PERCENT = 1.0, 99.5
"""Percentiles of the values above zero that become 0 and 1 (our choice)."""
COUNTED = 400_000
"""About so many values are looked at for the percentiles."""
FULL_HEIGHT = 255.0
HEAD_LEVEL = 0.12
"""Voxels above this, of 1, may belong to the head when the image is cut to it (our choice)."""
MARGIN_MM = 8.0
LARGEST_MM = 420.0
"""No head is longer; images of more, at 1 mm, are refused."""


def normalised(image: Tensor) -> Tensor:
    """Values with the percentiles of what is above zero at 0 and 1, clipped to between 0 and 1.5; float32.

    An image without any value above zero comes back as zeros.
    """
    import torch

    flat = image.reshape(-1)
    picked = flat[:: max(len(flat) // COUNTED, 1)]
    picked = picked[picked > 1e-6]
    if len(picked) < 16:
        return torch.zeros_like(image)
    ordered = picked.sort().values
    low = ordered[int(len(ordered) * LOW_PERCENT / 100)]
    high = ordered[min(int(len(ordered) * HIGH_PERCENT / 100), len(ordered) - 1)]
    return ((image - low) / (high - low).clamp(min=1e-6)).clamp(0.0, 1.5)


@dataclass(frozen=True)
class Prepared:
    """An image on the working grid.

    Attributes:
        image: (slices, rows, columns) float32 normalised values, RAS order, :data:`WORK_MM`.
        volume: the same values as a volume, with its place.
        original: the grid of the input.
        warnings: what was changed.
    """

    image: np.ndarray
    volume: Volume
    original: Grid
    warnings: tuple[str, ...]


def prepare(volume: Volume) -> Prepared:
    """Turn, resample and normalise an MR image; raises InvalidInputError where it is larger than any head."""
    import torch

    straight = volume.straightened() if volume.grid.is_sheared else volume
    canonical = straight.reoriented()
    extent = np.array(canonical.shape[::-1]) * canonical.spacing_mm
    if extent.max() > LARGEST_MM:
        raise InvalidInputError(
            f"Expected an MR of the head; this image is {extent.max():.0f} mm long. Crop it to the head."
        )
    values = np.asarray(canonical.array, np.float32)
    lowest = float(values.min())
    if lowest < 0:
        values = values - lowest
    whole = canonical.like(values)
    grid = whole.grid.with_spacing(np.full(3, WORK_MM))
    work = averaged(whole, (WORK_MM,) * 3).resampled(grid)
    image = normalised(torch.from_numpy(np.array(work.array, np.float32))).numpy()
    low, high = head_box(image)
    placed = work.like(image).crop(low, high)
    new = straight.warnings[len(volume.warnings) :]
    return Prepared(np.array(placed.array), placed, volume.grid, tuple(new))


def head_box(image: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Start and stop (KJI) of the box around what may be head, with a margin; the whole image where nothing is."""
    from scipy.ndimage import label, uniform_filter

    coarse = uniform_filter(image, 4)[::4, ::4, ::4] > HEAD_LEVEL
    found, count = label(coarse)
    if not count:
        return (0, 0, 0), image.shape
    sizes = np.bincount(found.ravel())[1:]
    mask = np.isin(found, np.flatnonzero(sizes > 0.05 * sizes.max()) + 1)
    low, high = [], []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low.append(int(max(hit[0] * 4 - MARGIN_MM, 0)))
        high.append(int(min(hit[-1] * 4 + 4 + MARGIN_MM, image.shape[axis])))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
