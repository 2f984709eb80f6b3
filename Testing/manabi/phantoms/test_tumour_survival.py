"""The outcome model of the tumour phantom: the laws it is drawn from, and the published table of concordances."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour_survival import (
    CENTRES,
    COHORTS,
    OutcomeModel,
    draw_cohort,
    draw_patients,
    draw_times,
    hazard_parts,
    oracle_c,
    outcome_model,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.25, 0.562), (1.5, 0.609), (1.75, 0.644), (2.0, 0.672), (3.0, 0.739)]
)
def test_the_oracle_has_the_computed_concordance(ratio: float, expected: float) -> None:
    assert oracle_c(math.log(ratio)) == pytest.approx(expected, abs=7e-4)


def test_the_oracle_s_concordance_is_found_in_drawn_times() -> None:
    model = OutcomeModel(accrual_years=0.0, follow_years=1e6, dropout_per_year=0.0)
    score = math.log(2.0) * rng(1).standard_normal(4000)
    days, event = draw_times(rng(2), score, model)
    assert event.all()
    first, second = np.arange(0, 4000, 2), np.arange(1, 4000, 2)
    agree = (days[first] < days[second]) == (score[first] > score[second])
    assert agree.mean() == pytest.approx(0.672, abs=0.035)


def test_five_year_survival_is_sixty_per_cent() -> None:
    model = OutcomeModel(accrual_years=0.0, follow_years=1e6, dropout_per_year=0.0)
    days, _ = draw_times(rng(3), np.zeros(20000), model)
    assert (days > 5 * 365.25).mean() == pytest.approx(0.6, abs=0.01)


def test_times_follow_weibull_s_shape() -> None:
    model = OutcomeModel(accrual_years=0.0, follow_years=1e6, dropout_per_year=0.0)
    days, _ = draw_times(rng(4), np.zeros(20000), model)
    cumulative = [-math.log((days > d).mean()) for d in (500, 2000)]
    assert math.log(cumulative[1] / cumulative[0]) / math.log(4.0) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("cohort", sorted(COHORTS))
def test_between_40_and_50_percent_die_within_the_study(cohort: str) -> None:
    assert 0.40 < draw_cohort(rng(5), 20000, outcome_model(cohort)).event.mean() < 0.50


def test_texture_and_volume_are_correlated_and_standardised() -> None:
    found = draw_patients(rng(6), 20000)
    assert np.corrcoef(found.z, found.v)[0, 1] == pytest.approx(0.3, abs=0.02)
    assert (found.z.mean(), found.z.std()) == pytest.approx((0.0, 1.0), abs=0.02)
    assert np.median(found.volume_ml) == pytest.approx(10.0, rel=0.03)
    assert set(np.unique(found.centre)) == set(range(len(CENTRES)))


def test_stage_grows_with_volume() -> None:
    found = replace(draw_patients(rng(7), 5), v=np.array([-3.0, -1.5, 0.0, 1.0, 3.0]))
    assert found.stage == ["IA2", "IA2", "IB", "IIA", "IIB"] or found.stage == sorted(found.stage)
    assert len(set(found.stage)) >= 4


def test_the_parts_add_up_to_the_log_hazard() -> None:
    model = outcome_model("confounded", beta=0.5, response_effect=-0.4)
    cohort = draw_cohort(rng(8), 50, model)
    assert np.allclose(cohort.log_hazard, sum(cohort.parts.values()))
    assert np.allclose(cohort.parts["texture"], 0.5 * cohort.patients.z)
    centre = cohort.parts["centre"]
    assert centre.max() - centre.min() == pytest.approx(math.log(3.0))


def test_nothing_tells_survival_in_the_null_cohort() -> None:
    patients = draw_patients(rng(9), 40)
    assert all(np.allclose(part, 0.0) for part in hazard_parts(patients, outcome_model("null")).values())


def test_a_cohort_is_the_same_again_under_a_seed() -> None:
    first, second = draw_cohort(rng(10), 30), draw_cohort(rng(10), 30)
    assert np.array_equal(first.time_days, second.time_days)
    assert np.array_equal(first.event, second.event)


def test_impossible_studies_are_refused() -> None:
    for bad in ({"five_year_survival": 1.0}, {"nu": 0.0}, {"dropout_per_year": -1.0}):
        with pytest.raises(InvalidInputError):
            OutcomeModel(**bad)
    with pytest.raises(InvalidInputError, match="cohort"):
        outcome_model("best")
    with pytest.raises(InvalidInputError, match="height"):
        draw_patients(rng(), 3, height=1.0)
    with pytest.raises(InvalidInputError, match="standard deviation"):
        oracle_c(-1.0)
