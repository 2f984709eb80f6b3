"""The structures of an original lie right on its conversion, and can be attached to it."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from ct_sources import FRAME, PROVENANCE, TAGS, convert_files, write_source
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from skimage.draw import polygon

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.dicom import read_dicom, write_structures
from manabi.io.dicom.structures import RTSTRUCT

NAMES = ("GTV 1", "脊髄", "isocentre")
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
TUMOUR_MM = (-40.5, -13.0)
"""Heights of the slices of the real CT that are used: the lower part of its tumour."""
ORGANS = ("GTV-1", "Heart", "Lung L", "Spinal cord", "Esophagus")


def item(**values) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def contour(points_ras, uid, kind="CLOSED_PLANAR") -> Dataset:
    points = np.atleast_2d(points_ras) * [-1, -1, 1]
    return item(
        ContourGeometricType=kind, NumberOfContourPoints=len(points),
        ContourData=[f"{value:.6g}0" if "." in f"{value:.6g}" else f"{value:.6g}" for value in points.ravel()],
        ContourImageSequence=[item(ReferencedSOPClassUID=CT_IMAGE, ReferencedSOPInstanceUID=uid)],
    )  # fmt: skip


def drawn(original, path, **changes):
    """An approved RTSTRUCT with a quadrangle on every slice, one on slice 3, and a point between slices 2 and 3."""
    corners = np.array([[2, 1], [8, 2], [7, 7], [1.5, 6]])
    uids = original.source.instance_uids

    def outline(k):
        return contour(original.grid.ras_of(np.column_stack([corners, np.full(4, k)])), uids[k % len(uids)])

    point = contour(original.grid.ras_of([5.0, 4.0, 2.3]), uids[0], "POINT")
    contours = ([outline(k) for k in range(original.shape[0])], [outline(3)], [point])
    dataset = item(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], SOPClassUID=RTSTRUCT, SOPInstanceUID="1.2.826.77.5",
        Modality="RTSTRUCT", SeriesInstanceUID="1.2.826.77.6", SeriesNumber=3, StructureSetLabel="PLAN",
        StructureSetDate="20240103", StructureSetTime="090000", Manufacturer="Planner", ApprovalStatus="APPROVED",
        ReviewDate="20240103", ReviewTime="100000", ReviewerName="Suzuki^I",
        StructureSetROISequence=[
            item(ROINumber=k, ReferencedFrameOfReferenceUID=FRAME, ROIName=name, ROIGenerationAlgorithm="MANUAL")
            for k, name in enumerate(NAMES, 1)
        ],
        ROIContourSequence=[
            item(ReferencedROINumber=k, ROIDisplayColor=[255, k, 0], ContourSequence=found)
            for k, found in enumerate(contours, 1)
        ],
        RTROIObservationsSequence=[
            item(ObservationNumber=k, ReferencedROINumber=k, RTROIInterpretedType="ORGAN", ROIInterpreter="")
            for k in range(1, 4)
        ],
    )  # fmt: skip
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):  # fmt: skip
        setattr(dataset, keyword, TAGS[keyword])
    dataset.private_block(0x3007, "PLANNER", create=True).add_new(1, "LO", "secret")
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def rasterised(dataset, volume, chosen=NAMES) -> dict[str, np.ndarray]:
    """Every structure's closed contours as voxels of a volume, by name; an odd number of contours is inside."""
    names = {roi.ROINumber: str(roi.ROIName) for roi in dataset.StructureSetROISequence}
    masks = {}
    for roi in dataset.ROIContourSequence:
        if names[roi.ReferencedROINumber] not in chosen:
            continue
        mask = np.zeros(volume.shape, bool)
        for outline in roi.get("ContourSequence") or []:
            if outline.ContourGeometricType == "CLOSED_PLANAR":
                ijk = volume.grid.ijk_of(np.array(outline.ContourData, float).reshape(-1, 3) * [-1, -1, 1])
                k = round(float(ijk[:, 2].mean()))
                if 0 <= k < volume.shape[0]:
                    inside = np.zeros(volume.shape[1:], bool)
                    inside[polygon(ijk[:, 1], ijk[:, 0], inside.shape)] = True
                    mask[k] ^= inside
        masks[names[roi.ReferencedROINumber]] = mask
    return masks


def outlines(dataset):
    return [found for roi in dataset.ROIContourSequence for found in roi.ContourSequence]


@pytest.fixture(params=["plain", "oblique", "unsorted", "jittered", "enhanced", "tilted"])
def made(tmp_path, request):
    original, _, files = convert_files(write_source(tmp_path / "in", request.param), tmp_path / "out")
    old = drawn(original, tmp_path / "old.dcm")
    new = write_structures(old, files[::-1], tmp_path / "new.dcm", provenance=PROVENANCE)
    return original, files, pydicom.dcmread(old), pydicom.dcmread(new)


def test_a_contour_fills_the_same_voxels_of_the_original_and_of_its_conversion(made):
    original, files, old, new = made
    before, after = rasterised(old, original), rasterised(new, read_dicom(files[0].parent))
    assert list(before) == list(after) == list(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(before[name], after[name])
    assert before["GTV 1"].any(axis=(1, 2)).all() and before["脊髄"].any(axis=(1, 2)).sum() == 1


def test_the_old_structures_lie_right_on_the_conversion_without_being_written_again(made):
    original, files, old, _ = made
    frames = {roi.ReferencedFrameOfReferenceUID for roi in old.StructureSetROISequence}
    assert frames == {pydicom.dcmread(file).FrameOfReferenceUID for file in files} == {FRAME}
    before, after = rasterised(old, original), rasterised(old, read_dicom(files[0].parent))
    assert before["GTV 1"].sum() > 20
    np.testing.assert_array_equal(before["GTV 1"], after["GTV 1"])


def test_coordinates_names_colours_and_numbers_are_unchanged_to_the_digit(made):
    _, _, old, new = made
    for one, other in zip(outlines(old), outlines(new), strict=True):
        texts = [[value.original_string for value in found.ContourData] for found in (one, other)]
        assert texts[0] == texts[1] and one.ContourGeometricType == other.ContourGeometricType
    assert old.StructureSetROISequence == new.StructureSetROISequence
    assert old.RTROIObservationsSequence == new.RTROIObservationsSequence
    assert [roi.ROIDisplayColor for roi in new.ROIContourSequence] == [[255, k, 0] for k in (1, 2, 3)]


def test_every_contour_names_the_new_image_in_its_plane(made):
    _, files, _, new = made
    images = {found.SOPInstanceUID: found for found in map(pydicom.dcmread, files)}
    for outline in outlines(new):
        (reference,) = outline.ContourImageSequence
        image = images[reference.ReferencedSOPInstanceUID]
        axes = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        away = np.array(outline.ContourData, float).reshape(-1, 3) - np.array(image.ImagePositionPatient, float)
        limit = 1.5 if outline.ContourGeometricType == "POINT" else 0.05
        assert np.abs(away @ np.cross(*axes)).max() < limit
        assert "PurposeOfReferenceCodeSequence" not in reference
    (frame,) = new.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    first = next(iter(images.values()))
    assert (frame.FrameOfReferenceUID, series.SeriesInstanceUID) == (FRAME, first.SeriesInstanceUID)
    assert {found.ReferencedSOPInstanceUID for found in series.ContourImageSequence} == set(images)


def test_a_new_structure_set_is_nobody_s_approved_plan(made):
    _, files, old, new = made
    assert new.SOPInstanceUID == new.file_meta.MediaStorageSOPInstanceUID != old.SOPInstanceUID
    assert new.SeriesInstanceUID not in (old.SeriesInstanceUID, pydicom.dcmread(files[0]).SeriesInstanceUID)
    assert new.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert new.ApprovalStatus == "UNAPPROVED" and "ReviewerName" not in new and "ReviewDate" not in new
    assert not [element for element in new.iterall() if element.tag.is_private]
    assert "synthetic, not for dose" in new.SeriesDescription
    assert (new.StudyInstanceUID, new.PatientID, new.StructureSetLabel) == (old.StudyInstanceUID, "P7", "PLAN")
    assert new.ContributingEquipmentSequence[-1].Manufacturer == "Manabi"


def test_a_contour_outside_the_series_keeps_its_place_and_names_no_image(tmp_path):
    original, _, files = convert_files(write_source(tmp_path / "in", "plain"), tmp_path / "out")
    old = drawn(original, tmp_path / "old.dcm")
    new = pydicom.dcmread(write_structures(old, files[:3], tmp_path / "new.dcm", provenance={}))
    named = ["ContourImageSequence" in outline for outline in outlines(new)]
    assert named == [True] * 3 + [False] * 3 + [False, True]
    assert len(outlines(new)[5].ContourData) == 12


def test_structures_of_another_patient_place_or_kind_are_refused(tmp_path):
    original, _, files = convert_files(write_source(tmp_path / "in", "plain"), tmp_path / "out")
    elsewhere = [item(ROINumber=1, ReferencedFrameOfReferenceUID="1.2.9", ROIName="x")]
    cases = [
        (drawn(original, tmp_path / "a.dcm", PatientID="other"), files, InvalidInputError, "another patient"),
        (drawn(original, tmp_path / "b.dcm", StructureSetROISequence=elsewhere), files, GeometryError, "1 of 1"),
        (files[0], files, InvalidInputError, "no RTSTRUCT"),
        (tmp_path / "none.dcm", files, InvalidInputError, "missing or damaged"),
        (drawn(original, tmp_path / "c.dcm"), [*files, original.source.files[0]], InvalidInputError, "2 series"),
        (drawn(original, tmp_path / "d.dcm"), [], InvalidInputError, "0 series"),
        (drawn(original, tmp_path / "e.dcm"), [*files[:2], *files[4:]], GeometryError, "missing"),
    ]
    for rtstruct, series, error, words in cases:
        with pytest.raises(error, match=words):
            write_structures(rtstruct, series, tmp_path / "new.dcm", provenance={})
    assert not (tmp_path / "new.dcm").exists()


@pytest.fixture(scope="module")
def chest(tmp_path_factory, data_folder):
    """10 slices of a real CT through its tumour, converted, with the real structure set before and after."""
    folder = data_folder("chest_ct/LUNG1-002_dicom_j2k")
    base = tmp_path_factory.mktemp("chest")
    (base / "in").mkdir()
    for path in folder.glob("*.dcm"):
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality", "ImagePositionPatient"])
        if head.Modality == "CT" and TUMOUR_MM[0] <= float(head.ImagePositionPatient[2]) <= TUMOUR_MM[1]:
            shutil.copy(path, base / "in")
    original, _, files = convert_files(base / "in", base / "out")
    new = write_structures(folder / "RTSTRUCT.dcm", files, base / "new.dcm", provenance=PROVENANCE)
    return original, files, pydicom.dcmread(folder / "RTSTRUCT.dcm"), new


def test_real_structures_fill_the_same_voxels_after_conversion(chest):
    original, files, old, path = chest
    new = pydicom.dcmread(path)
    back = read_dicom(files[0].parent)
    assert back.grid.same_as(original.grid, 1e-6) and original.shape == (10, 512, 512)
    before, after = rasterised(old, original, ORGANS), rasterised(new, back, ORGANS)
    for name in ORGANS:
        assert before[name].sum() > 100, name
        np.testing.assert_array_equal(before[name], after[name])


def test_real_contours_name_the_converted_image_in_their_plane(chest):
    """By place: after the anonymisation of this file its contours name images that exist nowhere."""
    _, files, old, path = chest
    heights = {found.SOPInstanceUID: float(found.ImagePositionPatient[2]) for found in map(pydicom.dcmread, files)}
    checked = 0
    for one, other in zip(outlines(old), outlines(pydicom.dcmread(path)), strict=True):
        assert list(one.ContourData) == list(other.ContourData)
        inside = min(heights.values()) - 0.01 < other.ContourData[2] < max(heights.values()) + 0.01
        if other.ContourGeometricType == "CLOSED_PLANAR" and inside:
            named = heights[other.ContourImageSequence[0].ReferencedSOPInstanceUID]
            assert named == pytest.approx(float(other.ContourData[2]), abs=0.01)
            checked += 1
    assert checked > 50


def test_an_independent_validator_finds_no_error_in_real_structures(chest):
    """dciodvfy of dicom3tools, which finds three in the hospital's own file."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not here (Debian package dicom3tools)")
    assert errors(chest[3]) == set() != errors(chest[2].filename)


def test_an_independent_validator_finds_no_error_in_structures(made, tmp_path):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not here (Debian package dicom3tools)")
    assert errors(tmp_path / "new.dcm") == set()


def errors(path):
    """The errors of a validator's report."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}
