"""Non-local means gives scikit-image's answer."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import denoise_nl_means

from manabi.errors import InvalidInputError
from manabi.filters import nlm
from manabi.filters.nlm import _window_sum, non_local_means


def waves(shape, std=10.0):
    grid = np.indices(shape)
    clean = 100 + 50 * np.sin(grid[-1] / 9) * np.cos(grid[-2] / 7) + grid[0]
    return (clean + std * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize(
    "shape, patch, distance, strength, std",
    [
        ((14, 20, 18), 3, 4, 8, 10),
        ((14, 20, 18), 5, 3, 8, 0),
        ((9, 16, 14), 7, 2, 8, 10),
        ((10, 16, 16), 4, 2, 20, 10),
        ((6, 30, 8), 3, 6, 8, 10),
        ((40, 50), 5, 6, 8, 10),
        ((33, 31), 7, 11, 8, 0),
        ((20, 20), 3, 1, 8, 5),
    ],
)
def test_agrees_with_scikit_image(shape, patch, distance, strength, std):
    image = waves(shape)
    theirs = denoise_nl_means(image, patch, distance, h=strength, sigma=std, fast_mode=True, preserve_range=True)
    ours = non_local_means(image, patch, distance, strength, std)
    assert np.abs(theirs - image).mean() > 1.0
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_slabs_do_not_show(monkeypatch):
    image = waves((20, 18, 16))
    whole = non_local_means(image, 3, 4, 8, 10)
    monkeypatch.setattr(nlm, "SLAB_VOXELS", 1500)
    np.testing.assert_allclose(non_local_means(image, 3, 4, 8, 10), whole, rtol=1e-5)


def test_a_stack_of_slices_is_filtered_slice_by_slice():
    image = waves((4, 30, 32))
    stack = non_local_means(image, 5, 6, 8, 10, volumetric=False)
    alone = np.stack([non_local_means(one, 5, 6, 8, 10) for one in image])
    np.testing.assert_allclose(stack, alone, rtol=1e-6)


def test_a_large_offset_does_not_cost_precision():
    image = waves((40, 40))
    np.testing.assert_allclose(non_local_means(image + 5000, 5, 4, 8, 10) - 5000, non_local_means(image, 5, 4, 8, 10),
                               atol=0.05)


@pytest.mark.parametrize("width, stride", [(2, 1), (4, 3), (6, 1), (14, 2)])
def test_window_sums(width, stride):
    import torch

    values = torch.randn(200)
    count = 200 - (width - 1) * stride
    expected = sum(values[i * stride : i * stride + count] for i in range(width))
    torch.testing.assert_close(_window_sum(values, width, stride), expected)


@pytest.mark.parametrize("patch, distance, strength, std", [(1, 2, 1, 0), (3, -1, 1, 0), (3, 2, 0, 0), (3, 2, 1, -1)])
def test_impossible_parameters_are_refused(patch, distance, strength, std):
    with pytest.raises(InvalidInputError, match="patch_size >= 2"):
        non_local_means(np.zeros((8, 8)), patch, distance, strength, std)
