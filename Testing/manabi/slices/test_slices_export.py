"""Representative slices as files: pictures, arrays, a series with true places, and what is never written."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.io.dicom import read_dicom, write_dicom
from manabi.io.results import read_result_json, write_result
from manabi.result import Result
from manabi.slices import export as module
from manabi.slices.export import export_slices, picture_name
from manabi.slices.report import slices_table
from manabi.slices.representative import Chosen, Plan, as_8bit, choose
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

PATIENT = "Yamada^Hanako"
LEVELS = {"apex": 160.0, "carina": 128.0, "diaphragm": 108.0}


def ct(spacing=(2.0, 2.0, 4.0), shape=(20, 24, 30), **attributes) -> Volume:
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = 29.0, 23.0, 100.0
    array = np.random.default_rng(5).integers(-1000, 400, shape).astype(np.int16)
    return Volume(array, matrix, "CT", "HU", **attributes)


def chosen_in(volume, kind="3") -> tuple[Chosen, ...]:
    return choose(LEVELS, AxialStack.of(volume).z_mm, Plan(kind))


def headers(paths) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in paths]


@pytest.fixture
def series(tmp_path) -> Volume:
    """A CT read from DICOM, 5 mm thick slices every 4 mm."""
    for path in write_dicom(ct(), tmp_path / "in", None, series_description="Chest", provenance={}):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID, dataset.SliceThickness = PATIENT, "4711", 5.0
        dataset.save_as(path)
    return read_dicom(tmp_path / "in")


def test_pictures_show_the_slices_the_radiological_way(tmp_path):
    volume = ct()
    chosen = chosen_in(volume)
    files = export_slices(volume, chosen, tmp_path / "out", dicom=False)
    assert [p.name for p in files["pictures"]] == ["slice-01-apex.png", "slice-02-carina.png", "slice-03-diaphragm.png"]
    assert set(files) == {"pictures", "table", "arrays"}
    for path, k in zip(files["pictures"], (15, 7, 2), strict=True):
        picture = Image.open(path)
        assert (picture.mode, picture.info) == ("L", {})
        np.testing.assert_array_equal(np.asarray(picture), as_8bit(volume.array[k]))


def test_pictures_of_a_flipped_image_are_the_same(tmp_path):
    volume = ct()
    turned = volume.reoriented((1, 2, 0), (1, -1, 1))
    a = export_slices(volume, chosen_in(volume), tmp_path / "a", dicom=False)
    b = export_slices(turned, chosen_in(turned), tmp_path / "b", dicom=False)
    assert [p.read_bytes() for p in a["pictures"]] == [p.read_bytes() for p in b["pictures"]]


@pytest.mark.parametrize(("spacing", "size"), [((2.0, 3.0, 4.0), (30, 36)), ((3.0, 2.0, 4.0), (45, 24))])
def test_pictures_have_square_pixels(tmp_path, spacing, size):
    files = export_slices(ct(spacing), chosen_in(ct(spacing)), tmp_path / "out", dicom=False)
    assert Image.open(files["pictures"][0]).size == size


def test_pictures_for_a_model_have_its_size_and_a_black_margin(tmp_path):
    volume = ct()
    volume = volume.like(np.full(volume.shape, 100, np.int16))
    files = export_slices(volume, chosen_in(volume), tmp_path / "out", dicom=False, size=60)
    picture = np.asarray(Image.open(files["pictures"][0]))
    assert picture.shape == (60, 60)
    assert picture[:6].max() == 0 and picture[-6:].max() == 0 and picture[6:-6].min() == 255
    with pytest.raises(InvalidInputError, match="size"):
        export_slices(volume, chosen_in(volume), tmp_path / "no", size=3)


def test_the_table_lists_every_slice(tmp_path):
    volume = ct()
    files = export_slices(volume, chosen_in(volume, "5"), tmp_path / "out", dicom=False)
    rows = list(csv.DictReader(files["table"][0].open(encoding="utf-8")))
    assert [row["slice"] for row in rows] == ["15", "11", "7", "4", "2"]
    assert [row["marker"] for row in rows] == ["apex", "", "carina", "", "diaphragm"]
    assert all((tmp_path / "out" / row["picture"]).is_file() for row in rows)


def test_arrays_hold_values_and_places(tmp_path):
    volume = ct()
    chosen = chosen_in(volume, "5")
    files = export_slices(volume, chosen, tmp_path / "out", dicom=False, png=False)
    with np.load(files["arrays"][0], allow_pickle=False) as content:
        pixels, places, z_mm = content["pixels"], content["planes_to_ras"], content["z_mm"]
        assert content["marker"].tolist() == ["apex", "", "carina", "", "diaphragm"]
    for image, place, one in zip(pixels, places, chosen, strict=True):
        np.testing.assert_array_equal(image, volume.array[one.index])
        np.testing.assert_allclose(place @ [3, 2, 0, 1], [*volume.grid.ras_of(np.array([3, 2, one.index])), 1])
    np.testing.assert_allclose(z_mm, [one.z_mm for one in chosen])


# --- the series ------------------------------------------------------------------------------------------


def test_each_file_lies_where_its_slice_lies_and_names_its_original(tmp_path, series):
    chosen = chosen_in(series)
    files = export_slices(series, chosen, tmp_path / "out")
    originals = {str(d.SOPInstanceUID): d for d in headers(series.source.files)}
    written = headers(files["dicom"])
    for number, (dataset, one) in enumerate(zip(written, chosen, strict=True), 1):
        original = originals[dataset.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert dataset.ImagePositionPatient == original.ImagePositionPatient == [-29.0, -23.0, one.z_mm]
        assert dataset.ImageOrientationPatient == original.ImageOrientationPatient
        assert dataset.PixelSpacing == original.PixelSpacing
        assert (dataset.SliceThickness, "SpacingBetweenSlices" in dataset) == (5.0, False)
        np.testing.assert_array_equal(dataset.pixel_array, original.pixel_array)
        assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.InstanceNumber) == (1, 0, number)
        assert (dataset.PatientName, dataset.PatientID) == (PATIENT, "4711")
        assert dataset.StudyInstanceUID == original.StudyInstanceUID
        assert dataset.FrameOfReferenceUID == original.FrameOfReferenceUID
        assert dataset.SeriesInstanceUID != original.SeriesInstanceUID
        assert dataset.SOPInstanceUID not in originals
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert written[1].ImageComments.startswith("Carina; representative slice 2 of 3; z 128.0 mm")
    assert len({d.SOPInstanceUID for d in written}) == 3 and len({d.SeriesInstanceUID for d in written}) == 1


def test_a_series_with_a_turned_array_keeps_places_and_invents_no_originals(tmp_path, series):
    """As many columns as files; what was cut off the original is not named as the original."""
    cut = series.crop((0, 0, 10), (20, 24, 30))
    turned = replace(cut, source=series.source).reoriented((2, 1, 0), (1, 1, 1))
    stack = AxialStack.of(turned)
    assert (stack.input_axis, turned.shape[0]) == (2, 20)
    files = export_slices(turned, chosen_in(turned), tmp_path / "out", key_object=False)
    for dataset, one in zip(headers(files["dicom"]), chosen_in(turned), strict=True):
        assert "SourceImageSequence" not in dataset
        np.testing.assert_allclose(dataset.ImagePositionPatient, [-9.0, -23.0, one.z_mm], atol=1e-4)
        np.testing.assert_array_equal(dataset.pixel_array, cut.array[one.index])


def test_a_tilted_image_keeps_its_own_planes(tmp_path):
    turn = np.eye(4)
    angle = np.radians(15.0)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volume = ct()
    volume = replace(volume, ijk_to_ras=turn @ volume.ijk_to_ras)
    z_mm = AxialStack.of(volume).z_mm
    chosen = choose({"apex": z_mm[17], "carina": z_mm[9], "diaphragm": z_mm[2]}, z_mm, Plan("3"))
    files = export_slices(volume, chosen, tmp_path / "out")
    for dataset, k in zip(headers(files["dicom"]), (17, 9, 2), strict=True):
        lps = volume.grid.ras_of(np.array([0, 0, k])) * (-1, -1, 1)
        np.testing.assert_allclose(dataset.ImagePositionPatient, lps, atol=1e-4)
        np.testing.assert_array_equal(dataset.pixel_array, volume.array[k])
        assert dataset.PatientName == "" and dataset.Modality == "CT"


def test_what_no_header_says_is_taken_for_ct(tmp_path):
    volume = replace(ct(), modality=None, units=None)
    (first, *_) = export_slices(volume, chosen_in(volume), tmp_path / "out")["dicom"]
    assert (pydicom.dcmread(first).Modality, pydicom.dcmread(first).RescaleType) == ("CT", "HU")


# --- as a whole ------------------------------------------------------------------------------------------


def test_a_result_gives_the_same_files_as_its_slices(tmp_path, series):
    chosen = chosen_in(series, "5")
    result = Result(tables={"representative": slices_table(chosen, AxialStack.of(series))})
    a = export_slices(series, result, tmp_path / "a")
    b = export_slices(series, chosen, tmp_path / "b")
    assert [p.read_bytes() for p in a["pictures"]] == [p.read_bytes() for p in b["pictures"]]
    places = [[d.ImagePositionPatient for d in headers(files["dicom"])] for files in (a, b)]
    assert places[0] == places[1]
    assert set(a) == {"pictures", "table", "arrays", "dicom", "key_objects"}


def test_no_name_of_a_patient_outside_the_dicom_files(tmp_path, series):
    files = export_slices(series, chosen_in(series), tmp_path / "out")
    family = PATIENT.split("^")[0]
    for kind in ("pictures", "table", "arrays"):
        for path in files[kind]:
            content = path.read_bytes()
            assert family.encode() not in content and b"4711" not in content
    assert not any(family.lower() in str(p.relative_to(tmp_path)).lower() for kind in files.values() for p in kind)


def test_nothing_remains_after_an_error(tmp_path, monkeypatch, series):
    def fail(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr("manabi.io.dicom.key_objects.write_key_objects", fail)
    before = set(tmp_path.iterdir())
    with pytest.raises(RuntimeError):
        export_slices(series, chosen_in(series), tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_refusals(tmp_path, series):
    with pytest.raises(InvalidInputError, match="no representative slices"):
        export_slices(series, (), tmp_path / "out")
    with pytest.raises(InvalidInputError, match="did not come from one"):
        export_slices(ct(), chosen_in(ct()), tmp_path / "out", key_object=True)
    export_slices(series, chosen_in(series), tmp_path / "out", dicom=False, key_object=False)
    with pytest.raises(InvalidInputError, match="exists already"):
        export_slices(series, chosen_in(series), tmp_path / "out")
    files = export_slices(series, chosen_in(series)[:1], tmp_path / "out", dicom=False, overwrite=True)
    assert len(list((tmp_path / "out").glob("*.png"))) == len(files["pictures"]) == 1


def test_names_sort_in_the_order_of_the_slices():
    names = [picture_name(Chosen(n, 0, 0.0, 0.0, m)) for n, m in ((1, "apex"), (2, ""), (10, "carina"))]
    assert names == sorted(names) == ["slice-01-apex.png", "slice-02.png", "slice-10-carina.png"]


class Handing:
    """A method that hands over its slices, as SliceMarker does."""

    name = "handing"

    def __init__(self) -> None:
        self.formats: list[str] = []

    def draw(self, inputs, result, folder):
        return []

    def export(self, inputs, result, folder, image_format):
        self.formats.append(image_format)
        return module.export_slices(inputs["ct"], result, folder, dicom=image_format == "dicom")


@pytest.mark.parametrize("image_format", ["nifti", "dicom"])
def test_the_writer_of_results_takes_them_along(tmp_path, image_format, series):
    result = Result(tables={"representative": slices_table(chosen_in(series), AxialStack.of(series))})
    method = Handing()
    files = write_result(result, tmp_path / "out", image_format=image_format, method=method, inputs={"ct": series})
    assert method.formats == [image_format]
    assert all(p.is_file() and p.parent == tmp_path / "out" / "handing" for p in files["handing/pictures"])
    listed = read_result_json(tmp_path / "out")["outputs"]["handing"]
    assert listed["pictures"][0] == "handing/slice-01-apex.png"
    assert ("dicom" in listed) == (image_format == "dicom")
