"""The survival experiment: its parts on cohorts small enough to check, its page, and the whole of it in small."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from lifelines.statistics import logrank_test

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour_surrogate import made_up
from manabi.phantoms.tumour_survival import OutcomeModel, outcome_model
from manabi.radiomics.cohort.plan import Plan
from Training.experiments import survival, survival_effects, survival_holdout, survival_nested, survival_report
from Training.experiments.survival_bench import Bench, Job, Settings, as_cohort, listed, mean, rate, thinned

SMALL = made_up(np.random.default_rng(1), 40, 6)


@pytest.fixture
def bench(tmp_path):
    settings = Settings(cohorts=60, nested=2, patients=160, training=110, phantoms=0, permutations=19, workers=1)
    return Bench(settings, SMALL, tmp_path)


def job(**changes):
    return replace(Job(SMALL, OutcomeModel(), 160, 110, 3, 1, permutations=19), **changes)


# --- cohorts ----------------------------------------------------------------------------------------------------------


def test_a_cohort_is_drawn_again_by_its_number():
    first, second = job().draw(4), job().draw(4)
    assert np.array_equal(first[0].time_days, second[0].time_days)
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(job().draw(5)[1], first[1])


def test_one_centre_means_one_scanner():
    assert set(job().draw(0)[0].patients.centre) == {0}
    assert len(set(job(one_centre=False).draw(0)[0].patients.centre)) == 4


def test_the_table_to_validate_holds_no_truth():
    cohort, features = job().draw(0)
    table = as_cohort(cohort, SMALL.names, features)
    assert len(table.feature_names) == 40
    assert not table.clinical
    assert np.allclose(table.volume_ml, cohort.patients.volume_ml)


def test_thinning_keeps_the_first_feature_and_their_number():
    found = thinned(SMALL, 7)
    assert (len(found.names), found.names[0]) == (7, SMALL.names[0])
    assert thinned(SMALL, 0) is SMALL


def test_rates_and_means_have_intervals():
    value, low, high = rate(np.array([True] * 5 + [False] * 95))
    assert low < value == 0.05 < high
    value, low, high = mean(np.array([1.0, 2.0, 3.0, np.nan]))
    assert low <= value == 2.0 <= high


# --- parts ------------------------------------------------------------------------------------------------------------


def test_intervals_of_the_known_texture_hold_the_truth(bench, monkeypatch):
    monkeypatch.setattr(survival_effects, "COVERED", (2.0,))
    row = survival_effects.coverage(bench)["ratios"]["2"]
    assert row["known"]["covered"][0] > 0.88
    assert abs(row["known"]["bias"][0]) < 0.1
    assert row["measured"]["bias"][0] < -0.1  # measured with error, the effect is smaller


def test_the_best_feature_is_the_one_that_follows_z():
    column = survival_effects.best_for_z(job())
    drawn, features = job(patients=3000, training=1000).draw(0)
    found = np.abs([np.corrcoef(drawn.patients.z, f)[0, 1] for f in features.T])
    assert found[column] > 0.8 * found.max()


def test_monte_carlo_finds_the_oracle_s_concordance():
    value, low, high = survival_effects.monte_carlo(math.log(1.5), 0)
    assert low < 0.609 + 0.001
    assert value == pytest.approx(0.609, abs=0.006)
    assert high - low < 0.006


def test_a_split_s_p_is_the_log_rank_test_s():
    cohort, features = job().draw(2)
    train, test = np.arange(110), np.arange(110, 160)
    days, event = cohort.time_days[test], cohort.event[test]
    found = survival_holdout._split_p(features, train, test, days, event)
    for column in (0, 7):
        high = features[test, column] > np.median(features[train, column])
        expected = logrank_test(days[high], days[~high], event[high], event[~high]).p_value
        assert found[column] == pytest.approx(expected, abs=0.01)


def test_a_column_that_does_not_vary_is_never_significant():
    cohort, features = job().draw(2)
    flat = np.zeros((160, 1))
    rows = np.arange(160)
    assert survival_holdout._split_p(flat, rows, rows, cohort.time_days, cohort.event).tolist() == [1.0]


def test_where_nothing_is_true_only_the_peep_finds_it(bench):
    found = survival_holdout.null(replace(bench, settings=replace(bench.settings, cohorts=90)))
    assert found["log_rank"]["best"][1] < 0.05 + 0.03
    assert found["log_rank"]["peeped"][0] > found["log_rank"]["best"][0]
    assert found["c"]["peeped"][1] > 0.51 > found["c"]["best"][1]


def test_volume_passes_for_texture_until_it_is_adjusted_for(bench):
    found = survival_holdout.volume(replace(bench, settings=replace(bench.settings, cohorts=40)))
    assert found["alone"]["named"][0] > 0.15 > found["adjusted"]["named"][1]
    assert found["adjusted"]["texture"][1] < 0.1
    assert found["volume_rho"]["named"][0] > 0.6


def test_more_features_tried_means_more_found_by_chance(bench):
    found = survival_holdout.source(replace(bench, settings=replace(bench.settings, cohorts=25)))
    nothing = found["truths"]["nothing"]
    assert nothing["named"][0] <= nothing["top"][0] <= 1.0
    assert nothing["best"][0] <= nothing["two"][0] <= nothing["top"][0]
    assert found["truths"]["texture"]["oracle"][0] > nothing["oracle"][0]
    assert found["events_needed"] == pytest.approx(67.1, abs=0.3)
    assert found["ratio"] == pytest.approx(1.98, abs=0.01)
    assert found["expected"] == pytest.approx(2.0)


def test_a_scanner_that_tells_survival_is_seen_through_within_centres():
    effects = SMALL.effects.copy()
    effects[2:] = np.array([[0.7], [1.4], [2.1]])  # every feature recognises the scanner
    chosen = job(surrogate=replace(SMALL, effects=effects), model=outcome_model("confounded", confounding=3.0),
                 one_centre=False, plan=Plan(repeats=1))  # fmt: skip
    found = survival_nested.harmonised_or_not(chosen, 0)
    assert found["as they are, all"] > 0.6
    assert found["as they are, all"] > found["ComBat, all"] + 0.05
    assert abs(found["ComBat, within centres"] - 0.5) < 0.2


# --- the whole --------------------------------------------------------------------------------------------------------


def test_parts_that_there_are_not_are_refused():
    assert listed("null, batch") == ["null", "batch"]
    assert len(listed("all")) == 7
    with pytest.raises(InvalidInputError, match="parts"):
        listed("null,everything")


def test_a_finished_part_is_kept_until_settings_change(bench):
    calls = []

    def make(one):
        calls.append(one)
        return {"n": len(calls)}

    assert bench.kept("part", make) == bench.kept("part", make) == {"n": 1}
    other = replace(bench, settings=replace(bench.settings, cohorts=61))
    assert other.kept("part", make) == {"n": 2}
    assert replace(other, resume=False).kept("part", make) == {"n": 3}


@pytest.mark.slow
def test_the_experiment_writes_results_page_and_figures(tmp_path):
    small = ["cohorts=10", "nested=2", "nested_features=12", "repeats=1", "phantoms=0", "permutations=19",
             "patients=120", "training=80", "workers=1",
             "delta_studies=2", "delta_permutations=0"]  # fmt: skip
    survival.run(tmp_path, "quick", [f"experiment.{text}" for text in small])
    results = json.loads((tmp_path / survival.RESULTS).read_text())
    assert set(results) == {"about", "coverage", "concordance", "null", "volume", "source", "batch", "delta"}
    page = (tmp_path / survival_report.PAGE).read_text()
    assert "made up" in page
    assert "nan" not in page
    for name in ("coverage", "concordance", "null", "source", "batch", "delta"):
        assert (tmp_path / "images" / f"survival_{name}.png").stat().st_size > 5000
        assert f"images/survival_{name}.png" in page
