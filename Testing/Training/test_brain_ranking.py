"""Metrics of structures by hand, and rankings of losses as published and corrected."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from manabi.brain.structures import CLASSES
from manabi.errors import InvalidInputError
from Training.brain_tests import ScoreBook, cl_dice, measure, measure_case, rank_losses

SPACING = (0.5, 1.0, 2.0)
CASES = 20


def cube(shift=(0, 0, 0), size=10, shape=(24, 28, 32)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(8 + s, 8 + s + size) for s in shift)] = True
    return mask


def tube(gap=0, shape=(9, 9, 40)):
    mask = np.zeros(shape, bool)
    mask[3:6, 3:6, 3:37] = True
    if gap:
        mask[:, :, 20 : 20 + gap] = False
    return mask


# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_perfect_answer():
    found = measure(cube(), cube(), SPACING, tubular=True)
    assert found == {
        "dice": 1, "hd95_mm": 0, "surface_dice": 1, "mean_surface_mm": 0, "cl_dice": 1, "betti0_error": 0,
    }  # fmt: skip


@pytest.mark.parametrize("axis, spacing", [(0, 2.0), (1, 1.0), (2, 0.5)])
def test_distances_are_in_millimetres_along_the_right_axis(axis, spacing):
    shift = [0, 0, 0]
    shift[axis] = 3
    found = measure(cube(), cube(shift), SPACING)
    assert found["dice"] == pytest.approx(0.7)
    assert found["hd95_mm"] == pytest.approx(3 * spacing)
    assert 0 < found["mean_surface_mm"] < 3 * spacing


def test_surface_dice_counts_surfaces_within_the_tolerance():
    assert measure(cube(), cube((0, 1, 0)), SPACING, 1.0)["surface_dice"] == 1.0
    assert measure(cube(), cube((0, 1, 0)), SPACING, 0.9)["surface_dice"] < 1.0
    assert measure(cube(), cube((0, 2, 0)), SPACING, 1.0)["surface_dice"] < 1.0


def test_cropping_to_the_structures_does_not_change_the_metrics():
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    rng = np.random.default_rng(0)
    true = cube() ^ (cube(size=4) & (rng.random((24, 28, 32)) < 0.5))
    found = cube((1, -2, 3)) | (rng.random(true.shape) < 0.001)
    pair = [torch.from_numpy(m[None, None]) for m in (found, true)]
    step = list(SPACING[::-1])
    ours = measure(true, found, SPACING)
    assert ours["hd95_mm"] == pytest.approx(
        compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=step).item()
    )
    expected = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=step).item()
    assert ours["mean_surface_mm"] == pytest.approx(expected)


def test_a_structure_that_neither_has_is_left_out_and_one_that_only_one_has_is_not():
    empty = np.zeros((24, 28, 32), bool)
    assert all(np.isnan(v) for v in measure(empty, empty, SPACING, tubular=True).values())
    diagonal = np.hypot(np.hypot(24 * 2.0, 28 * 1.0), 32 * 0.5)
    for true, found in ((empty, cube()), (cube(), empty)):
        values = measure(true, found, SPACING, tubular=True)
        assert values["dice"] == values["surface_dice"] == values["cl_dice"] == 0
        assert values["hd95_mm"] == values["mean_surface_mm"] == pytest.approx(diagonal)
        assert values["betti0_error"] == 1


def test_a_gap_in_a_vessel_costs_little_dice_but_a_piece_too_many():
    values = measure(tube(), tube(gap=3), (1.0, 1.0, 1.0), tubular=True)
    assert values["dice"] > 0.94 and values["betti0_error"] == 1
    thick = tube().copy()
    thick[2:7, 2:7, 3:37] = True
    wide = measure(tube(), thick, (1.0, 1.0, 1.0), tubular=True)
    assert wide["dice"] < 0.6 and wide["cl_dice"] == pytest.approx(1.0) and wide["betti0_error"] == 0


def test_compact_pieces_whose_thinning_leaves_nothing_still_count():
    assert cl_dice(cube(), cube()) == 1.0 and cl_dice(cube(), cube((0, 0, 12))) == 0.0


def test_centre_lines_that_miss_each_other_score_nothing():
    assert cl_dice(tube(), np.roll(tube(), 4, axis=0)) == 0


def test_label_maps_are_scored_structure_by_structure_with_vessel_metrics_for_vessels_only():
    truth = np.zeros((24, 28, 32), np.uint8)
    truth[cube()] = CLASSES["cerebrum"]
    truth[9:11, 9:11, 9:17] = CLASSES["vessels"]
    found = measure_case(truth, truth, CLASSES, SPACING)
    assert list(found) == list(CLASSES)
    assert found["cerebrum"]["dice"] == found["vessels"]["cl_dice"] == 1
    assert "cl_dice" not in found["cerebrum"] and np.isnan(found["ventricles"]["dice"])


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="one shape"):
        measure(cube(), cube()[1:], SPACING)
    with pytest.raises(InvalidInputError, match="three spacings"):
        measure(cube(), cube(), (1.0, 1.0))


# --- ranking ----------------------------------------------------------------------------------------------------------


def book_of(means, noise=0.01, cases=CASES, seed=0, metrics=("dice", "hd95_mm"), structures=("brain", "vessels")):
    """Losses with means that differ; of hd95 less is better, so it is one minus the Dice."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 0.05, (cases, len(structures)))
    values = []
    for mean in means:
        dice = mean + base + noise * rng.normal(size=base.shape)
        values.append(np.stack([dice if m == "dice" else 1 - dice for m in metrics], -1))
    return ScoreBook(tuple(f"loss{n}" for n in range(len(means))), structures, tuple(metrics), np.array(values))


@pytest.mark.parametrize("test", ["published", "holm", "conover", "nemenyi"])
def test_clear_differences_rank_the_same_by_every_test(test):
    found = rank_losses(book_of([0.90, 0.80, 0.70, 0.60], structures=("brain",)), test)
    assert found.cases.tolist() == [[CASES] * 2]
    if test == "nemenyi":  # its 20 cases of four losses cannot tell neighbours apart
        assert found.rank["loss0"] == 1 and found.rank["loss1"] == 2 and found.rank["loss3"] > 3
    else:
        assert list(found.rank.values()) == [1, 2, 3, 4] and list(found.score.values()) == [3, 2, 1, 0]


def test_the_published_score_counts_the_losses_that_are_significantly_worse():
    book = book_of([0.900, 0.897, 0.893, 0.880], seed=3, metrics=("dice",))
    expected = np.zeros((4, 2))
    for structure in range(2):
        for a, b in combinations(range(4), 2):
            one, other = book.values[a, :, structure, 0], book.values[b, :, structure, 0]
            if wilcoxon(one, other).pvalue < 0.05:
                expected[a if wilcoxon(one, other, alternative="greater").pvalue < 0.5 else b, structure] += 1
    found = rank_losses(book)
    assert 0 < expected.sum() < 12
    assert found.significance[:, :, 0].tolist() == expected.tolist()
    assert list(found.score.values()) == pytest.approx(expected.mean(1).tolist())


def test_of_metrics_where_less_is_better_the_lower_wins():
    found = rank_losses(book_of([0.9, 0.7], metrics=("hd95_mm",)))
    assert found.rank == {"loss0": 1, "loss1": 2}


def test_between_equal_losses_the_published_test_errs_in_five_of_a_hundred_pairs_and_corrected_ones_hardly_ever():
    wins = {test: [] for test in ("published", "holm", "conover", "nemenyi")}
    for seed in range(20):
        book = book_of([0.9] * 7, seed=seed, metrics=("dice",), structures=("brain",))
        for test, found in wins.items():
            found.append(rank_losses(book, test).significance.sum())
    pairs = 20 * 21
    assert 0.02 < sum(wins["published"]) / pairs < 0.09
    assert sum(n > 0 for n in wins["published"]) > 5, "of seven equal losses one often seems better"
    for test in ("holm", "conover", "nemenyi"):
        assert sum(n > 0 for n in wins[test]) <= 3, test


def test_nemenyi_is_that_of_scikit_posthocs_after_friedman():
    from scikit_posthocs import posthoc_nemenyi_friedman

    book = book_of([0.9, 0.9, 0.893, 0.89], seed=1, metrics=("dice",))
    p = posthoc_nemenyi_friedman(book.values[:, :, 1, 0].T).to_numpy()
    ranks = book.values[:, :, 1, 0].argsort(0).argsort(0).mean(1)
    expected = [sum(p[a, b] < 0.05 and ranks[a] > ranks[b] for b in range(4)) for a in range(4)]
    assert rank_losses(book, "nemenyi").significance[:, 1, 0].tolist() == expected and sum(expected)


def test_cases_without_a_value_are_left_out_for_all_and_said_so():
    book = book_of([0.9, 0.7, 0.5])
    book.values[1, :4, 1, 0] = np.nan
    found = rank_losses(book)
    assert found.cases.tolist() == [[CASES, CASES], [CASES - 4, CASES]]
    assert any("Up to 4 of 20 cases" in text for text in found.warnings)


def test_too_few_cases_are_not_ranked_and_a_metric_of_vessels_alone_counts_for_them_alone():
    book = book_of([0.9, 0.7, 0.5])
    book.values[:, :, 0, 1] = np.nan
    book.values[0, 5:, 1, 1] = np.nan
    found = rank_losses(book)
    assert np.isnan(found.significance[:, :, 1]).all() and list(found.score.values()) == [2, 1, 0]
    assert any("vessels hd95_mm (5)" in t and "brain hd95_mm" not in t for t in found.warnings)
    with pytest.raises(InvalidInputError, match="6 cases"):
        rank_losses(book_of([0.9, 0.7], cases=5))


def test_the_ranking_says_what_limits_it():
    one = {"metrics": ("dice",), "structures": ("vessels",)}
    few = book_of(np.linspace(0.5, 0.9, 12), cases=10, **one)
    published, adjusted = rank_losses(few), rank_losses(few, "holm")
    assert any("66 tests" in t and "3.3 by chance" in t for t in published.warnings)
    assert any("With 10 cases no pair of 66" in t for t in adjusted.warnings)
    assert not adjusted.significance.any() and published.significance.any()
    assert not any("no pair" in t for t in rank_losses(book_of(np.linspace(0.5, 0.9, 12), **one), "holm").warnings)


def test_equal_scores_share_a_rank():
    book = book_of([0.9, 0.9, 0.5], noise=0.0, metrics=("dice",), structures=("brain",))
    for test in ("published", "holm", "nemenyi"):
        assert rank_losses(book, test).rank == {"loss0": 1.5, "loss1": 1.5, "loss2": 3}


def test_a_book_is_made_of_measured_cases():
    case = {"cerebrum": {"dice": 0.9, "hd95_mm": 1.0}, "vessels": {"dice": 0.5, "hd95_mm": 2.0, "cl_dice": 0.6}}
    book = ScoreBook.of({"a": [case, case], "b": [case, case]})
    assert book.structures == ("cerebrum", "vessels") and book.metrics == ("dice", "hd95_mm", "cl_dice")
    assert book.values.shape == (2, 2, 2, 3)
    assert np.isnan(book.values[:, :, 0, 2]).all() and (book.values[:, :, 1, 2] == 0.6).all()
    with pytest.raises(InvalidInputError, match="same cases"):
        ScoreBook.of({"a": [case], "b": [case, case]})


def test_an_unknown_test_is_refused():
    with pytest.raises(InvalidInputError, match="published, holm, conover, nemenyi"):
        rank_losses(book_of([0.9, 0.7]), "t")
