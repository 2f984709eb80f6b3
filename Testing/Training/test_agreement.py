"""Kappa, ICC and Bland-Altman against scikit-learn and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from manabi.errors import InvalidInputError
from Training.agreement import bland_altman, icc_2_1, kappa_difference, mean_squares, quadratic_kappa

RNG = np.random.default_rng(8)
TRUTH = RNG.integers(1, 5, 100)
GOOD = np.clip(TRUTH + (RNG.random(100) < 0.2), 1, 4)
POOR = np.clip(TRUTH + RNG.integers(-2, 3, 100), 1, 4)
PATIENTS = np.repeat(np.arange(50), 2)
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
"""Shrout and Fleiss 1979, table 2: six subjects, four judges."""


@pytest.mark.parametrize("other", [GOOD, POOR, TRUTH], ids=["good", "poor", "same"])
def test_kappa_is_scikit_learns(other):
    expected = cohen_kappa_score(TRUTH, other, weights="quadratic", labels=[1, 2, 3, 4])
    assert quadratic_kappa(TRUTH, other, PATIENTS, resamples=100).value == pytest.approx(expected)


def test_grades_that_never_occur_still_count_in_the_weights():
    found = quadratic_kappa([1, 1, 3, 3], [1, 3, 3, 3], list("abcd"), resamples=50)
    expected = cohen_kappa_score([1, 1, 3, 3], [1, 3, 3, 3], weights="quadratic", labels=[1, 2, 3, 4])
    assert found.value == pytest.approx(expected)


def test_the_kappa_interval_matches_resampling_by_hand():
    found = quadratic_kappa(TRUTH, POOR, PATIENTS, resamples=4000)
    rng = np.random.default_rng(5)
    slow = []
    for _ in range(400):
        rows = np.concatenate([[2 * p, 2 * p + 1] for p in rng.integers(50, size=50)])
        slow.append(cohen_kappa_score(TRUTH[rows], POOR[rows], weights="quadratic", labels=[1, 2, 3, 4]))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.04), pytest.approx(high, abs=0.04))


def test_two_striata_of_a_patient_widen_the_interval_when_they_agree():
    truth, other = np.repeat(TRUTH[:50], 2), np.repeat(POOR[:50], 2)
    together = quadratic_kappa(truth, other, PATIENTS)
    apart = quadratic_kappa(truth, other, np.arange(100))
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_a_gain_in_kappa_has_an_interval():
    gain = kappa_difference((TRUTH, POOR), (TRUTH, GOOD), PATIENTS)
    assert gain.low > 0
    assert gain.value == pytest.approx(
        quadratic_kappa(TRUTH, GOOD, PATIENTS).value - quadratic_kappa(TRUTH, POOR, PATIENTS).value
    )


def test_kappa_of_one_grade_is_undefined():
    assert np.isnan(quadratic_kappa([2, 2, 2], [2, 2, 2], list("abc"), resamples=20).value)


def test_kappa_refuses_other_grades():
    with pytest.raises(InvalidInputError, match=r"\[5\]"):
        quadratic_kappa([1, 5], [1, 2], list("ab"))


def test_icc_is_that_of_shrout_and_fleiss():
    between, raters, residual = mean_squares(SHROUT_FLEISS.astype(float))
    assert (round(between, 2), round(raters, 2), round(residual, 2)) == (11.24, 32.49, 1.02)  # their table 3
    found = icc_2_1(SHROUT_FLEISS)
    assert round(found.value, 2) == 0.29  # their table 4
    # interval as R's psych::ICC documents it for this table
    assert (found.low, found.high) == (pytest.approx(0.019, abs=0.001), pytest.approx(0.761, abs=0.001))


def test_icc_of_raters_who_agree_is_one_and_of_equal_subjects_undefined():
    assert icc_2_1([[1, 1], [2, 2], [4, 4]]).value == 1
    assert np.isnan(icc_2_1([[1, 2], [1, 2]]).value)


def test_icc_sees_a_constant_difference_between_raters():
    level = np.arange(20.0)
    assert icc_2_1(np.stack([level, level + 10], 1)).value < 0.6


def test_icc_refuses_an_incomplete_table():
    with pytest.raises(InvalidInputError, match="complete table"):
        icc_2_1([[1, np.nan], [2, 3]])


def test_bland_altman_by_hand():
    found = bland_altman([1.0, 2, 3, 6], [0.0, 2, 2, 4])  # differences 1, 0, 1, 2
    sd = np.sqrt(2 / 3)
    assert found.bias.value == 1 and found.sd == pytest.approx(sd)
    assert found.upper_limit.value == pytest.approx(1 + 1.96 * sd)
    assert found.bias.high - 1 == pytest.approx(3.182446 * sd / 2)
    assert found.lower_limit.high - found.lower_limit.value == pytest.approx(
        3.182446 * sd * np.sqrt(1 / 4 + 1.96**2 / 6), rel=1e-5
    )


def test_bland_altman_by_patient_is_wider_when_striata_of_a_patient_agree():
    shared = np.repeat(RNG.normal(0, 1, 50), 2)
    alone = bland_altman(shared, np.zeros(100))
    together = bland_altman(shared, np.zeros(100), PATIENTS)
    assert together.bias.value == alone.bias.value
    assert together.bias.high - together.bias.low > 1.2 * (alone.bias.high - alone.bias.low)
    assert together.lower_limit.low < together.lower_limit.value < together.lower_limit.high


def test_bland_altman_needs_numbers():
    with pytest.raises(InvalidInputError, match="finite"):
        bland_altman([1.0, np.nan], [1.0, 1.0])
