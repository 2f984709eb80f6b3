"""The SPECT recipe: what it feeds a network, and the way from a cohort to a bundle that the method runs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from fixtures_spect import FAST, quick, shipped

from manabi import registry
from manabi.cli.outcome import main
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.networks import build
from manabi.phantoms.striatum import StriatumPhantom
from manabi.spect.denoise import context_stack
from manabi.store import BundleStore
from Training.config import TrainConfig, read_sections
from Training.spect import CROP, SPECTRecipe, SPECTTask, train
from Training.spect_data import Slices

TINY = ["epochs=1", "batch_size=4", "filters=4-8", "slices_per_case=2", "device=cpu", "precision=32-true",
        "parts=2/1/2", "name=spect-tiny"]  # fmt: skip


def slices(seed=0, n=12, room=80):
    rng = np.random.default_rng(seed)
    full = rng.random((n, room, room)).astype(np.float32)
    return Slices(full + rng.normal(0, 0.1, full.shape).astype(np.float32), full, n // 2)


def task(recipe=None, cases=2, **slice_options):
    chosen = recipe or SPECTRecipe(filters="4-8", slices_per_case=3)
    training = [slices(seed, **slice_options) for seed in range(cases)]
    return SPECTTask(chosen, training, [slices(9, **slice_options)], "hash")


# --- items ------------------------------------------------------------------------------------------------------------


def test_an_item_is_a_crop_with_its_neighbours_and_its_target():
    chosen = task(SPECTRecipe(filters="4-8", shift_px=0, mirror=False))
    low = (80 - CROP) // 2
    window = np.s_[:, low : low + CROP, low : low + CROP]
    stacks = context_stack(chosen.training[0].short[window], 5)
    for seed in range(5):
        inputs, target = (t.numpy() for t in chosen.train_item(0, np.random.default_rng(seed)))
        assert inputs.shape == (5, CROP, CROP) and target.shape == (1, CROP, CROP)
        middle = next(k for k in range(12) if np.array_equal(stacks[k], inputs))
        np.testing.assert_array_equal(target[0], chosen.training[0].full[window][middle])


def test_mirroring_mirrors_input_and_target_together():
    chosen = task(SPECTRecipe(filters="4-8", shift_px=0))
    low = (80 - CROP) // 2
    full = chosen.training[0].full[:, low : low + CROP, low : low + CROP]
    seen = set()
    for seed in range(12):
        inputs, target = (t.numpy() for t in chosen.train_item(0, np.random.default_rng(seed)))
        mirrored = not any(np.array_equal(target[0], image) for image in full)
        assert any(np.array_equal(target[0][:, ::-1] if mirrored else target[0], image) for image in full)
        assert np.abs(inputs[2] - target[0]).std() < 0.2
        seen.add(mirrored)
    assert seen == {True, False}


def test_shifts_move_input_and_target_together():
    chosen = task(SPECTRecipe(filters="4-8", shift_px=8, mirror=False))
    places = set()
    for seed in range(10):
        inputs, target = (t.numpy() for t in chosen.train_item(1, np.random.default_rng(seed)))
        assert np.abs(inputs[2] - target[0]).std() < 0.2
        places.add(float(target[0, 0, 0]))
    assert len(places) > 5


def test_items_follow_from_index_and_generator_alone():
    chosen = task()
    for index in range(4):
        first, second = (chosen.train_item(index, np.random.default_rng(7)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_most_slices_are_drawn_near_the_hottest_one():
    chosen = task(SPECTRecipe(filters="4-8", shift_px=0, mirror=False), cases=1, n=60)
    low = (80 - CROP) // 2
    full = chosen.training[0].full[:, low : low + CROP, low : low + CROP]
    corners = {float(image[0, 0]): k for k, image in enumerate(full)}
    drawn = [corners[float(chosen.train_item(0, np.random.default_rng(s))[1][0, 0, 0])] for s in range(200)]
    near = np.mean(np.abs(np.array(drawn) - 30) <= 8)
    assert 0.6 < near < 0.9
    assert len(set(drawn)) > 30


def test_sizes_of_an_epoch():
    assert task(SPECTRecipe(filters="4-8", slices_per_case=7), cases=3).train_size() == 21
    paper = task(SPECTRecipe(pipeline="paper", filters="4-8"), cases=3, n=5, room=64)
    assert paper.train_size() == 15
    inputs, target = paper.train_item(7, np.random.default_rng(0))
    np.testing.assert_array_equal(inputs[0], paper.training[1].short[2])
    np.testing.assert_array_equal(target[0], paper.training[1].full[2])


# --- network and loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "inputs", "outputs"),
    [({}, 5, 2), ({"variance": False}, 5, 1), ({"context": 3}, 3, 2), ({"pipeline": "paper"}, 1, 1)],
)
def test_the_network_fits_the_recipe(settings, inputs, outputs):
    recipe = SPECTRecipe(filters="4-8", **settings)
    arguments = recipe.network_arguments()
    assert (arguments["in_channels"], arguments["out_channels"]) == (inputs, outputs)
    network = build(recipe.network, **arguments)
    assert network(torch.zeros(2, inputs, CROP, CROP)).shape == (2, outputs, CROP, CROP)


class Constant(torch.nn.Module):
    """Predicts one image and one log variance everywhere."""

    def __init__(self, image, log_variance=0.0):
        super().__init__()
        self.image = torch.nn.Parameter(torch.tensor(float(image)))
        self.log_variance = torch.nn.Parameter(torch.tensor(float(log_variance)))

    def forward(self, stack):
        return torch.stack([self.image, self.log_variance]).view(1, 2, 1, 1).expand(len(stack), 2, *stack.shape[2:])


def trained_constant(hot_weight):
    """The image that a constant prediction converges to: the weighted mean of the targets."""
    chosen = task(SPECTRecipe(filters="4-8", hot_weight=hot_weight))
    stack = torch.ones(1, 5, 16, 16)
    stack[..., :4] = 5.0
    model = Constant(1.0)
    descent = torch.optim.Adam([model.image], 0.05)
    for _ in range(300):
        descent.zero_grad()
        chosen.training_step(model, (stack, stack[:, :1]))["loss"].backward()
        descent.step()
    return float(model.image.detach())


def test_the_loss_is_least_at_the_mean_and_heeds_hot_counts_more():
    assert trained_constant(0.0) == pytest.approx(2.0, abs=0.02)
    assert 2.5 < trained_constant(2.0) < 5.0


def test_the_uncertainty_learns_without_touching_the_image():
    chosen = task(SPECTRecipe(filters="4-8", hot_weight=0.0))
    stack = torch.zeros(1, 5, 8, 8)
    gradients = []
    for log_variance in (-2.0, 2.0):
        model = Constant(0.0, log_variance)
        target = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        chosen.training_step(model, (stack, target))["loss"].backward()
        gradients.append((float(model.image.grad), float(model.log_variance.grad)))
    assert gradients[0][0] == pytest.approx(gradients[1][0])
    assert gradients[0][1] < 0 < gradients[1][1]


@pytest.mark.parametrize("pipeline", ["ours", "paper"])
def test_a_step_has_a_gradient_and_validation_a_number(pipeline):
    size = {} if pipeline == "ours" else {"n": 5, "room": 64}
    chosen = task(SPECTRecipe(pipeline=pipeline, filters="4-8"), **size)
    torch.manual_seed(0)
    model = chosen.build_model()
    batch = chosen.train_batch([0, 1], [np.random.default_rng(s) for s in (1, 2)])
    chosen.training_step(model, batch)["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    found = chosen.validate(model.eval())
    assert found["loss"] > 0 and np.isfinite(found["psnr_1"])
    assert found["psnr_1"] == pytest.approx(-10 * np.log10(found["loss"]))


def test_what_shapes_the_weights_is_in_the_settings():
    chosen = task()
    assert chosen.settings()["recipe"] == chosen.recipe.to_dict()
    assert chosen.settings()["network"] == chosen.recipe.network_arguments()
    assert chosen.data_hash() == "hash"


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spect", "spect_quick", "spect_paper"])
def test_shipped_configurations_are_valid(name):
    found = read_sections(name, [], {"training": TrainConfig, "recipe": SPECTRecipe})
    build(found["recipe"].network, **found["recipe"].network_arguments())
    assert found["training"].epochs >= 1


def test_the_papers_configuration_is_the_papers():
    """Ishiwata: Adam, 200 epochs, batches of 8, 1e-3 and from epoch 150 on 1e-5, U-Net with [16, 32, 64, 128]."""
    found = read_sections("spect_paper", [], {"training": TrainConfig, "recipe": SPECTRecipe})
    config, recipe = found["training"], found["recipe"]
    assert (config.optimizer, config.epochs, config.batch_size) == ("adam", 200, 8)
    assert (config.lr, config.final_lr, config.drop_at * config.epochs) == (1e-3, 1e-5, 150)
    assert (recipe.pipeline, recipe.network, recipe.filters) == ("paper", "unet", "16-32-64-128")
    assert recipe.parts == "120/37/50"


@pytest.mark.parametrize(
    "setting",
    ["context=99", "context=4", "filters=8-x", "filters=", "pipeline=other", "network=gan", "shift_px=20", "nosuch=1"],
)
def test_bad_settings_are_refused(setting, tmp_path):
    with pytest.raises(InvalidInputError, match=setting.partition("=")[0]):
        train("phantoms:1:3", tmp_path, None, [setting])


# --- from a cohort to a bundle that runs ------------------------------------------------------------------------------


@pytest.fixture
def quick_phantoms(monkeypatch):
    """Phantoms as the cohort draws them, from a camera with few views."""
    sample = StriatumPhantom.sample_parameters
    camera = {**FAST, "views": 40, "iterations": 3}
    monkeypatch.setattr(
        StriatumPhantom, "sample_parameters", lambda self, rng, **choices: sample(self, rng, **{**camera, **choices})
    )


def check_bundle_and_run(summary, output, trained_on, scan, capfd):
    """The bundle says what it is, installs, and denoises a scan from the command line."""
    bundle = BundleStore().verify(output / "bundle")
    assert (bundle.name, bundle.method) == ("spect-tiny", "spect")
    assert trained_on in bundle.trained_on
    assert bundle.metadata["manabi"]["training"]["patients"] == {"training": 2, "validation": 1, "test": 2}
    assert bundle.facts["spect"]["pipeline"] == "ours"
    for score in ("ssim", "ssim_input", "binding_ratio_bias_percent"):
        assert bundle.metrics[score]["ci95"][0] <= bundle.metrics[score]["mean"] <= bundle.metrics[score]["ci95"][1]
    assert all(word in bundle.card for word in ("spect-tiny", "## Limits", "95 % interval"))
    assert summary["metrics"] == bundle.metrics and summary["best_epoch"] in (0, 1)
    splits = json.loads((output / "splits.json").read_text(encoding="utf-8"))
    assert [len(splits[s]["cases"]) for s in ("training", "validation", "test")] == [2, 1, 2]
    BundleStore().install(output / "bundle")
    code = main(["run", "spect", str(scan), "--output", str(output / "result"), "--bundle", "spect-tiny",
                 "--device", "cpu", "--json"])  # fmt: skip
    record = json.loads(capfd.readouterr().out)
    assert (code, record["provenance"]["bundle"]["name"]) == (0, "spect-tiny")
    assert record["measurements"]["counts_after_over_before"] == pytest.approx(1.0, abs=1e-6)
    return bundle


def test_a_simulated_cohort_becomes_a_bundle_that_runs(quick_phantoms, striatum_case, tmp_path, capfd):
    output = tmp_path / "étude 1"
    summary = train("phantoms:4:5", output, "spect_quick", TINY)
    scan = write_volume(striatum_case[0].volumes["spect_5min"], tmp_path / "scan.nii.gz")
    bundle = check_bundle_and_run(summary, output, "simulated DAT-SPECT (phantoms:4:5)", scan, capfd)
    assert bundle.simulated
    weights = (output / "bundle" / "models" / "model.pt").read_bytes()
    again = train("phantoms:4:5", output, "spect_quick", TINY)
    assert again["metrics"] == summary["metrics"]
    assert (output / "bundle" / "models" / "model.pt").read_bytes() == weights


def test_a_sites_own_table_becomes_a_bundle_that_runs(quick_phantoms, striatum_case, tmp_path, capfd):
    phantom = StriatumPhantom()
    folder = tmp_path / "données"
    folder.mkdir()
    rows = []
    for index in range(5):
        case = phantom.render(phantom.sample_parameters(np.random.default_rng(index)))
        for column, name in (("input", "spect_5min"), ("target", "spect_25min")):
            write_volume(case.volumes[name], folder / f"p{index} {column}.nii.gz")
        split = ("training", "training", "validation", "test", "test")[index]
        rows.append((f"p{index}", f"p{index} input.nii.gz", f"p{index} target.nii.gz", split))
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([("case", "input", "target", "split"), *rows])
    output = tmp_path / "run"
    summary = train(str(folder / "cohort.csv"), output, "spect_quick", TINY)
    bundle = check_bundle_and_run(summary, output, "a local cohort", folder / "p4 input.nii.gz", capfd)
    assert not bundle.simulated
    assert str(tmp_path) not in json.dumps(bundle.metadata)


def test_the_papers_recipe_becomes_a_bundle_of_its_pipeline(quick_phantoms, striatum_case, tmp_path):
    settings = [*TINY, "pipeline=paper", "loss=l1_ssim"]
    train("phantoms:4:5", tmp_path / "run", "spect_quick", settings)
    bundle = BundleStore().verify(tmp_path / "run" / "bundle")
    assert bundle.facts["spect"]["pipeline"] == "paper"
    scan = striatum_case[0].volumes["spect_5min"]
    found = registry.method("spect").run(scan, {"pipeline": "paper"}, quick(bundle.folder))
    assert found.volumes["denoised"].shape == (5, 64, 64)


def test_a_cohort_that_is_not_there_is_refused(tmp_path):
    for data, words in ((str(tmp_path / "no.csv"), "No cohort"), ("phantoms:x:2", "phantoms:SEED:COUNT")):
        with pytest.raises(InvalidInputError, match=words):
            train(data, tmp_path / "run", "spect_quick", TINY)


@pytest.mark.parametrize("name", ["spect-default", "spect-paper-unet4"])
def test_the_shipped_bundles_were_made_by_these_recipes(name):
    if not shipped(name):
        pytest.skip(f"{name} is not in the package yet")
    bundle = BundleStore().verify(name)
    training = bundle.metadata["manabi"]["training"]
    recipe = SPECTRecipe.of(training["recipe"])
    assert bundle.network == {"name": recipe.network, "arguments": recipe.network_arguments()}
    assert training["patients"] == {"training": 120, "validation": 37, "test": 50}
