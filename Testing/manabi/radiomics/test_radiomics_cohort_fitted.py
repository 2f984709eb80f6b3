"""The final model: predictions, storage without pickle, contributions, patients outside of the cohort."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, survival_cohort

from manabi.context import Context
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.radiomics.cohort import FittedModel, Plan, Preparation, fit, models_trees
from manabi.radiomics.cohort.outside import Reference, cutoff
from manabi.radiomics.cohort.predictors import LinearSurvival
from manabi.radiomics.cohort.state import TEXT

MODELS = ["ridge", "elastic_net", "forest", "boosting"]


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(models_trees, "TREES", 10)
    monkeypatch.setattr(models_trees, "STAGES", (5, 10))


@pytest.fixture(scope="module")
def cohort():
    """Two centres, with gaps."""
    base = survival_cohort(n=80, p=10, centre=tuple("AB"[k % 2] for k in range(80)))
    features = base.features.copy()
    features[3, 0] = np.nan
    return replace(base, features=features)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", ["standard", "rank", "yeo-johnson"])
def test_a_model_survives_storage_without_pickle(cohort, model, scale):
    plan = Plan(model=model, inner_folds=2, preparation=Preparation(scale=scale, harmonise_keep=("age",)))
    fitted = fit(cohort, plan, "combined")
    file = io.BytesIO()
    state = fitted.to_state()
    np.savez(file, **{name: value for name, value in state.items() if name != TEXT})
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = FittedModel.from_state({**arrays, TEXT: state[TEXT]})
    assert np.array_equal(again.predict_risk(cohort), fitted.predict_risk(cohort))
    times = [100.0, 400.0]
    assert np.array_equal(again.predict_survival(cohort, times), fitted.predict_survival(cohort, times))
    one = cohort.take(np.array([3]))
    assert again.contributions(one) == fitted.contributions(one)
    assert again.outside(one) == fitted.outside(one) and again.about["plan"]["model"] == model


@pytest.mark.parametrize("model", MODELS)
def test_contributions_add_up_to_the_risk_of_the_driving_feature(cohort, model):
    fitted = fit(cohort, Plan(model=model, inner_folds=2), "radiomics")
    one = cohort.take(np.array([5]))
    found = fitted.contributions(one)
    assert found.base + sum(found.values.values()) == pytest.approx(fitted.predict_risk(one)[0], abs=1e-9)
    mean = {}
    for k in range(0, 80, 4):
        for name, value in fitted.contributions(cohort.take(np.array([k]))).values.items():
            mean[name] = mean.get(name, 0.0) + abs(value)
    assert max(mean, key=mean.get) == "f0"
    assert found.method


def test_one_patient_by_names_is_predicted_like_the_same_row(cohort):
    fitted = fit(cohort, Plan(model="elastic_net"), "combined")
    row = cohort.take(np.array([7]))
    age, sex = row.clinical
    patient = fitted.patient(
        dict(zip(row.feature_names, row.features[0], strict=True)),
        {"age": age.values[0], "sex": sex.levels[int(sex.values[0])]},
        row.volume_ml[0],
        row.centre[0],
    )
    assert fitted.predict_risk(patient) == pytest.approx(fitted.predict_risk(row), abs=1e-12)
    unknown = fitted.patient(dict(zip(row.feature_names, row.features[0], strict=True)), {}, None, "C")
    context = Context()
    assert np.isfinite(fitted.predict_risk(unknown, context)).all()
    assert any("ComBat" in text for text in context.warnings)
    with pytest.raises(InvalidInputError, match="features; .* are not there"):
        fitted.predict_risk(fitted.patient({}, {}, 1.0))
    with pytest.raises(InvalidInputError, match="age must be a number"):
        fitted.patient({}, {"age": "old"})


def test_a_patient_far_from_the_cohort_is_told_apart_from_its_members(cohort):
    fitted = fit(cohort, Plan(model="ridge"), "combined")
    far = [fitted.outside(cohort.take(np.array([k]))) for k in range(80)]
    assert 0 < sum(o.far for o in far) <= 4 and not any(o.beyond for o in far)
    row = cohort.take(np.array([7]))
    stranger = fitted.outside(replace(row, features=row.features + 15))
    assert stranger.far and stranger.percentile == 100 and stranger.beyond["f0"] > 1
    assert "extrapolation" in stranger.text
    gap = fitted.outside(cohort.take(np.array([3])))
    assert "f0" in gap.unknown and "missing" in gap.text


@pytest.mark.parametrize(("rows", "columns"), [(80, 10), (40, 25), (120, 3)])
def test_of_patients_of_the_same_kind_one_in_twenty_is_called_outside(rows, columns):
    rng = np.random.default_rng(rows)
    mixed = rng.standard_normal((columns, columns))
    flagged = beyond = 0
    for _ in range(10):
        people = np.exp(0.5 * rng.standard_normal((rows + 200, columns)) @ mixed / columns**0.5)  # skewed, correlated
        reference = Reference.fit(people[:rows], tuple(map(str, range(columns))))
        new = [reference.of(people[k : k + 1], np.zeros(columns, bool)) for k in range(rows, rows + 200)]
        flagged += sum(one.far for one in new)
        beyond += sum(bool(one.beyond) for one in new)
    assert 0.025 < flagged / 2000 < 0.08  # 5 %; the luck of ten cohorts and of 2,000 patients
    assert beyond > flagged or columns < 5  # why values beyond the range alone are no alarm


def test_a_patient_left_out_of_the_cohort_is_no_stranger_to_it():
    people = np.random.default_rng(5).standard_normal((40, 6)) @ np.diag([1, 2, 3, 4, 5, 6])
    names, known = tuple("abcdef"), np.zeros(6, bool)
    found = [Reference.fit(np.delete(people, k, 0), names).of(people[k : k + 1], known).far for k in range(40)]
    assert sum(found) <= 3


def test_the_cutoff_is_the_rank_that_one_in_twenty_exceeds():
    assert cutoff(np.arange(1.0, 100.0)) == 95  # of 99: a new one is above it with a probability of 5 / 100
    assert cutoff(np.arange(19.0)) == 18
    assert cutoff(np.array([2.0, 1.0])) == 2  # too few: the largest


def test_only_features_with_an_influence_are_stored(cohort):
    fitted = fit(cohort, Plan(model="lasso"), "radiomics")
    assert 0 < len(fitted.feature_names) < 10 and "f0" in fitted.feature_names
    only = replace(cohort, feature_names=fitted.feature_names,
                   features=cohort.features[:, cohort.columns_of(fitted.feature_names)])  # fmt: skip
    assert np.array_equal(fitted.predict_risk(only), fitted.predict_risk(cohort))


def test_survival_starts_at_one_falls_and_is_unknown_after_the_last_follow_up(cohort):
    fitted = fit(cohort, Plan(model="ridge"), "combined")
    last = cohort.time_days.max()
    curve = fitted.predict_survival(cohort, [0.5, *np.linspace(10, last, 20), last + 1])
    assert (curve[:, 0] == 1).all() and (np.diff(curve[:, :-1], axis=1) <= 0).all() and np.isnan(curve[:, -1]).all()
    high = fitted.predict_risk(cohort) > fitted.median_risk
    assert curve[high, 10].mean() < curve[~high, 10].mean() and high.sum() == 40
    assert fitted.percentile(fitted.median_risk) == pytest.approx(50)


def test_a_model_that_finds_nothing_says_so_and_predicts_the_cohorts_average():
    cohort = survival_cohort(n=60, p=5, effect=0.0, seed=3)
    constant = replace(cohort, features=np.ones((60, 5)))
    context = Context()
    fitted = fit(constant, Plan(), "radiomics", context)
    assert any("found nothing" in text for text in context.warnings) and fitted.feature_names == ()
    assert (fitted.predict_risk(constant) == 0).all()
    middle = np.median(cohort.time_days)
    average = fitted.baseline_survival[np.searchsorted(fitted.baseline_times, middle, side="right") - 1]
    assert fitted.predict_survival(constant, [middle])[0, 0] == pytest.approx(average, abs=0.02)
    assert not fitted.outside(constant.take(np.array([0]))).far
    grade = label_cohort(n=60, p=5)
    flat = fit(replace(grade, features=np.ones((60, 5))), Plan(), "radiomics")
    assert np.allclose(flat.predict_probability(grade), [[0.5, 0.5]])


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("model", ["ridge", "lasso", "forest"])
def test_grades_get_probabilities_that_survive_storage(levels, model):
    cohort = label_cohort(n=90, p=6, levels=levels)
    fitted = fit(cohort, Plan(model=model, inner_folds=2), "radiomics")
    again = FittedModel.from_state(fitted.to_state())
    probability = again.predict_probability(cohort)
    assert np.array_equal(probability, fitted.predict_probability(cohort)) and np.allclose(probability.sum(1), 1)
    risk = again.predict_risk(cohort)
    assert risk[cohort.label == levels - 1].mean() > risk[cohort.label == 0].mean()
    with pytest.raises(InvalidInputError, match="predict_probability"):
        fitted.predict_survival(cohort, [1.0])


def test_a_stored_model_that_was_altered_is_refused(cohort):
    state = fit(cohort, Plan(model="ridge"), "volume").to_state()
    with pytest.raises(CorruptModelError):
        FittedModel.from_state({name: value for name, value in state.items() if "coefficients" not in name})
    strange = json.loads(str(state[TEXT]))
    strange["class"] = "Popen"
    with pytest.raises(CorruptModelError):
        FittedModel.from_state({**state, TEXT: json.dumps(strange)})


def test_a_block_without_data_cannot_be_fitted(cohort):
    with pytest.raises(InvalidInputError, match="no data for the block 'volume'"):
        fit(replace(cohort, volume_ml=None), Plan(), "volume")


@pytest.mark.parametrize("risk", [-1e4, 0.0, 1e4])
def test_an_absurd_risk_still_has_a_survival_curve(risk):
    model = LinearSurvival(np.array([1.0]), 0.0, np.array([100.0, 200.0]), np.array([0.1, 0.3]))
    curve = model.survival(np.array([[risk]]), np.array([50.0, 150.0, 200.0]))[0]
    assert curve[0] == 1.0 and np.all(np.isfinite(curve)) and np.all(np.diff(curve) <= 0)
