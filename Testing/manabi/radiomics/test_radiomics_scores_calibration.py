"""Calibration and decision curves against scikit-survival, statsmodels, a simulation's truth and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

pytest.importorskip("lifelines")
pytest.importorskip("sksurv")
from lifelines import KaplanMeierFitter
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.calibration import calibrate
from manabi.radiomics.cohort.calibration_labels import calibrate_labels, fit_logistic
from manabi.radiomics.cohort.calibration_parts import knots_of, spline, weighted_quantile
from manabi.radiomics.cohort.decision import decide_labels, decide_survival
from manabi.radiomics.cohort.scores import Bootstrap
from manabi.radiomics.cohort.scores_data import Followup, Predicted

T = 36.0
FEW = Bootstrap(40)


def cohort(n: int, seed: int = 0) -> tuple[Followup, np.ndarray]:
    """Weibull times with a log hazard ratio of 0.7 per unit, censored from 10 to 120."""
    rng = np.random.default_rng(seed)
    lp = 0.7 * rng.normal(size=n)
    true = 60 * (-np.log(rng.uniform(size=n)) / np.exp(lp)) ** (1 / 1.2)
    end = rng.uniform(10, 120, n)
    return Followup(np.minimum(true, end), true <= end), lp


def predictions(lp: np.ndarray, stretch: float = 1.0, shift: float = 0.0) -> Predicted:
    """Survival of the true model, its log hazard stretched and shifted."""
    survival = np.exp(-((T / 60) ** 1.2) * np.exp(stretch * lp + shift))
    return Predicted(lp, survival[:, None], [T])


def test_the_true_model_is_calibrated():
    follow, lp = cohort(2000)
    got = calibrate(follow, predictions(lp), T, Bootstrap(20))
    assert got.score("observed / expected").estimate == pytest.approx(1, abs=0.06)
    assert got.score("calibration slope").estimate == pytest.approx(1, abs=0.1)
    assert got.score("ICI").estimate < 0.025
    assert np.abs(got.observed - got.predicted).max() < 0.06


def test_too_extreme_predictions_have_a_slope_below_one_and_are_far_from_the_line():
    follow, lp = cohort(800)
    wild = calibrate(follow, predictions(lp, stretch=2), T, FEW)
    assert wild.score("calibration slope").estimate == pytest.approx(0.5, abs=0.1)
    assert wild.score("ICI").low > 0.03
    gloomy = calibrate(follow, predictions(lp, shift=0.8), T, FEW)
    assert gloomy.score("observed / expected").high < 0.8
    assert gloomy.score("calibration slope").estimate == pytest.approx(1, abs=0.2)


def test_slope_and_ici_are_those_of_scikit_survival_on_the_same_spline():
    follow, lp = cohort(150)
    predicted = predictions(lp, 1.4)
    risk = 1 - predicted.survival[0, :, 0]
    cll = np.log(-np.log(1 - risk))
    bent, y = spline(cll, knots_of(cll)), Surv.from_arrays(follow.event, follow.time)
    fit = CoxPHSurvivalAnalysis(ties="breslow", tol=1e-12).fit(bent, y)
    gap = np.abs(1 - np.array([curve(T) for curve in fit.predict_survival_function(bent)]) - risk)
    got = calibrate(follow, predicted, T, Bootstrap(20))
    assert got.score("ICI").estimate == pytest.approx(gap.mean(), rel=1e-6)
    assert got.score("E50").estimate == pytest.approx(np.median(gap), abs=0.003)
    assert got.score("E90").estimate == pytest.approx(np.quantile(gap, 0.9), abs=0.005)
    slope = CoxPHSurvivalAnalysis(ties="breslow", tol=1e-12).fit(cll[:, None], y).coef_[0]
    assert got.score("calibration slope").estimate == pytest.approx(slope, rel=1e-6)
    km = 1 - KaplanMeierFitter().fit(follow.time, follow.event).predict(T)
    assert got.score("observed / expected").estimate == pytest.approx(km / risk.mean())


def test_spline_is_straight_outside_its_outer_knots_and_a_line_where_they_coincide():
    knots = np.array([-1.0, 0.0, 2.0])
    x = np.linspace(2, 5, 7)
    assert np.abs(np.diff(spline(x, knots), 2, axis=0)).max() < 1e-10
    assert np.abs(spline(np.array([-3.0, -1.0]), knots)[:, 1]).max() == 0
    assert spline(x, np.array([0.0, 0.0, 1.0])).shape == (7, 1)


def test_equal_repeats_change_nothing():
    follow, lp = cohort(100)
    one = predictions(lp, 1.3)
    three = Predicted(np.tile(lp, (3, 1)), np.tile(one.survival, (3, 1, 1)), [T])
    first, second = calibrate(follow, one, T, FEW), calibrate(follow, three, T, FEW)
    for a, b in zip(first.scores, second.scores, strict=True):
        assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), abs=1e-8)
    np.testing.assert_allclose(first.observed, second.observed, atol=1e-8)


def test_fifths_hold_all_patients_and_their_kaplan_meier_risk():
    follow, lp = cohort(100)
    got = calibrate(follow, predictions(lp), T, FEW)
    assert [b.n for b in got.bins] == [20] * 5
    last = np.argsort(lp, kind="stable")[-20:]
    km = KaplanMeierFitter().fit(follow.time[last], follow.event[last])
    assert got.bins[-1].observed.estimate == pytest.approx(1 - km.predict(T))
    assert got.bins_table().column("group") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("case", ["constant", "no event", "too late"])
def test_what_cannot_be_calibrated_is_nan_with_a_reason(case):
    follow, lp = cohort(40)
    predicted, reason = predictions(lp), ""
    if case == "constant":
        predicted, reason = predictions(np.zeros(40)), "same for all"
    elif case == "no event":
        follow, reason = Followup(follow.time, np.zeros(40)), "no event by"
    else:
        follow, reason = Followup(np.minimum(follow.time, 20), follow.event), "nobody was followed"
    got = calibrate(follow, predicted, T, Bootstrap(20))
    assert all(np.isnan(s.estimate) and reason in s.reason for s in got.scores) and got.bins == ()


def test_a_time_without_prediction_is_refused():
    follow, lp = cohort(40)
    with pytest.raises(InvalidInputError, match="No survival was predicted for 60"):
        calibrate(follow, predictions(lp), 60)


@pytest.mark.slow
def test_slope_interval_holds_one_about_as_often_as_it_says():
    held = 0
    for seed in range(150):
        follow, lp = cohort(80, seed)
        slope = calibrate(follow, predictions(lp), T, Bootstrap(100)).score("calibration slope")
        held += slope.low <= 1 <= slope.high
    assert 0.88 < held / 150 < 0.99


def test_weighted_quantile_is_that_of_copied_rows():
    rng = np.random.default_rng(0)
    values, counts = rng.normal(size=(3, 21)), rng.integers(0, 4, (3, 21)).astype(float)
    for q in (0.5, 0.9):
        copied = [np.quantile(np.repeat(v, c.astype(int)), q, method="inverted_cdf")
                  for v, c in zip(values, counts, strict=True)]  # fmt: skip
        np.testing.assert_allclose(weighted_quantile(values, counts, q), copied)


def labels(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    odds = 1.5 * rng.normal(size=n) - 0.5
    return (rng.uniform(size=n) < expit(odds)).astype(int), odds


def test_intercept_and_slope_of_a_label_are_those_of_statsmodels():
    import statsmodels.api as sm

    y, odds = labels()
    risk = expit(2 * odds + 0.5)
    got = calibrate_labels(y, Predicted(risk), bootstrap=FEW)
    offset = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=logit(risk)).fit()
    slope = sm.Logit(y, sm.add_constant(logit(risk))).fit(disp=0)
    assert got.score("calibration intercept").estimate == pytest.approx(offset.params[0], rel=1e-4)
    assert got.score("calibration slope").estimate == pytest.approx(slope.params[1], rel=1e-4)
    assert got.score("calibration slope").high < 1


def test_true_probabilities_of_a_label_are_calibrated():
    y, odds = labels(4000)
    got = calibrate_labels(y, Predicted(expit(odds)), bootstrap=Bootstrap(20))
    assert got.score("calibration intercept").estimate == pytest.approx(0, abs=0.1)
    assert got.score("calibration slope").estimate == pytest.approx(1, abs=0.1)
    assert got.score("ICI").estimate < 0.02


def test_labels_that_cannot_be_calibrated_have_reasons():
    y, odds = labels(50)
    one = calibrate_labels(np.ones(50, int), Predicted(expit(odds)), bootstrap=Bootstrap(20))
    assert all("one class" in s.reason for s in one.scores)
    flat = calibrate_labels(y, Predicted(np.full(50, 0.4)), bootstrap=Bootstrap(20))
    assert all("same for all" in s.reason for s in flat.scores)


def test_separated_classes_have_no_logistic_fit():
    x = np.column_stack([np.ones(6), np.arange(6.0)])
    assert np.isnan(fit_logistic(np.array([0, 0, 0, 1, 1, 1]), x, np.ones((1, 6)))).all()


def test_net_benefit_of_a_label_by_hand():
    y = np.array([1, 1, 0, 0, 0])
    curve = decide_labels(y, {"m": Predicted([0.9, 0.3, 0.6, 0.1, 0.2])}, thresholds=(0.25, 0.5), bootstrap=FEW)
    np.testing.assert_allclose(curve.models[0].value, [2 / 5 - 1 / 5 / 3, 1 / 5 - 1 / 5])
    np.testing.assert_allclose(curve.treat_all.value, [2 / 5 - 3 / 5 / 3, 2 / 5 - 3 / 5])
    assert len(curve.table().rows) == 4


def test_net_benefit_of_survival_without_censoring_is_that_of_the_label():
    rng = np.random.default_rng(0)
    lp = rng.normal(size=120)
    follow = Followup(60 * rng.exponential(np.exp(-lp)), np.ones(120))
    risk = 1 - predictions(lp).survival[0, :, 0]
    by_time = decide_survival(follow, {"m": predictions(lp)}, T, bootstrap=FEW)
    by_label = decide_labels((follow.time <= T).astype(int), {"m": Predicted(risk)}, bootstrap=FEW)
    np.testing.assert_allclose(by_time.models[0].value, by_label.models[0].value, atol=1e-12)
    np.testing.assert_allclose(by_time.models[0].low, by_label.models[0].low, atol=1e-12)
    np.testing.assert_allclose(by_time.treat_all.value, by_label.treat_all.value, atol=1e-12)


def test_net_benefit_with_censoring_uses_kaplan_meier_of_those_above_the_threshold():
    follow, lp = cohort(200)
    predicted = predictions(lp)
    risk, threshold = 1 - predicted.survival[0, :, 0], 0.4
    above = risk >= threshold
    dead = 1 - KaplanMeierFitter().fit(follow.time[above], follow.event[above]).predict(T)
    expected = above.mean() * (dead - (1 - dead) * threshold / (1 - threshold))
    got = decide_survival(follow, {"m": predicted}, T, (threshold,), FEW).models[0]
    assert got.value[0] == pytest.approx(expected)
    assert got.low[0] < expected < got.high[0]


def test_treating_nobody_is_worth_nothing_and_impossible_thresholds_are_refused():
    follow, lp = cohort(50)
    assert decide_survival(follow, {"m": predictions(lp, 0.1)}, T, (0.99,), FEW).models[0].value[0] == 0
    with pytest.raises(InvalidInputError, match="Thresholds"):
        decide_survival(follow, {"m": predictions(lp)}, T, (0.0, 0.5))
