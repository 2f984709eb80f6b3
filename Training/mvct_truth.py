"""Tissues of a true kVCT by fixed HU limits, for scoring and for what a bundle expects.

A planning CT is calibrated, so limits are surer than the peaks of its own histogram (which
:mod:`manabi.mvct.tissue_map` takes, because an input may be off), also where an image holds much brain and little fat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from manabi.mvct.peaks import expected_peaks
from manabi.mvct.tissue_map import LABELS, TissueMap, body_mask, smooth_in

SMOOTH_MM = 1.0
LIMITS_HU = {
    "air": (-np.inf, -850.0), "lung": (-850.0, -400.0), "fat": (-160.0, -35.0), "muscle": (15.0, 110.0),
    "bone": (250.0, np.inf),
}  # fmt: skip
"""HU of each tissue after smoothing; between them a voxel is of no tissue (our choice). Muscle holds brain and glands,
whose HU are close to it."""


def kvct_tissues(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray | None = None) -> TissueMap:
    """The tissues of a kVCT.

    Args:
        hu: ``(slices, rows, columns)`` in HU.
        spacing_mm: along I, J and K.
        body: where it is known.

    Returns:
        The map; its peaks are the expected ones and count as found, so that fat is measured wherever there is some.
    """
    inside = body_mask(hu, spacing_mm) if body is None else np.asarray(body, bool)
    smooth = smooth_in(np.asarray(hu, np.float32), inside, SMOOTH_MM, spacing_mm)
    labels = np.zeros(hu.shape, np.uint8)
    for tissue, (low, high) in LIMITS_HU.items():
        labels[inside & (smooth > low) & (smooth <= high)] = LABELS[tissue]
    return TissueMap(labels, inside, replace(expected_peaks("kvct"), found=True), 0.0)
