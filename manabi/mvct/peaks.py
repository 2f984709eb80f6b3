"""Where fat and muscle lie in an image's own histogram.

Expected values: ICRU-44 compositions give adipose -72 HU and muscle +43 HU at 75 keV, and -49 and +40 HU at
megavoltage energies, where HU is 1000 (relative electron density - 1); patients' fat on 120 kV scanners is rather
-105 HU, and the kV value here lies between. The fit is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FAT_HU = {"mvct": -49.0, "cbct": -90.0, "kvct": -90.0}
MUSCLE_HU = {"mvct": 40.0, "cbct": 45.0, "kvct": 45.0}
RANGE_HU = (-300.0, 300.0)
BIN_HU = 4.0
START_SHIFTS_HU = (-120.0, -60.0, -30.0, 0.0, 30.0, 60.0, 120.0)
GAP_SHARE = (0.5, 1.7)
"""The gap between the peaks is looked for between these shares of the expected one."""
ONE_PEAK = 1.1
"""A gap within this of the narrowest one is a single peak in two halves: slices of the skull show brain and hardly any
fat (our choice)."""
MOST_SD_HU = 35.0
OFF_HU, GAP_LOG, STRANGE = 60.0, 0.3, 0.02
"""Of two fits the one nearer to what is expected wins when they explain the histogram about equally well."""
ROUNDS = 40
FEWEST = 500
LEAST_SHARE = 0.04
"""A peak with less of the soft tissue is not found."""


@dataclass(frozen=True)
class SoftPeaks:
    """Fat and muscle.

    Attributes:
        fat_hu: peak of fat.
        muscle_hu: peak of muscle and other soft tissue.
        sd_hu: width of the peaks.
        found: False where they are the expected values because the image shows no two peaks.
    """

    fat_hu: float
    muscle_hu: float
    sd_hu: float
    found: bool

    @property
    def gap_hu(self) -> float:
        """Muscle minus fat."""
        return self.muscle_hu - self.fat_hu

    @property
    def middle_hu(self) -> float:
        """The limit between fat and muscle."""
        return 0.5 * (self.fat_hu + self.muscle_hu)

    @property
    def bone_hu(self) -> float:
        """The limit between muscle and bone: as far above muscle as fat is below."""
        return self.muscle_hu + self.gap_hu


def expected_peaks(kind: str) -> SoftPeaks:
    """The peaks that an image of a kind should have."""
    return SoftPeaks(FAT_HU[kind], MUSCLE_HU[kind], 20.0, False)


def soft_peaks(smooth: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray, kind: str) -> SoftPeaks:
    """Fit two normal peaks and a floor to the flat soft tissue of the body.

    Args:
        smooth: ``(n, rows, columns)`` HU after smoothing.
        body: of the same shape.
        spacing_mm: of I, J, K.
        kind: ``mvct``, ``cbct`` or ``kvct``.
    """
    wanted = expected_peaks(kind)
    values = _flat_values(smooth, body, spacing_mm)
    if values.size < FEWEST:
        return wanted
    counts, edges = np.histogram(values, np.arange(RANGE_HU[0], RANGE_HU[1] + BIN_HU, BIN_HU))
    centres = 0.5 * (edges[1:] + edges[:-1])
    fits = [_fit(centres, counts.astype(float), wanted, shift) for shift in START_SHIFTS_HU]
    _, peaks = max(fits, key=lambda fit: fit[0])
    return peaks if peaks.found else wanted


def _flat_values(smooth: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Values of the flatter half of the body's soft tissue: voxels that are half one tissue and half another go."""
    slope = np.hypot(ndimage.prewitt(smooth, 1) / spacing_mm[1], ndimage.prewitt(smooth, 2) / spacing_mm[0])
    soft = ndimage.binary_erosion(body, np.ones((1, 3, 3), bool), border_value=1)
    soft &= (smooth > RANGE_HU[0]) & (smooth < RANGE_HU[1])
    if not soft.any():
        return np.zeros(0)
    return smooth[soft & (slope <= np.median(slope[soft]))]


def _fit(x: np.ndarray, counts: np.ndarray, wanted: SoftPeaks, shift: float) -> tuple[float, SoftPeaks]:
    """Expectation maximisation from one start; its log likelihood, penalised by how far the scale is off."""
    means = np.array([wanted.fat_hu, wanted.muscle_hu]) + shift
    sds, shares, floor = np.array([25.0, 25.0]), np.array([0.4, 0.5]), 0.1
    total, level = counts.sum(), 1.0 / (RANGE_HU[1] - RANGE_HU[0])
    density = np.ones_like(x)
    for _ in range(ROUNDS):
        parts = shares * np.exp(-0.5 * ((x[:, None] - means) / sds) ** 2) / (sds * np.sqrt(2 * np.pi))
        density = parts.sum(1) + floor * level
        weight = counts[:, None] * parts / density[:, None]
        mass = np.maximum(weight.sum(0), 1e-9)
        means = _kept_apart((weight * x[:, None]).sum(0) / mass, wanted.gap_hu)
        sds = np.clip(np.sqrt((weight * (x[:, None] - means) ** 2).sum(0) / mass), 4.0, MOST_SD_HU)
        shares, floor = mass / total, max(1.0 - mass.sum() / total, 0.01)
    likelihood = float((counts * np.log(density)).sum() / total)
    off, gap = float(means.mean() - wanted.middle_hu), float(means[1] - means[0])
    found = bool(shares.min() >= LEAST_SHARE and gap > ONE_PEAK * GAP_SHARE[0] * wanted.gap_hu)
    strange = (off / OFF_HU) ** 2 + (np.log(gap / wanted.gap_hu) / GAP_LOG) ** 2
    score = likelihood - 0.5 * STRANGE * strange - (0.0 if found else 10.0)
    return score, SoftPeaks(float(means[0]), float(means[1]), float(sds.mean()), found)


def _kept_apart(means: np.ndarray, gap: float) -> np.ndarray:
    """The two means with a gap within the limits, about the same middle."""
    low, high = np.sort(means)
    middle, half = 0.5 * (low + high), 0.5 * np.clip(high - low, GAP_SHARE[0] * gap, GAP_SHARE[1] * gap)
    return np.array([middle - half, middle + half])
