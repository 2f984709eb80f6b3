"""The page of the NoduleSynth experiment: verdicts by their rule, and only what was run."""

from __future__ import annotations

import pytest

from Training.experiments import nodule_report
from Training.experiments.mvct_numbers import NO, UNKNOWN, YES
from Training.experiments.nodule_claims import claims, verdict
from Training.experiments.nodule_figures import draw
from Training.experiments.nodule_names import title
from Training.experiments.nodule_real import folder_of, read

ABOUT = {
    "size": "full", "experiment": {"data": "simulated pairs", "test_pairs": 9, "held_out": 8, "seeds": 3,
                                   "resamples": 50, "parts": "arms"},
    "training": {"epochs": 2, "batch_size": 8, "optimizer": "adam", "lr": 1e-3, "final_lr": 1e-5},
    "recipe": {"items_per_epoch": 20, "crop": 0, "matrix": 256, "filters": "32-64"}, "flow": "", "matrix": 256,
    "pairs": {"training": {"pairs": 1234, "chests": 5}, "validation": {"pairs": 6, "chests": 2}},
    "device": "cpu", "versions": {"platform": "Linux", "torch": "2"}, "duration_s": 60.0, "data_sha256": "a" * 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [([0.1, 0.01, 0.2], YES), ([-0.1, -0.2, -0.01], NO), ([0.1, -0.01, 0.2], UNKNOWN), ([0.1, None, None], UNKNOWN),
     ([0.0, 0.0, 0.0], UNKNOWN)],
)  # fmt: skip
def test_an_aim_is_reached_only_with_its_whole_interval(value, said):
    assert verdict(value) == said


def test_aims_are_read_from_the_other_domain_only():
    differences = {"both|dice": [0.1, 0.05, 0.15], "both|ssd": [-0.2, -0.3, -0.1]}
    results = {"arms": {"domains": {"test": {"differences": {"both|dice": [-1, -1, -1]}},
                                    "held_out": {"differences": differences}}}}  # fmt: skip
    rows = claims(results)
    assert [(row[0], row[3]) for row in rows] == [
        ("U-Net, Dice + NAC + NECMOS beats Dice alone", YES), ("U-Net, Dice + NAC + NECMOS beats SSD", NO),
    ]  # fmt: skip
    assert "+10.0 (+5.0 to +15.0) points" in rows[0][2]


def test_what_was_not_run_is_said_and_pictures_that_are_not_there_are_left_out():
    page = nodule_report.text({"real": {"about": ABOUT, "films": {}, "rows": {}}}, set())
    assert "Not run: Every loss and both baselines; After fine-tuning" in page
    assert "There were no real films" in page
    assert "![" not in page
    assert "Quick size" not in page
    assert "6 steps of 8 pairs" in page


def test_a_fine_tuned_arm_keeps_its_name():
    assert title("both_tuned") == "U-Net, Dice + NAC + NECMOS, fine-tuned"


def test_a_curve_that_an_arm_lacks_is_left_out_of_the_picture(tmp_path):
    panel = {"rates": [0.02, 0.2, 4.0], "curves": {"dice": [0.1, 0.5, 0.9]}}
    path = draw({"one": panel}, ["dice", "both"], "words", tmp_path / "a.png")
    assert path.stat().st_size > 5000


@pytest.mark.slow
def test_the_real_films_are_read_with_their_labels_and_boxes(data_folder):
    films = read(folder_of(str(data_folder("cxr"))), 256)
    kinds = [f.kind for f in films]
    assert (kinds.count("nodule"), kinds.count("normal"), kinds.count("unlabelled")) == (50, 64, 0)
    boxes = [box for f in films for box in f.boxes]
    assert len(boxes) == 4
    assert all(0 <= v < 256 for box in boxes for v in box)
    assert all(8 < box[2] - box[0] < 40 and 8 < box[3] - box[1] < 40 for box in boxes)
