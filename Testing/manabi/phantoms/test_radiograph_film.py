"""Films from area densities: what a pair shares, where it differs, batches, seeds, domains."""

import numpy as np
import pytest
import torch
from fixtures_radiograph import small_chest

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_film import FilmParameters, render_films, render_pair, sample_film

PIXEL = 6.0


def maps_of(*indices):
    return torch.tensor(np.stack([small_chest(index).maps for index in indices]))


def parts(films):
    return [[getattr(film, name) for film in films] for name in ("beam", "scatter", "detector", "look")]


def blob(row=30, column=18, grams=1.2):
    added = torch.zeros(1, 64, 64)
    added[0, row - 1 : row + 2, column - 1 : column + 2] = grams
    return added


def test_a_film_is_grey_values_from_black_to_white():
    film = render_films(maps_of(0), *parts([FilmParameters()]), [1], pixel_mm=PIXEL)
    assert film.shape == (1, 64, 64)
    assert film.dtype == torch.float32
    assert 0 <= float(film.min()) < 0.1
    assert 0.7 < float(film.max()) <= 1


def test_lungs_are_darker_than_mediastinum_and_belly_and_air_is_black():
    chest, maps = small_chest(0), maps_of(0)
    maps[:, :, :6, :6] = 0.0
    film = render_films(maps, *parts([FilmParameters()]), [1], pixel_mm=PIXEL)[0].numpy()
    clear = film[(chest.lungs > 0) & (chest.hidden == 0)].mean()
    assert clear + 0.25 < film[30:40, 30:34].mean()
    assert clear + 0.25 < film[60:, 20:40].mean()
    assert film[:4, :4].max() < 0.02 < clear


def test_maps_are_not_changed():
    maps = maps_of(0)
    before = maps.clone()
    render_pair(maps, [FilmParameters()], [1], blob(), pixel_mm=PIXEL)
    assert torch.equal(maps, before)


def test_the_normal_film_of_a_pair_is_the_film_without_it():
    normal, embedded = render_pair(maps_of(0), [FilmParameters()], [1], blob(), pixel_mm=PIXEL)
    alone, nothing = render_pair(maps_of(0), [FilmParameters()], [1], None, pixel_mm=PIXEL)
    assert nothing is None
    assert torch.equal(normal, alone)
    assert torch.equal(embedded, render_films(maps_of(0), *parts([FilmParameters()]), [1], blob(), pixel_mm=PIXEL))


def test_nothing_added_gives_the_same_film_twice():
    normal, embedded = render_pair(maps_of(0), [FilmParameters()], [1], 0 * blob(), pixel_mm=PIXEL)
    assert torch.equal(normal, embedded)


def test_a_nodule_brightens_its_place_and_hardly_changes_the_rest():
    normal, embedded = render_pair(maps_of(0), [FilmParameters()], [1], blob(), pixel_mm=PIXEL)
    change = (embedded - normal)[0]
    assert float(change[30, 18]) > 0.03
    far = torch.ones(64, 64, dtype=torch.bool)
    far[24:37, 12:25] = False
    assert float(change[far].abs().max()) < 0.02 * float(change[30, 18]) + 0.002


def test_even_a_film_full_of_nodules_keeps_the_window():
    added = torch.full((1, 64, 64), 2.0)
    normal, embedded = render_pair(maps_of(0), [FilmParameters()], [1], added, pixel_mm=PIXEL)
    inside = small_chest(0).lungs > 0
    assert float((embedded - normal)[0][inside].mean()) > 0.05


def test_a_denser_nodule_is_brighter():
    changes = []
    for grams in (0.4, 0.8, 1.6):
        normal, embedded = render_pair(maps_of(0), [FilmParameters()], [1], blob(grams=grams), pixel_mm=PIXEL)
        changes.append(float((embedded - normal)[0, 30, 18]))
    assert 0 < changes[0] < changes[1] < changes[2]


def test_films_of_a_batch_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    films, maps = [sample_film(rng), sample_film(rng, "held_out")], maps_of(0, 1)
    both = render_films(maps, *parts(films), [4, 9], pixel_mm=PIXEL)
    for number in range(2):
        one = [number]
        alone = render_films(maps[one], *parts([films[number]]), [[4, 9][number]], pixel_mm=PIXEL)
        torch.testing.assert_close(both[one], alone, atol=2e-5, rtol=0)


def test_the_seed_changes_the_noise_and_nothing_else():
    first, second, again = (
        render_films(maps_of(0), *parts([FilmParameters()]), [seed], pixel_mm=0.5) for seed in (1, 2, 1)
    )
    assert torch.equal(first, again)
    difference = (first - second)[0]
    assert 0 < float(difference.std()) < 0.05
    assert abs(float(difference.mean())) < 8e-3  # the window's percentiles move a little


def test_every_part_of_a_held_out_film_is_of_its_domain():
    rng = np.random.default_rng(1)
    for _ in range(20):
        film = sample_film(rng, "held_out")
        assert not 110 <= film.beam.kvp <= 130
        assert film.scatter.grid >= 0.26
        assert film.detector.dqe <= 0.35
        assert film.look.steepness <= 2.0


def test_numbers_that_do_not_agree_are_refused():
    films = [FilmParameters()]
    with pytest.raises(InvalidInputError, match="as many parameters"):
        render_films(maps_of(0), *parts(films), [1, 2], pixel_mm=PIXEL)
    with pytest.raises(InvalidInputError, match="Expected maps"):
        render_films(maps_of(0)[:, :3], *parts(films), [1], pixel_mm=PIXEL)


def test_an_unknown_domain_is_refused():
    with pytest.raises(InvalidInputError, match="held_out"):
        sample_film(np.random.default_rng(0), "other")
