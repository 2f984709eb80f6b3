"""First order: the definitions, spelled out with numpy, and values that are all alike."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.radiomics import discretise, firstorder


def sample(size: int, seed: int = 0) -> np.ndarray:
    """Values with ties."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < 0.3, np.rint(rng.normal(0, 40, size)), rng.gamma(2.0, 60.0, size))


@pytest.mark.parametrize("size", [2, 3, 11, 100, 20_001])
def test_ibsi_statistics_are_their_definitions(size: int):
    x = sample(size, size)
    levels = discretise.by_width(x, 25.0).inside
    found = {name.removeprefix("firstorder_"): value for name, value in firstorder.ibsi(x, levels).items()}
    p10, p25, p50, p75, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    kept = x[(x >= p10) & (x <= p90)]
    z = (x - x.mean()) / x.std()
    wanted = {
        "Mean": x.mean(), "Variance": x.var(), "Skewness": (z**3).mean(), "Kurtosis": (z**4).mean() - 3,
        "Median": p50, "Minimum": x.min(), "10Percentile": p10, "90Percentile": p90, "Maximum": x.max(),
        "InterquartileRange": p75 - p25, "Range": np.ptp(x), "MeanAbsoluteDeviation": np.abs(x - x.mean()).mean(),
        "RobustMeanAbsoluteDeviation": np.abs(kept - kept.mean()).mean() if len(kept) else np.nan,
        "MedianAbsoluteDeviation": np.abs(x - p50).mean(), "CoefficientOfVariation": x.std() / x.mean(),
        "QuartileCoefficientOfDispersion": (p75 - p25) / (p75 + p25), "Energy": (x**2).sum(),
        "RootMeanSquared": np.sqrt((x**2).mean()),
    }  # fmt: skip
    assert list(found) == list(wanted)
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True)


def test_levels_only_make_it_faster():
    x = sample(5000)
    levels = discretise.by_width_pyradiomics(x, 25.0).inside
    assert firstorder.ibsi(x, levels) == firstorder.ibsi(x)


def test_pyradiomics_kurtosis_is_not_in_excess_and_energy_is_shifted():
    x = sample(2000)
    levels = discretise.by_width_pyradiomics(x, 25.0).inside
    ours, theirs = firstorder.ibsi(x), firstorder.pyradiomics(x, levels, 2.5, shift=10.0)
    assert theirs["firstorder_Kurtosis"] == pytest.approx(ours["firstorder_Kurtosis"] + 3)
    assert theirs["firstorder_Energy"] == pytest.approx(((x + 10) ** 2).sum())
    assert theirs["firstorder_TotalEnergy"] == pytest.approx(2.5 * theirs["firstorder_Energy"])
    assert len(theirs) == 18


@pytest.mark.parametrize("value", [0.0, 0.1, -1000.0])
def test_equal_values_have_no_shape_in_ibsi_and_none_in_pyradiomics(value: float):
    x = np.full(1001, value)
    ours = firstorder.ibsi(x)
    assert np.isnan(ours["firstorder_Skewness"]) and np.isnan(ours["firstorder_Kurtosis"])
    theirs = firstorder.pyradiomics(x, np.ones(1001, np.int32), 1.0)
    assert theirs["firstorder_Skewness"] == theirs["firstorder_Kurtosis"] == 0
    assert theirs["firstorder_Entropy"] == pytest.approx(0, abs=1e-12)
    assert theirs["firstorder_Uniformity"] == 1


def test_one_value_is_enough():
    found = firstorder.ibsi(np.array([7.0]))
    assert found["firstorder_Median"] == found["firstorder_90Percentile"] == 7
    assert found["firstorder_RobustMeanAbsoluteDeviation"] == 0


def test_input_is_not_modified():
    x = sample(500)
    before = x.copy()
    x.setflags(write=False)
    firstorder.ibsi(x)
    firstorder.pyradiomics(x, discretise.by_width_pyradiomics(x, 25.0).inside, 1.0)
    assert np.array_equal(x, before)
