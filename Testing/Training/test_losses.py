"""Losses: values by hand, agreement with scikit-image, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from manabi.errors import InvalidInputError
from Training.losses import LOSSES, count_penalty, gaussian_nll, l1_ssim, ssim

torch.manual_seed(0)
TARGET = torch.rand(3, 1, 24, 20)
GUESS = (TARGET + 0.1 * torch.randn_like(TARGET)).clamp(0, 1)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_zero_for_equal_images_and_falls_along_its_gradient(name):
    loss = LOSSES[name]
    assert float(loss(TARGET, TARGET)) == pytest.approx(0, abs=1e-5)
    guess = GUESS.clone().requires_grad_()
    before = loss(guess, TARGET)
    before.backward()
    step = 0.02 * guess.grad / guess.grad.abs().max()
    assert float(loss(guess.detach() - step, TARGET)) < before.item()


@pytest.mark.parametrize("shape", [(24, 20), (12, 11, 10)])
def test_ssim_is_that_of_scikit_image(shape):
    rng = np.random.default_rng(1)
    one = rng.uniform(size=shape).astype(np.float32)
    other = np.clip(one + rng.normal(0, 0.1, shape), 0, 1).astype(np.float32)
    expected = structural_similarity(one.astype(float), other.astype(float), data_range=1.0)
    found = ssim(torch.from_numpy(one)[None, None], torch.from_numpy(other)[None, None])
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(InvalidInputError, match="window of 7"):
        ssim(TARGET[..., :5], TARGET[..., :5])


def test_l1_ssim_weighs_its_parts():
    assert float(l1_ssim(GUESS, TARGET, 0.0)) == pytest.approx(float((GUESS - TARGET).abs().mean()))
    assert float(l1_ssim(GUESS, TARGET, 1.0)) == pytest.approx(1 - float(ssim(GUESS, TARGET)))


def test_gaussian_nll_is_torchs():
    log_variance = torch.randn_like(TARGET)
    expected = torch.nn.functional.gaussian_nll_loss(GUESS, TARGET, log_variance.exp())
    assert float(gaussian_nll(GUESS, log_variance, TARGET)) == pytest.approx(float(expected), rel=1e-5)


def test_gaussian_nll_is_least_at_the_true_variance():
    error = 0.3 * torch.randn(1, 1, 200, 200)
    mean = torch.zeros_like(error)
    values = {v: float(gaussian_nll(mean, torch.full_like(error, v).log(), error)) for v in (0.03, 0.09, 0.27)}
    assert min(values, key=values.get) == 0.09


def test_beta_one_gives_the_mean_the_gradient_of_the_squared_error():
    mean = GUESS.clone().requires_grad_()
    gaussian_nll(mean, torch.randn_like(TARGET), TARGET, beta=1.0).backward()
    torch.testing.assert_close(mean.grad, (GUESS - TARGET) / TARGET.numel())


def test_gaussian_nll_stays_finite_for_a_wild_variance():
    wild = torch.full_like(TARGET, -1e4)
    assert torch.isfinite(gaussian_nll(GUESS, wild, TARGET))


def test_count_penalty_is_the_squared_relative_change():
    assert float(count_penalty(1.1 * TARGET, TARGET)) == pytest.approx(0.01, rel=1e-4)
    shuffled = TARGET.flip(-1)
    assert float(count_penalty(shuffled, TARGET)) == pytest.approx(0, abs=1e-10)
    assert torch.isfinite(count_penalty(TARGET, torch.zeros_like(TARGET)))
