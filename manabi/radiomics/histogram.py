"""Intensity histogram: statistics of the grey levels, and of the histogram's shape.

Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003, section 3.4 (23 features).
"""

from __future__ import annotations

import numpy as np

from manabi.radiomics.firstorder import NAN, statistics


def features(levels: np.ndarray, count: int) -> dict[str, float]:
    """The 23 intensity-histogram features of IBSI.

    Args:
        levels: int32, one grey level from 1 for each voxel of the region.
        count: number of levels Ng; levels that no voxel has count in the gradients.

    Returns:
        ``histogram_Name`` -> value; NaN where undefined.
    """
    found = statistics(levels, levels)
    bins = np.bincount(levels, minlength=count + 1)[1:].astype(float)
    part = bins[bins > 0] / bins.sum()
    found["Mode"] = _mode(bins, found["Mean"])
    found["Entropy"] = float(-np.sum(part * np.log2(part)))
    found["Uniformity"] = float(np.sum(part**2))
    slopes = np.gradient(bins) if len(bins) > 1 else np.array([NAN])
    found["MaximumGradient"] = float(slopes.max())
    found["MaximumGradientLevel"] = float(slopes.argmax() + 1) if len(bins) > 1 else NAN
    found["MinimumGradient"] = float(slopes.min())
    found["MinimumGradientLevel"] = float(slopes.argmin() + 1) if len(bins) > 1 else NAN
    return {f"histogram_{name}": value for name, value in found.items()}


def _mode(bins: np.ndarray, mean: float) -> float:
    """The commonest level; of several the one closest to the mean."""
    common = np.flatnonzero(bins == bins.max()) + 1
    return float(common[np.argmin(np.abs(common - mean))])
