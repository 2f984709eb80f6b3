"""A converted CT beside its original: same place, exact Hounsfield units, and a header that planning systems accept.

Acceptance check 16 of the survey of Slicer's users for a kilovoltage-like CT is here: same study, new series, the same
Hounsfield units in a second viewer.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_sources import FRAME, KINDS, PROVENANCE, REGULAR, SCANNER, STUDY, TAGS, convert, convert_files, write_source
from dicom_phantoms import oblique, placed, ramp, write_series

from manabi.errors import GeometryError
from manabi.io.dicom import read_dicom, write_dicom
from manabi.io.results import write_result
from manabi.result import Result
from manabi.result_codec import decode_result, encode_result
from manabi.volume import SYNTHETIC, Volume

REQUIRED = {
    "Patient": ("PatientName 2", "PatientID 2", "PatientBirthDate 2", "PatientSex 2"),
    "General Study": (
        "StudyInstanceUID 1", "StudyDate 2", "StudyTime 2", "ReferringPhysicianName 2", "StudyID 2",
        "AccessionNumber 2",
    ),
    "General Series": ("Modality 1", "SeriesInstanceUID 1", "SeriesNumber 2", "PatientPosition 2"),
    "Frame of Reference": ("FrameOfReferenceUID 1", "PositionReferenceIndicator 2"),
    "General Equipment": ("Manufacturer 2",),
    "General Image": ("InstanceNumber 2", "ContentDate 2", "ContentTime 2"),
    "Image Plane": ("PixelSpacing 1", "ImageOrientationPatient 1", "ImagePositionPatient 1", "SliceThickness 2"),
    "Image Pixel": (
        "SamplesPerPixel 1", "PhotometricInterpretation 1", "Rows 1", "Columns 1", "BitsAllocated 1", "BitsStored 1",
        "HighBit 1", "PixelRepresentation 1", "PixelData 1",
    ),
    "CT Image": ("ImageType 1", "RescaleIntercept 1", "RescaleSlope 1", "RescaleType 1", "KVP 2",
                 "AcquisitionNumber 2"),
    "SOP Common": ("SOPClassUID 1", "SOPInstanceUID 1", "SpecificCharacterSet 1"),
}  # fmt: skip
"""DICOM PS3.3, table A.3-1: every attribute of type 1 (present, with a value) or 2 (present) of the mandatory modules.

Those of type 1C and 2C are listed where their condition holds for every file here: PatientPosition (of CT),
ContentDate and ContentTime (parts of a series that belong together in time), RescaleType (its condition does not
forbid it), PixelData, SpecificCharacterSet (UTF-8).
"""
ONLY = {
    "Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
    "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU", "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
    "BurnedInAnnotation": "NO",
}  # fmt: skip
FORBIDDEN = (
    "ConvolutionKernel", "ExposureTime", "XRayTubeCurrent", "GantryDetectorTilt", "StationName", "PixelPaddingValue",
    "LargestImagePixelValue", "SmallestImagePixelValue", "ModalityLUTSequence", "PixelAspectRatio",
)  # fmt: skip
"""What is true of the original alone, or would contradict the new pixels."""


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def made(tmp_path, kind):
    return convert_files(write_source(tmp_path / "in", kind), tmp_path / "out")


def headers(files):
    return [pydicom.dcmread(file) for file in files]


def test_voxel_corners_and_hounsfield_units_survive_the_round_trip(made, kind):
    original, converted, files = made
    back = read_dicom(files[0].parent)
    assert np.abs(back.grid.corners_ras() - original.grid.corners_ras()).max() < 0.01
    np.testing.assert_array_equal(back.array, converted.array)
    assert (back.units, back.modality, back.caution) == ("HU", "CT", SYNTHETIC)
    assert back.array.max() == 8000 and (back.array[:, 1, 2] == 3000).all() and back.array.min() < -900
    assert any("tilted" in text for text in original.warnings) == (kind == "tilted")


def test_a_second_viewer_sees_the_same_hounsfield_units_in_the_same_place(made):
    """Acceptance check 16."""
    original, converted, files = made
    other = Volume.from_sitk(sitk.ReadImage([str(file) for file in files]))
    np.testing.assert_array_equal(other.array, converted.array)
    assert np.abs(other.grid.corners_ras() - original.grid.corners_ras()).max() < 0.1
    for k, file in enumerate(files):
        single = sitk.ReadImage(str(file))
        position = np.array(single.GetOrigin()) * [-1, -1, 1]
        assert np.linalg.norm(position - original.grid.ras_of([0.0, 0.0, k])) < 0.1
    for found in headers(files):
        assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == (STUDY, FRAME)
        assert found.SeriesInstanceUID != original.source.series_uid
        assert found.SOPInstanceUID not in original.source.instance_uids
        assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    assert len({found.SeriesInstanceUID for found in headers(files)}) == 1
    assert len({found.SOPInstanceUID for found in headers(files)}) == len(files)


def test_every_required_attribute_of_a_ct_image_is_there(made):
    for found in headers(made[2]):
        for module, attributes in REQUIRED.items():
            for keyword, kind_of in (text.split() for text in attributes):
                assert keyword in found, f"{module}: {keyword}"
                assert kind_of == "2" or found[keyword].value not in (None, "", []), f"{module}: {keyword} is empty"
        assert {keyword: found[keyword].value for keyword in ONLY} == ONLY
        assert np.prod([found.Rows, found.Columns]) * 2 == len(found.PixelData)


def test_the_patient_and_study_are_the_original_s_and_nothing_else_is_claimed(made):
    kept = [key for key in TAGS if key.startswith(("Patient", "Study")) or key in ("AccessionNumber", "WindowCenter")]
    for found in headers(made[2]):
        assert {key: str(found[key].value) for key in kept} == {key: TAGS[key] for key in kept}
        assert [keyword for keyword in FORBIDDEN if keyword in found] == []
        assert [element.tag for element in found.iterall() if element.tag.is_private] == []
        assert found.KVP is None and found.Manufacturer == "Manabi"


def test_the_header_says_that_it_is_synthetic_and_what_made_it(made):
    for found in headers(made[2]):
        assert found.SeriesDescription == "synthetic, not for dose: Manabi converted"
        assert SYNTHETIC in found.DerivationDescription and "mvct" in found.DerivationDescription
        assert found.DerivationCodeSequence[0].CodingSchemeDesignator == "99MANABI"
        scanner, tool = found.ContributingEquipmentSequence
        assert [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in (scanner, tool)] == ["109101", "109103"]
        assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("Accurate Rays", "MVScan")
        assert SCANNER["KVP"] in scanner.ContributionDescription
        assert "mvct-default" in tool.ContributionDescription


@pytest.mark.parametrize("kind", REGULAR)
def test_every_slice_keeps_its_original_s_place_and_names_it(tmp_path, kind):
    source = write_source(tmp_path / "in", kind)
    _, _, files = convert_files(source, tmp_path / "out")
    if kind == "enhanced":
        (multi,) = headers([source])
        shared = multi.SharedFunctionalGroupsSequence[0]
        for k, found in enumerate(headers(files)):
            group = multi.PerFrameFunctionalGroupsSequence[k]
            assert found.ImagePositionPatient == group.PlanePositionSequence[0].ImagePositionPatient
            assert found.PixelSpacing == shared.PixelMeasuresSequence[0].PixelSpacing
            (item,) = found.SourceImageSequence
            assert (item.ReferencedSOPInstanceUID, item.ReferencedFrameNumber) == (multi.SOPInstanceUID, k + 1)
        return
    originals = {d.SOPInstanceUID: d for d in headers(source.iterdir())}
    named = []
    for found in headers(files):
        (item,) = found.SourceImageSequence
        original = originals[item.ReferencedSOPInstanceUID]
        named.append(original.SOPInstanceUID)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
            assert found[keyword].value == original[keyword].value, keyword
        assert item.ReferencedSOPClassUID == original.SOPClassUID and item.SpatialLocationsPreserved == "YES"
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert float(found.SpacingBetweenSlices) == pytest.approx(3.0, abs=0.01)
    assert len(set(named)) == len(originals) == 6


@pytest.mark.parametrize("kind", ["tilted", "uneven"])
def test_slices_between_originals_name_the_two_they_were_made_from(tmp_path, kind):
    source = write_source(tmp_path / "in", kind)
    _, _, files = convert_files(source, tmp_path / "out")
    heights = {d.SOPInstanceUID: height(d) for d in headers(source.iterdir())}
    counts = []
    for found in headers(files):
        around = sorted(heights[item.ReferencedSOPInstanceUID] for item in found.SourceImageSequence)
        counts.append(len(around))
        if len(around) == 2:
            assert around[0] < height(found) < around[1] and around[1] - around[0] < 4.01
        else:
            beyond = height(found) - max(heights.values())
            assert around == pytest.approx([height(found)], abs=0.11) or 0 < beyond <= 1.5
    assert set(counts) == ({1, 2} if kind == "uneven" else {1})


def height(dataset):
    axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    return float(np.cross(*axes) @ np.array(dataset.ImagePositionPatient, float))


def test_a_flipped_or_cropped_conversion_names_the_original_in_its_plane(tmp_path):
    source = write_source(tmp_path / "in", "plain")
    original = read_dicom(source)
    converted = convert(original).reoriented(signs=(1, 1, -1)).crop((1, 2, 2), (5, 8, 10))
    files = write_dicom(converted, tmp_path / "out", original.source, series_description="c", provenance=PROVENANCE)
    heights = {d.SOPInstanceUID: height(d) for d in headers(source.iterdir())}
    for found in headers(files):
        (item,) = found.SourceImageSequence
        assert heights[item.ReferencedSOPInstanceUID] == pytest.approx(height(found), abs=1e-6)
        assert "SpatialLocationsPreserved" not in item and float(found.SliceThickness) == 5
    back = read_dicom(tmp_path / "out").reoriented_like(converted.grid)
    assert back.grid.same_as(converted.grid, 1e-4)
    np.testing.assert_array_equal(back.array, converted.array)


def test_a_reformat_names_no_single_original(tmp_path):
    original = read_dicom(write_source(tmp_path / "in", "plain"))
    sagittal = convert(original).reoriented(axes=(1, 2, 0))
    files = write_dicom(sagittal, tmp_path / "out", original.source, series_description="c", provenance=PROVENANCE)
    assert len(files) == 11 and not any("SourceImageSequence" in found for found in headers(files))
    assert headers(files)[0].FrameOfReferenceUID == FRAME


def test_a_series_with_a_missing_slice_is_refused_before_it_is_converted(tmp_path):
    positions = np.delete(placed(8, axes=oblique()), 4, axis=0)
    numbers = [1, 2, 3, 4, 6, 7, 8]
    write_series(tmp_path / "in", ramp(7), positions, oblique(), numbers=numbers, **TAGS)
    with pytest.raises(GeometryError, match="1 slice is missing"):
        read_dicom(tmp_path / "in")


def test_a_converter_s_fractions_become_whole_hounsfield_units(tmp_path):
    original = read_dicom(write_source(tmp_path / "in", "plain"))
    values = original.array * np.float32(0.83) + np.float32(0.1)
    whole = original.like(values, caution=SYNTHETIC)
    files = write_dicom(whole, tmp_path / "out", original.source, series_description="c", provenance=PROVENANCE)
    assert (headers(files)[0].RescaleSlope, headers(files)[0].RescaleIntercept) == (1, 0)
    np.testing.assert_array_equal(read_dicom(tmp_path / "out").array, np.rint(values))


def test_an_image_that_a_scanner_measured_keeps_its_scanner_and_is_not_called_synthetic(tmp_path):
    original = read_dicom(write_source(tmp_path / "in", "plain"))
    files = write_dicom(original, tmp_path / "out", original.source, series_description="c", provenance=PROVENANCE)
    for found in headers(files):
        assert (found.SeriesDescription, found.KVP, found.Manufacturer) == ("c", 3500, "Accurate Rays")
        assert found.ConvolutionKernel == "STANDARD" and "synthetic" not in found.DerivationDescription
        assert "DerivationCodeSequence" not in found and float(found.SliceThickness) == 5


def test_a_conversion_of_a_conversion_still_names_the_scanner_and_the_caution(tmp_path):
    _, _, files = convert_files(write_source(tmp_path / "in", "plain"), tmp_path / "one")
    again = read_dicom(files[0].parent)
    files = write_dicom(again, tmp_path / "two", again.source, series_description="again", provenance=PROVENANCE)
    found = headers(files)[0]
    assert found.SeriesDescription == f"{SYNTHETIC}: again"
    makers = [item.Manufacturer for item in found.ContributingEquipmentSequence]
    assert makers == ["Accurate Rays", "Manabi", "Manabi"]


def test_the_caution_survives_every_change_of_grid_and_the_way_from_a_worker(tmp_path):
    volume = Volume(np.zeros((3, 4, 5), np.int16), np.eye(4), modality="CT", caution=SYNTHETIC)
    changed = volume.reoriented((1, 2, 0)).crop((0, 0, 0), (2, 2, 2)).resampled(volume.grid)
    assert changed.caution == SYNTHETIC
    sent = decode_result(encode_result(Result(volumes={"converted": volume}), tmp_path), tmp_path)
    assert sent.volumes["converted"].caution == SYNTHETIC


@pytest.mark.parametrize("image_format", ["dicom", "nifti", "nrrd"])
def test_a_result_s_files_say_that_it_is_synthetic_in_every_format(tmp_path, image_format):
    original = read_dicom(write_source(tmp_path / "in", "plain"))
    result = Result(volumes={"converted": convert(original), "input": original}, provenance=PROVENANCE)
    files = write_result(result, tmp_path / "out", image_format=image_format)
    for key, expected in (("volumes/converted", True), ("volumes/input", False)):
        path = files[key][0] if isinstance(files[key], list) else files[key]
        assert (SYNTHETIC in described(path, image_format)) == expected


def described(path, image_format):
    """What a file says of itself."""
    if image_format == "dicom":
        return pydicom.dcmread(path).SeriesDescription
    image = sitk.ReadImage(str(path))
    return image.GetMetaData("descrip" if image_format == "nifti" else "Manabi_Description")


def test_an_independent_validator_finds_no_error(made):
    """dciodvfy and dcentvfy of David Clunie's dicom3tools."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not here (Debian package dicom3tools)")
    files = made[2]
    for file in files:
        assert errors("dciodvfy", file) == []
    assert errors("dcentvfy", *files) == []


def test_the_validator_finds_no_error_in_a_converted_chest(tmp_path, data_folder):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not here (Debian package dicom3tools)")
    folder = data_folder("chest_ct/LUNG1-002_dicom_j2k")
    for number in range(40, 46):
        shutil.copy(folder / f"{number}.dcm", tmp_path)
    original, _, files = convert_files(tmp_path, tmp_path / "out")
    assert len(files) == 6 and original.array.max() > 300
    assert [errors("dciodvfy", file) for file in files] == [[]] * 6


def errors(tool, *files):
    """The lines of a validator's report that state an error."""
    done = subprocess.run([tool, *map(str, files)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
