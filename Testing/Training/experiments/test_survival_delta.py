"""Studies of changes during treatment: what is drawn, that nothing of the left-out patient is seen, and the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.phantoms.tumour_surrogate import made_up
from manabi.phantoms.tumour_survival import OutcomeModel
from Training.experiments import survival_delta as delta
from Training.experiments import survival_delta_report, survival_figures
from Training.experiments.survival_bench import Bench, Job, Settings

SMALL = made_up(np.random.default_rng(1), 12, 4)


def job(**changes):
    return replace(Job(SMALL, OutcomeModel(**delta.NOTHING), 26, 25, 3, 1), **changes)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(delta, "SETS", delta.SETS[-2:] + delta.SETS[12:13])
    monkeypatch.setattr(delta, "NAMED", delta.SETS[0].name)
    monkeypatch.setattr(delta, "STEPS", 6)


def test_the_source_has_26_patients_and_17_sets():
    cohort, values = delta.drawn(job(), 0, drift=False)
    assert values.shape == (26, 17, 12)
    assert len(cohort.event) == 26
    assert np.array_equal(delta.drawn(job(), 0, drift=False)[1], values)


def test_features_that_follow_volume_change_as_the_tumour_shrinks():
    rng = np.random.default_rng(0)
    effects = np.zeros_like(SMALL.effects)
    effects[list(SMALL.drivers).index("v"), 0] = 2.0
    still = replace(SMALL, effects=effects, factors=0 * SMALL.factors, own=np.full(12, 1e-6))
    people = delta.draw_patients(rng, 26)
    values = np.log(delta.series(rng, job(surrogate=still), people, drift=False))
    fall = values[:, -1, 0] - values[:, 0, 0]
    assert (fall < 0).all()
    assert np.corrcoef(fall, people.response)[0, 1] < -0.8
    assert np.abs(values[:, -1, 1] - values[:, 0, 1]).max() < 1e-4


def test_only_the_second_machine_drifts():
    still = replace(SMALL, effects=0 * SMALL.effects, factors=0 * SMALL.factors, own=np.full(12, 1e-6))
    people = replace(delta.draw_patients(np.random.default_rng(0), 26), centre=np.repeat([0, 3], 13))
    values = np.log(delta.series(np.random.default_rng(1), job(surrogate=still), people, drift=True))
    moved = np.abs(values[:, -1] - values[:, 0]).mean(axis=1)
    assert moved[:13].max() < 1e-4 < 0.05 < moved[13:].min()


def test_the_risk_of_a_patient_left_out_does_not_depend_on_that_patient_s_outcome(quick):
    cohort, values = delta.drawn(job(), 1, drift=False)
    table = delta.Cohort(tuple(map(str, range(26))), time_days=cohort.time_days, event=cohort.event)
    train = np.arange(1, 26)
    seen = delta.path(values[:, 0], table, train, np.array([0]))
    inner = delta.inner_concordance(values, table, train, 0)
    days, event = cohort.time_days.copy(), cohort.event.copy()
    days[0], event[0] = 9999, not event[0]
    other = delta.Cohort(table.patients, time_days=days, event=event)
    assert np.array_equal(delta.path(values[:, 0], other, train, np.array([0])), seen)
    assert np.array_equal(delta.inner_concordance(values, other, train, 0), inner)
    assert np.ptp(seen) > 0


def test_the_best_of_all_sets_and_penalties_is_reported_the_empty_model_among_them(quick):
    found = delta.steady(job(), 2)
    assert 0.5 <= found["best"] <= 1.0
    assert 0.0 <= min(found["inside"], found["named"]) <= max(found["inside"], found["named"]) <= 1.0
    assert found["oracle"] == 0.5  # nothing tells survival


def test_the_section_shows_every_truth_and_the_permuted_outcomes(quick, monkeypatch, tmp_path):
    monkeypatch.setattr(delta, "TRUTHS", {k: delta.TRUTHS[k] for k in ("nothing", "nothing, a machine drifts")})
    settings = Settings(delta_studies=2, delta_permutations=2, phantoms=0, workers=1)
    part = delta.delta(Bench(settings, SMALL, tmp_path))
    text = "\n".join(survival_delta_report.section(part))
    assert "nan" not in text
    assert text.count("nothing, a machine drifts") == 1
    assert "permuted 2 times" in text
    assert survival_figures._delta(part, tmp_path / "delta.png").stat().st_size > 5000
    fewer = delta.delta(Bench(replace(settings, delta_permutations=0), SMALL, tmp_path))
    assert "permuted" not in "\n".join(survival_delta_report.section(fewer))


def test_the_studies_of_changes_leave_other_parts_results_valid(tmp_path):
    first = Bench(Settings(phantoms=0), SMALL, tmp_path)
    other = Bench(Settings(phantoms=0, delta_studies=3), SMALL, tmp_path)
    assert first.digest() == other.digest()
    assert first.digest(changes=True) != other.digest(changes=True)
