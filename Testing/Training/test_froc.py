"""FROC: which marks are hits, what is read from the curve, and intervals that resample patients."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from Training.froc import (
    SLACK_PX,
    Film,
    Mark,
    Nodule,
    curve,
    cuts,
    hits,
    iou,
    score_films,
    sensitivity,
    slack_of,
    square,
    threshold,
)
from Training.froc_statistics import (
    by_group,
    difference_at,
    image_auc,
    node21,
    operating_points,
    sensitivities,
    sensitivity_at,
    summary,
    weights,
)

NODULE = Nodule(50, 50, 5, place=1, subtlety=3)


def mark(score, row=50.0, column=50.0):
    return Mark(row, column, score, square(row, column, 10))


def far(score):
    return mark(score, 200.0, 200.0)


def films():
    """Four films with a nodule, found at .9, .6, .3 and never; false positives at .8, .5, .4 and .2."""
    return [
        Film("a", "a", (mark(0.9), far(0.5)), (NODULE,)),
        Film("b", "b", (mark(0.6), far(0.2)), (NODULE,)),
        Film("c", "c", (mark(0.3), far(0.4)), (NODULE,)),
        Film("d", "d", (), (NODULE,)),
        Film("e", "e", (far(0.8),), ()),
    ]


# --- hits -------------------------------------------------------------------------------------------------------------


def test_the_slack_is_as_many_millimetres_on_a_coarser_film():
    assert (slack_of(256), slack_of(128)) == (SLACK_PX, SLACK_PX / 2)
    beside = mark(0.5, 50 + NODULE.radius + 1.2)
    fine, coarse = (Film("a", "a", (beside,), (NODULE,), slack_px=slack_of(side)) for side in (256, 128))
    assert sensitivity(score_films([fine, Film("b", "b", (), ())]), 1.0) == 1
    assert sensitivity(score_films([coarse, Film("b", "b", (), ())]), 0.125) == 0


def test_a_mark_hits_within_the_circle_and_its_slack():
    assert hits(mark(1, 50, 55), [NODULE], "circle", 0.0) == 0
    assert hits(mark(1, 50, 55.1), [NODULE], "circle", 0.0) is None
    assert hits(mark(1, 50, 56.5), [NODULE], "circle", 1.5) == 0


def test_of_two_circles_the_nearest_is_hit_and_of_two_boxes_that_of_most_overlap():
    two = [Nodule(50, 50, 8), Nodule(50, 60, 8)]
    assert hits(mark(1, 50, 56), two, "circle") == 1
    assert hits(mark(1, 50, 53), two, "iou") == 0
    assert hits(mark(1, 50, 57), two, "iou") == 1


def test_boxes_hit_from_an_overlap_of_a_fifth_on():
    assert iou(square(0, 0, 10), square(0, 0, 10)) == 1
    assert iou(square(0, 0, 10), square(0, 10, 10)) == 0
    shift = 10 - 2 * 10 * 0.2 / 1.2
    assert iou(square(50, 50, 10), square(50, 50 + shift, 10)) == pytest.approx(0.2)
    assert hits(mark(1, 50, 50 + shift - 0.01), [NODULE], "iou") == 0
    assert hits(mark(1, 50, 50 + shift + 0.01), [NODULE], "iou") is None


def test_the_rule_for_boxes_refuses_marks_without_them():
    with pytest.raises(InvalidInputError, match="boxes"):
        hits(Mark(1, 1, 0.5), [NODULE], "iou")


def test_further_marks_on_a_hit_nodule_are_not_false_positives():
    film = Film("a", "a", (mark(0.4), mark(0.7, 52), mark(0.6, 48)), (NODULE,))
    scored = score_films([film])
    assert scored.nodule_score.tolist() == [0.7]
    assert scored.false_score.size == 0


def test_scores_that_are_no_numbers_and_no_films_are_refused():
    with pytest.raises(InvalidInputError, match="score"):
        score_films([Film("a", "a", (mark(float("nan")),), ())])
    with pytest.raises(InvalidInputError, match="film"):
        score_films([])


# --- the curve --------------------------------------------------------------------------------------------------------


def test_sensitivity_at_a_rate_counts_nodules_above_the_first_false_positive_too_many():
    scored = score_films(films())
    assert sensitivity(scored, 0.0) == 0.25
    assert sensitivity(scored, 0.2) == 0.5
    assert sensitivity(scored, 0.4) == 0.5
    assert sensitivity(scored, 0.6) == 0.75
    assert sensitivity(scored, 4.0) == 0.75


def test_the_rate_over_films_with_a_nodule_leaves_false_positives_of_the_others_out():
    scored = score_films(films())
    assert sensitivity(scored, 0.2, "all") == 0.5
    assert sensitivity(scored, 0.0, "diseased") == 0.5
    assert sensitivity(scored, 0.49, "diseased") == 0.5
    assert sensitivity(scored, 0.5, "diseased") == 0.75


def test_false_positives_of_one_score_are_shown_together_or_not_at_all():
    tied = [Film(n, n, (far(0.5), mark(0.5)), (NODULE,)) for n in "abcd"]
    assert sensitivity(score_films(tied), 0.5) == 0
    assert sensitivity(score_films(tied), 1.0) == 1


def test_thresholds_show_no_more_false_positives_than_asked_and_fall_with_the_rate():
    scored = score_films(films())
    levels = [threshold(scored, rate, lowest=0.02) for rate in (0, 0.2, 0.4, 0.6, 0.8, 4)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == 0.02
    for rate, level in zip((0, 0.2, 0.4, 0.6), levels, strict=False):
        assert (scored.false_score >= level).sum() <= rate * 5
        assert (scored.nodule_score >= level).mean() == sensitivity(scored, rate)


def test_the_threshold_lies_between_scores_and_not_on_one():
    scored = score_films([Film("a", "a", (mark(0.9), far(0.5)), (NODULE,)), Film("b", "b", (), ())])
    assert threshold(scored, 0.2) == pytest.approx(0.7)


def test_the_curve_rises_and_ends_with_every_mark():
    rates, found = curve(score_films(films()))
    assert (rates[0], found[0]) == (0, 0)
    assert (np.diff(rates) >= 0).all()
    assert (np.diff(found) >= 0).all()
    assert (rates[-1], found[-1]) == (pytest.approx(4 / 5), 0.75)
    assert (found[1], rates[1]) == (0.25, 0)


# --- intervals --------------------------------------------------------------------------------------------------------


def many(count=40, quality=1.0, seed=0):
    """Films of 20 patients, two each, every other with a nodule."""
    rng = np.random.default_rng(seed)
    out = []
    for n in range(count):
        nodules = (NODULE,) if n % 2 else ()
        marks = [far(float(s)) for s in rng.uniform(0, 1, 2)]
        if nodules and rng.random() < 0.8:
            marks.append(mark(float(min(rng.uniform(0, 1) + 0.3 * quality, 1.3))))
        out.append(Film(str(n), str(n // 2), tuple(marks), nodules))
    return out


def test_resampling_by_weights_gives_what_repeating_the_films_gives():
    scored = score_films(many())
    drawn = weights(scored, 5, seed=3)
    for row, value in zip(drawn, sensitivities(scored, 0.5, drawn), strict=True):
        repeated = [f for f, times in zip(many(), row, strict=True) for _ in range(int(times))]
        assert value == pytest.approx(sensitivity(score_films(repeated), 0.5))


def test_both_films_of_a_patient_are_drawn_together():
    drawn = weights(score_films(many()), 50)
    assert np.array_equal(drawn[:, ::2], drawn[:, 1::2])
    assert not np.array_equal(drawn[:, 0], drawn[:, 2])


def test_the_interval_holds_the_value_and_narrows_with_patients():
    wide, narrow = (sensitivity_at(score_films(many(n, seed=1)), 0.5, resamples=400) for n in (40, 400))
    assert wide.low <= wide.value <= wide.high
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


def test_a_method_does_not_differ_from_itself_and_better_marks_do():
    scored = score_films(many(200))
    same = difference_at(scored, scored, 0.5, resamples=200)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    better = difference_at(score_films(many(200, quality=3.0)), scored, 0.5, resamples=400)
    assert better.low > 0


def test_a_paired_difference_refuses_other_films():
    with pytest.raises(InvalidInputError, match="same films"):
        difference_at(score_films(many(40)), score_films(many(42)), 0.5)


def test_groups_share_the_threshold_of_all_films():
    easy, hard = Nodule(50, 50, 5, 0, 5), Nodule(90, 90, 5, 2, 1)
    cases = [
        Film(str(n), str(n), (mark(0.9), mark(0.1, 90, 90), far(0.5 if n else 0.05)), (easy, hard)) for n in range(10)
    ]
    scored = score_films(cases)
    found = by_group(scored, scored.place, 0.2, resamples=100)
    assert {k: (e.value, n) for k, (e, n) in found.items()} == {0: (1.0, 10), 2: (0.0, 10)}
    assert by_group(scored, scored.place, 1.0, resamples=100)[2][0].value == 1


def test_the_image_score_is_the_best_mark_and_auc_is_none_without_both_kinds():
    scored = score_films(films())
    assert scored.image_scores.tolist() == [0.9, 0.6, 0.4, 0.0, 0.8]
    assert image_auc(scored, 50).value == pytest.approx(1 / 4)
    assert image_auc(score_films(films()[:4])) is None


def test_node21_weighs_area_and_sensitivity():
    scored = score_films(films(), "iou")
    assert node21(scored) == pytest.approx(0.75 * 0.25 + 0.25 * sensitivity(scored, 0.25))


def test_operating_points_are_chosen_on_one_set_of_films_and_measured_on_another():
    chosen, tested = score_films(many(seed=1)), score_films(many(seed=2))
    points = operating_points(chosen, tested, (1.0, 0.125, 0.5), 0.02, resamples=50)
    assert [p["false_positives"] for p in points] == [0.125, 0.5, 1.0]
    assert all(p["ci95"][0] <= p["sensitivity"] <= p["ci95"][1] for p in points)
    assert all(a["threshold"] >= b["threshold"] for a, b in zip(points, points[1:], strict=False))
    for point in points:
        level = point["threshold"]
        assert (chosen.false_score >= level).mean() * len(chosen.false_score) / 40 <= point["false_positives"]
        assert point["sensitivity"] == pytest.approx((tested.nodule_score >= level).mean(), abs=1e-4)
        assert point["false_positives_tested"] == pytest.approx((tested.false_score >= level).sum() / 40, abs=1e-4)


def test_a_summary_has_both_denominators_and_all_groups():
    found = summary(score_films(many()), score_films(many(), "iou"), resamples=50)
    assert (found["films"], found["with_nodule"], found["nodules"]) == (40, 20, 20)
    assert set(found["sensitivity"]) == {"all", "diseased"}
    assert set(found["sensitivity"]["all"]) == {"0.125", "0.2", "0.25", "0.5", "1", "2"}
    assert found["place"]["1"]["nodules"] == found["subtlety"]["3"]["nodules"] == 20
    assert 0 < found["node21"] < 1


def test_without_false_positives_every_mark_is_shown():
    scored = score_films([Film("a", "a", (mark(0.1),), (NODULE,)), Film("b", "b", (), ())])
    assert cuts(scored, 0.0, np.ones((1, 2))).tolist() == [-np.inf]
    assert sensitivity(scored, 0.0) == 1
