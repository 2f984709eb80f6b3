"""What a film's DICOM header says that its pixels do not."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from fixtures_nodule import chest, film_volume, quick, write_stand_in
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from manabi.io.radiograph import MIRRORED, read_radiograph
from manabi.io.results import write_result
from manabi.nodule.header import header_warnings, years_of
from manabi.nodule.method import NoduleSynth


def film(path, **header):
    """A DICOM film with these words in its header."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID, dataset.Modality, dataset.PatientName = "1.2.3", "DX", "Tanaka"
    pixels = np.rint(4095 * chest(128)).astype(np.uint16)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.ImagerPixelSpacing = [3.0, 3.0]
    for name, value in header.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return read_radiograph(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"ViewPosition": "LL"}, ["Not a frontal chest film, as its header says (view LL)"]),
        ({"ViewPosition": "LATERAL", "BodyPartExamined": "CHEST"}, ["view LATERAL"]),
        ({"ViewPosition": "AP"}, ["Check the projection: the header says AP"]),
        ({"ViewPosition": "PA", "BodyPartExamined": "HAND"}, ["part HAND"]),
        ({"PatientAge": "018M"}, ["A child, as the header says"]),
        ({"ViewPosition": "ap", "PatientAge": "003Y"}, ["says AP", "A child"]),
        ({"ViewPosition": "PA", "BodyPartExamined": "LUNG", "PatientAge": "061Y"}, []),
        ({}, []),
    ],
)
def test_view_projection_part_and_a_child_are_told(tmp_path, header, words):
    texts = header_warnings(film(tmp_path / "film.dcm", **header))
    assert len(texts) == len(words)
    assert all(word in text for word, text in zip(words, texts, strict=True))
    assert not any("018M" in text or "Tanaka" in text for text in texts)


def test_what_is_no_code_is_not_quoted(tmp_path):
    with pytest.warns(UserWarning, match="Invalid value"):
        volume = film(tmp_path / "film.dcm", ViewPosition="Tanaka Taro, lateral")
    assert header_warnings(volume) == []


def test_films_without_a_header_say_nothing():
    assert header_warnings(film_volume(chest(128))) == []


def test_ages_are_read_and_nonsense_is_no_child():
    assert [years_of(text) for text in ("002Y", "024M", "052W")] == pytest.approx([2.0, 2.0, 1.0], abs=0.01)
    assert years_of("") == years_of("Y12") == float("inf")


@pytest.mark.parametrize(
    ("header", "begins"), [({"ViewPosition": "LL"}, "Not a frontal"), ({"PatientOrientation": ["R", "F"]}, MIRRORED)]
)
def test_a_header_that_forbids_reading_the_marks_asks_for_a_check(tmp_path, header, begins):
    bundle = write_stand_in(tmp_path / "bundle")
    result = NoduleSynth().run(film(tmp_path / "film.dcm", **header), {}, quick(bundle))
    assert any(text.startswith(begins) for text in result.warnings)
    assert begins.startswith(NoduleSynth.alert_prefixes)
    assert result.measurements["quality"] == "check"


def test_a_film_with_simulated_nodules_is_not_filed_as_the_patient_s(tmp_path):
    """Its DICOM file has neither name nor study; the film before is the patient's own."""
    taken = film(tmp_path / "film.dcm", StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.8")
    settings = {"task": "synthesise", "diameter_mm": 20.0, "film_mm": 400.0}
    write_result(NoduleSynth().run(taken, settings, quick()), tmp_path / "out", image_format="dicom")
    headers = {name: pydicom.dcmread(next((tmp_path / "out" / name).glob("*.dcm"))) for name in ("before", "after")}
    assert (headers["before"].PatientName, headers["before"].StudyInstanceUID) == ("Tanaka", "1.2.7")
    assert not headers["after"].PatientName and headers["after"].StudyInstanceUID != "1.2.7"
    assert headers["after"].SeriesDescription.startswith("synthetic, not for diagnosis")
