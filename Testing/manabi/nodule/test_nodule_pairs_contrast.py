"""Contrast to noise and subtlety."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.nodule.contrast import contrast_to_noise
from manabi.nodule.place import HIDDEN
from manabi.nodule.subtlety import GRADES, HIDDEN_FACTOR, JSRT_COUNTS, LIMITS, grade, visibility

ROW, COLUMN = np.indices((80, 80))
INSIDE = (ROW - 40) ** 2 + (COLUMN - 38) ** 2 < 100


def films(sd=0.05, rise=0.1, slope=0.0):
    negative = 0.5 + sd * np.random.default_rng(4).standard_normal((80, 80)) + slope * (ROW - COLUMN)
    return (negative + rise * INSIDE).astype(np.float32), negative.astype(np.float32)


def test_contrast_over_noise_is_what_was_put_in():
    contrast, ratio = contrast_to_noise(*films(), INSIDE)
    assert contrast == pytest.approx(0.1, abs=1e-4) and ratio == pytest.approx(2.0, rel=0.08)


def test_a_slope_is_no_noise_and_structure_elsewhere_does_not_count():
    _, plain = contrast_to_noise(*films(), INSIDE)
    assert contrast_to_noise(*films(slope=0.01), INSIDE)[1] == pytest.approx(plain, rel=1e-3)
    positive, negative = films()
    far = (ROW < 15) * np.float32(0.5)
    assert contrast_to_noise(positive + far, negative + far, INSIDE)[1] == pytest.approx(plain, rel=1e-6)


def test_more_noise_and_a_darker_nodule_give_less():
    assert contrast_to_noise(*films(sd=0.1), INSIDE)[1] == pytest.approx(1.0, rel=0.08)
    assert contrast_to_noise(*films(rise=-0.1), INSIDE)[1] < 0


def test_an_even_film_is_not_taken_as_noiseless():
    positive, negative = films(sd=0.0, rise=0.004)
    assert contrast_to_noise(positive, negative, INSIDE)[1] < 0.5


def test_masks_that_do_not_fit_are_refused():
    positive, negative = films()
    for mask in (np.zeros_like(INSIDE), INSIDE[:40]):
        with pytest.raises(InvalidInputError, match="mask"):
            contrast_to_noise(positive, negative, mask)


def test_grades_rise_with_contrast_and_size_and_fall_behind_things():
    assert [grade(limit * 1.001, 15.0) for limit in (0.1, *LIMITS)] == [1, 2, 3, 4, 5]
    assert grade(LIMITS[2] * 1.001, 15.0) > grade(LIMITS[2] * 0.999, 15.0)
    assert grade(1.0, 35.0) > grade(1.0, 5.0)
    assert visibility(1.0, 15.0) == 1.0 and visibility(-3.0, 15.0) == 0.0
    assert all(visibility(1.0, 15.0, place) < 1.0 for place in HIDDEN[1:])
    assert set(HIDDEN_FACTOR) == set(HIDDEN) and len(GRADES) == len(JSRT_COUNTS) == 5 and sum(JSRT_COUNTS) == 154


def test_unknown_places_are_refused():
    for cnr, diameter, place in ((1.0, 15.0, "in the hat"), (1.0, 0.0, "clear")):
        with pytest.raises(InvalidInputError, match="got"):
            grade(cnr, diameter, place)
