"""The recipe of SliceMarker: what it draws and changes, its loss and validation, and a run from a table to a bundle."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_chests import SETTINGS, TINY, Oracle, chest_rows, numbered, places_mm, write_table

from manabi.bundle import Bundle
from manabi.errors import CancelledError, InvalidInputError
from Training.config import CONFIGS, TrainConfig, read_sections
from Training.slices import SlicesRecipe, SlicesTask, train
from Training.slices_augment import augment
from Training.slices_split import Split

PLAIN = replace(
    TINY, rotate_deg=0.0, shift_mm=0.0, zoom=0.0, shift_hu=0.0, noise_hu=0.0, mirror=False, between_share=0.0,
    end_share=0.0, warp_mm=0.0, texture_hu=0.0,
)  # fmt: skip


def task(recipe=PLAIN, **options):
    case = numbered(**options)
    return SlicesTask(recipe, Split([case], [case], [case], simulated=True))


def generators(n, seed=0):
    return [np.random.default_rng([seed, k]) for k in range(n)]


@pytest.fixture
def unchanged(monkeypatch):
    """Training without its random changes."""
    monkeypatch.setattr("Training.slices.augment", lambda planes, recipe, generator: planes)


# --- items ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_items_are_slices_with_their_neighbours_and_their_distances():
    inputs, distances = task().train_batch(range(40), generators(40))
    offsets = TINY.input().offsets_mm
    assert inputs.shape == (40, len(offsets) + 1, 32, 32) and inputs.dtype == torch.float32
    z = places_mm(inputs)
    torch.testing.assert_close(distances, torch.tensor([180.0, 100.0, 20.0]) - z[:, None], atol=0.02, rtol=0)
    inner = (z > 28.5) & (z < 185.5)
    for channel, offset in enumerate(offsets):
        neighbours = places_mm(inputs, channel)
        torch.testing.assert_close(neighbours[inner], z[inner] + offset, atol=0.02, rtol=0)
        assert float(neighbours.min()) > -0.1 and float(neighbours.max()) < 198.1


@pytest.mark.usefixtures("unchanged")
def test_slices_between_planes_know_their_place():
    inputs, distances = task(replace(PLAIN, between_share=1.0)).train_batch(range(40), generators(40))
    z = places_mm(inputs)
    torch.testing.assert_close(distances[:, 1], 100.0 - z, atol=0.02, rtol=0)
    assert float((z % 2.0).std()) > 0.3


@pytest.mark.usefixtures("unchanged")
def test_ends_of_an_image_repeat_its_last_slice():
    inputs, distances = task(replace(PLAIN, end_share=1.0)).train_batch(range(60), generators(60))
    z = places_mm(inputs)
    offsets = TINY.input().offsets_mm
    reach = torch.stack([places_mm(inputs, channel) - z for channel in range(len(offsets))], 1)
    assert bool((reach.abs() <= torch.tensor(offsets).abs() + 0.1).all())
    cut = (reach[:, -1] < offsets[-1] - 0.1) | (reach[:, 0] > offsets[0] + 0.1)
    assert 0.6 < float(cut.float().mean()) <= 1.0
    torch.testing.assert_close(distances[:, 1], 100.0 - z, atol=0.02, rtol=0)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.1, 0.35), (1.0, 1.0, 1.0)])
def test_the_share_of_near_misses_is_what_was_asked_for(share, low, high):
    chosen = task(replace(PLAIN, near_share=share), planes=300, truth=(500.0, 300.0, 100.0))
    chosen.split.training[0] = replace(chosen.split.training[0], planes=np.zeros((300, 32, 32), np.uint8))
    _, distances = chosen.train_batch(range(200), generators(200))
    near = float((distances.abs().amin(1) <= 21.0).float().mean())
    assert low <= near <= high


def test_items_follow_from_their_generators_alone():
    chosen = task(TINY)
    first, second, other = (chosen.train_batch(range(8), generators(8, seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    inputs, distances = chosen.train_item(0, np.random.default_rng(3))
    assert inputs.shape == (8, 32, 32) and distances.shape == (3,)


# --- random changes ---------------------------------------------------------------------------------------------------


def body(n=64):
    """Items with a bright back and a brighter right half, HU."""
    planes = torch.full((n, 5, 32, 32), -1000.0)
    planes[:, :, 8:24, 8:24] = -400.0
    planes[:, :, 8:14, 8:24] = 0.0
    planes[:, :, 8:24, 17:24] += 150.0
    return planes


def test_nothing_is_turned_upside_down_and_half_is_mirrored():
    out = augment(body(), replace(TINY, shift_mm=0.0, noise_hu=0.0), torch.Generator().manual_seed(0))
    assert bool((out[:, :, :16].mean((1, 2, 3)) > out[:, :, 16:].mean((1, 2, 3))).all())
    right = (out[..., 16:].mean((1, 2, 3)) > out[..., :16].mean((1, 2, 3))).float().mean()
    assert 0.3 < float(right) < 0.7
    still = augment(body(), replace(TINY, shift_mm=0.0, noise_hu=0.0, mirror=False), torch.Generator().manual_seed(0))
    assert bool((still[..., 16:].mean((1, 2, 3)) > still[..., :16].mean((1, 2, 3))).all())


def test_changes_follow_from_the_generator_differ_between_items_and_leave_the_input():
    planes = body(8)
    first, second = (augment(planes, TINY, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(planes, body(8))
    assert not any(torch.allclose(first[0], item) for item in first[1:])
    assert torch.isfinite(first).all()


def test_planes_of_an_item_stay_together():
    out = augment(body(), replace(TINY, noise_hu=0.0), torch.Generator().manual_seed(1))
    torch.testing.assert_close(out[:, :1].expand_as(out), out, atol=1e-2, rtol=0)


def test_a_round_field_of_view_takes_the_corners():
    planes = torch.zeros(200, 1, 32, 32)
    quiet = replace(PLAIN, pixel_mm=6.0)
    out = augment(planes, quiet, torch.Generator().manual_seed(2))
    cut = (out[:, 0, 0, 0] < -900.0).float().mean()
    assert 0.15 < float(cut) < 0.45
    assert bool((out[:, 0, 16, 16] > -200.0).all())


def test_fields_of_view_are_round_or_rectangular():
    planes = torch.zeros(400, 1, 64, 64)
    out = augment(planes, replace(PLAIN, pixel_mm=6.0), torch.Generator().manual_seed(3))[:, 0] < -900.0
    corner, side = out[:, 1, 1], out[:, 1, 32]
    assert bool((corner & ~side).any()), "no field cuts a corner and leaves the middle of an edge"
    whole_row = out[:, 1].all(1) & ~out[:, 32, 8:56].any(1)
    assert bool(whole_row.any()), "no field cuts a whole row and leaves the middle ones"


def test_opacities_appear_beside_the_middle_only():
    planes = torch.full((300, 1, 64, 64), -850.0)
    out = augment(planes, replace(PLAIN, pixel_mm=6.0), torch.Generator().manual_seed(4))[:, 0]
    opaque = out > -300.0
    assert 0.1 < float(opaque.flatten(1).any(1).float().mean()) < 0.4
    assert not bool(opaque[:, :, 29:35].any())


def test_soft_parts_become_patchy_and_air_does_not():
    planes = torch.full((40, 1, 64, 64), -1000.0)
    planes[..., 32:] = 40.0
    patchy = augment(planes, replace(PLAIN, texture_hu=60.0), torch.Generator().manual_seed(6))
    plain = augment(planes, PLAIN, torch.Generator().manual_seed(6))
    soft, air = (slice(None), 0, slice(16, 48), slice(44, 52)), (slice(None), 0, slice(16, 48), slice(2, 12))
    assert float(patchy[soft].std((1, 2)).median()) > 5.0 + float(plain[soft].std((1, 2)).median())
    assert float((patchy[air] - plain[air]).abs().median()) < 1.0


# --- loss and validation ----------------------------------------------------------------------------------------------


def test_the_loss_is_least_at_the_soft_label_and_the_true_distance():
    chosen, distances = task(), torch.tensor([[3.0, -50.0, 0.0]])
    best = torch.tensor([[0.6065, 1e-6, 1 - 1e-6]]).logit()
    exact = torch.cat([best, torch.tanh(distances / 40)], 1)
    least = chosen._losses(exact, distances)
    assert float(least["offset"]) == pytest.approx(0.0, abs=1e-7)
    for change in ([0.7, 0, 0, 0, 0, 0], [0, 3.0, 0, 0, 0, 0], [0, 0, 0, 0, 0.2, 0]):
        worse = chosen._losses(exact + torch.tensor([change]), distances)
        assert float(worse["loss"]) > float(least["loss"])


def test_what_is_unknown_teaches_nothing_and_what_is_absent_only_that_it_is():
    chosen = task()
    out = torch.zeros(1, 6, requires_grad=True)
    chosen._losses(out, torch.tensor([[np.nan, np.inf, 5.0]]))["loss"].backward()
    gradient = out.grad[0]
    assert gradient[0] == 0.0 and gradient[3] == 0.0
    assert gradient[1] > 0.0 and gradient[4] == 0.0
    assert gradient[5] < 0.0


def test_validation_measures_the_best_slices_error_and_misses():
    chosen = task()
    right = chosen.validate(Oracle())
    assert right["score"] == pytest.approx(0.0, abs=0.01) and right["carina_mm"] == pytest.approx(0.0, abs=0.01)
    off = chosen.validate(Oracle(truth=(172.0, 100.0, 20.0)))
    assert off["apex_mm"] == pytest.approx(8.0, abs=0.01)
    assert off["score"] == pytest.approx((8.0 + 10.0) / 3, abs=0.01)
    assert off["loss"] > right["loss"]
    assert chosen.monitor in off


def test_validation_leaves_out_markers_that_are_not_in_the_image():
    metrics = task(truth=(np.inf, 100.0, np.nan)).validate(Oracle(truth=(400.0, 100.0, -300.0)))
    assert set(metrics) == {"score", "loss", "carina_mm"} and np.isfinite(metrics["loss"])


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slices", "slices_quick", "slices_site"])
def test_shipped_configurations_fit_the_recipe(name):
    sections = read_sections(CONFIGS / f"{name}.json", [], {"training": TrainConfig, "recipe": SlicesRecipe})
    arguments = sections["recipe"].network_arguments()
    assert arguments["in_channels"] == 8 and len(arguments["widths"]) >= 4
    assert sections["training"].ema_decay is not None
    assert (sections["recipe"].start == "slices-default") == (name == "slices_site")


def test_widths_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidInputError, match="widths must be channels like 20-40-72; got '20-x'"):
        SlicesRecipe(widths="20-x").network_arguments()


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A table of five chests and the run on it."""
    folder = tmp_path_factory.mktemp("site")
    table = write_table(folder, chest_rows(folder))
    summary = train(str(table), folder / "run", None, SETTINGS, cache=folder / "cache")
    return folder, table, summary


def test_a_table_becomes_a_bundle(trained):
    folder, _, summary = trained
    bundle = Bundle(folder / "run" / "bundle").verify()
    assert summary["bundle"] == str(bundle.folder) and summary["best_epoch"] == 1
    assert bundle.method == "slices" and bundle.facts["slices"]["input"]["size"] == 32
    assert set(bundle.facts["slices"]) >= {"input", "decoder", "diaphragm_offset_mm"}
    assert json.loads((folder / "run" / "splits.json").read_text())["data_sha256"]
    with (folder / "run" / "metrics.csv").open() as file:
        assert {"val_score", "val_loss", "train_marker", "train_offset"} <= set(next(csv.DictReader(file)))


def test_the_same_run_gives_the_same_weights_and_an_interrupted_one_too(trained, tmp_path, monkeypatch):
    folder, table, _ = trained
    weights = torch.load(folder / "run" / "bundle" / "models" / "model.pt", weights_only=True)
    step, calls = SlicesTask.training_step, []

    def interrupted(self, model, batch):
        calls.append(1)
        if len(calls) == 2:
            raise CancelledError("stop")
        return step(self, model, batch)

    settings = [*SETTINGS, "checkpoint_steps=1"]
    monkeypatch.setattr(SlicesTask, "training_step", interrupted)
    with pytest.raises(CancelledError):
        train(str(table), tmp_path / "run", None, settings, cache=folder / "cache")
    train(str(table), tmp_path / "run", None, settings, cache=folder / "cache")
    assert len(calls) == 3
    again = torch.load(tmp_path / "run" / "bundle" / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(weights[key], again[key]) for key in weights)


def test_a_site_begins_from_a_bundle(trained, tmp_path):
    folder, *_ = trained
    bundle = Bundle(folder / "run" / "bundle")
    recipe = replace(TINY, start=str(bundle.folder))
    chosen = SlicesTask(recipe, task().split)
    state = bundle.load_state()
    assert all(torch.equal(value, state[key]) for key, value in chosen.build_model().state_dict().items())
    assert chosen.settings()["start"] == bundle.weights_sha256
    with pytest.raises(InvalidInputError, match="Give the recipe the bundle's widths"):
        SlicesTask(replace(recipe, widths="4-6-9"), task().split)
