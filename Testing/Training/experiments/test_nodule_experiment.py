"""The NoduleSynth experiment: every part on tiny films, what is kept, and the numbers that it compares."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from tiny_pairs import SIZE, TinyStore

import Training.nodule as nodule_recipe
import Training.nodule_bundle as nodule_bundle
import Training.nodule_data as nodule_data
from manabi.errors import InvalidInputError
from Training.experiments import nodule, nodule_bench, nodule_real, nodule_sections
from Training.experiments.nodule_arms import contrasts
from Training.experiments.nodule_bench import TERMS
from Training.experiments.nodule_numbers import area, averaged, difference, found_at, mean_curve
from Training.froc import Film, Mark, Nodule, score_films, sensitivity, square
from Training.froc_statistics import weights
from Training.nodule_data import NoduleData
from Training.roc import auc_bootstrap

SETTINGS = [
    "experiment.data=phantoms:1:24", "experiment.held_out=6", "experiment.test_pairs=6", "experiment.resamples=50",
    "experiment.arms=dice,both,ssd", "training.epochs=2", "training.batch_size=4", "training.device=cpu",
    "training.lr=0.004", "training.val_every=2", "training.schedule=constant", "recipe.items_per_epoch=24",
    "recipe.filters=4-8-16", "recipe.crop=48", "recipe.chests=12", "recipe.matrix=64", "recipe.parts=6/3/3",
    "recipe.limit_to_lungs=false", "boxes.widths=4-4-8-8-8", "finetune.folds=2", "finetune.epochs=1",
    "finetune.crop=48",
]  # fmt: skip


def write_real(folder):
    """Four films: two with a boxed nodule (one of half the pixels), a normal one and one without a label."""
    (folder / "nih").mkdir(parents=True)
    (folder / "nih512").mkdir()
    rows, boxes = [], [["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", ""]]
    for k, (name, label) in enumerate([("a.png", "Nodule|Effusion"), ("b.png", "Mass"), ("c.png", "No Finding")]):
        pair = TinyStore(contrast=0.5)[k]
        image = (pair.positive if k < 2 else pair.negative) * 255
        sitk.WriteImage(sitk.GetImageFromArray(image.astype(np.uint8)), str(folder / "nih" / name))
        rows.append([name, label, k])
        if k < 2:
            scale, n = 1024 / SIZE, pair.nodules[0]
            boxes.append(
                [name, label.split("|")[0], scale * (n.column - 5), scale * (n.row - 5), scale * 10, scale * 10]
            )
    unlabelled = (TinyStore()[5].negative * 255).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(unlabelled), str(folder / "nih512" / "d_000.png"))
    for path, table in (("nih_labels.csv", [["Image Index", "Finding Labels", "Patient ID"], *rows]),
                        ("BBox_List_2017.csv", boxes)):  # fmt: skip
        with (folder / path).open("w", newline="") as file:
            csv.writer(file).writerows(table)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """All parts run once, and the tiny films in the place of simulated ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodule_data, "simulated_pairs",
                      lambda seed, count, wanted, cache: TinyStore(count, wanted.chests, seed=seed % 1000))  # fmt: skip
        patch.setattr(nodule_bundle, "feature_range", lambda part: {"brightness": [0.2, 0.8]})
        output = tmp_path_factory.mktemp("experiment") / "out"
        quick = ["device=cpu", "epochs=1", "items_per_epoch=8", "chests=12", "parts=8/2/2", "val_every=1",
                 "limit_to_lungs=false"]  # fmt: skip
        bundle = nodule_recipe.train("phantoms:77:24", output / "other", "nodule_quick", quick)["bundle"]
        real = write_real(tmp_path_factory.mktemp("real") / "cxr")
        settings = [*SETTINGS, f"experiment.real={real}", f"experiment.bundle={bundle}"]
        nodule.run(output, "quick", settings)
        results = json.loads((output / "results.json").read_text())
        patch.setattr(nodule_bench, "fit", lambda *a, **k: pytest.fail("a finished training was done again"))
        nodule.run(output, "quick", [*settings, "experiment.parts=arms"])
        yield output, results, json.loads((output / "results.json").read_text())


# --- numbers ----------------------------------------------------------------------------------------------------------


def films(seed, count=30):
    rng = np.random.default_rng(seed)
    nodule = Nodule(20, 20, 5, place=1, subtlety=2)
    out = []
    for n in range(count):
        own = (nodule,) if n % 2 else ()
        marks = [Mark(50, 50, float(rng.random()), square(50, 50, 10))]
        if own:
            marks.append(Mark(20, 20, float(rng.random()) + 0.2, square(20, 20, 10)))
        out.append(Film(str(n), str(n // 2), tuple(marks), own))
    return score_films(out)


def test_trainings_are_averaged_and_one_is_itself():
    several = [films(seed) for seed in range(3)]
    drawn = weights(several[0], 40)
    value, resampled = averaged(several, found_at(0.5), drawn)
    assert value == pytest.approx(np.mean([sensitivity(s, 0.5) for s in several]))
    assert resampled.shape == (40,)
    assert difference(several[:1], several[:1], 0.5, 40) == [0, 0, 0]


def test_the_area_in_every_resample_is_that_of_the_roc():
    scored = films(4)
    found = area(scored, np.ones((1, len(scored.patients))))[0]
    assert found == pytest.approx(auc_bootstrap(scored.diseased, scored.image_scores, scored.patients, 10).value)


def test_the_curve_is_the_sensitivity_at_every_rate():
    several = [films(seed) for seed in range(2)]
    rates = [0.1, 0.5, 2.0]
    wanted = [np.mean([sensitivity(s, rate) for s in several]) for rate in rates]
    assert mean_curve(several, rates) == pytest.approx(wanted)


def test_arms_are_compared_with_dice_alone_and_the_paired_ones_with_the_baselines():
    found = contrasts([*TERMS, "retinanet", "ssd"])
    assert ("both", "dice") in found
    assert {("both", "retinanet"), ("both", "ssd"), ("bce", "ssd")} <= set(found)
    assert all(first != "dice" for first, _ in found)


def test_every_arm_differs_from_the_others_in_its_weights_alone(tmp_path):
    plan = nodule.plan_of(tmp_path, "quick", SETTINGS)
    found = {name: plan.arm(name, 0) for name in TERMS}
    assert len({(a.loss.dice, a.loss.nac, a.loss.necmos, a.loss.bce) for a in found.values()}) == 5
    assert (found["both"].loss.nac, found["dice"].loss.nac, found["bce"].loss.bce) == (10, 0, 1)
    assert len({a.recipe for a in found.values()}) == len({a.config for a in found.values()}) == 1
    assert plan.arm("both", 1).config.seed == 1


@pytest.mark.parametrize("limit", [True, False])
def test_marks_of_every_arm_are_limited_to_the_lungs_or_those_of_none(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(nodule_bench, "limited", lambda find, wanted: wanted)
    monkeypatch.setattr(nodule_bench, "finder", lambda *a: None)
    monkeypatch.setattr(nodule_bench, "box_finder", lambda *a: None)
    plan = nodule.plan_of(tmp_path, "quick", [*SETTINGS, f"recipe.limit_to_lungs={limit}"])
    assert [nodule_bench.finder_of(plan, name, None) for name in ("dice", "both", "ssd", "retinanet")] == [limit] * 4
    other = nodule.plan_of(tmp_path, "quick", [*SETTINGS, f"recipe.limit_to_lungs={not limit}"])
    monkeypatch.setattr(nodule_bench, "open_data", lambda *a: NoduleData({}, "digest", True, "", SIZE))
    assert plan.key("arm", "dice", 0) != other.key("arm", "dice", 0)


def test_unknown_arms_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="frcnn"):
        nodule_bench.arms_of(nodule.plan_of(tmp_path, "quick", ["experiment.arms=dice,frcnn"]).settings)


def test_the_full_size_is_the_sources(tmp_path):
    plan = nodule.plan_of(tmp_path, "full", [])
    assert plan.settings.data.endswith(":131072")
    assert plan.recipe.filters == "32-64-128-256-512"
    assert plan.finetune.folds == 0
    assert (plan.finetune.epochs, plan.finetune.lr) == (5, 1e-4)


# --- the whole --------------------------------------------------------------------------------------------------------


def test_every_part_leaves_its_numbers(done):
    _, results, _ = done
    assert set(results) == {"arms", "finetune", "real"}
    for domain in ("test", "held_out"):
        found = results["arms"]["domains"][domain]
        assert list(found["rows"]) == ["dice", "both", "ssd", "bundle"]
        assert set(found["differences"]) == {"both|dice", "both|ssd"}
        for row in found["rows"].values():
            value, low, high = row["sensitivity"]["all"]["0.2"]
            assert 0 <= low <= value <= high <= 1
    assert results["arms"]["domains"]["held_out"]["rows"]["dice"]["films"] == 12
    assert set(results["finetune"]["rows"]) == {"dice_tuned", "both_tuned"}
    assert results["finetune"]["folds"] == 2


def test_finished_work_is_not_done_again_and_other_parts_stay(done):
    _, first, second = done
    for name in ("finetune", "real"):
        assert second[name] == first[name]
    assert second["arms"]["domains"] == first["arms"]["domains"]


def test_a_bundle_is_not_scored_on_what_it_was_trained_on(done, tmp_path):
    output, _, _ = done
    plan = nodule.plan_of(tmp_path, "quick", [*SETTINGS, "experiment.data=phantoms:77:30",
                                              f"experiment.bundle={output / 'other' / 'bundle'}"])  # fmt: skip
    with pytest.raises(InvalidInputError, match="trained on"):
        nodule_bench.bundle_of(plan)


def test_a_bundle_is_not_scored_on_chests_that_it_learned_from_in_a_folder_of_pairs(done, tmp_path, monkeypatch):
    output, _, _ = done
    plan = nodule.plan_of(tmp_path, "quick", [*SETTINGS, f"experiment.bundle={output / 'other' / 'bundle'}"])
    made = NoduleData({}, "digest", True, "simulated pairs (phantoms:77:512)", SIZE)
    monkeypatch.setattr(nodule_bench, "data_of", lambda plan: made)
    with pytest.raises(InvalidInputError, match="trained on"):
        nodule_bench.bundle_of(plan)
    monkeypatch.setattr(nodule_bench, "data_of", lambda plan: replace(made, source="simulated pairs (phantoms:7:77)"))
    assert nodule_bench.bundle_of(plan).method == "nodule"


def test_real_films_are_counted_by_label_and_boxes_are_on_the_grid(done):
    _, results, _ = done
    real = results["real"]
    assert real["films"] == {"nodule": 2, "normal": 1, "other": 0, "unlabelled": 1}
    assert real["boxed"] == 2
    for row in real["rows"].values():
        assert len(row["hits"]) == 2
        assert set(row["marks_per_film"]) == {"0.2", "1"}


def test_the_page_says_what_was_run_and_has_its_pictures(done):
    output, _, _ = done
    page = (output / "nodule.md").read_text()
    for words in ("Quick size", "U-Net, Dice + NAC + NECMOS less U-Net, Dice", "SSD", "behind heart", "Real films",
                  "fine-tuned", "0.688", "NODE21"):  # fmt: skip
        assert words in page
    for name in ("nodule_froc.png", "nodule_tuned.png", "nodule_examples.png"):
        assert f"images/{name}" in page
        assert (output / "images" / name).stat().st_size > 5000
    assert str(output) not in page + (output / "results.json").read_text()


def test_arms_on_other_films_are_not_compared():
    with pytest.raises(InvalidInputError, match="same films"):
        difference([films(0)], [films(0, count=28)], 0.5, 10)


# --- real films -------------------------------------------------------------------------------------------------------


def test_a_mark_on_a_box_is_ranked_among_the_films_marks():
    marks = [Mark(10, 10, 0.9), Mark(30, 30, 0.5), Mark(31, 31, 0.4)]
    assert nodule_real.hit_of((25, 25, 35, 35), marks) == {"score": 0.5, "rank": 1}
    assert nodule_real.hit_of((37, 37, 50, 50), marks) == {"score": None, "rank": None}
    assert nodule_real.hit_of((31.5, 25, 35, 35), marks, 256)["score"] == 0.5
    assert nodule_real.hit_of((31.5, 25, 35, 35), marks, 128)["score"] == 0.4


def test_boxes_of_1024_pixels_lie_on_the_nodules_of_smaller_films(tmp_path):
    read = nodule_real.read(write_real(tmp_path / "cxr"), SIZE)
    for k in range(2):
        box, n = read[k].boxes[0], TinyStore(contrast=0.5)[k].nodules[0]
        assert ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == pytest.approx((n.row, n.column), abs=1.5)
    assert [f.kind for f in read] == ["nodule", "nodule", "normal", "unlabelled"]


def write_seen(path, rows, column="patient"):
    path.write_text("\n".join([f"film,{column}", *(f"x.png,{row}" for row in rows)]) + "\n")
    return path


def test_films_of_patients_that_training_has_seen_are_in_no_number_and_counted(done, tmp_path, monkeypatch):
    folder = write_real(tmp_path / "cxr")
    for name in ("00000012_000.png", "00000012_001.png"):
        (folder / "nih" / name).write_bytes((folder / "nih" / "c.png").read_bytes())
    with (folder / "nih_labels.csv").open("a", newline="") as file:
        csv.writer(file).writerows([[f"00000012_00{k}.png", "No Finding", 12] for k in (0, 1)])
    asked = []

    def judged(plan, name, films):
        asked.append([film.name for film in films])
        return nodule_real.scored(films, lambda images: [()] * len(images), {"0.2": 0.5, "1": 0.3})

    monkeypatch.setattr(nodule_real, "_of_arm", judged)
    settings = [*SETTINGS, "experiment.arms=dice", f"experiment.real={folder}"]
    seen = write_seen(tmp_path / "seen.csv", ["12", "b"])
    monkeypatch.setattr(nodule_data, "simulated_pairs", lambda seed, count, wanted, cache: TinyStore(24, 12))
    found = nodule_real.run(nodule.plan_of(tmp_path / "a", "quick", [*settings, f"experiment.seen={seen}"]))
    assert asked == [["a.png", "c.png", "d_000.png"]]
    assert found["left_out"] == {"films": 3, "patients": 2}
    assert found["films"] == {"nodule": 1, "normal": 1, "other": 0, "unlabelled": 1}
    assert found["boxed"] == len(found["rows"]["dice"]["hits"]) == 1
    words = " ".join(nodule_sections.real(found))
    assert "3 films of 2 patients" in words
    every = nodule_real.run(nodule.plan_of(tmp_path / "b", "quick", settings))
    assert (every["left_out"], sum(every["films"].values())) == (None, 6)


def test_where_all_films_were_seen_nothing_is_scored(tmp_path, monkeypatch):
    folder = write_real(tmp_path / "cxr")
    seen = write_seen(tmp_path / "seen.csv", "abcd")
    monkeypatch.setattr(nodule_data, "simulated_pairs", lambda seed, count, wanted, cache: TinyStore(24, 12))
    plan = nodule.plan_of(tmp_path, "quick", [*SETTINGS, f"experiment.real={folder}", f"experiment.seen={seen}"])
    found = nodule_real.run(plan)
    assert (found["rows"], found["left_out"]) == ({}, {"films": 4, "patients": 4})
    assert "4 films of 4 patients" in " ".join(nodule_sections.real(found))


@pytest.mark.parametrize(("rows", "column"), [([], "patient"), (["1"], "person"), (["1", ""], "patient")])
def test_a_list_of_seen_films_that_names_no_patient_is_refused(rows, column, tmp_path):
    with pytest.raises(InvalidInputError, match="column patient"):
        nodule_real.seen_patients(str(write_seen(tmp_path / "seen.csv", rows, column)))
    with pytest.raises(InvalidInputError, match="column patient"):
        nodule_real.seen_patients(str(tmp_path / "nothing.csv"))


def test_the_tool_that_splits_films_writes_the_list_that_is_read(tmp_path):
    import split_cxr

    folder = tmp_path / "cxr"
    for table, place, head in (("nih_labels.csv", "nih", "Image Index,Finding Labels"),
                               ("nih512/labels.csv", "nih512", "file,findings")):  # fmt: skip
        (folder / place).mkdir(parents=True)
        names = [f"0000{k}0_000.png" for k in (range(1, 4) if place == "nih" else range(4, 6))]
        for name in names:
            (folder / place / name).write_bytes(b"film")
        (folder / table).write_text("\n".join([head, *(f"{name},No Finding" for name in names)]))
    split_cxr.main(folder, tmp_path / "out")
    seen = nodule_real.seen_patients(str(tmp_path / "out" / "seen.csv"))
    taken = {nodule_real.patient_of(path) for path in (tmp_path / "out" / "films").iterdir()}
    assert seen == taken == {"10", "30", "50"}
    assert {nodule_real.patient_of(path) for path in nodule_real.paths_of(folder)} - seen == {"20", "40"}


def test_films_that_training_may_have_seen_are_spoken_of_where_no_list_was_given():
    part = {"rows": {}, "left_out": None, "about": {"flow": "", "experiment": {"bundle": "", "data": "simulated"}}}
    assert "No list" not in " ".join(nodule_sections.real(part))
    for about in ({"flow": "nodule-flow"}, {"experiment": {"bundle": "nodule-default"}}):
        assert "No list" in " ".join(nodule_sections.real({**part, "about": about}))


def test_a_folder_that_is_not_there_is_told_and_none_is_no_fault(tmp_path, monkeypatch):
    with pytest.raises(InvalidInputError, match="nih_labels"):
        nodule_real.folder_of(str(tmp_path))
    monkeypatch.delenv("MANABI_TEST_DATA", raising=False)
    assert nodule_real.folder_of("") is None
