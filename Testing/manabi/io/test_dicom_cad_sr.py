"""The Chest CAD report: it belongs to the film's patient and study, points at the film, and holds every mark."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from manabi.errors import InvalidInputError
from manabi.io.dicom.cad_sr import CHEST_CAD_SR, CadMark, write_chest_cad_sr
from manabi.io.dicom.source import DicomSource

PROVENANCE = {"method": "nodule", "bundle": {"name": "nodule-default", "version": "1.2.0"}}
MARKS = [CadMark(40.0, 70.0, 0.91, 12.0, "Mark 1: right, upper"), CadMark(10.5, 99.0, 0.2, 0.0, "Mark 2", shown=False)]


@pytest.fixture
def source(tmp_path):
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = "田中^太郎", "4711", "M"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20240102", "101112", "A1"
    dataset.Modality, dataset.Rows, dataset.Columns, dataset.SeriesNumber = "DX", 100, 120, 2
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.zeros((100, 120), np.uint16).tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "dx.dcm", enforce_file_format=True)
    return DicomSource(
        (tmp_path / "dx.dcm",), str(dataset.SeriesInstanceUID), 2, "DX", dataset.SOPClassUID,
        (str(dataset.SOPInstanceUID),), 1,
    )  # fmt: skip


def written(source, marks, path, **words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_chest_cad_sr(source, marks, path, provenance=PROVENANCE, **words)
    return pydicom.dcmread(path)


def name(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""


def children(item, wanted=None):
    return [one for one in item.get("ContentSequence", []) if wanted is None or name(one) == wanted]


def findings(report):
    (summary,) = children(report, "CAD Processing and Findings Summary")
    return summary, children(summary, "Single Image Finding")


def test_it_belongs_to_patient_and_study_of_the_film(tmp_path, source):
    report = written(source, MARKS, tmp_path / "sr.dcm")
    original = pydicom.dcmread(source.files[0])
    assert (report.SOPClassUID, report.Modality) == (CHEST_CAD_SR, "SR")
    for keyword in ("PatientName", "PatientID", "PatientSex", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
        assert report[keyword].value == original[keyword].value
    assert report.SeriesInstanceUID != original.SeriesInstanceUID
    assert report.SOPInstanceUID != original.SOPInstanceUID
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == original.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID


def test_every_mark_is_a_finding_with_place_size_and_score(tmp_path, source):
    summary, found = findings(written(source, MARKS, tmp_path / "sr.dcm"))
    assert summary.ConceptCodeSequence[0].CodeValue == "111242"
    kinds = [(one.ConceptCodeSequence[0], children(one, "Single Image Finding Modifier")[0]) for one in found]
    assert [(kind.CodeMeaning, more.ConceptCodeSequence[0].CodeMeaning) for kind, more in kinds] == [
        ("Abnormal opacity", "Nodule")
    ] * 2
    first, second = found
    (certainty,) = children(first, "Certainty of Finding")
    assert float(certainty.MeasuredValueSequence[0].NumericValue) == 91.0
    (centre,) = children(first, "Center")
    assert (centre.GraphicType, list(centre.GraphicData)) == ("POINT", [70.5, 40.5])
    (outline,) = children(first, "Outline")
    assert (outline.GraphicType, list(outline.GraphicData)) == ("CIRCLE", [70.5, 40.5, 76.5, 40.5])
    assert not children(second, "Outline")
    intents = [children(one, "Rendering Intent")[0].ConceptCodeSequence[0].CodeValue for one in found]
    assert intents == ["111150", "111151"]
    assert children(first, "Comment")[0].TextValue == "Mark 1: right, upper"


def test_coordinates_refer_to_the_film_in_the_library(tmp_path, source):
    report = written(source, MARKS, tmp_path / "sr.dcm")
    _, found = findings(report)
    (centre,) = children(found[0], "Center")
    (reference,) = centre.ContentSequence
    assert reference.RelationshipType == "SELECTED FROM"
    item = report
    for place in list(reference.ReferencedContentItemIdentifier)[1:]:
        item = item.ContentSequence[place - 1]
    assert item.ValueType == "IMAGE"
    assert item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.instance_uids[0]


def test_a_film_without_marks_was_still_searched(tmp_path, source):
    summary, found = findings(written(source, [replace(MARKS[1])], tmp_path / "a.dcm"))
    assert summary.ConceptCodeSequence[0].CodeValue == "111241" and len(found) == 1
    report = written(source, [], tmp_path / "b.dcm")
    assert findings(report)[1] == []
    (detections,) = children(report, "Summary of Detections")
    assert detections.ConceptCodeSequence[0].CodeMeaning == "Succeeded"


def test_it_names_the_algorithm_and_claims_no_probability(tmp_path, source):
    report = written(source, MARKS, tmp_path / "sr.dcm", operating_point="0.2 false positives per film")
    _, found = findings(report)
    assert children(found[0], "Algorithm Version")[0].TextValue.endswith("nodule-default 1.2.0")
    assert children(found[0], "Algorithm Parameters")[0].TextValue == "0.2 false positives per film"
    summary, _ = findings(report)
    assert "not for diagnosis" in children(summary, "Comment")[0].TextValue
    text = str(report)
    assert "111047" not in text and "Probability" not in text
    assert str(source.files[0]) not in text


def test_every_code_is_the_standards_own():
    from pydicom.sr._concepts_dict import concepts

    from manabi.io.dicom import cad_sr_content

    known = {
        (scheme, code): meaning
        for scheme in ("DCM", "SCT", "UCUM")
        for values in concepts[scheme].values()
        for code, (meaning, _) in values.items()
    }
    mine = [v for v in vars(cad_sr_content).values() if isinstance(v, tuple) and len(v) == 3 and v[1:2] != (2,)]
    codes = [code for code in mine if isinstance(code[1], str) and code[1] in ("DCM", "SCT", "UCUM")]
    assert len(codes) > 20
    for value, scheme, meaning in codes:
        assert known[scheme, value] == meaning


@pytest.mark.parametrize("mark", [CadMark(100.0, 5.0, 0.5), CadMark(5.0, -3.0, 0.5)])
def test_marks_outside_the_film_are_refused_and_nothing_is_written(tmp_path, source, mark):
    with pytest.raises(InvalidInputError, match="outside the film of 100 × 120"):
        write_chest_cad_sr(source, [mark], tmp_path / "sr.dcm", provenance=PROVENANCE)
    assert not (tmp_path / "sr.dcm").exists()


def test_a_film_that_is_no_dicom_or_is_gone_is_refused(tmp_path, source):
    with pytest.raises(InvalidInputError, match="CSV"):
        write_chest_cad_sr(None, MARKS, tmp_path / "sr.dcm", provenance=PROVENANCE)
    source.files[0].unlink()
    with pytest.raises(InvalidInputError, match="no longer be read"):
        write_chest_cad_sr(source, MARKS, tmp_path / "sr.dcm", provenance=PROVENANCE)
