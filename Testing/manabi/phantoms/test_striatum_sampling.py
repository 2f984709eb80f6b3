"""The population: ranges, correlation of both sides, and choices."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.base import case_rng
from manabi.phantoms.striatum import StriatumParameters, StriatumPhantom
from manabi.phantoms.striatum_sampling import CAUDATE_FACTORS, PUTAMEN_FACTORS

PHANTOM = StriatumPhantom()


def population(count: int = 300, **choices: object) -> list[StriatumParameters]:
    return [PHANTOM.sample_parameters(case_rng(1, n), **choices) for n in range(count)]


def test_grades_are_all_used_and_both_sides_correlated() -> None:
    left, right = np.array([(p.grade_left, p.grade_right) for p in population()]).T
    assert set(left) == set(right) == {1, 2, 3, 4}
    assert np.corrcoef(left, right)[0, 1] > 0.7
    assert np.abs(left - right).max() == 1
    assert 0.5 < np.mean(left == right) < 0.75


def test_binding_ratios_follow_the_grade() -> None:
    for p in population():
        for side, grade in (("left", p.grade_left), ("right", p.grade_right)):
            low, high = PUTAMEN_FACTORS[grade]
            assert 0.95 * 4.5 * low < p.uptake.binding_ratio("putamen", side) < 1.05 * 6.0 * high
            low, high = CAUDATE_FACTORS[grade]
            assert 0.95 * 5.0 * low < p.uptake.binding_ratio("caudate", side) < 1.05 * 6.5 * high
            assert p.uptake.gradient("putamen", side) <= 1.0


def test_asymmetry_is_limited() -> None:
    for p in population():
        left, right = p.uptake.putamen_left, p.uptake.putamen_right
        assert 2 * abs(left - right) / (left + right) < 0.41


def test_asymmetry_differs_between_patients() -> None:
    index = [200 * abs(p.uptake.putamen_left - p.uptake.putamen_right)
             / (p.uptake.putamen_left + p.uptake.putamen_right) for p in population()]  # fmt: skip
    assert min(index) < 2.0
    assert max(index) > 30.0


def test_poses_stay_within_their_limits_and_clear_of_the_camera() -> None:
    for p in population():
        assert max(np.abs(p.anatomy.tilt_deg)) <= 8.0
        assert max(np.abs(p.anatomy.shift_mm)) <= 8.0
        assert np.linalg.norm(p.reconstruction.mu_shift_mm) <= 3.0 + 1e-9
        assert p.acquisition.radius_mm >= 95.0 * p.anatomy.scale + np.hypot(*p.anatomy.shift_mm[:2])
        assert 110.0 <= p.acquisition.radius_mm <= 150.0


def test_protocols_stay_within_published_practice() -> None:
    for protocol in ("source", "published"):
        for p in population(60, protocol=protocol):
            plan, recipe = p.acquisition, p.reconstruction
            assert 1.5e6 * 0.77 <= plan.counts <= 3.0e6
            assert 0.30 <= plan.scatter_fraction <= 0.35
            assert 0.85 <= plan.tew_bias <= 1.15
            assert 6.6 <= recipe.filter_fwhm_mm <= 9.9
            assert 4 <= recipe.iterations <= 8
            assert recipe.subsets in (8, 10)
    recovery = {p.reconstruction.resolution_recovery for p in population(60, protocol="published")}
    assert recovery == {True, False}


def test_choices_are_kept_and_leave_the_rest_as_drawn() -> None:
    free = PHANTOM.sample_parameters(case_rng(2, 0))
    level = (0.0, 0.0, 0.0)
    fixed = PHANTOM.sample_parameters(case_rng(2, 0), views=120, minutes=10.0, independent=True, tilt_deg=level)
    assert (fixed.acquisition.views, fixed.acquisition.minutes, fixed.acquisition.independent) == (120, 10.0, True)
    assert fixed.anatomy.tilt_deg == level
    assert fixed.uptake == free.uptake
    assert fixed.acquisition.counts == free.acquisition.counts


@pytest.mark.parametrize("left", [1, 2, 3, 4])
def test_grades_can_be_chosen(left: int) -> None:
    both = PHANTOM.sample_parameters(case_rng(3, left), grade_left=left, grade_right=2)
    assert (both.grade_left, both.grade_right) == (left, 2)
    one = PHANTOM.sample_parameters(case_rng(3, left), grade_left=left)
    assert one.grade_left == left
    assert abs(one.grade_right - left) <= 1


@pytest.mark.parametrize("choices", [{"grade_left": 5}, {"colour": 1}, {"protocol": "mine"}, {"grade_right": "4"}])
def test_unknown_choices_are_refused(choices: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        PHANTOM.sample_parameters(case_rng(1, 0), **choices)
