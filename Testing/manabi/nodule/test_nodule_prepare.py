"""From any radiograph to the film that a network sees, and exactly back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures_nodule import chest, film_volume

from manabi.errors import GeometryError, InvalidInputError
from manabi.nodule.prepare import canonical, exposed, film_of, film_of_volume, network_input, resized
from manabi.volume import Volume

ORDERS = [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, 1)), ((0, 2, 1), (-1, -1, -1))]


@pytest.fixture(scope="module")
def volume():
    return film_volume(chest(200)[:180], (1.0, 1.2))


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_the_order_of_the_axes_does_not_matter(volume, axes, signs):
    turned = volume.reoriented(axes, signs)
    film, expected = film_of_volume(turned), film_of_volume(volume)
    np.testing.assert_array_equal(film.pixels, expected.pixels)
    back = film.back(film.pixels, "x")
    assert back.grid.same_as(turned.grid)
    there = back.reoriented_like(volume.grid)
    np.testing.assert_array_equal(there.array[0], expected.pixels)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (3, 17), (0.01, -5.0)])
def test_scale_and_offset_of_the_stored_values_do_not_matter(volume, scale, offset):
    other = volume.like(volume.array.astype(np.float64) * scale + offset)
    np.testing.assert_allclose(film_of_volume(other).pixels, film_of_volume(volume).pixels, atol=1e-6)


def test_a_picture_in_a_coronal_plane_keeps_the_head_up():
    film = chest(128)
    matrix = np.array([[-2.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    volume = Volume(film[None], matrix)
    np.testing.assert_array_equal(film_of_volume(volume).straight.array[0], film)
    upside_down = volume.reoriented((0, 2, 1), (-1, 1, 1))
    np.testing.assert_array_equal(film_of_volume(upside_down).straight.array[0], film)


def test_a_sagittal_plane_and_a_stack_are_refused():
    matrix = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(GeometryError, match="sagittal"):
        film_of_volume(Volume(chest(128)[None], matrix))
    with pytest.raises(InvalidInputError, match="one film"):
        film_of_volume(Volume(np.zeros((3, 80, 80)), np.eye(4)))


def test_small_and_constant_films_are_refused():
    with pytest.raises(InvalidInputError, match="at least 64"):
        film_of_volume(film_volume(chest(60)))
    with pytest.raises(InvalidInputError, match="same value"):
        film_of_volume(film_volume(np.full((80, 80), 0.4)))


def test_padding_around_the_exposed_field_is_left_out():
    film = film_volume(chest(200))
    padded = film.pad((0, 30, 12), (0, 5, 40), 0)
    inner = film_of_volume(padded)
    assert inner.box == (30, 230, 12, 212)
    np.testing.assert_allclose(canonical(inner, 128).film, canonical(film_of_volume(film), 128).film, atol=1e-6)


def test_places_go_to_the_grid_and_back(volume):
    film = film_of_volume(volume)
    grid = canonical(film, 96)
    for place in ((0.0, 0.0), (55.5, 120.25), (179.0, 199.0)):
        np.testing.assert_allclose(grid.to_film(*grid.from_film(*place)), place, atol=1e-9)
    ras = film.ras(10.0, 20.0)
    np.testing.assert_allclose(ras, (-24.0, -10.0, 0.0))
    np.testing.assert_allclose(film.place((ras[0], ras[1], 55.0)), (10.0, 20.0), atol=1e-9)


def test_pixels_are_square_on_the_grid_and_the_rest_is_zero(volume):
    grid = canonical(film_of_volume(volume), 120)
    top, bottom, left, right = grid.inner
    assert (right - left, bottom - top) == (120, 90)
    assert grid.mm_per_pixel == pytest.approx(200 * 1.2 / 120)
    assert not grid.film[:top].any() and not grid.film[bottom:].any()


@pytest.mark.parametrize("factor", [2, 3])
def test_the_films_size_hardly_matters(factor):
    fine = canonical(film_of_volume(film_volume(chest(256 * factor))), 128).film
    coarse = resized(chest(256 * factor), (256, 256))
    other = canonical(film_of_volume(film_volume(coarse, (1.4 * factor, 1.4 * factor))), 128).film
    assert np.abs(fine - other).mean() < 0.004


def test_a_map_of_the_grid_lies_on_the_film_where_it_was(volume):
    film = film_of_volume(volume)
    grid = canonical(film, 90)
    heat = np.zeros((90, 90), np.float32)
    row, column = grid.from_film(100.0, 60.0)
    heat[round(row), round(column)] = 1.0
    there = grid.spread(heat, (180, 200))
    peak = np.unravel_index(there.argmax(), there.shape)
    assert np.abs(np.array(peak) - (100, 60)).max() <= 2
    labels = grid.spread((heat > 0).astype(np.uint8), (180, 200), nearest=True)
    assert labels.dtype == np.uint8 and labels.sum() in range(2, 12)


def test_network_inputs_have_mean_0_and_deviation_1_inside_the_padding():
    film = torch.zeros(2, 40, 50)
    film[0, 5:30, 4:44] = torch.rand(25, 40, generator=torch.Generator().manual_seed(0)) + 0.1
    film[1] = 0.2 * film[0]
    out = network_input(film)
    assert out.shape == (2, 1, 40, 50)
    inner = out[0, 0, 5:30, 4:44]
    assert float(inner.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(inner.std(correction=0)) == pytest.approx(1.0, abs=1e-5)
    assert not out[:, :, :5].any() and not out[:, :, :, 44:].any()
    torch.testing.assert_close(out[0], out[1], atol=1e-4, rtol=0)


def test_the_input_is_not_changed(volume):
    before = volume.array.copy()
    canonical(film_of_volume(volume), 64)
    np.testing.assert_array_equal(volume.array, before)


def test_film_of_takes_a_picture_alone():
    array = (1000 + 3000 * chest(128)).astype(np.int16)
    np.testing.assert_array_equal(
        film_of(array), film_of_volume(replace(film_volume(chest(128)), array=array[None])).pixels
    )
    assert exposed(array) == (0, 128, 0, 128)
