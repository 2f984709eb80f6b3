"""The recipe of a missing contrast: where crops lie, how it is scored, and the way to a bundle that runs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from fixtures_spect import shipped
from scipy.spatial.transform import Rotation

import Training.brain_contrast as recipe_module
from manabi import registry
from manabi.brain.contrast import Settings, work_image
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError
from manabi.io import read_volume, write_volume
from manabi.networks import build
from manabi.store import BundleStore
from manabi.volume import Volume
from Training.brain_contrast import ContrastRecipe, ContrastTask, open_pairs, pair_of, rendered_heads, train
from Training.brain_contrast_bundle import MEANINGS, control, head_mask, scores, summary
from Training.brain_pix2pix import Pair
from Training.cohort import CohortCase
from Training.config import TrainConfig, read_sections

SMALL = {"filters": "4-6-8", "judge_filters": "4-6", "crop": 16, "slices_per_case": 2, "pixel_mm": 2.0, "samples": 2}
TINY = ["epochs=1", "batch_size=2", "device=cpu", "parts=2/1/2", "name=contrast-tiny", "pixel_mm=2", "crop=16",
        "filters=4-6-8", "judge_filters=4-6"]  # fmt: skip


def head(seed, turned=False):
    """Heavy T2 and angiogram of a cylinder with fluid, in which an artery is a void, and one hidden in tissue."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((40, 44))
    inside = np.hypot(y - 20, x - 22) < 18
    fluid = inside & (np.hypot(y - 14, x - 22) < 6)
    seen, hidden = np.hypot(y - 14, x - 20 - seed % 3) < 2, np.hypot(y - 30, x - 26) < 2
    source = np.where(fluid & ~seen, 900.0, np.where(inside, 60.0, 0.0))
    target = np.where(seen | hidden, 800.0, np.where(inside, 250.0, 0.0))
    noise = rng.normal(0, 8, (2, 8, 40, 44))
    matrix = np.diag([2.0, 2.0, 3.0, 1.0])
    if turned:
        matrix[:3, :3] = Rotation.from_euler("xyz", [12, -9, 20], degrees=True).as_matrix() @ matrix[:3, :3]
    return [
        Volume(np.abs(image + n).astype(np.int16), matrix, modality="MR")
        for image, n in zip((source, target), noise, strict=True)
    ]


def table(folder, count=5):
    """A CSV of heads with its images as files."""
    folder.mkdir(parents=True)
    rows = []
    for n in range(count):
        for column, volume in zip(("input", "target"), head(n), strict=True):
            write_volume(volume, folder / f"p{n} {column}.nii.gz")
        rows.append((f"p{n}", f"p{n} input.nii.gz", f"p{n} target.nii.gz"))
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("case", "input", "target"), *rows])
    return folder / "cohort.csv"


def marked(slices=5, rows=50, columns=40, spot=(3, 30, 20)):
    """A pair whose values say where a voxel is, with one bright voxel."""
    where = np.linspace(0.05, 0.3, slices * rows * columns, dtype=np.float32).reshape(slices, rows, columns)
    where[spot] = 1.0
    return Pair(where, where)


# --- items ------------------------------------------------------------------------------------------------------------


def test_as_many_crops_as_asked_for_hold_a_bright_voxel():
    for share, low, high in ((1.0, 1.0, 1.0), (0.5, 0.4, 0.7), (0.0, 0.0, 0.1)):
        task = ContrastTask(ContrastRecipe.of({**SMALL, "bright_share": share}), [marked()], [])
        held = [bool((task.train_item(0, np.random.default_rng(n))[1] == 1).any()) for n in range(120)]
        assert low <= np.mean(held) <= high


def test_the_bright_voxel_lies_anywhere_in_the_crop():
    task = ContrastTask(ContrastRecipe.of({**SMALL, "bright_share": 1.0, "mirror": False}), [marked()], [])
    places = [np.argwhere(task.train_item(0, np.random.default_rng(n))[1][0].numpy() == 1)[0] for n in range(60)]
    assert np.ptp(places, axis=0).min() > 8


def test_a_crop_shows_the_same_place_of_both_contrasts_and_follows_from_its_generator():
    task = ContrastTask(ContrastRecipe.of(SMALL), [marked()], [])
    for n in range(8):
        source, target = task.train_item(0, np.random.default_rng(n))
        again, _ = task.train_item(0, np.random.default_rng(n))
        assert source.shape == (3, 16, 16) and target.shape == (1, 16, 16)
        assert torch.equal(source[1], target[0]) and torch.equal(source, again)


def test_small_slices_are_padded_and_dark_slices_left_out():
    array = np.zeros((4, 10, 24), np.float16)
    array[2] = 0.75
    task = ContrastTask(ContrastRecipe.of(SMALL), [Pair(array, array)], [])
    for n in range(8):
        _, target = task.train_item(0, np.random.default_rng(n))
        assert target.shape == (1, 16, 16) and float(target.sum()) == pytest.approx(0.75 * 160)


# --- the recipe and its configurations --------------------------------------------------------------------------------


def test_the_bundles_network_is_the_trained_one():
    chosen = ContrastRecipe.of(SMALL)
    network = build("pix2pix_generator", **chosen.network_arguments())
    network.load_state_dict(chosen.generator().state_dict(), strict=True)
    assert network(torch.zeros(1, 3, 16, 20)).shape == (1, 1, 16, 20)


@pytest.mark.parametrize("name", ["brain_contrast", "brain_contrast_quick"])
def test_shipped_configurations_are_valid_and_their_weights_small(name):
    found = read_sections(name, [], {"training": TrainConfig, "recipe": ContrastRecipe})
    network = build("pix2pix_generator", **found["recipe"].network_arguments())
    assert 4 * sum(p.numel() for p in network.parameters()) < 4e6


@pytest.mark.parametrize("wrong", ["made=mra", "context=2", "bright_share=2", "pixel_mm=0", "samples=0", "nosuch=1"])
def test_bad_settings_are_refused(wrong, tmp_path):
    with pytest.raises(InvalidInputError, match=wrong.partition("=")[0].replace("made", "synthetic")):
        train("phantoms:1:3", tmp_path, None, [wrong])


@pytest.mark.parametrize(("data", "words"), [("no.csv", "No cohort"), ("phantoms:x:2", "phantoms:SEED:COUNT")])
def test_a_cohort_that_is_not_there_is_refused(data, words, tmp_path):
    with pytest.raises(InvalidInputError, match=words):
        open_pairs(data, ContrastRecipe(), tmp_path)


# --- scores -----------------------------------------------------------------------------------------------------------


def measured(image=None, doubt=None):
    source, target = (work_image(v, Settings()).array for v in head(0))
    doubt = np.zeros_like(target) if doubt is None else doubt
    return scores(source, target, target if image is None else image, doubt, np.array([2.0, 2.0, 3.0]), 0.5)


def test_the_real_image_has_full_marks_and_a_blank_one_none():
    _, target = (work_image(v, Settings()).array for v in head(0))
    best, worst = measured(), measured(np.full_like(target, 0.3))
    assert best.keys() == MEANINGS.keys() - {"bright_dice_other"}
    assert best["bright_dice"] == 1 and best["ssim"] == pytest.approx(1) and best["error_knowable"] == 0
    assert worst["bright_dice"] == 0 and worst["bright_found_knowable"] == 0 and worst["psnr_db"] < 25
    assert np.isnan(best["error_unknowable"]) and np.isnan(best["uncertainty_correlation"])


def test_a_map_that_knows_where_the_errors_are_correlates_with_them():
    _, target = (work_image(v, Settings()).array for v in head(0))
    image, doubt = target.copy(), np.zeros_like(target)
    doubt[:, 24:36] = 1.0
    image[:, 24:36] = 0.3
    found = measured(image, doubt)
    assert found["uncertainty_correlation"] > 0.2 and found["bright_uncertainty_correlation"] > 0.9
    assert found["bright_found_knowable"] == 1 and found["bright_found_unknowable"] == 0
    assert found["bright_error_unknowable"] > 0.5 > found["bright_error_knowable"] == 0
    assert 0.2 < found["unknowable_share"] < 0.5


def test_the_head_is_found_with_what_is_dark_in_it():
    source, target = (np.array(work_image(v, Settings()).array) for v in head(0))
    y, x = np.indices((40, 44))
    true = np.broadcast_to(np.hypot(y - 20, x - 22) < 18, source.shape)
    target[source > 0.5] = 0.0
    source[:, 24:32, 14:20] = target[:, 24:32, 14:20] = 0.0
    found = head_mask(source, target, np.array([2.0, 2.0, 3.0]))
    assert found[true].mean() > 0.95 and found[~true].mean() < 0.15


def test_the_control_is_another_patients_image_laid_over_the_middle():
    array = np.zeros((5, 6, 7), np.float32)
    array[2, 3, 3] = 1.0
    here, away = (Volume(array, np.diag([2.0, 2.0, 3.0, 1.0]) + move) for move in (np.zeros((4, 4)), np.eye(4, k=3)))
    nothing = Volume(np.zeros_like(array), here.ijk_to_ras)
    made = [(here, array), (nothing, array), (away, array)]
    assert control(made, ["p", "q", "r"], 0.5) == [0.0, 1.0, 1.0]
    assert control(made, ["p", "p", "r"], 0.5) == [1.0, 1.0, 1.0]
    assert np.isnan(control(made[:2], ["p", "p"], 0.5)).all()


def test_intervals_are_over_patients_and_what_is_undefined_is_left_out():
    rows = [{"a": 1.0, "b": np.nan}, {"a": 1.0, "b": 2.0}, {"a": 3.0, "b": np.nan}]
    found = summary(rows, ["p", "p", "q"])
    assert found["a"] == {"mean": 2.0, "ci95": [1.0, 3.0]}
    assert found["b"] == {"mean": 2.0, "ci95": [None, None]}
    assert summary([{"a": np.nan}], ["p"]) == summary([], []) == {}


# --- from a cohort to a bundle that runs ------------------------------------------------------------------------------


def check_runs(bundle):
    """The method makes the contrast of an oblique image, on its grid."""
    for volume in (head(7)[0], head(7, turned=True)[0]):
        context = Context(device="cpu", precision="float32", bundle=str(bundle.folder))
        found = registry.method("brain").run(volume, {"task": "contrast"}, context)
        for name in ("synthetic_mra", "unknowable"):
            assert found.volumes[name].grid.same_as(volume.grid)
            assert np.isfinite(found.volumes[name].array).all() and found.volumes[name].shape == volume.shape
        assert np.ptp(found.volumes["synthetic_mra"].array) > 0
        assert any("Synthetic image" in text for text in found.warnings)
        assert found.provenance["bundle"]["name"] == "contrast-tiny"
    parameters = {"synthetic_second": str(bundle.folder), "fine": False}
    found = registry.method("brain").run(head(7)[0], parameters, Context(device="cpu", precision="float32"))
    assert {"synthetic_mra", "unknowable"} < set(found.volumes) and "structures" in found.labelmaps
    assert any("computed by contrast-tiny" in text for text in found.warnings)


def test_a_sites_own_table_becomes_a_bundle_that_runs(tmp_path):
    data, output = table(tmp_path / "données"), tmp_path / "run 1"
    found = train(str(data), output, "brain_contrast_quick", TINY)
    bundle = BundleStore().verify(output / "bundle")
    assert (bundle.name, bundle.method, bundle.simulated) == ("contrast-tiny", "brain", False)
    assert "a local cohort: 2 patients" in bundle.trained_on and "95 % interval" in bundle.card
    facts = bundle.facts["brain"]
    assert facts["kind"] == "translation"
    assert Settings.of(facts) == Settings(pixel_mm=2.0, samples=2)
    for score in ("psnr_db", "ssim", "bright_dice_other", "error_knowable", "error_unknowable"):
        low, high = bundle.metrics[score]["ci95"]
        assert low <= bundle.metrics[score]["mean"] <= high
    splits = json.loads((output / "splits.json").read_text(encoding="utf-8"))
    assert [len(splits[s]["cases"]) for s in ("training", "validation", "test")] == [2, 1, 2]
    assert found["metrics"] == bundle.metrics and str(tmp_path) not in json.dumps(bundle.metadata)
    check_runs(bundle)
    weights = (output / "bundle" / "models" / "model.pt").read_bytes()
    assert train(str(data), output, "brain_contrast_quick", TINY)["metrics"] == found["metrics"]
    assert (output / "bundle" / "models" / "model.pt").read_bytes() == weights


def test_simulated_heads_are_rendered_once_and_said_to_be_simulated(tmp_path, monkeypatch):
    rendered = []

    def small(job):
        rendered.append(json.loads(job.parameters)["parameters"])
        job.folder.mkdir(parents=True)
        for name, volume in zip(("heavy_t2", "tof"), head(len(rendered)), strict=True):
            write_volume(volume, job.folder / f"{name}.nii")

    monkeypatch.setattr(recipe_module, "render_head", small)
    for name in ("first", "second"):
        train("phantoms:3:5", tmp_path / name, "brain_contrast_quick", TINY, cache=tmp_path / "cache")
    assert len(rendered) == 5
    assert all(p["contrasts"] == ["heavy_t2", "tof"] and p["scan"]["voxel_mm"] == 2.0 for p in rendered)
    bundle = BundleStore().verify(tmp_path / "second" / "bundle")
    assert bundle.simulated and "phantoms:3:5" in bundle.trained_on


def test_a_rendered_head_shows_arteries_dark_in_fluid_and_bright_in_the_angiogram(tmp_path):
    case = rendered_heads(1, 1, 2.0, tmp_path)[0]
    source, target = (read_volume(case.files[column]) for column in ("input", "target"))
    assert source.grid.same_as(target.grid)
    np.testing.assert_allclose(source.spacing_mm, 2.0, atol=1e-4)
    pair = pair_of(case, Settings(pixel_mm=2.0))
    vessel = pair.target >= 0.5
    assert 1e-4 < vessel.mean() < 0.02
    assert pair.source[vessel].mean() < pair.source[pair.source > 0.5].mean() / 2


def test_contrasts_on_two_grids_are_refused(tmp_path):
    data = table(tmp_path / "site", 3)
    write_volume(head(1, turned=True)[1], tmp_path / "site" / "p1 target.nii.gz", overwrite=True)
    with pytest.raises(GeometryError, match="p1"):
        open_pairs(str(data), ContrastRecipe(parts="1/1/1"), tmp_path)


def test_a_pair_has_the_networks_pixels(tmp_path):
    for column, volume in zip(("input", "target"), head(2, turned=True), strict=True):
        write_volume(volume, tmp_path / f"{column}.nii")
    case = CohortCase("a", "a", files={c: tmp_path / f"{c}.nii" for c in ("input", "target")})
    pair = pair_of(case, Settings(pixel_mm=4.0))
    assert pair.source.shape == pair.target.shape == (8, 20, 22)
    assert pair.target.min() >= 0 and pair.target.max() <= 1


def test_the_shipped_bundle_was_made_by_this_recipe():
    if not shipped("brain-contrast"):
        pytest.skip("brain-contrast is not in the package yet")
    bundle = BundleStore().verify("brain-contrast")
    recipe = ContrastRecipe.of(bundle.metadata["manabi"]["training"]["recipe"])
    assert bundle.network == {"name": "pix2pix_generator", "arguments": recipe.network_arguments()}
    assert Settings.of(bundle.facts["brain"]) == recipe.synthesis()
