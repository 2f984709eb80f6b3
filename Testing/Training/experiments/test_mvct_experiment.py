"""The MVCTConvert experiment at a tiny size: every part runs, goes on where it stopped, and its page is whole."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_necks import neck

from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.phantoms.head_neck import HeadNeckPhantom
from Training.config import read_sections
from Training.experiments import mvct, mvct_amount, mvct_hallucination, mvct_networks, mvct_quality
from Training.experiments import mvct_bench as bench
from Training.experiments.mvct_bench import PARTS, Plan, numbers, site_of, spread, training_pairs, views
from Training.experiments.mvct_gate import GOOD
from Training.experiments.mvct_networks import Arm
from Training.mvct_evaluate import ALONE, pair_scores
from Training.mvct_evaluate_lesions import ROOM_MM
from Training.mvct_simulate import SimulationSettings, phantom_jobs
from Training.mvct_sources import Person

SETTINGS = (
    "experiment.split=4/3/2", "experiment.pixel_mm=3.0", "experiment.fast=true", "experiment.amounts=4,8",
    "experiment.flat_from=4", "experiment.compared=plain,ours", "experiment.methods=ours,oracle", "experiment.seeds=2",
    "experiment.steps=3", "experiment.long_steps=3", "experiment.sizes_mm=8,12", "experiment.contrasts_hu=-100,100",
    "experiment.places=1", "experiment.probes=3", "experiment.dose_slices=3", "experiment.workers=1",
    "recipe.filters=4-8", "recipe.judge_filters=4-8", "recipe.blocks=1", "recipe.crop=32", "training.device=cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine planning CTs of tiny necks."""
    out = tmp_path_factory.mktemp("mvct")
    (out / "kvct").mkdir()
    for n in range(9):
        write_volume(neck(300 + n), out / "kvct" / f"patient{n}.nii.gz")
    return out


@pytest.fixture(scope="module")
def settings(folder):
    return [f"experiment.data=kvct:{folder / 'kvct'}", *SETTINGS]


@pytest.fixture(scope="module")
def plan(folder, settings):
    sections = read_sections(None, [*mvct.FULL, *mvct.QUICK, *settings], mvct.TYPES)
    kinds = (sections["experiment"], sections["recipe"], sections["training"])
    return Plan(*kinds, folder / "out" / "arms", folder / "cache")


@pytest.fixture(scope="module")
def results(folder, settings):
    """All parts, run once."""
    mvct.run(folder / "out", "quick", settings, cache=folder / "cache")
    return json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))


# --- patients and arms ------------------------------------------------------------------------------------------------


def test_every_patient_has_both_scans_and_is_in_one_split(plan):
    site = site_of(plan, "mvct")
    sizes = {split: len(site.patients(split)) for split in ("training", "validation", "test")}
    assert sizes == {"training": 4, "validation": 3, "test": 2}
    assert [len(site.pairs(split)) for split in sizes] == list(sizes.values())
    assert not set(site.patients("training")) & set(site.patients("test"))
    assert len(views(plan, "mvct")) == 2 and len(training_pairs(plan, "mvct")) == 4


def test_an_unpaired_method_never_sees_both_scans_of_a_patient(plan):
    task = mvct_networks.task_of(Arm(plan, "plain", 3))
    pairs = training_pairs(plan, "mvct")
    held = [
        any(np.array_equal(pair.source, x) for x in task.training.source)
        + any(np.array_equal(pair.target, y) for y in task.training.target)
        for pair in pairs
    ]
    assert held == [1] * len(pairs)


def test_simulated_patients_lie_at_heights_of_their_own_between_the_limits(plan):
    settings = replace(plan.settings, tops_mm="-40,-20")
    job = phantom_jobs(3, 2, SimulationSettings("mvct", 3.0, 96, 4.0, 24.0, True))
    phantom = HeadNeckPhantom()
    moved = [bench.at_height(Person(name, job=one), settings) for name, one in job]
    before, after = ([phantom.from_json(j.parameters) for j in jobs] for jobs in (
        [one for _, one in job], [person.job for person in moved]
    ))  # fmt: skip
    tops = [one.grid.top_mm for one in after]
    assert all(-40 <= top <= -20 for top in tops) and tops[0] != tops[1]
    assert [replace(one, grid=two.grid) for one, two in zip(after, before, strict=True)] == before


@pytest.mark.parametrize("count", [1, 4, 7])
def test_so_many_source_slices_are_learned_from_and_no_more(plan, count):
    task = mvct_networks.task_of(Arm(plan, "ours", 3, slices=count))
    assert task.training.slices("source") == count
    whole = mvct_networks.task_of(Arm(plan, "ours", 3))
    assert task.training.slices("target") == whole.training.slices("target")


def test_too_few_slices_are_refused_and_not_repeated(plan):
    with pytest.raises(InvalidInputError, match="have 10"):
        mvct_networks.task_of(Arm(plan, "plain", 3, slices=11))


def test_every_arm_takes_its_steps_whatever_its_slices(plan):
    for slices in (4, 8):
        arm = Arm(replace(plan, training=replace(plan.training, batch_size=2)), "plain", 6, slices)
        config, task = mvct_networks.config_of(arm), mvct_networks.task_of(arm)
        assert config.epochs * task.train_size() / config.batch_size == 6


def test_an_unknown_method_is_named(plan):
    with pytest.raises(InvalidInputError, match="magic"):
        mvct_networks.recipe_of(Arm(plan, "magic", 3))


def test_what_shapes_an_arm_is_in_its_key(plan):
    arm = Arm(plan, "plain", 3, 4)
    others = [
        replace(arm, seed=1), replace(arm, slices=8), replace(arm, method="ours"), replace(arm, steps=4),
        replace(arm, plan=replace(plan, recipe=replace(plan.recipe, zoom=0.2))),
    ]  # fmt: skip
    assert len({one.key for one in [arm, *others]}) == len(others) + 1
    moved = replace(plan, training=replace(plan.training, device="auto"))
    assert replace(arm, plan=moved).key == arm.key


@pytest.mark.parametrize("method", mvct_networks.METHODS)
def test_a_trained_network_comes_back_with_the_same_weights(plan, method):
    arm = Arm(replace(plan, folder=plan.folder.parent / "again"), method, 2)
    first, second = mvct_networks.network_of(arm), mvct_networks.network_of(arm)
    x = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    assert torch.equal(first(x), second(x)) and first(x).shape == (1, 1, 32, 32)
    assert mvct_networks.record_of(arm)["steps"] == 2


def test_numbers_in_a_setting_must_be_numbers():
    assert numbers("4,8.5", "sizes_mm") == [4.0, 8.5]
    with pytest.raises(InvalidInputError, match="sizes_mm"):
        numbers("4,big", "sizes_mm")


def test_jobs_are_all_done_without_processes():
    done = []
    spread(done.append, [1, 2, 3], 1)
    assert done == [1, 2, 3]


# --- distortion -------------------------------------------------------------------------------------------------------


def rows(*levels):
    return [{"dig_a": level, "dig_b": level} for level in levels]


def test_a_level_line_is_flat_and_a_falling_one_is_not():
    flat = {n: [rows(10.0 + 0.01 * seed) for seed in range(5)] for n in (16, 256, 1024)}
    falling = {n: [rows(level + 0.01 * seed) for seed in range(5)] for n, level in ((16, 30), (256, 20), (1024, 10))}
    assert mvct_amount.flatness(flat, 256, 0.1)["dig_a"]["verdict"] == "reached"
    found = mvct_amount.flatness(falling, 256, 0.1)
    assert found["dig_a"]["verdict"] == "not reached" and (found["from"], found["to"]) == (256, 1024)
    assert found["dig_a"]["difference"][0] == pytest.approx(10.0)
    assert found["dig_a"]["slope"][0] == pytest.approx(-5.0)


def test_with_trainings_that_differ_widely_flatness_cannot_be_told():
    wild = {n: [rows(level) for level in levels] for n, levels in ((256, (5, 20, 9)), (512, (15, 6, 10)))}
    assert mvct_amount.flatness(wild, 256, 0.1)["dig_a"]["verdict"] == "cannot be told"
    assert mvct_amount.flatness(wild, 512, 0.1) == {}


def test_an_untouched_input_has_no_distortion(plan):
    view = views(plan, "mvct")[0]
    same = mvct_amount.scores_of(view, view.source)
    assert same["dig_a"] == same["dig_b"] == 0.0 and same["mae_hu"] > 5
    assert mvct_amount.scores_of(view, view.target)["mae_hu"] == 0.0


# --- lesions ----------------------------------------------------------------------------------------------------------


def test_lesions_lie_in_soft_tissue_and_apart(plan):
    view = views(plan, "mvct")[0]
    spots = mvct_hallucination.places(view, [12.0, 8.0, 8.0], np.random.default_rng(0))
    assert len(spots) == 3
    step = view.spacing[::-1]
    for n, spot in enumerate(spots):
        assert view.tissues.body[spot.centre] and -60 < view.target[spot.centre] < 130
        for other in spots[:n]:
            gap = np.linalg.norm((np.array(spot.centre) - other.centre) * step)
            assert gap > 0.5 * (spot.diameter_mm + other.diameter_mm) + 2 * ROOM_MM


def test_what_recovers_everything_and_what_loses_everything_is_told_apart(plan):
    view = views(plan, "mvct")[0]
    kvct = view.pair.target.reoriented()
    kvct = kvct.like(view.target)
    spot = mvct_hallucination.places(view, [12.0], np.random.default_rng(0))[0]
    ball = mvct_hallucination.placed(kvct, spot, 100.0)
    change = np.asarray(mvct_hallucination.with_lesion(kvct, ball).array) - view.target
    assert mvct_hallucination._lesion_row(change, ball, spot)["recovered"] == pytest.approx(1.0, abs=1e-3)
    assert mvct_hallucination._lesion_row(0 * change, ball, spot)["recovered"] == 0.0
    box, cut = mvct_hallucination.boxed(kvct, spot, 100.0)
    assert np.array_equal(box.weight, ball.weight[cut]) and box.core.sum() == ball.core.sum() > 0


def test_a_perfect_converter_has_all_of_the_truths_contrast(plan):
    view = views(plan, "mvct")[0]
    scores, truth = pair_scores(view.pair, view.pair.target), mvct_quality._true_scores(view)
    for name in ALONE:
        np.testing.assert_allclose(scores[name], truth[name], rtol=1e-6, err_msg=name)
    assert mvct_quality._shares([scores], [truth])["cnr_bone_fat"][0] == pytest.approx(1.0)


def test_a_bundle_is_not_scored_on_patients_that_it_was_trained_on():
    learned = "simulated patients (phantoms:1:24) and simulated scans of a site's planning CTs: 40 patients"
    bench.check_unseen(learned, "phantoms:2031:64")
    bench.check_unseen("simulated patients (phantoms:1:24): 20 patients", "kvct:folder")
    for data in ("phantoms:1:8", "kvct:folder", "phantoms:12:3+phantoms:1:2"):
        with pytest.raises(InvalidInputError, match="another seed"):
            bench.check_unseen(learned, data)


# --- the whole --------------------------------------------------------------------------------------------------------


def test_every_part_leaves_its_numbers_and_what_it_was_made_with(results):
    assert set(results) == set(PARTS)
    for part in PARTS:
        about = results[part]["about"]
        assert about["size"] == "quick" and about["patients"]["test"] == 2 and len(about["data_sha256"]) == 64
        assert about["experiment"]["parts"] == part and about["experiment"]["data"] == "kvct:FOLDER"


def test_distortion_has_every_amount_and_training(results):
    part = results["amount"]
    assert part["amounts"] == [4, 8] and part["seeds"] == 2 and part["used"] == {"4": 1, "8": 2}
    for method in ("plain", "ours"):
        assert all(part["rows"][method][str(n)]["dig_a"][0] > 0 for n in (4, 8))
    assert part["input"]["dig_a"][0] == 0.0 and part["truth"]["dig_a"][0] > 0
    assert set(part["paired"]) == {"ours"} and part["flat"]["plain"]["from"] == 4


def test_quality_compares_maps_networks_and_the_truth(results):
    for part in ("quality", "cbct"):
        found = results[part]["rows"]
        assert list(found) == ["input", "histogram", "polynomial", "nlm", "ours", "oracle"]
        assert all(row["mae_hu"][3] == 2 and row["mae_hu"][0] > 0 for row in found.values())
        assert results[part]["truth"]["cnr_muscle_fat"][0] > found["input"]["cnr_muscle_fat"][0]
    assert results["quality"]["gain"]["histogram"]["mae_hu"][0] < 0


def test_lesions_are_measured_for_every_converter(results):
    part = results["hallucination"]
    assert part["recovered"]["input"]["12|100"]["lesions"] == 2
    assert 0.1 < part["recovered"]["input"]["12|100"]["recovered"][0] < 1.1
    assert part["invented"]["ours"]["8"]["places"] == 6
    assert part["stated_lost"]["ours"][1] == 8


def test_the_gate_is_tried_on_every_corruption_and_foreign_scan(results):
    part = results["gate"]
    names = {case["name"] for case in part["cases"]}
    assert {GOOD, "stored_values", "truncated", "kvct", "cbct"} <= names
    assert part["auc"]["before"][3] == 2 * (len(names) - 1)
    assert part["inputs"]["stored_values"]["before"]["ok"] == 0
    assert 0.5 < part["auc"]["before"][0] <= 1.0


def test_dose_compares_converted_with_the_inputs_own_table(results):
    part = results["dose"]
    assert {"input, own table", "input, kV table", "ours"} <= set(part["rows"])
    assert part["reference"]["target Dmean"][0] == pytest.approx(100.0, abs=0.01)
    assert "worst" in part["harm"]["ours"] and "input, own table" not in part["harm"]


def test_the_page_holds_every_part_its_figures_and_no_folder(folder, results):
    text = (folder / "out" / "mvct.md").read_text(encoding="utf-8")
    assert "Every scan is simulated" in text and "Quick size" in text and "Not run" not in text
    assert text.count("\n## ") == len(PARTS) + 1
    assert str(folder) not in text and str(folder) not in json.dumps(results)
    pictures = [line.split("(")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(pictures) == 7 and all((folder / "out" / name).stat().st_size > 5000 for name in pictures)


def test_a_second_call_goes_on_and_trains_nothing(folder, settings, results, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(mvct_networks, "fit", refused)
    mvct.run(folder / "out", "quick", [*settings, "experiment.parts=amount"], cache=folder / "cache")
    again = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    assert again["amount"]["rows"] == results["amount"]["rows"] and set(again) == set(results)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_simulated_heads_go_through_the_source_s_experiment(tmp_path):
    settings = [
        *SETTINGS, "experiment.data=phantoms:3:8", "experiment.split=4/2/2", "experiment.matrix=96",
        "experiment.length_mm=24", "experiment.parts=amount", "experiment.tops_mm=-40,-20",
    ]  # fmt: skip
    mvct.run(tmp_path / "out", "quick", settings, cache=tmp_path / "cache")
    part = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["amount"]
    assert part["patients"] == 2 and part["rows"]["plain"]["8"]["dig_a"][0] > 0
