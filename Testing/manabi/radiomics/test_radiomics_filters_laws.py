"""Laws that the filters must obey, and scipy and PyWavelets as other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from scipy import ndimage

from manabi.radiomics.filters import FilterSpec, apply
from manabi.radiomics.filters.laws import WEIGHTS
from manabi.radiomics.filters.separable import NOTHING, Kernel, rotated

CUBES = (1.0, 1.0, 1.0)
MODES = {"zero": "constant", "nearest": "nearest", "periodize": "wrap", "mirror": "reflect"}
SIDE = 25


def _noise(shape: tuple[int, ...] = (SIDE,) * 3, seed: int = 0) -> np.ndarray:
    """White noise."""
    return np.random.default_rng(seed).normal(size=shape)


def _one(array: np.ndarray, text: str, spacing: tuple[float, float, float] = CUBES) -> np.ndarray:
    """The only response of a filter."""
    (response,) = apply(array, spacing, FilterSpec.parse(text)).values()
    return response


def _impulse() -> np.ndarray:
    """A single 1 in the middle."""
    image = np.zeros((SIDE,) * 3)
    image[(SIDE // 2,) * 3] = 1
    return image


@pytest.mark.parametrize("boundary", MODES)
def test_mean_is_scipys(boundary: str):
    wanted = ndimage.uniform_filter(_noise(), 7, mode=MODES[boundary])
    np.testing.assert_allclose(_one(_noise(), f"mean:7,boundary={boundary}"), wanted, atol=1e-12)


@pytest.mark.parametrize("boundary", MODES)
def test_laws_are_scipys_convolutions(boundary: str):
    wanted = _noise()
    for axis, name in ((2, "E5"), (1, "S3"), (0, "R5")):
        kernel = np.array(WEIGHTS[name]) / np.linalg.norm(WEIGHTS[name])
        wanted = ndimage.convolve1d(wanted, kernel, axis=axis, mode=MODES[boundary])
    np.testing.assert_allclose(_one(_noise(), f"laws:E5S3R5,boundary={boundary}"), wanted, atol=1e-12)


@pytest.mark.parametrize("boundary", MODES)
def test_second_wavelet_level_is_scipys_cascade(boundary: str):
    low, high = (np.append(pywt.Wavelet("db2").filter_bank[n], 0) for n in (0, 1))
    wanted = _noise()
    for axis in range(3):
        wanted = ndimage.convolve1d(wanted, low, axis=axis, mode=MODES[boundary])
    for axis, kernel in ((2, low), (1, high), (0, high)):
        dilated = np.zeros(2 * len(kernel) - 1)
        dilated[::2] = kernel
        wanted = ndimage.convolve1d(wanted, dilated, axis=axis, mode=MODES[boundary])
    text = f"wavelet:db2,mode=ibsi,level=2,bands=LHH,boundary={boundary}"
    np.testing.assert_allclose(_one(_noise(), text), wanted, atol=1e-12)


def test_the_two_conventions_agree_on_even_sides():
    array = _noise((16, 14, 18))
    theirs = apply(array, CUBES, FilterSpec("wavelet"))
    ours = apply(array, CUBES, FilterSpec("wavelet", mode="ibsi", boundary="periodize"))
    for name, response in theirs.items():
        band = name.removeprefix("wavelet-")
        np.testing.assert_allclose(ours[f"ibsi-wavelet-coif1-{band}-boundary-periodize"], response, atol=1e-12)


@pytest.mark.parametrize("family", ["coif1", "db3", "haar"])
def test_an_orthonormal_wavelet_keeps_the_energy_and_gives_the_image_back(family: str):
    array = _noise((16, 14, 18))
    bands = apply(array, CUBES, FilterSpec("wavelet", family=family))
    assert sum((band**2).sum() for band in bands.values()) == pytest.approx(8 * (array**2).sum(), rel=1e-12)
    letters = {"L": "a", "H": "d"}
    coefficients = {"".join(letters[c] for c in name[-3:]): band for name, band in bands.items()}
    np.testing.assert_allclose(pywt.iswtn([coefficients], family, axes=(2, 1, 0)), array, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "gain"),
    [
        ("mean:5", 1.0),
        ("wavelet:coif1,mode=ibsi,bands=LLL", 2**1.5),
        ("wavelet:coif1,mode=ibsi,bands=LLH", 0.0),
        ("laws:L5L5L5", (16 / np.sqrt(70)) ** 3),
        ("laws:L5E5L5", 0.0),
        ("simoncelli:1", 0.0),
        ("shannon:1", 0.0),
        ("log:2,mode=ibsi,truncate=8", 0.0),
    ],
)
def test_response_to_a_constant(text: str, gain: float):
    np.testing.assert_allclose(_one(np.full((16, 16, 16), 100.0), text), 100 * gain, atol=1e-6)


def test_laplacian_of_gaussian_is_the_formula_and_scipys():
    sigma = 1.7
    places = np.indices((SIDE,) * 3) - SIDE // 2
    squared = (places**2).sum(axis=0)
    gauss = np.exp(-squared / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma) ** 3
    wanted = -gauss * (3 - squared / sigma**2) / sigma**2
    wanted[np.abs(places).max(axis=0) > np.floor(4 * sigma + 0.5)] = 0
    np.testing.assert_allclose(_one(_impulse(), f"log:{sigma},mode=ibsi"), wanted, atol=1e-15)
    scipys = ndimage.gaussian_laplace(_noise(), sigma, truncate=6)
    ours = _one(_noise(), f"log:{sigma},mode=ibsi,truncate=6")
    np.testing.assert_allclose(ours, scipys, atol=2e-4 * np.abs(scipys).max())


def test_laplacian_of_gaussian_counts_in_mm():
    fine = _one(_impulse(), "log:1.7,mode=ibsi")
    np.testing.assert_allclose(_one(_impulse(), "log:5.1,mode=ibsi", (3.0, 3.0, 3.0)), fine, rtol=1e-12, atol=1e-18)


def test_gabor_is_the_modulus_of_the_formula():
    sigma, wavelength, gamma, theta = 2.0, 4.0, 1.5, np.pi / 6
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2).astype(float)
    along, across = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
    wanted = np.exp(-(along**2 + gamma**2 * across**2) / (2 * sigma**2))
    response = _one(_impulse(), f"gabor:{sigma},wavelength_mm={wavelength},gamma={gamma},theta_deg=30,boundary=zero")
    np.testing.assert_allclose(response[SIDE // 2], wanted, atol=1e-12)
    assert response[0].max() < 1e-14
    image = np.cos(2 * np.pi * (np.indices((1, 60, 60))[2] / wavelength))
    (strong, weak) = (
        _one(image, f"gabor:{sigma},wavelength_mm={wavelength},theta_deg={angle}")[0, 30, 30] for angle in (0, 90)
    )
    assert strong > 50 * weak


def test_shannon_and_simoncelli_pass_their_bands():
    n = 31
    wave = np.cos(2 * np.pi * 9 * np.arange(n) / n)[None, None, :] * np.ones((n, n, 1))
    radius = 9 / ((n - 1) / 2)
    assert np.ptp(_one(wave, "shannon:1") - wave) < 1e-12
    assert np.abs(_one(wave, "shannon:2")).max() < 1e-12
    np.testing.assert_allclose(_one(wave, "simoncelli:1"), np.cos(np.pi / 2 * np.log2(2 * radius)) * wave, atol=1e-12)


def test_first_riesz_components_together_keep_the_energy():
    array = _noise((15, 17, 19))
    plain = _one(array, "simoncelli:1")
    parts = [_one(array, f"simoncelli:1,riesz={orders}") for orders in ("1+0+0", "0+1+0", "0+0+1")]
    assert sum((part**2).sum() for part in parts) == pytest.approx((plain**2).sum(), rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "laws:L5E5S3,rotations=average",
        "laws:L5E3W5,rotations=max,energy_distance=2",
        "wavelet:db2,mode=ibsi,bands=LLH,level=2,rotations=max",
        "gabor:1.5,wavelength_mm=3,theta_step_deg=90,rotations=average",
        "log:1.5,mode=ibsi",
        "simoncelli:1",
    ],
)
@pytest.mark.parametrize("plane", [(0, 1), (1, 2), (0, 2)])
def test_pooled_filters_turn_with_the_image(text: str, plane: tuple[int, int]):
    array = _noise((15, 15, 15))
    turned = _one(np.rot90(array, axes=plane), text)
    np.testing.assert_allclose(turned, np.rot90(_one(array, text), axes=plane), atol=1e-10)


def test_there_are_24_rotations_in_space_and_4_in_the_plane():
    along = tuple(Kernel((float(n), n + 1.0, n + 3.0), 1) for n in (1, 5, 9))
    assert len(set(rotated(along, planar=False))) == 24
    assert len(set(rotated((NOTHING, *along[1:]), planar=True))) == 4


@pytest.mark.parametrize(
    "text", ["laws:E5L5", "wavelet:coif1,mode=ibsi,planar=true,bands=LH", "log:1.5,mode=ibsi,planar=true"]
)
def test_planar_filters_see_one_slice(text: str):
    array = _noise((3, 20, 20))
    np.testing.assert_array_equal(_one(array[1:2], text), _one(array, text)[1:2])
