"""ROC areas against scikit-learn and a published example."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from manabi.errors import InvalidInputError
from Training.roc import auc_bootstrap, auc_delong

RNG = np.random.default_rng(2)
TRUTH = np.arange(120) % 3 == 0
SCORES = np.round(RNG.normal(TRUTH * 1.2, 1), 1)  # rounded: with ties


def test_both_areas_are_scikit_learns_with_ties():
    expected = roc_auc_score(TRUTH, SCORES)
    assert auc_delong(TRUTH, SCORES).value == pytest.approx(expected)
    assert auc_bootstrap(TRUTH, SCORES, np.arange(120), resamples=100).value == pytest.approx(expected)


def test_delong_by_hand():
    # positives 3, 1; negatives 2, 0: V10 = (1, .5), V01 = (.5, 1); variance = .125 / 2 + .125 / 2
    found = auc_delong([1, 1, 0, 0], [3, 1, 2, 0], level=0.5)
    assert found.value == 0.75
    assert found.value - found.low == pytest.approx(0.6744898 * np.sqrt(0.125))


def test_the_two_intervals_agree_for_independent_cases():
    one, other = auc_delong(TRUTH, SCORES), auc_bootstrap(TRUTH, SCORES, np.arange(120))
    assert (one.low, one.high) == (pytest.approx(other.low, abs=0.02), pytest.approx(other.high, abs=0.02))


def test_cases_of_one_patient_widen_the_interval():
    truth, scores = np.repeat(TRUTH, 2), np.repeat(SCORES, 2)
    together = auc_bootstrap(truth, scores, np.repeat(np.arange(120), 2))
    apart = auc_bootstrap(truth, scores, np.arange(240))
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_one_kind_of_case_has_no_roc():
    with pytest.raises(InvalidInputError, match="both kinds"):
        auc_delong([1, 1], [0.1, 0.2])
    with pytest.raises(InvalidInputError, match="at least two cases"):
        auc_delong([1, 0, 0], [0.1, 0.2, 0.3])
