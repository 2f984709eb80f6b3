"""The recipe of BrainSeg: losses, patches, settings, and runs from label maps and from a site's table to a bundle."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_heads import SETTINGS, TINY, site, write_maps, write_table

from manabi.brain.structures import CLASSES, STRUCTURES
from manabi.bundle import Bundle
from manabi.errors import CancelledError, InvalidInputError
from Training.brain import (
    N_CLASSES,
    BrainRecipe,
    CoarseTask,
    FineTask,
    coarse_form,
    dices,
    patch_boxes,
    shares_of,
    soft_losses,
    start_of,
    train,
)
from Training.brain_data import open_subjects
from Training.brain_heads import Bending
from Training.brain_synth import Looks
from Training.config import CONFIGS, TrainConfig, read_sections

RECIPE = BrainRecipe(**TINY)
BENDING = Bending(size_mm="48x56x48")
KINDS = {"training": TrainConfig, "recipe": BrainRecipe, "bending": Bending, "looks": Looks}
pytestmark = pytest.mark.filterwarnings("ignore:Mean of empty slice")


def rng(*seed):
    return np.random.default_rng(seed or 0)


@pytest.fixture(scope="module", autouse=True)
def few_images():
    """Calibration and test on as few images as do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("KNOWN_IMAGES", 3), ("VALIDATION_IMAGES", 2), ("TEST_IMAGES", 2)):
            patch.setattr(f"Training.brain_bundle.{name}", count)
        yield


# --- losses and scores ------------------------------------------------------------------------------------------------


def test_losses_vanish_for_the_truth_and_have_their_value_for_no_knowledge():
    classes = torch.from_numpy(rng(1).integers(0, N_CLASSES, (4, 6, 8)))
    truth = shares_of(classes)[None]
    entropy, dice = soft_losses(60.0 * truth, truth)
    assert float(entropy) == pytest.approx(0.0, abs=1e-6) and float(dice) == pytest.approx(0.0, abs=1e-6)
    entropy, dice = soft_losses(torch.zeros_like(truth), truth)
    assert float(entropy) == pytest.approx(math.log(N_CLASSES), rel=1e-5) and 0.7 < float(dice) < 0.9


def test_the_dice_loss_is_the_one_by_hand():
    truth = torch.zeros(1, N_CLASSES, 1, 1, 4)
    truth[0, 0, 0, 0, :2], truth[0, 1, 0, 0, 2:] = 1.0, 1.0
    shares = torch.full((1, N_CLASSES, 1, 1, 4), 0.05)
    shares[0, 1] = 0.75
    _, dice = soft_losses(shares.log(), truth)
    background, cerebrum, others = (0.2 + 1) / (0.2 + 2 + 1), (3 + 1) / (3 + 2 + 1), 1 / (0.2 + 1)
    expected = (0.5 * (1 - background) + (1 - cerebrum) + 4 * (1 - others)) / 5.5
    assert float(dice) == pytest.approx(expected, rel=1e-5)


def test_shares_are_the_part_of_a_block_that_each_class_fills():
    classes = torch.zeros(2, 2, 4, dtype=torch.uint8)
    classes[0, :, :2] = 3
    shares = shares_of(classes, 2)
    assert shares.shape == (N_CLASSES, 1, 1, 2)
    assert shares[3].flatten().tolist() == [0.5, 0.0] and shares[0].flatten().tolist() == [0.5, 1.0]
    assert torch.equal(shares_of(classes).argmax(0), classes.long())


def test_dice_is_not_defined_for_what_is_neither_found_nor_there():
    truth, found = torch.zeros(4, 4, 4, dtype=torch.uint8), torch.zeros(4, 4, 4, dtype=torch.long)
    truth[0], found[0, :2] = 1, 1
    found[3] = 2
    scores = dices(found, truth)
    assert scores[0] == pytest.approx(2 * 8 / 24) and scores[1] == 0.0 and all(math.isnan(s) for s in scores[2:])


def test_patches_lie_within_the_image_and_most_hold_a_structure():
    classes = torch.zeros(20, 40, 18, dtype=torch.uint8)
    classes[2:5, 30:34, 3:6] = CLASSES["brainstem"]
    boxes = [box for seed in range(10) for box in patch_boxes(classes, rng(seed), RECIPE)]
    assert all(classes[box].shape == (16, 16, 16) for box in boxes)
    assert np.mean([bool((classes[box] == 3).any()) for box in boxes]) > 0.8
    assert classes[patch_boxes(torch.zeros_like(classes), rng(1), RECIPE)[0]].shape == (16, 16, 16)


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["brain", "brain_quick", "brain_site"])
def test_shipped_configurations_fit_the_recipe(name):
    sections = read_sections(CONFIGS / f"{name}.json", [], KINDS)
    recipe = sections["recipe"]
    assert recipe.network_arguments()["classes"] == N_CLASSES and sections["training"].ema_decay is not None
    assert (recipe.start == "brain-default") == (name == "brain_site")
    fine = recipe.network_arguments()["fine"]
    assert (fine is None) == (not recipe.fine_epochs) and (name != "brain_quick" or fine is not None)
    assert fine is None or recipe.patch % 2 ** (len(fine["filters"]) - 1) == 0


def test_a_sites_network_is_that_of_the_bundle_it_begins_from():
    shipped, own = (read_sections(CONFIGS / f"{n}.json", [], KINDS)["recipe"] for n in ("brain", "brain_site"))
    assert shipped.network_arguments() == own.network_arguments()


def test_channels_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidInputError, match="coarse_filters must be channels like 16-32-64; got '16-x'"):
        BrainRecipe(coarse_filters="16-x").network_arguments()


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """Four tiny heads: two for training, one for validation, one for the test."""
    folder = tmp_path_factory.mktemp("heads")
    return open_subjects(f"labels:{write_maps(folder / 'maps')}", RECIPE, BENDING, folder / "cache")


def test_each_task_trains_its_own_network_and_leaves_the_other(subjects):
    coarse = CoarseTask(RECIPE, Looks(), subjects, None, BENDING.shape())
    model = coarse.build_model()
    first = coarse.train_batch([0, 1], [rng(0), rng(1)])
    size = first[2].shape[1:]
    assert first[0].shape == (2, 1, *size) and first[1].shape == (2, N_CLASSES, *size)
    assert all(least <= n <= most for least, n, most in zip((20, 24, 20), size, (24, 28, 24), strict=True))
    assert torch.allclose(first[1].sum(1), torch.ones(())) and set(first[2].unique().tolist()) <= {-1.0, 0.0, 1.0}
    fine = FineTask(RECIPE, Looks(), subjects, model, BENDING.shape())
    second = fine.train_batch([0], [rng(0)])
    assert second[0].shape == (1, 2, 1, 16, 16, 16) and second[1].shape == (1, 2, N_CLASSES, 16, 16, 16)
    for task, batch, own in ((coarse, first, "coarse."), (fine, second, "fine.")):
        model.zero_grad()
        task.training_step(model, batch)["loss"].backward()
        moved = {name for name, p in model.named_parameters() if p.grad is not None and float(p.grad.abs().sum())}
        assert moved and all(name.startswith(own) for name in moved)
        assert {id(p) for p in task.phase_parameters(model, "all")} >= {
            id(p) for name, p in model.named_parameters() if name in moved
        }


def test_items_follow_from_their_generator(subjects):
    task = CoarseTask(RECIPE, Looks(), subjects, None, BENDING.shape())
    first, again, other = (task.train_item(0, rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)) and not torch.equal(first[0], other[0])


def test_a_network_that_knows_the_answer_scores_one(subjects):
    task = CoarseTask(RECIPE, Looks(), subjects, None, BENDING.shape())
    answers = [coarse_form(s.example(rng(99, n), Looks(), 2)) for n, s in enumerate(subjects.validation * 4)]

    class Oracle(torch.nn.Module):
        """Tells the truth of the image it is shown."""

        def forward(self, x, stage="both"):
            """``(1, 1, k, j, i)`` to the classes' logits and the side's."""
            _, shares, sides = next(a for a in answers if a[0].shape == x.shape[1:] and torch.equal(a[0], x[0]))
            return torch.cat([10 * shares, 2 * sides[None] - 1])[None]

    metrics = task.validate(Oracle())
    assert metrics["dice"] == metrics["side"] == metrics["dice_cerebrum"] == 1.0
    assert task.monitor in metrics and "dice_vessels" not in metrics


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on four label maps."""
    folder = tmp_path_factory.mktemp("labels")
    data = f"labels:{write_maps(folder / 'maps')}"
    return folder, data, train(data, folder / "run", None, SETTINGS, cache=folder / "cache")


def weights(folder):
    return Bundle(folder / "run" / "bundle").load_state()


def test_label_maps_become_a_bundle(trained):
    folder, _, summary = trained
    bundle = Bundle(folder / "run" / "bundle").verify()
    assert summary["bundle"] == str(bundle.folder) and bundle.method == "brain" and bundle.facts["simulated"]
    assert set(bundle.facts["brain"]) >= {"temperature", "features"}
    assert {"cerebrum_dice", "brainstem_dice"} <= set(summary["metrics"])
    splits = json.loads((folder / "run" / "splits.json").read_text())
    assert [len(splits[name]["patients"]) for name in ("training", "validation", "test")] == [2, 1, 1]
    for stage, logged in (("coarse", "train_side"), ("fine", "val_dice_before")):
        with (folder / "run" / stage / "metrics.csv").open() as file:
            assert {"val_dice", "train_dice", logged} <= set(next(csv.DictReader(file)))
    logits = bundle.build_network()(torch.rand(1, 1, 24, 24, 24))
    assert logits.shape == (1, len(STRUCTURES) + 1, 24, 24, 24) and torch.isfinite(logits).all()


@pytest.mark.parametrize("stage", [CoarseTask, FineTask])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_weights(trained, tmp_path, monkeypatch, stage):
    folder, data, _ = trained
    step, calls = stage.training_step, []

    def interrupted(self, model, batch):
        calls.append(1)
        if len(calls) == 2:
            raise CancelledError("stop")
        return step(self, model, batch)

    settings = [*SETTINGS, "checkpoint_steps=1"]
    monkeypatch.setattr(stage, "training_step", interrupted)
    with pytest.raises(CancelledError):
        train(data, tmp_path / "run", None, settings, cache=folder / "cache")
    train(data, tmp_path / "run", None, settings, cache=folder / "cache")
    assert len(calls) == 1 + 2
    whole, again = weights(folder), weights(tmp_path)
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_table_becomes_a_bundle_that_begins_from_another(trained, tmp_path):
    folder, *_ = trained
    start = folder / "run" / "bundle"
    recipe = replace(RECIPE, start=str(start))
    state, model = Bundle(start).load_state(), start_of(recipe).state_dict()
    assert all(torch.equal(value.float(), state[key].float()) for key, value in model.items())
    with pytest.raises(InvalidInputError, match="Give the recipe the bundle's filters"):
        start_of(replace(recipe, coarse_filters="4-6-9"))
    table = write_table(tmp_path, site(tmp_path))
    summary = train(str(table), tmp_path / "run", None, [*SETTINGS, f"start={start}"], cache=tmp_path / "cache")
    bundle = Bundle(tmp_path / "run" / "bundle").verify()
    assert not bundle.facts["simulated"] and "4 images of 4 patients" in bundle.facts["trained_on"]
    assert {"cerebrum_dice", "vessels_dice"} <= set(summary["metrics"])


def test_without_a_fine_network_only_the_coarse_one_is_trained(trained, tmp_path):
    folder, data, _ = trained
    train(data, tmp_path / "run", None, [*SETTINGS, "fine_epochs=0"], cache=folder / "cache")
    assert not (tmp_path / "run" / "fine").exists()
    assert Bundle(tmp_path / "run" / "bundle").verify().method == "brain"
