"""Chests as SliceMarker learns from them: prepared planes, a site's table with its four kinds of labels, splits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_chests import SLICE_MM, TINY, chest, chest_rows, numbered, write_series, write_table

from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.slices.prepare import Preparer
from manabi.slices.stack import AxialStack
from Training import slices_table
from Training.slices_data import STEP_MM, load, reduce_case, save, spread, to_bytes, to_hu
from Training.slices_split import open_split, write_splits
from Training.slices_table import open_table, read_labels

MARKS = ("apex", "carina", "diaphragm")


# --- prepared planes --------------------------------------------------------------------------------------------------


def test_planes_lie_every_2_mm_and_keep_the_grey_values():
    volume, truth = chest()
    case = reduce_case(volume, truth, TINY.input(), "c")
    assert case.planes.shape == (148, 32, 32) and case.planes.dtype == np.uint8
    assert case.slice_mm == pytest.approx(SLICE_MM) and case.z_mm[0] == pytest.approx(-150.0)
    np.testing.assert_allclose(np.diff(case.z_mm), STEP_MM)
    exact = Preparer(AxialStack.of(volume), TINY.input()).planes(case.z_mm[[10, 70]])
    np.testing.assert_allclose(to_hu(case.planes[[10, 70]].astype(float)), exact, atol=3.1)


def test_eight_bits_hold_air_and_soft_tissue():
    hu = np.array([-1024.0, -850.0, 40.0, 500.0, 3000.0, -3000.0])
    np.testing.assert_allclose(to_hu(to_bytes(hu).astype(float)), [-1024, -850, 40, 500, 500, -1024], atol=3.1)


def test_a_case_comes_back_as_it_was_written(tmp_path):
    case = replace(numbered(truth=(np.inf, 100.0, np.nan)), pathology="emphysema")
    save(case, tmp_path / "c.npz")
    again = load(tmp_path / "c.npz")
    np.testing.assert_array_equal(again.planes, case.planes)
    np.testing.assert_array_equal(again.truth, case.truth)
    assert (again.name, again.slice_mm, again.pathology) == ("n", 4.0, "emphysema")
    (tmp_path / "c.npz").write_bytes(b"PK nothing")
    with pytest.raises(InvalidInputError, match=r"c\.npz is damaged"):
        load(tmp_path / "c.npz")


def test_a_part_of_an_image_lacks_what_lies_beyond():
    case = numbered(truth=(180.0, 100.0, 20.0))
    assert case.absent_beyond(50.0, 150.0) == (np.inf, 100.0, -np.inf)
    assert np.isnan(numbered(truth=(180.0, np.nan, 20.0)).absent_beyond(50.0, 150.0)[1])


def test_every_job_is_done(tmp_path):
    done = []
    spread(done.append, [3, 1, 2], processes=2)
    assert done == [3, 1, 2]


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A chest as a DICOM series with InstanceNumbers from the head, and each slice's UID from the feet."""
    folder = tmp_path_factory.mktemp("series")
    volume, truth = chest(3)
    uids = [f"1.2.9.{k}" for k in range(60)]
    write_series(folder / "ct", volume, range(60, 0, -1), uids)
    index = [int(np.abs(-150.0 + SLICE_MM * np.arange(60) - t).argmin()) for t in truth]
    return folder, index, uids


def prepared(folder, row, tmp_path):
    """The one case of a table with this row."""
    (case,) = read_labels(write_table(folder, [row], f"{tmp_path.name}.csv"))
    job = replace(case, prepared=tmp_path / "case.npz")
    slices_table.prepare_labelled((job, TINY.input()))
    return load(job.prepared)


@pytest.mark.parametrize("kind", ["slice", "instance", "uid", "mm"])
def test_four_ways_to_name_a_slice_say_the_same(series, kind, tmp_path):
    folder, index, uids = series
    cell = {
        "slice": str, "instance": lambda k: str(60 - k), "uid": uids.__getitem__,
        "mm": lambda k: f"{-150 + SLICE_MM * k:g}",
    }[kind]  # fmt: skip
    row = {"case": "a", "image": "ct", **{f"{m}_{kind}": cell(k) for m, k in zip(MARKS, index, strict=True)}}
    case = prepared(folder, row, tmp_path)
    np.testing.assert_allclose(case.truth, -150.0 + SLICE_MM * np.array(index), atol=1e-6)
    assert "ct" not in (case.name, case.pathology)


def test_slices_are_counted_along_the_files_own_axis(tmp_path):
    volume, _ = chest()
    flipped = volume.like(volume.array[::-1].copy())
    matrix = np.array(volume.ijk_to_ras)
    matrix[:3, 3] += matrix[:3, 2] * 59
    matrix[:3, 2] *= -1
    write_volume(replace(flipped, ijk_to_ras=matrix), tmp_path / "flipped.nrrd")
    row = {"case": "a", "image": "flipped.nrrd", "apex_slice": 9, "carina_slice": 25, "diaphragm_slice": 45}
    case = prepared(tmp_path, row, tmp_path)
    np.testing.assert_allclose(case.truth, [145 - 45, 145 - 125, 145 - 225])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("", "30", "-80"), (np.inf, 30, -80)),
        (("100", "", ""), (100, -np.inf, -np.inf)),
        (("", "30", ""), (np.inf, 30, -np.inf)),
        (("?", "30", "?"), (np.nan, 30, np.nan)),
        (("100", "?", "-80"), (100, np.nan, -80)),
    ],
)
def test_empty_cells_say_above_or_below_and_question_marks_nothing(tmp_path, cells, expected):
    volume, _ = chest()
    write_volume(volume, tmp_path / "a.nrrd")
    row = {"case": "a", "image": "a.nrrd", **{f"{m}_mm": c for m, c in zip(MARKS, cells, strict=True)}}
    np.testing.assert_array_equal(prepared(tmp_path, row, tmp_path).truth, expected)


def test_a_marker_without_a_column_is_unknown(tmp_path):
    volume, _ = chest()
    write_volume(volume, tmp_path / "a.nrrd")
    case = prepared(tmp_path, {"case": "a", "image": "a.nrrd", "carina_mm": "30"}, tmp_path)
    np.testing.assert_array_equal(case.truth, [np.nan, 30.0, np.nan])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"apex_mm": "high", "carina_mm": "30"}, r"Row 2 \(case a\), apex_mm: expected a number.*got 'high'"),
        ({"apex_slice": "7.5", "carina_mm": "30"}, r"Row 2 \(case a\), apex_slice: expected a whole number"),
        ({"apex_mm": "", "carina_mm": ""}, r"Row 2 \(case a\): none of the markers is given"),
        ({"apex_mm": "100", "carina_mm": "", "diaphragm_mm": "-80"}, r"carina is empty.*between apex and diaphragm"),
        ({"apex_mm": "100", "apex_slice": "50"}, r"apex is given twice, in apex_slice and apex_mm"),
        ({"apex": "100"}, r"The table has no marker: expected columns like apex_slice"),
    ],
)
def test_labels_that_cannot_be_read_are_refused_before_any_image_is(tmp_path, cells, message):
    (tmp_path / "a.nrrd").write_bytes(b"not read")
    with pytest.raises(InvalidInputError, match=message):
        read_labels(write_table(tmp_path, [{"case": "a", "image": "a.nrrd", **cells}]))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"apex_mm": "-80", "carina_mm": "30"}, r"apex_mm and carina_mm: lung apex \(-80.0 mm\) must lie above"),
        ({"apex_mm": "400", "carina_mm": "30"}, r"apex_mm: the image reaches from -150.0 to 145.0 mm; got 400"),
        ({"apex_slice": "60"}, r"apex_slice: the image has the slices 0 to 59, counted from 0; got 60"),
        ({"apex_instance": "60"}, r"apex_instance: expected a DICOM series with one file per slice"),
    ],
)
def test_labels_that_do_not_fit_the_image_are_refused(tmp_path, cells, message):
    volume, _ = chest()
    write_volume(volume, tmp_path / "a.nrrd")
    with pytest.raises(InvalidInputError, match=r"Row 2 \(case a\), " + message):
        prepared(tmp_path, {"case": "a", "image": "a.nrrd", **cells}, tmp_path)


@pytest.mark.parametrize(("column", "value"), [("instance", "77"), ("uid", "1.2.3")])
def test_instances_that_are_not_in_the_series_are_refused_without_their_uid(series, column, value, tmp_path):
    folder, *_ = series
    with pytest.raises(InvalidInputError, match="no slices of the series") as caught:
        prepared(folder, {"case": "a", "image": "ct", f"apex_{column}": value}, tmp_path)
    assert "1.2.3" not in str(caught.value)


def test_images_that_are_no_ct_are_refused(tmp_path):
    volume, _ = chest()
    write_volume(volume.like(np.asarray(volume.array) + 1100), tmp_path / "a.nrrd")
    with pytest.raises(InvalidInputError, match=r"Row 2 \(case a\), image: expected a chest CT in Hounsfield units"):
        prepared(tmp_path, {"case": "a", "image": "a.nrrd", "carina_mm": "30"}, tmp_path)


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Five chests and their rows."""
    folder = tmp_path_factory.mktemp("cohort")
    return folder, chest_rows(folder)


def test_a_table_is_split_by_patient_and_prepared_once(cohort, tmp_path, monkeypatch):
    folder, rows = cohort
    grouped = [{**row, "group": f"p{min(i, 3)}"} for i, row in enumerate(rows)]
    table = write_table(folder, grouped, "grouped.csv")
    split = open_table(table, TINY, tmp_path)
    assert sorted(len(part) for part in (split.training, split.validation, split.test)) in ([1, 1, 3], [1, 2, 2])
    homes = {case.name: part for part in ("training", "validation", "test") for case in getattr(split, part)}
    assert homes["c3"] == homes["c4"] and split.patient("c4") == "p3" and not split.simulated
    monkeypatch.setattr(slices_table, "prepare_labelled", None)
    again = open_split(str(table), TINY, tmp_path)
    assert [case.name for case in again.all] == [case.name for case in split.all]
    write_splits(split, tmp_path / "splits.json")
    record = json.loads((tmp_path / "splits.json").read_text())
    assert sum(len(record[part]["cases"]) for part in ("training", "validation", "test")) == 5
    assert str(folder) not in (tmp_path / "splits.json").read_text()


def test_changed_labels_are_prepared_anew(cohort, tmp_path):
    folder, rows = cohort
    split = ["training", "training", "training", "validation", "test"]
    fixed = [{**row, "split": s} for row, s in zip(rows, split, strict=True)]
    before = open_table(write_table(folder, fixed, "before.csv"), TINY, tmp_path)
    fixed[0]["apex_mm"] = "90"
    after = open_table(write_table(folder, fixed, "after.csv"), TINY, tmp_path)
    assert [case.name for case in after.validation] == ["c3"]
    assert after.training[0].truth[0] == 90.0 != before.training[0].truth[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": "p"}, "These patients are in more than one split: p"),
        ({"image": "chest-0.nrrd"}, r"c0 \(training\) and c4 \(test\) hold the same pixels"),
    ],
)
def test_what_is_trained_on_is_not_tested_on(cohort, tmp_path, change, message):
    folder, rows = cohort
    split = ["training", "training", "training", "validation", "test"]
    changed = [{**row, "group": row["case"], "split": s} for row, s in zip(rows, split, strict=True)]
    changed[4].update(change)
    if "group" in change:
        changed[0].update(change)
    with pytest.raises(InvalidInputError, match=message):
        open_table(write_table(folder, changed, "leak.csv"), TINY, tmp_path)


def test_every_split_needs_a_case(cohort, tmp_path):
    folder, rows = cohort
    table = write_table(folder, [{**row, "split": "training"} for row in rows], "one.csv")
    with pytest.raises(InvalidInputError, match="The split 'validation' has no case"):
        open_table(table, TINY, tmp_path)


@pytest.mark.parametrize("data", ["phantoms:1", "phantoms:a:9", "phantoms:1:2"])
def test_phantoms_that_cannot_be_counted_are_refused(data, tmp_path):
    with pytest.raises(InvalidInputError, match="Expected phantoms:SEED:COUNT"):
        open_split(data, TINY, tmp_path)
