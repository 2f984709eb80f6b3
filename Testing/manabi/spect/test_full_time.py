"""The optional full-time scan: what is compared, on which grid, and what is refused; the difference and the chart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures_spect import head, head_grid, quick

from manabi import registry
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import read_volume, write_result
from manabi.result import Result
from manabi.spect import comparison
from manabi.spect.grade import AGE_DECLINE, load_norms
from manabi.spect.template import REGIONS
from manabi.volume import Volume

FILTER = {"denoiser": "gaussian"}


@pytest.fixture(scope="module")
def method():
    return registry.method("spect")


@pytest.fixture(scope="module")
def scans(striatum_case):
    volumes = striatum_case[0].volumes
    return {"spect": volumes["spect_5min"], "full_time": volumes["spect_25min"]}


@pytest.fixture(scope="module")
def result(method, scans):
    return method.run(scans, FILTER, quick(None))


def rows(result: Result) -> dict[str, dict[str, float]]:
    table = result.tables["comparison"]
    return {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


# --- the comparison -------------------------------------------------------------------------------------------------


def test_every_image_is_compared_and_only_the_reference_has_no_score(result):
    found = rows(result)
    assert list(found) == ["input", "denoised", "full_time"]
    for score in (*comparison.SLICE_SCORES, *comparison.REGION_SCORES):
        assert found["full_time"][score] is None
        assert found["input"][score] > 0
    assert found["denoised"]["nrmse_brain"] < found["input"]["nrmse_brain"]


def test_binding_ratios_of_the_comparison_are_those_of_the_result(result):
    for image in ("input", "denoised"):
        for structure, side in REGIONS:
            cell = rows(result)[image][f"sbr_{structure}_{side}"]
            assert cell == result.measurements[f"sbr_{structure}_{side}_{image}"]


def test_a_reference_without_noise_scores_itself_perfectly(scans):
    scan = scans["full_time"]
    five_times = scan.like(np.asarray(scan.array) * 5)
    scores = rows(Result(tables={"comparison": comparison.comparison({"a": scan, "b": five_times}, None)}))["a"]
    assert (scores["ssim"], scores["nrmse"], scores["nrmse_brain"]) == pytest.approx((1.0, 0.0, 0.0), abs=1e-4)
    assert scores["psnr_db"] is None or scores["psnr_db"] > 60


def test_counts_and_calibration_of_the_full_scan_do_not_matter(method, scans, result):
    calibrated = {**scans, "full_time": scans["full_time"].like(np.asarray(scans["full_time"].array) * 0.37)}
    again = rows(method.run(calibrated, FILTER, quick(None)))
    for image, scores in rows(result).items():
        for name, value in scores.items():
            assert again[image][name] == (value if isinstance(value, str) else pytest.approx(value, abs=2e-3))


def test_the_comparison_without_the_full_scan_is_not_there(method, scans):
    found = method.run(scans["spect"], {**FILTER, "quantify": False}, quick(None))
    assert "comparison" not in found.tables


def test_without_quantification_the_images_are_compared_all_the_same(method, scans):
    found = method.run(scans, {**FILTER, "quantify": False}, quick(None))
    assert found.tables["comparison"].columns == ("image", *comparison.SLICE_SCORES, "nrmse_brain")


def test_the_sources_pipeline_is_compared_on_its_five_slices(method, scans):
    found = method.run(scans, {**FILTER, "pipeline": "paper"}, quick(None))
    assert found.tables["comparison"].columns == ("image", *comparison.SLICE_SCORES)
    assert rows(found)["input"]["ssim"] < 1


# --- grids ------------------------------------------------------------------------------------------------------------


def test_another_order_of_axes_changes_nothing(method, scans, result):
    turned = {**scans, "full_time": scans["full_time"].reoriented((1, 2, 0), (-1, 1, -1))}
    found = method.run(turned, FILTER, quick(None))
    assert found.tables["comparison"] == result.tables["comparison"]
    assert found.warnings == result.warnings


def test_another_grid_is_resampled_and_told(method, scans, result):
    coarse = scans["full_time"].resampled(scans["full_time"].grid.with_spacing(np.full(3, 2.5)))
    found = method.run({**scans, "full_time": coarse}, FILTER, quick(None))
    assert any("lies on another grid" in text for text in found.warnings)
    for structure, side in REGIONS:
        name = f"sbr_{structure}_{side}"
        assert rows(found)["full_time"][name] == pytest.approx(rows(result)["full_time"][name], rel=0.1)


def test_a_scan_that_does_not_hold_the_brain_is_refused_before_any_work(method, scans, monkeypatch):
    monkeypatch.setattr("manabi.spect.denoise.denoise_with_filter", lambda *_: pytest.fail("it began to denoise"))
    half = scans["full_time"].crop((0, 0, 0), (scans["full_time"].shape[0] // 2, *scans["full_time"].shape[1:]))
    with pytest.raises(InvalidInputError, match=r"full-time scan holds \d+ % of the brain.*register it"):
        method.run({**scans, "full_time": half}, FILTER, quick(None))


def bad(scan, kind):
    """A full-time scan that no image of a head can be compared with."""
    array = np.asarray(scan.array)
    if kind == "one hot voxel":
        spoilt = np.zeros_like(array)
        spoilt[1, 1, 1] = 100
    elif kind == "hot edge":
        spoilt = np.where(np.indices(array.shape)[2] < 2, 100, 0) + array / array.max()
    else:
        spoilt = -array - 1
    return scan.like(spoilt.astype(np.float32))


@pytest.mark.parametrize("kind", ["one hot voxel", "hot edge", "all negative"])
@pytest.mark.parametrize("pipeline", ["ours", "paper"])
def test_a_scan_that_cannot_be_compared_with_is_refused_before_any_work(method, scans, monkeypatch, kind, pipeline):
    monkeypatch.setattr("manabi.spect.denoise.denoise_with_filter", lambda *_: pytest.fail("it began to denoise"))
    monkeypatch.setattr(type(method), "_denoise_slices", lambda *_: pytest.fail("it began to denoise"))
    with pytest.raises(InvalidInputError, match=r"^full_time: "):
        method.run({**scans, "full_time": bad(scans["full_time"], kind)}, {**FILTER, "pipeline": pipeline}, quick(None))


@pytest.mark.parametrize(("pipeline", "step"), [("ours", "comparison"), ("paper", "slice_table")])
def test_a_comparison_that_fails_later_does_not_cost_the_denoised_image(method, scans, monkeypatch, pipeline, step):
    def fails(*_):
        raise InvalidInputError("no counts there")

    monkeypatch.setattr(comparison, step, fails)
    found = method.run(scans, {**FILTER, "pipeline": pipeline}, quick(None))
    assert "denoised" in found.volumes and "comparison" not in found.tables
    assert "The comparison with the full-time scan was left out: no counts there" in found.warnings


def test_a_patient_who_moved_is_told(scans):
    matrix = np.array(scans["spect"].ijk_to_ras)
    matrix[:3, 3] += [0.0, 20.0, 0.0]
    context = Context()
    found = comparison.localise(scans["spect"])
    comparison.check_moved(replace(scans["full_time"], ijk_to_ras=matrix), found, context)
    assert len(context.warnings) == 1 and "did not move" in context.warnings[0]
    context = Context()
    comparison.check_moved(scans["full_time"], found, context)
    assert context.warnings == []


# --- difference and chart ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [FILTER, {**FILTER, "pipeline": "paper"}], ids=["ours", "paper"])
def test_the_difference_is_after_minus_before(method, scans, parameters):
    found = method.run(scans["spect"], {**parameters, "quantify": False}, quick(None)).volumes
    before = found.get("input_8bit", scans["spect"])
    assert found["difference"].grid.same_as(found["denoised"].grid)
    assert found["difference"].units == scans["spect"].units
    expected = np.asarray(found["denoised"].array, float) - before.array
    np.testing.assert_allclose(found["difference"].array, expected, atol=1e-3)
    assert found["difference"].array.min() < 0 < found["difference"].array.max()


def test_the_difference_is_taken_from_the_scan_as_it_came(method):
    scan = head(head_grid(5.0))
    scan = scan.like(np.where(np.asarray(scan.array) < 1, np.float32(-2), scan.array))
    found = method.run(scan, {**FILTER, "quantify": False}, quick(None)).volumes
    np.testing.assert_allclose(found["difference"].array, found["denoised"].array - scan.array, atol=1e-3)


def test_the_difference_keeps_its_sign_and_its_zero_in_dicom(tmp_path):
    values = np.random.default_rng(0).normal(0, 3, (5, 24, 26)).astype(np.float32)
    values[2, 3, 4] = 0
    volume = Volume(values, np.diag([3.29, 3.29, 3.29, 1.0]), "NM", "CNTS", "difference")
    files = write_result(Result(volumes={"difference": volume}), tmp_path / "out", image_format="dicom")
    back = read_volume(files["volumes/difference"][0])
    assert back.array[2, 3, 4] == 0
    np.testing.assert_allclose(back.array, values, atol=np.abs(values).max() / 32767)
    assert back.modality == "NM" and back.units == "CNTS"


def test_the_chart_holds_ratios_and_normal_values(method, scans, result):
    chart = result.plots["binding_ratios"]
    norms = load_norms()
    assert chart.kind == "bar"
    assert chart.categories == ("Caudate left", "Caudate right", "Putamen left", "Putamen right")
    assert list(chart.series) == ["before", "after", "full time", *chart.marks]
    for index, (structure, side) in enumerate(REGIONS):
        assert chart.series["before"][1][index] == result.measurements[f"sbr_{structure}_{side}_input"]
        mean, low, high = (chart.series[name][1][index] for name in chart.marks)
        assert (mean, high - mean, mean - low) == pytest.approx(
            (norms.mean[structure], norms.sd[structure], norms.sd[structure]), abs=2e-4
        )
    alone = method.run(scans["spect"], FILTER, quick(None)).plots["binding_ratios"]
    assert list(alone.series) == ["before", "after", *chart.marks]


def test_the_chart_has_the_normal_values_of_the_patients_age(method, scans, tmp_path):
    norms = tmp_path / "norms.json"
    norms.write_text('{"mean": {"caudate": 3, "putamen": 2}, "sd": {"caudate": 1, "putamen": 1}, "source": "x", '
                     '"age_years": 60}', encoding="utf-8")  # fmt: skip
    found = method.run(scans["spect"], {**FILTER, "norms": str(norms), "age_years": 70.0}, quick(None))
    assert found.plots["binding_ratios"].series["normal mean"][1][0] == pytest.approx(3 * (1 - AGE_DECLINE), abs=1e-4)


def test_the_chart_is_written_with_the_regions_names(result, tmp_path):
    files = write_result(result, tmp_path / "out")
    table, record = files["plots/binding_ratios"]
    assert table.name == "binding_ratios_chart.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "series,region,specific binding ratio"
    assert lines[1].startswith("before,Caudate left,")
    assert "categories" in record.read_text(encoding="utf-8")


def test_the_over_correction_alert_is_an_alert_and_where_the_grades_come_from_is_a_note():
    from manabi.plotting.report_page import alerts, notes

    prefixes = registry.method("spect").alert_prefixes
    warnings = ["Over-correction alert: x", "Grades use"]
    assert alerts(Result(warnings=warnings), prefixes) == warnings[:1]
    assert notes(Result(warnings=warnings), prefixes) == warnings[1:]
