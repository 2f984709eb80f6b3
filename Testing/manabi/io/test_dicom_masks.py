"""RTSTRUCT and SEG as label maps on their image: place, holes, overlaps, names, and what is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_phantoms import oblique, placed, ramp, write_series
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.dicom import read_dicom
from manabi.io.dicom.headers import find_headers
from manabi.io.dicom.masks import read_mask
from manabi.io.dicom.series import grouped
from manabi.io.dicom.stack import arrange
from manabi.volume import Volume

BOX = np.array([(1.6, 0.6), (7.4, 0.6), (7.4, 6.4), (1.6, 6.4)])
"""Columns and rows around the voxels 2 to 7 by 1 to 6: 36 of them."""
HOLE = np.array([(2.6, 1.6), (4.4, 1.6), (4.4, 3.4), (2.6, 3.4)])
"""Around 2 by 2 voxels within."""


@pytest.fixture
def image(tmp_path):
    """An oblique CT of 5 slices of 20 by 24 voxels."""
    axes = oblique()
    write_series(
        tmp_path / "ct", ramp(5, 20, 24), placed(5, 3.0, axes), axes, FrameOfReferenceUID="1.2.3.9", StudyID="1",
        SliceThickness=3.0,
    )  # fmt: skip
    return read_dicom(tmp_path / "ct")


def contour(image, corners, k):
    """Corners in columns and rows of a slice, as LPS points."""
    ijk = np.column_stack([corners, np.full(len(corners), float(k))])
    return image.grid.ras_of(ijk) @ LPS_TO_RAS[:3, :3]


def rtstruct(path, structures, kind="CLOSED_PLANAR"):
    """An RTSTRUCT with the contours of each structure."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", generate_uid()
    dataset.Modality, dataset.StructureSetROISequence, dataset.ROIContourSequence = "RTSTRUCT", [], []
    for number, (name, contours) in enumerate(structures.items(), 1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            one = Dataset()
            one.ContourGeometricType, one.NumberOfContourPoints = kind, len(points)
            one.ContourData = [f"{value:.8g}" for value in np.ravel(points)]
            drawn.ContourSequence.append(one)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_contours_fill_the_voxels_whose_centres_they_enclose(image, tmp_path):
    path = rtstruct(tmp_path / "rt", {"GTV": [contour(image, BOX, 1), contour(image, BOX, 2)]})
    mask = read_mask(path, image)
    expected = np.zeros(image.shape, np.uint16)
    expected[1:3, 1:7, 2:8] = 1
    assert (mask.array == expected).all()
    assert mask.grid.same_as(image.grid)
    assert (mask.modality, mask.source.segment_names, mask.warnings) == ("SEG", {1: "GTV"}, ())


def test_a_contour_within_another_is_a_hole_and_one_drawn_twice_counts_once(image, tmp_path):
    path = rtstruct(tmp_path / "rt", {"lung": [contour(image, corners, 2) for corners in (BOX, HOLE, BOX + 0.02)]})
    mask = read_mask(path, image).array == 1
    assert mask.sum() == 36 - 4
    assert not mask[2, 2:4, 3:5].any()


def test_the_smaller_of_two_structures_stays_whole_and_the_loss_is_told(image, tmp_path):
    path = rtstruct(tmp_path / "rt", {"GTV": [contour(image, HOLE, 2)], "body": [contour(image, BOX, 2)]})
    mask = read_mask(path, image)
    assert [int((mask.array == label).sum()) for label in (1, 2)] == [4, 32]
    assert mask.warnings[0].endswith("with the part lost: body 11 %.")


def test_contours_of_another_image_are_refused(image, tmp_path):
    between = rtstruct(tmp_path / "a", {"GTV": [contour(image, BOX, 1.5)]})
    with pytest.raises(GeometryError, match="does not lie in a slice"):
        read_mask(between, image)
    outside = rtstruct(tmp_path / "b", {"GTV": [contour(image, BOX, 40)]})
    with pytest.raises(InvalidInputError, match="lies in the image"):
        read_mask(outside, image)
    points = rtstruct(tmp_path / "c", {"isocentre": [contour(image, BOX[:1], 1)]}, kind="POINT")
    with pytest.raises(InvalidInputError, match="lies in the image"):
        read_mask(points, image)
    with pytest.raises(InvalidInputError, match="Expected an RTSTRUCT"):
        read_mask(image.source.files[0], image)


@pytest.fixture
def segmentation(image, tmp_path):
    """A binary SEG of two segments, written by highdicom, and what it holds."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    sources = [pydicom.dcmread(path) for path in image.source.files]
    for source in sources:
        source.PatientID = source.PatientBirthDate = source.PatientSex = source.AccessionNumber = ""
        source.StudyDate = source.StudyTime = ""
    truth = np.zeros((*image.shape, 2), np.uint8)
    truth[1:3, 4:9, 5:11, 0] = 1
    truth[3, 10:14, 2:6, 1] = 1
    algorithm = hd.AlgorithmIdentificationSequence("x", codes.cid7162.ArtificialIntelligence, "1")
    segments = [
        hd.seg.SegmentDescription(
            number, name, codes.SCT.Tissue, codes.SCT.Neoplasm, hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm
        )
        for number, name in enumerate(("tumour", "node"), 1)
    ]  # fmt: skip
    made = hd.seg.Segmentation(
        sources, truth, hd.seg.SegmentationTypeValues.BINARY, segments, hd.UID(), 300, hd.UID(), 1, "x", "x", "1", "1"
    )  # fmt: skip
    made.save_as(tmp_path / "seg.dcm")
    return tmp_path / "seg.dcm", truth


def test_a_seg_comes_back_voxel_by_voxel_with_its_names(image, segmentation):
    path, truth = segmentation
    mask = read_mask(path, image)
    assert (mask.array == truth[..., 0] + 2 * truth[..., 1]).all()
    assert mask.source.segment_names == {1: "tumour", 2: "node"}


def test_a_seg_of_another_grid_is_refused(image, segmentation):
    coarse = image.resampled(image.grid.with_spacing(np.array([3.0, 3.0, 3.0])))
    with pytest.raises(GeometryError, match="other pixels than the image"):
        read_mask(segmentation[0], coarse)


def test_the_volumes_of_real_structures_are_those_of_their_contours(data_folder):
    """The area within each contour by the shoelace formula, times the slice spacing: no voxel is involved."""
    folder = data_folder("chest_ct/LUNG1-002_dicom_j2k")
    headers, _ = find_headers(folder)
    series = next(one for one in grouped(headers) if one.is_image and one.modality == "CT")
    stack = arrange(series.frames(), "CT")
    shape = (len(stack.frames), *stack.frames[0].shape)
    image = Volume(np.zeros(shape, np.uint8), LPS_TO_RAS @ stack.ijk_to_lps(), modality="CT")
    path = next(header.path for header in headers if header.modality == "RTSTRUCT")
    mask = read_mask(path, image)
    numbers = {name: number for number, name in mask.source.segment_names.items()}
    dataset = pydicom.dcmread(path)
    voxel = float(np.prod(image.spacing_mm))
    for name in ("GTV-1", "Spinal cord"):
        (roi,) = [one for one in dataset.ROIContourSequence if int(one.ReferencedROINumber) == numbers[name]]
        area = 0.0
        for one in roi.ContourSequence:
            x, y = np.asarray(one.ContourData, float).reshape(-1, 3)[:, :2].T
            area += abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        volume = float((mask.array == numbers[name]).sum()) * voxel
        assert volume == pytest.approx(area * stack.spacing_mm, rel=0.02), name
