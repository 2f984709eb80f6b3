"""SPECTDenoise as a method: what a run gives, its pipelines and bundles, and when it says not to believe it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fixtures_spect import head, head_grid, quick, shipped, write_stand_in

from manabi import registry
from manabi.errors import CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.spect.template import REGIONS
from manabi.store import write_bundle

SIDES = ("left", "right")


@pytest.fixture(scope="module")
def method():
    return registry.method("spect")


@pytest.fixture(scope="module")
def scan(striatum_case):
    return striatum_case[0].volumes["spect_5min"]


@pytest.fixture(scope="module")
def result(method, scan, spect_stand_in):
    return method.run(scan, {}, quick(spect_stand_in.folder))


# --- what a run gives -------------------------------------------------------------------------------------------------


def test_a_run_gives_image_uncertainty_regions_tables_and_numbers(result):
    assert list(result.volumes) == ["denoised", "difference", "uncertainty"]
    assert list(result.labelmaps) == ["regions"]
    assert list(result.tables) == ["binding_ratios", "changes", "grades"]
    assert result.volumes["uncertainty"].array.min() >= 0
    for image in ("input", "denoised"):
        for structure, side in REGIONS:
            assert 0 < result.measurements[f"sbr_{structure}_{side}_{image}"] < 6
        for side in SIDES:
            assert result.measurements[f"grade_{side}_{image}"] in (1, 2, 3, 4)


def test_the_tables_and_the_numbers_agree(result):
    rows = [dict(zip(result.tables["binding_ratios"].columns, row, strict=True)) for row in
            result.tables["binding_ratios"].rows]  # fmt: skip
    for row in rows:
        assert row["sbr"] == result.measurements[f"sbr_{row['structure']}_{row['side']}_{row['image']}"]
        assert row["sbr_sd"] > 0
    for row in result.tables["grades"].rows:
        cells = dict(zip(result.tables["grades"].columns, row, strict=True))
        assert sum(cells[f"p{n}"] for n in (1, 2, 3, 4)) == pytest.approx(1.0, abs=5e-4)
        assert cells["probability"] == cells[f"p{cells['grade']}"]
    assert max(abs(z) for z in result.tables["changes"].column("change_in_noise_sd")) == pytest.approx(
        result.measurements["largest_change_in_noise_sd"], abs=1e-3
    )


def test_the_better_side_of_the_patient_is_the_better_side_of_the_result(result, striatum_case):
    parameters = striatum_case[1]
    assert (parameters.grade_left, parameters.grade_right) == (4, 2)
    assert result.measurements["sbr_putamen_left_input"] > 1.4 * result.measurements["sbr_putamen_right_input"]
    assert result.measurements["grade_left_input"] > result.measurements["grade_right_input"]


def test_a_mirrored_patient_has_mirrored_numbers(method, scan, spect_stand_in, result):
    """The patient is mirrored, not the array: what was left is right."""
    mirrored = scan.like(np.asarray(scan.array)[:, :, ::-1])
    other = method.run(mirrored, {}, quick(spect_stand_in.folder))
    for structure, side in REGIONS:
        opposite = "right" if side == "left" else "left"
        was = result.measurements[f"sbr_{structure}_{side}_input"]
        assert other.measurements[f"sbr_{structure}_{opposite}_input"] == pytest.approx(was, rel=0.1)


def test_counts_are_kept(result, scan):
    total = float(np.asarray(result.volumes["denoised"].array, float).sum())
    assert total == pytest.approx(float(np.asarray(scan.array, float).sum()), rel=1e-6)
    assert result.measurements["counts_after_over_before"] == 1.0


def test_simulated_training_and_norms_are_told(result):
    assert any("simulated" in text or "untrained" in text for text in result.warnings)
    assert any("Grades use normal values from" in text for text in result.warnings)
    assert result.provenance["bundle"]["name"] == "spect-default"


def test_the_figure_is_drawn(method, scan, result, tmp_path):
    files = method.draw({"spect": scan}, result, tmp_path)
    assert [file.name for file in files] == ["before_after.png", "binding_ratios.png"]
    assert files[0].stat().st_size > 20_000


# --- parameters -------------------------------------------------------------------------------------------------------


def test_without_quantification_only_images_come(method, scan, spect_stand_in):
    found = method.run(scan, {"quantify": False}, quick(spect_stand_in.folder))
    assert not found.tables and not found.labelmaps
    assert set(found.measurements) == {"relative_noise_removed", "counts_after_over_before"}


def test_a_filter_needs_no_bundle(method, scan):
    found = method.run(scan, {"denoiser": "gaussian", "quantify": False}, quick(None))
    assert list(found.volumes) == ["denoised", "difference"]
    assert found.provenance["bundle"] is None
    assert found.measurements["relative_noise_removed"] > 0.05


def test_age_and_a_sites_norms_reach_the_grades(method, scan, tmp_path):
    norms = tmp_path / "norms.json"
    record = {"mean": {"caudate": 9.0, "putamen": 9.0}, "sd": {"caudate": 0.1, "putamen": 0.1}, "source": "our clinic"}
    norms.write_text(json.dumps({**record, "age_years": 60}), encoding="utf-8")
    found = method.run(scan, {"denoiser": "gaussian", "norms": str(norms), "age_years": 70.0}, quick(None))
    assert {found.measurements[f"grade_{side}_input"] for side in SIDES} == {1}
    assert "Grades use normal values from: our clinic." in found.warnings
    assert str(tmp_path) not in json.dumps(found.provenance)
    assert found.provenance["parameters"]["norms"].startswith("sha256:")


def test_bad_norms_are_refused_before_any_work(method, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("manabi.spect.denoise.denoise_with_filter", lambda *_: pytest.fail("it began to denoise"))
    with pytest.raises(InvalidInputError, match=r"norms\.json cannot be used"):
        method.run(scan, {"denoiser": "gaussian", "norms": str(tmp_path / "norms.json")}, quick(None))


def test_the_alert_threshold_decides(method, scan):
    low, high = (
        method.run(scan, {"denoiser": "gaussian", "alert_z": z}, quick(None)).warnings for z in (0.5, 20.0)
    )
    assert sum("alert" in text for text in low) > sum("alert" in text for text in high) == 0


def test_the_scale_of_consistency_can_be_set(method, scan, spect_stand_in):
    loose, tight = (
        method.run(scan, {"consistency_mm": mm, "quantify": False}, quick(spect_stand_in.folder)) for mm in (0.0, 20.0)
    )
    before = np.asarray(scan.array, float)
    errors = [np.abs(np.asarray(r.volumes["denoised"].array) - before).mean() for r in (loose, tight)]
    assert errors[1] < errors[0]


# --- inputs at the limits ---------------------------------------------------------------------------------------------


def test_negative_counts_become_zero_with_a_warning(method, spect_stand_in):
    volume = head()
    array = np.array(volume.array)
    array[0, 0, 0] = -3.0
    found = method.run(volume.like(array), {"quantify": False}, quick(spect_stand_in.folder))
    assert any("Negative counts were set to zero" in text for text in found.warnings)
    assert found.volumes["denoised"].array.min() >= 0


@pytest.mark.parametrize(
    ("first", "last", "with_norms"), [(0, 28, False), (0, 31, True), (31, 64, False), (35, 64, False)]
)
def test_a_truncated_field_of_view_is_denoised_without_ratios(
    method, scan, spect_stand_in, tmp_path, first, last, with_norms
):
    """The striatum lies about slice 30; where it is cut away, no other place may be graded in its stead."""
    top = scan.crop((first, 0, 0), (last, *scan.shape[1:]))
    settings = {}
    if with_norms:
        norms = tmp_path / "norms.json"
        record = {"mean": {"caudate": 2.0, "putamen": 2.0}, "sd": {"caudate": 0.1, "putamen": 0.1}, "source": "x"}
        norms.write_text(json.dumps(record), encoding="utf-8")
        settings["norms"] = str(norms)
    found = method.run(top, settings, quick(spect_stand_in.folder))
    assert found.volumes["denoised"].grid.same_as(top.grid)
    assert not found.tables
    assert any(text.startswith("Binding ratios were not computed:") for text in found.warnings)


def test_a_short_stack_with_the_whole_striatum_is_measured(method, striatum_case):
    """Many sites reconstruct only the slices of the brain's middle.

    The outline of the head, and with it the reference, depends on what else is in the image: measured up to 25 %.
    """
    scan = striatum_case[0].volumes["spect_25min"]
    whole, part = (
        method.run(v, {"denoiser": "gaussian"}, quick(None)).measurements
        for v in (scan, scan.crop((14, 0, 0), (46, *scan.shape[1:])))
    )
    for structure, side in REGIONS:
        name = f"sbr_{structure}_{side}_input"
        assert part[name] == pytest.approx(whole[name], rel=0.35)


def test_a_scan_outside_the_training_range_is_flagged(method, scan, tmp_path):
    for bounds, word in (((0.5, 0.9), "smoother"), ((1e-6, 1e-5), "noisier")):
        bundle = write_stand_in(tmp_path / word, training_noise_range=list(bounds))
        found = method.run(scan, {"quantify": False}, quick(bundle.folder))
        assert any(f"this scan is {word} than those" in text for text in found.warnings)


def test_a_scan_within_the_training_range_is_not_flagged(method, scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b", training_noise_range=[1e-6, 0.9])
    found = method.run(scan, {"quantify": False}, quick(bundle.folder))
    assert not any("Out of the training range" in text for text in found.warnings)


def test_pet_is_taken_and_stays_pet(method, spect_stand_in):
    volume = replace(head(), modality="PT", units="BQML")
    found = method.run(volume, {"quantify": False}, quick(spect_stand_in.folder)).volumes["denoised"]
    assert (found.modality, found.units) == ("PT", "BQML")


# --- pipelines and bundles --------------------------------------------------------------------------------------------


def test_the_papers_pipeline_gives_five_slices(method, scan, paper_stand_in):
    found = method.run(scan, {"pipeline": "paper"}, quick(paper_stand_in.folder))
    assert list(found.volumes) == ["denoised", "input_8bit", "difference"]
    for name, volume in found.volumes.items():
        assert volume.shape == (5, 64, 64)
        assert np.isfinite(volume.array).all() and (volume.array.min() >= 0 or name == "difference")
    assert found.volumes["denoised"].grid.same_as(found.volumes["input_8bit"].grid)
    assert not found.tables
    assert any("only the five slices around the hottest one" in text for text in found.warnings)


def test_the_papers_slices_lie_in_the_scan(method, scan, paper_stand_in):
    """Every voxel of the five slices is a voxel of the scan, at the same place, in any orientation."""
    for volume in (scan, scan.reoriented((1, 2, 0), (1, -1, 1))):
        found = method.run(volume, {"pipeline": "paper"}, quick(paper_stand_in.folder)).volumes["input_8bit"]
        there = volume.crop_to(found.grid)
        step = float(np.asarray(volume.array).max()) / 255
        np.testing.assert_allclose(found.array, there.array, atol=0.51 * step)


def test_the_papers_pipeline_with_a_filter(method, scan):
    found = method.run(scan, {"pipeline": "paper", "denoiser": "gaussian"}, quick(None))
    assert found.volumes["denoised"].array.std() < found.volumes["input_8bit"].array.std()


def test_the_papers_pipeline_warns_when_it_resamples(method, paper_stand_in):
    volume = head(head_grid((2.6, 2.6, 4.0), 260.0))
    found = method.run(volume, {"pipeline": "paper"}, quick(paper_stand_in.folder))
    assert any("2.60×2.60 mm were resampled" in text for text in found.warnings)


@pytest.mark.parametrize(("pipeline", "other"), [("paper", "ours"), ("ours", "paper")])
def test_a_bundle_of_the_other_pipeline_is_refused_with_the_remedy(
    method, scan, spect_stand_in, paper_stand_in, pipeline, other
):
    wrong = spect_stand_in if pipeline == "paper" else paper_stand_in
    with pytest.raises(InvalidInputError, match=f"trained for pipeline={other}.*Set pipeline={other}"):
        method.run(scan, {"pipeline": pipeline}, quick(wrong.folder))


def test_a_bundle_of_another_method_is_refused(method, scan, spect_stand_in, tmp_path):
    other = write_bundle(
        tmp_path / "other", name="other", version="1.0.0", method="brain", network=spect_stand_in.network,
        state_dict=spect_stand_in.load_state(), card="x", metadata_extra={"trained_on": "x", "simulated": True},
    )  # fmt: skip
    with pytest.raises(CorruptModelError, match="made for the method 'brain'"):
        method.run(scan, {}, quick(other.folder))


def test_a_tampered_bundle_is_refused(method, scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b")
    weights = bundle.folder / "models" / "model.pt"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(CorruptModelError):
        registry.method("spect").run(scan, {}, quick(bundle.folder))


def test_a_missing_bundle_says_what_there_is(method, scan):
    with pytest.raises(ModelNotFoundError, match=r"nosuch.*manabi bundle"):
        method.run(scan, {}, quick("nosuch"))


def test_the_network_is_built_once(scan, spect_stand_in, monkeypatch):
    fresh, built = registry.method("spect"), []
    build = type(spect_stand_in).build_network
    monkeypatch.setattr(type(spect_stand_in), "build_network", lambda self: built.append(1) or build(self))
    fresh.load(quick(spect_stand_in.folder))
    for _ in range(2):
        fresh.run(scan.crop((20, 0, 0), (40, 128, 128)), {"quantify": False}, quick(spect_stand_in.folder))
    assert built == [1]


def test_the_default_bundle_denoises_a_short_scan(method, striatum_case):
    """The shipped model brings a 5-minute scan closer to the 25-minute one, without moving its ratios by an alert."""
    if not shipped(method.default_bundle):
        pytest.skip("the default bundle is not in the package yet")
    volumes = striatum_case[0].volumes
    found = method.run(volumes["spect_5min"], {}, quick(None))
    full = np.asarray(volumes["spect_25min"].array, float)
    brain = np.asarray(striatum_case[0].labelmaps["brain"].volume.array) > 0
    full *= float(np.asarray(volumes["spect_5min"].array, float).sum()) / full.sum()
    errors = [np.sqrt(np.mean((np.asarray(v.array, float) - full)[brain] ** 2)) for v in
              (volumes["spect_5min"], found.volumes["denoised"])]  # fmt: skip
    assert errors[1] < 0.8 * errors[0]
