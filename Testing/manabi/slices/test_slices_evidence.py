"""The rules' answer as evidence: habits are counted back, and weigh as much as they deserve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.slices.decode import OFFSET_MM, Decoder, Scored, decode, fit_decoder
from manabi.slices.evidence import Habits, count_habits, evidence

Z = np.arange(0.0, 301.0, 4.0)
LEVELS = np.array([260.0, 172.0, 60.0])
GOOD = Habits((0.0,) * 3, (2.0,) * 3, (0.05,) * 3, (0.05,) * 3, (0.1,) * 3)


def scores(peaks, sharp=4.0):
    d = np.asarray(peaks)[None] - Z[:, None]
    return np.concatenate([sharp * np.exp(-0.5 * (d / 4.0) ** 2) - sharp / 2, np.tanh(d / OFFSET_MM)], axis=1)


def test_habits_are_counted_back():
    rng = np.random.default_rng(0)
    truth = np.tile(LEVELS, (600, 1))
    found = truth + np.array([2.0, 0.0, -2.0]) + rng.laplace(0.0, 3.0, truth.shape)
    stray = rng.random(truth.shape) < 0.2
    found[stray] = rng.uniform(0, 400, truth.shape)[stray]
    found[rng.random(truth.shape) < 0.1] = np.nan
    truth[:100, 0] = np.inf
    found[:100, 0] = np.where(rng.random(100) < 0.3, 250.0, np.nan)
    habits = count_habits(truth, found, np.full(600, 4.0))
    assert habits.shift == pytest.approx((0.5, 0.0, -0.5), abs=0.25)
    assert habits.off_mm == pytest.approx((3.0,) * 3, rel=0.2)
    assert habits.wrong == pytest.approx((0.2,) * 3, abs=0.06)
    assert habits.missed == pytest.approx((0.1,) * 3, abs=0.04)
    assert habits.false[0] == pytest.approx(0.3, abs=0.12)
    assert habits.false[1] == 0.5, "nothing is known where no level was absent"
    assert Habits.of(habits.facts()).off_mm == pytest.approx(habits.off_mm, abs=1e-4)


def test_few_cases_say_nothing_and_then_the_rules_count_for_nothing():
    habits = count_habits([LEVELS] * 5, [LEVELS] * 5, [4.0] * 5)
    assert not habits.counts
    assert not evidence(Z, LEVELS, habits).any()
    plain = decode(scores(LEVELS), Z, Decoder())
    told = decode(scores(LEVELS), Z, Decoder(), [10.0, 20.0, 30.0])
    np.testing.assert_array_equal(plain.posterior, told.posterior)


def test_evidence_is_a_likelihood_of_what_was_found():
    """Over everything that the rules could say, the probabilities of each state add up to one."""
    fine = np.arange(-200.0, 600.0, 0.5)
    for state in (0, 30, -1):
        inside = state not in (0, -1)
        found = np.exp([evidence(Z, np.full(3, p), GOOD)[0, state] for p in fine])
        mass = found.sum() * 0.5 / 400.0
        nothing = np.exp(evidence(Z, np.full(3, np.nan), GOOD)[0, state])
        spread = 0.95 * 0.05 if inside else 0.1
        assert mass + nothing - spread * (800.0 / 400.0 - 1.0) == pytest.approx(1.0, abs=0.02)


def test_an_unsure_network_follows_the_rules_and_a_sure_one_does_not():
    decoder = replace(Decoder(), habits=GOOD)
    rules = [260.0, 200.0, 60.0]
    unsure = decode(scores(LEVELS, sharp=1.0), Z, decoder, rules)
    sure = decode(scores(LEVELS, sharp=16.0), Z, decoder, rules)
    assert Z[unsure.states[1]] == 200.0
    assert Z[sure.states[1]] == 172.0


def test_agreement_makes_surer_and_disagreement_less_sure():
    decoder = replace(Decoder(), habits=GOOD)
    alone = decode(scores(LEVELS), Z, decoder).confidence[1]
    agreed = decode(scores(LEVELS), Z, decoder, LEVELS.tolist()).confidence[1]
    opposed = decode(scores(LEVELS), Z, decoder, [260.0, 120.0, 60.0]).confidence[1]
    assert opposed < alone < agreed


def test_levels_that_the_rules_miss_are_more_likely_outside():
    decoder = replace(Decoder(), habits=GOOD)
    high = scores((310.0, 222.0, 110.0))
    said = decode(high, Z, decoder, [float("nan"), 222.0, 110.0])
    alone = decode(high, Z, decoder)
    assert said.posterior[0, -1] > alone.posterior[0, -1]


def test_fitting_takes_the_rules_into_account():
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(40):
        levels = LEVELS + rng.uniform(-15, 15)
        rules = tuple(levels + rng.laplace(0.0, 1.5, 3))
        cases.append(Scored(scores(levels + rng.normal(0, 6.0, 3)), Z, tuple(levels), rules))
    fitted = fit_decoder(cases)
    assert fitted.habits.counts
    assert fitted.habits.off_mm == pytest.approx((1.5,) * 3, rel=0.5)
    off = [abs(Z[s] - t) for case in cases
           for s, t in zip(decode(case.scores, Z, fitted, case.rules).states, case.truth, strict=True)]  # fmt: skip
    assert np.mean(off) < 3.0
    again = Decoder.of(fitted.facts())
    assert again.habits.wrong == pytest.approx(fitted.habits.wrong, abs=1e-4)
