"""What each kind of DICOM image needs besides the common attributes (DICOM PS3.3, A.3, A.4, A.5, A.8 and A.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.geometry import LPS_TO_RAS
from manabi.io.dicom.decimals import ds, orientation_of
from manabi.io.dicom.quantise import Stored
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
"""SOP class by modality; OT is a secondary capture."""
UNIT_CODES = {"CNTS": ("{counts}", "UCUM", "Counts"), "BQML": ("Bq/ml", "UCUM", "Becquerels/milliliter")}


def fill_ct(dataset: Dataset, volume: Volume, original: Dataset | None) -> None:
    """CT Image Storage: Hounsfield units unless the volume says otherwise."""
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.RescaleType = volume.units or "HU"
    _defaults(dataset, {"KVP": None, "AcquisitionNumber": None})


def fill_mr(dataset: Dataset, volume: Volume, original: Dataset | None) -> None:
    """MR Image Storage; a sequence that is not known is called research mode."""
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    _defaults(
        dataset,
        {"ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": None, "MRAcquisitionType": None,
         "RepetitionTime": None, "EchoTime": None, "EchoTrainLength": None},
    )  # fmt: skip


def fill_pt(dataset: Dataset, volume: Volume, original: Dataset | None) -> None:
    """Positron Emission Tomography Image Storage."""
    dataset.NumberOfSlices = volume.shape[0]
    if volume.units:
        dataset.Units = volume.units
    _defaults(
        dataset,
        {"SeriesDate": dataset.ContentDate, "SeriesTime": dataset.ContentTime, "Units": "CNTS",
         "CountsSource": "EMISSION", "SeriesType": ["STATIC", "IMAGE"], "CorrectedImage": None,
         "DecayCorrection": "NONE", "CollimatorType": None, "RadiopharmaceuticalInformationSequence": [],
         "PatientOrientationCodeSequence": [], "PatientGantryRelationshipCodeSequence": [],
         "FrameReferenceTime": "0", "ActualFrameDuration": "0"},
    )  # fmt: skip


def fill_secondary(dataset: Dataset, volume: Volume, original: Dataset | None) -> None:
    """Secondary Capture Image Storage, made on a workstation, with a place in the patient."""
    dataset.ConversionType = "WSD"


def fill_nm(dataset: Dataset, volume: Volume, stored: Stored, original: Dataset | None) -> None:
    """Nuclear Medicine Image Storage: all slices as frames of one reconstructed tomogram.

    Orientation and position belong to the detector here. Where the pixels are not the values themselves, a real world
    value mapping says so besides the rescale slope, which the standard does not provide for NM but viewers read.
    """
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    count = volume.shape[0]
    dataset.ImageType = ["DERIVED", "SECONDARY", "RECON TOMO", "EMISSION"]
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = dataset.NumberOfSlices = count
    dataset.FrameIncrementPointer = 0x00540080
    dataset.SliceVector = list(range(1, count + 1))
    dataset.DetectorInformationSequence = [_detector(lps, original)]
    dataset.NumberOfDetectors = 1
    dataset.PixelData = np.ascontiguousarray(stored.pixels).astype("<u2", copy=False).tobytes()
    units = volume.units or "CNTS"
    if units != "CNTS":
        dataset.Units = units
    if not stored.is_exact and units in UNIT_CODES:
        dataset.RealWorldValueMappingSequence = [_mapping(stored, units)]
    _defaults(
        dataset,
        {"CountsAccumulated": None, "EnergyWindowInformationSequence": [], "PatientOrientationCodeSequence": [],
         "RadiopharmaceuticalInformationSequence": [], "PatientGantryRelationshipCodeSequence": []},
    )  # fmt: skip


def _detector(lps: np.ndarray, original: Dataset | None) -> Dataset:
    """The original's first detector, where the new grid lies."""
    from copy import deepcopy

    from pydicom import Dataset

    known = original.get("DetectorInformationSequence") if original is not None else None
    item = deepcopy(known[0]) if known else Dataset()
    _defaults(item, {"CollimatorType": None})
    item.ImageOrientationPatient = orientation_of(lps)
    item.ImagePositionPatient = [ds(value) for value in lps[:3, 3]]
    return item


def _mapping(stored: Stored, units: str) -> Dataset:
    """How to read the pixels, besides the rescale slope."""
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

    unit, item = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = UNIT_CODES[units]
    item.LUTExplanation = item.LUTLabel = units
    item.RealWorldValueSlope, item.RealWorldValueIntercept = float(stored.slope), float(stored.intercept)
    kind = "SS" if stored.pixels.dtype.kind == "i" else "US"
    for tag, value in ((0x00409216, stored.pixels.min()), (0x00409211, stored.pixels.max())):
        item.add(DataElement(tag, kind, int(value)))
    item.MeasurementUnitsCodeSequence = [unit]
    return item


def _defaults(dataset: Dataset, values: dict[str, Any]) -> None:
    """Set what the dataset does not have yet."""
    for keyword, value in values.items():
        if keyword not in dataset:
            setattr(dataset, keyword, value)
