"""Simulated readers: they grade as they should, agree with themselves as intended, and repeat under a seed."""

from __future__ import annotations

import numpy as np
import pytest

from Training.experiments.readers import Criteria, fit_criteria, kappa, read

CRITERIA = Criteria(mild=0.5, severe=0.3, caudate=0.4, noise=0.0)


def population(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Brightness of striata with known grades, a little overlapping."""
    rng = np.random.default_rng(3)
    grades = rng.integers(1, 5, (count, 2))
    putamen = np.choose(grades - 1, [0.15, 0.22, 0.42, 0.65]) + rng.normal(0, 0.02, grades.shape)
    caudate = np.choose(grades - 1, [0.25, 0.6, 0.65, 0.7]) + rng.normal(0, 0.02, grades.shape)
    return np.stack([putamen, caudate], -1), grades


@pytest.mark.parametrize(
    ("putamen", "caudate", "grade"), [(0.7, 0.7, 4), (0.4, 0.7, 3), (0.2, 0.7, 2), (0.2, 0.2, 1), (0.7, 0.1, 4)]
)
def test_a_reader_without_noise_follows_the_thresholds(putamen: float, caudate: float, grade: int) -> None:
    found = read(np.array([putamen, caudate]), CRITERIA, "A", np.random.default_rng(0))
    assert int(found) == grade


def test_fitted_thresholds_recover_the_true_grades() -> None:
    seen, grades = population()
    fitted = fit_criteria(seen, grades, seed=1)
    silent = Criteria(fitted.mild, fitted.severe, fitted.caudate, 0.0)
    assert kappa(read(seen, silent, "A", np.random.default_rng(0)), grades) > 0.97


def test_a_reader_agrees_with_itself_as_people_do() -> None:
    seen, grades = population(400)
    fitted = fit_criteria(seen, grades, seed=1)
    rng = np.random.default_rng(8)
    again = kappa(read(seen, fitted, "A", rng), read(seen, fitted, "A", rng))
    assert again == pytest.approx(0.8, abs=0.06)


def test_a_stricter_reader_gives_lower_grades() -> None:
    seen, _ = population(200)
    noisy = Criteria(0.5, 0.3, 0.4, 0.05)
    lax = read(seen, noisy, "B", np.random.default_rng(5)).mean()
    strict = read(seen, noisy, "C", np.random.default_rng(5)).mean()
    assert strict < lax


def test_the_same_seed_gives_the_same_reading() -> None:
    seen, _ = population()
    noisy = Criteria(0.5, 0.3, 0.4, 0.1)
    first = read(seen, noisy, "A", np.random.default_rng(2))
    assert np.array_equal(first, read(seen, noisy, "A", np.random.default_rng(2)))
    assert not np.array_equal(first, read(seen, noisy, "A", np.random.default_rng(4)))
