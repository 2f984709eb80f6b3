"""Training PelvicSeg: a site's table to a bundle that runs; augmentation and checkpointing change no truth."""

import csv
import json

import numpy as np
import pytest
import torch

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.networks.skipnet import SkipNet
from manabi.pelvis.method import PelvicSeg
from manabi.pelvis.structures import CLASSES, ORGANS
from manabi.structures.ct_input import InputSettings
from manabi.volume import Volume
from Training.pelvis import train
from Training.pelvis_data import reduced
from Training.structure_augment import disturbed, turned
from Training.temperature import best_temperature

QUICK = (
    "training.epochs=2", "training.batch_size=2", "training.device=cpu", "training.val_every=1", "training.lr=0.01",
    "network.filters=4-8", "network.filters_3d=4-8", "network.crop_3d=16x32x32", "network.crop=32",
    "network.items_3d=6", "network.items_per_epoch=12", "network.norm=instance", "recipe.spacing_mm=4x4x4",
    "recipe.parts=3/1/1",
)  # fmt: skip


def case(seed):
    """Four boxes of different HU, 4 mm voxels."""
    rng = np.random.default_rng(seed)
    hu, labels = np.full((24, 40, 40), -100.0, np.float32), np.zeros((24, 40, 40), np.uint8)
    for value in CLASSES.values():
        z, y, x = rng.integers(0, 4, 3) + [5, 4 + 8 * (value - 1), 12]
        box = (slice(z, z + 10), slice(y, y + 7), slice(x, x + 12))
        hu[box], labels[box] = 60.0 * value - 100.0, value
    matrix = np.diag([4.0, 4.0, 4.0, 1.0])
    noisy = hu + rng.normal(0, 5, hu.shape).astype(np.float32)
    return Volume(noisy, matrix, "CT"), Volume(labels, matrix, "SEG")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with (folder / "cases.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["case", "image", "labels"])
        for n in range(5):
            for name, volume in zip(("ct", "organs"), case(n), strict=True):
                write_volume(volume, folder / f"{name}{n}.nii.gz")
            rows.writerow([f"p{n}", f"ct{n}.nii.gz", f"organs{n}.nii.gz"])
    return folder / "cases.csv"


@pytest.mark.parametrize(("kind", "neighbours"), [("volume", 1), ("slice", 1), ("slices", 4)])
def test_a_site_s_table_becomes_a_bundle_that_runs(table, tmp_path, kind, neighbours):
    more = (f"recipe.kind={kind}", f"network.neighbours={neighbours}")
    summary = train(str(table), tmp_path, "pelvis", (*QUICK, *more), cache=tmp_path / "cache")
    facts = json.loads((tmp_path / "bundle" / "configs" / "metadata.json").read_text())["manabi"]
    assert facts["network"]["arguments"]["in_channels"] == neighbours and not facts["simulated"]
    assert facts["pelvis"]["network"]["neighbours"] == (0 if kind == "volume" else neighbours)
    splits = json.loads((tmp_path / "splits.json").read_text())
    assert [len(splits[name]["cases"]) for name in ("training", "validation", "test")] == [3, 1, 1]
    context = Context(device="cpu", seed=0, bundle=str(tmp_path / "bundle"))
    result = PelvicSeg().run({"ct": case(9)[0]}, {}, context)
    assert result.labelmaps["organs"].volume.grid.same_as(case(9)[0].grid)
    assert summary["bundle"] == str(tmp_path / "bundle")


@pytest.mark.parametrize(("kind", "neighbours", "text"), [("slice", 4, "one slice"), ("slices", 1, "several slices")])
def test_kinds_that_do_not_fit_are_refused(table, tmp_path, kind, neighbours, text):
    with pytest.raises(InvalidInputError, match=text):
        train(str(table), tmp_path, "pelvis", (*QUICK, f"recipe.kind={kind}", f"network.neighbours={neighbours}"))


KIDNEYS = [
    {"name": name, "code": ["64033007", "SCT", "Kidney"], "color": [0.9, 0.5, 0.3]}
    for name in ("kidney_left", "kidney_right", "spleen", "aorta", "stone")
]


def test_structures_of_a_site_s_own_are_a_file(table, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps(KIDNEYS))
    more = (f"recipe.structures={tmp_path / 'own.json'}", "network.mirror=false")
    train(str(table), tmp_path / "out", "pelvis", (*QUICK, *more))
    facts = json.loads((tmp_path / "out" / "bundle" / "configs" / "metadata.json").read_text())["manabi"]
    assert [one["name"] for one in facts["pelvis"]["structures"]] == [one["name"] for one in KIDNEYS]
    assert facts["network"]["arguments"]["out_channels"] == 6
    result = PelvicSeg().run({"ct": case(9)[0]}, {}, Context(device="cpu", bundle=str(tmp_path / "out" / "bundle")))
    assert [row[0] for row in result.tables["volumes"].rows] == [one["name"] for one in KIDNEYS]


@pytest.mark.parametrize(
    ("content", "text"), [("no json", "cannot be read"), ("{}", "A structure needs name"),
                          (json.dumps([{**KIDNEYS[0], "sided": True}]), "as two structures")],
)  # fmt: skip
def test_a_file_that_names_no_structures_is_refused(table, tmp_path, content, text):
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(InvalidInputError, match=text):
        train(str(table), tmp_path / "out", "pelvis", (*QUICK, f"recipe.structures={tmp_path / 'own.json'}"))


def test_labels_that_are_none_of_ours_are_refused_by_name():
    image, labels = case(0)
    with pytest.raises(InvalidInputError, match=r"Case p7: its labels hold \[9\]"):
        reduced("p7", "p7", image, labels.like(np.where(labels.array > 0, 9, 0)), InputSettings())
    with pytest.raises(InvalidInputError, match="no label lies where the image is"):
        reduced("p7", "p7", image, labels.like(np.zeros_like(labels.array)), InputSettings())


def test_reduced_labels_keep_volumes_and_say_which_organs_there_are():
    image, labels = case(1)
    found = reduced("a", "a", image, labels, InputSettings((4.0, 4.0, 4.0)))
    np.testing.assert_array_equal(found.labels, labels.array)
    assert found.organs == ORGANS
    coarse = reduced("a", "a", image, labels, InputSettings((8.0, 8.0, 8.0)))
    assert (coarse.labels > 0).sum() * 8 == pytest.approx((found.labels > 0).sum(), rel=0.2)


def test_turning_moves_image_and_labels_alike_and_forgets_what_came_from_beyond():
    labels = np.zeros((1, 3, 40, 40), np.uint8)
    labels[0, :, 8:20, 10:30] = 2
    image = labels.astype(np.float32)
    known = np.ones_like(labels, bool)
    none = np.zeros((0, 1, 40, 40), np.float16)
    image, again, known, _ = turned((image, labels, known, none), np.random.default_rng(3), 30.0, 0.2)
    sharp = np.abs(image - 1.0) > 0.9
    np.testing.assert_array_equal((image > 1.0)[sharp], (again > 0)[sharp])
    assert not np.array_equal(again, labels) and set(np.unique(again)) == {0, 2}
    assert 0.5 < known.mean() < 1.0


def test_disturbing_leaves_a_third_of_the_images_as_they_are():
    image = np.random.default_rng(0).random((1, 2, 16, 16))
    kinds = [np.abs(disturbed(image, np.random.default_rng(n), 0.1, 1.0) - image).max() > 0 for n in range(200)]
    assert 0.5 < np.mean(kinds) < 0.8
    assert disturbed(image, np.random.default_rng(0), 0.0, 0.0) is image


def test_checkpointing_gives_the_same_gradients():
    torch.manual_seed(0)
    network = SkipNet([4, 8], pattern="crossover", stream=2, spatial_dims=3, norm="instance")
    image, found = torch.randn(1, 1, 8, 8, 8), []
    for network.checkpointing in (False, True):
        network.zero_grad()
        network(image).square().sum().backward()
        found.append([p.grad.clone() for p in network.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)


def test_the_temperature_of_an_overconfident_network_is_high():
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 3, 4000))
    said = torch.where(torch.from_numpy(rng.random(4000) < 0.7), labels, (labels + 1) % 3)
    logits = 4.0 * torch.nn.functional.one_hot(said, 3).float().T
    assert best_temperature([logits], [labels]) > 1.5
    assert best_temperature([], []) == 1.0
