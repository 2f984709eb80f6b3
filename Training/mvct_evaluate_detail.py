"""What an image resolves and what its noise looks like: edge MTF at the skin, noise power in flat tissue.

Both take the places from the true kVCT and measure the image there, so that every converter is measured at the same
places. Images are ``(slices, rows, columns)`` in HU; ``spacing_mm`` is that of columns and rows (x, y).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.signal.windows import tukey

SKIN_HU = -500.0
"""Halfway from air to tissue: where the edge is."""
REACH_MM, STEP_MM = 8.0, 0.1
"""Half length and step of a profile through the skin (our choice)."""
SLICES = 12
"""Slices that edges are taken from, spread evenly (our choice)."""
CLEAN_AIR_HU = 80.0
"""How far the reference may lie from -1000 outside the skin: keeps masks and couch out (our choice)."""
CLEAN_TISSUE_HU = (-350.0, 200.0)
PATCH_MM = 20.0
"""Side of the squares that noise is measured in (our choice)."""
FLAT_HU = 60.0
"""Largest range of the smoothed reference within a square that counts as flat (our choice)."""
SOFT_HU = (-150.0, 150.0)
PATCHES = 60


@dataclass(frozen=True)
class Mtf:
    """Modulation transfer along the skin's normal.

    Attributes:
        frequency: line pairs per mm.
        transfer: 1 at zero.
        edges: profiles that were taken; 0 leaves both arrays empty.
    """

    frequency: np.ndarray
    transfer: np.ndarray
    edges: int

    def at(self, level: float) -> float:
        """The first frequency (line pairs per mm) where the transfer falls to ``level``; nan where it does not."""
        below = np.flatnonzero(self.transfer <= level)
        if not below.size or not below[0]:
            return float("nan")
        k = below[0]
        high, low = self.transfer[k - 1], self.transfer[k]
        return float(np.interp((high - level) / (high - low), [0, 1], self.frequency[k - 1 : k + 1]))


@dataclass(frozen=True)
class Noise:
    """Noise in flat soft tissue.

    Attributes:
        sd_hu: standard deviation; nan where no flat square was found.
        mean_frequency: of the power, 1/mm; low for blotchy noise.
        frequency: centres of the rings, 1/mm.
        power: mean power in each ring, HU² mm².
        squares: how many were measured.
    """

    sd_hu: float
    mean_frequency: float
    frequency: np.ndarray
    power: np.ndarray
    squares: int


# --- resolution -------------------------------------------------------------------------------------------------------


def edge_mtf(image: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float]) -> Mtf:
    """MTF from the mean profile through the skin, oversampled along its normals.

    As in a slanted-edge measurement (ISO 12233), the pixel grid meets the skin at many offsets, so the profile is
    known more finely than the pixels. An edge that moved counts as blurred.

    Args:
        image: what is measured.
        reference: true kVCT of the same place, which says where the skin is.
        spacing_mm: columns, rows.
    """
    offsets = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM)
    profiles = [_profiles(image[k], reference[k], spacing_mm, offsets) for k in _spread(reference)]
    found = np.concatenate(profiles) if profiles else np.zeros((0, len(offsets)))
    if len(found) < 20:
        return Mtf(np.zeros(0), np.zeros(0), len(found))
    spread = np.gradient(found.mean(0))
    padded = np.zeros(8 * len(spread))
    padded[: len(spread)] = spread * tukey(len(spread), 0.5)
    transfer = np.abs(np.fft.rfft(padded))
    frequency = np.fft.rfftfreq(len(padded), STEP_MM)
    keep = frequency <= 1.0
    return Mtf(frequency[keep], transfer[keep] / transfer[0], len(found))


def _spread(reference: np.ndarray) -> list[int]:
    """Slices that hold a body, evenly thinned."""
    full = np.flatnonzero((reference > SKIN_HU).mean((1, 2)) > 0.02)
    return full[np.linspace(0, len(full) - 1, min(SLICES, len(full))).astype(int)].tolist() if len(full) else []


def _profiles(
    image: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float], offsets: np.ndarray
) -> np.ndarray:
    """Clean profiles of the image from air to tissue, ``(edges, offsets)``."""
    from skimage.measure import find_contours

    step = np.array(spacing_mm[::-1], float)
    smooth = ndimage.gaussian_filter(reference.astype(np.float64), 1.0 / step)
    slope = np.stack([g / s for g, s in zip(np.gradient(smooth), step, strict=True)])
    chosen = []
    for points in find_contours(smooth, SKIN_HU):
        if len(points) < 40:
            continue
        normal = np.stack([ndimage.map_coordinates(part, points.T, order=1) for part in slope], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        places = points[:, None] + normal[:, None] * offsets[:, None] / step
        true, taken = (_sampled(array, places) for array in (smooth, image))
        chosen.append(taken[_clean(true, offsets)])
    return np.concatenate(chosen) if chosen else np.zeros((0, len(offsets)))


def _sampled(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(array.astype(np.float64), places.transpose(2, 0, 1), order=1, mode="nearest")


def _clean(profiles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Which profiles lead from free air into soft tissue."""
    air, tissue = profiles[:, offsets < -4.0], profiles[:, offsets > 4.0]
    free = np.abs(air + 1000.0).max(1) < CLEAN_AIR_HU
    low, high = CLEAN_TISSUE_HU
    return free & (tissue.min(1) > low) & (tissue.max(1) < high)


# --- noise ------------------------------------------------------------------------------------------------------------


def noise_power(image: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float]) -> Noise:
    """Noise power spectrum in the flattest squares of soft tissue, each without its mean and slope.

    ``NPS(f) = dx dy / (Nx Ny) mean |DFT|²`` (ICRU 54, section 3), averaged over rings.
    """
    side = max(int(round(PATCH_MM / max(spacing_mm))), 8)
    patches = np.array([image[k, r : r + side, c : c + side] for k, r, c in _flat(reference, spacing_mm, side)])
    if not len(patches):
        return Noise(float("nan"), float("nan"), np.zeros(0), np.zeros(0), 0)
    left = _without_plane(patches.astype(np.float64))
    power = np.square(np.abs(np.fft.fft2(left))).mean(0) * spacing_mm[0] * spacing_mm[1] / side**2
    fx, fy = (np.fft.fftfreq(side, s) for s in spacing_mm)
    radius = np.hypot(fy[:, None], fx[None])
    rings = np.arange(0.0, 0.5 / max(spacing_mm) + 1e-9, 1.0 / PATCH_MM)
    ring = np.digitize(radius, rings) - 1
    inside = ring < len(rings) - 1
    count = np.maximum(np.bincount(ring[inside], minlength=len(rings) - 1), 1)
    radial = np.bincount(ring[inside], power[inside], len(rings) - 1) / count
    mean = float((radius * power).sum() / max(float(power.sum()), 1e-12))
    return Noise(float(np.sqrt(left.var(axis=(1, 2)).mean())), mean, (rings[1:] + rings[:-1]) / 2, radial, len(left))


def _flat(reference: np.ndarray, spacing_mm: tuple[float, float], side: int) -> Iterator[tuple[int, int, int]]:
    """Corners of the flattest squares of soft tissue."""
    sigma = (0, 2.0 / spacing_mm[1], 2.0 / spacing_mm[0])
    smooth = ndimage.gaussian_filter(reference.astype(np.float32), sigma)
    found = []
    for k in range(len(smooth)):
        for r in range(0, smooth.shape[1] - side + 1, side):
            for c in range(0, smooth.shape[2] - side + 1, side):
                square = smooth[k, r : r + side, c : c + side]
                low, high = float(square.min()), float(square.max())
                if low > SOFT_HU[0] and high < SOFT_HU[1] and high - low < FLAT_HU:
                    found.append((high - low, k, r, c))
    yield from ((k, r, c) for _, k, r, c in sorted(found)[:PATCHES])


def _without_plane(patches: np.ndarray) -> np.ndarray:
    """Each patch ``(n, side, side)`` less its mean and linear slope."""
    side = patches.shape[1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    centred = patches - patches.mean((1, 2), keepdims=True)
    for ramp in (x, y):
        slope = (centred * ramp).sum((1, 2), keepdims=True) / (ramp**2).sum()
        centred = centred - slope * ramp
    return centred
