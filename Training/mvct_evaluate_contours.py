"""Whether contours drawn on the converted CT would lie where they lie on the true kVCT.

The frozen segmenter is a fixed set of HU limits on the smoothed image; nothing of it is learned, so that it favours no
converter. It draws the borders of fat, soft tissue, bone and air, which is what a physician's eye follows; it draws no
single organ. Images are ``(slices, rows, columns)`` in HU.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SMOOTH_MM = 1.0
"""Gaussian sigma within the slice before the limits are applied (our choice)."""
LIMITS_HU = {"air": (-np.inf, -300.0), "fat": (-300.0, -15.0), "soft": (-15.0, 200.0), "bone": (200.0, np.inf)}
"""HU of each tissue on kVCT: -15 lies halfway between adipose and muscle at 75 keV (``methods/mvct.md``)."""
SURFACES = ("soft", "bone")
"""Tissues whose borders' distance is measured."""


def contour_scores(
    reference: np.ndarray, image: np.ndarray, mask: np.ndarray, spacing_mm: np.ndarray
) -> dict[str, float]:
    """Dice of each tissue in the mask, and the mean distance of the borders of soft tissue and bone in mm.

    Args:
        reference: true kVCT.
        image: the converted CT on the same grid.
        mask: body.
        spacing_mm: along I, J and K.

    Returns:
        ``dice_NAME`` and ``border_mm_NAME``; nan where neither image holds the tissue.
    """
    step = np.asarray(spacing_mm, float)[::-1]
    first, second = (segmented(array, step) for array in (reference, image))
    inside = np.asarray(mask, bool)
    scores = {}
    for name, index in codes().items():
        a, b = (first == index) & inside, (second == index) & inside
        scores[f"dice_{name}"] = dice(a, b)
        if name in SURFACES:
            scores[f"border_mm_{name}"] = border_distance(a, b, step)
    return scores


def codes() -> dict[str, int]:
    """Label of each tissue in :func:`segmented`."""
    return {name: index for index, name in enumerate(LIMITS_HU, start=1)}


def segmented(image: np.ndarray, spacing_kji: np.ndarray) -> np.ndarray:
    """Labels 1 to 4 by the limits on the smoothed image, uint8."""
    sigma = (0.0, SMOOTH_MM / spacing_kji[1], SMOOTH_MM / spacing_kji[2])
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), sigma)
    edges = [high for _, high in LIMITS_HU.values()][:-1]
    return (np.digitize(smooth, edges) + 1).astype(np.uint8)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap ``2|A∩B| / (|A|+|B|)``; nan where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else float("nan")


def border_distance(first: np.ndarray, second: np.ndarray, spacing_kji: np.ndarray) -> float:
    """Mean distance in mm of each border's pixels to the other border, within the slice, both ways.

    nan where no slice holds both.
    """
    distances = []
    for a, b in zip(first, second, strict=True):
        if a.any() and b.any():
            distances += _to_border(a, b, spacing_kji[1:]) + _to_border(b, a, spacing_kji[1:])
    return float(np.concatenate(distances).mean()) if distances else float("nan")


def _to_border(first: np.ndarray, second: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    edge, other = (m & ~ndimage.binary_erosion(m) for m in (first, second))
    return [ndimage.distance_transform_edt(~other, sampling=spacing)[edge]]
