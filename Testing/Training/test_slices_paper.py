"""The source's extractor: how a CT becomes 8-bit slices, what it learns from, and its loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manabi.errors import InvalidInputError
from manabi.networks import classifiers
from manabi.volume import Volume
from Training.config import TrainConfig
from Training.engine import fit
from Training.slices_paper import (
    PaperCase,
    PaperRecipe,
    PaperTask,
    normalised,
    paper_case,
    predict,
    true_slice,
)

LEVELS = {"apex": 36.0, "carina": 20.0, "diaphragm": -300.0}
STILL = {"rotate_deg": 0.0, "shift": 0.0, "zoom": 0.0, "shift_hu": 0.0}


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch):
    """A network of a few weights under a name of its own."""

    def make(name, inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, outputs),
        )  # fmt: skip

    monkeypatch.setitem(classifiers.CLASSIFIERS, "tiny", make)


OUTSIDE = -300.0


def case(n=12, size=16, truth=5, seed=0, read=None, off_mm=0.0):
    """Noise, with the true slice bright; the level lies ``off_mm`` above the slice's middle."""
    images = np.random.default_rng(seed).integers(0, 60, (n, size, size)).astype(np.uint8)
    if truth is not None:
        images[truth] += 150
    carina = OUTSIDE if truth is None else truth * 4.0 + off_mm
    levels = {"apex": OUTSIDE, "carina": carina, "diaphragm": 0.0}
    return PaperCase(f"case{seed}", images, np.arange(n) * 4.0, levels, read or {})


def task(cases=3, **settings):
    recipe = PaperRecipe(network="tiny", size=16, **settings)
    return PaperTask(recipe, [case(seed=n, truth=4 + n) for n in range(cases)], [case(seed=9)], "hash")


def ct(n=20, spacing=2.0, hu=-550.0):
    """A CT as scanners store it: rows to the back, columns to the left, slices to the head; front right is bright."""
    array = np.full((n, 24, 32), hu, np.int16)
    array[:, :12, :16] = 100
    matrix = np.diag([-1.5, -1.5, spacing, 1.0])
    return Volume(array, matrix, modality="CT", units="HU")


# --- 8-bit slices -----------------------------------------------------------------------------------------------------


def test_thin_slices_are_averaged_to_4_mm_and_the_true_slices_found():
    made = paper_case("x", ct(), LEVELS, PaperRecipe(size=16))
    assert made.images.shape == (10, 16, 16) and made.images.dtype == np.uint8
    np.testing.assert_allclose(np.diff(made.z_mm), 4.0)
    assert made.truth == {"apex": 9, "carina": 5, "diaphragm": None}
    assert made.levels_mm == LEVELS


def test_slices_that_lie_4_mm_apart_are_kept_as_they_are():
    made = paper_case("x", ct(spacing=4.0), LEVELS, PaperRecipe(size=16))
    np.testing.assert_allclose(made.z_mm, np.arange(20) * 4.0)


def test_the_window_maps_its_level_to_the_middle_and_clips():
    made = paper_case("x", ct(), LEVELS, PaperRecipe(size=16))
    assert made.images[3, 3, 3] in (127, 128)
    assert made.images.max() == 255
    assert paper_case("x", ct(hu=-1000), LEVELS, PaperRecipe(size=16)).images[3, 3, 3] == 0


def test_images_run_from_the_back_and_from_the_left_whatever_way_the_ct_runs():
    upright = paper_case("x", ct(), LEVELS, PaperRecipe(size=16)).images
    assert upright[2, 10, 13] == 255 and upright[2, 10, 2] < 200 and upright[2, 3, 13] < 200
    volume = ct()
    shown = Volume(volume.array[::-1, ::-1], volume.ijk_to_ras @ flip(volume.shape), modality="CT", units="HU")
    np.testing.assert_array_equal(paper_case("x", shown, LEVELS, PaperRecipe(size=16)).images, upright)


def flip(shape):
    matrix = np.diag([1.0, -1.0, -1.0, 1.0])
    matrix[1:3, 3] = shape[1] - 1, shape[0] - 1
    return matrix


def test_the_whole_field_of_view_is_in_the_image_and_what_is_beyond_is_black():
    image = paper_case("x", ct(hu=200), LEVELS, PaperRecipe(size=16)).images[0]
    assert image[8].min() == 255
    assert image[0].max() == 0 and image[-1].max() == 0


def test_a_level_half_a_slice_beyond_the_end_is_still_in_the_image():
    z = np.arange(5) * 4.0
    assert [true_slice(z, level) for level in (-2.1, -1.9, 7.0, 17.9, 18.1)] == [None, 0, 2, 4, None]


# --- items ------------------------------------------------------------------------------------------------------------


def test_an_epoch_holds_every_negative_once_and_as_many_positives():
    chosen = task(**STILL)
    size = chosen.train_size()
    assert size == 2 * 3 * 11
    items = [chosen.train_item(n, np.random.default_rng(n)) for n in range(size)]
    labels = np.array([float(item[3]) for item in items])
    assert labels.sum() == size / 2
    assert all((item[0].min() >= 150) == bool(label) for item, label in zip(items, labels, strict=True))
    negatives = {item[0][0].numpy().tobytes() for item, label in zip(items, labels, strict=True) if not label}
    assert len(negatives) == 33


def test_a_budget_of_items_is_half_positive():
    chosen = task(items_per_epoch=10)
    labels = [float(chosen.train_item(n, np.random.default_rng(n))[3]) for n in range(chosen.train_size())]
    assert labels == [1.0] * 5 + [0.0] * 5


def test_a_case_without_the_marker_gives_negatives_only():
    recipe = PaperRecipe(network="tiny", size=16)
    mixed = PaperTask(recipe, [case(), case(seed=1, truth=None)], [], "hash")
    assert len(mixed.positives) == 1 and len(mixed.negatives) == 11 + 12
    with pytest.raises(InvalidInputError, match="shows the apex"):
        PaperTask(PaperRecipe(network="tiny", size=16, marker="apex"), [case()], [], "hash")


def test_the_slice_is_repeated_or_goes_with_its_neighbours():
    one = case()
    np.testing.assert_array_equal(one.channels(5, False), one.images[[5, 5, 5]])
    np.testing.assert_array_equal(one.channels(5, True), one.images[4:7])
    np.testing.assert_array_equal(one.channels(0, True), one.images[[0, 0, 1]])


def test_items_follow_from_index_and_generator_alone():
    chosen = task()
    first, second = (chosen.train_item(3, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[1], chosen.train_item(3, np.random.default_rng(6))[1])


class Seen(nn.Module):
    """Keeps what it is shown; its logit is 0."""

    def forward(self, x):
        self.shown = x.detach()
        return x.mean(dim=(1, 2, 3), keepdim=False)[:, None] * 0


def shown(**settings):
    chosen = task(**{**STILL, **settings})
    model = Seen()
    batch = chosen.train_batch(range(4), [np.random.default_rng(n) for n in range(4)])
    chosen.training_step(model, batch)
    return batch, model.shown


def test_without_augmentation_the_network_sees_the_slice_itself():
    batch, seen = shown()
    torch.testing.assert_close(seen, normalised(batch[0].float() / 255), atol=1e-5, rtol=0)


@pytest.mark.parametrize("setting", [{"rotate_deg": 10.0}, {"shift": 0.1}, {"zoom": 0.1}, {"shift_hu": 30.0}])
def test_each_augmentation_changes_what_the_network_sees_a_little(setting):
    batch, seen = shown(**setting)
    change = (seen - normalised(batch[0].float() / 255)).abs().mean()
    assert 1e-3 < float(change) < 1.0


def test_grey_values_shift_by_at_most_the_window_share():
    chosen = task(**{**STILL, "shift_hu": 35.0})
    greys = [float(chosen.train_item(n, np.random.default_rng(n))[2]) for n in range(50)]
    assert 0.03 < max(np.abs(greys)) <= 35 / 700


# --- loss and training ------------------------------------------------------------------------------------------------


def test_a_false_positive_costs_twice_a_false_negative():
    chosen = task()
    wrong = torch.tensor([2.0, -2.0])
    gradients = []
    for label in (torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])):
        logit = torch.stack([wrong[0] if label[0] == 0 else wrong[1], torch.tensor(0.0)]).requires_grad_()
        mixed = torch.stack([label[0], 1 - label[0]])
        chosen._loss(logit, mixed).backward()
        gradients.append(float(logit.grad[0].abs()))
    assert gradients[0] / gradients[1] == pytest.approx(2.0)


def test_training_finds_a_bright_slice(tmp_path):
    chosen = task(norm_momentum=0.5)
    config = TrainConfig(epochs=4, batch_size=22, lr=0.05, optimizer="adamw", device="cpu", schedule="constant")
    result = fit(chosen, config, tmp_path, show_progress=False)
    assert result.best_metrics["val_within_1"] == 1.0
    assert result.best_metrics["val_error_mm"] == 0.0
    probability = predict(result.model, case(seed=7, truth=8), False)
    assert probability.shape == (12,) and int(probability.argmax()) == 8
    assert any(m.momentum == 0.5 for m in result.model.modules() if isinstance(m, nn.BatchNorm2d))


class Brightest(nn.Module):
    """Says that bright slices are the marker's."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * 20 + self.weight


def test_validation_is_by_the_marks_that_are_learned():
    """A reader marked two slices below the bright one: who answers the bright one is 8 mm off."""
    recipe = PaperRecipe(network="tiny", size=16)
    truth = PaperTask(recipe, [case()], [case(seed=9, off_mm=1.5)], "hash").validate(Brightest())
    assert truth["error_mm"] == pytest.approx(1.5)
    read = PaperTask(recipe, [case()], [case(seed=9, read={"carina": 3}, off_mm=1.5)], "hash").validate(Brightest())
    assert read["error_mm"] == pytest.approx(8.0)
    assert (truth["within_1"], read["within_1"]) == (1.0, 0.0)


def test_without_validation_cases_the_last_epoch_is_kept(tmp_path):
    chosen = PaperTask(PaperRecipe(network="tiny", size=16), [case(seed=n) for n in range(3)], [], "hash")
    config = TrainConfig(epochs=3, batch_size=22, lr=0.05, device="cpu", val_every=2)
    result = fit(chosen, config, tmp_path, show_progress=False)
    assert result.best_epoch == 3 and not any(key.startswith("val_") for key in result.best_metrics)
    assert task().monitor == "f1"


def test_the_source_s_numbers_are_the_defaults_and_names_are_checked():
    recipe = PaperRecipe()
    assert (recipe.slice_mm, recipe.neighbours, recipe.width_hu) == (4.0, False, 700.0)
    for setting in ({"network": "nosuch"}, {"marker": "heart"}):
        with pytest.raises(InvalidInputError, match=next(iter(setting))):
            PaperRecipe(**setting)
    assert task().settings()["recipe"]["network"] == "tiny"
