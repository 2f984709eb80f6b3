"""The lungs of a film without a trained model: where they are, and when there are none."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_nodule import chest

from manabi.errors import InvalidInputError
from manabi.nodule import lung_shape
from manabi.nodule.lung_mask import LEFT_LUNG, RIGHT_LUNG, lung_field, lung_field_parts


def truth(side: int) -> np.ndarray:
    from manabi.nodule.lung_mask import _filled

    return _filled(lung_shape.outlines(lung_shape.MEAN)[0][0], (side, side))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.fixture(scope="module")
def parts():
    return lung_field_parts(chest())


def test_the_clear_lungs_are_found(parts):
    true = truth(256)
    for label in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(parts.clear == label, true == label) > 0.9
    assert not parts.is_doubtful


def test_the_right_lung_is_on_the_images_left(parts):
    columns = [np.nonzero(parts.whole == label)[1].mean() for label in (RIGHT_LUNG, LEFT_LUNG)]
    assert columns[0] < 110 < 146 < columns[1]


def test_the_whole_lungs_reach_behind_heart_and_below_the_domes(parts):
    assert ((parts.clear > 0) <= (parts.whole > 0)).all()
    for label in (RIGHT_LUNG, LEFT_LUNG):
        rows = [np.nonzero(one == label)[0].max() for one in (parts.clear, parts.whole)]
        assert rows[1] > rows[0] + 5
    heart = (parts.whole == LEFT_LUNG) & (parts.clear == 0)
    middle = heart[110:170]
    assert middle.sum() > 200


def test_lungs_that_lie_elsewhere_are_followed():
    moved = np.roll(chest(), (18, -14), (0, 1))
    whole = lung_field(moved)
    still = lung_field(chest())
    shift = np.argwhere(whole > 0).mean(0) - np.argwhere(still > 0).mean(0)
    np.testing.assert_allclose(shift, (18, -14), atol=4.0)


def test_exposure_and_gamma_hardly_change_the_lungs(parts):
    other = lung_field((0.15 + 0.6 * chest() ** 1.3).astype(np.float32))
    assert dice(other > 0, parts.whole > 0) > 0.95


def test_the_mask_has_the_films_own_shape():
    film = np.repeat(chest(), 2, 0)[:, :250]
    assert lung_field(film).shape == film.shape


def test_the_same_film_gives_the_same_lungs():
    np.testing.assert_array_equal(lung_field(chest()), lung_field(chest().copy()))


@pytest.mark.parametrize("name", ["noise", "on its side", "half"])
def test_what_shows_no_lungs_is_doubtful(name):
    noise = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    film = {"noise": noise, "on its side": np.rot90(chest()).copy(), "half": chest()[:, :128].copy()}[name]
    assert lung_field_parts(film).is_doubtful


@pytest.mark.parametrize("film", [np.zeros((20, 200), np.float32), np.zeros((3, 64, 64)), np.full((64, 64), np.nan)])
def test_what_is_no_film_is_refused(film):
    with pytest.raises(InvalidInputError, match="film"):
        lung_field(film)


def test_the_outlines_are_closed_curves_around_the_numbers():
    points, names = lung_shape.outlines(np.stack([lung_shape.MEAN, lung_shape.MEAN + 0.01]))
    assert points.shape == (2, 2, len(names), 2)
    right, left = points[0]
    assert right[:, 1].max() < lung_shape.MEAN[0] < left[:, 1].min()
    assert right[:, 0].min() == pytest.approx(lung_shape.MEAN[4] - 0.015 * 0.55, abs=1e-6)
