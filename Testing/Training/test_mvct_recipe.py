"""The recipe of MVCTConvert: its configurations, what is trained on what, and the way to a bundle that runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_scans
import torch

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct.method import MVCTConvert
from manabi.networks import build
from manabi.store import BundleStore
from Training.mvct import CycleRecipe, read_plan, task_of, train
from Training.mvct_augment import HuAugment
from Training.mvct_cycle import PRESETS
from Training.mvct_data import open_site
from Training.mvct_pair import pair_arguments
from Training.mvct_start import StartedTask, started

QUICK = ["device=cpu", "epochs=1", "name=mvct-tiny"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A site's table."""
    return tiny_scans.site(tmp_path_factory.mktemp("site") / "données")


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    """A run of the quick configuration on it: its folder and summary."""
    output = tmp_path_factory.mktemp("run") / "run 1"
    return output, train(str(table), output, "mvct_quick", QUICK)


def site_of(table, tmp_path, *settings):
    plan = read_plan("mvct_quick", settings)
    return open_site(str(table), plan.recipe.data(), tmp_path), plan


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("mvct", 6), ("mvct_plain", 25), ("mvct_proposed", 25), ("mvct_quick", 1), ("mvct_cbct", 6), ("mvct_cycle", 6)],
)
def test_shipped_configurations_are_valid_and_their_weights_small(name, megabytes):
    plan = read_plan(name, [])
    network = build("converter_pair", **pair_arguments(plan))
    stored = (2 if plan.recipe.half else 4) * sum(p.numel() for p in network.parameters())
    assert stored < 1e6 * megabytes
    assert plan.recipe.kind == ("cbct" if name == "mvct_cbct" else "mvct")


def test_the_cycle_can_begin_with_the_default_bundle():
    shapes = []
    for name in ("mvct", "mvct_cycle", "mvct_cbct"):
        network = build("converter_pair", **pair_arguments(read_plan(name, [])))
        shapes.append({key: value.shape for key, value in network.state_dict().items()})
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("preset", ["plain", "proposed"])
def test_the_sources_configurations_have_its_weights(preset):
    plan = read_plan(f"mvct_{preset}", [])
    assert plan.recipe.method == "cycle"
    wanted = CycleRecipe.preset(preset)
    assert plan.learning.weights() == wanted.weights()
    for name in PRESETS[preset]:
        assert getattr(plan.learning, name) == getattr(wanted, name)
    assert (plan.config.batch_size, plan.config.beta1, plan.config.epochs) == (1, 0.1, 50)
    augment = plan.recipe.augment()
    assert augment.noise_hu == augment.blur_px == augment.offset_hu == augment.slope == 0


@pytest.mark.parametrize("wrong", ["pixel_mm=0", "kind=mr", "method=gan", "max_slices=-1", "nosuch=1", "noise_hu=-1"])
def test_bad_settings_are_refused(wrong, tmp_path):
    with pytest.raises(InvalidInputError, match=wrong.partition("=")[0]):
        train("phantoms:1:3", tmp_path, "mvct_quick", [wrong])


# --- what is trained on -----------------------------------------------------------------------------------------------


def test_source_slices_are_limited_and_target_slices_are_not(table, tmp_path):
    site, plan = site_of(table, tmp_path, "max_slices=7")
    task = task_of(site, plan)
    assert task.training.slices("source") == 7 and task.training.slices("target") == 20
    assert task_of(*site_of(table, tmp_path)).training.slices("source") == 20


def test_no_slice_of_a_test_or_validation_patient_is_trained_on(table, tmp_path):
    site, plan = site_of(table, tmp_path)
    task = task_of(site, plan)
    for split in ("validation", "test"):
        for domain in ("source", "target"):
            for held in site.of(split, domain):
                array = np.asarray(held.load().reoriented().array, np.float16)
                row = array[2, 36, 30:42]
                volumes = [*task.training.source, *task.training.target]
                windows = [np.lib.stride_tricks.sliding_window_view(v, 12, 2) for v in volumes]
                assert not any((w == row).all(-1).any() for w in windows)
    source = site.of("training", "source")[0].load().reoriented()
    row = np.asarray(source.array, np.float16)[2, 36, 30:42]
    windows = [np.lib.stride_tricks.sliding_window_view(v, 12, 2) for v in task.training.source]
    assert any((w == row).all(-1).any() for w in windows)


def test_the_benchmark_measures_the_shipped_generator():
    import runpy
    from pathlib import Path

    from Training.mvct import read_plan
    from Training.mvct_pair import pair_arguments

    bench = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "bench_mvct.py"))
    shipped = pair_arguments(read_plan("mvct", []))["forward"]
    assert bench["TRANSLATOR"].items() <= shipped.items()
    assert [shipped[key] for key in ("down", "up", "dropout")] == ["stride", "resize", 0.0]


def test_validation_takes_pairs_or_else_unpaired_scans(table, tmp_path):
    site, plan = site_of(table, tmp_path)
    (pair,) = task_of(site, plan).validation
    assert pair.source.shape == pair.target.shape and len(pair.source) == 4
    assert np.abs(pair.source.astype(float) - pair.target).mean() > 20


def test_what_the_way_back_shall_give_is_the_unchanged_source():
    from Training.mvct_domains import PairedCT
    from Training.mvct_oracle import OracleRecipe
    from Training.mvct_pairs import PairsTask

    rng = np.random.default_rng(0)
    source = rng.normal(40, 10, (4, 48, 48)).astype(np.float32)
    task = PairsTask(OracleRecipe(crop=16, filters="4-8", context=1), [PairedCT(source, source + 20)])
    task.augment = HuAugment(offset_hu=30.0)
    seen, x, y = task.train_item(0, np.random.default_rng(1))
    np.testing.assert_allclose(task.windows[1].hu(y) - task.windows[0].hu(x), 20, atol=1e-3)
    assert 1 < float((task.windows[0].hu(seen) - task.windows[0].hu(x)).abs().mean()) < 31
    found = task.training_step(task.build_model(), task.train_batch([0, 1], [np.random.default_rng(n) for n in (1, 2)]))
    assert found["loss"].requires_grad and found["l1"] > 0 and found["back"] > 0 and "ssim" not in found


def test_every_weight_of_the_section_counts_in_training_both_ways():
    from Training.mvct_domains import PairedCT
    from Training.mvct_oracle import OracleRecipe
    from Training.mvct_pairs import PairsTask

    source = np.random.default_rng(0).normal(40, 60, (4, 48, 48)).astype(np.float32)
    pairs, rngs = [PairedCT(source, source[:, ::-1])], [np.random.default_rng(1)]
    one = {"crop": 16, "filters": "4-8", "context": 1, "l1": 0.0, "gradient": 0.0}
    task = PairsTask(OracleRecipe(**one, ssim=3.0), pairs)
    found = task.training_step(task.build_model(), task.train_batch([0], rngs))
    assert found["ssim"] > 0.01 and found["loss"].item() == pytest.approx(3 * found["ssim"].item())


# --- augmentation -----------------------------------------------------------------------------------------------------


def test_only_the_source_is_changed_and_air_stays_air():
    crop = np.full((3, 40, 40), -1000.0, np.float32)
    crop[:, 10:30, 10:30] = 40.0
    augment = HuAugment(noise_hu=0, blur_px=0, offset_hu=20, slope=0.05)
    found = [augment(crop, np.random.default_rng(n), "source") for n in range(40)]
    tissue, air = np.array([[f[1, 20, 20], f[1, 2, 2]] for f in found]).T
    assert tissue.std() > 5 and np.abs(tissue - 40).max() <= 25 and np.allclose(air, -1000)
    assert augment(crop, np.random.default_rng(0), "target") is crop


def test_noise_and_blur_are_as_large_as_said_and_follow_from_the_generator():
    crop = np.full((1, 96, 96), 40.0, np.float32)
    augment = HuAugment(noise_hu=30)
    spreads = [float(augment(crop, np.random.default_rng(n), "source").std()) for n in range(60)]
    assert max(spreads) <= 30.5 and 10 < np.mean(spreads) < 20
    again = [augment(crop, np.random.default_rng(5), "source") for _ in range(2)]
    np.testing.assert_array_equal(*again)
    edge = np.where(np.arange(96) < 48, -1000.0, 40.0).astype(np.float32) * np.ones((1, 96, 1), np.float32)
    soft = HuAugment(blur_px=2.0)(edge, np.random.default_rng(1), "source")
    assert np.abs(np.diff(soft)).max() < 0.8 * np.abs(np.diff(edge)).max()
    assert HuAugment(share=0.0, noise_hu=30)(crop, np.random.default_rng(0), "source") is crop
    with pytest.raises(InvalidInputError):
        HuAugment(noise_hu=-1)


# --- from scans to a bundle that runs ---------------------------------------------------------------------------------


def test_a_sites_own_table_becomes_a_bundle_that_runs(trained, table):
    output, found = trained
    bundle = BundleStore().verify(output / "bundle")
    assert (bundle.name, bundle.method, bundle.simulated) == ("mvct-tiny", "mvct", False)
    assert found["metrics"] == bundle.metrics and str(table.parent) not in json.dumps(bundle.metadata)
    low, high = bundle.metrics["mae_hu"]["ci95"]
    assert low <= bundle.metrics["mae_hu"]["mean"] <= high
    volume = tiny_scans.scan(77, "mvct")
    context = Context(device="cpu", precision="float32", bundle=str(bundle.folder))
    result = MVCTConvert().run(volume, {}, context)
    converted = result.volumes["converted"]
    assert converted.grid.same_as(volume.grid) and np.isfinite(converted.array).all()
    assert np.abs(np.asarray(converted.array, float) - volume.array).max() > 0
    assert result.provenance["bundle"]["name"] == "mvct-tiny"


def test_the_same_run_gives_the_same_weights_and_goes_on_where_it_stopped(trained, table, tmp_path):
    output, _ = trained
    train(str(table), tmp_path / "again", "mvct_quick", QUICK)
    first, second = ((p / "bundle" / "models" / "model.pt").read_bytes() for p in (output, tmp_path / "again"))
    assert first == second
    splits = json.loads((output / "splits.json").read_text(encoding="utf-8"))
    patients = [set(splits[name]["patients"]) for name in ("training", "validation", "test")]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    assert len(splits["test"]["pairs"]) == 2


def test_training_begins_with_a_bundles_weights(trained, table, tmp_path):
    output, _ = trained
    site, plan = site_of(table, tmp_path)
    task = started(task_of(site, plan), str(output / "bundle"))
    stored = BundleStore().verify(output / "bundle").load_state()
    model = task.build_model()
    for key, value in model.get_submodule("pair").state_dict().items():
        torch.testing.assert_close(value, stored[key].float())
    assert task.settings()["start"] and task.phases() == task.inner.phases()
    assert task.phase_rate("judge") == task.inner.phase_rate("judge") != 1
    site, other = site_of(table, tmp_path, "cycle.filters=4-12")
    with pytest.raises(InvalidInputError, match="another network"):
        started(task_of(site, other), str(output / "bundle")).build_model()
    site, begun = site_of(table, tmp_path, f"start={output / 'bundle'}")
    assert isinstance(task_of(site, begun), StartedTask)


def test_patients_of_phantoms_are_simulated_and_trained_on(tmp_path):
    found = train("phantoms:3:6", tmp_path / "run", "mvct_quick", [*QUICK, "lesion_patients=1", "parts=3/1/2"])
    bundle = BundleStore().verify(tmp_path / "run" / "bundle")
    assert bundle.simulated and "phantoms:3:6" in bundle.trained_on and found["metrics"]
    assert bundle.metadata["manabi"]["comparison"]["kvct"]["cnr_muscle_fat"]["mean"] > 0
    splits = json.loads((tmp_path / "run" / "splits.json").read_text(encoding="utf-8"))
    assert splits["training"]["source"] and splits["training"]["target"] and len(splits["test"]["pairs"]) == 2
    assert not {s[:-7] for s in splits["training"]["source"]} & {t[:-7] for t in splits["training"]["target"]}


@pytest.mark.parametrize("method", ["cut", "oracle", "pairs"])
def test_the_other_methods_become_bundles_too(method, table, tmp_path):
    data = str(table) if method == "cut" else "phantoms:3:4"
    train(data, tmp_path / "run", "mvct_quick", [*QUICK, f"method={method}", "parts=2/1/1"])
    bundle = BundleStore().verify(tmp_path / "run" / "bundle")
    assert bundle.metrics["mae_hu"]["mean"] > 0 and ("without a way back" in bundle.card) == (method != "pairs")
    assert bundle.build_network().has_return == (method == "pairs")
    assert bundle.metadata["manabi"]["mvct"]["uncertainty_calibration"] > 0


def test_the_shipped_bundle_was_made_by_this_recipe():
    bundle = BundleStore().verify("mvct-default")
    made = bundle.metadata["manabi"]["training"]
    plan = read_plan(None, [f"{key}={value}" for key, value in made["recipe"].items()])
    assert bundle.facts["spacing_mm"] == [plan.recipe.pixel_mm] * 2 and plan.recipe.name == "mvct-default"


def test_a_lesion_lies_in_both_scans_at_one_place_and_only_in_soft_tissue():
    from Training.mvct_lesions import SoftLesions

    target = np.full((1, 64, 64), 40.0, np.float32)
    target[:, :, :20] = -1000.0
    put = SoftLesions(share=1.0, most=1)
    differences = []
    for seed in range(12):
        source, seen = put(target, target, np.random.default_rng(seed))
        change, added = seen - target, source - target
        assert np.abs(change[:, :, :14]).max() < 1 < np.abs(change).max() <= 110
        together = np.corrcoef(change.ravel(), added.ravel())[0, 1]
        assert together > 0.8 and np.sign(change.sum()) == np.sign(added.sum())
        differences.append(change.flat[np.abs(change).argmax()])
    assert min(differences) < -15 and max(differences) > 15
    assert all(one is target for one in SoftLesions(share=0.0)(target, target, np.random.default_rng(0)))


def test_pairs_are_trained_with_lesions_that_are_part_of_the_settings(table, tmp_path):
    _, plan = site_of(table, tmp_path)
    assert plan.recipe.lesions > 0
    from Training.mvct_domains import PairedCT
    from Training.mvct_lesions import SoftLesions
    from Training.mvct_oracle import OracleRecipe
    from Training.mvct_pairs import PairsTask

    flat = np.full((2, 48, 48), 40.0, np.float32)
    task = PairsTask(OracleRecipe(crop=32, filters="4-8"), [PairedCT(flat, flat)])
    plain = task.settings()
    task.lesions = SoftLesions(share=1.0)
    _, x, y = task.train_item(0, np.random.default_rng(3))
    assert float(y.std()) > 0 and float(x.std()) > 0 and task.settings() != plain
