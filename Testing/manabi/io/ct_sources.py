"""CT series as scanners and archives write them, and their conversion by hand, for the tests of converted CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from dicom_phantoms import AXIAL, change, enhanced_file, oblique, placed, write_series
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from manabi.io.dicom import read_dicom, write_dicom
from manabi.volume import SYNTHETIC, Volume

FRAME, STUDY = "1.2.826.77.1", "1.2.826.77.2"
SCANNER = {"Manufacturer": "Accurate Rays", "ManufacturerModelName": "MVScan", "StationName": "MV1", "KVP": "3500"}
TAGS = {
    "FrameOfReferenceUID": FRAME, "StudyInstanceUID": STUDY, "PatientID": "P7", "PatientBirthDate": "19500101",
    "PatientSex": "F", "PatientPosition": "HFS", "StudyDate": "20240102", "StudyTime": "101500", "StudyID": "S1",
    "AccessionNumber": "A1", "ReferringPhysicianName": "", "StudyDescription": "Setup", "BodyPartExamined": "HEADNECK",
    "ConvolutionKernel": "STANDARD", "SliceThickness": "5", "WindowCenter": "40", "WindowWidth": "400",
    "RescaleSlope": "1", "RescaleIntercept": "-1024", "PatientName": "Yamada^Hanako", **SCANNER,
}  # fmt: skip
KINDS = ("plain", "oblique", "unsorted", "slopes", "big_endian", "rle", "jittered", "enhanced", "tilted", "uneven")
REGULAR = KINDS[:-2]
PROVENANCE = {"method": "mvct", "bundle": {"name": "mvct-default", "version": "1"}}


def stored(n=6, rows=9, columns=11) -> np.ndarray:
    """Stored values from air to 3000 HU and beyond (intercept -1024), every slice different."""
    values = np.random.default_rng(7).integers(0, 4096, (n, rows, columns)).astype(np.uint16)
    values[:, 0, 0], values[:, 0, 1] = 0, 4095
    return values


def write_source(folder: Path, kind: str) -> Path:
    """A CT series of 6 slices, 3 mm apart unless it is uneven; returns what to read."""
    axes = AXIAL if kind in ("plain", "tilted") else oblique()
    along = [0.0, np.sin(0.3), np.cos(0.3)] if kind == "tilted" else None
    spacing = [3.0, 3.0, 3.0, 4.0, 4.0] if kind == "uneven" else 3.0
    positions = placed(6, spacing, axes, along=along)
    if kind == "jittered":
        positions += np.random.default_rng(2).uniform(-0.02, 0.02, (6, 1)) * np.cross(*axes)
    if kind == "enhanced":
        return _enhanced(folder / "multi.dcm", positions, axes)
    order = np.random.default_rng(5).permutation(6) if kind == "unsorted" else np.arange(6)
    each = {k: {"RescaleSlope": f"{1 + k / 8}"} for k in range(6)} if kind == "slopes" else None
    paths = write_series(folder, stored()[order], positions[order], axes, numbers=order + 1, each=each, **TAGS)
    for path in paths:
        _private(path)
    if kind in ("big_endian", "rle"):
        for path in paths:
            _recode(path, kind)
    return folder


def convert(volume: Volume) -> Volume:
    """A stand-in for the converter: other whole HU on the same grid, to 3071 and beyond, marked as synthetic."""
    values = np.rint(np.asarray(volume.array, np.float64) * 0.9) - 24
    values[:, 1, 1] = 8000
    values[:, 1, 2] = 3000
    return volume.like(values.astype(np.int16), modality="CT", units="HU", caution=SYNTHETIC)


def convert_files(source: Path, folder: Path) -> tuple[Volume, Volume, list[Path]]:
    """The original, its conversion, and the files that the conversion was written to."""
    original = read_dicom(source)
    converted = convert(original)
    files = write_dicom(
        converted, folder, original.source, series_description="Manabi converted", provenance=PROVENANCE
    )
    return original, converted, files


def _private(path: Path) -> None:
    """Private attributes, at the top and in a sequence, and attributes that describe the old pixels."""
    dataset = pydicom.dcmread(path)
    dataset.private_block(0x0019, "SCANNER", create=True).add_new(0x01, "LO", "secret")
    item = Dataset()
    item.private_block(0x0019, "SCANNER", create=True).add_new(0x01, "LO", "secret")
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "774007", "SCT", "Head and neck"
    dataset.AnatomicRegionSequence = [item]
    dataset.add_new("PixelPaddingValue", "US", 0)
    dataset.add_new("LargestImagePixelValue", "US", 4095)
    dataset.GantryDetectorTilt, dataset.ExposureTime, dataset.XRayTubeCurrent = "0", "500", "20"
    dataset.save_as(path)


def _recode(path: Path, kind: str) -> None:
    dataset = pydicom.dcmread(path)
    if kind == "rle":
        dataset.compress(RLELossless)
    else:
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset = _big(dataset)
    dataset.save_as(path, enforce_file_format=True)


def _big(dataset: Dataset) -> Dataset:
    """The same attributes in a data set that was never little-endian, which pydicom asks for."""
    fresh = Dataset()
    fresh.update({element.tag: element for element in dataset if not element.tag.is_private})
    fresh.file_meta = dataset.file_meta
    return fresh


def _enhanced(path: Path, positions: np.ndarray, axes: np.ndarray) -> Path:
    tags = {key: value for key, value in TAGS.items() if key not in ("SliceThickness", "ConvolutionKernel")}
    enhanced_file(path, stored(), positions, axes, Modality="CT", **tags)
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    for item in dataset.PerFrameFunctionalGroupsSequence:
        change(item.PixelValueTransformationSequence[0], {"RescaleIntercept": -1024, "RescaleType": "HU"})
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True, implicit_vr=True, little_endian=True)
    return path
