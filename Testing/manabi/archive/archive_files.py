"""A hospital's archive in small: series of tiny slices with headers as scanners write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CLASSES = {
    "CT": "2", "MR": "4", "NM": "20", "PT": "128", "CR": "1", "DX": "1.1", "SEG": "66.4", "RTSTRUCT": "481.3",
    "SR": "88.33",
}  # fmt: skip
NAME, NUMBER, BORN = "Yamada^Hanako", "4711-0815", "19500403"
"""Of the patient that the archive's files are of, where nothing else is said."""


def slice_of(modality="CT", rows=32, columns=32, **tags) -> Dataset:
    """The data set of one small image."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{CLASSES.get(modality, '7')}"
    dataset.SOPInstanceUID, dataset.Modality = generate_uid(), modality
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, NUMBER, BORN
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.3", "1.2.3.4", 4
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    rng = np.random.default_rng(int(tags.get("InstanceNumber", 1)))
    dataset.PixelData = rng.integers(-1000, 300, (rows, columns)).astype("<i2").tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write a file with preamble."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, count=40, modality="CT", spacing=3.0, axes=(1, 0, 0, 0, 1, 0), name="IM{:05d}", **tags):
    """A series of axial slices, one file each; UIDs of its own unless given. Returns the paths."""
    tags = {"SeriesInstanceUID": generate_uid(), "PixelSpacing": [2.0, 2.0], "SliceThickness": spacing, **tags}
    normal = np.cross(axes[:3], axes[3:])
    return [
        save(
            slice_of(
                modality, InstanceNumber=k + 1, ImagePositionPatient=[float(v) for v in normal * spacing * k],
                ImageOrientationPatient=list(axes), **tags,
            ),
            Path(folder) / name.format(k),
        )
        for k in range(count)
    ]  # fmt: skip


def write_spect(path, count=40, **tags):
    """A reconstructed SPECT as one file of several frames."""
    dataset = slice_of("NM", **{"SeriesInstanceUID": generate_uid(), **tags})
    dataset.NumberOfFrames, dataset.PixelSpacing = count, [3.0, 3.0]
    dataset.SpacingBetweenSlices = dataset.SliceThickness = 3.3
    dataset.NumberOfSlices, dataset.SliceVector = count, list(range(1, count + 1))
    if "ImageType" not in tags:
        dataset.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    detector = Dataset()
    detector.ImageOrientationPatient, detector.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0.0, 0.0, 0.0]
    dataset.DetectorInformationSequence = [detector]
    rng = np.random.default_rng(1)
    dataset.PixelData = rng.integers(0, 99, (count, dataset.Rows, dataset.Columns)).astype("<i2").tobytes()
    return save(dataset, Path(path))


def write_structures(path, refers_to, points, **tags):
    """An RTSTRUCT whose structures, name by contours (``(n, 3)`` in LPS mm), are of a series."""
    dataset = slice_of("RTSTRUCT", **{"SeriesInstanceUID": generate_uid(), **tags})
    for keyword in ("Rows", "Columns", "PixelData", "ImageType", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(dataset, keyword)
    series = Dataset()
    series.SeriesInstanceUID = refers_to
    study = Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = "1.2.3.9", [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(points.items(), 1):
        structure = Dataset()
        structure.ROINumber, structure.ROIName, structure.ReferencedFrameOfReferenceUID = number, name, "1.2.3.9"
        dataset.StructureSetROISequence.append(structure)
        drawn = Dataset()
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for contour in contours:
            one = Dataset()
            one.ContourGeometricType, one.NumberOfContourPoints = "CLOSED_PLANAR", len(contour)
            one.ContourData = [f"{value:.6g}" for value in np.ravel(contour)]
            drawn.ContourSequence.append(one)
        dataset.ROIContourSequence.append(drawn)
    return save(dataset, Path(path))
