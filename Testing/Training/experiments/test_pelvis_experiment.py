"""The PelvicSeg experiment: folds that keep patients apart, arms that are kept, a page that says what was found."""

import json

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.pelvis.structures import ORGANS
from Training.experiments import pelvis, pelvis_report
from Training.experiments.pelvis_report import METRICS

TINY = (
    "experiment.data=phantoms:5:4", "experiment.folds=2", "experiment.curve=1,2",
    "experiment.choices=pixel_mm=8;matrix=56;slice_mm=8;noise_hu=3", "recipe.spacing_mm=8x8x8", "training.epochs=1",
    "training.device=cpu", "training.precision=32-true", "network.crop=32", "network.crop_3d=16x32x32",
    "network.filters=4-8", "network.filters_3d=4-8", "network.items_3d=4", "network.items_per_epoch=16",
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pelvis")
    pelvis.run(folder, "quick", TINY)
    return folder


def scores(level, patients=8, spread=0.02):
    rng = np.random.default_rng(round(1000 * level))
    return [{o: {m: float(level + spread * rng.standard_normal()) for m in METRICS} for o in ORGANS}
            for _ in range(patients)]  # fmt: skip


def results(size="quick", **levels):
    part = {"network": {"crop": 96, "crop_3d": "8x8x8", "items_3d": 1, "items_per_epoch": 2, "filters": "4",
                        "filters_3d": "4"}, "training": {"epochs": 1, "batch_size": 1}}  # fmt: skip
    about = {"size": size, "simulated": True, "patients": 8, "device": "cpu", "versions": {"torch": "x"},
             "experiment": {"data": "phantoms:1:8", "folds": 2, "split_seed": 0, "seeds": 1},
             "kinds": dict.fromkeys(levels, part)}  # fmt: skip
    arms = {kind: {"scores": scores(level), "seconds": 60.0, "weights": 10} for kind, level in levels.items()}
    return {"kinds": {"about": about, "arms": arms}}


def test_both_parts_run_and_every_patient_is_scored_once(done):
    found = json.loads((done / "results.json").read_text())
    assert set(found) == {"kinds", "curve"}
    assert set(found["kinds"]["arms"]) == {"slice", "slices", "volume"} and set(found["curve"]["arms"]) == {"1", "2"}
    for part in found.values():
        for arm in part["arms"].values():
            assert len(arm["scores"]) == 4 and set(arm["scores"][0]) == set(ORGANS)
    page = (done / "pelvis_experiment.md").read_text()
    assert "Quick size" in page and "images/pelvis_kinds.png" in page
    assert (done / "images" / "pelvis_curve.png").is_file()


def test_a_second_call_trains_nothing_again(done, monkeypatch):
    before = (done / "results.json").read_text()
    monkeypatch.setattr(pelvis, "fit", lambda *_: pytest.fail("trained again"))
    pelvis.run(done, "quick", TINY)
    assert json.loads((done / "results.json").read_text())["kinds"]["arms"] == json.loads(before)["kinds"]["arms"]


def test_folds_keep_patients_apart_and_use_all():
    settings = pelvis.Settings(folds=3)
    bench = pelvis.Bench(settings, {}, tuple(range(10)), None, None, True)
    folds = bench.folds()
    assert sorted(n for fold in folds for n in fold) == list(range(10)) and len(folds) == 3


@pytest.mark.parametrize("wrong", ["experiment.parts=nothing", "experiment.kinds=", "experiment.folds=3"])
def test_settings_that_cannot_be_are_refused(done, wrong):
    with pytest.raises(InvalidInputError):
        pelvis.run(done, "quick", (*TINY, wrong))


def test_a_clear_difference_is_called_and_a_small_one_is_not():
    page = pelvis_report.text(results(slice=0.5, slices=0.51, volume=0.9), set())
    lines = [line for line in page.splitlines() if line.startswith("| mean of all")]
    assert [line.rsplit("|", 2)[1].strip() for line in lines] == ["better", "cannot be told", "better"]
    assert "Not run: How many patients it takes." in page and "![" not in page


def test_the_published_dice_is_an_aim_and_no_comparison():
    page = pelvis_report.text(results("full", volume=0.95), set())
    row = next(line for line in page.splitlines() if line.startswith("| seminal vesicles | 0.740"))
    assert row.endswith("reached |") and "not reached" not in row
    assert "says nothing about the methods' order" in page and "Quick size" not in page
    assert "differences" not in page.lower(), "one arm is compared with nothing"
