"""Spread over several conversions, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.mvct.uncertainty import (
    calibrated,
    calibration_curve,
    calibration_factor,
    coverage,
    expected_calibration_error,
    spread,
)


def image(seed=0):
    return np.random.default_rng(seed).normal(size=(3, 16, 20)).astype(np.float32)


def test_the_spread_is_numpys():
    stack = [image(seed) for seed in range(5)]
    mean, sd = spread(iter(stack))
    assert np.allclose(mean, np.mean(stack, 0), atol=1e-5)
    assert np.allclose(sd, np.std(stack, 0, ddof=1), atol=1e-5)


def test_one_conversion_says_nothing():
    with pytest.raises(InvalidInputError, match="at least two"):
        spread([image()])


def errors(scale, count=20000):
    rng = np.random.default_rng(0)
    sd = rng.uniform(5, 40, count)
    return sd, rng.normal(0, scale * sd)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_the_factor_undoes_over_and_underconfidence(scale):
    sd, error = errors(scale)
    factor = calibration_factor(sd, error)
    assert factor == pytest.approx(scale, rel=0.06)
    better = calibrated(sd, factor)
    assert coverage(better, error) == pytest.approx(0.95, abs=0.015)
    assert expected_calibration_error(better, error) < 0.08 * np.sqrt(np.mean(error**2))
    if scale != 1.0:
        assert expected_calibration_error(sd, error) > 4 * expected_calibration_error(better, error)


def test_a_few_wild_errors_do_not_move_the_factor():
    sd, error = errors(1.0)
    error[:40] = 3000.0
    assert calibration_factor(sd, error) == pytest.approx(1.0, rel=0.15)


def test_the_curve_rises_and_calibration_needs_pairs():
    sd, error = errors(1.0)
    said, seen = calibration_curve(sd, error)
    assert len(said) == 10 and (np.diff(said) > 0).all() and np.corrcoef(said, seen)[0, 1] > 0.98
    with pytest.raises(InvalidInputError, match="same voxels"):
        calibration_factor(sd, error[1:])
