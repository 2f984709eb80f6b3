"""The NODE21-style baseline: Poisson's equation, contrast, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from pairs_fixtures import slab

from manabi.errors import InvalidInputError
from manabi.nodule.litjens import LEAST_CONTRAST, litjens, poisson_blend, projected
from manabi.nodule.place import Place
from manabi.nodule.shapes import NoduleShape

BALL = NoduleShape(24.0, "solid", 1.0, 0.5, ((0, 0, 0, 12.0),))
PLACE = Place(60.0, 70.0, 160.0)


def film(size=128):
    return (0.4 + 0.1 * np.random.default_rng(0).standard_normal((size, size))).clip(0, 1).astype(np.float32)


def disc(size=24, radius=8):
    row, column = np.indices((size, size)) - (size - 1) / 2
    return row**2 + column**2 < radius**2


def test_blending_takes_the_patchs_gradients_inside_and_the_film_outside():
    rng = np.random.default_rng(1)
    crop, patch, inside = rng.random((24, 24)), rng.random((24, 24)), disc()
    out = poisson_blend(crop, patch, inside)
    np.testing.assert_array_equal(out[~inside], crop[~inside])

    def laplacian(values):
        around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
        return 4 * values[1:-1, 1:-1] - around

    np.testing.assert_allclose(laplacian(out)[inside[1:-1, 1:-1]], laplacian(patch)[inside[1:-1, 1:-1]], atol=1e-9)


def test_a_flat_patch_goes_on_the_films_slope():
    slope = np.indices((24, 24))[1] / 24.0
    np.testing.assert_allclose(poisson_blend(slope, np.zeros_like(slope), disc()), slope, atol=1e-9)


def test_a_mask_that_reaches_the_edge_keeps_the_edge():
    crop = np.random.default_rng(2).random((8, 8))
    out = poisson_blend(crop, np.zeros_like(crop), np.ones((8, 8), bool))
    np.testing.assert_array_equal(out[0], crop[0])
    np.testing.assert_array_equal(out[:, -1], crop[:, -1])


def test_the_film_changes_inside_the_mask_only_and_half_its_texture_stays():
    before = film()
    after, mask = litjens(before, slab(), BALL, PLACE)
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert mask[60, 70] and mask.sum() == pytest.approx(np.pi * (12.0 * 1800 / 1640 / 0.75) ** 2, rel=0.1)
    fine = before - np.float32(0.4)
    inside = mask & np.roll(mask, 3, 0) & np.roll(mask, -3, 0) & np.roll(mask, 3, 1) & np.roll(mask, -3, 1)
    assert np.polyfit(fine[inside], after[inside], 1)[0] == pytest.approx(0.5, abs=0.1)


def test_contrast_is_at_least_two_fifths_before_the_average():
    patch, _ = projected(slab(), BALL, PLACE)
    assert patch.max() >= LEAST_CONTRAST
    even = np.full((128, 128), 0.3, np.float32)
    after, _ = litjens(even, slab(), BALL, PLACE)
    assert (after - even).max() == pytest.approx(patch.max() / 2, rel=0.05)


def test_a_nodule_it_cannot_show_is_refused():
    thin = NoduleShape(24.0, "ground_glass", 1.0, 0.42, BALL.body)
    with pytest.raises(InvalidInputError, match="covers no pixel"):
        litjens(film(), slab(), thin, PLACE)
