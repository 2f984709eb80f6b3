"""Tests between methods: against SciPy, scikit-posthocs and statsmodels, and by what they must find."""

from __future__ import annotations

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.multitest import multipletests

from manabi.errors import InvalidInputError
from Training.statistics import conover_friedman, dunn_holm, friedman, holm, wilcoxon_holm

RNG = np.random.default_rng(11)
BASE = RNG.normal(30, 2, 40)
SCORES = {
    "raw": BASE + RNG.normal(0, 0.5, 40),
    "gauss": BASE + RNG.normal(0.6, 0.5, 40),
    "unet": BASE + RNG.normal(2, 0.5, 40),
    "other": BASE + RNG.normal(2, 0.5, 40),
}


def by_pair(comparisons):
    return {(c.first, c.second): c for c in comparisons}


def test_friedman_is_scipys_with_its_effect_size():
    found = friedman(SCORES)
    expected = stats.friedmanchisquare(*SCORES.values())
    assert (found.statistic, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert found.degrees == 3 and found.count == 40
    assert 0 < found.kendall_w < 1


def test_kendalls_w_is_one_when_all_images_rank_alike():
    rising = {str(k): np.arange(10) + 100.0 * k for k in range(4)}
    assert friedman(rising).kendall_w == pytest.approx(1)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1, never falling
    np.testing.assert_allclose(holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])


def test_dunn_over_all_pairs_is_the_published_call():
    frame = scikit_posthocs.posthoc_dunn(list(SCORES.values()), p_adjust="holm").to_numpy()
    names = list(SCORES)
    for (first, second), found in by_pair(dunn_holm(SCORES)).items():
        assert found.p_holm == pytest.approx(frame[names.index(first), names.index(second)])
        assert found.family == 6


def test_the_family_against_a_reference_is_smaller():
    found = dunn_holm(SCORES, reference="unet")
    assert len(found) == 3 and all("unet" in (c.first, c.second) and c.family == 3 for c in found)
    np.testing.assert_allclose([c.p_holm for c in found], multipletests([c.p for c in found], method="holm")[1])


def test_thirteen_methods_give_twelve_or_seventy_eight_comparisons():
    many = {f"m{k}": RNG.normal(size=20) for k in range(13)}
    assert len(wilcoxon_holm(many, reference="m4")) == 12
    assert len(wilcoxon_holm(many)) == 78


def test_wilcoxon_is_scipys_pair_by_pair():
    found = by_pair(wilcoxon_holm(SCORES))
    for (first, second), comparison in found.items():
        assert comparison.p == pytest.approx(stats.wilcoxon(SCORES[first], SCORES[second]).pvalue)
        assert comparison.p_holm >= comparison.p


def test_paired_tests_find_what_is_there_and_nothing_else():
    for test in (wilcoxon_holm, conover_friedman):
        found = by_pair(test(SCORES))
        assert found["raw", "unet"].significant and found["raw", "gauss"].significant
        assert not found["unet", "other"].significant


def test_conover_is_that_of_scikit_posthocs():
    frame = scikit_posthocs.posthoc_conover_friedman(np.stack(list(SCORES.values()), 1)).to_numpy()
    assert by_pair(conover_friedman(SCORES))["raw", "gauss"].p == pytest.approx(frame[0, 1])


def test_equal_methods_have_p_one():
    same = {"a": BASE, "b": BASE.copy()}
    assert wilcoxon_holm(same)[0].p_holm == 1


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"a": [1.0, 2]}, "at least two methods"),
        ({"a": [1.0, 2], "b": [1.0]}, "same order"),
        ({"a": [1.0, np.nan], "b": [1.0, 2]}, "finite"),
    ],
)
def test_scores_that_do_not_match_are_refused(scores, message):
    with pytest.raises(InvalidInputError, match=message):
        wilcoxon_holm(scores)


def test_an_unknown_reference_is_refused():
    with pytest.raises(InvalidInputError, match="'vnet' is not among"):
        wilcoxon_holm(SCORES, reference="vnet")
    with pytest.raises(InvalidInputError, match="three methods"):
        friedman({"a": BASE, "b": BASE + 1})
