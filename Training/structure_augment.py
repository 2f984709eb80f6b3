"""Changes of a training crop that its structures survive: turned and sized in the slice, noisier, blurred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
BORDER = 1e-3
"""Voxels that come from beyond the crop by more than this share of a pixel are not known."""


def turned(parts: Parts, rng: np.random.Generator, turn_deg: float, zoom: float) -> Parts:
    """A crop turned about the slices' normal and sized in the slice.

    Args:
        parts: image ``(channels, k, j, i)``, labels and known voxels ``(1, k, j, i)``, distances ``(classes, k, j, i)``
            in pixels.
        rng: draws angle and size.
        turn_deg: largest angle.
        zoom: largest change of the size, as a share.

    Returns:
        The same; voxels from beyond the crop repeat its edge in the image and are not known.
    """
    angle = np.radians(rng.uniform(-turn_deg, turn_deg))
    size = float(np.exp(rng.uniform(-1.0, 1.0) * np.log1p(zoom)))
    image, labels, known, distances = parts
    grid = _grid(image.shape[-2:], angle, size)
    inside = (grid.abs() <= 1.0 + BORDER).all(-1)[0].numpy()
    smooth = _sampled(image, grid, "bilinear").astype(np.float32)
    nearest = [_sampled(part, grid, "nearest").astype(part.dtype) for part in (labels, known)]
    far = _sampled(distances, grid, "bilinear") * size if distances.size else distances
    return smooth, nearest[0], nearest[1] & inside, far.astype(distances.dtype)


def _grid(shape: Sequence[int], angle: float, size: float) -> Tensor:
    """Where each pixel of the turned slice comes from, in :func:`torch.nn.functional.grid_sample`'s units."""
    rows, columns = shape
    c, s = np.cos(angle) / size, np.sin(angle) / size
    matrix = [[c, -s * rows / columns, 0.0], [s * columns / rows, c, 0.0]]
    return F.affine_grid(torch.tensor([matrix], dtype=torch.float32), [1, 1, rows, columns], align_corners=False)


def _sampled(part: np.ndarray, grid: Tensor, mode: str) -> np.ndarray:
    flat = torch.from_numpy(np.ascontiguousarray(part, np.float32)).reshape(1, -1, *part.shape[-2:])
    found = F.grid_sample(flat, grid, mode=mode, padding_mode="border", align_corners=False)
    return found.reshape(part.shape).numpy()


def disturbed(image: np.ndarray, rng: np.random.Generator, noise: float, blur: float) -> np.ndarray:
    """An image ``(channels, k, j, i)`` from 0 to 1 with noise, or blurred in the slice, or neither, as often."""
    kind = int(rng.integers(3)) if noise or blur else 0
    if kind == 1 and noise:
        return image + rng.normal(0.0, rng.uniform(0.0, noise), image.shape)
    if kind == 2 and blur:
        sigma = rng.uniform(0.0, blur)
        return ndimage.gaussian_filter(image, (0, 0, sigma, sigma))
    return image
