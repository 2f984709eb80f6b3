"""Giving back faint detail of the input that a network took for noise.

A network that was trained to be right on average draws a faint small lesion fainter than it is. The input, mapped to
kilovoltage HU by the polynomial (:func:`manabi.mvct.baselines.polynomial`), still holds it, with the input's noise. Of
the difference between the mapped input and the converted image, what is of the size of a lesion is added back in soft
tissue: less fine than :data:`FINE_MM`, where the noise is, and less coarse than :data:`COARSE_MM`, where the map's own
errors are. All of it is our choice; ``docs/results/mvct_detail.md`` shows what it costs in contrast to noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

FINE_MM, COARSE_MM = 2.5, 15.0
"""Sigma of the Gaussians between whose results the detail lies."""
SOFT_HU = (-20.0, 130.0)
"""Soft tissue of the converted image; its borders to fat and bone are left alone."""
MOST_HU = 60.0
"""A larger detail is no faint one and counts as this."""
LEAST_WEIGHT = 0.2
"""Share of soft tissue under the fine Gaussian from which on its mean counts."""


def faint_detail(
    mapped: np.ndarray, converted: np.ndarray, spacing_mm: Sequence[float], fine_mm: float = FINE_MM
) -> np.ndarray:  # fmt: skip
    """What the mapped input shows in soft tissue and the converted image does not, HU.

    Args:
        mapped: input mapped to kilovoltage HU, ``(slices, rows, columns)``.
        converted: what the network made of it, the same shape.
        spacing_mm: of I, J, K.
        fine_mm: sigma below which the difference is noise.

    Returns:
        Detail in HU, at most :data:`MOST_HU` either way, fading to 0 at the border of soft tissue.
    """
    step = np.asarray(spacing_mm, float)[::-1]
    smooth = ndimage.gaussian_filter(np.asarray(converted, np.float32), 1.0 / step)
    soft = ndimage.binary_opening((smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1]), np.ones((1, 3, 3), bool))
    weight = soft.astype(np.float32)
    difference = weight * (np.asarray(mapped, np.float32) - converted)
    means = []
    for sigma in (fine_mm, COARSE_MM):
        total = ndimage.gaussian_filter(weight, sigma / step, truncate=3.0)
        means.append(ndimage.gaussian_filter(difference, sigma / step, truncate=3.0) / np.maximum(total, LEAST_WEIGHT))
    inner = ndimage.gaussian_filter(
        ndimage.binary_erosion(soft, np.ones((1, 3, 3), bool)).astype(np.float32), 1.0 / step
    )
    return np.clip(means[0] - means[1], -MOST_HU, MOST_HU) * inner
