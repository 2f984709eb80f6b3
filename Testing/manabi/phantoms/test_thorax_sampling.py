"""What chests are drawn: ranges that hold real adults, choices by name, a reader's slips."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.base import case_rng
from manabi.phantoms.thorax import ThoraxPhantom
from manabi.phantoms.thorax_disease import KINDS
from manabi.phantoms.thorax_parameters import ThoraxParameters

PHANTOM = ThoraxPhantom()


@pytest.fixture(scope="module")
def drawn() -> list[ThoraxParameters]:
    return [PHANTOM.sample_parameters(case_rng(17, index), jitter=True) for index in range(400)]


def test_same_seed_draws_the_same_chest() -> None:
    assert PHANTOM.sample_parameters(case_rng(1, 2)) == PHANTOM.sample_parameters(case_rng(1, 2))
    assert PHANTOM.sample_parameters(case_rng(1, 2)) != PHANTOM.sample_parameters(case_rng(1, 3))


def test_airways_have_the_published_means(drawn: list[ThoraxParameters]) -> None:
    for female, length, diameter in ((False, 107.8, 18.0), (True, 101.4, 14.8)):
        airways = [d.airway for d in drawn if d.chest.female == female]
        assert np.mean([a.trachea for a in airways]) == pytest.approx(length, abs=3.5)
        assert np.mean([a.diameter for a in airways]) == pytest.approx(diameter, abs=0.6)
    assert np.mean([d.airway.left_main for d in drawn]) == pytest.approx(48.3, abs=1.5)


@pytest.mark.parametrize(("apex", "dome", "recess", "half_width"),
                         [(85, 112, 68, 110), (63, 120, 75, 129), (105, 96, 50, 124)])  # fmt: skip
def test_measured_patients_lie_within_the_ranges(
    drawn: list[ThoraxParameters], apex: float, dome: float, recess: float, half_width: float
) -> None:
    """Heights of apex and dome from the carina, recess and half width (mm) of three real CTs."""
    for name, value, scale in (("apex_right", apex, 1.0), ("dome_right", dome, 1.0), ("recess", recess, 1.0),
                               ("size", half_width, 122.0)):  # fmt: skip
        values = scale * np.array([getattr(d.chest, name) for d in drawn])
        assert np.percentile(values, 2) < value < np.percentile(values, 98), name


def test_variants_all_occur(drawn: list[ThoraxParameters]) -> None:
    assert {d.chest.arms for d in drawn} == {"up", "down", "one"}
    assert {d.chest.couch for d in drawn} == {"curved", "flat", "none"}
    assert {d.disease.kind for d in drawn} == set(KINDS)
    assert {d.chest.female for d in drawn} == {True, False}
    assert any(d.airway.diverticulum for d in drawn)
    assert any(d.chest.oesophagus_air for d in drawn)


def test_reader_slips_in_a_tenth_of_marks_and_only_if_asked(drawn: list[ThoraxParameters]) -> None:
    slips = np.array([d.reader_slices for d in drawn])
    assert set(np.unique(slips)) == {-1, 0, 1}
    assert 0.07 < (slips != 0).mean() < 0.13
    assert PHANTOM.sample_parameters(case_rng(17, 0)).reader_slices == (0, 0, 0)


def test_choices_fix_fields_of_any_part() -> None:
    one = PHANTOM.sample_parameters(case_rng(2, 0), pathology="uip", arms="down", slice_mm=1.25, texture_seed=7,
                                    trachea=90.0, place_mm=[1.0, 2.0, 3.0])  # fmt: skip
    assert (one.disease.kind, one.chest.arms, one.scan.slice_mm, one.texture_seed) == ("uip", "down", 1.25, 7)
    assert (one.airway.trachea, one.scan.place_mm, one.scan.subslices) == (90.0, (1.0, 2.0, 3.0), 1)


def test_thick_slices_average_more_planes() -> None:
    one, given = (PHANTOM.sample_parameters(case_rng(2, 0), slice_mm=8.0, **extra) for extra in ({}, {"subslices": 3}))
    assert (one.scan.subslices, given.scan.subslices) == (4, 3)


@pytest.mark.parametrize("choices", [{"pathology": "measles"}, {"colour": 3}, {"arms": "crossed"}, {"couch": "soft"}])
def test_impossible_choices_are_refused(choices: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        PHANTOM.sample_parameters(case_rng(0, 0), **choices)
