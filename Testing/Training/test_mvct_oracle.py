"""Supervised conversion in 2.5-D and 3-D: crops of pairs, its terms, resuming, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_ct import pair

from manabi.errors import InvalidInputError
from Training.checkpoint import load_checkpoint
from Training.config import TrainConfig
from Training.engine import fit
from Training.mvct_oracle import MiddleOfVolume, OracleRecipe, OracleTask

SMALL = {"filters": "6-8", "blocks": 2, "crop": 32, "items_per_epoch": 12}


def task(kind=OracleTask, validation=(), **changes):
    return kind(OracleRecipe.of({**SMALL, **changes}), [pair(0), pair(1)], validation, data_hash="tiny")


def batch_of(learning, n=2):
    return learning.train_batch(range(n), [np.random.default_rng(i) for i in range(n)])


@pytest.mark.parametrize(
    "changes, source, target",
    [
        ({"context": 3}, (3, 32, 32), (1, 32, 32)),
        ({"context": 3, "network": "unet"}, (3, 32, 32), (1, 32, 32)),
        ({"context": 5, "spatial_dims": 3}, (1, 5, 32, 32), (1, 5, 32, 32)),
    ],
)
def test_items_fit_the_network_and_the_gradient_reaches_it(changes, source, target):
    torch.manual_seed(0)
    learning = task(**changes)
    x, y = learning.train_item(0, np.random.default_rng(0))
    assert x.shape == source and y.shape == target
    model = learning.build_model()
    found = learning.training_step(model, batch_of(learning))
    found["loss"].backward()
    assert set(found) == {"loss", "l1", "gradient"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_source_and_target_show_the_same_place():
    learning = task(context=3, rotate_deg=20.0)
    x, y = learning.train_item(0, np.random.default_rng(3))
    assert np.corrcoef(x[1].ravel(), y[0].ravel())[0, 1] > 0.9


def test_a_perfect_answer_loses_nothing_and_a_weight_of_zero_computes_nothing():
    class Knows(torch.nn.Module):
        def forward(self, x):
            return self.answer

    learning, model = task(ssim=1.0, gradient=0.0), Knows()
    x, y = batch_of(learning)
    model.answer = y
    found = learning.training_step(model, (x, y))
    assert set(found) == {"loss", "l1", "ssim"} and found["loss"].item() == pytest.approx(0, abs=1e-5)


def test_a_volume_network_is_checked_slice_by_slice():
    seen = MiddleOfVolume(torch.nn.Identity())(torch.arange(5.0)[None, :, None, None].expand(2, 5, 3, 4))
    assert seen.shape == (2, 1, 3, 4) and (seen == 2).all()
    learning = task(validation=[pair(9)], spatial_dims=3, context=3)
    found = learning.validate(learning.build_model().eval())
    assert set(found) == {"mae", "bias", "mae_unconverted"}


def test_it_learns_the_conversion(tmp_path):
    learning = task(validation=[pair(50)], filters="8-16", items_per_epoch=60)
    config = TrainConfig(epochs=5, batch_size=2, device="cpu", lr=4e-3, final_lr=2e-4, schedule="cosine", val_every=5)
    result = fit(learning, config, tmp_path, show_progress=False)
    row = result.best_metrics
    assert row["val_mae"] < 0.5 * row["val_mae_unconverted"]


def test_a_broken_run_ends_with_the_same_weights(tmp_path):
    config = TrainConfig(epochs=1, batch_size=2, device="cpu", checkpoint_steps=1)

    class Dies(OracleTask):
        steps = 0

        def training_step(self, *arguments):
            self.steps += 1
            if self.steps == 4:
                raise KeyboardInterrupt
            return super().training_step(*arguments)

    fit(task(), config, tmp_path / "whole", show_progress=False)
    with pytest.raises(KeyboardInterrupt):
        fit(task(Dies), config, tmp_path / "broken", show_progress=False)
    fit(task(), config, tmp_path / "broken", show_progress=False)
    one, other = (load_checkpoint(tmp_path / n / "checkpoints" / "last.pt")["model"] for n in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(InvalidInputError, match="needs pairs"):
        OracleTask(OracleRecipe(), [])
    with pytest.raises(InvalidInputError, match="at least one"):
        OracleRecipe(l1=0.0, gradient=0.0)
    with pytest.raises(InvalidInputError, match="residual"):
        OracleRecipe(network="unet", residual=False)
