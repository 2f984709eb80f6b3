"""Scores of rank against scikit-survival, hand-made cases and a cohort whose true C is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

pytest.importorskip("sksurv")
from sksurv.datasets import load_veterans_lung_cancer, load_whas500
from sksurv.metrics import concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc
from sksurv.util import Surv

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import Bootstrap, score
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_pairs import auc_at, harrell, ordinal, uno


def cohort(n: int = 150, seed: int = 0, whole_days: bool = True) -> tuple[Followup, np.ndarray, np.ndarray]:
    """Censored times with ties, a risk with ties, and scikit-survival's array of the same."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    true, end = rng.exponential(40 * np.exp(-0.5 * z)), rng.uniform(5, 90, n)
    time = np.minimum(true, end)
    time = np.ceil(time) if whole_days else time
    event = true <= end
    return Followup(time, event), np.round(z + rng.normal(size=n), 1), Surv.from_arrays(event, time)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_harrell_is_that_of_scikit_survival_with_ties_in_time_and_risk(seed):
    follow, risk, _ = cohort(seed=seed)
    assert len(np.unique(follow.time)) < follow.n and len(np.unique(risk)) < follow.n
    expected = concordance_index_censored(follow.event, follow.time, risk)[0]
    assert harrell(follow, Predicted(risk)).estimate() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("tau", [None, 30.0, 60.0])
def test_uno_with_the_censoring_of_other_training_patients_is_that_of_scikit_survival(tau):
    follow, risk, y = cohort()
    training, _, y_training = cohort(seed=9)
    inside = follow.time < training.time.max()
    follow, risk, y = follow.take(np.flatnonzero(inside)), risk[inside], y[inside]
    expected = concordance_index_ipcw(y_training, y, risk, tau=tau)[0]
    assert uno(follow, Predicted(risk), training, tau).estimate() == pytest.approx(expected, abs=1e-12)


def test_auc_over_time_is_that_of_scikit_survival():
    follow, risk, y = cohort()
    times = [6.0, 12.0, 24.0, 48.0]
    expected = cumulative_dynamic_auc(y, y, risk, times)[0]
    ours = [auc_at(follow, Predicted(risk), t).estimate() for t in times]
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("load", [load_whas500, load_veterans_lung_cancer])
def test_real_cohorts_score_as_in_scikit_survival(load):
    x, y = load()
    event, time = (y[name] for name in y.dtype.names)
    risk = x["age" if "age" in x else "Karnofsky_score"].to_numpy(float)
    expected = concordance_index_censored(event, time, risk)[0]
    assert harrell(Followup(time, event), Predicted(risk)).estimate() == pytest.approx(expected, abs=1e-12)


def test_four_patients_counted_by_hand():
    # Pairs that can be compared: 1 against 2, 3, 4 and 3 against 4. In order: 1>2, 1>4; 1=3 is a tie; 3>4.
    follow = Followup([1, 2, 3, 4], [1, 0, 1, 0])
    assert harrell(follow, Predicted([5.0, 1.0, 5.0, 2.0])).estimate() == pytest.approx(3.5 / 4)


def test_repeats_count_equally_and_folds_are_not_mixed():
    follow, risk, _ = cohort(n=60)
    rng = np.random.default_rng(0)
    folds = rng.integers(0, 3, (2, 60))
    risks = np.stack([risk, rng.normal(size=60)])
    pairs = []
    for repeat in range(2):
        for fold in range(3):
            rows = np.flatnonzero(folds[repeat] == fold)
            part = follow.take(rows)
            c, right, wrong, tied, _ = concordance_index_censored(part.event, part.time, risks[repeat, rows])
            pairs.append((c * (right + wrong + tied), right + wrong + tied))
    right, compared = np.sum(pairs, axis=0)
    # Another level for every fold changes nothing, as no pair of two folds is compared.
    shifted = risks + 100 * folds
    for values in (risks, shifted):
        ours = harrell(follow, Predicted(values, folds=folds)).estimate()
        assert ours == pytest.approx(right / compared, abs=1e-12)
    assert harrell(follow, Predicted(shifted)).estimate() != pytest.approx(right / compared, abs=1e-3)


@pytest.mark.parametrize(("ratio", "oracle"), [(1.25, 0.562), (1.5, 0.609), (2.0, 0.672)])
def test_weibull_cohort_has_the_c_that_theory_gives(ratio, oracle):
    rng = np.random.default_rng(4)
    beta = np.log(ratio)
    theory = expit(np.abs(rng.normal(size=400_000) * np.sqrt(2) * beta)).mean()
    assert theory == pytest.approx(oracle, abs=0.001)
    z = rng.normal(size=2000)
    time = (-np.log(rng.uniform(size=2000)) / np.exp(beta * z)) ** (1 / 1.2)
    seen = harrell(Followup(time, np.ones(2000)), Predicted(z)).estimate()
    assert seen == pytest.approx(theory, abs=0.02)


def test_heavy_censoring_moves_harrell_and_not_uno():
    rng = np.random.default_rng(0)
    n = 1500
    z = rng.normal(size=n)
    # Crossing hazards: z tells early events only, so late pairs, which censoring removes, pull C to one half.
    true = np.where(rng.uniform(size=n) < expit(2 * z), rng.uniform(0, 1, n), rng.uniform(1, 2, n))
    end = rng.uniform(0.1, 2.2, n)
    full = harrell(Followup(true, np.ones(n)), Predicted(z)).estimate()
    follow = Followup(np.minimum(true, end), true <= end)
    assert abs(uno(follow, Predicted(z)).estimate() - full) < 0.015
    assert abs(harrell(follow, Predicted(z)).estimate() - full) > 0.02


def test_ordinal_c_of_two_grades_is_the_auc():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    grade = rng.integers(0, 2, 80)
    risk = np.round(grade + rng.normal(size=80), 1)
    ours = ordinal(grade, Predicted(risk), np.arange(80)).estimate()
    assert ours == pytest.approx(roc_auc_score(grade, risk), abs=1e-12)
    three = ordinal(np.array([0, 1, 2]), Predicted([1.0, 3.0, 2.0]), np.arange(3)).estimate()
    assert three == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("follow", "risk", "make", "reason"),
    [
        (Followup([3, 4, 5], [0, 0, 0]), [1.0, 2, 3], harrell, "no pair"),
        (Followup([3, 4, 5], [0, 0, 0]), [1.0, 2, 3], uno, "no pair"),
        (Followup([3, 4, 5], [1, 1, 0]), [2.0, 2, 2], harrell, "same for all"),
        (Followup([3, 4, 5], [1, 1, 0]), [2.0, 2, 2], uno, "same for all"),
    ],
)
def test_what_cannot_be_scored_is_nan_with_a_reason(follow, risk, make, reason):
    got = score(make(follow, Predicted(risk)), Bootstrap(20))
    assert np.isnan(got.estimate) and np.isnan(got.low) and reason in got.reason
    assert reason in got.text()


def test_constant_risk_with_rounding_is_still_constant():
    follow, _, _ = cohort(n=40)
    risk = 0.3 + 1e-15 * np.arange(40)
    assert np.isnan(harrell(follow, Predicted(risk)).estimate())


def test_auc_before_the_first_event_or_after_the_last_follow_up_is_nan():
    follow = Followup([5, 6, 7, 8], [1, 1, 1, 0])
    predicted = Predicted([4.0, 3, 2, 1])
    assert "no event by 4" in auc_at(follow, predicted, 4).reason
    assert "nobody was followed beyond 8" in auc_at(follow, predicted, 8).reason
    short = Followup([1, 2, 5, 5], [1, 1, 0, 0])
    assert "training cohort's follow-up ends" in auc_at(follow, predicted, 6.5, short).reason


def test_leave_one_out_folds_leave_no_pair_and_say_so():
    follow, risk, _ = cohort(n=20)
    got = harrell(follow, Predicted(risk, folds=np.arange(20)))
    assert np.isnan(got.estimate()) and "within a fold" in got.reason


@pytest.mark.parametrize(
    ("t", "unit", "words"),
    [(365.25, "days", "1 year"), (1826.25, "days", "5 years"), (100, "days", "100 days"), (24, "months", "24 months")],
)
def test_times_are_said_as_readers_say_them(t, unit, words):
    follow = Followup([5000, 6000], [1, 0], unit=unit)
    assert follow.words(t) == words
    assert auc_at(follow, Predicted([2.0, 1.0]), t).name == f"AUC at {words}"


def test_predictions_of_other_rows_are_refused():
    follow, _, _ = cohort(n=20)
    with pytest.raises(InvalidInputError, match="20 rows; got 5"):
        harrell(follow, Predicted(np.arange(5.0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Followup([0.0, 1], [1, 1]), "above 0"),
        (lambda: Followup([2.0, 1], [1, 2]), "0 .* or 1"),
        (lambda: Followup([2.0, 1], [1]), "as many"),
        (lambda: Followup([2.0, 1], [1, 0], unit="fortnights"), "unit"),
        (lambda: Followup([2.0, 1], [1, 0], groups=np.array([1])), "group"),
        (lambda: Predicted([1.0, np.nan]), "known number"),
        (lambda: Predicted([1.0, 2.0], [[0.5], [1.2]], [1.0]), "between 0 and 1"),
        (lambda: Predicted([1.0, 2.0], [[0.5, 0.4], [0.2, 0.1]], [2.0, 1.0]), "ascending"),
        (lambda: Predicted([1.0, 2.0], folds=[0, 1, 2]), "fold"),
    ],
)
def test_impossible_input_is_refused_with_what_was_expected(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_inputs_are_left_as_they_were():
    time, event, risk = np.array([3, 1, 2]), np.array([1, 0, 1]), np.array([1, 2, 3])
    copies = [x.copy() for x in (time, event, risk)]
    score(harrell(Followup(time, event), Predicted(risk)), Bootstrap(20))
    for before, after in zip(copies, (time, event, risk), strict=True):
        assert before.dtype == after.dtype and np.array_equal(before, after)
