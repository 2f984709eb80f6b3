"""Places of nodules: every lung pixel alike, hidden ones too, depths within the lung, none over another."""

from __future__ import annotations

import numpy as np
import pytest
from pairs_fixtures import chest, slab, space
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.nodule.place import LungSpace, between, draw_places


def many(room, diameter_mm, count, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_places(rng, room, [diameter_mm])[0] for _ in range(count)]


def test_every_part_of_the_lungs_is_as_likely_as_it_is_large_hidden_parts_included():
    room = space()
    allowed = (room.lungs > 0) & (room.path_mm >= 6.0)
    found = many(room, 10.0, 1500)
    at = np.array([room.at(place) for place in found])
    assert allowed[at[:, 0], at[:, 1]].all()
    for part in (room.hidden == 1, room.lungs == 2, np.indices(room.lungs.shape)[0] < 24):
        share = (part & allowed).sum() / allowed.sum()
        spread = np.sqrt(share * (1 - share) / len(found))
        assert part[at[:, 0], at[:, 1]].mean() == pytest.approx(share, abs=4 * spread)
    assert (room.hidden[at[:, 0], at[:, 1]] == 1).sum() > 50


def test_depths_are_uniform_over_the_lung_less_the_nodules_radius():
    found = many(slab(low=60.0, high=260.0), 20.0, 600)
    depths = np.array([place.distance_mm for place in found])
    assert depths.min() >= 70.0 and depths.max() <= 250.0
    assert stats.kstest((depths - 70.0) / 180.0, "uniform").pvalue > 0.01


def test_lung_before_and_behind_the_heart_counts_behind_it():
    room = slab()
    part = LungSpace(room.geometry, room.lungs, room.hidden, room.near_mm, room.far_mm, room.path_mm * 0 + 60.0)
    depths = [place.distance_mm for place in many(part, 20.0, 100)]
    assert min(depths) >= 210.0 and max(depths) <= 250.0


def test_a_nodule_thicker_than_the_lung_lies_in_its_middle():
    room = slab(low=100.0, high=120.0)
    assert draw_places(np.random.default_rng(0), room, [30.0], [(60.0, 60.0)])[0].distance_mm == pytest.approx(110.0)


def test_nodules_do_not_overlap_on_the_film():
    room = space(128)
    for seed in range(20):
        places = draw_places(np.random.default_rng(seed), room, [30.0, 25.0, 20.0])
        for i, a in enumerate(places):
            for j, b in enumerate(places[:i]):
                apart = np.hypot(a.row - b.row, a.column - b.column) * room.geometry.pixel_mm
                assert apart > ([30.0, 25.0, 20.0][i] + [30.0, 25.0, 20.0][j]) / 2


def test_no_room_is_said():
    with pytest.raises(InvalidInputError, match="no room .* beside 1 others"):
        draw_places(np.random.default_rng(0), slab(32, 1.0), [30.0, 30.0])
    empty = slab(32)
    with pytest.raises(InvalidInputError, match="no room"):
        draw_places(np.random.default_rng(0), LungSpace(*(vars(empty) | {"lungs": empty.lungs * 0}).values()), [10.0])


def test_a_wanted_place_is_kept_exactly_and_must_be_in_the_lungs():
    room = space()
    row, column = (int(v) for v in np.argwhere(room.hidden == 1)[5])
    first, second = draw_places(np.random.default_rng(1), room, [20.0, 20.0], [(row + 0.25, column - 0.25)])
    assert (first.row, first.column) == (row + 0.25, column - 0.25)
    assert (second.row, second.column) != (first.row, first.column)
    for outside in ((32.0, 31.5), (-5.0, 10.0), (10.0, 200.0)):
        with pytest.raises(InvalidInputError, match="not in the lungs"):
            draw_places(np.random.default_rng(1), room, [20.0], [outside])


def test_the_same_seed_gives_the_same_places():
    room = space()
    one, other = (draw_places(np.random.default_rng(7), room, [20.0, 15.0]) for _ in range(2))
    assert one == other and one != draw_places(np.random.default_rng(8), room, [20.0, 15.0])


def test_a_real_films_lungs_are_thick_inside_thin_at_the_outer_rim_and_go_on_beside_the_mediastinum():
    lungs = chest(128).lungs
    room = LungSpace.of_film(lungs, pixel_mm=3.0)
    depth = room.far_mm - room.near_mm
    row = 64
    right = np.flatnonzero(lungs[row] == 1)
    assert np.nanmax(depth) == pytest.approx(150.0, abs=1.0)
    assert depth[row, right[0]] < 60.0 < 140.0 < depth[row, right[-1]]
    middle = between(lungs)
    assert middle[row, 64] and np.isfinite(depth[row, 64]) and room.path_mm[row, 64] == 0.0
    assert np.isnan(depth[row, right[0] - 2]) and not middle[row, right[0] - 2]
    assert np.nanmean(room.near_mm + room.far_mm) / 2 == pytest.approx(50 + 35 + 75, abs=0.1)
    assert LungSpace.of_film(lungs).geometry.side_mm == pytest.approx(384.0)


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="square"):
        LungSpace.of_film(np.ones((32, 40), np.uint8))
    with pytest.raises(InvalidInputError, match="one shape"):
        LungSpace.of_film(np.ones((32, 32), np.uint8), np.zeros((16, 16), np.uint8))
