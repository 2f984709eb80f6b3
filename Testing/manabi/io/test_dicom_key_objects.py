"""Key objects: they point at the original images, and belong to their patient and study."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_phantoms import PATIENT, enhanced_file, oblique, placed, ramp, write_series
from highdicom.ko import KeyObjectSelectionDocument

from manabi.errors import InvalidInputError
from manabi.io.dicom import read_dicom
from manabi.io.dicom.key_objects import KeyImage, write_key_objects

PROVENANCE = {"method": "slices", "bundle": {"name": "small", "version": "1.0"}}


def image_at(volume, k, text="Carina") -> KeyImage:
    middle = np.array([(volume.shape[2] - 1) / 2, (volume.shape[1] - 1) / 2, k])
    return KeyImage(tuple(volume.grid.ras_of(middle)), text)


def written(volume, images, path) -> pydicom.Dataset:
    return pydicom.dcmread(write_key_objects(volume.source, images, path, provenance=PROVENANCE))


def referenced(document) -> list[str]:
    items = [item for item in document.ContentSequence if item.ValueType == "IMAGE"]
    return [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items]


def text_of(document) -> str:
    (item,) = [item for item in document.ContentSequence if item.ValueType == "TEXT" and
               item.ConceptNameCodeSequence[0].CodeValue == "113012"]  # fmt: skip
    return item.TextValue


@pytest.fixture
def volume(tmp_path):
    axes = oblique((3.0, -4.0, 7.0))
    array = ramp(9)
    write_series(tmp_path / "in", array, placed(9, 4.0, axes), axes, PatientID="4711", StudyID="S1", PatientSex="F",
                 numbers=range(101, 110))  # fmt: skip
    return read_dicom(tmp_path / "in")


def test_it_points_at_the_originals_in_order(tmp_path, volume):
    images = [image_at(volume, 7, "Lung apex"), image_at(volume, 4.3, "Carina"), image_at(volume, 0, "Diaphragm")]
    document = written(volume, images, tmp_path / "ko.dcm")
    assert referenced(document) == [volume.source.instance_uids[k] for k in (7, 4, 0)]
    lines = text_of(document).splitlines()
    assert lines[0] == "Manabi, for research use only, not for diagnosis."
    assert lines[1:] == ["Instance 108: Lung apex", "Instance 105: Carina", "Instance 101: Diaphragm"]


def test_it_belongs_to_patient_and_study_and_lists_its_evidence(tmp_path, volume):
    document = written(volume, [image_at(volume, 2), image_at(volume, 5)], tmp_path / "ko.dcm")
    original = pydicom.dcmread(volume.source.files[0])
    assert (document.Modality, document.SOPClassUID) == ("KO", "1.2.840.10008.5.1.4.1.1.88.59")
    assert (document.PatientName, document.PatientID, document.PatientSex) == (PATIENT, "4711", "F")
    assert document.StudyInstanceUID == original.StudyInstanceUID
    assert document.SeriesInstanceUID != original.SeriesInstanceUID
    title = document.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113000", "DCM")
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == original.SeriesInstanceUID
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence] == referenced(document)
    assert all(i.ReferencedSOPClassUID == original.SOPClassUID for i in series.ReferencedSOPSequence)


def test_highdicom_reads_it_back(tmp_path, volume):
    document = KeyObjectSelectionDocument.from_dataset(written(volume, [image_at(volume, 3)], tmp_path / "ko.dcm"))
    (reference,) = document.content.get_references()
    assert reference.referenced_sop_instance_uid == volume.source.instance_uids[3]
    (observer,) = document.content.get_observer_contexts()
    assert any(getattr(item, "value", None) == "small 1.0" for item in observer)


def test_an_image_that_comes_twice_is_pointed_at_once(tmp_path, volume):
    document = written(volume, [image_at(volume, 3, "a"), image_at(volume, 3.2, "b")], tmp_path / "ko.dcm")
    assert referenced(document) == [volume.source.instance_uids[3]]
    assert text_of(document).splitlines()[1:] == ["Instance 104: a", "Instance 104: b"]


def test_of_an_uneven_series_the_true_neighbour_is_taken(tmp_path):
    """The volume is resampled; its slices are no longer the files."""
    gaps = [2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 5.0]
    positions = placed(8, gaps)
    write_series(tmp_path / "in", ramp(8), positions, PatientID="1")
    volume = read_dicom(tmp_path / "in")
    assert volume.shape[0] != 8 and volume.warnings
    middle = volume.grid.ras_of(np.array([3.0, 2.5, 0.0]))
    heights = positions[6, 2] + 1.9, positions[1, 2] - 0.8
    points = [KeyImage((middle[0], middle[1], float(z)), f"{z}") for z in heights]
    document = written(volume, points, tmp_path / "ko.dcm")
    uids = [str(pydicom.dcmread(f).SOPInstanceUID) for f in sorted((tmp_path / "in").iterdir())]
    assert referenced(document) == [uids[6], uids[1]]


def test_of_a_multi_frame_file_the_frames_are_named(tmp_path):
    enhanced_file(tmp_path / "in" / "e.dcm", ramp(6), placed(6, 2.0))
    volume = read_dicom(tmp_path / "in")
    document = written(volume, [image_at(volume, 4, "up"), image_at(volume, 1, "down")], tmp_path / "ko.dcm")
    items = [item.ReferencedSOPSequence[0] for item in document.ContentSequence if item.ValueType == "IMAGE"]
    assert [list(item.ReferencedFrameNumber) for item in items] == [[2, 5]]
    assert text_of(document).splitlines()[1:] == ["Frame 5: up", "Frame 2: down"]


def test_an_original_without_most_of_its_attributes_will_do(tmp_path):
    write_series(tmp_path / "in", ramp(5), placed(5), PatientName=None, PatientSex="X",
                 SpecificCharacterSet="ISO_IR 100", StudyDescription="Thorax nativ, Lungenübersicht")  # fmt: skip
    volume = read_dicom(tmp_path / "in")
    document = written(volume, [image_at(volume, 2)], tmp_path / "ko.dcm")
    assert (document.PatientName, document.PatientID, document.PatientSex) == ("", "", "")
    assert document.SpecificCharacterSet == "ISO_IR 192"


def test_a_name_of_one_part_is_not_repeated_in_a_warning(tmp_path):
    write_series(tmp_path / "in", ramp(5), placed(5), PatientName="Solitary")
    volume = read_dicom(tmp_path / "in")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        document = written(volume, [image_at(volume, 2)], tmp_path / "ko.dcm")
    assert document.PatientName == "Solitary"
    assert not [w for w in caught if "Solitary" in str(w.message)]


def test_refusals_leave_nothing(tmp_path, volume):
    def refuse(match, source=volume.source, images=None):
        with pytest.raises(InvalidInputError, match=match):
            write_key_objects(
                source, [image_at(volume, 2)] if images is None else images, tmp_path / "ko.dcm", provenance={}
            )

    refuse("did not come from one", source=None)
    refuse("one image at least", images=[])
    refuse("outside the original series", images=[image_at(volume, 30)])
    gone = replace(volume.source, files=tuple(tmp_path / "gone" / f.name for f in volume.source.files))
    refuse("no longer be read", source=gone)
    assert not (tmp_path / "ko.dcm").exists()
