"""Scores of marks made into shares of marks that are right, in the network itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from Training.froc import Film, Mark, Nodule, score_films, sensitivity
from Training.nodule_calibrate import SLOPES, Scale, fit_scale, rescaled
from Training.nodule_network import PairUNet


def films(slope=0.5, offset=-1.0, count=400, seed=0):
    """Marks whose logit x is right with the probability of sigmoid(slope x + offset)."""
    rng = np.random.default_rng(seed)
    out = []
    for n in range(count):
        marks = []
        for x in rng.uniform(-8, 12, 5):
            right = rng.random() < 1 / (1 + np.exp(-(slope * x + offset)))
            place = (20.0, 20.0) if right else (60.0, 60.0)
            marks.append(Mark(*place, float(1 / (1 + np.exp(-x)))))
        out.append(Film(str(n), str(n), tuple(marks), (Nodule(20, 20, 5),)))
    return out


def test_the_scale_is_found_that_marks_were_drawn_with():
    found = fit_scale(films())
    assert found.slope == pytest.approx(0.5, rel=0.1)
    assert found.offset == pytest.approx(-1.0, abs=0.2)


def test_calibrated_scores_are_the_share_of_marks_that_are_right():
    scale = fit_scale(films())
    scores, right = [], []
    for film in films(seed=1):
        for mark in film.marks:
            x = np.log(mark.score / (1 - mark.score))
            scores.append(1 / (1 + np.exp(-(scale.slope * x + scale.offset))))
            right.append(mark.row == 20)
    scores, right = np.array(scores), np.array(right)
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        among = (scores >= low) & (scores < high)
        assert right[among].mean() == pytest.approx(scores[among].mean(), abs=0.06)


def test_marks_that_are_perfectly_told_apart_have_a_finite_scale():
    marks = (Mark(20.0, 20.0, 0.9), Mark(60.0, 60.0, 0.1))
    found = fit_scale([Film(str(n), str(n), marks, (Nodule(20, 20, 5),)) for n in range(30)])
    assert SLOPES[0] <= found.slope <= SLOPES[1]
    assert np.isfinite(found.offset)
    half = -found.offset / found.slope
    assert abs(half) < np.log(9)


@pytest.mark.parametrize(("right_at", "wrong_count", "right_count"), [(0, 300, 6), (3, 900, 20), (12, 300, 6)])
def test_the_fit_reaches_its_least_where_few_right_marks_lie_far_from_the_wrong_ones(
    right_at, wrong_count, right_count
):  # fmt: skip
    rng = np.random.default_rng(1)
    wrong, right = rng.normal(-7, 0.2, wrong_count), rng.normal(right_at, 0.5, right_count)
    marks = [Mark(place, place, float(1 / (1 + np.exp(-x)))) for place, some in ((60.0, wrong), (20.0, right))
             for x in some]  # fmt: skip
    found = fit_scale([Film("a", "a", tuple(marks), (Nodule(20, 20, 5),))])
    shares = 1 / (1 + np.exp(-(found.slope * np.r_[wrong, right] + found.offset)))
    assert found.slope < 0.9 * SLOPES[1]
    assert shares.mean() == pytest.approx(right_count / len(shares), abs=0.005)


def test_nothing_is_scaled_where_all_marks_are_right_or_there_are_none():
    right = Film("a", "a", (Mark(20.0, 20.0, 0.9),), (Nodule(20, 20, 5),))
    assert fit_scale([right]) == Scale()
    assert fit_scale([Film("b", "b", (), ())]) == Scale()


def test_the_scale_is_in_the_last_layer_of_a_copy():
    torch.manual_seed(0)
    model = PairUNet(filters=(4, 8)).eval()
    x = torch.randn(1, 1, 16, 16)
    before = model(x)
    after = rescaled(model, Scale(0.25, -2.0))(x)
    assert torch.allclose(after, 0.25 * before - 2.0, atol=1e-6)
    assert torch.equal(model(x), before)


def test_the_order_of_marks_and_with_it_the_froc_stays():
    cases = films(count=60)
    scale = fit_scale(cases)

    def moved(m):
        x = np.log(m.score / (1 - m.score))
        return Mark(m.row, m.column, float(1 / (1 + np.exp(-(scale.slope * x + scale.offset)))))

    other = [Film(f.name, f.patient, tuple(moved(m) for m in f.marks), f.nodules) for f in cases]
    for rate in (0.1, 0.5, 2.0):
        assert sensitivity(score_films(cases), rate) == sensitivity(score_films(other), rate)
