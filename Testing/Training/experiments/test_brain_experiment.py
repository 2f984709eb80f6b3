"""The BrainSeg experiment: its parts on heads made by hand, and the whole of it in small."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from manabi import registry
from manabi.brain.structures import CLASSES, LABELS, segments
from manabi.errors import InvalidInputError
from manabi.phantoms.base import Case, Phantom, case_rng
from manabi.result import Labelmap
from manabi.volume import Volume
from Training.brain_contrast import ContrastRecipe
from Training.config import TrainConfig
from Training.experiments import brain, brain_angio, brain_cases, brain_losses, brain_rebuild, brain_skips
from Training.experiments.brain_bench import EVERY, LOSSES, READINGS, Bench, Settings, listed, numbers, target
from Training.experiments.brain_cases import BrainCase, places, split_heads
from Training.structure_task import Labelled, StructureRecipe, StructureTask, loss_of, predict

SHAPE = (10, 24, 20)


def structures(rng):
    """Boxes in the place of structures, moved a little, as CLASSES."""
    classes = np.zeros(SHAPE, np.uint8)
    j, i = rng.integers(0, 3, 2)
    classes[1:9, 2 + j : 16 + j, 2 + i : 16 + i] = CLASSES["cerebrum"]
    classes[1:5, 17 + j : 21 + j, 4 + i : 12 + i] = CLASSES["cerebellum"]
    classes[1:6, 9 + j : 12 + j, 8 + i : 11 + i] = CLASSES["brainstem"]
    classes[5:8, 6 + j : 9 + j, 6 + i : 12 + i] = CLASSES["ventricles"]
    classes[2:8, 4 + j : 6 + j, 4 + i : 6 + i] = CLASSES["vessels"]
    return classes


def head(number=0):
    """A case whose grey values tell its structures apart."""
    rng = np.random.default_rng(number)
    classes = structures(rng)
    bright = np.array([0.0, 0.2, 0.35, 0.5, 0.9, 0.65])[classes] + rng.normal(0, 0.02, SHAPE)
    tof = np.where(classes == CLASSES["vessels"], 0.95, 0.3) + rng.normal(0, 0.02, SHAPE)
    place = np.full(SHAPE, 2, np.uint8)
    place[5:] = 1
    images = {"heavy_t2": np.clip(bright, 0, 1).astype(np.float32), "tof": np.clip(tof, 0, 1).astype(np.float32)}
    return BrainCase(f"head{number:03d}", number, images, classes, place, np.array([2.0, 2.0, 3.0]))


@pytest.fixture
def bench(tmp_path):
    """Three heads to train and two to test, and settings for a training of a moment."""
    recipe = StructureRecipe(filters="4-8", stream=4, crop=16, items_per_epoch=8, filters_3d="4-8", crop_3d="4x16x16",
                         items_3d=2)  # fmt: skip
    training = TrainConfig(epochs=1, batch_size=4, device="cpu", val_every=1)
    gan = ContrastRecipe(filters="4-8", judge_filters="4-8", crop=16, slices_per_case=2)
    heads = [head(n) for n in range(5)]
    return Bench(Settings(seeds=1), recipe, training, gan, training, heads[:3], heads[3:], "x", tmp_path / "arms")


# --- heads and settings -----------------------------------------------------------------------------------------------


def test_heads_are_split_without_overlap_and_the_same_every_time():
    training, test = split_heads(10, "7/3", 4)
    assert sorted(training + test) == list(range(10)) and (len(training), len(test)) == (7, 3)
    assert split_heads(10, "7/3", 4) == (training, test) != split_heads(10, "7/3", 5)
    for parts in ("7/2", "9/1", "7-3"):
        with pytest.raises(InvalidInputError, match="split"):
            split_heads(10, parts, 0)


def test_settings_name_what_is_known():
    assert listed("all", LOSSES) == list(LOSSES) and len(LOSSES) == 12
    assert numbers("1,0.2") == [1.0, 0.2]
    with pytest.raises(InvalidInputError, match="Expected names of"):
        listed("dice-unheard", LOSSES)
    for text in ("0,1", "2", "half"):
        with pytest.raises(InvalidInputError, match=r"[Ss]hares"):
            numbers(text)
    assert [loss_of(name).weighting for name in READINGS] == ["dtm", "dtm", "focal"]
    assert loss_of("dice-dtm:decay").dtm_reading == "decay"


def test_sides_are_dropped_from_labels():
    values = np.array([[0, *(label.value for label in LABELS)]])
    expected = [0, *(CLASSES[label.structure] for label in LABELS)]
    assert brain_cases.classes_of(values)[0].tolist() == expected


def test_what_lies_beneath_vessels_is_known_from_the_phantom_s_tissues():
    phantom = registry.phantom("brain")
    drawn = phantom.sample_parameters(case_rng(3, 0), contrasts="heavy_t2", voxel_mm=5.0, slice_mm=8.0)
    found = places(json.loads(phantom.to_json(drawn)))
    shares = np.bincount(found.ravel(), minlength=3) / found.size
    assert found.dtype == np.uint8 and (shares > 0.005).all() and shares[2] > shares[1]
    middle = found[found.shape[0] // 2]
    assert not middle[0].any() and not middle[-1].any()


# --- tasks ------------------------------------------------------------------------------------------------------------


def labelled_head(slices=tuple(range(SHAPE[0]))):
    case = head()
    return Labelled(case.images["heavy_t2"][None], target(case, EVERY), slices)


def test_crops_hold_only_labelled_slices_in_two_dimensions():
    recipe = StructureRecipe(filters="4-8", crop=16)
    one = labelled_head((4,))
    task = StructureTask(recipe, [one], loss_of("cross_entropy-none"), 6, "x")
    image, labels, known, distances = task.train_item(0, np.random.default_rng(0))
    assert image.shape == (1, 16, 16) and labels.shape == known.shape == (16, 16) and distances.numel() == 0
    assert bool(known.all())
    assert set(np.unique(labels)) <= set(np.unique(one.labels[4]))


def test_crops_lie_on_small_structures_as_often_as_is_asked():
    heads = [labelled_head()]
    held = {}
    for centred in (0.0, 1.0):
        recipe = StructureRecipe(filters="4-8", crop=16, centred=centred)
        task = StructureTask(recipe, heads, loss_of("dice-none"), 6, "x")
        items = [task.train_item(0, np.random.default_rng(seed))[1] for seed in range(40)]
        held[centred] = np.mean([bool((labels > 0).any()) for labels in items])
    assert held[1.0] == 1.0 > held[0.0]


def test_blocks_mark_unlabelled_slices_as_unknown():
    recipe = StructureRecipe(filters="4-8", filters_3d="4-8", crop_3d="6x16x16")
    task = StructureTask(recipe, [labelled_head((2, 5))], loss_of("cross_entropy-median"), 6, "x", dims=3)
    for seed in range(5):
        image, _, known, _ = task.train_item(0, np.random.default_rng(seed))
        per_slice = known.flatten(1).all(1)
        assert image.shape == (1, 6, 16, 16) and 1 <= int(per_slice.sum()) <= 2
        assert int(known.flatten(1).any(1).sum()) == int(per_slice.sum())


def test_what_unlabelled_slices_hold_changes_no_loss():
    recipe = StructureRecipe(filters="4-8", filters_3d="4-8", crop_3d="10x16x16", gamma=0.0)
    good = labelled_head((2, 5))
    wrong = good.labels.copy()
    wrong[[0, 1, 3, 4, *range(6, 10)]] = 5
    losses = []
    for labels in (good.labels, wrong):
        task = StructureTask(recipe, [Labelled(good.image, labels, good.slices)], loss_of("dice-none"), 6, "x", dims=3)
        torch.manual_seed(0)
        model = task.build_model()
        batch = task.train_batch([0], [np.random.default_rng(1)])
        losses.append(task.training_step(model, batch)["loss"].item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_distances_are_cropped_with_the_labels():
    recipe = StructureRecipe(filters="4-8", crop=16, mirror=True)
    task = StructureTask(recipe, [labelled_head((6,))], loss_of("dice-dtm"), 6, "x")
    _, labels, _, distances = task.train_item(0, np.random.default_rng(3))
    assert distances.shape == (6, 16, 16)
    beside = distances[1].float().numpy()[(labels.numpy() == CLASSES["cerebrum"])]
    edge = np.pad(labels.numpy() == 1, 1)
    touching = ~(edge[:-2, 1:-1] & edge[2:, 1:-1] & edge[1:-1, :-2] & edge[1:-1, 2:]) & (labels.numpy() == 1)
    inner = touching[1:-1, 1:-1]
    assert beside.min() >= 1 and distances[1].float().numpy()[1:-1, 1:-1][inner].max() == 1


def test_nothing_labelled_is_refused():
    with pytest.raises(InvalidInputError, match="nothing to learn"):
        StructureTask(StructureRecipe(), [labelled_head(())], loss_of("dice-none"), 6, "x")


def test_prediction_covers_every_slice_in_both_dimensions():
    recipe = StructureRecipe(filters="4-8", filters_3d="4-8")
    for dims in (2, 3):
        task = StructureTask(recipe, [labelled_head()], loss_of("dice-none"), 6, "x", dims=dims)
        found = predict(task.build_model(), head().images["heavy_t2"][None], "cpu", dims)
        assert found.shape == SHAPE and found.dtype == np.uint8


# --- labels -----------------------------------------------------------------------------------------------------------


def test_kept_slices_are_no_neighbours_and_the_same_for_every_arm():
    kept = brain_skips.kept_slices(head(), 0.33, 0)
    assert len(kept) == round(0.33 * 8) and min(np.diff(kept)) > 1
    assert kept == brain_skips.kept_slices(head(), 0.33, 0)
    assert brain_skips.kept_slices(head(), 1.0, 0) == tuple(range(1, 9))


def test_faults_do_not_depend_on_how_many_slices_are_kept(bench):
    some, every = (brain_rebuild.painted(bench, head(), "mixed", share, 0) for share in (0.33, 1.0))
    clean = brain_rebuild.painted(bench, head(), "none", 1.0, 0)
    assert (some.labels == every.labels).all() and (every.labels != target(head(), EVERY)).any()
    assert (clean.labels == target(head(), EVERY)).all()
    empty = [k for k in range(SHAPE[0]) if k not in some.slices]
    assert not some.given[empty].any() and some.given.any()


def test_dice_of_labels_is_one_for_themselves_and_nan_where_there_is_nothing():
    truth = target(head(), EVERY)
    assert {row["dice"] for row in brain_rebuild.dice_of(truth, truth).values()} == {1.0}
    without = np.where(truth == 5, 0, truth)
    assert brain_rebuild.dice_of(truth, without)["vessels"]["dice"] == 0.0
    assert np.isnan(brain_rebuild.dice_of(without, without)["vessels"]["dice"])


# --- contrast ---------------------------------------------------------------------------------------------------------


def test_pix2pix_and_the_vessels_have_heads_of_their_own(bench):
    paired, heads = brain_angio.halves(bench)
    assert {case.name for case in paired}.isdisjoint(case.name for case in heads)
    assert len(paired) + len(heads) == len(bench.train) and min(len(paired), len(heads)) >= 1


def test_controls_hold_no_knowledge_and_the_real_angiogram_does():
    case = head()
    made = {case.name: np.zeros(SHAPE, np.float32)}
    given = {name: brain_angio.channels(case, name, made) for name in brain_angio.INPUTS}
    assert given[brain_angio.ALONE].shape == (1, *SHAPE)
    assert (given[brain_angio.COPY][0] == given[brain_angio.COPY][1]).all()
    assert (given[brain_angio.NOISE] == brain_angio.channels(case, brain_angio.NOISE, made)).all()
    vessel = case.classes == CLASSES["vessels"]
    noise = brain_angio.area(given[brain_angio.NOISE][1], vessel, np.ones(SHAPE, bool))
    assert noise == pytest.approx(0.5, abs=0.15)
    assert brain_angio.area(given[brain_angio.REAL][1], vessel, np.ones(SHAPE, bool)) == 1.0


def test_quality_is_told_apart_by_place():
    case = head()
    made = np.where(case.place == 1, case.images["tof"], 0.3).astype(np.float32)
    level = brain_angio.level_of([case])
    row = brain_angio.quality_of(case, made, level)
    assert row["synthetic"]["seen_cistern"] == 1.0 and row["synthetic"]["seen_parenchyma"] == 0.0
    assert row["synthetic"]["area_parenchyma"] == pytest.approx(0.5)
    assert row["real"]["vessel_dice"] == 1.0 and np.isnan(row["real"]["seen_elsewhere"])
    assert row["synthetic"]["psnr"] > row["heavy T2"]["psnr"]


def test_found_vessels_are_counted_by_place():
    case = head()
    found = ((case.classes == CLASSES["vessels"]) & (case.place == 1)).astype(np.uint8)
    row = brain_angio.recall(case, found)
    assert (row["recall_cistern"], row["recall_parenchyma"]) == (1.0, 0.0)


# --- arms -------------------------------------------------------------------------------------------------------------


def test_an_arm_is_done_once_and_again_where_its_key_changes(bench):
    calls = []

    def work(folder):
        calls.append(folder)
        return {"scores": []}

    for key in ({"a": 1}, {"a": 1}, {"a": 2}):
        done = bench.arm("losses", "x y", 0, key, work)
        assert done["scores"] == []
    assert len(calls) == 2 and len(bench.spent) == 3


def test_problems_are_single_structures_and_all_of_them():
    found = brain_losses.problems(Settings(single="vessels"))
    assert found == {"vessels": ("vessels",), brain_losses.MULTI: EVERY}
    assert brain_losses.problems(Settings(single="none")) == {brain_losses.MULTI: EVERY}
    assert len(brain_losses.arms_of(Settings())) == 15 and len(brain_losses.arms_of(Settings(readings=False))) == 12


# --- the whole of it --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BoxParameters:
    seed: int
    contrasts: tuple[str, ...] = ()


class BoxHead(Phantom[BoxParameters]):
    """Heads of boxes."""

    name = "brain"
    parameters_type = BoxParameters
    method = "brain"
    rendered = 0

    def sample_parameters(self, rng, **choices):
        return BoxParameters(int(rng.integers(2**31)), tuple(choices["contrasts"]))

    def render_batch(self, parameters, context=None):
        return [self._case(one) for one in parameters]

    def _case(self, one):
        BoxHead.rendered += 1
        case = head(one.seed)
        matrix = np.diag([-2.0, -2.0, 3.0, 1.0])
        first = {label.structure: label.value for label in reversed(LABELS)}
        table = np.array([0, *(first[name] for name in EVERY)], np.uint8)
        labels = Volume(table[case.classes][:, ::-1, ::-1], matrix, "SEG", None, "structures")
        volumes = {
            name: Volume((1000 * image[:, ::-1, ::-1]).astype(np.int16), matrix, "MR", None, name)
            for name, image in case.images.items()
        }
        return Case(volumes, {"structures": Labelmap(labels, segments())}, {})


@pytest.fixture
def boxes(monkeypatch):
    monkeypatch.setattr(registry, "phantom", lambda name: BoxHead())
    monkeypatch.setattr(brain_cases, "places", lambda record: head().place[:, ::-1, ::-1])
    BoxHead.rendered = 0


SMALL = [
    "experiment.data=phantoms:3:5", "experiment.split=2/3", "experiment.choices=", "experiment.noises=mixed",
    "experiment.losses=dice-focal,dice-dtm", "experiment.single=vessels", "experiment.multi=false",
    "experiment.patterns=horizontal,crossover",
    "experiment.skip_fractions=0.33", "experiment.label_fractions=0.33,1", "experiment.methods=slices,partial,shape",
    "recipe.filters=4-8", "recipe.stream=4", "recipe.crop=16", "recipe.items_per_epoch=8", "recipe.filters_3d=4-8",
    "recipe.crop_3d=4x16x16", "recipe.items_3d=2", "training.epochs=1", "training.batch_size=4",
    "training.device=cpu", "pix2pix.filters=4-8", "pix2pix.judge_filters=4-8", "pix2pix.crop=16",
    "pix2pix.slices_per_case=2", "pix2pix_training.epochs=1", "experiment.contrast_epochs=1",
]  # fmt: skip


def test_parts_run_one_by_one_and_share_a_page(boxes, tmp_path):
    output = tmp_path / "out"
    brain.run(output, "quick", [*SMALL, "experiment.parts=losses"])
    page = (output / "brain.md").read_text(encoding="utf-8")
    assert "Not run: skip connections" in page and "Quick size" in page
    first = json.loads((output / "results.json").read_text(encoding="utf-8"))["losses"]
    summary = brain.run(output, "quick", [*SMALL, "experiment.parts=skips,labels,contrast"])
    results = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert set(results) == {"losses", "skips", "labels", "contrast"} and results["losses"] == first
    _numbers_are_there(results)
    page = (output / "brain.md").read_text(encoding="utf-8")
    assert "Not run" not in page and "reproduced" in page and "simulated heads" in page
    shown = {line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")}
    assert len(shown) == 7 and all((output / name).stat().st_size > 5000 for name in shown)
    assert summary["report"].endswith("brain.md")
    _goes_on(output, results)


def _numbers_are_there(results):
    assert set(results["losses"]["problems"]["vessels"]["losses"]) == {"dice-focal", "dice-dtm"}
    assert "6 cases" in results["losses"]["problems"]["vessels"]["rankings"]["published"]["reason"]
    assert results["skips"]["fractions"]["0.33"]["tests"]["small"][0]["first"] == "crossover"
    cell = results["labels"]["noises"]["mixed"]
    assert 0.1 < cell["given_all"][0] < 0.9
    assert cell["fractions"]["1"]["shape"]["rebuilt"][0] == pytest.approx(cell["given_all"][0], abs=0.1)
    assert {row["second"] for row in cell["rivals"]["0.33"]["rebuilt"]} == {"partial", "shape"}
    assert [row["second"] for row in cell["rivals"]["0.33"]["test"]] == ["partial"]
    assert cell["gains"]["test"][0]["first"] == "0.33" and "test" not in cell["fractions"]["1"]["shape"]
    assert set(results["contrast"]["inputs"]) == set(brain_angio.INPUTS)
    assert results["contrast"]["about"]["heads"] == {"training": 2, "test": 3}
    assert results["contrast"]["inputs"][brain_angio.ALONE]["metrics"]["dice"][3] == 3


def _goes_on(output, before):
    """A second run renders and trains nothing, and ends with the same numbers."""
    rendered = BoxHead.rendered
    brain.run(output, "quick", SMALL)
    after = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert BoxHead.rendered == rendered == 5
    for part in before:  # versions are of what was imported by then
        assert {**after[part]["about"], "versions": None} == {**before[part]["about"], "versions": None}
        assert {**after[part], "about": None} == {**before[part], "about": None}
