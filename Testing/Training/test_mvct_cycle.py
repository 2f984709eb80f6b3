"""CycleGAN on the engine: terms by weight, the plain preset by hand, both phases, resuming, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_ct import domains, pair
from torch.nn import functional as F

from manabi.errors import CorruptModelError, InvalidInputError
from Training import mvct_losses
from Training.checkpoint import load_checkpoint
from Training.config import TrainConfig
from Training.engine import fit
from Training.mvct_cycle import PRESETS, TERMS, CycleNetworks, CycleRecipe, CycleTask
from Training.mvct_cycle_networks import ImagePool

SMALL = {"filters": "4-6", "blocks": 2, "judge_filters": "4-6", "crop": 32, "items_per_epoch": 4, "pool": 3}
EVERY = {name: 0.5 for name in TERMS} | {"context": 3, "perceptual_network": "encoder"}
OF = {
    "cycle": "difference",
    "autoencoder": "difference",
    "domain": "difference",
    "idempotence": "difference",
    "adversarial": "least_squares",
    "latent_adversarial": "least_squares",
    "latent_size": "latent_size",
    "perceptual": "feature_difference",
    "gradient": "gradient",
    "air": "air",
    "total_variation": "total_variation",
    "slice_variation": "slice_variation",
}


def recipe(preset="ours", **changes):
    return CycleRecipe.preset(preset, **{**SMALL, **changes})


def task(preset="ours", validation=None, **changes):
    return CycleTask(recipe(preset, **changes), domains(2), validation, data_hash="tiny")


def ready(learning, n=1):
    """A fresh model in training, and a batch."""
    torch.manual_seed(0)
    model = learning.build_model().train()
    return model, learning.train_batch(range(n), [np.random.default_rng(i) for i in range(n)])


def only(**weights):
    """These terms alone."""
    return {**dict.fromkeys(TERMS, 0.0), **weights}


def test_every_term_is_a_number_and_the_loss_their_weighted_sum():
    learning = task(**EVERY)
    model, batch = ready(learning, 2)
    found = learning.phase_step(model, batch, "generator")
    assert set(found) == {"loss", *TERMS}
    total = sum(0.5 * found[name] for name in TERMS)
    assert found["loss"].item() == pytest.approx(total.item(), rel=1e-5)
    assert all(value.isfinite() and value > 0 for name, value in found.items() if not name.startswith("air"))


@pytest.mark.parametrize("term", OF)
def test_a_weight_of_zero_computes_nothing(term, monkeypatch):
    """With one weight above zero only its function is called, and no network runs more often than it needs."""
    called = []
    for name in set(OF.values()):
        monkeypatch.setattr(mvct_losses, name, lambda *a, name=name, **k: called.append(name) or a[0].sum() * 0)
    learning = task(**only(**{term: 1.0}), context=3)
    model, batch = ready(learning)
    passes = []
    for name in ("converter", "returner"):
        model.pair.get_submodule(name).first.register_forward_hook(lambda *_: passes.append(1))
    found = learning.phase_step(model, batch, "generator")
    assert set(found) == {"loss", term} and set(called) == {OF[term]}
    extra = {"cycle": 1, "domain": 2, "idempotence": 2, "perceptual": 1}
    assert len(passes) == 2 + extra.get(term, 0)
    judges = {"adversarial": ["y"], "latent_adversarial": ["z"]}
    assert sorted(model.judges) == judges.get(term, [])
    assert learning.phases() == (("generator", "judge") if term in judges else ("generator",))


def test_both_directions_share_their_encoders_and_run_once_more_together():
    learning = task("proposed", idempotence=1.0)
    model, batch = ready(learning)
    sizes: list[int] = []
    model.pair.converter.first.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    learning.phase_step(model, batch, "generator")
    assert sizes == [1, 3, 1]  # G(x); F(y), y and G(x) together; the features of G(x)


def test_the_plain_preset_is_cyclegan_written_by_hand():
    learning = task("plain")
    model, (x, y) = ready(learning, 2)
    found = learning.phase_step(model, (x, y), "generator")
    there, back = model.pair.converter, model.pair.returner
    fooled = F.mse_loss(model.judges["y"](there(x)), torch.ones(2, 1, 7, 7))
    fooled = fooled + F.mse_loss(model.judges["x"](back(y)), torch.ones(2, 1, 7, 7))
    by_hand = fooled + 10 * F.l1_loss(back(there(x)), x) + 10 * F.l1_loss(there(back(y)), y)
    assert found["loss"].item() == pytest.approx(by_hand.item(), rel=1e-4)
    judged = learning.phase_step(model, (x, y), "judge")["loss"]
    by_hand = sum(
        0.5 * (judge(real) - 1).square().mean() + 0.5 * judge(made.detach()).square().mean()
        for judge, real, made in ((model.judges["y"], y, there(x)), (model.judges["x"], x, back(y)))
    )
    assert judged.item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_a_plain_network_has_the_arguments_of_the_source():
    """A residual one could not be compared with it."""
    plain = CycleRecipe.preset("plain")
    assert (plain.residual, plain.output, plain.jitter) == (False, "tanh", 0.0)
    assert set(plain.weights()) == {"cycle", "cycle_back", "adversarial", "adversarial_back"}
    proposed = CycleRecipe.preset("proposed").weights()
    both_ways = ("perceptual", "perceptual_back", "air", "air_back", "autoencoder", "autoencoder_back")
    assert {proposed[name] for name in both_ways} == {1.0}
    assert (proposed["domain"], proposed["cycle"]) == (0.1, 10.0) and "total_variation" not in proposed
    assert set(PRESETS) == {"plain", "proposed", "ours"} and "gradient_back" in CycleRecipe().weights()


@pytest.mark.parametrize("gan", ["lsgan", "wgan-gp"])
@pytest.mark.parametrize("phase", ["generator", "judge"])
def test_each_phase_reaches_all_its_own_weights_and_no_others(phase, gan):
    learning = task(**EVERY, gan=gan, judge_weighting=0.1)
    model, batch = ready(learning, 2)
    learning.phase_step(model, batch, phase)["loss"].backward()
    own = {id(p) for p in learning.phase_parameters(model, phase)}
    assert own and all(p.grad.isfinite().all() for p in model.parameters() if id(p) in own)
    assert all(p.grad is None for p in model.parameters() if id(p) not in own)


def test_the_judges_see_what_the_generators_just_made():
    learning = task("plain", pool=0)
    model, batch = ready(learning)
    learning.phase_step(model, batch, "generator")
    calls = []
    model.pair.converter.register_forward_hook(lambda *_: calls.append(1))
    model.pair.converter.first.register_forward_hook(lambda *_: calls.append(1))
    learning.phase_step(model, batch, "judge")
    assert not calls
    assert model._made == {}


def test_the_pool_shows_new_images_until_it_is_full_and_old_ones_half_of_the_time():
    torch.manual_seed(0)
    pool = ImagePool(4, (1, 2, 2))
    numbered = torch.arange(200.0)[:, None, None, None].expand(-1, 1, 2, 2)
    shown = torch.cat([pool(image[None]) for image in numbered])[:, 0, 0, 0]
    assert shown[:4].tolist() == [0, 1, 2, 3]
    old = (shown[4:] < torch.arange(4, 200)).float().mean()
    assert 0.35 < old < 0.65
    assert int(pool.filled) == 4 and pool.images[:, 0, 0, 0].min() > 100
    assert torch.equal(ImagePool(0, (1, 2, 2))(numbered), numbered)


def test_a_broken_run_ends_with_the_same_weights_and_the_same_pool(tmp_path):
    config = TrainConfig(epochs=2, batch_size=1, device="cpu", lr=1e-3, beta1=0.5, checkpoint_steps=1, val_every=9)
    fit(task(latent_noise=0.1, input_noise=0.05), config, tmp_path / "whole", show_progress=False)

    class Dies(CycleTask):
        steps = 0

        def phase_step(self, *arguments):
            self.steps += 1
            if self.steps == 14:
                raise KeyboardInterrupt
            return super().phase_step(*arguments)

    killed = Dies(recipe(latent_noise=0.1, input_noise=0.05), domains(2), data_hash="tiny")
    with pytest.raises(KeyboardInterrupt):
        fit(killed, config, tmp_path / "broken", show_progress=False)
    fit(task(latent_noise=0.1, input_noise=0.05), config, tmp_path / "broken", show_progress=False)
    one, other = (load_checkpoint(tmp_path / n / "checkpoints" / "last.pt")["model"] for n in ("whole", "broken"))
    assert one["pools.y.images"].any() and int(one["pools.y.filled"]) == 3
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_it_learns_the_conversion_and_keeps_the_anatomy(tmp_path):
    validation = [pair(50), pair(51)]
    changes = {"filters": "8-12", "judge_filters": "8-16", "items_per_epoch": 80, "pool": 10, "select": "mae"}
    learning = task(validation=validation, **changes)
    config = TrainConfig(
        epochs=3, batch_size=2, device="cpu", lr=3e-3, final_lr=2e-4, beta1=0.5, schedule="cosine", val_every=3
    )
    result = fit(learning, config, tmp_path, show_progress=False)
    row = result.best_metrics
    assert row["val_mae"] < 0.75 * row["val_mae_unconverted"]
    first, last = result.history[0], result.history[-1]
    assert last["train_generator_cycle"] < 0.7 * first["train_generator_cycle"]
    edges = [
        np.hypot(*np.gradient(image[0])) for image in (learning_converted(result, validation[0]), validation[0].target)
    ]
    assert np.corrcoef(edges[0].ravel(), edges[1].ravel())[0, 1] > 0.85
    assert isinstance(result.model, CycleNetworks)


def learning_converted(result, case):
    from Training.mvct_checks import converted

    windows = (CycleRecipe().window("source"), CycleRecipe().window("target"))
    return converted(result.model.pair, case.source, 1, windows, torch.device("cpu"))


def test_unpaired_validation_gives_quantiles_and_the_cycle_residual():
    learning = task(validation=domains(1), context=3)
    found = learning.validate(learning.build_model().eval())
    assert set(found) == {"quantiles", "residual"} and all(np.isfinite(v) for v in found.values())
    assert learning.monitor is None and task().validate(learning.build_model().eval()) == {}


def test_items_are_scaled_by_their_own_window_and_augmented():
    def brighter(crop, rng, domain):
        return crop + (100 if domain == "source" else 0)

    plain = task("plain", source_low=-500.0, source_high=500.0)
    brightened = CycleTask(plain.recipe, plain.training, augment=brighter, data_hash="tiny")
    (x, y), (x2, y2) = (t.train_item(0, np.random.default_rng(2)) for t in (plain, brightened))
    assert x.shape == (1, 32, 32) and x.min() == -1 and x.abs().max() <= 1
    assert torch.equal(y, y2)
    inside = (x > -0.9) & (x < 0.7)
    torch.testing.assert_close((x2 - x)[inside], torch.full_like(x[inside], 0.2), rtol=0, atol=1e-3)


def test_vgg_features_need_a_file_that_holds_them(tmp_path):
    state = {}
    for at, shape in ((0, (64, 3, 3, 3)), (2, (64, 64, 3, 3))):
        state[f"features.{at}.weight"] = torch.randn(shape, generator=torch.Generator().manual_seed(at)) * 0.1
        state[f"features.{at}.bias"] = torch.zeros(64)
    torch.save(state, tmp_path / "vgg.pt")
    learning = task("proposed", perceptual_network="vgg16", vgg_weights=str(tmp_path / "vgg.pt"))
    model, batch = ready(learning)
    assert learning.phase_step(model, batch, "generator")["perceptual"] > 0
    assert not any(key.startswith("vgg") for key in model.state_dict())
    assert str(tmp_path) not in str(learning.settings())
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    torch.save(tmp_path, tmp_path / "code.pt")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("VGG16", encoding="utf-8")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "vgg.pt").read_bytes()[:500])
    for wrong in ("other", "code", "list", "text", "cut", "missing"):
        with pytest.raises(CorruptModelError, match="VGG16"):
            task("proposed", perceptual_network="vgg16", vgg_weights=str(tmp_path / f"{wrong}.pt")).build_model()


@pytest.mark.parametrize(
    "wrong",
    [
        {"context": 2},
        {"filters": "8-x"},
        {"cycle": -1},
        {"output": "tanh"},
        {"source_low": 500.0, "source_high": 400.0},
        {"perceptual": 1.0, "perceptual_network": "vgg16"},
        {"colour": 1},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        recipe(**wrong)


def test_an_unknown_preset_is_refused():
    with pytest.raises(InvalidInputError, match="plain, proposed, ours"):
        CycleRecipe.preset("other")
