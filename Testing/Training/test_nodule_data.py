"""The pairs that NoduleSynth learns from: split by chest, read lazily, and refused with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tiny_pairs import SIZE, TinyStore

import Training.nodule_data as nodule_data
from manabi.errors import InvalidInputError
from Training.cohort import SPLITS
from Training.nodule_data import (
    Wanted,
    digest_of,
    everything,
    example,
    facts,
    held_out,
    is_simulated,
    open_data,
    proportions,
    simulated_pairs,
    split,
)


@pytest.fixture
def made(monkeypatch):
    """Simulated pairs are tiny ones; returns what was asked for."""
    asked = []

    def simulated(seed, count, wanted, cache):
        asked.append((seed, count, wanted))
        return TinyStore(count=count, people=wanted.chests, seed=seed)

    monkeypatch.setattr(nodule_data, "simulated_pairs", simulated)
    return asked


def test_no_chest_is_in_two_parts_and_every_pair_in_one():
    parts = split(everything([TinyStore(60, 10)]), "80/10/10", 0)
    assert [len(set(parts[name].patients)) for name in SPLITS] == [8, 1, 1]
    assert sum(len(parts[name]) for name in SPLITS) == 60
    assert not set(parts["training"].patients) & set(parts["test"].patients)


def test_chests_of_two_stores_are_different_patients():
    whole = everything([TinyStore(6, 3), TinyStore(6, 3, seed=1)])
    assert len(set(whole.patients)) == 6
    assert not np.array_equal(whole[0].negative, whole[6].negative)


def test_a_split_follows_its_seed_only():
    once, again, other = (split(everything([TinyStore(60, 20)]), "8/1/1", seed) for seed in (0, 0, 1))
    assert once["test"].patients == again["test"].patients
    assert once["test"].patients != other["test"].patients


@pytest.mark.parametrize("parts", ["80/10", "a/b/c", "0/1/1", "80/-1/10"])
def test_proportions_that_are_none_are_refused(parts):
    with pytest.raises(InvalidInputError, match="proportions"):
        proportions(parts)


def test_too_few_chests_are_refused():
    with pytest.raises(InvalidInputError, match="more chests"):
        split(everything([TinyStore(10, 2)]), "80/10/10", 0)


def test_an_example_has_the_truth_in_pixels():
    pair = TinyStore()[6]
    one = example(pair, "0-6", "0-6")
    nodule = one.nodules[0]
    assert (nodule.radius, nodule.place, nodule.subtlety) == (5, 2, 2)
    rows, columns = np.nonzero(one.mask)
    assert (rows.mean(), columns.mean()) == (pytest.approx(nodule.row, abs=1), pytest.approx(nodule.column, abs=1))
    assert one.mask.dtype == bool


def test_the_first_pairs_are_of_as_many_chests_as_there_are():
    part = everything([TinyStore(60, 6)])
    assert Counter(part.first(12).patients) == dict.fromkeys(set(part.patients), 2)
    assert part.first(0) is part


def test_data_are_folders_or_simulated_or_both(made, tmp_path):
    data = open_data("phantoms:3:40", Wanted(chests=10), "8/1/1", 0, tmp_path)
    assert made == [(3, 40, Wanted(chests=10))]
    assert (data.simulated, data.matrix) == (True, SIZE)
    assert data.source == "simulated pairs (phantoms:3:40)"
    assert facts(data)["training"] == {"pairs": 32, "chests": 8}
    both = open_data("phantoms:3:40+phantoms:4:40", Wanted(chests=10), "8/1/1", 0, tmp_path)
    assert sum(len(part) for part in both.parts.values()) == 80
    assert both.digest != data.digest


def test_a_folder_that_is_not_there_is_named_with_what_would_do(tmp_path):
    with pytest.raises(InvalidInputError, match="nodule-pairs"):
        open_data(str(tmp_path / "nothing"), Wanted(), "8/1/1", 0, tmp_path)


def test_the_other_domain_has_other_chests_and_no_flow(made, tmp_path):
    part = held_out("phantoms:3:40", 6, Wanted(chests=10, flow="nodule-flow"), tmp_path)
    seed, count, wanted = made[0]
    assert seed != 3
    assert (count, wanted.domain, wanted.flow, wanted.chests) == (6, "held_out", "", 6)
    assert len(part) == 6


def test_the_digest_follows_the_data():
    assert digest_of([TinyStore()]) == digest_of([TinyStore()])
    assert digest_of([TinyStore()]) != digest_of([TinyStore(contrast=0.2)])


def test_a_store_with_any_real_film_is_not_called_simulated():
    assert is_simulated(TinyStore())
    assert not is_simulated(TinyStore(films=True))


def test_pairs_of_the_shipped_maker_are_read_as_they_were_written(tmp_path, monkeypatch):
    part = everything([simulated_pairs(5, 2, Wanted(matrix=64, chests=1), tmp_path)])
    one = part[1]
    assert one.positive.shape == one.mask.shape == (64, 64)
    assert one.nodules
    assert all(one.mask[round(n.row), round(n.column)] for n in one.nodules)
    changed = np.abs(one.positive - one.negative)
    assert changed[one.mask].mean() > 5 * changed[~one.mask].mean()
    again = simulated_pairs(5, 2, Wanted(matrix=64, chests=1), tmp_path)
    monkeypatch.setattr(nodule_data, "split", lambda *a: {})
    assert open_data(str(again.folder), Wanted(), "8/1/1", 0, tmp_path).source == "simulated pairs (phantoms:5:2)"
    assert digest_of([again]) == digest_of(list(part.stores))


def test_shrunken_films_keep_their_means_and_nodules_their_places():
    whole = everything([TinyStore(4, 2)])
    fine, coarse = whole[1], replace(whole, shrink=2)[1]
    assert coarse.positive.shape == tuple(side // 2 for side in fine.positive.shape)
    assert coarse.positive.mean() == pytest.approx(fine.positive.mean(), abs=1e-6)
    assert coarse.mask.mean() == pytest.approx(fine.mask.mean(), rel=0.2)
    for one, other in zip(fine.nodules, coarse.nodules, strict=True):
        # The middle of fine pixel 0 lies a quarter of a coarse pixel before the middle of coarse pixel 0.
        assert (other.row, other.column) == (one.row / 2 - 0.25, one.column / 2 - 0.25)
        assert other.radius == one.radius / 2
    with pytest.raises(InvalidInputError, match="must divide"):
        replace(whole, shrink=5)[0]


def test_shrunken_data_say_the_matrix_that_the_network_sees(tmp_path):
    data = open_data("phantoms:3:40", Wanted(chests=10, shrink=2), "8/1/1", 0, tmp_path)
    assert data.matrix == data.parts["training"][0].positive.shape[0]
    assert held_out("phantoms:3:40", 6, Wanted(chests=10, shrink=2), tmp_path)[0].positive.shape == (data.matrix,) * 2
