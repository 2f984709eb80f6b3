"""Augmentation of pairs of films: alike for both, and nothing but the nodule tells them apart."""

from __future__ import annotations

import pytest
import torch

from Training.nodule_augment import FilmAugment, augment, crops

NONE = FilmAugment(
    gamma=0, contrast=0, brightness=0, noise=0, sharpen=0, blur=0, rotate_deg=0, zoom=0, mirror=0
)  # fmt: skip


def pair(count=3, size=64):
    """Films with a frame of padding; the positive has a brighter square within the mask."""
    negative = torch.zeros(count, size, size)
    negative[:, 8:-8] = 0.3 + 0.3 * torch.rand(count, size - 16, size, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(count, size, size, dtype=torch.bool)
    mask[:, 20:28, 30:40] = True
    return torch.stack([negative + 0.2 * mask, negative], 1), mask


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_any_step_films_stay_what_they_are():
    films, mask = pair()
    out, place = augment(films, mask, NONE, draws())
    assert torch.allclose(out, films)
    assert torch.equal(place, mask)


@pytest.mark.parametrize("name", ["gamma", "contrast", "brightness", "noise", "rotate_deg", "zoom", "mirror"])
def test_every_step_changes_films_and_keeps_both_alike_outside_the_nodule(name):
    films, mask = pair()
    how = FilmAugment.of({**NONE.to_dict(), name: 1.0 if name == "mirror" else 0.2 if name != "rotate_deg" else 10})
    out, place = augment(films, mask, how, draws())
    assert not torch.allclose(out, films, atol=1e-3)
    near = torch.nn.functional.max_pool2d(place[:, None].float(), 5, 1, 2)[:, 0] > 0
    assert torch.equal(out[:, 0][~near], out[:, 1][~near])
    assert (out[:, 0] - out[:, 1])[place].mean() > 0.1


def test_padding_stays_exactly_nothing():
    films, mask = pair()
    out, _ = augment(films, mask, FilmAugment(rotate_deg=0, zoom=0), draws())
    assert (out[:, :, :8] == 0).all()
    assert (out[:, :, 8:-8] > 0).all()
    assert out.max() <= 1


def test_the_mask_moves_with_the_nodule():
    films, mask = pair()
    how = FilmAugment.of({**NONE.to_dict(), "rotate_deg": 20.0, "zoom": 0.2})
    out, place = augment(films, mask, how, draws(3))
    changed = (out[:, 0] - out[:, 1]) > 0.1
    assert not torch.equal(place, mask)
    overlap = (changed & place).sum() / (changed | place).sum()
    assert overlap > 0.85


def test_one_seed_gives_one_result_and_pairs_are_drawn_apart():
    films, mask = pair()
    films[1], films[2] = films[0], films[0]
    once, again, other = (augment(films, mask, FilmAugment(), draws(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once[0], once[1])


def test_crops_near_a_nodule_hold_a_part_of_it_and_those_anywhere_need_not():
    films, mask = pair(40)
    near, place = crops(films, mask, 16, 1.0, draws())
    assert near.shape == (40, 2, 16, 16)
    assert place.flatten(1).any(1).all()
    assert torch.equal((near[:, 0] - near[:, 1]) > 0.1, place)
    assert not crops(films, mask, 16, 0.0, draws())[1].flatten(1).any(1).all()


def test_a_crop_as_large_as_the_film_or_none_leaves_it_whole():
    films, mask = pair()
    for size in (0, 64, 100):
        assert crops(films, mask, size, 0.5, draws())[0] is films
