"""Scores of labels against scikit-learn, the textbook form of DeLong's variance, and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, cohen_kappa_score, roc_auc_score

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import Bootstrap, score
from manabi.radiomics.cohort.scores_data import Predicted
from manabi.radiomics.cohort.scores_labels import (
    auc,
    balanced_accuracy,
    brier,
    delong,
    delong_difference,
    kappa,
    scaled_label_brier,
)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 90)
    return label, np.round(rng.uniform(size=90) * 0.7 + 0.3 * label, 2), rng.uniform(size=90)


def textbook(label, *risks):
    """AUCs and DeLong's covariance, written out pair by pair as in the paper."""
    cases, controls = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    psi = [[[(r[i] > r[j]) + 0.5 * (r[i] == r[j]) for j in controls] for i in cases] for r in risks]
    v10, v01 = np.mean(psi, axis=2), np.mean(psi, axis=1)
    return v10.mean(axis=1), np.cov(v10) / len(cases) + np.cov(v01) / len(controls)


def test_delong_is_the_textbooks_and_the_auc_scikit_learns(data):
    label, risk, _ = data
    value, variance = textbook(label, risk)
    got = delong(label, Predicted(risk))
    half = stats.norm.ppf(0.975) * np.sqrt(float(variance))
    assert got.estimate == pytest.approx(roc_auc_score(label, risk), abs=1e-12)
    assert (got.low, got.high) == pytest.approx((value[0] - half, value[0] + half), abs=1e-12)
    assert (got.n, got.events) == (90, label.sum())


def test_difference_of_two_aucs_is_the_textbooks(data):
    label, risk, other = data
    value, covariance = textbook(label, risk, other)
    z = (value[0] - value[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    got = delong_difference(label, Predicted(risk), Predicted(other), "d")
    assert got.estimate == pytest.approx(value[0] - value[1])
    assert got.p == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_delong_and_the_bootstrap_agree(data):
    label, risk, _ = data
    exact, drawn = delong(label, Predicted(risk)), score(auc(label, Predicted(risk)), Bootstrap(600))
    assert drawn.estimate == pytest.approx(exact.estimate)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.02)


def test_repeats_are_averaged_and_tumours_of_a_patient_go_to_the_bootstrap(data):
    label, risk, other = data
    both = delong(label, Predicted(np.stack([risk, other])))
    assert both.estimate == pytest.approx((roc_auc_score(label, risk) + roc_auc_score(label, other)) / 2)
    assert "bootstrap" in delong(label, Predicted(risk), groups=np.repeat(np.arange(45), 2)).how
    assert "bootstrap" in delong(label, Predicted(risk, folds=np.arange(90) % 3)).how


def test_separated_classes_have_an_auc_and_no_interval():
    got = delong(np.array([0, 0, 1, 1]), Predicted([1.0, 2, 3, 4]))
    assert got.estimate == 1 and np.isnan(got.low) and "separated" in got.reason


@pytest.mark.parametrize("label", [np.zeros(5, int), np.ones(5, int)])
def test_one_class_alone_has_no_score(label):
    predicted = Predicted(np.linspace(0.1, 0.9, 5))
    for got in (delong(label, predicted), score(balanced_accuracy(label, predicted), Bootstrap(20)),
                score(scaled_label_brier(label, predicted), Bootstrap(20))):  # fmt: skip
        assert np.isnan(got.estimate) and got.reason


def test_balanced_accuracy_and_brier_are_scikit_learns(data):
    label, risk, _ = data
    predicted = Predicted(risk)
    ours = balanced_accuracy(label, predicted, 0.6).estimate()
    assert ours == pytest.approx(balanced_accuracy_score(label, risk >= 0.6))
    assert brier(label, predicted).estimate() == pytest.approx(brier_score_loss(label, risk))
    spread = label.mean() * (1 - label.mean())
    assert scaled_label_brier(label, predicted).estimate() == pytest.approx(1 - brier_score_loss(label, risk) / spread)
    share = Predicted(np.full(90, label.mean()))
    assert scaled_label_brier(label, share).estimate() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weighting", ["quadratic", "linear", "none"])
def test_kappa_is_scikit_learns_also_on_drawn_patients(weighting):
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 5, 70)
    guess = np.clip(truth + rng.integers(-1, 2, 70), 1, 4)
    weights = None if weighting == "none" else weighting
    statistic = kappa(truth, guess, weighting=weighting)
    assert statistic.estimate() == pytest.approx(cohen_kappa_score(truth, guess, weights=weights))
    draws = next(iter(Bootstrap(20).weights(np.arange(70))))
    rows = np.repeat(np.arange(70), draws[3].astype(int))
    assert statistic.of(draws)[3] == pytest.approx(cohen_kappa_score(truth[rows], guess[rows], weights=weights))


def test_kappa_of_one_grade_alone_is_nan():
    assert np.isnan(kappa(np.ones(5, int), np.ones(5, int)).estimate())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: auc(np.array([0, 2]), Predicted([0.1, 0.2])), "labels of 0 or 1"),
        (lambda: brier(np.array([0, 1]), Predicted([0.1, 1.2])), "probabilities"),
        (lambda: kappa(np.array([0, 1]), np.array([0, 1, 1])), "predicted grade"),
        (lambda: kappa(np.array([0, 1]), np.array([0, 1]), weighting="cubic"), "weighting"),
    ],
)
def test_impossible_labels_are_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()
