"""Latent interpolation: ends, same noise, whole films and patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.nodule.glow import Glow
from manabi.nodule.interpolate import blend, fading, owners, patch_of

SIZE = 32
STEP = 1.0 / 256.0


def flow(size=SIZE):
    """A small flow with random weights that does something."""
    torch.manual_seed(0)
    made = Glow(size=size, levels=2, steps=2, hidden=8)
    made.initialise(torch.rand(4, size, size))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return made.eval()


def films(size, *nodules, count=2):
    """Films, the same with nodules (row, column, radius), and masks."""
    torch.manual_seed(1)
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    before = 0.3 + 0.1 * torch.rand(count, size, size) + 0.2 * torch.sin(column / 9.0)
    mask = torch.zeros(size, size, dtype=torch.uint8)
    for number, (r, c, radius) in enumerate(nodules, start=1):
        mask[(row - r) ** 2 + (column - c) ** 2 < radius**2] = number
    masks = mask.expand(count, -1, -1).clone()
    return before, before + 0.15 * (masks > 0), masks


def test_ratio_0_is_the_original_and_ratio_1_the_embedded_film():
    before, after, _ = films(SIZE, (14, 17, 6))
    out, blended = blend(flow(), before, after, [0.0, 1.0], [3, 4])
    assert blended is None
    torch.testing.assert_close(out[0], before[0], atol=2e-4, rtol=0)
    torch.testing.assert_close(out[1], after[1], atol=1.5 * STEP, rtol=0)
    assert not torch.allclose(out[1], before[1], atol=0.05)


def test_half_way_lies_between_and_is_not_the_mean_of_the_films():
    before, after, masks = films(SIZE, (14, 17, 6))
    out, _ = blend(flow(), before, after, [0.5, 0.5], [3, 4])
    inside = masks > 0
    rise = (out - before)[inside].mean() / (after - before)[inside].mean()
    assert 0.3 < float(rise) < 0.7
    assert float((out - (before + after) / 2).abs().max()) > 2 * STEP


def test_both_films_share_their_dequantisation_noise():
    before, _, _ = films(SIZE, (14, 17, 6))
    out, _ = blend(flow(), before, before, [0.7, 0.7], [3, 4])
    torch.testing.assert_close(out, before, atol=2e-4, rtol=0)


def test_the_same_seed_gives_the_same_film_and_inputs_stay():
    before, after, _ = films(SIZE, (14, 17, 6))
    kept = before.clone(), after.clone()
    model = flow()
    first, second, third = (blend(model, before, after, [0.5, 0.6], seeds)[0] for seeds in ([1, 2], [1, 2], [5, 6]))
    assert torch.equal(first, second) and not torch.equal(first, third)
    assert torch.equal(before, kept[0]) and torch.equal(after, kept[1])


def test_patches_change_nothing_outside_them():
    before, after, masks = films(96, (40, 50, 6))
    out, blended = blend(flow(), before, after, [0.5, 1.0], [3, 4], masks)
    assert blended.tolist() == [[True], [True]]
    box = patch_of(masks[0].numpy() == 1, SIZE)
    outside = torch.ones(96, 96, dtype=torch.bool)
    outside[box] = False
    assert torch.equal(out[:, outside], before[:, outside])
    inside = masks[0] > 0
    torch.testing.assert_close(out[1][inside], after[1][inside], atol=2.5 * STEP, rtol=0)
    assert 0.02 < float((out[0] - before[0])[inside].mean()) < 0.13


def test_two_nodules_in_one_patch_are_not_counted_twice():
    before, after, masks = films(96, (40, 40, 5), (40, 53, 5))
    out, blended = blend(flow(), before, after, [1.0, 1.0], [3, 4], masks)
    assert bool(blended.all())
    torch.testing.assert_close(out[:, masks[0] > 0], after[:, masks[0] > 0], atol=4 * STEP, rtol=0)


def test_a_nodule_larger_than_a_patch_stays_as_it_was_embedded():
    before, after, masks = films(96, (50, 50, 14), (10, 12, 4))
    out, blended = blend(flow(), before, after, [0.3, 0.3], [3, 4], masks)
    assert blended.tolist() == [[False, True]] * 2
    torch.testing.assert_close(out[:, masks[0] == 1], after[:, masks[0] == 1])
    small = (out - before)[:, masks[0] == 2].mean() / 0.15
    assert 0.1 < float(small) < 0.6


def test_patches_fade_to_nothing_but_at_the_films_edge():
    weights = fading((slice(20, 52), slice(0, 32)), (96, 96))
    assert weights[0].max() == 0 and weights[-1].max() == 0 and weights[:, -1].max() == 0
    assert weights[16, 0] == 1 and weights[16, 16] == 1
    assert patch_of(np.indices((96, 96)).sum(axis=0) < 4, SIZE) == (slice(0, 32), slice(0, 32))


def test_every_pixel_belongs_to_the_nearest_nodule():
    _, _, masks = films(96, (40, 30, 5), (40, 60, 9))
    owned = owners(masks[0].numpy())
    assert owned[40, 42] == 1 and owned[40, 46] == 2 and set(np.unique(owned)) == {1, 2}
    assert not owners(np.zeros((8, 8), np.uint8)).any()


def test_what_does_not_fit_is_refused():
    before, after, masks = films(96, (40, 30, 5))
    for arguments in (
        (before, after, [0.5, 0.5], [1, 2]),
        (before, after[:, :48], [0.5, 0.5], [1, 2], masks),
        (before, after, [0.5], [1, 2], masks),
        (before[:, :16, :16], after[:, :16, :16], [0.5, 0.5], [1, 2], masks[:, :16, :16]),
    ):
        with pytest.raises(InvalidInputError, match="got"):
            blend(flow(), *arguments)
