"""Inputs that a converter must not take without a word: damaged, foreign and mis-scaled copies of a CT.

They are what the gate is tried on (ROC curves are drawn by the experiments), and sites may try theirs. All are our
choice; each keeps the grid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.mvct.tissue_map import body_mask
from manabi.volume import Volume

Corruption = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""From HU ``(n, rows, columns)`` float32, spacing of I, J, K in mm and a generator to HU of the same shape."""
AIR_HU, METAL_HU, MVCT_NOISE_HU = -1000.0, 6000.0, 25.0
FIELD_SHARE = 0.7
"""Radius of the truncating field of view over the half width of the body's widest slice."""


def corrupted(volume: Volume, name: str, seed: int = 0) -> Volume:
    """A corrupted copy of a CT whose slices are axial (see ``Volume.reoriented``).

    Args:
        volume: HU.
        name: one of :data:`CORRUPTIONS`.
        seed: where it lies and how strong it is follow from it.

    Raises:
        InvalidInputError: for an unknown name.
    """
    if name not in CORRUPTIONS:
        raise InvalidInputError(f"Unknown corruption {name!r}. Known: {', '.join(CORRUPTIONS)}.")
    hu = np.asarray(volume.array, np.float32)
    changed = CORRUPTIONS[name](hu, np.asarray(volume.spacing_mm, float), np.random.default_rng(seed))
    return volume.like(changed.astype(np.float32), name=f"{volume.name} {name}")


def _noise(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three times an MVCT's noise, correlated over a pixel, on top."""
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), (0.0, 0.7, 0.7))
    return hu + noise * (3.0 * MVCT_NOISE_HU / float(noise.std()))


def _blur(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian of 3 to 4 mm."""
    sigma = rng.uniform(3.0, 4.0)
    return ndimage.gaussian_filter(hu, (0.0, sigma / spacing_mm[1], sigma / spacing_mm[0]))


def _offset(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """100 to 200 HU up or down."""
    return hu + np.float32(rng.choice([-1.0, 1.0]) * rng.uniform(100.0, 200.0))


def _stored_values(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The intercept of -1024 forgotten."""
    return hu + np.float32(1024.0)


def _scaled(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Values scaled to 0 … 1, as an image that went through another program."""
    low, high = float(hu.min()), float(hu.max())
    return (hu - low) / max(high - low, 1.0)


def _stretched(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rescale slope of 1.3 or 0.7 too many, about air."""
    return (hu - AIR_HU) * np.float32(rng.choice([0.7, 1.3])) + AIR_HU


def _block(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of at least a quarter of the body's extent, in a third of the slices, lost (0 HU)."""
    body = body_mask(hu, spacing_mm)
    out = hu.copy()
    where = np.argwhere(body) if body.any() else np.argwhere(np.ones_like(body))
    first, last = where.min(0), where.max(0) + 1
    size = np.maximum(((last - first) * np.array([0.33, 0.3, 0.3])).astype(int), 1)
    start = [int(rng.integers(a, max(a + 1, b - s + 1))) for a, b, s in zip(first, last, size, strict=True)]
    middle = ((first + last - size) / 2).astype(int)
    k, j, i = start[0], int(middle[1]), int(middle[2])
    out[k : k + size[0], j : j + size[1], i : i + size[2]] = 0.0
    return out


def _lost_slices(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tenth of the slices, in one piece, empty."""
    out = hu.copy()
    count = max(1, len(hu) // 10)
    start = int(rng.integers(len(hu) // 4, max(len(hu) // 4 + 1, 3 * len(hu) // 4 - count)))
    out[start : start + count] = AIR_HU
    return out


def _sheared(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A gantry tilt of 25 to 35 degrees that was ignored: every slice shifted a little more than the last."""
    step = np.tan(np.radians(rng.uniform(25.0, 35.0))) * rng.choice([-1.0, 1.0]) * spacing_mm[2] / spacing_mm[1]
    middle = (len(hu) - 1) / 2.0
    moved = [
        ndimage.shift(image, ((k - middle) * step, 0.0), order=1, mode="constant", cval=AIR_HU)
        for k, image in enumerate(hu)
    ]
    return np.stack(moved)


def _mirrored(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black and white exchanged within -1000 … 1000 HU."""
    return -np.clip(hu, -1000.0, 1000.0)


def _metal(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sphere of 8 mm in the body with dark and bright bands through it in the slices that it meets."""
    body = body_mask(hu, spacing_mm)
    inner = ndimage.binary_erosion(body, np.ones((1, 5, 5), bool), iterations=3)
    places = np.argwhere(inner if inner.any() else np.ones_like(body))
    centre = places[rng.integers(len(places))]
    k, j, i = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
    y, x = (j - centre[1]) * spacing_mm[1], (i - centre[2]) * spacing_mm[0]
    z = (k - centre[0]) * spacing_mm[2]
    away = np.sqrt(x * x + y * y + z * z)
    bands = 350.0 * np.cos(6.0 * np.arctan2(y, x + 1e-6)) * np.exp(-np.hypot(x, y) / 60.0)
    out = np.where(body & (np.abs(z) <= 8.0), hu + bands, hu)
    return np.where(away <= 8.0, METAL_HU, out)


def _truncated(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A circular field of view smaller than the body; -1024 HU outside."""
    body = body_mask(hu, spacing_mm)
    columns = np.flatnonzero(body.any((0, 1)))
    half = 0.5 * (columns[-1] - columns[0]) * spacing_mm[0] if columns.size else 100.0
    y, x = np.mgrid[: hu.shape[1], : hu.shape[2]].astype(float)
    y, x = (y - (hu.shape[1] - 1) / 2) * spacing_mm[1], (x - (hu.shape[2] - 1) / 2) * spacing_mm[0]
    return np.where(np.hypot(x, y) > FIELD_SHARE * half, -1024.0, hu)


def _wrong_size(hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pixel size that is 1.8 times too small: the body appears so much smaller."""
    inverse = np.diag([1.0, 1.8, 1.8])
    centre = (np.array(hu.shape) - 1) / 2.0
    return ndimage.affine_transform(hu, inverse, centre - inverse @ centre, order=1, mode="constant", cval=AIR_HU)


CORRUPTIONS: dict[str, Corruption] = {
    "noise": _noise,
    "blur": _blur,
    "offset": _offset,
    "stored_values": _stored_values,
    "scaled": _scaled,
    "stretched": _stretched,
    "block": _block,
    "lost_slices": _lost_slices,
    "sheared": _sheared,
    "mirrored": _mirrored,
    "metal": _metal,
    "truncated": _truncated,
    "wrong_size": _wrong_size,
}
"""By name; :func:`corrupted` applies one."""
