"""Grades: the rule at its boundaries, probabilities, age, and the norms file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.spect.grade import (
    AGE_DECLINE,
    GRADES,
    MEANINGS,
    Graded,
    Norms,
    grade_binding,
    grade_of,
    grade_probabilities,
    load_norms,
)
from manabi.spect.quantify import Binding

NORMS = Norms({"caudate": 3.0, "putamen": 2.0}, {"caudate": 0.5, "putamen": 0.25}, "these tests", age_years=60.0)


def binding(caudate, putamen, sd=0.0):
    values = {("caudate", "left"): caudate, ("caudate", "right"): 3.0, ("putamen", "left"): putamen,
              ("putamen", "right"): 2.0}  # fmt: skip
    ratios = {"left": None, "right": None}
    return Binding(values, {"left": 0.0, "right": 0.0}, 1.0, None, None, ratios, dict.fromkeys(values, sd))


@pytest.mark.parametrize(
    ("putamen_z", "caudate_z", "grade"),
    [
        (0.0, 0.0, 4),
        (-1.999, -9.0, 4),
        (-2.0, 0.0, 3),
        (-3.999, 0.0, 3),
        (-4.0, 0.0, 2),
        (-9.0, -1.999, 2),
        (-9.0, -2.0, 1),
        (-4.0, -2.0, 1),
    ],
)
def test_the_rule_at_its_boundaries(putamen_z, caudate_z, grade):
    assert grade_of(putamen_z, caudate_z, NORMS) == grade
    certain = grade_probabilities(putamen_z, caudate_z, 0.0, 0.0, NORMS)
    assert certain == {g: float(g == grade) for g in GRADES}


def test_probabilities_sum_to_one_and_are_none_below_zero():
    rng = np.random.default_rng(4)
    for putamen, caudate, first, second in rng.uniform([-8, -6, 0, 0], [2, 2, 3, 3], (300, 4)):
        chances = grade_probabilities(putamen, caudate, first, second, NORMS)
        assert sum(chances.values()) == pytest.approx(1.0)
        assert min(chances.values()) >= 0.0


def test_probabilities_are_those_of_noisy_scores():
    rng = np.random.default_rng(5)
    putamen, caudate = rng.normal(-3.6, 0.9, 40_000), rng.normal(-1.7, 0.6, 40_000)
    drawn = [grade_of(p, c, NORMS) for p, c in zip(putamen, caudate, strict=True)]
    expected = grade_probabilities(-3.6, -1.7, 0.9, 0.6, NORMS)
    for grade in GRADES:
        assert drawn.count(grade) / len(drawn) == pytest.approx(expected[grade], abs=0.01)


def test_a_score_on_the_boundary_is_a_toss_up():
    assert grade_probabilities(-2.0, 0.0, 0.5, 0.5, NORMS)[4] == pytest.approx(0.5)


def test_age_moves_the_norm_by_its_decline():
    assert NORMS.z("putamen", 2.0 * (1 - AGE_DECLINE) ** 2, 80.0) == pytest.approx(0.0)
    assert NORMS.z("putamen", 2.0, 60.0) == NORMS.z("putamen", 2.0) == 0.0
    assert NORMS.z("caudate", 2.0, 85.0) > NORMS.z("caudate", 2.0, 60.0) > NORMS.z("caudate", 2.0, 30.0)


def test_age_does_not_matter_where_the_norm_has_none():
    ageless = Norms(NORMS.mean, NORMS.sd, "these tests")
    assert ageless.z("putamen", 1.5, 90.0) == ageless.z("putamen", 1.5)


def test_each_striatum_is_graded_by_itself():
    graded = grade_binding(binding(1.5, 0.4, sd=0.05), NORMS)
    assert graded["left"].grade == 1 and graded["right"].grade == 4
    assert graded["left"].putamen_z == pytest.approx(-6.4)
    assert graded["left"].probability == graded["left"].probabilities[1] > 0.9


def test_noise_makes_a_grade_less_sure():
    sure, unsure = (grade_binding(binding(3.0, 1.3, sd), NORMS)["left"] for sd in (0.01, 0.5))
    assert sure.grade == unsure.grade == 3
    assert sure.probability > 0.99 > unsure.probability


def test_age_reaches_the_grade():
    reduced = binding(3.0, 1.45)
    assert grade_binding(reduced, NORMS, 60.0)["left"].grade == 3
    assert grade_binding(reduced, NORMS, 100.0)["left"].grade == 4


def test_every_grade_has_its_words():
    assert set(MEANINGS) == set(GRADES)
    assert isinstance(grade_binding(binding(3.0, 2.0), NORMS)["left"], Graded)


# --- the norms file ---------------------------------------------------------------------------------------------------


def test_the_shipped_norms_are_plausible_and_say_where_they_are_from():
    norms = load_norms()
    for structure in ("caudate", "putamen"):
        assert 1.0 < norms.mean[structure] < 6.0
        assert 0.05 < norms.sd[structure] / norms.mean[structure] < 0.4
    assert len(norms.source) > 20 and "placeholder" not in norms.source.lower()


def test_a_site_brings_its_own_norms(tmp_path):
    file = tmp_path / "normes de José.json"
    record = {"mean": NORMS.mean, "sd": NORMS.sd, "source": "our clinic", "age_years": 55, "severe_z": -3.5, "extra": 1}
    file.write_text(json.dumps(record), encoding="utf-8")
    found = load_norms(str(file))
    assert (found.source, found.age_years, found.severe_z, found.mild_z) == ("our clinic", 55, -3.5, -2.0)
    file.write_text(json.dumps({**record, "source": "our clinic, 2nd edition"}), encoding="utf-8")
    assert load_norms(str(file)).source == "our clinic, 2nd edition"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "not json",
        "[]",
        "{}",
        json.dumps({"mean": NORMS.mean, "sd": NORMS.sd}),
        json.dumps({"mean": {"caudate": 1.0}, "sd": NORMS.sd, "source": "x"}),
        json.dumps({"mean": NORMS.mean, "sd": {"caudate": 0.5, "putamen": 0.0}, "source": "x"}),
        json.dumps({"mean": {"caudate": "3", "putamen": 2.0}, "sd": NORMS.sd, "source": "x"}),
        json.dumps({"mean": [3.0, 2.0], "sd": NORMS.sd, "source": "x"}),
        json.dumps({"mean": {"caudate": float("nan"), "putamen": 2.0}, "sd": NORMS.sd, "source": "x"}),
        json.dumps({"mean": NORMS.mean, "sd": NORMS.sd, "source": "x", "age_years": "old"}),
    ],
    ids=["missing", "no json", "a list", "empty", "no source", "no putamen", "sd 0", "text", "lists", "NaN", "age"],
)
def test_a_norms_file_that_cannot_be_used_is_refused(tmp_path, text):
    file = tmp_path / "norms.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"norms\.json cannot be used.*must be JSON with mean, sd"):
        load_norms(str(file))
