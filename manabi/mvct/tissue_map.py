"""Where the body is, and air, lung, fat, muscle and bone in it, on noisy MVCT as on kVCT.

Tissue is told by Hounsfield units after smoothing that is matched to the image's noise and never mixes in the air
around the patient. The limit between fat and muscle is not fixed: it lies between the two peaks of the image's own
histogram, so that a scanner whose scale is off by tens of HU still gets a map (and :mod:`manabi.mvct.hu_check` then
says by how much it is off). The rules are our choice; the source has no tissue map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.mvct.lungs import lung_mask
from manabi.mvct.noise_level import noise_hu
from manabi.mvct.peaks import SoftPeaks, expected_peaks, soft_peaks

TISSUES = ("air", "lung", "fat", "muscle", "bone")
LABELS = {name: number for number, name in enumerate(TISSUES, 1)}
BODY_HU = -400.0
"""Between air and tissue, half of the step at the skin (fat at -50 to -100 HU) with some room for noise."""
COARSE_MM = 3.0
OPENING_MM = 6.0
"""Pieces thinner than twice this are no body: couch tops, masks, head rests."""
PART_SHARE = 0.2
"""Pieces from this share of the largest are body too: arms, shoulders seen apart."""
REST_ROWS = 1
"""A piece of a slice that reaches no further forward than so many coarse rows past the back of the largest is none."""
CAVITY_RIM = 0.5
LOW_BELOW_FAT_HU = 200.0
NOISY_HU = 18.0
SMOOTH_MM = (1.0, 2.0)
"""Sigma for images below and above :data:`NOISY_HU`; of the noisy at least :data:`SMOOTH_PIXELS`."""
SMOOTH_PIXELS = 0.8
SMOOTH_SLICES = 0.7


@dataclass(frozen=True)
class TissueMap:
    """Tissues of a CT.

    Attributes:
        labels: ``(n, rows, columns)`` uint8; 0 outside the body, 1 to 5 as :data:`TISSUES`.
        body: ``(n, rows, columns)`` bool, airways and lungs included, couch left out.
        peaks: where fat and muscle lie in this image.
        noise_hu: standard deviation of the noise in soft tissue.
    """

    labels: np.ndarray
    body: np.ndarray
    peaks: SoftPeaks
    noise_hu: float

    def mask(self, tissue: str) -> np.ndarray:
        """Voxels of one tissue."""
        return self.labels == LABELS[tissue]


def body_mask(hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The patient without couch and mask, filled slice by slice; empty where the image shows no body.

    Args:
        hu: ``(n, rows, columns)`` axial slices in HU.
        spacing_mm: of I, J, K, as ``Volume.spacing_mm``.
    """
    factor = max(1, round(COARSE_MM / float(min(spacing_mm[:2]))))
    coarse = _blocks(np.asarray(hu, np.float32), factor) > BODY_HU
    step_mm = factor * float(min(spacing_mm[:2]))
    radius = max(1, round(OPENING_MM / step_mm))
    thick = _largest(_opened(coarse, radius))
    kept = _largest(_opened(coarse | _cavities(coarse, thick, radius), radius))
    if not kept.any():
        return np.zeros(hu.shape, bool)
    filled = np.stack([_filled(_without_rest(image)) for image in kept])
    return _refined(hu, filled, factor)


def tissue_map(hu: np.ndarray, spacing_mm: np.ndarray, kind: str = "kvct", body: np.ndarray | None = None) -> TissueMap:
    """Label the tissues of a CT.

    Args:
        hu: ``(n, rows, columns)`` axial slices in HU.
        spacing_mm: of I, J, K, as ``Volume.spacing_mm``.
        kind: ``mvct``, ``cbct`` or ``kvct``: where fat and muscle are looked for.
        body: where it is known.
    """
    body = body_mask(hu, spacing_mm) if body is None else np.asarray(body, bool)
    labels = np.zeros(hu.shape, np.uint8)
    if not body.any():
        return TissueMap(labels, body, expected_peaks(kind), 0.0)
    box = bounding_box(body)
    inside, values = body[box], np.asarray(hu[box], np.float32)
    noise = noise_hu(values, spacing_mm, inside)
    pixel_mm = float(min(spacing_mm[:2]))
    sigma_mm = max(SMOOTH_MM[1], SMOOTH_PIXELS * pixel_mm) if noise > NOISY_HU else SMOOTH_MM[0]
    smooth = smooth_in(values, inside, sigma_mm, spacing_mm)
    peaks = soft_peaks(smooth, inside, spacing_mm, kind)
    labels[box] = _labelled(smooth, inside, peaks, spacing_mm)
    return TissueMap(labels, body, peaks, noise)


def smooth_in(hu: np.ndarray, inside: np.ndarray, sigma_mm: float, spacing_mm: np.ndarray) -> np.ndarray:
    """Gaussian mean of the voxels inside only (normalised convolution); HU as it is outside.

    Args:
        hu: ``(n, rows, columns)``.
        inside: of the same shape.
        sigma_mm: in plane and, at most :data:`SMOOTH_SLICES`, across slices.
        spacing_mm: of I, J, K.
    """
    sigma = (min(sigma_mm / spacing_mm[2], SMOOTH_SLICES), sigma_mm / spacing_mm[1], sigma_mm / spacing_mm[0])
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3.0)
    total = ndimage.gaussian_filter(np.where(inside, hu, 0).astype(np.float32), sigma, truncate=3.0)
    return np.where(inside, total / np.maximum(weight, 1e-3), hu).astype(np.float32)


def eroded(mask: np.ndarray, margin_mm: float, spacing_mm: np.ndarray) -> np.ndarray:
    """What lies deeper in the mask than a margin, slice by slice; the image's border counts as inside."""
    steps = max(1, round(margin_mm / float(min(spacing_mm[:2]))))
    return ndimage.binary_erosion(mask, _plane_disc(steps), border_value=1)


def bounding_box(mask: np.ndarray, margin: tuple[int, int, int] = (0, 0, 0)) -> tuple[slice, slice, slice]:
    """The smallest box of KJI slices that holds a mask that is not empty, with a margin where there is room."""
    around = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    k, j, i = (
        slice(max(int(v[0]) - m, 0), min(int(v[-1]) + 1 + m, n))
        for v, m, n in zip(around, margin, mask.shape, strict=True)
    )
    return k, j, i


def _labelled(smooth: np.ndarray, body: np.ndarray, peaks: SoftPeaks, spacing_mm: np.ndarray) -> np.ndarray:
    """Labels from smoothed HU: limits between peaks; low density split by :func:`manabi.mvct.lungs.lung_mask`."""
    low = body & (smooth < peaks.fat_hu - LOW_BELOW_FAT_HU)
    out = np.where(smooth < peaks.middle_hu, LABELS["fat"], LABELS["muscle"]).astype(np.uint8)
    out[smooth > peaks.bone_hu] = LABELS["bone"]
    out[low] = LABELS["air"]
    out[lung_mask(low, smooth, spacing_mm)] = LABELS["lung"]
    return np.where(body, out, 0).astype(np.uint8)


def _blocks(hu: np.ndarray, factor: int) -> np.ndarray:
    """Means of in-plane blocks; the last ones repeat the border."""
    if factor == 1:
        return hu
    rows, columns = (-hu.shape[1]) % factor, (-hu.shape[2]) % factor
    padded = np.pad(hu, ((0, 0), (0, rows), (0, columns)), mode="edge")
    n, r, c = padded.shape
    return padded.reshape(n, r // factor, factor, c // factor, factor).mean((2, 4))


def _plane_disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius + 1)[None]


def _opened(mask: np.ndarray, radius: int) -> np.ndarray:
    """In-plane opening that keeps the outline of what is thick; body cut by the image's border is not worn away."""
    disc = _plane_disc(radius)
    core = ndimage.binary_dilation(ndimage.binary_erosion(mask, disc, border_value=1), disc)
    return ndimage.binary_dilation(core, iterations=1) & mask


def _cavities(mask: np.ndarray, thick: np.ndarray, radius: int) -> np.ndarray:
    """Holes of the mask whose rim is mostly thick body, so that a thin chest wall over lung is not opened away.

    The inside of a hollow couch has the body on one side only.
    """
    out = np.zeros_like(mask)
    for k, image in enumerate(mask):
        holes, count = ndimage.label(ndimage.binary_fill_holes(image) & ~image)
        for number, box in enumerate(ndimage.find_objects(holes), 1) if count else ():
            rows, columns = (slice(max(s.start - radius - 1, 0), s.stop + radius + 1) for s in box)
            hole = holes[rows, columns] == number
            rim = ndimage.binary_dilation(hole, iterations=radius) & image[rows, columns]
            if (rim & thick[k, rows, columns]).sum() >= CAVITY_RIM * rim.sum():
                out[k, rows, columns] |= hole
    return out


def _largest(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return (sizes >= PART_SHARE * sizes.max())[pieces]


def _without_rest(image: np.ndarray) -> np.ndarray:
    """A slice without pieces that lie wholly behind the largest: a head rest that the neck touches elsewhere."""
    pieces, count = ndimage.label(image)
    if count < 2:
        return image
    sizes = np.bincount(pieces.ravel())[1:]
    boxes = ndimage.find_objects(pieces)
    back = boxes[int(np.argmax(sizes))][0].start
    kept = [
        False,
        *(box[0].stop > back + REST_ROWS or size == sizes.max() for box, size in zip(boxes, sizes, strict=True)),
    ]
    return np.asarray(kept)[pieces]


def _filled(image: np.ndarray) -> np.ndarray:
    """A slice of the body with what it encloses; narrow openings (nostrils) are closed first."""
    closed = np.pad(image, 3)
    closed = ndimage.binary_closing(closed, _plane_disc(2)[0])[3:-3, 3:-3] | image
    return ndimage.binary_fill_holes(closed)


def _refined(hu: np.ndarray, coarse: np.ndarray, factor: int) -> np.ndarray:
    """The coarse body on the fine grid: its outermost ring follows the fine image."""
    if factor == 1:
        return coarse
    disc = _plane_disc(1)
    inner = ndimage.binary_erosion(coarse, disc, border_value=1)
    outer = ndimage.binary_dilation(coarse, disc)
    shape = hu.shape
    fine = [np.repeat(np.repeat(m, factor, 1), factor, 2)[:, : shape[1], : shape[2]] for m in (inner, outer)]
    ring = fine[1] & ~fine[0]
    return fine[0] | (ring & (ndimage.uniform_filter(np.asarray(hu, np.float32), (1, 3, 3)) > BODY_HU))
