"""The order of items: each once an epoch, and the same on any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from Training.order import epoch_order, item_rng, step_items, steps_per_epoch


def test_every_epoch_has_every_item_once_in_its_own_order():
    one, two = epoch_order(3, 0, 20), epoch_order(3, 1, 20)
    assert sorted(one) == sorted(two) == list(range(20))
    assert list(one) != list(two)


def test_the_order_does_not_see_global_generators():
    np.random.seed(1)
    torch.manual_seed(1)
    before = (list(epoch_order(3, 5, 9)), item_rng(3, 5, 2).random())
    np.random.seed(2)
    torch.manual_seed(2)
    assert before == (list(epoch_order(3, 5, 9)), item_rng(3, 5, 2).random())


def test_items_have_generators_of_their_own():
    draws = {item_rng(s, e, i).random() for s in range(3) for e in range(3) for i in range(3)}
    assert len(draws) == 27


@pytest.mark.parametrize(("size", "batch", "world"), [(11, 4, 2), (11, 4, 4), (3, 8, 4), (16, 8, 1)])
def test_processes_share_each_batch(size, batch, world):
    alone = step_items(0, 2, size, batch)
    shared = [step_items(0, 2, size, batch, rank, world) for rank in range(world)]
    assert len(alone) == steps_per_epoch(size, batch)
    for step, items in enumerate(alone):
        assert sorted(np.concatenate([s[step] for s in shared])) == sorted(items)
        assert {len(s[step]) for s in shared} == {batch // world}
    assert set(np.concatenate(alone)) == set(range(size))
