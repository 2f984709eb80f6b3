"""A Chest CAD report: marks on a radiograph as a DICOM structured report beside it in the archive.

DICOM PS3.3 A.35.8 (Chest CAD SR) with content after PS3.16 TID 4100, 4101, 4104 and 4021. A report is made even where
nothing was found, which says that the film was searched. It claims no probability of cancer.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import manabi
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.dicom.cad_sr_content import Algorithm, Finding, content
from manabi.io.dicom.inherit import NEW_SERIES_NUMBER, base_dataset, modifying_equipment, read_reference
from manabi.io.dicom.source import DicomSource

if TYPE_CHECKING:
    from pydicom import Dataset

CHEST_CAD_SR = "1.2.840.10008.5.1.4.1.1.88.65"
SERIES_NUMBER = NEW_SERIES_NUMBER + 2
NOT_OF_A_REPORT = (
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality",
    "AnatomicRegionSequence", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ProtocolName",
    "ContrastBolusAgent", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "InstitutionName", "StationName", "DeviceSerialNumber",
)  # fmt: skip


@dataclass(frozen=True)
class CadMark:
    """One mark.

    Attributes:
        row: on the stored image; whole numbers are the centres of pixels.
        column: likewise.
        score: 0 to 1.
        diameter_px: rows across, or 0 where it is not known; drawn as a circle.
        text: what a reader should know of the mark.
        shown: whether it is above the operating point; others are kept as optional.
    """

    row: float
    column: float
    score: float
    diameter_px: float = 0.0
    text: str = ""
    shown: bool = True


def write_chest_cad_sr(
    source: DicomSource | None, marks: Sequence[CadMark], path: Path | str, *, provenance: Mapping[str, Any],
    operating_point: str = "",
) -> Path:  # fmt: skip
    """Write a Chest CAD SR about one radiograph; patient and study are the film's, series and instance are new.

    Args:
        source: the film (``Volume.source``).
        marks: most suspicious first; may be empty.
        path: file to write, as a whole or not at all.
        provenance: of the result.
        operating_point: in words, among the algorithm's parameters.

    Raises:
        InvalidInputError: where the film did not come from one DICOM file, can no longer be read, or a mark lies
            outside it.
    """
    if not isinstance(source, DicomSource) or len(source.files) != 1 or not source.instance_uids:
        raise InvalidInputError(
            "A Chest CAD report points at one DICOM radiograph; this image did not come from one. Give the DICOM file, "
            "or export the marks as CSV."
        )
    original = read_reference(source)
    _check(original, marks)
    dataset = _header(original, provenance)
    algorithm = Algorithm("Manabi NoduleSynth", _version(provenance), operating_point)
    findings = [Finding(m.column + 0.5, m.row + 0.5, m.score, m.diameter_px, m.text, m.shown) for m in marks]
    content(dataset, original, findings, algorithm)
    with atomic_file(path) as aside:
        _save(dataset, aside)
    return Path(path)


def _check(original: Dataset, marks: Sequence[CadMark]) -> None:
    if not original.get("SOPInstanceUID") or not original.get("SOPClassUID") or not original.get("SeriesInstanceUID"):
        raise InvalidInputError(
            "The DICOM file lacks its identifiers (UIDs); a report cannot point at it. Export again."
        )
    rows, columns = int(original.Rows), int(original.Columns)
    for mark in marks:
        if not (-0.5 <= mark.row <= rows - 0.5 and -0.5 <= mark.column <= columns - 0.5):
            raise InvalidInputError(
                f"A mark at row {mark.row:.0f}, column {mark.column:.0f} lies outside the film of {rows} × {columns} "
                "pixels. Use a result of this very film."
            )


def _header(original: Dataset, provenance: Mapping[str, Any]) -> Dataset:
    """Everything but the content tree."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    now = datetime.datetime.now()
    dataset = base_dataset(original, "SR", now)
    for keyword in NOT_OF_A_REPORT:
        dataset.pop(keyword, None)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CHEST_CAD_SR, generate_uid(prefix=None)
    dataset.Modality, dataset.SeriesInstanceUID = "SR", generate_uid(prefix=None)
    dataset.SeriesNumber, dataset.InstanceNumber = SERIES_NUMBER, 1
    dataset.SeriesDescription = "Manabi NoduleSynth: chest CAD, research only"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.Manufacturer, dataset.ManufacturerModelName = "Manabi", "Manabi NoduleSynth"
    dataset.SoftwareVersions, dataset.DeviceSerialNumber = manabi.__version__, "none"
    dataset.ContributingEquipmentSequence = [modifying_equipment(provenance, now)]
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = dataset.ContentDate, dataset.ContentTime
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = original.SOPClassUID, original.SOPInstanceUID
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = original.SeriesInstanceUID, [image]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = dataset.StudyInstanceUID, [series]
    dataset.CurrentRequestedProcedureEvidenceSequence = [study]
    return dataset


def _version(provenance: Mapping[str, Any]) -> str:
    bundle = provenance.get("bundle") or {}
    parts = (f"Manabi {manabi.__version__}", bundle.get("name"), bundle.get("version"))
    return " ".join(str(part) for part in parts if part)[:64]


def _save(dataset: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationVersionName = "MANABI"
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
