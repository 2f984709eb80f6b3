"""Intervals and differences: what is drawn, what is reported, and how often an interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import (
    Bootstrap,
    Score,
    Statistic,
    difference,
    missing,
    p_text,
    score,
    scores_table,
    two_sided,
)
from manabi.radiomics.cohort.scores_blocks import score_labels, score_survival
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_pairs import harrell


def simulated(n: int, ratio: float, seed: int) -> tuple[Followup, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    true = (-np.log(rng.uniform(size=n)) / np.exp(np.log(ratio) * z)) ** (1 / 1.2)
    end = rng.uniform(0.2, 2.5, n)
    return Followup(np.minimum(true, end), true <= end), z


def test_a_draw_counts_patients_and_keeps_their_tumours_together():
    groups = np.array([0, 0, 1, 2, 2, 2])
    for weights in Bootstrap(60).weights(groups):
        assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
        assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_a_draw_scores_as_the_resampled_rows_would():
    from sksurv.metrics import concordance_index_censored

    follow, z = simulated(40, 2.0, 0)
    statistic = harrell(follow, Predicted(z))
    weights = next(iter(Bootstrap(20).weights(follow.patients)))
    for counts, value in zip(weights, statistic.of(weights), strict=True):
        rows = np.repeat(np.arange(40), counts.astype(int))
        assert value == pytest.approx(concordance_index_censored(follow.event[rows], follow.time[rows], z[rows])[0])


def test_same_seed_same_interval_other_seed_another():
    follow, z = simulated(60, 2.0, 0)
    statistic = harrell(follow, Predicted(z))
    first, again, other = (score(statistic, Bootstrap(50, seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first.low != other.low and "seed 1" in first.how and "50 draws" in first.how


def test_copies_of_patients_as_tumours_do_not_narrow_the_interval():
    follow, z = simulated(60, 2.0, 0)
    plain = score(harrell(follow, Predicted(z)), Bootstrap(300))
    twice = Followup(np.tile(follow.time, 2), np.tile(follow.event, 2), np.tile(np.arange(60), 2))
    doubled = score(harrell(twice, Predicted(np.tile(z, 2))), Bootstrap(300))
    assert doubled.estimate == pytest.approx(plain.estimate)
    assert (doubled.low, doubled.high) == pytest.approx((plain.low, plain.high))


def test_paired_difference_is_narrower_than_two_scores_apart():
    follow, z = simulated(150, 2.0, 0)
    near = z + 0.3 * np.random.default_rng(1).normal(size=150)
    one, two = harrell(follow, Predicted(z)), harrell(follow, Predicted(near))
    apart = difference("z - near", one, two, Bootstrap(300))
    width = sum(s.high - s.low for s in (score(one, Bootstrap(300)), score(two, Bootstrap(300))))
    assert apart.estimate == pytest.approx(one.estimate() - two.estimate())
    assert apart.high - apart.low < 0.5 * width
    assert (apart.p < 0.05) == (not apart.low <= 0 <= apart.high)


def test_difference_of_a_model_with_itself_is_zero_with_p_of_one():
    follow, z = simulated(60, 2.0, 0)
    got = difference("same", harrell(follow, Predicted(z)), harrell(follow, Predicted(z)), Bootstrap(50))
    assert (got.estimate, got.low, got.high, got.p) == (0, 0, 0, 1)


def test_difference_to_a_constant_risk_is_nan_with_its_reason():
    follow, z = simulated(60, 2.0, 0)
    got = difference("d", harrell(follow, Predicted(z)), harrell(follow, Predicted(np.ones(60))), Bootstrap(20))
    assert np.isnan(got.estimate) and "same for all" in got.reason


def test_difference_of_other_patients_is_refused():
    first, second = simulated(30, 2.0, 0), simulated(40, 2.0, 0)
    with pytest.raises(InvalidInputError, match="same patients"):
        difference("d", *(harrell(f, Predicted(z)) for f, z in (first, second)))


def test_p_is_never_zero_and_twice_the_smaller_side():
    assert two_sided(np.arange(1, 100)) == pytest.approx(2 / 100)
    assert two_sided(np.concatenate([-np.ones(10), np.ones(89)])) == pytest.approx(22 / 100)


def test_draws_that_often_leave_a_statistic_undefined_give_no_interval():
    groups = np.arange(5)
    fragile = Statistic("first patient's value", lambda w: np.where(w[:, 0] > 0, 1.0, np.nan), groups, 5, 5)
    got = score(fragile, Bootstrap(100))
    assert got.estimate == 1 and np.isnan(got.low) and "undefined" in got.reason


def test_table_leaves_missing_numbers_empty_and_gives_the_reason():
    table = scores_table([Score("C", 0.6, 0.5, 0.7, "how", 10, 5), missing("AUC", "no event", 10, 0)])
    assert table.rows[0][:4] == ("C", 0.6, 0.5, 0.7) and table.rows[0][4] is None
    assert table.rows[1][1] is None and table.rows[1][-1] == "no event"


@pytest.mark.parametrize(("p", "text"), [(0.0421, "p 0.042"), (1e-5, "p < 0.001"), (np.nan, "p not available")])
def test_p_in_words(p, text):
    assert p_text(p) == text


@pytest.mark.parametrize(("draws", "level"), [(5, 0.95), (100, 1.0)])
def test_a_bootstrap_that_gives_no_interval_is_refused(draws, level):
    with pytest.raises(InvalidInputError, match="at least 20 draws"):
        Bootstrap(draws, level)


def test_four_blocks_are_scored_side_by_side_with_what_one_adds():
    follow, z = simulated(120, 3.0, 0)
    times = np.array([0.2, 0.4, 0.8, 1.2])
    noise = np.random.default_rng(1).normal(size=120)
    survival = np.exp(-(times**1.2) * np.exp(np.log(3) * z)[:, None])
    blocks = {
        "clinical": Predicted(noise, np.full_like(survival, 0.5), times),
        "combined": Predicted(z, survival, times),
    }
    got = score_survival(follow, blocks, [0.4, 1.0], bootstrap=Bootstrap(100))
    names = ["Harrell C", "Uno C", "AUC at 0.4 months", "AUC at 1 months", "Brier at 0.4 months", "Brier at 1 months",
             "IBS", "scaled IBS"]  # fmt: skip
    assert [s.name for s in got.blocks["combined"]] == names
    gain = {d.name: d for d in got.differences}
    assert gain["combined - clinical: Harrell C"].low > 0 and gain["combined - clinical: IBS"].high < 0
    assert got.of("combined", "scaled IBS").estimate > 0.1 > got.of("clinical", "scaled IBS").estimate
    assert len(got.table().rows) == 3 * len(names)
    with pytest.raises(InvalidInputError, match="No score"):
        got.of("combined", "accuracy")


def test_blocks_of_a_label_have_delong_and_differences():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 100)
    good, bad = expit(2 * label - 1 + rng.normal(size=100)), rng.uniform(size=100)
    got = score_labels(label, {"volume": Predicted(bad), "combined": Predicted(good)}, bootstrap=Bootstrap(100))
    assert "DeLong" in got.of("combined", "AUC").how
    assert next(d for d in got.differences if d.name == "combined - volume: AUC").low > 0


@pytest.mark.slow
def test_interval_of_harrell_holds_the_true_c_about_as_often_as_it_says():
    # True C of the censored comparison: a cohort of 20,000 with the same censoring.
    follow, z = simulated(20_000, 1.5, 99)
    rows = np.random.default_rng(0).choice(20_000, 6000, replace=False)
    truth = harrell(follow.take(rows), Predicted(z[rows])).estimate()
    held = 0
    for seed in range(400):
        follow, z = simulated(100, 1.5, seed)
        got = score(harrell(follow, Predicted(z)), Bootstrap(200, seed=seed))
        held += got.low <= truth <= got.high
    assert 0.91 <= held / 400 <= 0.98
