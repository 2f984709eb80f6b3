"""The film's geometry: magnification, places on the film and back, oblique rays."""

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_geometry import FilmGeometry


def test_magnification_is_the_ratio_of_distances_from_the_source():
    geometry = FilmGeometry(source_detector_mm=1800.0)
    assert geometry.magnification(0.0) == 1.0
    assert geometry.magnification(300.0) == pytest.approx(1800 / 1500)


def test_the_patients_right_is_on_the_images_left_and_the_head_is_up():
    geometry = FilmGeometry(matrix=101, pixel_mm=2.0)
    middle, right, up = geometry.to_film(np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0]]))
    np.testing.assert_allclose(middle, (50, 50))
    np.testing.assert_allclose(right, (50, 40))
    np.testing.assert_allclose(up, (40, 50))


def test_a_thing_farther_from_the_detector_is_seen_farther_out():
    geometry = FilmGeometry(matrix=101, pixel_mm=2.0)
    near, far = geometry.to_film(np.array([[20, 0, 0], [20, 0, 300]]))
    assert 50 - far[1] == pytest.approx((50 - near[1]) * 1.2)


def test_places_come_back_from_the_film():
    geometry = FilmGeometry()
    points = np.random.default_rng(0).uniform((-150, -150, 40), (150, 150, 350), (20, 3))
    np.testing.assert_allclose(geometry.to_beam(geometry.to_film(points), points[:, 2]), points, atol=1e-9)


def test_pixels_offsets_agree_with_the_way_onto_the_film():
    geometry = FilmGeometry(matrix=64, pixel_mm=3.0)
    x = geometry.offsets_mm()
    places = geometry.to_film(np.stack((x, x, np.zeros(64)), axis=1))
    np.testing.assert_allclose(places[:, 0], np.arange(64), atol=1e-9)
    np.testing.assert_allclose(places[:, 1], np.arange(64), atol=1e-9)


def test_oblique_rays_are_longer_by_the_cosine_of_their_angle():
    geometry = FilmGeometry(matrix=65, pixel_mm=6.0)
    oblique = geometry.obliquity()
    assert oblique[32, 32] == 1.0
    angle = np.arctan(np.hypot(32 * 6.0, 32 * 6.0) / 1800.0)
    assert oblique[0, 0] == pytest.approx(1 / np.cos(angle))


@pytest.mark.parametrize(
    "wrong",
    [{"matrix": 8}, {"matrix": 5000}, {"pixel_mm": 0.0}, {"gap_mm": -1.0}, {"source_detector_mm": 400.0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_no_film_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        FilmGeometry(**wrong)
