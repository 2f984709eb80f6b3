"""Nodules in a chest: mass, magnification, borders of the lung, truth; and in the grey values of a real film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pairs_fixtures import chest, slab, space

from manabi.errors import InvalidInputError
from manabi.nodule.embed import LUNG_G_CM3, embed
from manabi.nodule.embed_film import embed_in_film
from manabi.nodule.place import LungSpace, Place
from manabi.nodule.shapes import NoduleShape
from manabi.nodule.shapes_sampling import sample_shape
from manabi.nodule.truth import NoduleTruth
from manabi.phantoms.radiograph_beam import LUNG_DENSITY

BALL = NoduleShape(15.0, "solid", 1.0, 0.5, ((0, 0, 0, 7.5),))
MIDDLE = Place(63.5, 63.5, 160.0)


def test_the_lung_that_is_displaced_is_that_of_the_films():
    assert LUNG_G_CM3 == LUNG_DENSITY


def test_a_ball_of_15_mm_takes_a_fifth_of_the_primary_beam():
    found = embed(slab(), [BALL], [MIDDLE])
    assert found.added.max() == pytest.approx((1.0 - LUNG_G_CM3) * 1.5, rel=0.01)
    assert 1 - np.exp(-0.195 * found.added.max()) == pytest.approx(0.21, abs=0.01)


@pytest.mark.parametrize("kind", ["solid", "part_solid", "ground_glass"])
@pytest.mark.parametrize("distance", [80.0, 240.0])
def test_the_mass_on_the_film_is_that_of_the_nodule_magnified_twice(kind, distance):
    shape = sample_shape(np.random.default_rng(3), density=kind, diameter_mm=20.0, spiculated=False)
    room = slab(low=20.0, high=400.0)
    found = embed(room, [shape], [Place(70.3, 55.8, distance)])
    grams = found.added.sum() * (room.geometry.pixel_mm / 10) ** 2
    wanted = 0.0
    for layer in shape.layers(LUNG_G_CM3):
        spheres = np.concatenate((layer.centres_mm, layer.radii_mm[:, None]), axis=1)
        wanted += layer.density_g_cm3 * replace(shape, body=tuple(map(tuple, spheres))).volume_mm3() / 1000
    assert grams == pytest.approx(wanted * float(room.geometry.magnification(distance)) ** 2, rel=0.015)


def test_thickness_is_that_of_points_counted_along_the_ray():
    shape = sample_shape(np.random.default_rng(11), density="solid", diameter_mm=26.0, spiculated=True)
    room, place = slab(64, 1.5), Place(20.0, 45.0, 180.0)
    found = embed(room, [shape], [place])
    source = np.array([0.0, 0.0, room.geometry.source_detector_mm])
    middle = room.geometry.to_beam(np.array([[place.row, place.column]]), place.distance_mm)[0]
    spheres = np.array(shape.body + shape.spicules)
    for row, column in ((20, 45), (17, 48), (24, 41)):
        part = (np.arange(3) + 0.5) / 3 - 0.5
        pixels = np.stack(np.meshgrid(row + part, column + part), axis=-1).reshape(-1, 2)
        ends = room.geometry.to_beam(pixels, 0.0)
        lengths = []
        for end in ends:
            ray = np.linalg.norm(end - source)
            steps = (np.arange(180_000) + 0.5) / 180_000
            steps = steps[(steps > 0.86) & (steps < 0.95)]
            points = source + steps[:, None] * (end - source)
            inside = np.zeros(len(points), bool)
            for *centre, radius in spheres:
                inside |= ((points - middle - centre) ** 2).sum(axis=1) <= radius**2
            lengths.append(inside.sum() * ray / 180_000)
        wanted = np.mean(lengths) / 10 * (shape.solid_g_cm3 - LUNG_G_CM3)
        assert found.added[row, column] == pytest.approx(wanted, rel=0.01, abs=0.003)


def test_the_mask_is_the_ball_magnified_and_carries_its_number():
    room = slab()
    found = embed(room, [BALL, BALL], [Place(40.0, 40.0, 240.0), Place(90.0, 90.0, 80.0)])
    for number, distance in ((1, 240.0), (2, 80.0)):
        diameter = 2 * np.sqrt((found.mask == number).sum() / np.pi) * room.geometry.pixel_mm
        assert diameter == pytest.approx(15.0 * float(room.geometry.magnification(distance)), abs=0.4)
        assert found.nodules[number - 1].number == number
    thin = found.added[found.mask == 0]
    assert thin.max() <= 0.13 * found.added.max() and (thin > 0).any()


def test_what_lies_outside_the_lung_is_left_out_with_a_soft_border():
    room = slab()
    cut = {name: getattr(room, name).copy() for name in ("lungs", "near_mm", "far_mm")}
    cut["lungs"][:, 64:] = 0
    cut["near_mm"][:, 64:] = cut["far_mm"][:, 64:] = np.nan
    half = embed(replace(room, **cut), [BALL], [MIDDLE])
    whole = embed(room, [BALL], [MIDDLE])
    assert half.nodules[0].kept == pytest.approx(0.5, abs=0.02) and whole.nodules[0].kept == 1.0
    assert half.added[:, 65:].max() == 0.0
    np.testing.assert_array_equal(half.added[:, :63], whole.added[:, :63])
    assert 0.2 < half.added[64, 64] / whole.added[64, 64] < 0.8
    free = embed(replace(room, **cut), [BALL], [MIDDLE], clip_to_lung=False)
    np.testing.assert_array_equal(free.added, whole.added)


def test_lung_that_ends_in_depth_cuts_the_nodule_too():
    found = embed(slab(low=60.0, high=160.0), [BALL], [MIDDLE])
    assert found.added.max() == pytest.approx(0.8 * 0.75, rel=0.01)


def test_truth_says_what_was_put_where():
    room = space()
    row, column = (int(v) for v in np.argwhere(room.hidden == 1)[20])
    nodule = embed(room, [replace(BALL, diameter_mm=15.0)], [Place(row, column, 180.0)]).nodules[0]
    assert (nodule.row, nodule.column, nodule.distance_mm) == (row, column, 180.0)
    assert nodule.lung == "left" and nodule.hidden == "behind_heart" and nodule.density == "solid"
    magnified = 15.0 * 1800 / (1800 - 180) / room.geometry.pixel_mm
    assert nodule.diameter_px == pytest.approx(magnified, abs=0.01)
    assert nodule.volume_mm3 == pytest.approx(1767, rel=0.005)
    assert NoduleTruth.from_dict(nodule.to_dict()) == nodule
    with pytest.raises(InvalidInputError, match="no nodule's truth"):
        NoduleTruth.from_dict({"number": 1, "colour": "red"})


def test_a_nodule_at_the_films_edge_and_one_beyond_it_do_no_harm():
    found = embed(slab(), [BALL, BALL], [Place(0.0, 127.0, 160.0), Place(-60.0, 20.0, 160.0)])
    assert found.added[0, 127] > 1.0 and not (found.mask == 2).any()


def test_numbers_must_agree():
    with pytest.raises(InvalidInputError, match="needs a place"):
        embed(slab(), [BALL], [])


# --- real films ----------------------------------------------------------------------------------------------------


def film_of(projection, noise=0.0):
    """A film of the small chest: minus the logarithm of the signal, windowed."""
    grams = projection.maps.sum(axis=0)
    film = 0.2 + 0.6 * (grams - grams[projection.lungs > 0].min()) / 18.0
    film += noise * np.random.default_rng(0).standard_normal(film.shape)
    return np.clip(film, 0.0, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def real():
    """A film, its lungs and a nodule in it."""
    projection = chest(128)
    room = LungSpace.of_film(projection.lungs)
    row, column = 64, int(np.flatnonzero(projection.lungs[64] == 1).mean())
    return film_of(projection), projection.lungs, embed(room, [replace(BALL)], [Place(row, column, 160.0)])


def test_a_real_film_changes_where_the_nodule_is_and_nowhere_else(real):
    film, lungs, nodule = real
    before = film.copy()
    out = embed_in_film(film, nodule, lungs)
    np.testing.assert_array_equal(film, before)
    np.testing.assert_array_equal(out[nodule.added == 0], film[nodule.added == 0])
    assert (out[nodule.mask > 0] > film[nodule.mask > 0]).all() and out.dtype == np.float32
    assert 0.02 < (out - film).max() < 0.3


def test_a_flat_film_shows_the_nodule_more_than_a_hard_one(real):
    film, lungs, nodule = real
    rise = (embed_in_film(film, nodule, lungs) - film).max()
    low = 0.45 + 0.5 * (film - 0.45)
    assert (embed_in_film(low.astype(np.float32), nodule, lungs) - low).max() < 0.75 * rise


def test_dense_places_hide_it_and_white_ones_stay_white(real):
    film, _, nodule = real
    rises = [(embed_in_film(np.full_like(film, v), nodule) - np.float32(v)).max() for v in (0.5, 0.9)]
    assert rises[1] < 0.8 * rises[0]
    white = embed_in_film(np.ones_like(film), nodule)
    assert white.min() == 1.0


def test_the_films_noise_is_kept(real):
    _, lungs, nodule = real
    film = film_of(chest(128), noise=0.02)
    rest = embed_in_film(film, nodule, lungs) - embed_in_film(film_of(chest(128)), nodule, lungs)
    noise = film - film_of(chest(128))
    inside = nodule.mask > 0
    assert np.corrcoef(rest[inside], noise[inside])[0, 1] > 0.98
    assert rest[inside].std() == pytest.approx(noise[inside].std(), rel=0.25)


def test_films_that_do_not_fit_are_refused(real):
    film, lungs, nodule = real
    with pytest.raises(InvalidInputError, match="differ in shape"):
        embed_in_film(film[:64], nodule, lungs)
    with pytest.raises(InvalidInputError, match="within 0 and 1"):
        embed_in_film(film * 255, nodule, lungs)


@pytest.mark.slow
def test_nodules_in_a_films_grey_values_come_out_as_by_the_physics():
    from manabi.nodule.pairs_sources import ChestSource
    from manabi.nodule.place import draw_places
    from manabi.phantoms.radiograph_chest import project
    from manabi.phantoms.radiograph_sampling import sample_chest

    source = ChestSource([project(sample_chest(np.random.default_rng([5, k]))) for k in range(2)])
    shares = []
    for index in range(24):
        rng = np.random.default_rng([9, index])
        scene, shape = source.draw(rng), sample_shape(rng, density="solid")
        found = embed(scene.space, [shape], draw_places(rng, scene.space, [shape.diameter_mm]))
        if found.nodules[0].hidden != "clear":
            continue
        (normal,), (other,) = source.render([scene], [found])
        inside = found.mask > 0
        film = embed_in_film(normal, found, scene.space.lungs)
        shares.append((other - normal)[inside].mean() / (film - normal)[inside].mean())
    assert len(shares) > 8 and 0.7 < np.median(shares) < 1.4
