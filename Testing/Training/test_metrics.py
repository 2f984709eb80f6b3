"""Image metrics against scikit-image and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage import metrics as reference

from manabi.errors import InvalidInputError
from Training.metrics import METRICS, image_metrics, nrmse, psnr, psnr_uint8_wrapped, ssim, ssim_wang

RNG = np.random.default_rng(3)
IMAGE = RNG.uniform(0, 255, (64, 64))
NOISY = np.clip(IMAGE + RNG.normal(0, 20, IMAGE.shape), 0, 255)


def test_psnr_by_hand():
    assert psnr(np.zeros((2, 2)), np.full((2, 2), 255.0)) == 0
    assert psnr(np.zeros((2, 2)), np.full((2, 2), 25.5)) == pytest.approx(20)
    assert psnr(IMAGE, IMAGE) == math.inf


def test_psnr_does_not_overflow_on_8_bit_images():
    a, b = np.array([[0, 250]], np.uint8), np.array([[200, 10]], np.uint8)
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / ((200**2 + 240**2) / 2)))


def test_float_metrics_agree_with_scikit_image():
    assert psnr(IMAGE, NOISY) == pytest.approx(reference.peak_signal_noise_ratio(IMAGE, NOISY, data_range=255))
    assert ssim(IMAGE, NOISY) == pytest.approx(reference.structural_similarity(IMAGE, NOISY, data_range=255))
    assert nrmse(IMAGE, NOISY) == pytest.approx(reference.normalized_root_mse(IMAGE, NOISY))


def test_the_two_conventions_of_ssim_differ_and_are_one_for_equal_images():
    assert ssim(IMAGE, IMAGE) == pytest.approx(1) == ssim_wang(IMAGE, IMAGE)
    assert abs(ssim(IMAGE, NOISY) - ssim_wang(IMAGE, NOISY)) > 1e-4


def test_wrapped_psnr_wraps_twice():
    # 10 - 30 wraps to 236, whose square 55696 wraps to 144; 20 squared is 400, which wraps to 144 as well
    down, up = np.full((1, 1), 10.0), np.full((1, 1), 30.0)
    expected = 10 * math.log10(255**2 / 144)
    assert psnr_uint8_wrapped(down, up) == pytest.approx(expected) == psnr_uint8_wrapped(up, down)


def test_wrapped_psnr_cannot_see_an_error_of_sixteen():
    assert psnr_uint8_wrapped(np.zeros((4, 4)), np.full((4, 4), 16.0)) == math.inf
    assert psnr(np.zeros((4, 4)), np.full((4, 4), 16.0)) < 25


def test_wrapped_psnr_is_about_28_db_for_pictures_that_have_nothing_in_common():
    other = RNG.uniform(0, 255, IMAGE.shape)
    assert psnr_uint8_wrapped(IMAGE, other) == pytest.approx(28, abs=0.5)
    assert psnr(IMAGE, other) < 10


def test_wrapped_psnr_equals_psnr_for_small_errors():
    whole = np.rint(RNG.uniform(20, 200, (32, 32)))
    near = whole + RNG.integers(-15, 16, whole.shape)
    assert psnr_uint8_wrapped(whole, near) == pytest.approx(psnr(whole, near))


def test_wrapped_psnr_refuses_what_is_not_8_bit():
    with pytest.raises(InvalidInputError, match="0 to 255"):
        psnr_uint8_wrapped(IMAGE * 2, IMAGE)


def test_images_of_two_shapes_are_refused():
    with pytest.raises(InvalidInputError, match="one shape"):
        psnr(IMAGE, IMAGE[:32])


def test_nrmse_of_a_zero_reference_is_undefined():
    assert math.isnan(nrmse(np.zeros((4, 4)), np.ones((4, 4))))


def test_every_metric_is_reported():
    assert set(image_metrics(IMAGE, NOISY)) == set(METRICS)
    assert all(math.isfinite(value) for value in image_metrics(IMAGE, NOISY).values())
