"""Films for a flow: folders, tables, phantoms; splits by patient; patches in the lungs, whole films."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_films import QUICK, tiny_films, write_films

from manabi.errors import InvalidInputError
from Training import nodule_flow_films
from Training.nodule_flow_films import FlowFilm, open_films
from Training.nodule_flow_items import draw_items, item_of, whole
from Training.nodule_flow_recipe import FlowRecipe


@pytest.fixture(autouse=True)
def _lungs_in_the_middle(monkeypatch):
    """Finding lungs is tested elsewhere; random pictures have none."""

    def middle(film: np.ndarray) -> np.ndarray:
        lungs = np.zeros(film.shape, np.uint8)
        lungs[20:40, 20:40] = 1
        return lungs

    monkeypatch.setattr(nodule_flow_films, "lung_field", middle)


# --- where films come from --------------------------------------------------------------------------------------------


def test_a_folder_becomes_films_without_names(tmp_path):
    write_films(tmp_path / "site", 6)
    (tmp_path / "site" / "readme.txt").write_text("no film")
    films = open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache")
    assert len(films.all) == 6 and not films.simulated
    assert {len(part) for part in (films.validation, films.test)} == {1} and len(films.training) == 4
    assert all(film.pixels.shape == (64, 64) and film.pixels.dtype == np.uint16 for film in films.all)
    assert all(film.film.min() >= 0.0 and film.film.max() > 0.9 for film in films.all)
    assert not any("patient" in film.name or "site" in film.name for film in films.all)


def test_a_table_keeps_the_films_of_a_patient_together(tmp_path):
    write_films(tmp_path / "films", 8)
    rows = [f"films/{n}.png,p{n // 2}" for n in range(8)]
    (tmp_path / "table.csv").write_text("film,patient\n" + "\n".join(rows) + "\n")
    films = open_films(str(tmp_path / "table.csv"), QUICK, tmp_path / "cache")
    owners = [{film.patient for film in part} for part in (films.training, films.validation, films.test)]
    assert sum(len(part) for part in owners) == len(set.union(*owners)) == 4
    assert not any("p0" in film.patient for film in films.all)


def test_films_come_from_the_cache_the_second_time(tmp_path, monkeypatch):
    write_films(tmp_path / "site", 4)
    first = open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache")
    monkeypatch.setattr(nodule_flow_films, "lung_field", lambda film: pytest.fail("prepared again"))
    second = open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache")
    assert first.sha256() == second.sha256() and first.record() == second.record()


def test_what_cannot_be_read_is_left_out_and_said(tmp_path, caplog):
    write_films(tmp_path / "site", 4)
    (tmp_path / "site" / "broken.png").write_bytes(b"not a picture")
    with caplog.at_level(logging.WARNING):
        assert len(open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache").all) == 4
    assert "1 of 5 films cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "expected a folder of films, a CSV, or phantoms:SEED:COUNT"),
        ("empty", "holds no chest films"),
        ("two", "at least 3 patients"),
        ("table.csv", "needs a column film"),
        ("phantoms:1", "Expected phantoms:SEED:COUNT"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_films(tmp_path / "two", 2)
    (tmp_path / "table.csv").write_text("picture\na.png\n")
    with pytest.raises(InvalidInputError, match=message):
        open_films(data, QUICK, tmp_path / "cache")


def test_a_damaged_cache_is_named(tmp_path):
    write_films(tmp_path / "site", 3)
    open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache")
    next((tmp_path / "cache").glob("*.npz")).write_bytes(b"cut")
    with pytest.raises(InvalidInputError, match="damaged. Delete it"):
        open_films(str(tmp_path / "site"), QUICK, tmp_path / "cache")


@pytest.mark.slow
def test_phantoms_and_a_folder_are_joined(tmp_path):
    write_films(tmp_path / "site", 3)
    films = open_films(f"{tmp_path / 'site'}+phantoms:3:1", QUICK, tmp_path / "cache")
    assert films.simulated and len(films.all) == 3 + QUICK.films_per_chest
    phantoms = [film for film in films.all if film.simulated]
    assert len({film.patient for film in phantoms}) == 1
    assert all(film.lungs.any() and film.film.std() > 0.05 for film in phantoms)
    assert not np.array_equal(phantoms[0].pixels, phantoms[1].pixels)


# --- what the flow sees -----------------------------------------------------------------------------------------------


def marked() -> FlowFilm:
    """A film whose values tell the place, with a lung of one pixel."""
    rows, columns = np.mgrid[:64, :64]
    lungs = np.zeros((64, 64), np.uint8)
    lungs[30, 41] = 2
    return FlowFilm("film", "p", (rows * 64 + columns).astype(np.uint16), lungs, False)


def test_patches_have_their_middle_in_the_lungs():
    item = item_of(marked(), QUICK, np.random.default_rng(0), vary=False)
    assert item.shape == (16, 16) and item.dtype == np.float32
    assert round(float(item[8, 8]) * 65535) == 30 * 64 + 41


def test_patches_stay_on_the_film():
    film = marked()
    film.lungs[:] = 0
    film.lungs[0, 63] = 1
    item = item_of(film, QUICK, np.random.default_rng(0), vary=False)
    assert round(float(item[0, 15]) * 65535) == 63


def test_without_lungs_or_over_the_film_patches_are_everywhere():
    film = marked()
    places = set()
    for seed in range(40):
        item = item_of(film, replace(QUICK, within="film"), np.random.default_rng(seed), vary=False)
        places.add(divmod(round(float(item[0, 0]) * 65535), 64))
    assert len(places) > 25 and max(row for row, _ in places) == 48


def test_whole_films_are_averaged_and_moved():
    recipe = replace(QUICK, what="film", gamma=0.0, shift=0.25)
    film = tiny_films(1)[0]
    plain = item_of(film, recipe, np.random.default_rng(1), vary=False)
    assert plain.shape == (16, 16) and plain.mean() == pytest.approx(film.film.mean(), abs=0.01)
    np.testing.assert_array_equal(plain, whole(film.film, 16))
    moved = [item_of(film, recipe, np.random.default_rng(seed), vary=True) for seed in range(6)]
    assert len({m.tobytes() for m in moved}) == 6
    assert any((m[:2] == 0).all() or (m[-2:] == 0).all() or (m[:, :2] == 0).all() for m in moved)


def test_gamma_changes_grey_but_not_black_and_white():
    recipe = replace(QUICK, gamma=0.5)
    film = replace(marked(), pixels=np.tile(np.array([0, 32768, 65535, 0], np.uint16), (64, 16)))
    item = item_of(film, recipe, np.random.default_rng(2), vary=True)
    assert set(np.unique(item[item != item.min()])) and item.min() == 0.0 and item.max() == 1.0
    middle = np.unique(item)[1]
    assert middle != pytest.approx(0.5, abs=0.02)


def test_items_follow_from_their_number():
    films = tiny_films(3)
    few, many = draw_items(films, QUICK, 3, 7), draw_items(films, QUICK, 6, 7)
    assert torch.equal(few, many[:3]) and not torch.equal(many[0], many[3])
    assert not torch.equal(few, draw_items(films, QUICK, 3, 8))


# --- the recipe -------------------------------------------------------------------------------------------------------


def test_grey_levels_rise_with_the_training():
    recipe = FlowRecipe(bits="3-5-8", bits_at="0.1-0.25")
    assert [recipe.grey_bits(share) for share in (0.0, 0.099, 0.1, 0.24, 0.25, 1.0)] == [3, 3, 5, 5, 8, 8]
    assert FlowRecipe(bits="8", bits_at="").grey_bits(0.0) == 8


@pytest.mark.parametrize(("bits", "at"), [("3-5", "0.1-0.2"), ("x", ""), ("3-5-8", "0.5-0.2"), ("0-5", "0.1")])
def test_schedules_of_grey_that_cannot_be_are_refused(bits, at):
    with pytest.raises(InvalidInputError, match="bits and bits_at must be like 3-5-8"):
        FlowRecipe(bits=bits, bits_at=at)


def test_batches_shrink_with_the_area():
    assert [FlowRecipe(size=size).batch_size(7) for size in (32, 64, 128, 256)] == [64, 16, 4, 1]
    assert FlowRecipe(batch_at_32=0).batch_size(7) == 7


def test_a_patch_larger_than_the_film_is_refused():
    with pytest.raises(InvalidInputError, match="patch of 128 pixels is larger than the film of 64"):
        FlowRecipe(size=128, matrix=64)
