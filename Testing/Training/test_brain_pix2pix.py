"""Pix2Pix on the engine: it learns a simple mapping, resumes, and prepares its slices right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from manabi.errors import InvalidInputError
from Training.brain_pix2pix import Pair, Pix2Pix, Pix2PixRecipe, Pix2PixTask
from Training.checkpoint import load_checkpoint
from Training.config import TrainConfig
from Training.engine import fit

SMALL = {"filters": "8-12-16", "judge_filters": "8-12", "context": 1, "crop": 32, "slices_per_case": 8}
CONFIG = TrainConfig(epochs=8, batch_size=4, device="cpu", lr=3e-3, schedule="constant", val_every=8)


def pair(seed, slices=6, size=32):
    """Blobs, and the same blobs turned dark on a bright ground with fine bright rims."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(slices, size, size)), (0.5, 2.5, 2.5))
    source = np.clip(0.5 + smooth / (4 * smooth.std()), 0, 1).astype(np.float32)
    return Pair(source, np.clip(0.9 - 0.8 * source**2, 0, 1).astype(np.float32))


def task(**more):
    recipe = Pix2PixRecipe.of({**SMALL, **more})
    return Pix2PixTask(recipe, [pair(0), pair(1)], [pair(2)], "tiny")


def test_it_learns_a_simple_mapping_better_than_the_identity(tmp_path):
    result = fit(task(), CONFIG, tmp_path, show_progress=False)
    row = result.best_metrics
    assert row["val_l1"] < 0.5 * row["val_l1_identity"]
    assert {"train_judge_loss", "train_generator_l1", "train_generator_fooled"} <= row.keys()
    assert isinstance(result.model, Pix2Pix)


def test_a_broken_run_ends_with_the_same_weights(tmp_path):
    config = TrainConfig.of({**CONFIG.to_dict(), "epochs": 2, "checkpoint_steps": 1})
    fit(task(), config, tmp_path / "whole", show_progress=False)

    class Dies(Pix2PixTask):
        steps = 0

        def phase_step(self, *arguments):
            self.steps += 1
            if self.steps == 8:
                raise KeyboardInterrupt
            return super().phase_step(*arguments)

    whole = task()
    with pytest.raises(KeyboardInterrupt):
        fit(Dies(whole.recipe, [pair(0), pair(1)], [pair(2)], "tiny"), config, tmp_path / "broken", show_progress=False)
    fit(task(), config, tmp_path / "broken", show_progress=False)
    one, other = (load_checkpoint(tmp_path / n / "checkpoints" / "last.pt")["model"] for n in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def gradients(phase):
    torch.manual_seed(0)
    learning = task()
    model = learning.build_model().train()
    batch = learning.train_batch(range(2), [np.random.default_rng(n) for n in range(2)])
    found = learning.phase_step(model, batch, phase)
    wanted = list(learning.phase_parameters(model, phase))
    return found, torch.autograd.grad(found["loss"], wanted, allow_unused=True), model


@pytest.mark.parametrize("phase", ["generator", "judge"])
def test_each_phase_reaches_all_its_own_weights(phase):
    _, found, _ = gradients(phase)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)


def test_the_judges_step_leaves_the_generator_alone():
    learning = task()
    model = learning.build_model()
    batch = learning.train_batch(range(2), [np.random.default_rng(n) for n in range(2)])
    learning.phase_step(model, batch, "judge")["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())


def test_the_generators_loss_is_the_verdict_and_one_hundred_times_l1_on_minus_one_to_one():
    found, _, _ = gradients("generator")
    assert found["loss"].item() == pytest.approx((found["fooled"] + 200 * found["l1"]).item(), rel=1e-5)


def test_an_unsure_judge_loses_what_the_source_says():
    learning = task()
    model = learning.build_model()
    torch.nn.init.zeros_(model.judge.layers[-1].weight)
    batch = learning.train_batch(range(2), [np.random.default_rng(n) for n in range(2)])
    assert learning.phase_step(model, batch, "judge")["loss"].item() == pytest.approx(np.log(2), rel=1e-5)


def test_items_follow_from_index_and_generator_and_hold_the_same_place_of_both_contrasts():
    where = np.linspace(0, 1, 6 * 50 * 40, dtype=np.float32).reshape(6, 50, 40)
    learning = Pix2PixTask(Pix2PixRecipe.of({**SMALL, "context": 3}), [Pair(where, where)], [])
    for n in range(6):
        source, target = learning.train_item(0, np.random.default_rng(n))
        again, _ = learning.train_item(0, np.random.default_rng(n))
        assert source.shape == (3, 32, 32) and torch.equal(source, again)
        assert torch.equal(source[1], target[0])


def test_small_slices_are_padded_and_dark_slices_left_out():
    array = np.zeros((4, 20, 24), np.float32)
    array[2] = 0.7
    learning = Pix2PixTask(Pix2PixRecipe.of(SMALL), [Pair(array, array)], [])
    for n in range(5):
        source, target = learning.train_item(0, np.random.default_rng(n))
        assert source.shape == (1, 32, 32) and float(target.sum()) == pytest.approx(0.7 * 480, rel=1e-5)


def test_without_validation_pairs_the_last_epoch_is_kept():
    learning = Pix2PixTask(Pix2PixRecipe.of(SMALL), [pair(0)], [])
    assert learning.monitor is None and learning.validate(learning.build_model().eval()) == {}


@pytest.mark.parametrize(
    "wrong", [{"context": 2}, {"filters": "8"}, {"judge_filters": "a-b"}, {"l1_weight": -1}, {"crop": 8}]
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Pix2PixRecipe.of({**SMALL, **wrong})


def test_unequal_grids_and_dark_targets_are_refused():
    with pytest.raises(InvalidInputError, match="one grid"):
        Pair(np.zeros((2, 4, 4)), np.zeros((2, 4, 5)))
    with pytest.raises(InvalidInputError, match="nothing to learn"):
        Pix2PixTask(Pix2PixRecipe.of(SMALL), [Pair(np.ones((2, 4, 4)), np.zeros((2, 4, 4)))], [])
