"""The rules' answer as evidence: habits are counted back, and weigh as much as they deserve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.slices.decode import OFFSET_MM, Decoder, Scored, decode, fit_decoder
from manabi.slices.evidence import Habits, count_habits, evidence, slice_density
from manabi.slices.find import Settings

Z = np.arange(0.0, 301.0, 4.0)
LEVELS = np.array([260.0, 172.0, 60.0])
GOOD = Habits((0.0,) * 3, (0.0,) * 3, (2.0,) * 3, (0.05,) * 3, (0.05,) * 3, (0.1,) * 3)


def scores(peaks, sharp=4.0):
    d = np.asarray(peaks)[None] - Z[:, None]
    return np.concatenate([sharp * np.exp(-0.5 * (d / 4.0) ** 2) - sharp / 2, np.tanh(d / OFFSET_MM)], axis=1)


def test_habits_are_counted_back():
    rng = np.random.default_rng(0)
    truth = np.tile(LEVELS, (600, 1))
    said = truth + np.array([2.0, 0.0, -2.0]) + rng.laplace(0.0, 3.0, truth.shape)
    stray = rng.random(truth.shape) < 0.2
    said[stray] = rng.uniform(0, 400, truth.shape)[stray]
    said[rng.random(truth.shape) < 0.15] = np.inf
    said[rng.random(truth.shape) < 0.1] = np.nan
    truth[:100, 0] = np.inf
    said[:100, 0] = np.where(rng.random(100) < 0.3, 250.0, np.inf)
    habits = count_habits(truth, said, np.full(600, 4.0))
    assert habits.shift == pytest.approx((0.5, 0.0, -0.5), abs=0.25)
    assert habits.shift_mm == pytest.approx((0.0,) * 3, abs=1e-6)
    assert habits.off_mm == pytest.approx((3.0,) * 3, rel=0.25)
    assert habits.wrong == pytest.approx((0.2,) * 3, abs=0.06)
    assert habits.missed == pytest.approx((0.15,) * 3, abs=0.04)
    assert habits.false[0] == pytest.approx(0.3, abs=0.12)
    assert habits.false[1] == 0.5, "nothing is known where no level was absent"
    assert Habits.of(habits.facts()).off_mm == pytest.approx(habits.off_mm, abs=1e-4)


def test_another_way_of_marking_is_learned():
    """A site that marks 40 mm above what the rules look for."""
    rng = np.random.default_rng(1)
    truth = np.tile(LEVELS, (60, 1)) + rng.uniform(-20, 20, (60, 1))
    habits = count_habits(truth, truth - 40.0 + rng.laplace(0.0, 2.0, truth.shape), np.full(60, 4.0))
    moved = np.array(habits.shift) * 4.0 + np.array(habits.shift_mm)
    assert moved == pytest.approx((-40.0,) * 3, abs=1.5)
    assert max(habits.off_mm) < 4.0
    best = evidence(Z, LEVELS - 40.0, habits)[:, 1:-1].argmax(axis=1)
    np.testing.assert_allclose(Z[best], LEVELS, atol=2.0)


def test_few_cases_say_nothing_and_then_the_rules_count_for_nothing():
    habits = count_habits([LEVELS] * 5, [LEVELS] * 5, [4.0] * 5)
    assert not evidence(Z, LEVELS, habits).any()
    plain = decode(scores(LEVELS), Z, Decoder())
    told = decode(scores(LEVELS), Z, Decoder(), [10.0, 20.0, 30.0])
    np.testing.assert_array_equal(plain.posterior, told.posterior)


@pytest.mark.parametrize("step", [1.0, 4.0, 10.0])
def test_evidence_is_a_likelihood_of_what_was_said(step):
    """Over everything that the rules could say, the probabilities of each state add up to one."""
    z = np.arange(0.0, 300.1, step)
    places = np.arange(-50.0, 350.0, 0.5)
    for state, side in ((0, -np.inf), (len(z) // 2, np.inf), (len(z) + 1, np.inf)):
        said = np.exp([evidence(z, np.full(3, p), GOOD)[0, state] for p in places])
        beyond = np.exp(evidence(z, np.full(3, side), GOOD)[0, state])
        assert said.sum() * 0.5 / 400.0 + beyond == pytest.approx(1.0, abs=0.01)


def test_silence_is_no_evidence():
    assert not evidence(Z, np.full(3, np.nan), GOOD).any()


def test_a_density_is_averaged_over_each_slice():
    at = slice_density(np.arange(-200.0, 200.1, 10.0), 10.0, 2.0)
    assert at.sum() * 10.0 == pytest.approx(1.0, abs=1e-3)
    assert 2.0 < at[20] / at[21] < 12.0


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


def test_lung_at_the_end_of_the_image_makes_it_likelier_that_the_level_is_beyond():
    decoder = replace(Decoder(), habits=GOOD)
    high = scores((310.0, 222.0, 110.0))
    said, alone = decode(high, Z, decoder, [np.inf, 222.0, 110.0]), decode(high, Z, decoder)
    assert said.posterior[0, -1] > alone.posterior[0, -1]


@pytest.fixture(scope="module")
def shipped():
    """The decoder of the model that ships."""
    from manabi.store import BundleStore

    return Settings.of(BundleStore().get("slices-default", method="slices").facts["slices"]).decoder


@pytest.mark.parametrize("step", [1.0, 4.0])
def test_the_shipped_decoder_is_not_talked_out_of_what_the_network_sees_clearly(shipped, step):
    z = np.arange(0.0, 300.1, step)
    d = LEVELS[None] - z[:, None]
    clear = np.concatenate([np.clip(2.0 - 0.25 * d**2, -8.0, 2.0), np.tanh(d / OFFSET_MM)], axis=1)
    silent = decode(clear, z, shipped, [np.nan, np.nan, np.nan])
    np.testing.assert_allclose([z[s] for s in silent.states], LEVELS, atol=step)
    contrary = decode(clear, z, shipped, [np.inf, LEVELS[1], LEVELS[2]])
    assert 0 <= contrary.states[0] < len(z)
    wrong = decode(clear, z, shipped, [LEVELS[0], LEVELS[1] + 30.0, LEVELS[2]])
    agreed = decode(clear, z, shipped, LEVELS.tolist())
    assert wrong.confidence[1] < 0.85 < agreed.confidence[1]


def test_fitting_takes_the_rules_into_account():
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(40):
        levels = LEVELS + rng.uniform(-15, 15)
        rules = tuple(levels + rng.laplace(0.0, 1.5, 3))
        cases.append(Scored(scores(levels + rng.normal(0, 6.0, 3)), Z, tuple(levels), rules))
    fitted = fit_decoder(cases)
    assert max(fitted.habits.wrong) < 0.5
    assert fitted.habits.off_mm == pytest.approx((1.5,) * 3, rel=0.5)
    off = [abs(Z[s] - t) for case in cases
           for s, t in zip(decode(case.scores, Z, fitted, case.rules).states, case.truth, strict=True)]  # fmt: skip
    assert np.mean(off) < 3.0
    again = Decoder.of(fitted.facts())
    assert again.habits.wrong == pytest.approx(fitted.habits.wrong, abs=1e-4)
