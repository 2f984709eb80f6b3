"""What the index keeps of a file: what rules look at, where its slices lie, and nothing that names the patient."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.archive.words import without_names
from manabi.errors import ManabiError
from manabi.io.dicom.frames import Frame, floats, frames_of, number
from manabi.io.dicom.headers import Header, read_header, starts_like_dicom
from manabi.io.dicom.series import refuse_projections, refuse_strange_pixels, series_key
from manabi.io.radiograph import MODALITIES as RADIOGRAPHS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from manabi.pseudonym import Pseudonyms

IMAGE, OBJECT, DAMAGED, OTHER, UNREADABLE = "image", "object", "damaged", "other", "unreadable"
"""Kinds of files: images to read, DICOM objects without (SEG and RTSTRUCT among them), DICOM that is broken, no DICOM,
and files that could not be opened, which are tried again the next time."""
NAMING = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "OtherPatientIDs", "OtherPatientNames",
    "PatientBirthName", "AccessionNumber", "ReferringPhysicianName", "PatientMotherBirthName",
)  # fmt: skip
"""Read to make a pseudonym and to take names out of descriptions; never kept."""
DESCRIBING = (
    "BodyPartExamined", "StudyDescription", "ProtocolName", "ViewPosition", "ContrastBolusAgent", "Manufacturer",
    "ManufacturerModelName", "RepetitionTime", "InversionTime", "KVP", "ConvolutionKernel", "AcquisitionContrast",
    "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence", "SegmentSequence", "StructureSetROISequence",
)  # fmt: skip
MADE_HERE = "Manabi"
"""Manufacturer, or beginning of the model, of series that Manabi has written."""
TOLD_MOMENTS = ("TemporalPositionIdentifier", "TemporalPositionIndex", "EchoNumbers", "EchoTime", "EffectiveEchoTime",
                "DiffusionBValue", "AcquisitionNumber", "TriggerTime", "TimeSlotVector",
                "FrameAcquisitionNumber")  # fmt: skip
"""Of what tells images of one place apart, that which is no date or time of day."""


@dataclass(frozen=True)
class Facts:
    """What the files of a series have in common, as a rule; UIDs stay in the index.

    Attributes:
        patient: pseudonym.
        study: pseudonym.
        series: pseudonym.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        number: SeriesNumber.
        modality: DICOM modality code.
        sop_class: SOPClassUID.
        syntax: TransferSyntaxUID.
        image_type: values of ImageType, in capitals.
        shape: rows, columns.
        pixel_mm: distances between rows and between columns.
        between_mm: SpacingBetweenSlices.
        thickness_mm: SliceThickness.
        body_part: BodyPartExamined.
        description: SeriesDescription without names.
        protocol: ProtocolName without names.
        study_description: StudyDescription without names.
        equipment: manufacturer and model.
        view: ViewPosition.
        contrast_agent: whether one was given.
        acquisition_contrast: AcquisitionContrast of enhanced MR.
        repetition_ms: RepetitionTime.
        echo_ms: EchoTime.
        inversion_ms: InversionTime.
        kvp: peak voltage of the tube, kV.
        kernel: ConvolutionKernel.
        made_here: whether Manabi has written it.
        refers_to: UIDs of the series that a segmentation or structure set refers to.
        parts: names of its segments or structures, without those of the patient.
    """

    patient: str
    study: str
    series: str
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    number: int | None = None
    modality: str | None = None
    sop_class: str = ""
    syntax: str = ""
    image_type: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)
    pixel_mm: tuple[float, float] | None = None
    between_mm: float | None = None
    thickness_mm: float | None = None
    body_part: str = ""
    description: str = ""
    protocol: str = ""
    study_description: str = ""
    equipment: str = ""
    view: str = ""
    contrast_agent: bool = False
    acquisition_contrast: str = ""
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    kvp: float | None = None
    kernel: str = ""
    made_here: bool = False
    refers_to: tuple[str, ...] = field(default=(), repr=False)
    parts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As the index stores it; equal facts give equal texts."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Back from the index."""
        values: dict[str, Any] = json.loads(text)
        given: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**given)


@dataclass(frozen=True)
class FileRecord:
    """What one file is.

    Attributes:
        kind: :data:`IMAGE`, :data:`OBJECT`, :data:`DAMAGED`, :data:`OTHER` or :data:`UNREADABLE`.
        facts: what it says; None for a file that could not be read.
        item: pseudonym of what is chosen as one: the series, or the image where each is an examination (radiographs).
        uid: SOPInstanceUID.
        number: InstanceNumber.
        frames: how many slices it holds.
        places: the slices' orientation and positions, see :func:`stored_places`.
        problem: why it cannot be used as an image, free of names.
    """

    kind: str
    facts: Facts | None = None
    item: str = ""
    uid: str = field(default="", repr=False)
    number: int | None = None
    frames: int = 0
    places: str = ""
    problem: str = ""


def read_record(path: Path, pseudonyms: Pseudonyms) -> FileRecord:
    """Read one file's header and keep what the index needs of it; never raises for what a file holds."""
    try:
        with path.open("rb"):
            pass
    except OSError:
        return FileRecord(UNREADABLE)
    header = read_header(path, more=(*NAMING, *DESCRIBING))
    if header is None:
        return FileRecord(DAMAGED if starts_like_dicom(path, preamble_only=True) else OTHER)
    facts = _facts(header, pseudonyms)
    uid = header.text("SOPInstanceUID")
    item = pseudonyms("IM", uid) if facts.modality in RADIOGRAPHS and uid and header.is_image else facts.series
    known = FileRecord(OBJECT, facts, item, uid, header.whole("InstanceNumber"))
    if not header.is_image:
        return known
    if _is_short(header):
        return replace(known, kind=DAMAGED, problem="The file is shorter than its image: it is truncated.")
    frames, problem = _frames(header)
    count = header.whole("NumberOfFrames") or 1
    return replace(known, kind=IMAGE, frames=count, places=stored_places(frames), problem=problem)


def _frames(header: Header) -> tuple[list[Frame], str]:
    """The slices of an image, or why they cannot be used."""
    if header.modality in RADIOGRAPHS:
        return [], ""
    try:
        refuse_projections(header)
        refuse_strange_pixels(header)
        return frames_of(header), ""
    except ManabiError as error:
        return [], str(error)


def _is_short(header: Header) -> bool:
    """Whether a file without compression ends before its pixels do."""
    syntax = header.dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed or syntax.is_deflated:
        return False
    values = [header.whole(name) or 0 for name in ("Rows", "Columns", "BitsAllocated")]
    frames, samples = header.whole("NumberOfFrames") or 1, header.whole("SamplesPerPixel") or 1
    bits = values[0] * values[1] * values[2] * frames * samples
    if "420" in header.text("PhotometricInterpretation") or "422" in header.text("PhotometricInterpretation"):
        return False
    element = 8 if syntax.is_implicit_VR else 12  # tag and length; and, where it is said, what the values are
    return header.path.stat().st_size < header.end + element + (bits + 7) // 8


# --- places of slices -------------------------------------------------------------------------------------------------


def stored_places(frames: list[Frame]) -> str:
    """The slices of a file as the index stores them; empty where there are none."""
    if not frames:
        return ""
    first = frames[0]
    orientations = [_list(frame.orientation) for frame in frames]
    record = {
        "orientation": orientations[:1] if all(one == orientations[0] for one in orientations) else orientations,
        "position": [_list(frame.position) for frame in frames],
        "pixel_mm": first.pixel_mm,
        "thickness_mm": first.thickness_mm,
        "localizer": first.localizer,
        "moments": [{k: v for k, v in frame.moments.items() if k in TOLD_MOMENTS} for frame in frames],
    }
    return json.dumps(record, separators=(",", ":"))


def stored_frames(text: str, path: Path, record: FileRecord) -> list[Frame]:
    """The slices of a file back from the index, as :func:`manabi.io.dicom.stack.arrange` takes them."""
    if not text or record.facts is None:
        return []
    stored, facts = json.loads(text), record.facts
    orientations = stored["orientation"] * (len(stored["position"]) if len(stored["orientation"]) == 1 else 1)
    return [
        Frame(
            path, index, len(stored["position"]), facts.shape,
            orientation=None if axes is None else np.array(axes).reshape(2, 3),
            position=None if place is None else np.array(place),
            pixel_mm=None if stored["pixel_mm"] is None else tuple(stored["pixel_mm"]),
            between_mm=facts.between_mm, thickness_mm=stored["thickness_mm"],
            instance=record.number if len(stored["position"]) == 1 else index + 1,
            uid=record.uid, localizer=stored["localizer"], moments=moments,
        )
        for index, (axes, place, moments) in enumerate(
            zip(orientations, stored["position"], stored["moments"], strict=True)
        )
    ]  # fmt: skip


def _list(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else [float(value) for value in np.ravel(values)]


# --- what a header says -----------------------------------------------------------------------------------------------


def _facts(header: Header, pseudonyms: Pseudonyms) -> Facts:
    names = names_in(header)

    def said(keyword: str) -> str:
        return " ".join(without_names(header.text(keyword), names).split())

    shape = (header.whole("Rows") or 0, header.whole("Columns") or 0)
    manufacturer, model = header.text("Manufacturer"), header.text("ManufacturerModelName")
    study = header.text("StudyInstanceUID")
    return Facts(
        patient=pseudonyms("P", *_patient(header)),
        study=pseudonyms("ST", study),
        series=pseudonyms("SE", series_key(header)),
        study_uid=study,
        series_uid=header.text("SeriesInstanceUID"),
        number=header.whole("SeriesNumber"),
        modality=header.modality,
        sop_class=header.text("SOPClassUID"),
        syntax=str(header.dataset.file_meta.TransferSyntaxUID),
        image_type=header.image_type,
        shape=shape,
        pixel_mm=_pixel_mm(header),
        between_mm=number(header.get("SpacingBetweenSlices")),
        thickness_mm=number(header.get("SliceThickness")),
        body_part=said("BodyPartExamined"),
        description=said("SeriesDescription"),
        protocol=said("ProtocolName"),
        study_description=said("StudyDescription"),
        equipment=f"{manufacturer} {model}".strip(),
        view=header.text("ViewPosition").upper(),
        contrast_agent=bool(header.text("ContrastBolusAgent")),
        acquisition_contrast=header.text("AcquisitionContrast").upper(),
        repetition_ms=number(header.get("RepetitionTime")),
        echo_ms=number(header.get("EchoTime")),
        inversion_ms=number(header.get("InversionTime")),
        kvp=number(header.get("KVP")),
        kernel="\\".join(_texts(header.get("ConvolutionKernel"))),
        made_here=manufacturer == MADE_HERE or model.startswith(MADE_HERE),
        refers_to=tuple(dict.fromkeys(_referred(header.dataset))),
        parts=tuple(without_names(text, names) for text in _parts(header.dataset)),
    )


def names_in(header: Header) -> list[str]:
    """What identifies the patient."""
    return [text for name in NAMING for text in _texts(header.get(name))]


def _pixel_mm(header: Header) -> tuple[float, float] | None:
    """PixelSpacing, where it is two lengths."""
    pair = floats(header.get("PixelSpacing"), 2)
    return (float(pair[0]), float(pair[1])) if pair is not None and pair.min() > 0 else None


def _patient(header: Header) -> tuple[str, ...]:
    """What tells a patient from others: the number with its issuer, else name and birth date, else the study."""
    given = header.text("PatientID")
    if given:
        return (given, header.text("IssuerOfPatientID"))
    name = header.text("PatientName")
    return ("", name, header.text("PatientBirthDate")) if name else ("", "", "", header.text("StudyInstanceUID"))


def _texts(value: Any) -> list[str]:
    """The values of an attribute as texts."""
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)
    if type(value).__name__ == "PersonName":
        values = [value]
    return [str(one).strip() for one in values if str(one).strip()]


def _referred(dataset: Dataset) -> Iterator[str]:
    """UIDs of the series that an object refers to: SEG at its top, RTSTRUCT below its frames of reference."""
    yield from _uids(dataset)
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            yield from (
                str(series.get("SeriesInstanceUID") or "")
                for series in study.get("RTReferencedSeriesSequence") or []
                if series.get("SeriesInstanceUID")
            )


def _uids(dataset: Dataset) -> Iterator[str]:
    for series in dataset.get("ReferencedSeriesSequence") or []:
        if series.get("SeriesInstanceUID"):
            yield str(series.SeriesInstanceUID)


def _parts(dataset: Dataset) -> list[str]:
    """Names of segments or structures."""
    named = [
        item.get(keyword)
        for sequence, keyword in (("SegmentSequence", "SegmentLabel"), ("StructureSetROISequence", "ROIName"))
        for item in dataset.get(sequence) or []
    ]
    return [str(name).strip() for name in named if name]
