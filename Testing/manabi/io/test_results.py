"""The result writer: whole folders or nothing, in formats that other software reads."""

from __future__ import annotations

import csv
import errno
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manabi.errors import InvalidInputError, ManabiError
from manabi.io.atomic import atomic_file, atomic_folder
from manabi.io.files import read_volume
from manabi.io.labels import seg_nrrd_metadata, slim, terminology_entry
from manabi.io.results import read_result_json, to_json, write_result
from manabi.io.tables import plain, slug, write_table
from manabi.result import LEFT, RIGHT, Code, Labelmap, Landmark, Plot, Result, Segment, Table
from manabi.volume import Volume

PUTAMEN = Code("89278009", "SCT", "Putamen")
SHAPE = (4, 5, 6)


def place() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (17, -9, 28), degrees=True).as_matrix() * (-0.8, 1.1, 2.5)
    matrix[:3, 3] = (-31.0, 12.5, 177.0)
    return matrix


def labelmap(dtype=np.int64) -> Labelmap:
    array = np.zeros(SHAPE, dtype)
    array[1:3, 2, 1:5] = 2
    array[3, 4, 5] = 300 if np.dtype(dtype).itemsize > 1 else 41
    second = int(array.max())
    segments = (
        Segment(2, "Left | putamen", (0.1, 0.5, 1.0), PUTAMEN, laterality=LEFT),
        Segment(second, "Right putamen", (1.0, 0.5, 0.25), PUTAMEN, laterality=RIGHT),
        Segment(77, "Empty", (0.0, 0.0, 0.0), Code("91723000", "SCT", "Anatomical structure")),
    )
    return Labelmap(Volume(array, place(), name="striatum"), segments)


def whole_result() -> Result:
    image = Volume(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), place(), modality="NM", units="CNTS")
    return Result(
        volumes={"denoised": image, "Uncertainty σ": image.like(image.array * 2)},
        labelmaps={"striatum": labelmap()},
        landmarks={"a": Landmark("Left putamen", (10.0, -20.0, 30.0), 0.91, "centre"), "b": Landmark("B", (1, 2, 3))},
        tables={"binding": Table(("side", "ratio"), (("被殻, left", 0.1), ("right", None), ("x", np.float64(2.5))))},
        plots={"profile": Plot("Profile", "mm", "counts", {"before": ([0.0, 1.0], [5.0, 6.5])})},
        measurements={"binding_ratio": 1.25, "unknown": None, "lost": float("nan"), "n": np.int64(3)},
        warnings=["something was assumed"],
        provenance={"manabi": "0.1.0", "method": "spect", "bundle": {"name": "striatum-unet"}, "seed": 7},
    )


class Drawing:
    """A method that draws one figure, or fails at it."""

    name = "drawing"

    def __init__(self, error: Exception | None = None, outside: Path | None = None) -> None:
        self.error, self.outside = error, outside

    def draw(self, inputs, result, folder) -> list[Path]:
        path = (self.outside or folder) / "figure.png"
        path.write_bytes(b"png")
        if self.error:
            raise self.error
        return [path]

    def export(self, inputs, result, folder, image_format) -> dict[str, list[Path]]:
        return {}


# --- the folder ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("image_format", "suffix"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_everything_is_written_and_images_lie_in_place(tmp_path, image_format, suffix):
    result = whole_result()
    folder = tmp_path / "Ergebnis é 結果"
    files = write_result(result, folder, image_format=image_format, method=Drawing(), inputs={})
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    labels = {"striatum.nii.gz", "striatum.labels.json"} if image_format == "nifti" else {"striatum.seg.nrrd"}
    assert names == labels | {
        f"denoised{suffix}", f"uncertainty{suffix}", "landmarks.mrk.json", "landmarks.csv", "binding.csv",
        "profile.csv", "profile.json", "figures/figure.png", "measurements.json", "result.json",
    }  # fmt: skip
    listed = [p for value in files.values() for p in (value if isinstance(value, list) else [value])]
    assert {p.relative_to(folder).as_posix() for p in listed if p != folder} == names
    back = read_volume(files["volumes/denoised"])
    np.testing.assert_array_equal(back.array, result.volumes["denoised"].array)
    np.testing.assert_allclose(back.ijk_to_ras, place(), atol=2e-5)
    marks = read_volume(files["labelmaps/striatum"])
    np.testing.assert_array_equal(marks.array, labelmap().volume.array)
    assert marks.array.dtype == np.int16
    assert marks.grid.is_left_handed
    assert list(tmp_path.iterdir()) == [folder]


def test_result_json_is_complete_and_relative(tmp_path):
    result = whole_result()
    write_result(result, tmp_path / "out")
    content = read_result_json(tmp_path / "out")
    assert content == read_result_json(tmp_path / "out" / "result.json")
    assert content["outputs"]["volumes"] == {"denoised": "denoised.nii.gz", "Uncertainty σ": "uncertainty.nii.gz"}
    assert content["outputs"]["plots"]["profile"] == ["profile.csv", "profile.json"]
    assert content["measurements"] == {"binding_ratio": 1.25, "unknown": None, "lost": None, "n": 3}
    assert content["warnings"] == result.warnings
    assert content["provenance"] == result.provenance
    assert str(tmp_path) not in (tmp_path / "out" / "result.json").read_text(encoding="utf-8")


def test_to_json_names_real_paths_and_works_without_files(tmp_path):
    result = whole_result()
    files = write_result(result, tmp_path / "out", draw=False)
    content = json.loads(json.dumps(to_json(result, files), allow_nan=False))
    assert Path(content["outputs"]["volumes"]["denoised"]).is_file()
    assert Path(content["outputs"]["folder"]).is_dir()
    assert to_json(result)["outputs"] == {}


def test_the_headers_carry_the_provenance(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    files = write_result(whole_result(), tmp_path / "a")
    header = nibabel.load(files["volumes/denoised"]).header
    assert header["descrip"].item() == b"Manabi 0.1.0 spect striatum-unet"
    files = write_result(whole_result(), tmp_path / "b", image_format="nrrd")
    line = next(x for x in header_lines(files["volumes/denoised"]) if x.startswith("Manabi_Provenance:="))
    assert json.loads(line.partition(":=")[2]) == whole_result().provenance


def test_keys_that_make_the_same_name_get_their_own_files(tmp_path):
    image = whole_result().volumes["denoised"]
    result = Result(volumes={"A b": image, "a-b": image, "画像": image, "result": image}, labelmaps={"a b": labelmap()})
    files = write_result(result, tmp_path / "out")
    names = [files[f"volumes/{key}"].name for key in result.volumes] + [files["labelmaps/a b"].name]
    assert names == ["a-b.nii.gz", "a-b-2.nii.gz", "output.nii.gz", "result-2.nii.gz", "a-b-3.nii.gz"]


def test_an_empty_result_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="empty"):
        write_result(Result(warnings=["w"]), tmp_path / "out")
    with pytest.raises(InvalidInputError, match="nifti, nrrd or dicom"):
        write_result(whole_result(), tmp_path / "out", image_format="jpeg")
    assert not list(tmp_path.iterdir())


def test_dicom_volumes_go_to_their_own_writer(tmp_path, monkeypatch):
    seen = {}

    def write_dicom(volume, folder, *, reference, series_description, provenance):
        seen.update(reference=reference, description=series_description, provenance=provenance)
        folder.mkdir()
        (folder / "1.dcm").write_bytes(b"x")
        return [folder / "1.dcm"]

    monkeypatch.setitem(sys.modules, "manabi.io.dicom", types.SimpleNamespace(write_dicom=write_dicom))
    result = whole_result()
    result.volumes = {"denoised": result.volumes["denoised"].like(result.volumes["denoised"].array, source="origin")}
    files = write_result(result, tmp_path / "out", image_format="dicom")
    assert files["volumes/denoised"] == [tmp_path / "out" / "denoised" / "1.dcm"]
    assert files["labelmaps/striatum"].name == "striatum.seg.nrrd"
    assert seen == {"reference": "origin", "description": "Manabi denoised", "provenance": result.provenance}


# --- nothing remains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_remains_after_a_failing_write(tmp_path, overwrite):
    folder = tmp_path / "deep" / "out"
    if overwrite:
        write_result(whole_result(), folder)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for error in (ValueError("boom"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_result(whole_result(), folder, method=Drawing(error), inputs={}, overwrite=overwrite)
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert overwrite or not list(tmp_path.iterdir())


def test_a_figure_outside_the_folder_is_an_error(tmp_path):
    with pytest.raises(InvalidInputError, match="outside"):
        write_result(whole_result(), tmp_path / "out", method=Drawing(outside=tmp_path), inputs={})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "is full"), (errno.EFBIG, "takes no file that large")], ids=["full", "large"]
)
def test_a_full_disk_is_said_plainly(tmp_path, monkeypatch, number, words):
    def full(_descriptor):
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ManabiError, match="disk of") as caught:
        write_result(whole_result(), tmp_path / "out")
    assert f"The disk of {tmp_path} {words}" in str(caught.value)  # not of a folder aside that is gone already
    assert not list(tmp_path.iterdir())


def test_a_taken_folder_is_kept_unless_overwriting(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    write_result(whole_result(), folder)
    (folder / "mine.txt").write_text("work", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="exists already"):
        write_result(whole_result(), folder)
    assert (folder / "mine.txt").exists()
    write_result(whole_result(), folder, image_format="nrrd", overwrite=True)
    assert not (folder / "mine.txt").exists()
    assert not (folder / "denoised.nii.gz").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_former_folder_comes_back_when_the_swap_fails(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").write_bytes(b"1")
    replace = Path.replace

    def fail_into_place(self, target):
        if Path(target) == folder and (self / "new").exists():
            raise OSError(errno.EIO, "input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_into_place)
    with pytest.raises(OSError, match="input/output"), atomic_folder(folder, overwrite=True) as aside:
        (aside / "new").write_bytes(b"2")
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["out", "out/old"]


def test_atomic_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.nii.gz"
    with pytest.raises(RuntimeError, match="boom"), atomic_file(path) as aside:
        aside.write_bytes(b"half")
        raise RuntimeError("boom")
    assert not list(tmp_path.iterdir())
    with atomic_file(path) as aside:
        assert aside.name.endswith(".nii.gz")
        aside.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    with pytest.raises(InvalidInputError, match="exists already"), atomic_file(path):
        pass
    with atomic_file(path, overwrite=True) as aside:
        aside.write_bytes(b"newer")
    assert path.read_bytes() == b"newer"
    assert [p.name for p in path.parent.iterdir()] == ["a.nii.gz"]


def test_a_forbidden_place_is_said_plainly(tmp_path, monkeypatch):
    def forbidden(self, **_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(InvalidInputError, match="Not allowed"), atomic_file(tmp_path / "a" / "b.json"):
        pass


# --- label maps ------------------------------------------------------------------------------------------


def header_lines(path: Path) -> list[str]:
    return path.read_bytes().partition(b"\n\n")[0].decode("utf-8").splitlines()


def test_seg_nrrd_has_the_keys_slicer_reads(tmp_path):
    files = write_result(whole_result(), tmp_path / "out", image_format="nrrd")
    keys = dict(x.split(":=", 1) for x in header_lines(files["labelmaps/striatum"]) if ":=" in x)
    assert keys["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert keys["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    first = {key.removeprefix("Segment0_"): value for key, value in keys.items() if key.startswith("Segment0_")}
    assert first == {
        "ID": "Segment_2", "Name": "Left putamen", "NameAutoGenerated": "0", "Color": "0.1 0.5 1",
        "ColorAutoGenerated": "0", "LabelValue": "2", "Layer": "0", "Extent": "1 4 2 2 1 2",
        "Tags": "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - DICOM master list"
        "~SCT^123037004^Anatomical Structure~SCT^89278009^Putamen~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~^^~^^|",
    }  # fmt: skip
    assert keys["Segment1_LabelValue"] == "300"
    assert keys["Segment1_Extent"] == "5 5 4 4 3 3"
    assert keys["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert "space: left-posterior-superior" in header_lines(files["labelmaps/striatum"])


def test_codes_cannot_break_the_terminology_entry():
    entry = terminology_entry(Segment(1, "x", (0, 0, 0), Code("1", "SCT", "a~b^c|d")))
    assert entry.count("~") == 6
    assert "~SCT^1^a b c d~^^~" in entry


def test_every_segment_of_a_small_label_map_is_listed():
    keys = seg_nrrd_metadata(labelmap(np.uint8))
    assert [keys[f"Segment{n}_LabelValue"] for n in range(3)] == ["2", "41", "77"]


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 255], np.uint8), ([0, 256], np.int16), ([-1, 5], np.int16), ([0, 40000], np.uint16),
                          ([0, 70000], np.int32), ([False, True], np.uint8)],
)  # fmt: skip
def test_label_values_take_the_smallest_common_type(values, dtype):
    found = slim(Volume(np.array(values)[None, None], place()))
    assert found.array.dtype == dtype
    assert found.array.ravel().tolist() == values


def test_label_values_beyond_32_bits_are_refused():
    with pytest.raises(InvalidInputError, match="Renumber"):
        slim(Volume(np.array([[[0, 2**40]]]), place()))


def test_nifti_labels_have_their_names_beside_them(tmp_path):
    files = write_result(whole_result(), tmp_path / "out")
    labels = json.loads(files["labels/striatum"].read_text(encoding="utf-8"))["labels"]
    assert [(x["label"], x["name"]) for x in labels] == [(2, "Left | putamen"), (300, "Right putamen"), (77, "Empty")]
    assert labels[0]["laterality"] == {"value": "7771000", "scheme": "SCT", "meaning": "Left"}
    assert labels[2]["laterality"] is None


# --- numbers ---------------------------------------------------------------------------------------------


def test_tables_do_not_depend_on_the_locale(tmp_path):
    files = write_result(whole_result(), tmp_path / "out")
    content = files["tables/binding"].read_bytes()
    assert content.decode("utf-8") == 'side,ratio\n"被殻, left",0.1\nright,\nx,2.5\n'
    rows = list(csv.reader(files["plots/profile"][0].read_text(encoding="utf-8").splitlines()))
    assert rows == [["series", "mm", "counts"], ["before", "0.0", "5.0"], ["before", "1.0", "6.5"]]


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(tmp_path):
    path = write_table(
        ("segment", "=x"), [("=cmd|' /C calc'!A0", "-0.5"), ("@SUM(A1)", -2.0), ("-tumour", None)], tmp_path / "t.csv"
    )
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert rows == [["segment", "'=x"], ["'=cmd|' /C calc'!A0", "-0.5"], ["'@SUM(A1)", "-2.0"], ["'-tumour", ""]]


def test_landmarks_are_markups_in_lps(tmp_path):
    files = write_result(whole_result(), tmp_path / "out")
    markup = json.loads(files["landmarks/markups"].read_text(encoding="utf-8"))["markups"][0]
    assert (markup["type"], markup["coordinateSystem"], markup["coordinateUnits"]) == ("Fiducial", "LPS", "mm")
    first, second = markup["controlPoints"]
    assert first["position"] == [-10.0, 20.0, 30.0]
    assert (first["label"], first["description"]) == ("Left putamen", "centre; confidence 0.91")
    assert second["description"] == ""
    rows = list(csv.DictReader(files["landmarks/table"].read_text(encoding="utf-8").splitlines()))
    assert (rows[0]["right_mm"], rows[0]["confidence"], rows[1]["confidence"]) == ("10.0", "0.91", "")


def test_plain_values_are_what_json_knows():
    value = {1: np.float32(0.5), "a": np.array([1.0, np.inf]), "p": Path("x"), "c": Code("1", "S", "m"), "b": np.True_}
    assert plain(value) == {
        "1": 0.5, "a": [1.0, None], "p": "x", "c": {"value": "1", "scheme": "S", "meaning": "m"}, "b": True,
    }  # fmt: skip


def test_slugs_are_safe_file_names():
    assert slug("../../Etc/Passwd ") == "etc-passwd"
    assert slug("結果") == "output"
    assert len(slug("x" * 300)) == 60


@pytest.mark.parametrize("content", ["", "[1]", '{"format": "other"}', "{"])
def test_foreign_result_files_are_refused(tmp_path, content):
    (tmp_path / "result.json").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="damaged|not a result"):
        read_result_json(tmp_path)
    with pytest.raises(InvalidInputError, match="Choose a folder"):
        read_result_json(tmp_path / "nowhere")
