"""Crops of unpaired volumes: they hold body, follow from the generator, and are cut where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_ct import anatomy, domains

from manabi.errors import InvalidInputError
from Training.mvct_domains import AIR_HU, BODY_HU, LEAST_BODY, Cropper, Domains, PairedCT, sampled


def numbered(slices=5, size=40):
    """Every voxel its own number, as HU above the body's threshold."""
    return np.arange(slices * size * size, dtype=np.float32).reshape(slices, size, size)


def test_a_plain_crop_is_a_cut_out_of_neighbouring_slices():
    volume = numbered()
    crop = Cropper(16, context=3, mirror=False).draw([volume], np.random.default_rng(1))
    corner = int(crop[1, 0, 0])
    k, rest = divmod(corner, 1600)
    row, column = divmod(rest, 40)
    assert row + 16 <= 40 and column + 16 <= 40
    for n, at in enumerate(np.clip([k - 1, k, k + 1], 0, 4)):
        np.testing.assert_allclose(crop[n], volume[at, row : row + 16, column : column + 16], rtol=1e-6)


def test_a_mirrored_crop_is_turned_left_to_right():
    volume, found = numbered(), set()
    for seed in range(12):
        crop = Cropper(17).draw([volume], np.random.default_rng(seed))[0]
        found.add(float(np.round(crop[0, 1] - crop[0, 0])))
        assert crop[1, 0] - crop[0, 0] == pytest.approx(40)
    assert found == {1.0, -1.0}


def test_the_same_generator_draws_the_same_crop_and_another_one_another():
    volumes = domains().source
    cropper = Cropper(24, rotate_deg=20, zoom=0.1)
    first, again, other = (cropper.draw(volumes, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_crops_hold_body_though_most_of_the_slice_is_air():
    wide = np.full((3, 200, 200), AIR_HU, np.float16)
    wide[1, 150:180, 20:50] = 0
    drawn = [Cropper(32, rotate_deg=10).draw([wide], np.random.default_rng(seed)) for seed in range(20)]
    shares = np.array([(crop > BODY_HU).mean() for crop in drawn])
    assert (shares >= LEAST_BODY).mean() > 0.8
    assert all(crop.shape == (1, 32, 32) and crop.dtype == np.float32 for crop in drawn)


def test_small_slices_are_surrounded_by_air():
    crop = Cropper(48, mirror=False).draw([np.full((1, 20, 30), 50.0, np.float32)], np.random.default_rng(0))[0]
    assert (crop == 50).sum() == 600 and (crop == AIR_HU).sum() == 48 * 48 - 600


def test_two_kinds_of_one_patient_are_cut_at_the_same_place():
    volume = numbered()
    cropper = Cropper(16, context=3, rotate_deg=30, zoom=0.1)
    for seed in range(5):
        first, second = cropper.draw_together([[volume], [volume * 2]], np.random.default_rng(seed))
        np.testing.assert_allclose(np.maximum(first, 0) * 2, np.maximum(second, 0), rtol=1e-5)


def test_a_quarter_turn_is_exact():
    image = np.random.default_rng(0).normal(size=(1, 21, 21)).astype(np.float32)
    turned = sampled(image, np.array([10.0, 10.0]), np.array([[0.0, -1.0], [1.0, 0.0]]), 21)
    np.testing.assert_allclose(turned[0], np.rot90(image[0], -1), atol=1e-5)


def test_the_digest_follows_the_values_and_the_pixel_size():
    one, same = domains(), domains()
    assert one.digest() == same.digest()
    changed = [v.copy() for v in one.target]
    changed[0][0, 0, 0] += 1
    others = [Domains(one.source, changed), Domains(one.source, one.target, (2.0, 1.0))]
    assert len({one.digest(), *(other.digest() for other in others)}) == 3
    assert one.slices("source") == 12


def test_what_is_no_domain_is_refused():
    volume = anatomy(0)
    for wrong in ([], [volume[0]], [volume[:0]]):
        with pytest.raises(InvalidInputError, match="target domain"):
            Domains([volume], wrong)
    with pytest.raises(InvalidInputError, match="one grid"):
        PairedCT(volume, volume[:2])
