"""The SPECT experiment: how results are scored, what counts as harm, and the whole of it on a handful of phantoms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from Training.experiments import spect_tables
from Training.experiments.spect import run
from Training.experiments.spect_alert import harm, study_alert
from Training.experiments.spect_arms import INPUT, Output, input_arm
from Training.spect_data import Pair
from Training.spect_evaluate import binding_errors, image_scores, relative_bias, slab_of

NORMAL = {"caudate": 2.5, "putamen": 2.3}


@pytest.fixture(scope="module")
def slab(striatum_case):
    case, _ = striatum_case
    return slab_of(Pair("case", case.volumes["spect_5min"], case.volumes["spect_25min"]))


def inflated(slab, factor):
    """The full scan's slab with every striatal excess multiplied."""
    counts = np.array(slab.full.box.array, float)
    level = slab.truth.reference
    return np.where(counts > 1.5 * level, level + factor * (counts - level), counts)


def test_the_full_scan_scores_perfectly_against_itself(slab):
    scores = image_scores(slab, slab.full.images)
    assert scores["ssim"].min() == pytest.approx(1.0)
    assert abs(relative_bias(binding_errors(slab, np.asarray(slab.full.box.array)), slab)) < 1e-9


def test_the_short_scan_is_worse_than_the_full_one(slab):
    scores = image_scores(slab, slab.short.images)
    assert 0.4 < scores["ssim"].mean() < 0.95


def test_binding_bias_does_not_depend_on_the_scale_of_the_counts(slab):
    counts = np.asarray(slab.short.box.array, float)
    once, twice = (relative_bias(binding_errors(slab, k * counts), slab) for k in (1.0, 2.0))
    assert once == pytest.approx(twice, abs=1e-9)


def test_leaving_the_scan_alone_does_no_harm_and_restoring_the_truth_does_good(slab):
    assert harm(slab, np.asarray(slab.short.box.array, float), NORMAL) == pytest.approx(0.0, abs=1e-9)
    assert harm(slab, np.asarray(slab.full.box.array, float), NORMAL) < 0


def test_inflated_striata_are_harm_and_score_higher_in_the_alert(slab):
    good = Output(slab.full.images, np.asarray(slab.full.box.array, float))
    bad = Output(slab.full.images, inflated(slab, 2.0))
    study = study_alert([slab, slab], {"method": [good, bad]}, NORMAL)
    assert study.truth.tolist() == [False, True]
    assert study.score[1] > study.score[0]
    assert study.auc.value == 1.0


def test_published_values_are_those_of_the_source():
    assert spect_tables.PUBLISHED["U-Net(L4)"][2] == 0.8419
    assert spect_tables.PUBLISHED["Original (5 min)"][0] == 30.8370
    assert spect_tables.base_name("TransUNET (small)") == "TransUNET"


def test_image_table_keeps_slices_and_patients_apart(slab):
    pair = Pair("case", slab.short.box, slab.full.box)
    outputs = {INPUT: [input_arm(pair, slab)] * 3}
    scored = spect_tables.score(["a", "b", "c"], [slab] * 3, outputs)
    (row,) = spect_tables.image_table(scored)
    assert row["published"]["ssim"] == 0.7075
    assert row["ssim"]["patient_sd"] == pytest.approx(0.0, abs=1e-12)
    assert row["ssim"]["slice_sd"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_experiment_runs_whole_and_goes_on_where_it_stopped(tmp_path):
    settings = [
        "experiment.data=phantoms:5:16", "experiment.parts=8/4/4", "experiment.paper_epochs=1",
        "experiment.our_epochs=2", "experiment.networks=U-Net(L1),U-Net(L4)",
    ]  # fmt: skip
    run(tmp_path / "out", "quick", settings, cache=tmp_path / "cache")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    names = [row["method"] for row in results["images"]]
    assert names[0] == INPUT and "U-Net(L4)" in names and "Manabi (ours)" in names
    assert results["readers"]["simulated"] is True
    text = (tmp_path / "out" / "spect.md").read_text(encoding="utf-8")
    assert "phantoms" in text and "Table 3" in text
    run(tmp_path / "out", "quick", settings, cache=tmp_path / "cache")
    again = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert again["images"] == results["images"]
