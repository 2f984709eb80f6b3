"""CUT on the engine: terms by weight, patches of its own encoder, both phases, resuming, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_ct import domains, pair
from torch.nn import functional as F

from manabi.errors import InvalidInputError
from Training.checkpoint import load_checkpoint
from Training.config import TrainConfig
from Training.engine import fit
from Training.mvct_cut import CutRecipe, CutTask

SMALL = {
    **{"filters": "4-6", "blocks": 2, "judge_filters": "4-6", "crop": 32, "items_per_epoch": 4},
    **{"patches": 16, "channels": 8},
}


def task(preset="ours", validation=None, **changes):
    return CutTask(CutRecipe.preset(preset, **{**SMALL, **changes}), domains(2), validation, data_hash="tiny")


def ready(learning, n=2):
    torch.manual_seed(0)
    model = learning.build_model().train()
    return model, learning.train_batch(range(n), [np.random.default_rng(i) for i in range(n)])


@pytest.mark.parametrize(
    "preset, expected",
    [
        ("cut", {"nce", "nce_identity", "adversarial"}),
        ("fastcut", {"nce", "adversarial"}),
        ("ours", {"nce", "nce_identity", "adversarial", "gradient", "air"}),
    ],
)
def test_the_loss_is_the_weighted_sum_of_what_the_preset_names(preset, expected):
    learning = task(preset)
    model, batch = ready(learning)
    found = learning.phase_step(model, batch, "generator")
    assert set(found) == {"loss", *expected}
    total = sum(getattr(learning.recipe, name) * found[name] for name in expected)
    assert found["loss"].item() == pytest.approx(total.item(), rel=1e-5)


def test_fastcut_runs_the_encoder_twice_and_cut_on_both_kinds_at_once():
    for preset, expected in (("fastcut", [2, 2]), ("cut", [4, 4])):
        learning, sizes = task(preset), []
        model, batch = ready(learning)
        model.pair.converter.first.register_forward_hook(
            lambda _m, inputs, _o, sizes=sizes: sizes.append(len(inputs[0]))
        )
        learning.phase_step(model, batch, "generator")
        assert sizes == expected


def test_an_untouched_image_is_recognised_better_than_a_shuffled_one():
    learning = task("fastcut", adversarial=0.0)
    model, (x, y) = ready(learning)
    converter = model.pair.converter
    latent, skips = converter.encode(x)
    torch.manual_seed(1)
    own = model._contrast([*skips.levels, latent], x, 2)
    torch.manual_seed(1)
    other = model._contrast([*skips.levels, latent], x.flip(-2), 2)
    assert learning._nce(own, "") < learning._nce(other, "")


@pytest.mark.parametrize("phase", ["generator", "judge"])
def test_each_phase_reaches_all_its_own_weights_and_no_others(phase):
    learning = task()
    model, batch = ready(learning)
    learning.phase_step(model, batch, phase)["loss"].backward()
    own = {id(p) for p in learning.phase_parameters(model, phase)}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if id(p) in own)
    assert all(p.grad is None for p in model.parameters() if id(p) not in own)


def test_the_judges_loss_is_that_of_least_squares():
    learning = task("cut")
    model, (x, y) = ready(learning)
    found = learning.phase_step(model, (x, y), "judge")["loss"]
    made = model.pair.converter(x).detach()
    by_hand = 0.5 * (F.mse_loss(model.judge(y), torch.ones(2, 1, 7, 7)) + model.judge(made).square().mean())
    assert found.item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_without_contrast_or_judge_nothing_of_them_is_computed():
    learning = task("cut", nce=0.0)
    model, batch = ready(learning)
    assert set(learning.phase_step(model, batch, "generator")) == {"loss", "adversarial"}
    quiet = task("cut", adversarial=0.0)
    assert quiet.phases() == ("generator",)
    with pytest.raises(InvalidInputError, match="at least one"):
        task("cut", nce=0.0, adversarial=0.0)
    with pytest.raises(InvalidInputError, match="cut, fastcut, ours"):
        CutRecipe.preset("other")


def test_a_broken_run_ends_with_the_same_weights(tmp_path):
    config = TrainConfig(epochs=2, batch_size=2, device="cpu", lr=1e-3, beta1=0.5, checkpoint_steps=1, val_every=9)

    class Dies(CutTask):
        steps = 0

        def phase_step(self, *arguments):
            self.steps += 1
            if self.steps == 6:
                raise KeyboardInterrupt
            return super().phase_step(*arguments)

    whole = task(pool=3)
    fit(whole, config, tmp_path / "whole", show_progress=False)
    with pytest.raises(KeyboardInterrupt):
        killed = Dies(whole.recipe, domains(2), data_hash="tiny")
        fit(killed, config, tmp_path / "broken", show_progress=False)
    fit(task(pool=3), config, tmp_path / "broken", show_progress=False)
    one, other = (load_checkpoint(tmp_path / n / "checkpoints" / "last.pt")["model"] for n in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_it_learns_to_keep_places_and_to_look_like_the_target(tmp_path):
    changes = {"filters": "8-12", "judge_filters": "8-16", "items_per_epoch": 48, "select": "mae"}
    config = TrainConfig(epochs=3, batch_size=2, device="cpu", lr=2e-3, beta1=0.5, schedule="constant")
    result = fit(task(validation=[pair(50)], **changes), config, tmp_path, show_progress=False)
    first, last = result.history[0], result.history[-1]
    assert last["train_generator_nce"] < 0.9 * first["train_generator_nce"]
    assert result.best_metrics["val_mae"] < 0.95 * result.best_metrics["val_mae_unconverted"]
    assert not result.model.pair.has_return
