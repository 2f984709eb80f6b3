"""NoduleSynth as a method: its bundle, its results on real film formats, its files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from fixtures_nodule import chest, film_volume, quick, with_blob, write_stand_in
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from manabi.errors import CancelledError, CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.io.dicom.source import DicomSource
from manabi.io.radiograph import read_radiograph
from manabi.io.results import write_result
from manabi.nodule import operating
from manabi.nodule.method import NoduleSynth
from manabi.nodule.outputs import SERIOUS
from manabi.nodule.parameters import NoduleParameters
from manabi.provenance import REQUIRED
from manabi.result import Result

METHOD = NoduleSynth()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_stand_in(tmp_path_factory.mktemp("bundle") / "nodule-default")


@pytest.fixture(scope="module")
def volume():
    return film_volume(with_blob(chest(160), 0.42, 0.27, 0.03), (2.2, 2.2))


@pytest.fixture(scope="module")
def result(bundle, volume):
    return METHOD.run(volume, {"false_positives": 1.0}, quick(bundle))


def test_the_result_has_what_its_readers_rely_on(result):
    assert list(result.volumes) == ["heat_map"]
    assert list(result.labelmaps) == ["lungs"]
    assert {"marks", "candidates", "operating_points"} == set(result.tables)
    assert list(result.plots) == ["operating_curve"]
    assert {
        "image_score",
        "marks",
        "candidates",
        "false_positives",
        "threshold",
        "sensitivity",
        "lungs",
        "quality",
    } <= set(result.measurements)
    assert set(REQUIRED) <= set(result.provenance)
    assert result.provenance["bundle"]["name"] == "nodule-default"
    assert any("trained on simulated data" in text for text in result.warnings)
    assert len(result.landmarks) == result.measurements["marks"] == len(result.tables["marks"].rows)


def test_runs_are_the_same_every_time(result, bundle, volume):
    again = NoduleSynth().run(volume, {"false_positives": 1.0}, quick(bundle))
    assert again.tables == result.tables
    np.testing.assert_array_equal(again.volumes["heat_map"].array, result.volumes["heat_map"].array)


def test_the_slider_gives_what_a_run_at_that_setting_gives(result, bundle, volume):
    other = METHOD.run(volume, {"false_positives": 0.3}, quick(bundle))
    moved = operating.at(result, 0.3)
    assert moved.tables == other.tables
    assert moved.landmarks == other.landmarks
    assert moved.measurements == other.measurements


def test_the_network_is_loaded_once(bundle, volume, monkeypatch):
    method = NoduleSynth()
    method.load(quick(bundle))
    monkeypatch.setattr(type(bundle), "build_network", lambda self: pytest.fail("loaded again"))
    method.run(volume, {}, quick(bundle))


def test_without_film_or_bundle_it_says_what_to_do(bundle, volume, tmp_path):
    with pytest.raises(InvalidInputError, match="task=synthesise"):
        METHOD.run({}, {}, quick(bundle))
    with pytest.raises(ModelNotFoundError, match="trained detector"):
        METHOD.run(volume, {}, quick("no-such-bundle"))
    write_stand_in(tmp_path / "b", operating_points=[])
    with pytest.raises(CorruptModelError, match="Operating points"):
        METHOD.run(volume, {}, quick(str(tmp_path / "b")))


@pytest.mark.parametrize(
    "values", [{"false_positives": 0.01}, {"false_positives": 9}, {"task": "guess"}, {"count": 99}, {"ratio": 1.5}]
)
def test_wrong_parameters_are_refused(values):
    with pytest.raises(InvalidInputError):
        NoduleParameters.of(values)


def test_alerts_are_the_methods_own():
    assert set(SERIOUS) < set(METHOD.alert_prefixes)
    assert "Synthetic" in METHOD.alert_prefixes


def test_cancelling_stops_the_search(bundle, volume):
    context = quick(bundle)
    context.on_progress = lambda fraction, text: context.cancel.set() if fraction > 0.3 else None
    with pytest.raises(CancelledError):
        METHOD.run(volume, {}, context)


# --- formats ----------------------------------------------------------------------------------------------------------


def write_dx(path, film, photometric="MONOCHROME2", slope=1, **attributes):
    """A DX file of 12 bits as a hospital has it; MONOCHROME1 stores bright as low."""
    stored = np.rint(4095 * film).astype(np.uint16)
    if photometric == "MONOCHROME1":
        stored = 4095 - stored
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = "Tanaka^Taro", "4711", "M"
    dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime = "19500101", "20240102", "101112"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "S1", "A1", ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "DX", 3, 1
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagerPixelSpacing = [2.2, 2.2]
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
    dataset.PixelData = stored.tobytes()
    for key, value in attributes.items():
        setattr(dataset, key, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def numbers(table):
    return [row[:6] for row in table.rows]


def test_monochrome1_and_2_and_other_rescales_give_the_same_marks(bundle, tmp_path):
    film = with_blob(chest(160), 0.42, 0.27, 0.03)
    results = [
        METHOD.run(read_radiograph(write_dx(tmp_path / f"{n}.dcm", film, kind, slope)), {}, quick(bundle))
        for n, (kind, slope) in enumerate((("MONOCHROME2", 1), ("MONOCHROME1", 1), ("MONOCHROME2", 0.5)))
    ]
    for other in results[1:]:
        assert numbers(other.tables["candidates"]) == numbers(results[0].tables["candidates"])
        np.testing.assert_allclose(other.volumes["heat_map"].array, results[0].volumes["heat_map"].array, atol=1e-5)


def test_a_dicom_film_gets_its_cad_report(bundle, tmp_path):
    path = write_dx(tmp_path / "a.dcm", with_blob(chest(160), 0.42, 0.27, 0.03))
    header = pydicom.dcmread(path, stop_before_pixels=True)
    source = DicomSource(
        (path,), header.SeriesInstanceUID, 3, "DX", header.SOPClassUID, (header.SOPInstanceUID,), 1
    )  # fmt: skip
    film = replace(read_radiograph(path), source=source)
    result = METHOD.run(film, {"false_positives": 1.0}, quick(bundle))
    files = METHOD.export({"radiograph": film}, result, tmp_path / "nodule", "dicom")
    report = pydicom.dcmread(files["chest_cad_sr"][0])
    assert report.StudyInstanceUID == header.StudyInstanceUID and report.PatientID == "4711"
    assert METHOD.export({"radiograph": film}, result, tmp_path / "other", "nifti") == {}
    assert METHOD.export({"radiograph": replace(film, source=None)}, result, tmp_path / "other", "dicom") == {}
    found = [item for item in report.ContentSequence[2].ContentSequence if item.ValueType == "CODE"]
    assert len(found) == result.measurements["candidates"]
    intents = [item.ContentSequence[1].ConceptCodeSequence[0].CodeValue for item in found]
    assert intents.count("111150") == result.measurements["marks"] > 0
    centres = [item.GraphicData for one in found for item in one.ContentSequence if item.get("GraphicType") == "POINT"]
    first = result.tables["candidates"].rows[0]
    spacing = film.spacing_mm[0]
    np.testing.assert_allclose(centres[0], [-first[3] / spacing + 0.5, -first[4] / spacing + 0.5], atol=0.02)


def test_a_picture_of_the_same_film_gives_nearly_the_same_scores(bundle, tmp_path, volume):
    Image.fromarray(np.rint(255 * with_blob(chest(160), 0.42, 0.27, 0.03)).astype(np.uint8)).save(tmp_path / "a.png")
    picture = METHOD.run(read_radiograph(tmp_path / "a.png"), {}, quick(bundle))
    film = METHOD.run(volume, {}, quick(bundle))
    assert picture.measurements["image_score"] == pytest.approx(film.measurements["image_score"], abs=0.02)
    assert any(text.startswith("Spacing unknown") for text in picture.warnings)


# --- files and figures ------------------------------------------------------------------------------------------------


def test_everything_is_written_and_no_name_with_it(tmp_path, bundle, result, volume):
    files = write_result(result, tmp_path / "out", method=METHOD, inputs={"radiograph": volume})
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {
        "heat_map.nii.gz",
        "lungs.nii.gz",
        "marks.csv",
        "candidates.csv",
        "operating_points.csv",
        "marks.png",
    } <= names
    with Image.open(tmp_path / "out" / "figures" / "marks.png") as picture:
        assert picture.size[0] == 1600 and picture.size[1] > 600
    assert json.loads((tmp_path / "out" / "result.json").read_text())["measurements"]["marks"] == len(result.landmarks)
    assert "Tanaka" not in str(files)


def test_a_batch_gathers_all_marks(tmp_path, result, volume):
    folders = {}
    for case in ("a", "b"):
        write_result(result, tmp_path / case)
        folders[case] = tmp_path / case
    (path,) = METHOD.gather(folders, tmp_path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("case,number,score")
    assert len(lines) == 1 + 2 * len(result.tables["marks"].rows)
    assert METHOD.gather({}, tmp_path) == []


def test_truth_is_held_against_the_marks(result):
    mark = dict(zip(result.tables["marks"].columns, result.tables["marks"].rows[0], strict=True))
    truth = {"nodule_1_r_mm": mark["r_mm"] + 2, "nodule_1_a_mm": mark["a_mm"], "nodule_1_diameter_mm": 12.0,
             "nodule_2_r_mm": 900.0, "nodule_2_a_mm": 0.0, "nodule_2_diameter_mm": 8.0}  # fmt: skip
    truth |= {"nodule_1_hidden": "behind_heart", "nodule_1_subtlety": 2}
    table = METHOD.compare_truth(truth, result)["nodules_found"]
    assert table.column("mark") == [mark["number"], None]
    assert table.column("location") == ["behind_heart", None]
    assert METHOD.compare_truth(truth, Result()) == {}
