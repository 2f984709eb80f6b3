"""What the scanner makes of a head's signals: texture, partial volume, blur, field inhomogeneity, noise."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from manabi.geometry import Grid
from manabi.phantoms.brain_contrast import Sequence
from manabi.phantoms.brain_shapes import Nodes

TEXTURE = 0.03
"""Standard deviation of the tissues' own unevenness over their signal (our choice)."""
TEXTURE_MM = 3.0
FIELD_NODES = 4
"""Nodes of the field of inhomogeneity along each axis (SynthSeg's scale of 0.025 in 160 voxels)."""
REFERENCE = (350.0, 900.0)
"""Range of the brightest tissue's value in the image; scanners differ (our choice)."""


def textured(signal: np.ndarray, grid: Grid, seed: int) -> np.ndarray:
    """Signals ``(slices, rows, columns)`` with a fine unevenness, in place."""
    nodes = Nodes(grid, TEXTURE_MM)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        noise = nodes.fine(torch.randn(nodes.counts, generator=generator) * (TEXTURE * 1.5))
    signal *= noise.numpy() + np.float32(1.0)
    return signal


def mean_of_parts(fine: np.ndarray, parts: tuple[int, int, int]) -> np.ndarray:
    """Mean over the parts of every voxel; the array itself where there is one part only."""
    if max(parts) == 1:
        return fine
    with torch.no_grad():
        return F.avg_pool3d(torch.from_numpy(fine)[None, None], parts)[0, 0].numpy()


def imaged(image: np.ndarray, protocol: Sequence, brightest: float) -> np.ndarray:
    """Blur, inhomogeneity, Rician noise and the scanner's scale.

    Args:
        image: signals ``(slices, rows, columns)``.
        protocol: blur, inhomogeneity, noise and their seed.
        brightest: signal that the noise's percentage refers to.

    Returns:
        int16.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(protocol.seed)
    gain = float(np.exp(rng.uniform(*np.log(REFERENCE)))) / brightest
    out = gaussian_filter(image, (0.0, protocol.blur_voxels, protocol.blur_voxels), truncate=3.0)
    if min(image.shape) > 1:
        out = gaussian_filter(out, (0.6 * protocol.blur_voxels, 0.0, 0.0), truncate=3.0)
    out *= _field(image.shape, protocol.inhomogeneity_percent, rng)
    sd = 0.01 * protocol.noise_percent * brightest
    if sd > 0:
        real, imaginary = (rng.standard_normal(image.shape, np.float32) for _ in range(2))
        real *= sd
        out += real
        imaginary *= sd
        np.hypot(out, imaginary, out=out)
    out *= gain
    return np.clip(np.rint(out, out=out), 0, 32767).astype(np.int16)


def _field(shape: tuple[int, ...], percent: float, rng: np.random.Generator) -> np.ndarray:
    """Multiplicative field from ``1 - percent / 200`` to ``1 + percent / 200``, smooth."""
    from scipy.ndimage import zoom

    nodes = zoom(rng.normal(size=(FIELD_NODES,) * 3), 6, order=3, mode="nearest", grid_mode=False)
    middle, half = 0.5 * (nodes.max() + nodes.min()), 0.5 * np.ptp(nodes)
    nodes = 1.0 + 0.005 * percent * (nodes - middle) / half
    with torch.no_grad():
        whole = F.interpolate(
            torch.from_numpy(nodes.astype(np.float32))[None, None], shape, mode="trilinear", align_corners=True
        )
    return whole[0, 0].numpy()
