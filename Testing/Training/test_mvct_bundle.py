"""The bundle of MVCTConvert: what is measured after training, what it says, and that MONAI runs it too."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_scans
import torch

from manabi.context import Context
from manabi.io import read_volume, write_volume
from manabi.mvct.convert import Settings
from manabi.mvct.hu_check import check_hu, expected_hu
from manabi.mvct.ood import Reference, oddities, ood_score
from manabi.mvct.pipeline import Model
from manabi.mvct.window import HuWindow
from manabi.networks import build
from manabi.store import BundleStore
from Training import mvct_bundle
from Training.mvct import read_plan
from Training.mvct_bundle import INVENTED_HU, lesion_summary, trained_on
from Training.mvct_calibrate import facts, half_precision, look, uncertainty_factor
from Training.mvct_card import card
from Training.mvct_data import DataSettings, open_site
from Training.mvct_evaluate_doubt import doubt_scores, evaluate_doubt
from Training.mvct_monai import inference
from Training.mvct_pair import pair_state
from Training.mvct_slices import load_pairs
from Training.mvct_truth import kvct_tissues
from Training.run import FitResult, RunPaths

SETTINGS = Settings("mvct", HuWindow(-1000, 1000), HuWindow(-1000, 1200), (3.0, 3.0), 3)
CONTEXT = Context(device="cpu", precision="float32")
ARGUMENTS = {"in_channels": 3, "out_channels": 3, "filters": [4, 8], "blocks": 1, "residual": True}


def pair(seed=0):
    """An untrained pair; its corrections are small."""
    torch.manual_seed(seed)
    return build("converter_pair", forward=ARGUMENTS, backward=ARGUMENTS).eval()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A small site with pairs for validation and test."""
    folder = tmp_path_factory.mktemp("scans")
    return open_site(str(tiny_scans.site(folder / "site", unpaired=3)), DataSettings(pixel_mm=3.0), folder)


@pytest.fixture(scope="module")
def known(site):
    """What is measured of an untrained pair on it."""
    return facts(site, Model(SETTINGS, {}, pair()), CONTEXT)


@pytest.fixture(scope="module")
def plan():
    """A plan whose network is :data:`ARGUMENTS`."""
    return read_plan("mvct_quick", ["cycle.context=3", "name=mvct-tiny", "device=cpu"])


@pytest.fixture(scope="module")
def written(site, known, plan, tmp_path_factory):
    """A bundle of the untrained pair, scored on the site's test patients."""
    torch.manual_seed(0)
    model = build("converter_pair", **mvct_bundle.pair_arguments(plan)).eval()
    holder = torch.nn.ModuleDict({"pair": half_precision(model)})
    folder = tmp_path_factory.mktemp("bundle")
    result = FitResult(holder, 1, {}, [], RunPaths(folder), 0, False, 1.0)
    settings = mvct_bundle.settings_of(plan)
    measured = mvct_bundle.measure(Model(settings, known, model), site, plan, CONTEXT)
    bundle = mvct_bundle.export(folder / "bundle", plan, result, site, measured, trained_on("a.csv", site))
    return bundle, measured, result


# --- what is measured -------------------------------------------------------------------------------------------------


def test_the_facts_are_those_that_the_method_reads(known):
    assert set(known) >= {"ood", "residual", "usual_dig", "uncertainty_calibration", "target_histogram", "expected_hu"}
    json.dumps(known)
    assert known["residual"]["mean"] > 0 and known["usual_dig"] >= 0 and known["uncertainty_calibration"] > 0
    hu, tolerance = known["expected_hu"]["muscle"]
    assert hu == pytest.approx(tiny_scans.KV["muscle"], abs=8) and tolerance >= 30
    histogram = known["target_histogram"]
    assert len(histogram["counts"]) > 500 and (histogram["low"], histogram["high"]) == (-1000, 1200)
    assert "polynomial" not in known


def test_a_foreign_input_is_odder_than_a_usual_one(known):
    reference = Reference.of(known["ood"])
    assert reference.images == 4 and reference.feature_mean.shape == (8,)
    model = Model(SETTINGS, {}, pair())

    def score(volume):
        seen = look(volume, model, CONTEXT)
        return ood_score(oddities(seen.signature, reference, seen.features, seen.residual_hu))

    usual = score(tiny_scans.scan(50, "mvct"))
    volume = tiny_scans.scan(50, "mvct")
    loud = volume.like((np.asarray(volume.array) + np.random.default_rng(0).normal(0, 150, volume.shape)).astype(int))
    assert score(loud) > 2 * usual and score(tiny_scans.scan(50, "kvct")) > usual


def test_what_a_planning_ct_measures_is_known_of_fat_too():
    hu = np.full((8, 64, 64), -1000.0, np.float32)
    y, x = np.indices((64, 64)) - 31.5
    hu[:, np.hypot(y, x) < 26] = -100.0
    hu[:, np.hypot(y, x) < 18] = 50.0
    spacing = np.array([3.0, 3.0, 3.0])
    lines = check_hu(hu, kvct_tissues(hu, spacing), spacing, expected_hu("kvct"))
    assert {line.tissue: line.measured_hu for line in lines if line.tissue in ("fat", "muscle")} == {
        "fat": pytest.approx(-100, abs=3), "muscle": pytest.approx(50, abs=3)
    }  # fmt: skip


def test_the_uncertainty_is_scaled_to_the_error(site):
    model = Model(SETTINGS, {}, pair())
    pairs = load_pairs(site, "validation")
    factor = uncertainty_factor(pairs, model, CONTEXT)
    off = [type(p)(p.name, p.patient, p.source, p.target.like(np.asarray(p.target.array) + 400)) for p in pairs]
    assert uncertainty_factor(off, model, CONTEXT) > 1.5 * factor > 0
    assert uncertainty_factor([], model, CONTEXT) is None


def test_cone_beam_ct_gets_a_map_of_its_own(site):
    settings = Settings("cbct", SETTINGS.source, SETTINGS.target, SETTINGS.pixel_mm, 3)
    coefficients = facts(site, Model(settings, {}, pair()), CONTEXT)["polynomial"]
    fat, muscle = (sum(c * (hu / 1000) ** n for n, c in enumerate(coefficients)) for hu in (-49.0, 40.0))
    assert len(coefficients) == 4
    assert fat == pytest.approx(tiny_scans.KV["fat"], abs=25) and muscle == pytest.approx(43, abs=25)


def test_half_precision_changes_weights_by_less_than_a_thousandth():
    before = {key: value.clone() for key, value in pair().state_dict().items()}
    after = half_precision(pair()).state_dict()
    assert all(value.dtype == before[key].dtype for key, value in after.items())
    for key, value in after.items():
        torch.testing.assert_close(value, before[key], rtol=1e-3, atol=1e-7)
    assert any(not torch.equal(after[key], before[key]) for key in after)


# --- what the bundle says ---------------------------------------------------------------------------------------------


def test_the_bundle_is_whole_small_and_says_how_it_is_applied(written, site, known):
    bundle, _, result = written
    assert BundleStore().verify(bundle.folder).name == "mvct-tiny"
    section = bundle.metadata["manabi"]["mvct"]
    assert Settings.of(bundle) == Settings("mvct", HuWindow(), HuWindow(), (3.0, 3.0), 3, None,
                                           ("float32", "bfloat16"))  # fmt: skip
    assert section["ood"] == json.loads(json.dumps(known["ood"])) and not bundle.simulated
    state = bundle.load_state()
    assert {value.dtype for value in state.values()} == {torch.float16}
    network, x = bundle.build_network(), torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(network(x), result.model["pair"](x))
    assert network.has_return and set(state) == set(pair_state(result.model))


def test_the_card_shows_input_network_baselines_and_truth_with_intervals(written):
    bundle, measured, _ = written
    assert measured.paired and measured.patients == 2
    assert list(measured.scores) == ["input", "network", "histogram", "polynomial", "nlm", "kvct"]
    header = "| score | input | this model | histogram | polynomial | nlm | true kVCT |"
    assert header in bundle.card and " to " in bundle.card and "do not calculate dose" in bundle.card
    for row in bundle.card.splitlines():
        if row.startswith("| contrast-to-noise ratio of muscle"):
            assert row.count("(") == 6
    assert bundle.metrics == measured.scores["network"]


def test_the_card_says_how_often_the_error_lies_within_the_uncertainty(written):
    bundle, measured, _ = written
    assert bundle.metadata["manabi"]["uncertainty"] == json.loads(json.dumps(measured.doubt))
    assert 0.0 < measured.doubt["coverage_95"]["mean"] <= 1.0 and "## Uncertainty" in bundle.card
    assert measured.doubt["coverage_68"]["mean"] < measured.doubt["coverage_95"]["mean"]


def test_an_uncertainty_that_is_not_calibrated_or_has_no_truth_is_not_scored(site, known):
    assert evaluate_doubt(load_pairs(site, "test"), Model(SETTINGS, {}, pair()), CONTEXT) == {}
    assert evaluate_doubt([], Model(SETTINGS, known, pair()), CONTEXT) == {}


def test_coverage_falls_where_the_truth_is_elsewhere(site, known):
    model, one = Model(SETTINGS, known, pair()), load_pairs(site, "test")[0]
    far = type(one)(one.name, one.patient, one.source, one.target.like(np.asarray(one.target.array) + 2000))
    right, wrong = (doubt_scores(p, model, CONTEXT) for p in (one, far))
    assert wrong["coverage_95"] < 0.5 * right["coverage_95"] and wrong["error_hu"] > right["error_hu"]


def test_the_histogram_baseline_brings_tissues_to_kilovoltage_values(written):
    _, measured, _ = written
    before, after = (measured.scores[name]["hu_fat"]["mean"] for name in ("input", "histogram"))
    assert abs(after - tiny_scans.KV["fat"]) < abs(before - tiny_scans.KV["fat"])


def test_no_path_gets_into_the_bundle(written, site, tmp_path):
    bundle, _, _ = written
    text = json.dumps(bundle.metadata) + bundle.card
    assert str(site.scans[0].path.parent) not in text
    for data in ("phantoms:1:4", "kvct:/data/Yamada", "/data/Yamada/a::/data/Yamada/b", "/data/Yamada.csv"):
        assert "Yamada" not in trained_on(data, site)
    assert trained_on("phantoms:1:4+x.csv", site).startswith("simulated patients (phantoms:1:4) and a site's scans: ")


def test_what_could_not_be_measured_is_said(plan):
    result = FitResult(torch.nn.Module(), 1, {}, [], RunPaths(None), 0, False, 1.0)
    text = card(plan, result, mvct_bundle.Measured({}), "a site", {"validation": 0, "test": 0})
    for words in ("no test patient", "Fewer than three input scans", "not calibrated", "errors against the truth"):
        assert words in text


def test_lost_and_invented_lesions_are_counted():
    rows = [{"recovered": r, "invented_hu": i} for r, i in ((0.9, 3.0), (0.4, -INVENTED_HU - 1), (1.0, 2.0))]
    found = lesion_summary(rows, ["a", "a", "b"])
    assert (found["tested"], found["lost"], found["invented"]) == (3, 1, 1)
    assert found["scores"]["recovered"]["mean"] == pytest.approx(0.825)


def test_lesions_are_inserted_in_simulated_test_patients(plan, site, monkeypatch):
    from dataclasses import replace

    from manabi.phantoms.ct import convert

    asked = []

    def half(volume, kind, seed, fast, context):
        asked.append((kind, seed))
        return volume.like(0.5 * np.asarray(volume.array, np.float32))

    monkeypatch.setattr(convert, "simulate", half)
    scans = [replace(s, simulated=True) for s in site.scans]
    chosen = replace(plan, recipe=replace(plan.recipe, lesion_patients=1))
    double = {name: lambda v: v.like(2 * np.asarray(v.array)) for name in ("network", "polynomial")}
    found = mvct_bundle.lesions(double, type(site)(tuple(scans), "x"), chosen, CONTEXT)
    assert found["network"]["tested"] > 0 and found["network"]["lost"] == 0
    assert found["network"]["scores"]["recovered"]["mean"] == pytest.approx(1, abs=0.01)
    assert set(asked) == {("mvct", 0)} and mvct_bundle.lesions(double, site, chosen, CONTEXT) == {}


# --- MONAI ------------------------------------------------------------------------------------------------------------


def test_monai_runs_the_bundle_and_agrees_with_the_network(written, tmp_path):
    from monai.bundle import ConfigParser

    bundle, _, _ = written
    volume = tiny_scans.scan(60, "mvct")
    write_volume(volume, tmp_path / "in" / "a.nii.gz")
    parser = ConfigParser()
    parser.read_config(str(bundle.folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle.folder)
    parser["dataset_dir"], parser["output_dir"] = str(tmp_path / "in"), str(tmp_path / "out")
    parser["device"] = "$torch.device('cpu')"
    parser.get_parsed_content("run")
    (found,) = (tmp_path / "out").glob("*.nii.gz")
    made = read_volume(found)
    assert made.grid.same_as(volume.grid, 1e-3)
    hu = np.asarray(volume.reoriented().array, np.float32)
    window = HuWindow()
    with torch.inference_mode():
        wanted = window.hu(bundle.build_network()(torch.from_numpy(window.scaled(hu[1:4]))[None]))[0, 0].numpy()
    np.testing.assert_allclose(np.asarray(made.reoriented().array)[2], wanted, atol=0.5)


def test_another_output_window_is_mapped_back_in_monais_configuration():
    first, *_ = inference(SETTINGS)["postprocessing"]["transforms"]
    slope = (first["b_max"] - first["b_min"]) / (first["a_max"] - first["a_min"])
    scaled = np.array([-1.0, 0.0, 1.0])
    there = SETTINGS.source.hu(scaled)
    np.testing.assert_allclose(first["b_min"] + slope * (there - first["a_min"]), SETTINGS.target.hu(scaled))
