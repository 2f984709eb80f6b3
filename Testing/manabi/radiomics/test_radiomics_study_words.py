"""What a study says of itself is what was done: no test without its size, no step that was not taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, survival_cohort

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort import Plan, evaluate
from manabi.radiomics.cohort.checklist import NO, PARTLY, YES
from manabi.radiomics.cohort.groups_volume import volume_effects
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_labels import auc, delong
from manabi.radiomics.cohort_card import _head
from manabi.radiomics.cohort_study import RISK, predictions, study
from manabi.radiomics.cohort_tables import selected_table
from manabi.radiomics.cohort_words import checklist, sentences, steps_inside

PLAN = Plan(model="ridge", folds=3, repeats=1, inner_folds=3)


def studied(cohort, plan=PLAN, block="combined"):
    return study(cohort, plan, block, Context(device="cpu"), workers=1, draws=40)


@pytest.fixture(scope="module")
def found():
    return studied(survival_cohort(60, 12))


def test_leave_one_out_of_noise_is_chance_although_an_empty_model_knows_who_was_left_out():
    """The share of cases falls where a case is left out: compared as they are, empty models have an AUC of 0."""
    for levels in (2, 3):
        cohort = label_cohort(40, 4, levels, effect=0.0, seed=levels)
        plan = replace(PLAN, model="lasso", scheme="loo", blocks=("radiomics",))
        evaluation = evaluate(cohort, plan, workers=1)
        empty = replace(evaluation, risk=evaluation.threshold)
        assert empty.concordance("radiomics") == 0.5
        assert evaluation.concordance("radiomics") > 0.25
        predicted = predictions(evaluation)["radiomics"]
        np.testing.assert_array_equal(
            predicted.ranked, evaluation.risk["radiomics"] - evaluation.threshold["radiomics"]
        )


def test_ranks_are_compared_and_probabilities_are_not_touched():
    label = np.array([0, 1] * 10)
    left_out = Predicted(np.where(label == 1, 0.48, 0.52), ranks=np.linspace(0, 1, 20))
    assert auc(label, left_out).estimate() == pytest.approx(delong(label, left_out).estimate) == pytest.approx(0.55)
    assert Predicted(left_out.risk).ranked is not None and auc(label, Predicted(left_out.risk)).estimate() == 0


def test_a_permutation_without_a_concordance_does_not_count(found):
    null = {"combined": np.array([0.9, np.nan, np.nan, np.nan])}
    assert replace(found.evaluation, null=null).p_value("combined") == 1.0


def test_groups_of_a_cross_validation_have_no_p(found):
    for one in (found.split.ratio, found.split.log_rank, found.split.rmst_gain):
        assert np.isnan(one.p) and "no p" in one.how
    assert found.split.ratio.low < found.split.ratio.estimate < found.split.ratio.high


def test_features_that_were_chosen_are_tested_against_all_that_could_have_been(found):
    table = selected_table(found)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    effect = next(one for one in found.effects if one.name == "f0")
    assert rows["f0"]["p_beside_volume_bonferroni"] == pytest.approx(min(1, 12 * effect.adjusted.p))
    assert rows["f0"]["reading_adjusted"] == effect.reading(0.05 / 12)
    assert "no test" in rows[RISK]["reading_adjusted"]


def test_the_checklist_claims_no_step_that_was_not_taken(found):
    filled = checklist(found, None)
    assert filled.of("harmonisation").status == NO and "centres" in filled.of("harmonisation").answer
    assert "harmonising" not in filled.of("inside").answer and "stability" not in filled.of("inside").answer
    assert filled.of("multiple").status == PARTLY and "12 candidates" in filled.of("multiple").answer
    assert "harmonising" not in "\n".join(_head(found, _About()))


class _About:
    """Of a card."""

    name, version, outcome, trained_on = "a", "1", "survival", "rows"


def test_the_checklist_says_what_was_done_with_centres_and_given_stability():
    centre = tuple("ab" * 30)
    cohort = survival_cohort(60, 12, centre=centre, icc=dict.fromkeys((f"f{k}" for k in range(12)), 0.9))
    one = studied(cohort)
    filled = checklist(one, None)
    assert filled.of("harmonisation").status == YES and "harmonising" in steps_inside(one)
    assert "not computed inside" in filled.of("robust").answer and "filter by stability" not in steps_inside(one)
    plain = studied(survival_cohort(60, 12, centre=("a",) * 60))
    assert "one centre" in checklist(plain, None).of("harmonisation").answer and "harmonising" not in steps_inside(
        plain
    )


def test_labels_have_no_risk_groups_and_the_checklist_names_none():
    one = studied(label_cohort(60, 6), block="radiomics")
    filled = checklist(one, None)
    assert one.split is None and "none" in filled.of("cut").answer
    assert filled.of("multiple").status == NO and filled.of("volume").status == NO


def test_an_interval_below_one_half_is_not_said_to_hold_it(found):
    worse = replace(found.concordance("combined"), estimate=0.4, low=0.35, high=0.45)
    scores = replace(found.scores, blocks={**found.scores.blocks, "combined": (worse,)})
    text = " ".join(sentences(replace(found, scores=scores)))
    assert "lies below one half: it is not shown" in text and "includes one half" not in text


@pytest.mark.parametrize(("low", "warned"), [(0.01, True), (-0.01, False)])
def test_a_block_that_is_shown_to_be_better_is_so_among_several_comparisons(found, low, warned):
    same = tuple(replace(one, estimate=0.02, low=low, high=0.1) for one in found.scores.differences)
    text = " ".join(sentences(replace(found, scores=replace(found.scores, differences=same))))
    assert ("not adjusted for their number" in text) == warned == ("shown to be better:" in text)


def test_effects_of_several_tumours_of_a_patient_say_that_they_are_taken_as_independent():
    rng = np.random.default_rng(0)
    follow = Followup(rng.exponential(1, 40), rng.random(40) < 0.7, np.repeat(np.arange(20), 2), "years")
    one = volume_effects(follow, rng.normal(size=(40, 1)), ["f"], np.exp(rng.normal(size=40)))[0]
    assert all("taken as independent" in s.how for s in (one.rho, one.alone, one.adjusted))


def test_a_hold_out_is_refused_before_anything_is_fitted_and_leave_one_out_names_its_folds():
    with pytest.raises(InvalidInputError, match="every patient in every repeat"):
        studied(survival_cohort(60, 4), replace(PLAN, scheme="holdout", holdout=15))
    one = studied(survival_cohort(40, 4, effect=1.5), replace(PLAN, scheme="loo", blocks=("volume",)), "volume")
    filled = checklist(one, None)
    assert "leave-one-out" in filled.of("partition").answer and "folds: 40" in filled.of("repeats").answer
