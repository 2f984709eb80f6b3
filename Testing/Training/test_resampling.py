"""Bootstrap by patient: right coverage, whole patients, repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from Training.resampling import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_statistic,
    interval,
    mean_sd,
    patient_counts,
    patient_means,
)

RNG = np.random.default_rng(0)
PATIENTS = np.repeat([f"p{i:02d}" for i in range(50)], 5)
LEVELS = np.repeat(RNG.normal(10, 1, 50), 5)
VALUES = LEVELS + RNG.normal(0, 0.1, 250)


def test_every_resample_draws_as_many_patients_as_there_are():
    counts = patient_counts(7, 100, 1)
    assert counts.shape == (100, 7) and (counts.sum(1) == 7).all()
    assert counts.max() > 1


def test_patient_means_follow_the_sorted_patients():
    np.testing.assert_allclose(patient_means([1, 2, 10], ["b", "b", "a"]), [10, 1.5])


def test_the_interval_is_that_of_patients_not_of_slices():
    estimate = bootstrap_mean(VALUES, PATIENTS)
    of_patients = 2 * 1.96 * patient_means(VALUES, PATIENTS).std(ddof=1) / np.sqrt(50)
    of_slices = 2 * 1.96 * VALUES.std(ddof=1) / np.sqrt(250)
    assert estimate.high - estimate.low == pytest.approx(of_patients, rel=0.1)
    assert estimate.high - estimate.low > 1.8 * of_slices


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(4)
    hits = 0
    for trial in range(200):
        estimate = bootstrap_mean(rng.normal(5, 1, 40), np.arange(40), resamples=1000, seed=trial)
        hits += estimate.low <= 5 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.98


def test_a_paired_difference_is_sharper_than_its_parts():
    better = VALUES + 0.05 + RNG.normal(0, 0.02, 250)
    estimate = bootstrap_difference(better, VALUES, PATIENTS)
    assert estimate.low > 0
    alone = bootstrap_mean(VALUES, PATIENTS)
    assert estimate.high - estimate.low < 0.1 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval():
    assert bootstrap_mean(VALUES, PATIENTS, seed=3) == bootstrap_mean(VALUES, PATIENTS, seed=3)
    assert bootstrap_mean(VALUES, PATIENTS, seed=3) != bootstrap_mean(VALUES, PATIENTS, seed=4)


def test_mean_and_sd_over_slices_and_patients():
    found = mean_sd([1.0, 3, 5, 7], ["a", "a", "b", "b"], resamples=100)
    assert (found.mean, found.count, found.patients) == (4, 4, 2)
    assert found.sd == pytest.approx(np.std([1, 3, 5, 7], ddof=1))
    assert found.patient_sd == pytest.approx(np.std([2, 6], ddof=1))
    assert found.patient_interval.low <= 4 <= found.patient_interval.high


def test_any_statistic_of_whole_patients():
    found = bootstrap_statistic(lambda rows: float(VALUES[rows].mean()), PATIENTS, resamples=2000)
    fast = bootstrap_mean(VALUES, PATIENTS)
    assert found.value == pytest.approx(fast.value)
    assert (found.low, found.high) == (pytest.approx(fast.low, abs=0.05), pytest.approx(fast.high, abs=0.05))


def test_undefined_resamples_are_left_out():
    found = interval(1.0, np.array([np.nan, 0.0, 1.0, 2.0]))
    assert 0 <= found.low < found.high <= 2
    assert np.isnan(interval(1.0, np.array([np.nan])).low)


def test_one_patient_is_too_few():
    with pytest.raises(InvalidInputError, match="two patients"):
        bootstrap_mean([1.0, 2.0], ["a", "a"])
    with pytest.raises(InvalidInputError, match="finite"):
        bootstrap_mean([1.0, np.nan], ["a", "b"])
    with pytest.raises(InvalidInputError, match="one value per patient entry"):
        bootstrap_mean([1.0, 2.0], ["a"])
