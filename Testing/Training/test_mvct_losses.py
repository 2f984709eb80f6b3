"""Each term is zero where it must be, is the number by hand, and has a gradient where it must."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from Training import mvct_losses as terms


def image(seed=0, shape=(2, 3, 12, 14)):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


TWO = [terms.difference, terms.feature_difference, terms.gradient, terms.air]


@pytest.mark.parametrize("term", TWO)
def test_nothing_is_lost_between_equal_images(term):
    assert term(image(), image()).item() == 0


@pytest.mark.parametrize("term", [terms.difference, terms.feature_difference, terms.gradient])
def test_a_difference_has_a_gradient_for_both_images(term):
    first, second = image(0).requires_grad_(), image(1).requires_grad_()
    for gradient in torch.autograd.grad(term(first, second), (first, second)):
        assert gradient.isfinite().all() and gradient.any()


def test_the_gradient_term_ignores_an_offset_and_knows_a_step():
    step = torch.zeros(1, 1, 4, 6)
    step[..., 3:] = 1
    assert terms.gradient(image(), image() + 0.25).item() == pytest.approx(0, abs=1e-6)
    assert terms.gradient(step, torch.zeros_like(step)).item() == pytest.approx(1 / 5)


def test_smoothing_before_the_gradient_spares_noise_and_keeps_steps():
    noise = 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    step = torch.zeros(1, 1, 64, 64)
    step[..., 32:] = 1
    nothing = torch.zeros_like(step)
    shares = [terms.gradient(noise, nothing, b) / terms.gradient(step, nothing, b) for b in (0.0, 1.5)]
    assert shares[1] < 0.2 * shares[0]
    assert terms.blurred(step, 1.5).shape == (1, 1, 58, 58)
    assert terms.blurred(torch.ones(1, 2, 20, 20), 2.0).sub(1).abs().max() < 1e-5


def test_only_pixels_that_cross_the_air_threshold_are_charged():
    first = torch.tensor([[[[-1.0, -1.0, 0.2, 0.2]]]])
    second = torch.tensor([[[[-0.999, -0.5, -1.0, 0.9]]]], requires_grad=True)
    loss = terms.air(first, second)
    assert loss.item() == pytest.approx((0.5 + 1.2) / 4)
    (gradient,) = torch.autograd.grad(loss, second)
    assert (gradient != 0).flatten().tolist() == [False, True, True, False]


def test_total_variation_is_zero_for_a_flat_image_and_one_for_a_ramp():
    assert terms.total_variation(torch.full((1, 1, 5, 5), 0.3)).item() == pytest.approx(0, abs=1e-7)
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    assert terms.total_variation(ramp).item() == pytest.approx(math.sqrt(1 + 1e-6) - 1e-3, abs=1e-6)
    flat = torch.zeros(1, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(terms.total_variation(flat), flat)
    assert gradient.isfinite().all()


def test_slices_that_differ_are_charged_and_a_single_one_is_not():
    stack = torch.tensor([0.0, 1.0, 3.0])[None, :, None, None].expand(1, 3, 4, 4)
    assert terms.slice_variation(stack).item() == pytest.approx(1.5)
    assert terms.slice_variation(stack[:, :1]).item() == 0


def test_scores_at_their_target_cost_nothing_and_jitter_moves_the_target():
    scores = torch.ones(2, 1, 3, 3)
    assert terms.least_squares(scores, 1.0).item() == 0
    assert terms.least_squares(scores, 0.0).item() == 1
    assert terms.least_squares(scores, 1.0, torch.tensor(0.5)).item() == pytest.approx(0.25)


def test_a_weighted_judge_counts_its_patches():
    verdict = torch.zeros(1, 2, 1, 2)
    verdict[0, 0] = torch.tensor([1.0, 3.0])
    verdict[0, 1] = torch.tensor([-50.0, 50.0])
    assert terms.least_squares(verdict, 0.0).item() == pytest.approx((0 * 1 + 2 * 9) / 2)
    assert terms.weight_size(verdict).item() == pytest.approx(50)
    verdict[0, 1] = 0
    assert terms.least_squares(verdict, 0.0) == terms.least_squares(verdict[:, :1], 0.0)


def test_wasserstein_is_the_signed_mean():
    assert terms.wasserstein(torch.full((1, 1, 2, 2), 3.0), -1.0).item() == -3


def test_the_slope_of_a_linear_judge_is_its_weights_length_and_can_be_learned():
    judge = nn.Sequential(nn.Flatten(), nn.Linear(8, 1, bias=False))
    real, made = torch.rand(3, 2, 2, 2), torch.rand(3, 2, 2, 2)
    slopes = terms.slopes_between(judge, real, made, torch.rand(3, 1, 1, 1))
    torch.testing.assert_close(slopes, judge[1].weight.norm().expand(3), rtol=1e-4, atol=1e-5)
    penalty = terms.slope_penalty(slopes)
    assert penalty.item() == pytest.approx((judge[1].weight.norm().item() - 1) ** 2, rel=1e-3)
    (gradient,) = torch.autograd.grad(penalty, judge[1].weight)
    assert gradient.any()
    assert terms.slope_penalty(torch.ones(4)).item() == 0


def test_latent_size_is_the_mean_square():
    assert terms.latent_size(torch.full((2, 2), 3.0)).item() == 9


def test_patches_that_recognise_their_own_place_cost_little():
    codes = torch.eye(6)[None].requires_grad_()
    assert terms.contrast_of_patches(codes, codes).item() < 1e-4
    shuffled = codes.roll(1, 1)
    assert terms.contrast_of_patches(codes, shuffled).item() > 5
    flat = torch.ones(1, 6, 4) / 2
    assert terms.contrast_of_patches(flat, flat).item() == pytest.approx(math.log(6), rel=1e-5)


def test_keys_get_no_gradient():
    queries, keys = torch.rand(1, 5, 4, requires_grad=True), torch.rand(1, 5, 4, requires_grad=True)
    terms.contrast_of_patches(queries, keys).backward()
    assert queries.grad.any() and keys.grad is None
