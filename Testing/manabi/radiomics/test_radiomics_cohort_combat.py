"""ComBat: equal to another implementation, honest about centres it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.combat import ComBat

REFERENCE = json.loads(Path(__file__).with_name("combat_reference.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", REFERENCE, ids=["two centres", "three centres, covariate kept"])
def test_equals_neurocombat(case):
    values, centre = np.array(case["values"]), [str(c) for c in case["centre"]]
    covariates = None if case["covariate"] is None else np.array(case["covariate"])[:, None]
    combat = ComBat.fit(values, centre, covariates)
    assert np.allclose(combat.transform(values, centre, covariates), case["harmonised"], atol=1e-8)


def test_removes_shift_and_scale_of_centres_but_not_a_covariates_effect():
    rng = np.random.default_rng(0)
    n, p = 200, 40
    centre = np.array(["a", "b"])[rng.integers(2, size=n)]
    age = rng.normal(size=(n, 1)) + (centre == "b")[:, None]
    true = rng.normal(size=(n, p)) + age
    seen = np.where((centre == "b")[:, None], 2 * (true - age) + age + 3, true)
    out = ComBat.fit(seen, centre, age).transform(seen, centre, age)
    rest = out - age
    assert abs(rest[centre == "a"].mean() - rest[centre == "b"].mean()) < 0.1
    assert abs(rest[centre == "a"].std() / rest[centre == "b"].std() - 1) < 0.1
    slope = np.polyfit(age[:, 0], out.mean(1), 1)[0]
    assert abs(slope - 1) < 0.1


def test_an_unseen_centre_warns_and_stays_or_is_an_error():
    rng = np.random.default_rng(0)
    values, centre = rng.normal(size=(20, 5)), ["a"] * 10 + ["b"] * 10
    new, told = rng.normal(size=(3, 5)), []
    out = ComBat.fit(values, centre).transform(new, ["c", "a", "c"], warn=told.append)
    assert np.array_equal(out[[0, 2]], new[[0, 2]]) and not np.allclose(out[1], new[1])
    assert told and "2 rows are of 1 centres" in told[0]
    with pytest.raises(InvalidInputError, match="unseen_centre"):
        ComBat.fit(values, centre, unseen="error").transform(new, ["c", "a", "c"])


def test_a_centre_of_one_training_patient_counts_as_unseen_and_one_centre_changes_nothing():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(21, 5))
    combat = ComBat.fit(values, ["a"] * 10 + ["b"] * 10 + ["c"])
    assert combat.centres == ("a", "b")
    alone = ComBat.fit(values, ["a"] * 21)
    assert np.allclose(alone.transform(values, ["a"] * 21), values)


def test_some_columns_of_a_fitted_combat_do_the_same_as_all():
    case = REFERENCE[0]
    values, centre = np.array(case["values"]), [str(c) for c in case["centre"]]
    combat = ComBat.fit(values, centre)
    some = combat.take(np.array([4, 1])).transform(values[:, [4, 1]], centre)
    assert np.array_equal(some, combat.transform(values, centre)[:, [4, 1]])
