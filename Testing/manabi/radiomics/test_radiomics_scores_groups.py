"""Groups by risk, effects beside volume and tests in number, against lifelines, formulas and simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("lifelines")
pytest.importorskip("sksurv")
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.datasets import load_rossi
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.groups import HIGH, LOW, hazard_ratio, log_rank, restricted_mean, split_by_risk
from manabi.radiomics.cohort.groups_cox import fit_cox, survival_at_beta
from manabi.radiomics.cohort.groups_tests import (
    adjusted,
    events_needed,
    expected_false_positives,
    permutation_p,
    permuted_concordance,
    power_of,
)
from manabi.radiomics.cohort.groups_volume import spearman, volume_effects, volume_table
from manabi.radiomics.cohort.scores_data import Followup
from manabi.radiomics.cohort.scores_km import censoring_at, kaplan_meier, survival_at


def cohort(n: int = 200, seed: int = 0, beta: float = 0.6) -> tuple[Followup, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    true, end = rng.exponential(40 * np.exp(-beta * z)), rng.uniform(5, 90, n)
    return Followup(np.ceil(np.minimum(true, end)), true <= end), z


def test_kaplan_meier_and_its_log_log_interval_are_those_of_lifelines():
    follow, _ = cohort()
    theirs = KaplanMeierFitter().fit(follow.time, follow.event)
    ours = kaplan_meier(follow)
    np.testing.assert_allclose(ours.survival, theirs.survival_function_.iloc[:, 0], atol=1e-12)
    inside = (ours.survival > 0) & (ours.survival < 1)
    np.testing.assert_allclose(ours.low[inside], theirs.confidence_interval_.iloc[:, 0][inside], atol=1e-10)
    np.testing.assert_allclose(ours.high[inside], theirs.confidence_interval_.iloc[:, 1][inside], atol=1e-10)
    at_risk = theirs.event_table["at_risk"].to_numpy()[1:]
    np.testing.assert_array_equal(ours.at_risk(ours.times[1:]), at_risk)
    assert ours.median() == theirs.median_survival_time_


def test_weights_of_kaplan_meier_are_copies_of_rows():
    follow, _ = cohort(60)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    times = np.array([5.0, 20, 40])
    copied = survival_at(follow.take(rows), times)[0]
    np.testing.assert_allclose(survival_at(follow, times, counts[None].astype(float))[0], copied, atol=1e-12)
    weighted = kaplan_meier(follow, counts)
    np.testing.assert_allclose(weighted.low, kaplan_meier(follow.take(rows)).low, atol=1e-10)


def test_six_patients_by_hand():
    follow = Followup([1, 2, 2, 3, 4, 5], [1, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(survival_at(follow, [0.5, 1, 2, 3.9, 4])[0], [1, 5 / 6, 2 / 3, 2 / 3, 1 / 3])
    assert np.isnan(survival_at(follow, [6])[0, 0])
    np.testing.assert_allclose(censoring_at(follow, [1, 2, 3]), [1, 3 / 4, 1 / 2])


def test_cox_with_ties_weights_and_two_covariates_is_that_of_lifelines():
    rossi = load_rossi()
    names = ["fin", "age", "prio"]
    theirs = CoxPHFitter().fit(rossi[[*names, "week", "arrest"]], "week", "arrest")
    follow = Followup(rossi["week"], rossi["arrest"], unit="weeks")
    ours = fit_cox(follow, rossi[names].to_numpy(float))
    np.testing.assert_allclose(ours.beta[0], theirs.params_, rtol=1e-5)
    np.testing.assert_allclose(ours.error[0], theirs.standard_errors_, rtol=1e-5)
    np.testing.assert_allclose(ours.p[0], theirs.summary["p"], rtol=1e-4)
    weighted = rossi.assign(w=np.random.default_rng(0).integers(1, 4, len(rossi)))
    again = CoxPHFitter().fit(weighted[[*names, "week", "arrest", "w"]], "week", "arrest", weights_col="w")
    counts = weighted["w"].to_numpy(float)[None]
    np.testing.assert_allclose(fit_cox(follow, rossi[names].to_numpy(), counts).beta[0], again.params_, rtol=1e-5)


def test_breslow_with_counts_is_a_fit_of_copied_rows():
    from statsmodels.duration.hazard_regression import PHReg

    follow, z = cohort(80)
    x = np.column_stack([z, z**2])
    counts = np.random.default_rng(0).integers(0, 3, (4, 80))
    ours = fit_cox(follow, x, counts.astype(float), "breslow").beta
    for count, beta in zip(counts, ours, strict=True):
        rows = np.repeat(np.arange(80), count)
        theirs = PHReg(follow.time[rows], x[rows], status=follow.event[rows], ties="breslow").fit()
        np.testing.assert_allclose(beta, theirs.params, rtol=1e-6)


def test_breslow_survival_is_that_of_scikit_survival():
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    follow, z = cohort(60)
    theirs = CoxPHSurvivalAnalysis(ties="breslow", tol=1e-12).fit(
        z[:, None], Surv.from_arrays(follow.event, follow.time)
    )
    fit, at = fit_cox(follow, z[:, None], ties="breslow"), np.array([[0.0], [1.0]])
    ours = survival_at_beta(follow, z[:, None], np.ones((1, 60)), fit.beta, at, 30)[0]
    np.testing.assert_allclose(ours, [curve(30) for curve in theirs.predict_survival_function(at)], rtol=1e-6)


@pytest.mark.parametrize("case", ["no event in a group", "nothing varies", "no event", "twice the same"])
def test_a_hazard_ratio_without_finite_estimate_is_nan(case):
    follow, z = cohort(60)
    x = (z > 0).astype(float)[:, None]
    if case == "no event in a group":
        follow = Followup(follow.time, follow.event & (z <= 0))
    elif case == "nothing varies":
        x = np.ones((60, 1))
    elif case == "no event":
        follow = Followup(follow.time, np.zeros(60))
    else:
        x = np.column_stack([z, 2 * z])
    got = fit_cox(follow, x).ratio("hazard ratio", follow)
    assert np.isnan(got.estimate) and "no finite estimate" in got.reason


def test_split_uses_the_given_threshold_and_gives_what_lifelines_gives():
    follow, z = cohort()
    split = split_by_risk(follow, z, 0.25, t=36)
    np.testing.assert_array_equal(split.high, z > 0.25)
    for name, group in ((LOW, z <= 0.25), (HIGH, z > 0.25)):
        theirs = KaplanMeierFitter().fit(follow.time[group], follow.event[group])
        assert split.survival[name].estimate == pytest.approx(theirs.predict(36))
        assert split.rmst[name].estimate == pytest.approx(restricted_mean_survival_time(theirs, 36))
    high = split.high
    test = logrank_test(follow.time[high], follow.time[~high], follow.event[high], follow.event[~high])
    assert split.log_rank.p == pytest.approx(test.p_value)
    frame = pd.DataFrame({"t": follow.time, "e": follow.event, "g": high.astype(float)})
    theirs = np.exp(CoxPHFitter().fit(frame, "t", "e").confidence_intervals_.to_numpy()[0])
    assert (split.ratio.low, split.ratio.high) == pytest.approx(tuple(theirs), rel=1e-5)
    assert len(split.table().rows) == 7


def test_each_row_can_be_cut_at_its_own_models_training_median():
    follow, z = cohort(40)
    cuts = np.where(np.arange(40) < 20, -1.0, 1.0)
    np.testing.assert_array_equal(split_by_risk(follow, z, cuts, t=20).high, z > cuts)
    with pytest.raises(InvalidInputError, match="one threshold or as many"):
        split_by_risk(follow, z, cuts[:3])


def test_everybody_in_one_group_gives_reasons_and_no_numbers():
    follow, z = cohort(30)
    split = split_by_risk(follow, z, z.max() + 1, t=20)
    assert list(split.curves) == [LOW]
    for one in (split.ratio, split.log_rank, split.survival[HIGH], split.rmst[HIGH], split.rmst_gain):
        assert np.isnan(one.estimate) and one.reason
    assert split.survival[LOW].estimate > 0


def test_tumours_of_one_patient_are_noted():
    follow, z = cohort(30)
    doubled = Followup(np.tile(follow.time, 2), np.tile(follow.event, 2), np.tile(np.arange(30), 2))
    high = np.tile(z > 0, 2)
    assert "taken as independent" in hazard_ratio(doubled, high).how
    assert "taken as independent" in log_rank(doubled, high).how
    assert "independent" not in log_rank(follow, z > 0).how


def test_restricted_mean_by_hand_and_its_error_over_many_cohorts():
    follow = Followup([1, 2, 3, 4], [1, 1, 1, 1])
    assert restricted_mean(kaplan_meier(follow), 3.5).estimate == pytest.approx(1 + 0.75 + 0.5 + 0.25 * 0.5)
    values = [restricted_mean(kaplan_meier(cohort(100, seed)[0]), 40) for seed in range(200)]
    spread = np.std([v.estimate for v in values])
    said = np.mean([(v.high - v.low) / 2 / 1.959964 for v in values])
    assert said == pytest.approx(spread, rel=0.15)


def test_survival_and_restricted_mean_beyond_the_follow_up_are_missing():
    curve = kaplan_meier(Followup([5, 10], [1, 0]))
    assert "followed for 20" in curve.at(20).reason and "followed for 20" in restricted_mean(curve, 20).reason
    dead = kaplan_meier(Followup([5, 10], [1, 1]))
    assert dead.at(20).estimate == 0 and np.isnan(dead.at(20).low)


def test_a_feature_that_is_volume_has_no_effect_beside_it_and_a_true_one_keeps_it():
    rng = np.random.default_rng(1)
    n = 400
    volume, texture = np.exp(rng.normal(2.3, 1, n)), rng.normal(size=n)
    lp = 0.6 * (np.log(volume) - 2.3) + 0.5 * texture
    true, end = rng.exponential(40 * np.exp(-lp)), rng.uniform(20, 90, n)
    follow = Followup(np.minimum(true, end), true <= end)
    in_volume = np.log(volume) + 0.3 * rng.normal(size=n)
    effects = volume_effects(follow, np.column_stack([in_volume, texture]), ["zone", "texture"], volume)
    assert effects[0].rho.low > 0.9 and effects[0].reading() == "no effect shown beside volume"
    assert abs(effects[1].rho.estimate) < 0.15 and effects[1].reading() == "an effect beside volume"
    frame = pd.DataFrame({"x": (texture - texture.mean()) / texture.std(ddof=1), "v": np.log(volume), "t": follow.time,
                          "e": follow.event})  # fmt: skip
    theirs = CoxPHFitter().fit(frame, "t", "e")
    assert effects[1].adjusted.estimate == pytest.approx(np.exp(theirs.params_["x"]), rel=1e-5)
    assert volume_table(effects).column("reading") == [one.reading() for one in effects]


def test_effects_without_a_number_are_said_not_to_be_known():
    follow, z = cohort(30)
    effect = volume_effects(follow, np.ones((30, 1)), ["flat"], np.exp(z))[0]
    assert effect.reading() == "cannot be told" and "does not vary" in effect.rho.reason
    with pytest.raises(InvalidInputError, match="volumes above 0"):
        volume_effects(follow, z[:, None], ["z"], np.zeros(30))


def test_interval_of_spearman_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    held = 0
    for _ in range(400):
        x = rng.normal(size=60)
        got = spearman(x, 0.5 * x + np.sqrt(0.75) * rng.normal(size=60))
        held += got.low <= truth <= got.high
    assert 0.92 <= held / 400 <= 0.98


def test_holm_and_benjamini_hochberg_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03])
    np.testing.assert_allclose(adjusted(p, "holm"), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(adjusted(p, "bh"), [0.03, 0.04, np.nan, 0.04])
    with pytest.raises(InvalidInputError, match="adjustment"):
        adjusted(p, "none")


def test_the_source_studys_numbers():
    # 5-year survival of 70.7 against 50.3 %: hazard ratio 1.98 and 67 events at a median split; 744 features at .05.
    ratio = np.log(0.503) / np.log(0.707)
    assert ratio == pytest.approx(1.98, abs=0.005)
    assert events_needed(ratio) == pytest.approx(67.1, abs=0.05)
    assert power_of(ratio, events_needed(ratio)) == pytest.approx(0.8, abs=1e-3)
    assert expected_false_positives(744) == pytest.approx(37.2)
    with pytest.raises(InvalidInputError, match="other than 1"):
        events_needed(1.0)


def test_power_at_a_median_split_is_that_of_simulated_censored_cohorts():
    rng = np.random.default_rng(0)
    group, hits, events = np.arange(150) % 2.0, [], []
    for _ in range(300):
        true, end = rng.exponential(1.98**-group), rng.uniform(0, 0.95, 150)
        follow = Followup(np.minimum(true, end), true <= end)
        events.append(follow.events)
        hits.append(fit_cox(follow, group[:, None]).p[0, 0] < 0.05)
    assert np.mean(hits) == pytest.approx(power_of(1.98, np.mean(events)), abs=0.06)


def test_permutation_p_counts_the_observed_one():
    assert permutation_p(0.9, np.array([0.4, 0.5, np.nan, 0.6])) == pytest.approx(1 / 4)
    assert permutation_p(0.5, np.array([0.4, 0.5, 0.6])) == pytest.approx(3 / 4)
    assert np.isnan(permutation_p(np.nan, np.array([0.5])))


def test_permuted_concordance_finds_a_true_risk_and_is_fair_to_a_null_one():
    follow, z = cohort(80)
    assert permuted_concordance(follow, z, 200).p < 0.02
    rng = np.random.default_rng(0)
    p = [permuted_concordance(follow, rng.normal(size=80), 60, seed).p for seed in range(60)]
    assert 0.35 < np.mean(p) < 0.65 and np.mean(np.array(p) < 0.1) < 0.25
    assert "same for all" in permuted_concordance(follow, np.ones(80), 20).reason
