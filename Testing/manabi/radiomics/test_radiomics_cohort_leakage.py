"""No patient has a part in the model that predicts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, noise_cohort, survival_cohort

from manabi.context import Context
from manabi.radiomics import cohort as package
from manabi.radiomics.cohort import Plan, design, evaluate, models_trees
from manabi.radiomics.cohort.leaky import leaky_evaluate
from manabi.radiomics.cohort.validate import Task, answer, make_job, permuted_rows

QUICK = Plan(model="lasso", blocks=("radiomics",), repeats=1, folds=4, inner_folds=3)


def test_noise_gives_chance_when_validated_and_much_more_when_selection_leaks():
    cohort = noise_cohort()
    plan = Plan(model="elastic_net", blocks=("radiomics",), repeats=1, tuning_score="concordance")
    honest = evaluate(cohort, plan, workers=1)
    leaky = leaky_evaluate(cohort, plan, workers=1)
    assert abs(honest.concordance("radiomics") - 0.5) < 0.12
    assert leaky.concordance("radiomics") > 0.75
    assert leaky.leaky and "NOT AN ESTIMATE" in leaky.warnings[0]
    assert not honest.leaky


@pytest.mark.parametrize("model", ["lasso", "ridge", "forest"])
def test_test_patients_outcomes_have_no_influence_on_their_own_predictions(model, monkeypatch):
    monkeypatch.setattr(models_trees, "TREES", 8)
    cohort = survival_cohort(n=60, p=12)
    plan = replace(QUICK, model=model, blocks=("radiomics", "combined"), folds=3)
    before = evaluate(cohort, plan, workers=1)
    test = np.flatnonzero(before.fold[0] == 0)
    time = cohort.time_days.copy()
    time[test] = np.random.default_rng(1).permutation(time[test]) * 3
    after = evaluate(replace(cohort, time_days=time), plan, workers=1)
    assert np.array_equal(before.fold, after.fold)
    for block in plan.blocks:
        assert np.array_equal(before.risk[block][0, test], after.risk[block][0, test])
        rest = np.delete(np.arange(60), test)
        assert not np.allclose(before.risk[block][0, rest], after.risk[block][0, rest])


def test_no_step_is_ever_fitted_on_a_row_that_it_is_judged_by(monkeypatch):
    cohort = survival_cohort(n=60, p=12, centre=tuple("ABC"[k % 3] for k in range(60)))
    seen: list[set[str]] = []
    pairs: list[tuple[set[str], set[str]]] = []
    fit = design.FeatureChain.fit.__func__
    transform = design.FeatureChain.transform

    def recording_fit(cls, train, preparation):
        chain = fit(cls, train, preparation)
        seen.append(set(train.patients))
        object.__setattr__(chain, "fitted_on", set(train.patients))
        return chain

    def recording_transform(chain, rows, warn=None):
        assert rows.kind == "none", "a prediction must not see an outcome"
        pairs.append((chain.fitted_on, set(rows.patients)))
        return transform(chain, rows, warn)

    monkeypatch.setattr(design.FeatureChain, "fit", classmethod(recording_fit))
    monkeypatch.setattr(design.FeatureChain, "transform", recording_transform)
    plan = replace(QUICK, blocks=("radiomics", "combined"))
    job = make_job(cohort, plan, Context())
    for fold in range(4):
        seen.clear()
        tested = {cohort.patients[k] for k in answer(job, Task(-1, 0, fold)).test}
        assert len(seen) == plan.inner_folds + 1
        assert all(not rows & tested for rows in seen)
        outer = set(cohort.patients) - tested
        assert sum(rows == outer for rows in seen) == 1
        assert all(rows < outer for rows in seen if rows != outer)


def test_the_package_offers_no_selection_outside_of_a_validation():
    assert set(package.__all__) == {
        "ClinicalColumn", "Cohort", "Columns", "Evaluation", "FittedModel", "Plan", "Preparation", "evaluate", "fit",
    }  # fmt: skip
    assert not hasattr(package, "leaky_evaluate")
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_tumours_of_one_patient_are_never_on_both_sides():
    base = survival_cohort(n=80, p=8)
    cohort = replace(base, patients=tuple(f"p{k // 2}" for k in range(80)))
    plan = replace(QUICK, folds=5, repeats=3)
    evaluation = evaluate(cohort, replace(plan, model="ridge", blocks=("volume",)), workers=1)
    groups = cohort.groups
    for fold in evaluation.fold:
        assert all(len(set(fold[groups == g])) == 1 for g in range(40))
    assert any("40 patients" in text for text in evaluation.warnings)


def test_a_permutation_moves_whole_patients_within_their_centre():
    groups = np.array([0, 0, 1, 2, 2, 3, 4, 4])
    centre = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    rows = permuted_rows(groups, centre, np.random.default_rng(3))
    assert sorted(rows) == list(range(8))
    assert np.array_equal(centre[rows], centre)
    assert groups[rows[0]] == groups[rows[1]] and rows[6] == 6


def test_permuted_outcomes_give_a_null_around_chance_that_a_true_effect_exceeds():
    cohort = label_cohort(n=60, p=6, effect=3)
    plan = replace(QUICK, model="ridge", n_permutations=9, inner_folds=2)
    evaluation = evaluate(cohort, plan, workers=1)
    assert len(evaluation.null["radiomics"]) == 9
    assert abs(evaluation.null["radiomics"].mean() - 0.5) < 0.12
    assert evaluation.p_value("radiomics") == pytest.approx(0.1)


def test_no_patient_is_named_in_what_comes_out():
    cohort = survival_cohort(n=60, p=6)
    evaluation = evaluate(cohort, replace(QUICK, model="ridge", blocks=("clinical",)), workers=1)
    fitted = package.fit(cohort, QUICK, "radiomics")
    assert "patient-" not in repr(evaluation.outcome.patients) + repr(evaluation) + repr(cohort)
    assert "patient-" not in str(fitted.to_state())
