"""Validation: splits, out-of-fold predictions, intervals, processes, cancellation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, survival_cohort

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.radiomics.cohort import ClinicalColumn, Cohort, Plan, evaluate
from manabi.radiomics.cohort.intervals import bootstrap_difference, bootstrap_interval, corrected_difference
from manabi.radiomics.cohort.scores import Bootstrap
from manabi.radiomics.cohort.splits import inner_splits, outer_splits, stratified_folds

QUICK = Plan(model="ridge", repeats=2, folds=4, inner_folds=3)


@pytest.fixture(scope="module")
def evaluation():
    """All blocks of a small cohort in which one feature has an effect."""
    return evaluate(survival_cohort(n=80, p=8), QUICK, workers=1)


def test_folds_are_even_in_size_events_and_centres():
    cohort = survival_cohort(n=83, centre=tuple("AAB"[k % 3] for k in range(83)))
    splits = stratified_folds(cohort, 5, np.random.default_rng(0))
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(83))
    assert np.ptp([len(s.test) for s in splits]) <= 1
    assert np.ptp([cohort.event[s.test].sum() for s in splits]) <= 1
    assert np.ptp([sum(cohort.centre[k] == "B" for k in s.test) for s in splits]) <= 2


def test_repeats_differ_and_a_seed_repeats_them():
    cohort = survival_cohort(n=60)
    first, second = (outer_splits(cohort, QUICK, repeat)[0].test for repeat in (0, 1))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, outer_splits(cohort, QUICK, 0)[0].test)
    assert not np.array_equal(first, outer_splits(cohort, replace(QUICK, seed=1), 0)[0].test)


def test_holdout_has_the_number_of_patients_asked_for_and_their_share_of_events():
    cohort = survival_cohort(n=90)
    split = outer_splits(cohort, replace(QUICK, scheme="holdout", holdout=27), 0)[0]
    assert len(split.test) == 27 and not set(split.test) & set(split.train)
    assert abs(cohort.event[split.test].mean() - cohort.event.mean()) < 0.05


def test_leave_one_out_leaves_one_patient_out():
    cohort = replace(survival_cohort(n=20), patients=tuple(f"p{k // 2}" for k in range(20)))
    splits = outer_splits(cohort, replace(QUICK, scheme="loo"), 0)
    assert [s.test.tolist() for s in splits] == [[2 * k, 2 * k + 1] for k in range(10)]


def test_too_many_folds_for_the_events_say_how_many_fit():
    cohort = survival_cohort(n=60)
    event = np.zeros(60, bool)
    event[:14] = True
    with pytest.raises(InvalidInputError, match="there are 14. Take 7 folds"):
        outer_splits(replace(cohort, event=event), replace(QUICK, folds=10), 0)
    assert len(inner_splits(replace(cohort, event=event).take(np.arange(11, 60)), QUICK, 0)) == 3


def test_every_row_is_predicted_once_a_repeat_by_a_model_with_a_threshold(evaluation):
    assert evaluation.blocks == ("clinical", "volume", "radiomics", "combined")
    for block in evaluation.blocks:
        assert np.isfinite(evaluation.risk[block]).all() and np.isfinite(evaluation.threshold[block]).all()
        survival = evaluation.survival[block]
        assert survival.shape == (2, 80, 50) and (np.diff(survival, axis=2) <= 1e-12).all()
        assert len(evaluation.models[block]) == 8
    assert 0.3 < evaluation.high_risk("radiomics").mean() < 0.7


def test_what_has_an_effect_is_found_and_what_has_none_is_not(evaluation):
    assert evaluation.concordance("radiomics") > 0.62
    assert abs(evaluation.concordance("volume") - 0.5) < 0.12
    assert evaluation.frequency("radiomics")["f0"] == 1.0
    assert evaluation.selection_stability("radiomics") > 0.3


def test_scores_take_the_predictions_as_they_are(evaluation):
    predicted, follow = evaluation.predicted("combined"), evaluation.followup()
    assert predicted.risk.shape == (2, 80) and follow.events == evaluation.outcome.n_events
    assert predicted.folds.shape == (2, 80) and predicted.survival_at(evaluation.times_days[-1]).shape == (2, 80)


def test_selection_stability_is_one_for_equal_sets_and_about_zero_for_random_ones(evaluation):
    rng = np.random.default_rng(0)
    models = evaluation.models["radiomics"]

    def with_sets(sets):
        named = tuple(replace(m, features=tuple(s)) for m, s in zip(models, sets, strict=True))
        return replace(evaluation, models={"radiomics": named}, n_features=50).selection_stability("radiomics")

    assert np.isnan(evaluation.selection_stability("clinical"))
    assert with_sets([("a", "b")] * 8) == pytest.approx(1)
    chance = [with_sets([[f"x{k}" for k in rng.permutation(50)[:10]] for _ in range(8)]) for _ in range(60)]
    assert abs(np.mean(chance)) < 0.03


def test_a_bootstrap_draw_is_c_of_the_rows_that_were_drawn(evaluation):
    bootstrap = Bootstrap(draws=30)
    draws = []
    for weights in next(iter(bootstrap.weights(evaluation.outcome.groups))):
        rows = np.repeat(np.arange(80), weights.astype(int))
        drawn = replace(
            evaluation,
            outcome=evaluation.outcome.take(rows),
            risk={"radiomics": evaluation.risk["radiomics"][:, rows]},
            fold=evaluation.fold[:, rows],
        )
        draws.append(drawn.concordance("radiomics"))
    interval = bootstrap_interval(evaluation, "radiomics", bootstrap)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1e-12)
    assert interval.low < interval.estimate < interval.high


def test_a_difference_of_blocks_is_paired(evaluation):
    difference = bootstrap_difference(evaluation, "radiomics", "volume", Bootstrap(draws=100))
    assert difference.estimate > 0 and "paired" in difference.how
    same = bootstrap_difference(evaluation, "volume", "volume", Bootstrap(draws=50))
    assert same.low == same.high == 0 and same.p == 1


def test_corrected_interval_is_wider_than_the_naive_one_by_the_factor_of_nadeau_and_bengio(evaluation):
    score = corrected_difference(evaluation, "radiomics", "volume")
    difference = evaluation.fold_concordances("radiomics") - evaluation.fold_concordances("volume")
    naive = difference.std(ddof=1) / np.sqrt(8)
    from scipy.stats import t

    factor = (score.high - score.low) / (2 * t.ppf(0.975, 7) * naive)
    assert factor == pytest.approx(np.sqrt(1 + 8 * 20 / 60))


def test_labels_of_two_and_three_levels_get_probabilities():
    for levels in (2, 3):
        cohort = label_cohort(n=80, p=6, levels=levels)
        found = evaluate(cohort, replace(QUICK, model="lasso", repeats=1, blocks=("volume", "radiomics")), workers=1)
        probability = found.probability["radiomics"]
        assert probability.shape == (1, 80, levels) and np.allclose(probability.sum(2), 1)
        assert found.concordance("radiomics") > 0.65 and found.survival["radiomics"].size == 0


def test_blocks_without_data_are_left_out_with_a_warning():
    cohort = replace(survival_cohort(n=60, p=4), clinical=(), volume_ml=None)
    found = evaluate(cohort, replace(QUICK, repeats=1), workers=1)
    assert found.blocks == ("radiomics",)
    assert sum("No " in text for text in found.warnings) == 3
    with pytest.raises(InvalidInputError, match="no data for any block"):
        evaluate(cohort, replace(QUICK, blocks=("volume",)))


def test_holdout_leaves_untested_rows_unpredicted_and_loo_has_no_interval_over_folds():
    cohort = survival_cohort(n=40, p=4)
    plan = replace(QUICK, blocks=("volume", "radiomics"), repeats=2)
    found = evaluate(cohort, replace(plan, scheme="holdout", holdout=12), workers=1)
    assert (np.isfinite(found.risk["volume"]).sum(1) == 12).all()
    assert 0 < found.concordance("radiomics") < 1
    loo = evaluate(cohort, replace(plan, scheme="loo"), workers=1)
    assert loo.risk["volume"].shape == (1, 40) and any("Leave-one-out" in text for text in loo.warnings)
    assert bootstrap_interval(loo, "radiomics", Bootstrap(draws=50)).low > 0
    with pytest.raises(InvalidInputError, match="leave-one-out"):
        corrected_difference(loo, "radiomics", "volume")


def test_a_centre_only_in_the_test_fold_is_reported():
    centre = tuple(["A"] * 30 + ["B"] * 29 + ["C"])
    found = evaluate(
        survival_cohort(n=60, p=4, centre=centre), replace(QUICK, blocks=("radiomics",), repeats=1), workers=1
    )
    assert any("ComBat cannot harmonise" in text for text in found.warnings)


def test_cancelling_stops_before_the_end():
    context = Context()
    seen: list[float] = []

    def stop(fraction: float, text: str) -> None:
        """Cancel after the third training set."""
        seen.append(fraction)
        if len(seen) == 3:
            context.cancel.set()

    context.on_progress = stop
    with pytest.raises(CancelledError):
        evaluate(survival_cohort(n=60, p=4), replace(QUICK, blocks=("volume",)), context, workers=1)
    assert seen == [0.0, 1 / 8, 2 / 8]


def test_a_real_clinical_cohort_reaches_what_cox_reaches_in_plain_cross_validation():
    from sklearn.model_selection import RepeatedKFold, cross_val_score
    from sksurv.datasets import load_whas500
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    x, y = load_whas500()
    names = ("age", "bmi", "chf", "hr", "sho", "sysbp")
    values = x[list(names)].astype(float).to_numpy()
    cohort = Cohort(
        patients=tuple(map(str, range(len(y)))),
        clinical=tuple(ClinicalColumn(name, "numeric", values[:, k]) for k, name in enumerate(names)),
        time_days=y["lenfol"],
        event=y["fstat"],
    )
    found = evaluate(cohort, replace(QUICK, blocks=("clinical",)), workers=1)
    scaled = (values - values.mean(0)) / values.std(0)
    folds = RepeatedKFold(n_splits=4, n_repeats=2, random_state=0)
    peer = cross_val_score(CoxPHSurvivalAnalysis(alpha=10), scaled, y, cv=folds).mean()
    assert found.concordance("clinical") == pytest.approx(peer, abs=0.01)
    assert peer > 0.74


@pytest.mark.slow
def test_processes_do_not_change_the_numbers():
    cohort = survival_cohort(n=60, p=6)
    one, two = (evaluate(cohort, QUICK, workers=workers) for workers in (1, 2))
    for block in one.blocks:
        assert np.array_equal(one.risk[block], two.risk[block])
        assert np.array_equal(one.survival[block], two.survival[block])
    context = Context(on_progress=lambda fraction, text: context.cancel.set() if fraction > 0.2 else None)
    with pytest.raises(CancelledError):
        evaluate(cohort, QUICK, context, workers=2)
