"""The terms of NoduleSynth's loss: their values, their gradients, and what they do not depend on."""

from __future__ import annotations

import math

import pytest
import torch

from Training.nodule_losses import (
    PairWeights,
    cross_entropy,
    dice,
    masked_mean,
    nac_feature,
    nac_output,
    necmos,
    pair_loss,
)

FAR = 40.0


def masks(n=2, size=8):
    mask = torch.zeros(n, size, size, dtype=torch.bool)
    mask[:, 2:4, 2:4] = True
    return mask


def test_dice_is_zero_for_the_mask_itself_and_follows_the_formula_elsewhere():
    mask = masks()
    right = torch.where(mask, FAR, -FAR)
    assert dice(right, mask) == pytest.approx(0, abs=1e-6)
    half = torch.zeros(1, 8, 8)
    assert dice(half, mask[:1]).item() == pytest.approx(1 - (2 * 0.5 * 4 + 1) / (0.5 * 64 + 4 + 1))


def test_dice_over_images_weighs_a_small_nodule_as_a_large_one():
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[0, 0, 0], mask[1, :12, :12] = True, True
    large_only = torch.full((2, 16, 16), -FAR)
    large_only[1][mask[1]] = FAR
    assert dice(large_only, mask).item() == pytest.approx((1 - 1 / 2) / 2, abs=1e-5)
    assert dice(large_only, mask, "batch").item() == pytest.approx(1 - 289 / 290, abs=1e-5)


def test_means_within_masks_ignore_the_rest_and_an_empty_mask_has_none():
    mask = masks()
    mask[1] = False
    values = torch.where(mask, 3.0, 100.0)
    assert masked_mean(values, mask).tolist() == [3.0, 0.0]


def test_nac_of_outputs_wants_the_margin_between_both_images_within_the_mask():
    mask = masks(1)
    negative = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    equal = nac_output(negative, negative, mask, 4.0)
    assert equal.item() == pytest.approx(math.log1p(math.exp(4.0)))
    assert nac_output(negative + 4.0, negative, mask, 4.0).item() == pytest.approx(math.log(2.0))
    elsewhere = torch.where(mask, negative, negative + 50)
    assert nac_output(elsewhere, negative, mask, 4.0).item() == pytest.approx(equal.item())


def test_pairs_without_a_nodule_in_the_crop_do_not_dilute_nac():
    mask = masks(2)
    mask[1] = False
    logits = torch.zeros(2, 8, 8)
    assert nac_output(logits, logits, mask).item() == pytest.approx(math.log1p(math.exp(4.0)))
    assert nac_output(logits, logits, torch.zeros_like(mask)).item() == 0


def test_nac_of_features_follows_the_formula_for_two_pairs():
    mask = masks(2)
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8])
    positive = torch.stack([a, b])[:, :, None, None].expand(2, 2, 8, 8) * 7
    negative = torch.tensor([0.0, 1.0])[None, :, None, None].expand(2, 2, 8, 8)
    scores = [(0.6, (0.0, 0.0)), (0.6, (0.8, 0.8))]
    wanted = [math.log(math.exp(s / 0.1) + sum(math.exp(u / 0.1) for u in us)) - s / 0.1 for s, us in scores]
    assert nac_feature(positive, negative, mask, 0.1).item() == pytest.approx(sum(wanted) / 2, rel=1e-5)


def test_nac_of_features_needs_two_nodules_and_ignores_what_lies_outside_them():
    generator = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(2, 3, 3, 8, 8, generator=generator)
    mask = masks(3)
    once = nac_feature(positive, negative, mask)
    moved = torch.where(mask[:, None], positive, positive + 5)
    assert nac_feature(moved, negative, mask).item() == pytest.approx(once.item(), rel=1e-5)
    one = mask.clone()
    one[1:] = False
    assert nac_feature(positive, negative, one).item() == 0


def test_necmos_is_of_the_single_largest_output_of_each_image():
    negative = torch.full((2, 8, 8), -FAR)
    negative[0, 3, 5], negative[1, 0, 0] = 2.0, -1.0
    p = 1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(1.0))
    wanted = -(math.log(1 - p[0]) + math.log(1 - p[1])) / 2
    assert necmos(negative).item() == pytest.approx(wanted, rel=1e-5)


def test_necmos_has_a_gradient_where_the_output_is_saturated_and_only_there():
    negative = torch.zeros(1, 8, 8)
    negative[0, 1, 1] = FAR
    negative.requires_grad_()
    necmos(negative).backward()
    assert negative.grad[0, 1, 1].item() == pytest.approx(1.0)
    assert negative.grad.count_nonzero() == 1


def test_the_smooth_form_of_necmos_counts_the_share_of_pixels_that_it_is_given():
    negative = torch.arange(100.0).reshape(1, 10, 10)
    assert necmos(negative, "top", 0.03).item() == pytest.approx((99 + 98 + 97) / 3, rel=1e-5)
    assert necmos(negative, "top", 1e-9).item() == pytest.approx(necmos(negative).item())


def test_cross_entropy_is_of_both_images():
    mask = masks(1)
    right = torch.where(mask, FAR, -FAR)
    assert cross_entropy(right, torch.full_like(right, -FAR), mask).item() == pytest.approx(0, abs=1e-6)
    assert cross_entropy(right, torch.zeros_like(right), mask).item() == pytest.approx(math.log(2) / 2, rel=1e-5)


def test_the_sources_three_terms_weigh_ten_each_by_default():
    weights = PairWeights()
    assert (weights.dice, weights.nac, weights.necmos, weights.bce) == (10, 10, 10, 0)
    generator = torch.Generator().manual_seed(2)
    positive, negative = torch.randn(2, 2, 8, 8, generator=generator)
    found = pair_loss(positive, negative, masks(), weights)
    assert set(found) == {"loss", "dice", "nac", "necmos"}
    assert found["loss"].item() == pytest.approx(10 * sum(found[k].item() for k in ("dice", "nac", "necmos")), rel=1e-5)


def test_a_term_without_weight_is_not_computed_and_features_replace_outputs_where_asked():
    generator = torch.Generator().manual_seed(3)
    positive, negative = torch.randn(2, 2, 8, 8, generator=generator)
    features = tuple(torch.randn(2, 2, 4, 8, 8, generator=generator))
    only = PairWeights(nac=0, necmos=0, bce=1)
    assert set(pair_loss(positive, negative, masks(), only)) == {"loss", "dice", "bce"}
    weights = PairWeights(nac_form="feature")
    assert weights.features
    found = pair_loss(positive, negative, masks(), weights, features)
    assert found["nac"].item() == pytest.approx(nac_feature(*features, masks()).item())


def test_both_paired_terms_follow_what_dice_has_reached_where_asked():
    mask = masks(1)
    negative = torch.zeros(1, 8, 8, requires_grad=True)
    weights = PairWeights(nac=0, follows=True)
    for positive, wanted_share in ((torch.where(mask, FAR, -FAR), 1.0), (torch.zeros(1, 8, 8), 5 / 37)):
        found = pair_loss(positive.requires_grad_(), negative, mask, weights)
        reached = 1 - found["dice"].item()
        wanted = 10 * found["dice"] + 10 * reached * found["necmos"]
        assert found["loss"].item() == pytest.approx(wanted.item(), rel=1e-5)
        assert reached == pytest.approx(wanted_share)
    (slope,) = torch.autograd.grad(found["necmos"] * 0 + found["loss"], positive)
    plain = pair_loss(positive, negative, mask, PairWeights(nac=0, necmos=0))["loss"]
    assert torch.allclose(slope, torch.autograd.grad(plain, positive)[0])


def test_the_contrast_follows_too_and_pulls_nothing_along():
    mask = masks(1)
    generator = torch.Generator().manual_seed(5)
    positive = torch.randn(1, 8, 8, generator=generator).requires_grad_()
    negative = torch.randn(1, 8, 8, generator=generator)
    found = pair_loss(positive, negative, mask, PairWeights(necmos=0, follows=True))
    reached = 1 - found["dice"].item()
    wanted = 10 * found["dice"].item() + 10 * reached * found["nac"].item()
    assert found["loss"].item() == pytest.approx(wanted, rel=1e-5)
    (slope,) = torch.autograd.grad(found["loss"], positive, retain_graph=True)
    (of_dice,) = torch.autograd.grad(10 * found["dice"], positive, retain_graph=True)
    (of_nac,) = torch.autograd.grad(10 * reached * found["nac"], positive)
    assert torch.allclose(slope, of_dice + of_nac, atol=1e-6)
