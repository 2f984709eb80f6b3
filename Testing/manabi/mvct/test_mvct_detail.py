"""Faint detail of the input: a lesion that the network took for noise is found again, noise and borders are not."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.mvct.detail import MOST_HU, faint_detail

SPACING = (2.0, 2.0, 3.0)


def ball(radius_mm, shape=(16, 48, 48)):
    k, j, i = np.ogrid[tuple(slice(0, n) for n in shape)]
    away = ((k - 8) * 3.0) ** 2 + ((j - 24) * 2.0) ** 2 + ((i - 24) * 2.0) ** 2
    return away <= radius_mm**2


@pytest.fixture
def muscle():
    return np.full((16, 48, 48), 45.0, np.float32)


@pytest.mark.parametrize("contrast", [-30.0, 30.0])
def test_a_lost_lesion_comes_back_with_its_sign(muscle, contrast):
    inside = ball(7.0)
    found = faint_detail(muscle + contrast * inside, muscle, SPACING)
    assert 0.5 < found[ball(4.0)].mean() / contrast < 1.1
    assert abs(found[~ball(20.0)].mean()) < 0.1 * abs(contrast)


def test_an_offset_of_the_map_and_white_noise_come_back_little(muscle):
    rng = np.random.default_rng(0)
    assert np.abs(faint_detail(muscle + 20.0, muscle, SPACING)).max() < 1e-3
    noise = rng.normal(0.0, 25.0, muscle.shape).astype(np.float32)
    assert faint_detail(muscle + noise, muscle, SPACING).std() < 0.2 * 25.0


def test_fat_and_bone_are_left_alone_and_what_is_large_is_cut(muscle):
    image = muscle.copy()
    image[:, :, :24] = -100.0
    image[:, :12] = 800.0
    found = faint_detail(image + 500.0 * ball(8.0), image, SPACING)
    assert np.abs(found[:, :8]).max() == 0.0 and np.abs(found[:, :, :18]).max() == 0.0
    assert 0.0 < np.abs(found).max() <= MOST_HU
