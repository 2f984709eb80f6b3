"""pyradiomics' image types: the same names, the same values, on the whole image and on a box."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics.filters import FilterSpec, apply

SPACING = (3.0, 1.5, 1.0)
TYPES = (np.int16, np.float32, np.float64)
SHAPES = ((20, 31, 24), (9, 14, 33))
WAVELETS = ("coif1", "haar", "db3", "sym5", "bior2.4", "rbio3.1", "coif3")


def _image(shape: tuple[int, ...], dtype: type, seed: int = 1) -> np.ndarray:
    """Noise in the given type, with values of both signs and zeros."""
    return np.rint(np.random.default_rng(seed).normal(scale=100, size=shape)).astype(dtype)


def _theirs(array: np.ndarray, function: str, **options: object) -> dict[str, np.ndarray]:
    """What pyradiomics makes of the image."""
    sitk = pytest.importorskip("SimpleITK")
    operations = pytest.importorskip("radiomics.imageoperations")
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    made = getattr(operations, function)(image, None, **options)
    return {name: sitk.GetArrayFromImage(response) for response, name, _ in made}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_wavelet_bands_equal_to_the_last_bit_but_at_the_far_border(shape: tuple[int, ...], dtype: type):
    array = _image(shape, dtype)
    theirs = _theirs(array, "getWaveletImage", wavelet="coif1")
    ours = apply(array, SPACING, FilterSpec("wavelet"))
    assert list(ours) == list(theirs)
    inner = tuple(slice(0, size - 3) for size in shape)
    for name, response in ours.items():
        assert response.dtype == theirs[name].dtype
        assert np.array_equal(response[inner], theirs[name][inner])
        eps = np.finfo(response.dtype).eps
        np.testing.assert_allclose(response, theirs[name], rtol=0, atol=20 * eps * np.abs(response).max())


@pytest.mark.parametrize("family", WAVELETS)
@pytest.mark.parametrize("dtype", (np.int16, np.float32))
def test_any_wavelet_and_level(family: str, dtype: type):
    array = _image(SHAPES[0], dtype)
    theirs = _theirs(array, "getWaveletImage", wavelet=family, level=2, start_level=1)
    ours = apply(array, SPACING, FilterSpec("wavelet", family=family, level=2, start_level=1))
    assert list(ours) == list(theirs) and len(ours) == 15
    for name, response in ours.items():
        eps = np.finfo(response.dtype).eps
        np.testing.assert_allclose(response, theirs[name], rtol=0, atol=100 * eps * np.abs(array).max())


def test_chosen_bands_are_those_of_all():
    array = _image(SHAPES[0], np.int16)
    every = apply(array, SPACING, FilterSpec("wavelet"))
    chosen = apply(array, SPACING, FilterSpec("wavelet", bands=("LHH", "LLL")))
    assert list(chosen) == ["wavelet-LHH", "wavelet-LLL"]
    assert all(np.array_equal(every[name], response) for name, response in chosen.items())


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("text", "function", "options"),
    [
        ("original", "getOriginalImage", {}),
        ("square", "getSquareImage", {}),
        ("squareroot", "getSquareRootImage", {}),
        ("logarithm", "getLogarithmImage", {}),
        ("exponential", "getExponentialImage", {}),
        ("gradient", "getGradientImage", {}),
        ("gradient:use_spacing=false", "getGradientImage", {"gradientUseSpacing": False}),
        ("log:2", "getLoGImage", {"sigma": [2.0]}),
        ("lbp-2D", "getLBP2DImage", {}),
        ("lbp-2D:2,samples=12", "getLBP2DImage", {"lbp2DRadius": 2, "lbp2DSamples": 12}),
    ],
)
def test_other_image_types_are_equal(text: str, function: str, options: dict, dtype: type):
    array = _image(SHAPES[0], dtype)
    theirs = _theirs(array, function, **options)
    ours = apply(array, SPACING, FilterSpec.parse(text))
    assert list(ours) == list(theirs)
    for name, response in ours.items():
        np.testing.assert_allclose(response, theirs[name].astype(float), rtol=1e-14, atol=0)


def test_laplacian_of_gaussian_of_a_box_is_that_of_the_image_to_float32():
    array = _image((40, 60, 70), np.int16)
    box = (slice(0, 9), slice(30, 41), slice(28, 70))
    spec = FilterSpec("log", sigma_mm=1.0)
    (every,), (part,) = apply(array, SPACING, spec).values(), apply(array, SPACING, spec, box).values()
    np.testing.assert_allclose(part, every[box], rtol=0, atol=1e-6 * np.abs(every).max())


def test_an_image_too_small_or_empty_is_refused():
    with pytest.raises(InvalidInputError, match="at least"):
        apply(np.zeros((3, 9, 9)), SPACING, FilterSpec("log", sigma_mm=1.0))
    for kind in ("square", "logarithm", "exponential"):
        with pytest.raises(InvalidInputError, match="largest magnitude"):
            apply(np.zeros((4, 9, 9)), SPACING, FilterSpec(kind))
