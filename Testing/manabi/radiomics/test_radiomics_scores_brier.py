"""Brier scores of predicted survival against scikit-survival and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sksurv")
from sksurv.metrics import brier_score, integrated_brier_score
from sksurv.util import Surv

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores_brier import brier_at, integrated_brier, scaled_brier
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_km import survival_at

TIMES = np.arange(6.0, 66.0, 6.0)


@pytest.fixture
def cohort():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    true, end = rng.exponential(40 * np.exp(-0.8 * z)), rng.uniform(5, 90, 200)
    time, event = np.ceil(np.minimum(true, end)), true <= end
    survival = np.exp(-TIMES[None] / 40 * np.exp(0.8 * z)[:, None])
    return Followup(time, event), Predicted(z, survival, TIMES), Surv.from_arrays(event, time), survival


def test_brier_at_each_time_is_that_of_scikit_survival(cohort):
    follow, predicted, y, survival = cohort
    expected = brier_score(y, y, survival, TIMES)[1]
    np.testing.assert_allclose([brier_at(follow, predicted, t).estimate() for t in TIMES], expected, atol=1e-12)


def test_integrated_brier_is_that_of_scikit_survival(cohort):
    follow, predicted, y, survival = cohort
    expected = integrated_brier_score(y, y, survival, TIMES)
    assert integrated_brier(follow, predicted).estimate() == pytest.approx(expected, abs=1e-12)


def test_scaled_brier_is_zero_for_kaplan_meier_and_above_for_the_truth(cohort):
    follow, predicted, y, survival = cohort
    curve = survival_at(follow, TIMES)[0]
    reference = np.tile(curve, (follow.n, 1))
    own = scaled_brier(follow, Predicted(predicted.risk, reference, TIMES))
    assert own.estimate() == pytest.approx(0, abs=1e-12)
    ratio = integrated_brier_score(y, y, survival, TIMES) / integrated_brier_score(y, y, reference, TIMES)
    assert scaled_brier(follow, predicted).estimate() == pytest.approx(1 - ratio, abs=1e-12)
    assert scaled_brier(follow, predicted).estimate() > 0.1


def test_reference_of_each_fold_replaces_the_whole_cohorts_curve(cohort):
    follow, predicted, y, survival = cohort
    half = np.full((1, follow.n, len(TIMES)), 0.5)
    got = scaled_brier(follow, predicted, reference=half).estimate()
    expected = 1 - integrated_brier_score(y, y, survival, TIMES) / integrated_brier_score(y, y, half[0], TIMES)
    assert got == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InvalidInputError, match="reference"):
        scaled_brier(follow, predicted, reference=half[:, :5])


def test_without_censoring_it_is_the_mean_squared_error():
    follow = Followup([1, 2, 3, 4], [1, 1, 1, 1])
    survival = np.array([0.2, 0.6, 0.7, 0.9])
    predicted = Predicted(-survival, survival[:, None], [2.5])
    expected = np.mean((survival - (follow.time > 2.5)) ** 2)
    assert brier_at(follow, predicted, 2.5).estimate() == pytest.approx(expected)


def test_survival_before_the_first_predicted_time_is_one_and_after_the_last_unknown(cohort):
    follow, predicted, _, _ = cohort
    dead = (follow.event & (follow.time <= 4)).mean()
    assert brier_at(follow, predicted, 4).estimate() == pytest.approx(dead, rel=0.05)
    assert "predicts no survival" in brier_at(follow, predicted, 61).reason


@pytest.mark.parametrize(("t", "reason"), [(0.5, "no event by"), (95.0, "nobody was followed beyond")])
def test_times_outside_the_follow_up_are_nan_with_a_reason(cohort, t, reason):
    follow, predicted, _, _ = cohort
    wide = Predicted(predicted.risk, np.full((follow.n, 1), 0.5), [0.1])
    assert np.isnan(brier_at(follow, wide, t).estimate())
    assert reason in brier_at(follow, wide, t).reason


def test_training_follow_up_that_ends_early_is_said(cohort):
    follow, predicted, _, _ = cohort
    short = Followup(np.minimum(follow.time, 20), follow.event & (follow.time <= 20))
    assert "training cohort's follow-up ends" in brier_at(follow, predicted, 30, short).reason
    notes = integrated_brier(follow, predicted, short).notes
    assert notes == ("over 6 to 18 months",)


def test_all_censored_has_no_integrated_score():
    follow = Followup([10, 20, 30], [0, 0, 0])
    predicted = Predicted([1.0, 2, 3], np.full((3, 2), 0.5), [5.0, 15.0])
    assert np.isnan(integrated_brier(follow, predicted).estimate())
    assert "fewer than two" in scaled_brier(follow, predicted).reason
