"""Predicting stacks of slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.inference import predict_stack


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))


def _slices(n=7, size=(16, 24)):
    return np.random.default_rng(0).normal(size=(n, 5, *size)).astype(np.float32)


def _one_by_one(network, slices):
    network.eval()
    with torch.inference_mode():
        return np.concatenate([network(torch.from_numpy(s[None])).numpy() for s in slices])


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_batches_give_the_values_of_one_by_one(network, exact, batch):
    slices = _slices()
    found = predict_stack(network, slices, context=exact, batch=batch)
    np.testing.assert_allclose(found, _one_by_one(network, slices), atol=1e-5)


def test_one_number_per_slice_works_as_well(exact):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    slices = _slices()
    found = predict_stack(network, slices, context=exact, batch=4)
    assert found.shape == (7, 4)
    np.testing.assert_allclose(found, _one_by_one(network, slices), atol=1e-5)


def test_odd_sizes_are_padded_and_cut_back(exact):
    network = nn.Sequential(nn.Conv2d(5, 4, 2, stride=2), nn.ConvTranspose2d(4, 3, 2, stride=2))
    found = predict_stack(network, _slices(3, (9, 13)), context=exact, divisor=8)
    assert found.shape == (3, 3, 9, 13)
    even = predict_stack(network, _slices(3, (16, 24)), context=exact, divisor=8)
    np.testing.assert_allclose(even, _one_by_one(network, _slices(3, (16, 24))), atol=1e-5)


def test_bfloat16_returns_float32_close_to_float32(network, exact):
    slices = _slices()
    low = predict_stack(network, slices, context=Context(device="cpu", precision="bfloat16"))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, predict_stack(network, slices, context=exact), atol=0.05)


def test_integers_and_tensors_are_taken(network, exact):
    slices = np.arange(2 * 5 * 8 * 8, dtype=np.int16).reshape(2, 5, 8, 8)
    found = predict_stack(network, torch.from_numpy(slices), context=exact)
    np.testing.assert_allclose(found, _one_by_one(network, slices.astype(np.float32)), rtol=1e-4, atol=1e-3)


def test_a_memory_limit_shrinks_the_batch(network, exact):
    sizes = []
    network.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    exact.memory_limit_mb = 160
    found = predict_stack(network, _slices(16, (128, 128)), context=exact)
    assert found.shape == (16, 2, 128, 128)
    assert max(sizes[2:]) < 16


@pytest.mark.parametrize("shape", [(5, 16, 16), (0, 5, 16, 16), (2, 5, 16, 16, 16)])
def test_other_shapes_are_refused(network, exact, shape):
    with pytest.raises(InvalidInputError, match="slices, channels, rows, columns"):
        predict_stack(network, np.zeros(shape, np.float32), context=exact)


def test_a_batch_of_none_is_refused(network, exact):
    with pytest.raises(InvalidInputError, match="at least 1"):
        predict_stack(network, _slices(), context=exact, batch=0)
