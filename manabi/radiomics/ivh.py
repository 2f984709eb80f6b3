"""Intensity-volume histogram: the part of the region at or above an intensity.

Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003, section 3.5 (7 features).
"""

from __future__ import annotations

import numpy as np

PERCENT = (10, 90)


def features(levels: np.ndarray, intensity: np.ndarray) -> dict[str, float]:
    """The seven features of the intensity-volume histogram.

    Args:
        levels: int32, one fine bin from 1 for each voxel of the region.
        intensity: what each bin stands for, from the lowest to the highest that counts, whether or not a voxel has it.
            The intensity fraction is 0 at the first and 1 at the last.

    Returns:
        ``ivh_Name`` -> value. Volumes are fractions of the region; intensities have the unit of ``intensity``. The
        area under the curve is the trapezoidal integral over the intensity fraction.
    """
    counts = np.bincount(levels, minlength=len(intensity) + 1)[1 : len(intensity) + 1]
    above = 1 - (np.cumsum(counts) - counts) / counts.sum()
    span = intensity[-1] - intensity[0]
    fraction = (intensity - intensity[0]) / span if span > 0 else np.ones(len(intensity))
    volume = {p: _volume_at(above, fraction, p / 100) for p in PERCENT}
    place = {p: _intensity_at(above, intensity, p / 100) for p in PERCENT}
    found = {
        "V10": volume[10],
        "V90": volume[90],
        "I10": place[10],
        "I90": place[90],
        "V10minusV90": volume[10] - volume[90],
        "I10minusI90": place[10] - place[90],
        "AreaUnderCurve": float(np.trapezoid(above, fraction)) if span > 0 else 1.0,
    }
    return {f"ivh_{name}": value for name, value in found.items()}


def _volume_at(above: np.ndarray, fraction: np.ndarray, share: float) -> float:
    """The largest volume fraction whose intensity fraction is at least ``share``."""
    return float(above[np.flatnonzero(fraction >= share - 1e-12)[0]])


def _intensity_at(above: np.ndarray, intensity: np.ndarray, share: float) -> float:
    """The lowest intensity at or above which lies at most ``share`` of the volume; the highest where there is none."""
    reached = np.flatnonzero(above <= share)
    return float(intensity[reached[0]] if len(reached) else intensity[-1])
