"""Stand-ins for features: they have the dependence and the correlations that they were learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour_surrogate import LUNG_DRIVERS, Surrogate, lung_drivers, made_up, normal_scores
from manabi.phantoms.tumour_survival import draw_patients


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_features_have_mean_0_and_about_deviation_1() -> None:
    patients = draw_patients(rng(1), 4000)
    values = made_up(rng(2)).draw(rng(3), lung_drivers(patients))
    assert values.shape == (4000, 744)
    assert 0.85 < float(values.std(axis=0).mean()) < 1.15


def test_what_is_learned_from_draws_is_what_drew_them() -> None:
    truth, patients = made_up(rng(4), 60, 6), draw_patients(rng(5), 3000)
    values = truth.draw(rng(6), lung_drivers(patients))
    learned = Surrogate.fit(truth.names, np.exp(values), LUNG_DRIVERS, lung_drivers(patients), rank=6)
    scale = values.std(axis=0)
    assert np.allclose(learned.effects[:2], truth.effects[:2] / scale, atol=0.12)
    again = learned.draw(rng(7), lung_drivers(patients))
    assert np.abs(np.corrcoef(again.T) - np.corrcoef(values.T)).mean() < 0.05


def test_effects_that_are_estimation_error_are_shrunk_to_about_nothing() -> None:
    known = rng(8).standard_normal((80, 2))
    noise = rng(9).standard_normal((80, 300))
    learned = Surrogate.fit([f"f{n}" for n in range(300)], noise, ("a", "b"), known)
    raw = np.linalg.lstsq(known, noise, rcond=None)[0]
    assert np.abs(learned.effects).mean() < 0.35 * np.abs(raw).mean()


def test_normal_scores_keep_the_order_and_ignore_the_scale() -> None:
    values = rng(10).standard_normal((50, 3))
    assert np.allclose(normal_scores(np.exp(values)), normal_scores(values))
    assert not normal_scores(np.ones((10, 2))).any()


def test_drivers_are_z_v_and_the_centres() -> None:
    patients = replace(draw_patients(rng(11), 3), centre=np.array([0, 1, 3]))
    found = lung_drivers(patients)
    assert found.shape == (3, len(LUNG_DRIVERS))
    assert found[:, 2:].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_what_does_not_fit_is_refused() -> None:
    surrogate = made_up(rng(12), 30, 5)
    with pytest.raises(InvalidInputError, match="drivers"):
        surrogate.draw(rng(), np.zeros((4, 2)))
    with pytest.raises(InvalidInputError, match="at least"):
        Surrogate.fit(("a",), np.zeros((5, 1)), ("z",), np.zeros((5, 1)))
    with pytest.raises(InvalidInputError, match="groups"):
        made_up(rng(), 3, 12)
