"""The detector: how strong the noise is, that it is white before the blur, what the blur does to fine detail."""

import numpy as np
import pytest
import torch

from manabi.phantoms.radiograph_detector import (
    DetectorParameters,
    blurred,
    detected,
    noise_fields,
    quanta,
    sample_detector,
)

SHARP = DetectorParameters(blur_mm=0.0)


def test_quanta_are_dose_times_area_times_efficiency():
    assert quanta(DetectorParameters(2.5, 0.6), 0.2) == pytest.approx(2.5 * 30174 * 0.04 * 0.6)


def noisy(signal, level, detector=SHARP, pixel_mm=0.2, seed=5, size=256):
    noise = noise_fields([seed], size, size, torch.device("cpu"))
    return detected(torch.full((1, size, size), signal), torch.tensor([level]), noise, [detector], pixel_mm)[0]


@pytest.mark.parametrize("signal", [0.02, 0.1, 0.4])
def test_noise_is_poissons_at_the_dose(signal):
    level = 0.1
    counts = quanta(SHARP, 0.2) * signal / level
    film = noisy(signal, level)
    assert float(film.mean()) == pytest.approx(signal, rel=2e-3)
    assert float(film.std() / film.mean()) == pytest.approx(counts**-0.5, rel=0.02)


def test_noise_is_white_before_the_blur():
    film = noisy(0.1, 0.1).numpy()
    power = np.abs(np.fft.fft2(film - film.mean())) ** 2 / film.size / film.var()
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    for low, high in ((0.01, 0.1), (0.1, 0.25), (0.25, 0.4), (0.4, 0.5)):
        assert power[(radius >= low) & (radius < high)].mean() == pytest.approx(1.0, abs=0.06)


def test_the_blur_takes_the_same_from_noise_as_from_detail():
    detector = DetectorParameters(blur_mm=0.2)
    film = noisy(0.1, 0.1, detector).numpy()
    plain = noisy(0.1, 0.1).numpy()
    ratio = np.abs(np.fft.fft2(film - film.mean())) ** 2 / np.abs(np.fft.fft2(plain - plain.mean())) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    ring = (radius > 0.24) & (radius < 0.26)
    # A Gaussian of one pixel, averaged over pixels.
    expected = np.exp(-((2 * np.pi * 0.25) ** 2)) * np.sinc(0.25) ** 2
    assert np.median(ratio[ring]) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("frequency", [4, 16, 32])
def test_the_modulation_transfer_is_the_gaussians(frequency):
    size, sigma = 128, 1.5
    wave = torch.cos(2 * torch.pi * frequency / size * torch.arange(size))
    film = (1 + 0.5 * wave)[None, None, :].repeat(1, size, 1)
    inner = blurred(film, [sigma])[0, 64, 16:-16] - 1
    kept = float((inner * wave[16:-16]).sum() / (wave[16:-16].square().sum() * 0.5))
    shape = np.exp(-2 * (np.pi * sigma * frequency / size) ** 2) * np.sinc(frequency / size)
    assert kept == pytest.approx(shape, abs=0.01)


def test_a_blur_far_below_the_pixel_changes_nothing_much():
    film = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blurred(film, [0.01]), film)
    assert float((blurred(film, [0.1]) - film).abs().max()) < 1e-3


def test_each_films_noise_comes_from_its_seed_alone():
    alone = noise_fields([7], 16, 16, torch.device("cpu"))
    among = noise_fields([3, 7], 16, 16, torch.device("cpu"))
    torch.testing.assert_close(alone[0], among[1], rtol=0, atol=0)
    assert not torch.equal(among[0], among[1])


def test_each_film_is_blurred_by_its_own_detector():
    film = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1)
    both = blurred(film, [0.5, 2.0])
    torch.testing.assert_close(both[1], blurred(film[:1], [2.0])[0])
    assert float(both[0].std()) > 1.5 * float(both[1].std())


def test_the_held_out_domains_detectors_count_less_and_blur_more():
    rng = np.random.default_rng(0)
    training = [sample_detector(rng) for _ in range(50)]
    held_out = [sample_detector(rng, "held_out") for _ in range(50)]
    assert min(d.dqe for d in training) > max(d.dqe for d in held_out)
    assert max(d.blur_mm for d in training) <= min(d.blur_mm for d in held_out)
