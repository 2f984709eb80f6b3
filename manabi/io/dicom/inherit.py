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
               "ContributingEquipmentSequence",
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
OF_THE_SCANNER = (*EQUIPMENT, "KVP", "ConvolutionKernel", "ProtocolName")
"""What is true of the original alone where a model made up the values."""
NEW_SERIES_NUMBER = 9000
ACQUISITION_EQUIPMENT = ("109101", "DCM", "Acquisition Equipment")
MODIFYING_EQUIPMENT = ("109103", "DCM", "Modifying Equipment")
SYNTHESIS = ("SYNTHESIS", "99MANABI", "Image synthesised from another one by a model")
"""How synthetic images were derived; CID 7203 may be extended, and has no code for it."""
DESCRIPTION_CHARACTERS = 64
"""Length of a DICOM LO, which SeriesDescription is."""


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
        dataset.remove_private_tags()
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
    dataset: Dataset, provenance: Mapping[str, Any], description: str, now: datetime.datetime, caution: str = ""
) -> None:
    """Say in the header that the series is derived, by what, and for which use."""
    from pydicom.uid import generate_uid

    method = str(provenance.get("method") or "")
    what = f"Manabi {manabi.__version__}" + (f", {method}" if method else "")
    use = "; ".join(text for text in (what, caution, "for research use only, not for diagnosis.") if text)
    dataset.DerivationDescription = use[:1024]
    described = f"{caution}: {description}" if caution else description
    dataset.SeriesDescription = described[:DESCRIPTION_CHARACTERS]
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber = NEW_SERIES_NUMBER
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = dataset.ContentDate, dataset.ContentTime
    earlier = dataset.get("ContributingEquipmentSequence") or []
    dataset.ContributingEquipmentSequence = [*earlier, modifying_equipment(provenance, now)]


def modifying_equipment(provenance: Mapping[str, Any], now: datetime.datetime) -> Dataset:
    """An item of ContributingEquipmentSequence that says what Manabi did."""
    from pydicom import Dataset

    tool = Dataset()
    tool.PurposeOfReferenceCodeSequence = [coded(MODIFYING_EQUIPMENT)]
    tool.Manufacturer, tool.ManufacturerModelName = "Manabi", "Manabi"
    tool.SoftwareVersions = manabi.__version__
    tool.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    tool.ContributionDescription = "; ".join(
        f"{key} {value}"
        for key, value in (
            ("method", provenance.get("method")), *_flat("bundle", provenance.get("bundle") or {})
        )
        if value
    )[:1024]  # fmt: skip
    return tool


def disown(dataset: Dataset, provenance: Mapping[str, Any], caution: str) -> None:
    """Name the scanner as that of the original images only, for values that it did not measure.

    A planning system chooses the table from HU to density by manufacturer, model, station or tube voltage: a
    kilovoltage-like image that claims to be of a megavoltage scanner would get the wrong one. Manabi is named as the
    equipment instead; the scanner moves into ContributingEquipmentSequence with its tube voltage as text, and KVP is
    empty, which says that it is not known (type 2).
    """
    from pydicom import Dataset

    scanner = Dataset()
    copy(dataset, scanner, EQUIPMENT)
    voltage = dataset.get("KVP")
    for keyword in OF_THE_SCANNER:
        dataset.pop(keyword, None)
    if scanner.get("Manufacturer") not in (None, "", "Manabi"):
        scanner.PurposeOfReferenceCodeSequence = [coded(ACQUISITION_EQUIPMENT)]
        scanner.ContributionDescription = "original images" + (f", {voltage} kV" if voltage else "")
        dataset.ContributingEquipmentSequence.insert(0, scanner)
    dataset.Manufacturer, dataset.SoftwareVersions = "Manabi", manabi.__version__
    dataset.ManufacturerModelName = f"Manabi {provenance.get('method') or ''}".strip()[:DESCRIPTION_CHARACTERS]
    dataset.DerivationCodeSequence = [coded(SYNTHESIS)]
    dataset.ImageComments = f"{caution[:1].upper()}{caution[1:]}."


def coded(code: tuple[str, str, str]) -> Dataset:
    """An item of a code sequence: value, scheme, meaning."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(prefix, value)]
    return [(f"{prefix} {key}", item) for key, item in value.items()]
