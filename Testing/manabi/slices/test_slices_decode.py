"""One answer per marker: order, absence, calibrated confidence; and the coarse-to-fine search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import logsumexp

from manabi.errors import InvalidInputError
from manabi.slices import decode as chain
from manabi.slices.decode import OFFSET_MM, Decoder, Scored, decode, fit_decoder, near_mass, offsets_mm, surprise
from manabi.slices.search import SearchPlan, search_all, search_coarse_to_fine


def ideal(z, levels, sharp=8.0, noise=0.0, seed=0):
    """Scores of a perfect network for markers at ``levels`` mm."""
    rng = np.random.default_rng(seed)
    d = np.asarray(levels)[None] - z[:, None]
    logits = sharp * np.exp(-0.5 * (d / 4.0) ** 2) - sharp / 2 + noise * rng.normal(size=d.shape)
    return np.concatenate([logits, np.tanh(d / OFFSET_MM)], axis=1)


def positions(low=0.0, high=300.0, step=4.0):
    return np.arange(low, high + step / 2, step)


def test_clear_scores_give_their_peaks():
    z = positions()
    out = decode(ideal(z, (260.0, 172.0, 60.0)), z, Decoder())
    assert out.states == (65, 43, 15)
    assert min(out.confidence) > 0.9
    np.testing.assert_allclose(out.posterior.sum(axis=1), 1.0)


def test_levels_out_of_order_are_impossible():
    z = positions()
    scores = ideal(z, (260.0, 172.0, 60.0))
    scores[10, 0] = scores[:, 0].max() + 2.0  # a stronger apex below the carina
    out = decode(scores, z, Decoder())
    assert out.states[0] == 65
    assert out.posterior[0, 1 + 10] < 1e-3


@pytest.mark.parametrize(
    ("levels", "states"),
    [((340.0, 252.0, 132.0), ("above", 63, 33)), ((200.0, 112.0, -30.0), (50, 28, "below")),
     ((430.0, 340.0, 200.0), ("above", "above", 50)), ((420.0, 380.0, 360.0), ("above", "above", "above"))],
)  # fmt: skip
def test_what_lies_beyond_the_image_is_said_to(levels, states):
    z = positions()
    out = decode(ideal(z, levels), z, Decoder(absent=(0.0, 0.0, 0.0)))
    names = {-1: "below", len(z): "above"}
    assert tuple(names.get(s, s) for s in out.states) == states


def test_the_chain_is_summed_exactly():
    """Posterior and best assignment against every assignment written out."""
    z = positions(high=32.0)
    decoder = Decoder(gap_mm=(12.0, 8.0), gap_sd_mm=(6.0, 5.0), absent=(-1.0, 0.5, 0.3))
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.normal(0, 2, (9, 3)), rng.uniform(-0.6, 0.6, (9, 3))], axis=1)
    single = chain._single(scores, z, decoder)
    pairs = [chain._pair(z, decoder, which) for which in range(2)]
    every = {
        s: single[0, s[0]] + pairs[0][s[0], s[1]] + single[1, s[1]] + pairs[1][s[1], s[2]] + single[2, s[2]]
        for s in product(range(11), repeat=3)
    }
    total = logsumexp(list(every.values()))
    out = decode(scores, z, decoder)
    for marker in range(3):
        for state in range(11):
            mass = sum(np.exp(v - total) for s, v in every.items() if s[marker] == state)
            assert out.posterior[marker, state] == pytest.approx(mass, abs=1e-9)
    best = max(every, key=every.get)
    assert out.states == tuple({0: -1, 10: 9}.get(s, s - 1) for s in best)


def test_slices_not_looked_at_are_no_candidates():
    z = positions()
    scores = ideal(z, (260.0, 172.0, 60.0))
    scores[43] = np.nan
    out = decode(scores, z, Decoder())
    assert out.states[1] in (42, 44)
    assert out.posterior[1, 44] > 0.0
    scores[0] = np.nan
    with pytest.raises(InvalidInputError, match="first and the last"):
        decode(scores, z, Decoder())


def test_a_denser_stack_is_as_confident():
    confidences = [decode(ideal(z, (260.0, 172.0, 60.0)), z, Decoder()).confidence for z in
                   (positions(step=1.0), positions(step=4.0))]  # fmt: skip
    np.testing.assert_allclose(confidences[0], confidences[1], atol=0.06)


def test_fitting_raises_the_probability_of_the_truth():
    rng = np.random.default_rng(5)
    cases = []
    for seed in range(24):
        base = rng.uniform(-60, 60)
        levels = (250.0 + base, 165.0 + base, 50.0 + base)
        z = positions()
        scores = ideal(z, levels, sharp=3.0, noise=0.7, seed=seed)
        truth = tuple(np.inf if v > 302 else -np.inf if v < -2 else v for v in levels)
        cases.append(Scored(scores, z, truth))
    start = Decoder(scale=(0.3, 0.3, 0.3))
    fitted = fit_decoder(cases, start, rounds=15)

    def loss(decoder):
        return np.mean([np.mean(surprise(decode(c.scores, c.z_mm, decoder).posterior, c)) for c in cases])

    assert loss(fitted) < 0.8 * loss(start)
    assert fitted.gap_mm == pytest.approx((85.0, 115.0), abs=1e-6)
    assert Decoder.of(fitted.facts()).scale == pytest.approx(fitted.scale, abs=1e-4)
    with pytest.raises(InvalidInputError, match="validation cases"):
        fit_decoder([])


@pytest.mark.parametrize("step", [2.0, 4.0, 5.0])
def test_the_fitted_confidence_is_how_often_it_is_right(step):
    """Scores that are exactly the logarithm of a Gaussian of 3 mm around a shifted level: the true scale is 1."""
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(150):
        levels = np.array([260.0, 172.0, 60.0]) + rng.uniform(-20, 20)
        z = positions(step=step)
        d = (levels + rng.normal(0, 3.0, 3))[None] - z[:, None]
        scores = np.concatenate([-0.5 * (d / 3.0) ** 2, np.tanh((levels[None] - z[:, None]) / OFFSET_MM)], axis=1)
        cases.append(Scored(np.maximum(scores, -25.0), z, tuple(levels)))
    fitted = fit_decoder(cases)
    assert np.mean(fitted.scale) == pytest.approx(1.0, abs=0.7)
    found = [decode(case.scores, case.z_mm, fitted) for case in cases]
    right = [abs(case.z_mm[s] - t) <= 4.0 for case, one in zip(cases, found, strict=True)
             for s, t in zip(one.states, case.truth, strict=True)]  # fmt: skip
    assert np.mean([one.confidence for one in found]) == pytest.approx(np.mean(right), abs=0.06)


def test_the_confidence_does_not_jump_with_the_distance_of_the_slices():
    found = []
    for step in (3.99, 4.0, 4.0001, 4.2):
        z = step * np.arange(70)
        posterior = np.zeros(72)
        posterior[1:-1] = np.exp(-0.5 * ((z - z[30] - step / 2) / 3.0) ** 2)
        found.append(near_mass(posterior / posterior.sum(), 30, z))
    assert max(found) - min(found) < 0.03


@pytest.mark.parametrize(("step", "share"), [(2.0, 1.0), (8.0, 1.0), (10.0, 0.8), (16.0, 0.5)])
def test_of_a_thick_slice_only_what_is_near_counts(step, share):
    posterior = np.zeros(12)
    posterior[5] = 1.0
    assert near_mass(posterior, 4, step * np.arange(10)) == pytest.approx(share)


def test_coarse_to_fine_is_about_as_sure_as_looking_at_every_slice():
    z = positions(step=2.0)
    scores = ideal(z, (260.0, 172.0, 60.0), sharp=4.0)
    every = decode(scores, z, Decoder())
    few = decode(search_coarse_to_fine(z, lambda index: scores[index]).scores, z, Decoder())
    assert few.states == every.states
    np.testing.assert_allclose(few.confidence, every.confidence, atol=0.2)
    assert max(np.subtract(few.confidence, every.confidence)) < 0.1


def test_distances_are_read_back_from_the_hyperbolic_tangent():
    scores = np.zeros((1, 6))
    scores[0, 3:] = np.tanh(np.array([-30.0, 0.0, 55.0]) / OFFSET_MM)
    np.testing.assert_allclose(offsets_mm(scores)[0], [-30.0, 0.0, 55.0], atol=1e-9)


# --- coarse to fine -----------------------------------------------------------------------------------------------


class Counting:
    def __init__(self, scores):
        self.scores, self.seen = scores, []

    def __call__(self, indices):
        self.seen.extend(indices.tolist())
        return self.scores[indices]


@pytest.mark.parametrize("step", [1.0, 2.5, 4.0])
def test_coarse_to_fine_gives_the_same_answer_with_few_looks(step):
    rng = np.random.default_rng(7)
    z = positions(step=step)
    shares = []
    for seed in range(20):
        shift = rng.uniform(-25, 25, 3)
        scores = ideal(z, np.array([255.0, 170.0, 55.0]) + shift, noise=0.1, seed=seed)
        score = Counting(scores)
        found = search_coarse_to_fine(z, score)
        assert len(score.seen) == len(set(score.seen))
        assert decode(found.scores, z, Decoder()).states == decode(scores, z, Decoder()).states
        shares.append(found.evaluated.mean())
        assert not found.fell_back
    assert np.mean(shares) <= 0.25


def test_where_no_peak_convinces_every_slice_is_looked_at():
    z = positions()
    scores = ideal(z, (255.0, 170.0, 55.0))
    scores[:, 1] = -4.0
    found = search_coarse_to_fine(z, Counting(scores))
    assert found.fell_back
    assert found.evaluated.all()


def test_a_marker_far_beyond_the_image_costs_no_second_look():
    z = positions()
    scores = ideal(z, (380.0, 172.0, 60.0))
    found = search_coarse_to_fine(z, Counting(scores))
    assert not found.fell_back
    assert found.evaluated.sum() <= 20
    assert decode(found.scores, z, Decoder()).states == decode(scores, z, Decoder()).states


def test_two_slices_are_enough_to_search():
    z = positions(high=4.0)
    found = search_coarse_to_fine(z, Counting(ideal(z, (2.0, -90.0, -200.0))), SearchPlan())
    assert found.evaluated.all()
    assert search_all(z, Counting(ideal(z, (2.0, -90.0, -200.0)))).evaluated.all()
