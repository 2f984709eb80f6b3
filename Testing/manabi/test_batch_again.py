"""A batch that is run again: which case is which, what is kept, and what is never touched."""

from __future__ import annotations

import os
import shutil

import pytest
from worker_fixtures import image, use_site_methods

from manabi import log
from manabi.batch.folder import BatchFolder
from manabi.batch.names import read_names
from manabi.batch.request import BatchRequest
from manabi.batch.run import run_batch
from manabi.batch.sources import Source
from manabi.errors import InvalidInputError
from manabi.io import read_volume, write_volume
from manabi.io.dicom import write_dicom


@pytest.fixture(autouse=True)
def site(monkeypatch):
    use_site_methods(monkeypatch)
    monkeypatch.setattr(log, "REDACTOR", log.Redactor())


@pytest.fixture
def source(tmp_path):
    """Two cases as files."""
    folder = tmp_path / "source"
    folder.mkdir()
    for index in range(2):
        write_volume(image(index), folder / f"P{index}.nii.gz")
    return folder


def run(source, output, **changes):
    return run_batch(BatchRequest("echo", source, output, device="cpu", **changes))


def means(report):
    return {row.case: row.measurements.get("mean") for row in report.rows}


def gain(factor, seed=0):
    return pytest.approx(float(image(seed).array.mean()) * factor, rel=1e-4)


# --- rows of a table ----------------------------------------------------------------------------------------------


def table(source, *rows):
    (source.parent / "list.csv").write_text("\n".join(("image,gain", *rows)), encoding="utf-8")
    return source.parent / "list.csv"


def test_the_same_image_with_other_settings_is_another_case(source, tmp_path):
    cases = table(source, "source/P0.nii.gz,1", "source/P0.nii.gz,2")
    for kept in (0, 2):
        report = run(cases, tmp_path / "out")
        assert means(report) == {"case-0001": gain(1), "case-0002": gain(2)}
        assert report.kept == kept
    names = (tmp_path / "out" / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert names[0] == "case,image,set:gain" and names[2].endswith("P0.nii.gz,2")


def test_a_row_whose_settings_changed_is_a_new_case_and_the_former_one_stays(source, tmp_path):
    run(table(source, "source/P0.nii.gz,1"), tmp_path / "out")
    assert means(run(table(source, "source/P0.nii.gz,5"), tmp_path / "out")) == {"case-0002": gain(5)}
    assert read_volume(tmp_path / "out" / "case-0001" / "echo.nii.gz").array.mean() == gain(1)
    assert means(run(table(source, "source/P0.nii.gz,1.0"), tmp_path / "out")) == {"case-0001": gain(1)}


def test_rows_that_say_the_same_are_one_case_and_told(source, tmp_path):
    report = run(table(source, "source/P0.nii.gz,1", "source/../source/P0.nii.gz,1.00"), tmp_path / "out")
    assert len(report.rows) == 1 and "1 of the rows repeat another one" in report.notes[0]


# --- cases.csv ------------------------------------------------------------------------------------------------------


def in_excel(text):
    return "\ufeff" + text.replace(",", ";")


@pytest.mark.parametrize("saved", [lambda text: "\ufeff" + text, in_excel, lambda text: text.replace("\n", "\r\n")])
def test_the_names_may_be_saved_again_by_a_spreadsheet_program(source, tmp_path, saved):
    run(source, tmp_path / "out")
    file = tmp_path / "out" / "cases.csv"
    file.write_text(saved(file.read_text(encoding="utf-8")), encoding="utf-8", newline="")
    assert run(source, tmp_path / "out").kept == 2


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "text",
    ["", "name,image\ncase-0001,/x\n", "case,image\n../victim,/x\n", "case,image\n,/x\n", "case,image\na,/x\nA,/y\n"],
)
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_removed(source, tmp_path, text, overwrite):
    run(source, tmp_path / "out")
    shutil.copytree(tmp_path / "out" / "case-0001", tmp_path / "victim")
    (tmp_path / "out" / "cases.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"cases.csv is damaged"):
        run(source, tmp_path / "out", overwrite=overwrite)
    for folder in ("victim", "out/case-0001", "out/case-0002"):
        assert (tmp_path / folder / "result.json").is_file()


def test_results_without_their_names_are_not_given_to_another_case(source, tmp_path):
    run(source, tmp_path / "out")
    (tmp_path / "out" / "cases.csv").unlink()
    with pytest.raises(InvalidInputError, match=r"cases.csv is missing"):
        run(source, tmp_path / "out")


def test_a_file_name_that_is_no_unicode_is_a_case_like_others(source, tmp_path):
    name = os.fsdecode(os.fsencode(source) + b"/caf\xe9.nii.gz")
    try:
        shutil.copy(source / "P1.nii.gz", name)
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    report = run(source, tmp_path / "out", keep_names=True)
    assert means(report) == {"P0": gain(1), "P1": gain(1, 1), "caf_": gain(1, 1)}
    assert run(source, tmp_path / "out", keep_names=True).kept == 3
    assert (("image", name),) in read_names(tmp_path / "out" / "cases.csv")


def test_a_reader_that_cannot_take_such_a_name_says_so(source):
    path = write_volume(image(), source / "x.nrrd")
    name = os.fsdecode(os.fsencode(source) + b"/caf\xe9.nrrd")
    try:
        os.rename(path, name)  # noqa: PTH104
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        read_volume(name)


def test_a_long_name_fits_every_file_system(tmp_path):
    with BatchFolder.opened(tmp_path / "out", {}, False) as folder:
        (case,) = folder.named([Source("\U0001f600" * 90, (("image", "/x"),))], True)
    assert 40 < len(case.name.encode()) <= 255


# --- results that are there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", '{"format": "manabi-result/1"}', '{"format": "manabi-result/0"}', "\x00"])
def test_a_damaged_result_is_made_again_and_the_others_are_kept(source, tmp_path, content):
    run(source, tmp_path / "out")
    (tmp_path / "out" / "case-0001" / "result.json").write_text(content, encoding="utf-8")
    report = run(source, tmp_path / "out")
    assert (report.kept, report.exit_code) == (1, 0)
    assert means(report) == {"case-0001": gain(1), "case-0002": gain(1, 1)}


def test_a_folder_that_took_a_cases_place_is_not_replaced(source, tmp_path):
    run(source, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "case-0001")
    (tmp_path / "out" / "case-0001").mkdir()
    (tmp_path / "out" / "case-0001" / "result.json").write_text('{"weeks": "of work"}', encoding="utf-8")
    assert [row.status for row in run(source, tmp_path / "out").rows] == ["failed", "done"]
    run(source, tmp_path / "out", overwrite=True)
    assert "weeks" in (tmp_path / "out" / "case-0001" / "result.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("record", ["[1]", '{"jobs": 1}', '{"format": "other"}', "{", ""])
def test_a_folder_with_anothers_record_is_not_touched(source, tmp_path, record, overwrite):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "batch.json").write_text(record, encoding="utf-8")
    (tmp_path / "out" / "work.txt").write_text("weeks of work", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"batch.json is not that of a batch"):
        run(source, tmp_path / "out", overwrite=overwrite)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["batch.json", "work.txt"]


@pytest.mark.parametrize("place", ["results", "results/first", "../source/results"])
def test_results_within_the_source_are_no_case_of_the_next_run(source, place):
    for kept in (0, 2):
        report = run(source, source / place)
        assert (len(report.rows), report.kept) == (2, kept)
    assert any("in which the results are written" in note for note in report.notes) == (place == "results/first")


def test_a_source_keeps_its_cases_however_it_is_reached(source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    run(source, tmp_path / "out")
    assert run(tmp_path / "link", tmp_path / "out").kept == 2
    cases = tmp_path / "link" / "list.csv"
    cases.write_text("image\nP0.nii.gz\n../source/P1.nii.gz\n", encoding="utf-8")
    assert run(cases, tmp_path / "out").kept == 2
    assert len(run(tmp_path / "link", source / "out").rows) == 2
    assert run(tmp_path / "link", source / "out").kept == 2


# --- names of patients ------------------------------------------------------------------------------------------------


def test_dicom_files_are_not_named_anywhere(source, tmp_path, capfd):
    shutil.rmtree(source)
    damaged = b"\0" * 128 + b"DICM" + b"junk" * 9
    for name in ("Pat1/SUZUKI_HANAKO_001.dcm", "Kim/SUZUKI_2", "whole/SUZUKI_LOG.dcm"):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_bytes(damaged)
    write_dicom(image(), source / "whole" / "series", None, series_description="x", provenance={})
    report = run(source, tmp_path / "out")
    assert [row.status for row in report.rows] == ["failed", "failed", "done"]
    written = [file for file in report.folder.rglob("*") if file.is_file() and file.name != "cases.csv"]
    assert len(written) > 5
    texts = [file.read_bytes().decode("utf-8", "replace") for file in written] + list(capfd.readouterr())
    assert not any(name in text for text in texts for name in ("SUZUKI", "Kim", "Pat1"))
    assert any("1 damaged DICOM file left out: file 1 of 2 by name" in text for text in texts)
