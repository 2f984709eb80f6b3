"""Pairs: equal but for the nodules, visible ones, each from its own number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pairs_fixtures import RECIPE, SIZE, chest, write_library

from manabi.errors import InvalidInputError, ManabiError
from manabi.nodule import pairs as pairs_module
from manabi.nodule.glow import Glow
from manabi.nodule.pairs import graded, make_pairs
from manabi.nodule.pairs_films import hidden_of
from manabi.nodule.pairs_recipe import PairRecipe
from manabi.nodule.pairs_sources import ChestSource, FilmSource, MixedSource
from manabi.phantoms.radiograph_library import ChestLibrary


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Films of two small chests."""
    return ChestSource(ChestLibrary(write_library(tmp_path_factory.mktemp("chests") / "library")))


@pytest.fixture(scope="module")
def pairs(source):
    return make_pairs(source, RECIPE, 5, range(7))


class Library(list):
    """Films in memory, each of a patient of its own, as a :class:`manabi.nodule.pairs_films.FilmLibrary` is."""

    def patient(self, index):
        return index


def films(folder_films=2):
    """Stand-ins of real films: film, lungs, hidden, pixel size."""
    one = chest()
    film = np.clip(one.maps.sum(axis=0) / 26.0, 0, 1).astype(np.float32)
    return [(film, one.lungs, one.hidden, 6.0)] * folder_films


def test_a_pair_differs_in_its_nodules_and_hardly_anywhere_else(pairs):
    for pair in pairs:
        change = pair.positive - pair.negative
        inside = pair.mask > 0
        near = np.zeros_like(inside)
        for row, column in np.argwhere(inside):
            near[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5] = True
        assert np.abs(change[~near]).max() < 0.012 < change[inside].mean() + 0.01
        assert pair.positive.dtype == np.float32 and pair.positive.min() >= 0 and pair.positive.max() <= 1


def test_masks_and_truth_agree(pairs):
    for pair in pairs:
        assert set(np.unique(pair.mask)) == {0, *(n.number for n in pair.nodules)}
        assert 1 <= len(pair.nodules) <= 2
        for nodule in pair.nodules:
            rows, columns = np.nonzero(pair.mask == nodule.number)
            assert np.hypot(rows.mean() - nodule.row, columns.mean() - nodule.column) < nodule.diameter_px / 2 + 1
            assert nodule.cnr >= RECIPE.least_cnr and 1 <= nodule.subtlety <= 5 and nodule.contrast > 0
            assert nodule.kept >= RECIPE.least_kept and nodule.ratio == 1.0
        assert graded(pair.positive, pair.negative, pair.mask, pair.nodules) == pair.nodules


def test_a_pair_follows_from_the_seed_and_its_number_alone(source, pairs):
    again = make_pairs(source, RECIPE, 5, [3, 6])
    for one, other in zip(again, (pairs[3], pairs[6]), strict=True):
        assert one.seed == other.seed and one.chest == other.chest
        np.testing.assert_allclose(one.positive, other.positive, atol=1e-4)
        np.testing.assert_array_equal(one.mask, other.mask)
    other_seed = make_pairs(source, RECIPE, 6, [3])[0]
    assert np.abs(other_seed.negative - pairs[3].negative).max() > 0.05


def test_no_two_pairs_are_alike(pairs):
    assert len({pair.seed for pair in pairs}) == len(pairs)
    flat = np.stack([pair.negative.ravel() for pair in pairs])
    apart = np.abs(flat[:, None] - flat[None]).max(axis=2)
    assert apart[~np.eye(len(pairs), dtype=bool)].min() > 0.05
    assert {pair.chest for pair in pairs} == {0, 1}


def test_invisible_nodules_are_drawn_again(source):
    single = replace(RECIPE, nodules=(1, 1), least_cnr=-9.0)
    easy = make_pairs(source, single, 5, range(6))
    ratios = [pair.nodules[0].cnr for pair in easy]
    limit = sorted(ratios)[2]
    strict = make_pairs(source, replace(single, least_cnr=limit), 5, range(6))
    for before, after in zip(easy, strict, strict=True):
        assert after.nodules[0].cnr >= limit
        assert (after.seed == before.seed) == (before.nodules[0].cnr >= limit)


def test_a_recipe_that_cannot_be_met_is_given_up_with_advice(source, monkeypatch):
    monkeypatch.setattr(pairs_module, "MOST_ATTEMPTS", 3)
    with pytest.raises(ManabiError, match="in 3 draws. Ask for fewer or larger nodules"):
        make_pairs(source, replace(RECIPE, least_cnr=1e6), 5, [0])


def test_the_flow_blends_by_the_ratio_that_truth_says(source):
    torch.manual_seed(0)
    flow = Glow(size=SIZE, levels=2, steps=2, hidden=8).eval()
    recipe = replace(RECIPE, ratio=(0.5, 0.9), least_cnr=-9.0)
    plain, blended = make_pairs(source, recipe, 5, range(4)), make_pairs(source, recipe, 5, range(4), flow)
    for one, other in zip(plain, blended, strict=True):
        if one.seed != other.seed:
            continue
        np.testing.assert_array_equal(one.negative, other.negative)
        for before, after in zip(one.nodules, other.nodules, strict=True):
            assert 0.5 <= after.ratio <= 0.9
            assert after.contrast == pytest.approx(after.ratio * before.contrast, abs=0.004)


def test_the_baseline_makes_pairs_too(source):
    for pair in make_pairs(source, replace(RECIPE, embedding="litjens"), 5, range(4)):
        outside = pair.mask == 0
        np.testing.assert_array_equal(pair.positive[outside], pair.negative[outside])
        assert all(nodule.contrast > 0.02 for nodule in pair.nodules)


def test_real_films_are_changed_a_little_and_numbered_after_the_chests(source):
    both = MixedSource([source, FilmSource(Library(films()), first=len(source))])
    made = make_pairs(both, RECIPE, 2, range(10))
    assert len(both) == 4 and {pair.chest >= 2 for pair in made} == {True, False}
    real = [pair for pair in made if pair.chest >= 2]
    for pair in real:
        outside = pair.mask == 0
        assert (pair.positive[outside] >= pair.negative[outside]).all()
        assert np.abs(pair.positive[outside] - pair.negative[outside]).max() < 0.05
        assert np.abs(pair.negative - films()[0][0]).max() > 0.01
    plain = make_pairs(FilmSource(Library(films()), varied=False), replace(RECIPE, varied=False), 2, [0])[0]
    np.testing.assert_array_equal(plain.negative, films()[0][0])


def test_hidden_lung_of_a_real_film_is_named_by_what_covers_it():
    clear, whole = np.zeros((60, 60), np.uint8), np.zeros((60, 60), np.uint8)
    clear[10:40, 8:24], clear[10:40, 38:52] = 1, 2
    whole[8:50, 6:26], whole[8:50, 32:54] = 1, 2
    hidden = hidden_of(clear, whole)
    assert (hidden[clear > 0] == 0).all() and (hidden[whole == 0] == 0).all()
    assert hidden[20, 34] == 1 and hidden[45, 15] == 2 and hidden[45, 34] == 2 and hidden[20, 6] == 0
    assert not hidden_of(np.zeros_like(clear), whole).any()


def test_empty_sources_and_odd_recipes_are_refused():
    for make in (
        lambda: ChestSource([]),
        lambda: FilmSource(Library()),
        lambda: PairRecipe(nodules=(0, 2)),
        lambda: PairRecipe(ratio=(0.5, 1.5)),
        lambda: PairRecipe(embedding="glue"),
        lambda: PairRecipe(bits=12),
    ):
        with pytest.raises(InvalidInputError):
            make()


def test_a_recipe_survives_json():
    import json

    recipe = replace(RECIPE, domain="held_out", bits=16)
    assert PairRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
