"""First-order features: the distribution of a region's values, whatever their places.

``ibsi``: the 18 statistics of Zwanenburg et al., Image biomarker standardisation initiative, 2020, arXiv 1612.07003,
section 3.3. ``pyradiomics``: the 18 of van Griethuysen et al., 2017, DOI 10.1158/0008-5472.CAN-17-0339, with kurtosis
that is not in excess of the normal distribution's, and the entropy and uniformity of the grey levels. Nothing is
sorted; sums run over the array's own order, so that they round as pyradiomics' do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NAN = float("nan")
BLOCK = 8192
PERCENTS = (10, 25, 50, 75, 90)
EPSILON = float(np.spacing(1))
"""pyradiomics adds this to probabilities before the logarithm."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of a region with what several features need of them, each computed once.

    Attributes:
        values: float64.
        levels: int32, their grey levels from 1 where they are known: a higher level holds higher values, so that a
            percentile is looked for in its own level only, and nothing has to be sorted.
    """

    values: np.ndarray
    levels: np.ndarray | None = None

    @cached_property
    def level_counts(self) -> np.ndarray:
        """How many values have each level, from level 0; all in one level where levels are not known."""
        return np.array([0, len(self.values)]) if self.levels is None else np.bincount(self.levels)

    @cached_property
    def percentiles(self) -> dict[int, float]:
        """Percentiles of :data:`PERCENTS` with linear interpolation between neighbours."""
        places = {p: p / 100 * (len(self.values) - 1) for p in PERCENTS}
        last = len(self.values) - 1
        ranks = sorted({rank for place in places.values() for rank in (int(place), min(int(place) + 1, last))})
        at = self._ranked(ranks)
        return {p: _between(at[int(x)], at[min(int(x) + 1, last)], x - int(x)) for p, x in places.items()}

    def _ranked(self, ranks: list[int]) -> dict[int, float]:
        """The values at these places of the sorted sample."""
        ends = np.cumsum(self.level_counts)
        levels = np.searchsorted(ends, ranks, "right")
        found: dict[int, float] = {}
        for level in np.unique(levels).tolist():
            start = int(ends[level] - self.level_counts[level])
            wanted = [rank - start for rank, own in zip(ranks, levels, strict=True) if own == level]
            members = self.values if self.levels is None else self.values[self.levels == level]
            members = np.partition(members, wanted)
            found |= {start + place: float(members[place]) for place in wanted}
        return found

    @cached_property
    def mean(self) -> float:
        """Arithmetic mean."""
        return float(np.mean(self.values))

    @cached_property
    def low(self) -> float:
        """Smallest value."""
        return float(self.values.min())

    @cached_property
    def high(self) -> float:
        """Largest value."""
        return float(self.values.max())

    @cached_property
    def moments(self) -> tuple[float, float, float]:
        """Second, third and fourth central moment, block by block so that blocks stay in the processor's cache."""
        sums = np.zeros(3)
        for start in range(0, len(self.values), BLOCK):
            centred = self.values[start : start + BLOCK] - self.mean
            square = centred * centred
            sums += square.sum(), square @ centred, square @ square
        second, third, fourth = (sums / len(self.values)).tolist()
        return second, third, fourth

    def standardised(self) -> tuple[float, float]:
        """Skewness and kurtosis (3 for a normal distribution); NaN where all values are equal."""
        second, third, fourth = self.moments
        if self.low == self.high or second == 0:
            return NAN, NAN
        return third / second**1.5, fourth / second**2

    def deviation_from(self, centre: float) -> float:
        """Mean absolute deviation from a value."""
        distance = self.values - centre
        np.abs(distance, out=distance)
        return float(np.mean(distance))

    def robust_deviation(self) -> float:
        """Mean absolute deviation of the values from the 10th to the 90th percentile, from their own mean."""
        low, high = self.percentiles[10], self.percentiles[90]
        blocks = [self.values[start : start + BLOCK] for start in range(0, len(self.values), BLOCK)]
        weights = [((block >= low) & (block <= high)).astype(np.float64) for block in blocks]
        total = float(sum(weight.sum() for weight in weights))
        if total == 0:
            return NAN
        mean = sum(float(weight @ block) for weight, block in zip(weights, blocks, strict=True)) / total
        distance = sum(float(weight @ np.abs(block - mean)) for weight, block in zip(weights, blocks, strict=True))
        return distance / total


def _between(low: float, high: float, part: float) -> float:
    """Linear interpolation from the nearer end, as numpy rounds it."""
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def ratio(top: float, bottom: float) -> float:
    """The quotient, NaN where it is not defined."""
    return top / bottom if bottom != 0 else NAN


def statistics(values: np.ndarray, levels: np.ndarray | None = None) -> dict[str, float]:
    """IBSI's statistics which intensities and grey levels have in common (16 of the 18), by name."""
    sample = Sample(np.asarray(values, dtype=np.float64), levels)
    skewness, kurtosis = sample.standardised()
    quarter, median, three_quarters = (sample.percentiles[p] for p in (25, 50, 75))
    return {
        "Mean": sample.mean,
        "Variance": sample.moments[0],
        "Skewness": skewness,
        "Kurtosis": kurtosis - 3,
        "Median": median,
        "Minimum": sample.low,
        "10Percentile": sample.percentiles[10],
        "90Percentile": sample.percentiles[90],
        "Maximum": sample.high,
        "InterquartileRange": three_quarters - quarter,
        "Range": sample.high - sample.low,
        "MeanAbsoluteDeviation": sample.deviation_from(sample.mean),
        "RobustMeanAbsoluteDeviation": sample.robust_deviation(),
        "MedianAbsoluteDeviation": sample.deviation_from(median),
        "CoefficientOfVariation": ratio(sample.moments[0] ** 0.5, sample.mean),
        "QuartileCoefficientOfDispersion": ratio(three_quarters - quarter, three_quarters + quarter),
    }


def ibsi(values: np.ndarray, levels: np.ndarray | None = None) -> dict[str, float]:
    """The 18 intensity statistics of IBSI.

    Args:
        values: float64, the region's intensities.
        levels: int32, their grey levels from 1, which only make it faster.

    Returns:
        ``firstorder_Name`` -> value in the intensity's unit, its square, or none; NaN where undefined. Kurtosis is
        in excess of the normal distribution's.
    """
    found = statistics(values, levels)
    found["Energy"] = float(values @ values)
    found["RootMeanSquared"] = (found["Energy"] / len(values)) ** 0.5
    return {f"firstorder_{name}": value for name, value in found.items()}


def pyradiomics(values: np.ndarray, levels: np.ndarray, voxel_mm3: float, shift: float = 0.0) -> dict[str, float]:
    """pyradiomics' 18 first-order features.

    Args:
        values: float64, the region's intensities, in the array's order.
        levels: int32, their grey levels from 1.
        voxel_mm3: the volume of a voxel, for TotalEnergy.
        shift: is added to the intensities in Energy, TotalEnergy and RootMeanSquared (its ``voxelArrayShift``).

    Returns:
        ``firstorder_Name`` -> value. Skewness and kurtosis of equal values are 0, as there.
    """
    sample = Sample(np.asarray(values, dtype=np.float64), levels)
    skewness, kurtosis = np.nan_to_num(sample.standardised()).tolist()
    counts = sample.level_counts
    part = counts[counts > 0] / len(values)
    shifted = sample.values + shift if shift else sample.values
    energy = float(shifted @ shifted)
    percentiles = sample.percentiles
    found = {
        "10Percentile": percentiles[10],
        "90Percentile": percentiles[90],
        "Energy": energy,
        "Entropy": float(-np.sum(part * np.log2(part + EPSILON))),
        "InterquartileRange": percentiles[75] - percentiles[25],
        "Kurtosis": kurtosis,
        "Maximum": sample.high,
        "MeanAbsoluteDeviation": sample.deviation_from(sample.mean),
        "Mean": sample.mean,
        "Median": percentiles[50],
        "Minimum": sample.low,
        "Range": sample.high - sample.low,
        "RobustMeanAbsoluteDeviation": sample.robust_deviation(),
        "RootMeanSquared": (energy / len(values)) ** 0.5,
        "Skewness": skewness,
        "TotalEnergy": energy * voxel_mm3,
        "Uniformity": float(np.sum(part**2)),
        "Variance": sample.moments[0],
    }
    return {f"firstorder_{name}": value for name, value in found.items()}
