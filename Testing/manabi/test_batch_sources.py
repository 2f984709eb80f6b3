"""Where the cases of a batch come from: folders, patterns, DICOM, tables."""

from __future__ import annotations

import shutil

import pytest
from worker_fixtures import image, use_site_methods

from manabi import registry
from manabi.batch.folder import BatchFolder
from manabi.batch.sources import Source, find_cases
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.io.dicom import write_dicom


@pytest.fixture(autouse=True)
def site(monkeypatch):
    use_site_methods(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "source"
    made.mkdir()
    return made


def found(folder, method="echo", patterns=None, output=None):
    return find_cases(folder, registry.method(method), patterns or {}, output or folder.parent / "out")


def inputs_of(case):
    return {name: path.rpartition("source/")[2] for name, path in case.inputs}


def test_a_file_or_a_sub_folder_is_a_case_and_the_output_is_none(folder):
    write_volume(image(), folder / "b.nrrd")
    write_volume(image(), folder / "a" / "scan.nii.gz")
    (folder / "readme.txt").write_text("x", encoding="utf-8")
    (folder / "out").mkdir()
    (folder / ".hidden").mkdir()
    result = found(folder, output=folder / "out")
    assert [inputs_of(case) for case in result.cases] == [{"image": "a/scan.nii.gz"}, {"image": "b.nrrd"}]
    assert result.left_out == 1


def test_files_named_after_the_inputs_are_taken(folder):
    for name in ("ct", "mr", "other"):
        write_volume(image(), folder / "a" / f"{name}.nii.gz")
    assert inputs_of(found(folder, "pair").cases[0]) == {"ct": "a/ct.nii.gz", "mr": "a/mr.nii.gz"}


def test_several_images_without_a_pattern_are_a_case_that_fails_with_a_remedy(folder):
    for name in ("one", "two"):
        write_volume(image(), folder / "a" / f"{name}.nii.gz")
    assert "--pattern 'image=*.nii.gz'" in found(folder).cases[0].problem


def test_patterns_choose_the_inputs_of_every_case(folder):
    for case in ("a", "b"):
        for name in ("kvct_1", "mri_1"):
            write_volume(image(), folder / case / "deep" / f"{name}.nii.gz")
    shutil.rmtree(folder / "b" / "deep")
    write_volume(image(), folder / "b" / "deep" / "kvct_9.nii.gz")
    (folder / "c").mkdir()
    cases = found(folder, "pair", {"ct": "**/kvct*.nii.gz", "mr": "**/mri*.nii.gz"}).cases
    assert inputs_of(cases[0]) == {"ct": "a/deep/kvct_1.nii.gz", "mr": "a/deep/mri_1.nii.gz"}
    assert inputs_of(cases[1]) == {"ct": "b/deep/kvct_9.nii.gz"}
    assert "found 0" in cases[2].problem


def test_a_dicom_folder_is_a_case(folder):
    write_dicom(image(), folder / "patient" / "study", None, series_description="x", provenance={})
    assert inputs_of(found(folder).cases[0]) == {"image": "patient"}


def test_dicom_files_without_suffix_are_cases_unless_they_are_one_series(folder):
    for name in ("a", "b"):
        written = write_dicom(image(), folder.parent / name, None, series_description="x", provenance={})
        shutil.copy(written[0], folder / name)
    assert [case.title for case in found(folder).cases] == ["a", "b"]
    ct = image(modality="CT", units="HU")
    for path in write_dicom(ct, folder.parent / "ct", None, series_description="x", provenance={}):
        shutil.copy(path, folder / path.name)
    with pytest.raises(InvalidInputError, match="slices of a DICOM series"):
        found(folder)


def test_a_table_names_inputs_settings_and_cases(folder):
    write_volume(image(), folder / "x é.nii.gz")
    table = folder / "cases.csv"
    table.write_text("case;ct;mr;age;gain\nTanaka;x é.nii.gz;;71;2\n;x é.nii.gz;/y.nrrd;;\n;;;;\n", "utf-8-sig")
    cases = found(table, "pair").cases
    assert [case.title for case in cases] == ["Tanaka", "x é"]
    assert inputs_of(cases[0]) == {"ct": "x é.nii.gz"}
    assert inputs_of(cases[1]) == {"ct": "x é.nii.gz", "mr": "/y.nrrd"}
    assert (cases[0].settings, cases[1].settings) == (("gain=2",), ())


@pytest.mark.parametrize("head", ["sep=;\n", '"sep=;"\n', ""])
def test_a_table_as_excel_writes_it_is_read(folder, head):
    write_volume(image(), folder / "a.nii.gz")
    text = f'{head}CT;Gain;note\na.nii.gz;2;"with; all\nof it, and, commas"\n'
    (folder / "cases.csv").write_text(text, "utf-8-sig")
    (case,) = found(folder / "cases.csv", "pair").cases
    assert inputs_of(case) == {"ct": "a.nii.gz"} and case.settings == ("gain=2",)


@pytest.mark.parametrize("head", ["ct,ct", "CT,Ct"])
def test_a_table_with_two_columns_for_one_input_is_refused(folder, head):
    (folder / "cases.csv").write_text(f"{head}\na.nii,b.nii\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="2 columns ct"):
        found(folder / "cases.csv", "pair")
    (folder / "cases.csv").write_text("CT,ct\na.nii,b.nii\n", encoding="utf-8")
    assert inputs_of(found(folder / "cases.csv", "pair").cases[0]) == {"ct": "b.nii"}


def test_links_to_what_is_not_there_are_counted(folder):
    for name in ("ghost.nii.gz", "ghost"):
        (folder / name).symlink_to(folder / "nowhere")
    with pytest.raises(InvalidInputError, match="holds no case.*2 entries of the source could not be read"):
        found(folder)
    write_volume(image(), folder / "a.nii.gz")
    assert "2 entries" in found(folder).notes[0] and len(found(folder).cases) == 1


def test_a_row_without_its_input_fails_and_a_table_without_the_column_is_refused(folder):
    table = folder / "cases.csv"
    table.write_text("ct,mr\n,b.nii\n", encoding="utf-8")
    assert "no file for ct" in found(table, "pair").cases[0].problem
    table.write_text("scan,mr\na.nii,b.nii\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"no column ct.*scan, mr.*Name them after the inputs: ct, mr"):
        found(table, "pair")


@pytest.mark.parametrize("kind", ["empty", "missing", "image"])
def test_what_is_no_source_is_refused(folder, kind):
    path = folder if kind == "empty" else folder / "x.nii.gz"
    if kind == "image":
        write_volume(image(), path)
    with pytest.raises(InvalidInputError, match="no case|no file or folder|neither a folder, nor a CSV"):
        found(path)


def test_names_keep_to_their_sources_and_never_clash(tmp_path):
    titles = ["a/b", "A_B", "con", "", " x. ", "batch.csv"]
    sources = [Source(title, (("image", f"/{index}"),)) for index, title in enumerate(titles)]
    with BatchFolder.opened(tmp_path / "out", {}, False) as folder:
        names = [case.name for case in folder.named(sources, True)]
        assert names == ["a_b", "A_B-2", "_con", "case", "x", "_batch.csv"]
        assert [case.name for case in folder.named(sources[::-1], True)] == names[::-1]
        assert len(folder.named([sources[0], sources[0]], True)) == 1
