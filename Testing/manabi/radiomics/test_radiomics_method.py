"""RadiomicsSurvival as a method: every segment measured, under its own name, however the arrays are stored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from radiomics_cases import FAST, tumours

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.geometry import Grid
from manabi.io.results import write_result
from manabi.radiomics.extract import extract
from manabi.radiomics.measure import order_of, placed
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.parameters import RadiomicsParameters, assignments
from manabi.radiomics.presets import preset
from manabi.radiomics.segments import names_in_header, with_names
from manabi.volume import Volume

METHOD = RadiomicsSurvival()
FEATURES = {"task": "features", **FAST}


def run(inputs=None, **parameters):
    return METHOD.run(tumours() if inputs is None else inputs, {**FEATURES, **parameters}, Context(device="cpu"))


@pytest.fixture(scope="module")
def measured():
    return run(segment_names="1=Primary tumour;2=Lymph node 4R (renamed)")


def test_each_segment_has_its_rows_under_its_own_name(measured):
    names = ["Primary tumour", "Lymph node 4R (renamed)"]
    assert measured.tables["key_features"].column("segment") == names
    assert measured.tables["features_wide"].column("segment") == names
    assert [s.name for s in measured.labelmaps["segments"].segments] == names
    tidy = measured.tables["features"]
    assert len(tidy.rows) == 2 * measured.measurements["features"]
    assert set(tidy.column("segment")) == set(names)


def test_the_wide_table_is_numeric_without_blanks_and_says_how_it_was_made(measured):
    table = measured.tables["features_wide"]
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        features = [v for name, v in cells.items() if not name.startswith(("settings_", "version_", "segment"))]
        assert len(features) == measured.measurements["features"] + 1
        assert all(isinstance(v, float) and np.isfinite(v) for v in features)
        settings = json.loads(cells["settings_json"])
        assert settings["mode"] == "ibsi" and settings["resample_mm"] == [2.0, 2.0, 2.0]
        assert cells["settings_preset"] == "default, changed"
        assert cells["version_manabi"] and cells["version_numpy"]


def test_the_numbers_are_those_of_the_library(measured):
    given = tumours()
    wanted = extract(given["image"], given["mask"], replace(preset("default"), resample_mm=2.0), 2).as_dict()
    table = measured.tables["features_wide"]
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert {name: row[name] for name in wanted} == wanted
    assert row["volume_ml"] == pytest.approx(np.count_nonzero(given["mask"].array == 2) * 2 / 1000)


@pytest.mark.parametrize(("axes", "signs"), [((2, 0, 1), (1, -1, 1)), ((1, 2, 0), (-1, 1, -1)), ((0, 1, 2), (1, 1, 1))])
def test_the_order_of_the_axes_does_not_matter_even_for_wavelets(axes, signs):
    given = {name: v.crop((0, 4, 4), (14, 30, 38)) for name, v in tumours().items()}
    turned = {name: v.reoriented(axes, signs) for name, v in given.items()}
    first = run(given, wavelets=True, segments="1", preset="pyradiomics")
    again = run(turned, wavelets=True, segments="1", preset="pyradiomics")
    assert any("wavelet-LLH" in name for name in first.tables["features_wide"].columns)
    assert again.tables == first.tables


def test_slicewise_settings_keep_the_plane_of_acquisition():
    sagittal = Volume(
        np.zeros((4, 6, 8), np.float32), np.array([[0, 0, 5.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    )
    assert order_of(sagittal, flat=True)[0] == (1, 2, 0)
    assert order_of(sagittal, flat=False)[0] == (0, 1, 2)
    mask = sagittal.like(np.pad(np.ones((2, 2, 2), np.uint8), ((1, 1), (2, 2), (3, 3))))
    ready = placed({"image": sagittal}, mask, preset("ibsi-a"))
    assert ready.images["image"].shape == (4, 6, 8)


@pytest.mark.parametrize("wanted", ["Node", "2", " 2 "])
def test_segments_are_chosen_by_name_or_label(wanted):
    result = run(segments=wanted, segment_names="1=Tumour;2=Node")
    assert result.tables["key_features"].column("label") == [2]
    assert set(np.unique(result.labelmaps["segments"].volume.array)) == {0, 2}


def test_names_come_with_the_mask_or_from_a_file(tmp_path):
    given = tumours()
    named = {**given, "mask": with_names(given["mask"], {1: "Carried", 2: "Along"})}
    assert run(named).tables["key_features"].column("segment") == ["Carried", "Along"]
    file = tmp_path / "a.labels.json"
    file.write_text(json.dumps({"labels": [{"label": 2, "name": "From file"}]}), encoding="utf-8")
    assert run(labels_file=str(file)).tables["key_features"].column("segment") == ["segment 1", "From file"]


def test_the_header_of_a_segmentation_tells_its_names():
    head = "NRRD0004\nSegment0_ID:=Segment_1\nSegment0_LabelValue:=1\nSegment0_Name:=Tumour ü\n".encode()
    assert names_in_header(head) == {1: "Tumour ü"}


def test_a_second_image_adds_features_under_its_prefix():
    given = tumours()
    other = given["image"].like(np.asarray(given["image"].array) * 0.5)
    result = run({**given, "second": other}, segments="1")
    columns = result.tables["features_wide"].columns
    assert "second-original_glcm_Contrast" in columns
    assert set(result.tables["features"].column("image")) == {"image", "second"}


def test_a_mask_on_another_grid_is_brought_over_with_an_alert():
    given = tumours()
    finer = Grid((28, 34, 40), given["mask"].ijk_to_ras @ np.diag([1.0, 1.0, 0.5, 1.0]))
    result = run({**given, "mask": given["mask"].resampled(finer, "nearest")}, segments="1")
    assert any(w.startswith("Check the segments") for w in result.warnings)
    assert result.labelmaps["segments"].volume.grid.same_as(given["image"].grid)


def test_one_segment_that_cannot_be_measured_does_not_stop_the_others():
    given = tumours()
    labels = np.array(given["mask"].array)
    image = np.array(given["image"].array)
    labels[0, 0, 0] = 3
    image[0, 0, 0] = 5000
    result = run({"image": given["image"].like(image), "mask": given["mask"].like(labels)}, preset="ibsi-a")
    assert result.tables["key_features"].column("label") == [1, 2]
    assert any(w.startswith("No features of segment 3") for w in result.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segments": "liver"}, "no segment 'liver'.*segment 1"),
        ({"segment_names": "1=A;2=A"}, "Two segments are called 'A'"),
        ({"segment_names": "one=A"}, "LABEL=name"),
        ({"bin_width": 5.0, "bin_count": 8}, "either bin_width or bin_count"),
        ({"task": "fit"}, "two tables"),
        ({"labels_file": "nowhere.json"}, "labels_file cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    with pytest.raises(InvalidInputError, match=message):
        run(**change)


def test_a_run_without_a_mask_says_what_is_missing():
    with pytest.raises(InvalidInputError, match=r"missing: mask.*Choose"):
        run({"image": tumours()["image"]})


def test_assignments_may_hold_commas_where_semicolons_part_them():
    assert assignments("a=1, b=2", "x") == {"a": "1", "b": "2"}
    assert assignments("a=1,5; b=x", "x") == {"a": "1,5", "b": "x"}


def test_a_cancelled_extraction_gives_nothing():
    context = Context(device="cpu")
    context.on_progress = lambda fraction, text: context.cancel.set() if fraction > 0.3 else None
    with pytest.raises(CancelledError):
        METHOD.run(tumours(), FEATURES, context)


def test_settings_are_checked_when_they_are_given():
    assert RadiomicsParameters(preset="ibsi-c").extraction().bin_width == 25.0
    assert RadiomicsParameters(bin_count=16).extraction().bin_count == 16
    with pytest.raises(InvalidInputError, match="preset must be one of"):
        RadiomicsParameters(preset="nosuch")


def test_everything_is_written_with_figure_and_report(measured, tmp_path):
    files = write_result(measured, tmp_path / "out", method=METHOD, inputs=tumours())
    assert [path.name for path in files["figures"]] == ["features.png"]
    page, pdf = files["radiomics/report"]
    text = page.read_text(encoding="utf-8")
    assert "Lymph node 4R (renamed)" in text and "<script" not in text
    assert pdf.read_bytes().startswith(b"%PDF")
    head = (tmp_path / "out" / "features_wide.csv").read_text(encoding="utf-8").splitlines()
    assert len(head) == 3 and head[0].startswith("segment,settings_label")
