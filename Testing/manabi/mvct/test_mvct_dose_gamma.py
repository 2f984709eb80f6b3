"""Gamma against what can be calculated by hand, and against a brute-force search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.mvct.dose_gamma import gamma_index, pass_rate

SPACING = np.array([2.0, 2.5, 3.0])


def doses():
    k, j, i = np.mgrid[:8, :20, :22]
    reference = 100 * np.exp(-((((k - 4) * 3 / 12) ** 2 + ((j - 10) * 2.5 / 18) ** 2 + ((i - 11) * 2 / 18) ** 2) ** 2))
    rng = np.random.default_rng(0)
    evaluated = ndimage.shift(reference, (0.3, 0.4, -0.5), order=1, mode="nearest") * 1.012
    return reference, evaluated + ndimage.gaussian_filter(rng.normal(size=reference.shape), 1.0) * 4.0


def brute(reference, evaluated, step):
    """Gamma 2 %/2 mm by trying every place of a fine lattice at every point."""
    line = np.arange(-1.0, 1.0 + 1e-9, step)
    best = np.full(reference.shape, np.inf)
    grid = np.stack(np.mgrid[tuple(slice(0, n) for n in reference.shape)]).astype(float)
    last = np.array(reference.shape)[:, None, None, None] - 1.0
    for place in np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3):
        if (place**2).sum() > 1.0:
            continue
        where = grid + (place * 2.0 / SPACING[::-1])[:, None, None, None]
        dose = ndimage.map_coordinates(evaluated, where, order=1, mode="nearest")
        found = ((dose - reference) / (0.02 * reference.max())) ** 2 + (place**2).sum()
        best = np.minimum(best, np.where(((where >= 0) & (where <= last)).all(0), found, np.inf))
    return np.sqrt(best)


def test_equal_doses_agree_everywhere():
    reference, _ = doses()
    gamma = gamma_index(reference, reference, SPACING)
    assert np.nanmax(gamma) == 0.0 and pass_rate(gamma) == 100.0


def test_below_the_threshold_nothing_is_said():
    reference, evaluated = doses()
    gamma = gamma_index(reference, evaluated, SPACING, threshold_percent=30.0)
    assert np.array_equal(np.isnan(gamma), reference < 0.3 * reference.max())


def test_a_difference_in_a_flat_dose_is_counted_in_criteria():
    flat = np.full((4, 6, 6), 50.0)
    assert np.allclose(gamma_index(flat, flat * 1.01, SPACING), 0.5, atol=1e-5)
    assert np.allclose(gamma_index(flat, flat * 1.03, SPACING, dose_percent=3.0), 1.0, atol=1e-5)
    assert np.allclose(gamma_index(flat, flat * 1.5, SPACING), 1.5)
    assert np.allclose(gamma_index(flat, flat * 1.5, SPACING, most=3.0), 3.0)


@pytest.mark.parametrize("shift_mm", [0.5, 1.0, 1.4])
def test_a_shift_of_a_steep_edge_is_counted_in_millimetres(shift_mm):
    x = np.arange(40) * SPACING[0]
    reference = np.broadcast_to(10.0 * x, (3, 4, 40)).copy()
    evaluated = reference - 10.0 * shift_mm
    gamma = gamma_index(reference, evaluated, SPACING, threshold_percent=50.0, dose_percent=0.2, most=1.5)
    slope = 10.0 / (0.002 * reference.max() / 2.0)
    exact = 10.0 * shift_mm / (0.002 * reference.max()) / np.hypot(1.0, slope)
    assert np.allclose(gamma[:, :, 25:-3], exact, atol=0.03)


def test_it_agrees_with_brute_force():
    reference, evaluated = doses()
    ours, slow = gamma_index(reference, evaluated, SPACING), brute(reference, evaluated, 0.1)
    known = np.isfinite(ours) & (slow <= 1.0)
    assert known.sum() > 500 and (ours[np.isfinite(ours)] > 1.0).sum() > 30
    assert (ours[known] <= slow[known] + np.where(slow[known] < 0.35, 0.25, 0.06)).all()
    assert np.abs(ours - slow)[known].mean() < 0.03
    assert pass_rate(ours) == pytest.approx(100 * (slow[np.isfinite(ours)] <= 1).mean(), abs=1.0)


def test_local_criteria_are_stricter_where_the_dose_is_low():
    reference, evaluated = doses()
    everywhere, local = (gamma_index(reference, evaluated, SPACING, local=flag) for flag in (False, True))
    assert pass_rate(local) < pass_rate(everywhere)


def test_the_pass_rate_can_be_that_of_a_structure():
    gamma = np.array([[[0.5, 1.5, np.nan, 0.2]]])
    assert pass_rate(gamma) == pytest.approx(200 / 3)
    assert pass_rate(gamma, np.array([[[True, False, True, True]]])) == 100.0
    assert np.isnan(pass_rate(gamma, np.array([[[False, False, True, False]]])))


def test_what_cannot_be_compared_is_refused():
    reference, evaluated = doses()
    with pytest.raises(InvalidInputError, match="one grid"):
        gamma_index(reference, evaluated[1:], SPACING)
    with pytest.raises(InvalidInputError, match="nowhere above 0"):
        gamma_index(0 * reference, evaluated, SPACING)
    with pytest.raises(InvalidInputError, match="positive"):
        gamma_index(reference, evaluated, SPACING, distance_mm=0.0)
