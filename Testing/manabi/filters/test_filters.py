"""Laws over every filter, their quality on a textured image, and tuning."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_nl_means

from manabi.errors import InvalidInputError
from manabi.filters import BM3D, FILTERS, Bilateral, Gaussian, NonLocalMeans, filter_type, tune
from manabi.filters.bm3d import _dct, _haar
from manabi.filters.noise import estimate_noise_std, noise_fraction, noise_spectrum
from manabi.filters.parallel import parallel_map
from manabi.filters.tuning import search

every_filter = pytest.mark.parametrize("name", FILTERS)


def texture(size=96):
    """Two gratings and a disc, in 0..1."""
    y, x = np.mgrid[:size, :size]
    image = np.where(y > size / 2, np.sin(x / 2.5), np.sin((x + y) / 3.0)) * 0.2
    image = image + 0.25 * ((x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 4) ** 2)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def noisy(image, std, seed=0):
    return (image + std * np.random.default_rng(seed).standard_normal(image.shape)).astype(np.float32)


def psnr(denoised, reference):
    return float(10 * np.log10(1 / np.mean((denoised.astype(np.float64) - reference) ** 2)))


@every_filter
@pytest.mark.parametrize("shape", [(21, 34), (3, 21, 34), (1, 16, 16)])
def test_shape_and_type_are_kept_and_the_input_is_untouched(name, shape):
    image = noisy(np.full(shape, 5.0, np.float32), 1.0)
    before = image.copy()
    denoised = FILTERS[name]().apply(image)
    assert denoised.shape == shape and denoised.dtype == np.float32
    assert np.array_equal(image, before)
    assert denoised.std() < 0.7 * image.std()


@every_filter
def test_a_constant_image_stays_itself(name):
    image = np.full((16, 20), 7.0, np.float32)
    np.testing.assert_allclose(FILTERS[name]().apply(image), image, rtol=1e-6)
    np.testing.assert_allclose(FILTERS[name]().apply(image, noise_std=1.0), image, rtol=1e-5)


@every_filter
def test_counts_and_normalised_values_are_denoised_alike(name):
    image = noisy(texture(32), 0.1)
    one = FILTERS[name](noise_fraction=0.1)
    np.testing.assert_allclose(one.apply(image * 1000) / 1000, one.apply(image), atol=2e-4)


@every_filter
def test_slices_are_filtered_apart(name):
    stack = np.stack([noisy(texture(24), 0.1, s) for s in range(3)])
    alone = FILTERS[name]().apply(stack[1], noise_std=0.1)
    np.testing.assert_allclose(FILTERS[name]().apply(stack, noise_std=0.1)[1], alone, atol=1e-6)


@every_filter
def test_the_number_of_threads_changes_nothing(name):
    stack, before = noisy(np.stack([texture(40)] * 4), 0.1), torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            answers.append(FILTERS[name]().apply(stack))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*answers)


@every_filter
@pytest.mark.parametrize(
    "image, words",
    [
        (np.zeros(5), "rows, columns"),
        (np.zeros((2, 2, 2, 2)), "rows, columns"),
        (np.zeros((0, 4)), "rows, columns"),
        (np.array([["a"]]), "real numbers"),
        (np.full((8, 8), np.nan), "NaN"),
    ],
)
def test_what_is_not_an_image_is_refused(name, image, words):
    with pytest.raises(InvalidInputError, match=words):
        FILTERS[name]().apply(image)


def test_impossible_settings_are_refused():
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(InvalidInputError, match="spacing_mm"):
        Gaussian().apply(image, spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(InvalidInputError, match="spacing_mm"):
        Gaussian().apply(image, spacing_mm=0.0)
    with pytest.raises(InvalidInputError, match="noise_std"):
        BM3D().apply(image, noise_std=-1.0)
    with pytest.raises(InvalidInputError, match="power of 2"):
        BM3D(group_size=12)
    with pytest.raises(InvalidInputError, match="64|8²"):
        BM3D(noise_spectrum=(1.0, 2.0))
    with pytest.raises(InvalidInputError, match="step"):
        BM3D(patch_size=4, step=5)
    with pytest.raises(InvalidInputError, match="gaussian, bilateral, nlm, bm3d"):
        filter_type("median")


def test_the_gaussian_width_is_in_mm():
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1.0
    smooth = Gaussian(sigma_mm=4.0).apply(point, spacing_mm=(2.0, 1.0))
    y, x = np.mgrid[-20:21, -20:21]
    assert np.sqrt((smooth * y**2).sum()) == pytest.approx(2.0, rel=0.02)
    assert np.sqrt((smooth * x**2).sum()) == pytest.approx(4.0, rel=0.02)


def test_the_bilateral_filter_keeps_an_edge_that_the_gaussian_blurs():
    edge = np.zeros((32, 32), np.float32)
    edge[:, 16:] = 1.0
    image = noisy(edge, 0.05)
    sharp = Bilateral(sigma_mm=2.0).apply(image, noise_std=0.05)
    soft = Gaussian(sigma_mm=2.0).apply(image)
    assert np.diff(sharp.mean(0))[15] > 0.9 > 0.5 > np.diff(soft.mean(0))[15]
    assert sharp[:, :12].std() < 0.5 * image[:, :12].std()


@pytest.mark.parametrize("std", [0.05, 0.1, 0.2])
def test_bm3d_beats_nlm_and_gaussian_on_texture(std):
    clean = texture()
    image = noisy(clean, std)
    collaborative = psnr(BM3D().apply(image, noise_std=std), clean)
    means = max(
        psnr(denoise_nl_means(image, p, d, h=k * std, sigma=std), clean)
        for p, d in ((5, 6), (7, 11))
        for k in (0.4, 0.6, 0.8, 1.0)
    )
    gaussian = max(psnr(Gaussian(sigma_mm=s).apply(image), clean) for s in (0.4, 0.6, 0.8, 1.0, 1.5, 2.0))
    assert collaborative > means + 1.0
    assert collaborative > gaussian + 2.0
    assert collaborative > psnr(image, clean) + 8.0


def test_the_noise_spectrum_helps_where_the_noise_is_correlated():
    clean = texture()
    rng = np.random.default_rng(0)

    def correlated():
        noise = Gaussian(sigma_mm=1.2).apply(rng.standard_normal(clean.shape))
        return (0.1 * noise / noise.std()).astype(np.float32)

    spectrum = tuple(noise_spectrum([correlated() for _ in range(8)], 8).ravel())
    image = clean + correlated()
    white = psnr(BM3D().apply(image, noise_std=0.1), clean)
    coloured = psnr(BM3D(noise_spectrum=spectrum).apply(image, noise_std=0.1), clean)
    assert coloured > white + 0.5


def test_bm3d_handles_images_smaller_than_a_patch():
    image = noisy(np.zeros((5, 30), np.float32), 1.0)
    assert BM3D().apply(image, noise_std=1.0).std() < 0.5 * image.std()


@pytest.mark.parametrize("size", [2, 4, 8])
def test_the_transforms_are_orthonormal(size):
    for matrix in (_dct(size), _haar(size)):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(size), atol=1e-6, rtol=0)


def test_white_noise_is_estimated_within_five_percent_and_empty_background_ignored():
    image = noisy(10 * texture(128), 0.8)
    assert estimate_noise_std(image) == pytest.approx(0.8, rel=0.05)
    framed = np.pad(image, 200)
    assert estimate_noise_std(framed) == pytest.approx(0.8, rel=0.05)
    assert estimate_noise_std(np.zeros((8, 8))) == 0.0


def test_the_noise_fraction_is_rms_over_maximum():
    clean = 50 * texture(64)
    image = noisy(clean, 2.0)
    assert noise_fraction([(image, clean)]) == pytest.approx(2.0 / image.max(), rel=0.05)
    with pytest.raises(InvalidInputError, match="positive maximum"):
        noise_fraction([])


def test_the_spectrum_of_white_noise_is_flat_and_of_smooth_noise_falls():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((6, 64, 64))
    assert noise_spectrum([white], 8) == pytest.approx(np.ones((8, 8)), abs=0.15)
    smooth = noise_spectrum([Gaussian(sigma_mm=1.5).apply(white)], 8)
    assert smooth.mean() == pytest.approx(1.0)
    assert smooth[0, 0] > 5 > 0.1 > smooth[7, 7]
    with pytest.raises(InvalidInputError, match="residuals"):
        noise_spectrum([np.zeros((64, 64))], 8)


@every_filter
def test_tuning_finds_settings_that_improve_unseen_images(name, monkeypatch):
    kind = FILTERS[name]
    few = kind.grid()[:: max(1, len(kind.grid()) // 5)]
    monkeypatch.setattr(kind, "grid", classmethod(lambda cls: few))
    clean = 100 * texture(40)
    metric = lambda a, b: -float(np.mean((a - b) ** 2))  # noqa: E731
    best = tune(name, [(noisy(clean, 15.0, s), clean) for s in (1, 2)], metric)
    assert isinstance(best, kind)
    assert best.noise_fraction == pytest.approx(15.0 / 120, rel=0.2)
    unseen = noisy(clean, 15.0, 9)
    assert metric(best.apply(unseen), clean) > metric(unseen, clean)


def test_the_search_is_sorted_and_skips_settings_without_a_score():
    pairs = [(noisy(texture(24), 0.1), texture(24))]
    ranked = search(Gaussian, pairs, lambda a, b: psnr(a, b) if a.std() < 0.24 else float("nan"))
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True) and 0 < len(scores) <= len(Gaussian.grid())
    with pytest.raises(InvalidInputError, match="no finite number"):
        search(Gaussian, pairs, lambda a, b: float("nan"))
    with pytest.raises(InvalidInputError, match="at least one"):
        search(Gaussian, [], psnr)
    with pytest.raises(InvalidInputError, match="differ in shape"):
        search(Gaussian, [(np.zeros((4, 4)), np.zeros((4, 5)))], psnr)


@every_filter
def test_every_setting_survives_json(name):
    for setting in FILTERS[name].grid():
        assert type(setting).of(json.loads(json.dumps(setting.to_dict()))) == setting
    coloured = BM3D(patch_size=2, step=1, noise_spectrum=(1.0, 1.0, 1.0, 1.0))
    assert BM3D.of(json.loads(json.dumps(coloured.to_dict()))) == coloured


def test_the_grid_of_each_filter_has_distinct_settings():
    for kind in (Gaussian, Bilateral, NonLocalMeans, BM3D):
        assert len(set(kind.grid())) == len(kind.grid()) > 5


def test_an_error_in_a_thread_reaches_the_caller_and_the_threads_are_restored():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        parallel_map(lambda n: 1 / n, [2, 1, 0])
    assert torch.get_num_threads() == before
