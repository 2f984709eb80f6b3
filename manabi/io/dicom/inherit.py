"""What a derived series takes over from the series it was made from, and what it says about its making."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import manabi
from manabi.errors import InvalidInputError
from manabi.io.dicom.pixels import damage
from manabi.io.dicom.source import DicomSource

if TYPE_CHECKING:
    from pydicom import Dataset

PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge",
           "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod",
           "DeidentificationMethodCodeSequence")  # fmt: skip
STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
         "ReferringPhysicianName", "TimezoneOffsetFromUTC", "LongitudinalTemporalInformationModified")  # fmt: skip
PLACE = ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality",
         "AnatomicRegionSequence")  # fmt: skip
EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "InstitutionName", "StationName", "DeviceSerialNumber",
             "SoftwareVersions")  # fmt: skip
ACQUISITION = ("AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ProtocolName", "ContrastBolusAgent",
               "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")  # fmt: skip
BY_MODALITY = {
    "CT": ("KVP", "ConvolutionKernel", "WindowCenter", "WindowWidth"),
    "MR": (
        "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime",
        "EchoTrainLength", "InversionTime", "FlipAngle", "MagneticFieldStrength", "ImagingFrequency", "ImagedNucleus",
    ),
    "PT": (
        "SeriesDate", "SeriesTime", "Units", "CountsSource", "SeriesType", "CorrectedImage", "DecayCorrection",
        "CollimatorType", "RadiopharmaceuticalInformationSequence", "PatientOrientationCodeSequence",
        "PatientGantryRelationshipCodeSequence", "AttenuationCorrectionMethod", "ScatterCorrectionMethod",
        "RandomsCorrectionMethod", "ReconstructionMethod", "FrameReferenceTime", "ActualFrameDuration", "DecayFactor",
    ),
    "NM": (
        "EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence", "PatientOrientationCodeSequence",
        "PatientGantryRelationshipCodeSequence", "ActualFrameDuration", "CorrectedImage", "AcquisitionDuration",
    ),
}  # fmt: skip
"""PET keeps the series' time too, which is the reference of its decay correction."""

EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
         "AccessionNumber", "ReferringPhysicianName", "Manufacturer", "PositionReferenceIndicator")  # fmt: skip
"""Attributes that must be there, empty where nothing is known (type 2)."""
PATIENT_POSITION = ("CT", "MR")
"""Modalities whose images must say how the patient lay, or that it is not known."""
NEW_SERIES_NUMBER = 9000
MODIFYING_EQUIPMENT = ("109103", "DCM", "Modifying Equipment")


def read_reference(reference: DicomSource) -> Dataset:
    """The header of the first file of the original series, its texts decoded.

    Raises:
        InvalidInputError: where the file is no longer there.
    """
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(reference.files[0], force=True, stop_before_pixels=True)
            header.decode()
    except damage() as error:
        raise InvalidInputError(
            "The original DICOM files can no longer be read; a derived series needs their patient and study. "
            "Put them back, or write NIfTI or NRRD instead."
        ) from error
    return header


def base_dataset(reference: Dataset | None, modality: str, now: datetime.datetime) -> Dataset:
    """Patient, study, place, equipment and acquisition of the original; a new study with no patient without one.

    Texts are written in UTF-8 whatever the original used.
    """
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    keywords = (*PATIENT, *STUDY, *PLACE, *EQUIPMENT, *ACQUISITION, *BY_MODALITY.get(modality, ()))
    if reference is not None:
        copy(reference, dataset, keywords)
    for keyword in (*EMPTY, *(("PatientPosition",) if modality in PATIENT_POSITION else ())):
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, generate_uid(prefix=None))
    if reference is None:
        dataset.StudyDate, dataset.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
        dataset.Manufacturer, dataset.SoftwareVersions = "Manabi", manabi.__version__
    return dataset


def copy(reference: Dataset, dataset: Dataset, keywords: tuple[str, ...]) -> None:
    """Copy attributes that the reference has and that can be read."""
    for keyword in keywords:
        try:
            if keyword in reference:
                setattr(dataset, keyword, reference[keyword].value)
        except damage():
            continue


def describe_derivation(
    dataset: Dataset, provenance: Mapping[str, Any], description: str, now: datetime.datetime
) -> None:
    """Say in the header that the series is derived, by what, and for which use."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    method = str(provenance.get("method") or "")
    bundle = provenance.get("bundle") or {}
    what = f"Manabi {manabi.__version__}" + (f", {method}" if method else "")
    dataset.DerivationDescription = f"{what}; for research use only, not for diagnosis."
    dataset.SeriesDescription = description[:64]
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber = NEW_SERIES_NUMBER
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = dataset.ContentDate, dataset.ContentTime
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = MODIFYING_EQUIPMENT
    tool = Dataset()
    tool.PurposeOfReferenceCodeSequence = [purpose]
    tool.Manufacturer, tool.ManufacturerModelName = "Manabi", "Manabi"
    tool.SoftwareVersions = manabi.__version__
    tool.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    tool.ContributionDescription = "; ".join(
        f"{key} {value}" for key, value in (("method", method), *_flat("bundle", bundle)) if value
    )[:1024]
    dataset.ContributingEquipmentSequence = [tool]


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(prefix, value)]
    return [(f"{prefix} {key}", item) for key, item in value.items()]
