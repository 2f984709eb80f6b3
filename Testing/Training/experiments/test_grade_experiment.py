"""The grade experiment: the leak is a leak, the honest way is honest, and the page says which is which."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from manabi.phantoms.tumour_surrogate import made_up
from Training.experiments import grade, grade_report
from Training.experiments.grade_pipeline import Job, auc, draw, leaky_loo, simulate
from Training.experiments.survival_features import GLIOMA_DRIVERS

SMALL = made_up(np.random.default_rng(1), 300, 60, GLIOMA_DRIVERS, 0.0)
JOB = Job(SMALL, 5, (20, 25), (20, 30), keep=8)


def test_auc_is_scikit_learn_s():
    rng = np.random.default_rng(2)
    truth, risk = rng.integers(0, 2, 60), rng.integers(0, 9, 60).astype(float)
    assert auc(truth, risk) == pytest.approx(roc_auc_score(truth, risk))


def test_selection_on_everybody_finds_a_grade_in_noise():
    rng = np.random.default_rng(3)
    noise, truth = rng.standard_normal((50, 300)), np.repeat([0, 1], 25)
    found, model = leaky_loo(noise, truth, 8)
    assert found > 0.75
    assert abs(auc(truth, model.risk(rng.standard_normal((50, 300)))) - 0.5) < 0.2


def test_the_model_s_risk_is_of_its_own_columns():
    rng = np.random.default_rng(4)
    values, truth = rng.standard_normal((50, 30)), np.repeat([0, 1], 25)
    values[:, 7] += 3.0 * truth
    _, model = leaky_loo(values, truth, 3)
    assert 7 in model.columns
    changed = values.copy()
    changed[:, np.setdiff1d(np.arange(30), model.columns)] = 9.0
    assert np.allclose(model.risk(changed), model.risk(values))


def test_patients_of_both_grades_are_drawn_and_shuffled_on_request():
    features, truth = draw(JOB, np.random.default_rng(5), (3, 4))
    assert features.shape == (7, 300)
    assert truth.tolist() == [0, 0, 0, 1, 1, 1, 1]
    shuffled = draw(replace(JOB, signal=False), np.random.default_rng(6), (20, 20))[1]
    assert sorted(shuffled) == [0] * 20 + [1] * 20
    assert shuffled.tolist() != [0] * 20 + [1] * 20


def test_the_leak_shows_where_grades_are_shuffled():
    found = simulate(replace(JOB, signal=False), 0)
    assert found["leaky"] > 0.7
    assert found["leaky"] > found["leaky_independent"] + 0.1
    assert abs(found["honest"] - 0.5) < 0.25


def test_a_summary_counts_gaps_as_large_as_the_source_s():
    values = {"leaky": np.array([0.9, 0.9]), "leaky_independent": np.array([0.7, 0.8]),
              "honest": np.array([0.7, 0.8]), "independent": np.array([0.72, 0.78])}  # fmt: skip
    found = grade.summary(values, 30)
    assert found["gap_as_source"] == 0.5
    assert found["leak"][0] == pytest.approx(0.15)
    assert found["optimism"][0] == pytest.approx(0.0)


@pytest.mark.slow
def test_the_experiment_writes_results_page_and_figure(tmp_path):
    small = ["simulations=2", "phantoms=0", "features=200", "keep=10", "workers=1"]
    grade.run(tmp_path, "quick", [f"experiment.{text}" for text in small])
    results = json.loads((tmp_path / grade.RESULTS).read_text())
    assert set(results["arms"]) == {"less in common", "nothing to find"}
    page = (tmp_path / grade_report.PAGE).read_text()
    assert "do not claim that it leaked" in page
    assert (tmp_path / "images" / grade_report.FIGURE).stat().st_size > 5000
    again = grade.run(tmp_path, "quick", [f"experiment.{text}" for text in small])
    assert json.loads((tmp_path / grade.RESULTS).read_text())["arms"] == results["arms"]
    assert again["report"].endswith(grade_report.PAGE)
