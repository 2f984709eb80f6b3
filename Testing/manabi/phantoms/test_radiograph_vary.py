"""Variations of a projected chest: everything moves together, nothing is mirrored, the chest itself is left."""

import json

import numpy as np
import pytest
from fixtures_radiograph import small_chest
from scipy.ndimage import center_of_mass

from manabi.phantoms.radiograph_vary import Variation, sample_variation, vary

NAMES = ("maps", "lung_range_mm", "lung_path_mm", "lungs", "hidden")


def test_no_variation_is_the_same_chest():
    same = vary(small_chest(0), Variation())
    for name in NAMES:
        np.testing.assert_allclose(getattr(same, name), getattr(small_chest(0), name), atol=2e-3)


def test_a_shift_moves_everything_by_its_pixels():
    moved = vary(small_chest(0), Variation(shift_mm=(12.0, -18.0)))  # two pixels down, three to the patient's right
    for name in NAMES:
        before, after = getattr(small_chest(0), name), getattr(moved, name)
        np.testing.assert_allclose(after[..., 10:-10, 10:-10], before[..., 8:-12, 13:-7], atol=2e-3)


def test_scale_is_about_the_middle():
    small = vary(small_chest(0), Variation(scale=0.8))
    assert (small.lungs > 0).sum() == pytest.approx(0.64 * (small_chest(0).lungs > 0).sum(), rel=0.05)


def test_turning_is_anticlockwise():
    before, after = (chest.lungs == 2 for chest in (small_chest(0), vary(small_chest(0), Variation(turn_deg=15.0))))
    assert center_of_mass(after)[0] < center_of_mass(before)[0] - 2


def test_tissues_get_their_factors():
    varied = vary(small_chest(0), Variation(tissue=(1.1, 0.9, 1.2, 0.8)))
    for number, factor in enumerate((1.1, 0.9, 1.2, 0.8)):
        np.testing.assert_allclose(varied.maps[number], factor * small_chest(0).maps[number], rtol=1e-3, atol=1e-3)


def test_bends_are_smooth_and_as_wide_as_asked():
    bent = vary(small_chest(0), Variation(bend_mm=6.0, seed=4))
    other = vary(small_chest(0), Variation(bend_mm=6.0, seed=5))
    assert not np.array_equal(bent.lungs, other.lungs)
    overlap = ((bent.lungs > 0) & (small_chest(0).lungs > 0)).sum() / (small_chest(0).lungs > 0).sum()
    assert 0.8 < overlap < 1.0


@pytest.mark.parametrize("seed", range(4))
def test_a_varied_chest_is_still_consistent(seed):
    chest = vary(small_chest(1), np.random.default_rng(seed))
    inside = chest.lungs > 0
    assert np.isfinite(chest.lung_range_mm[:, inside]).all()
    assert np.isnan(chest.lung_range_mm[:, ~inside]).all()
    assert not chest.hidden[~inside].any()
    assert not chest.lung_path_mm[~inside].any()
    right, left = (np.argwhere(chest.lungs == value)[:, 1].mean() for value in (1, 2))
    assert right < left
    assert "variation" in json.loads(chest.parameters_json)
    assert chest.maps.dtype == chest.lung_range_mm.dtype == np.float32


def test_the_generator_decides_the_variation():
    first, again, other = (sample_variation(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    one, two = (vary(small_chest(0), np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one.maps, two.maps)


def test_the_chest_itself_is_left():
    before = small_chest(0).maps.copy()
    vary(small_chest(0), np.random.default_rng(0))
    np.testing.assert_array_equal(small_chest(0).maps, before)
