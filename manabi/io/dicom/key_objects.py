"""A Key Object Selection: a document in the archive that points at the original images a reader should look at.

DICOM PS3.3 A.35.4 and C.17.6, content after template TID 2010 (PS3.16). Built with highdicom.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import manabi
from manabi.errors import DependencyError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.atomic import atomic_file
from manabi.io.dicom.frames import Frame, frames_of
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.inherit import NEW_SERIES_NUMBER, base_dataset, read_reference
from manabi.io.dicom.source import DicomSource

if TYPE_CHECKING:
    from pydicom import Dataset

OF_INTEREST = ("113000", "DCM", "Of Interest")
"""Title of the document (CID 7010)."""
SEXES = ("M", "F", "O")
SERIES_NUMBER = NEW_SERIES_NUMBER + 1


@dataclass(frozen=True)
class KeyImage:
    """One image to point at.

    Attributes:
        centre_ras: a point of the slice that is meant, mm: the middle of the image.
        text: what is to be seen there.
    """

    centre_ras: tuple[float, float, float]
    text: str


def write_key_objects(
    source: DicomSource | None, images: Sequence[KeyImage], path: Path | str, *, provenance: Mapping[str, Any]
) -> Path:
    """Write a Key Object Selection that refers to original images by where they lie.

    The original whose plane comes closest to a point is the one that is referred to, whatever was resampled since. Of
    a multi-frame original, the frame is named. Patient and study are the original's.

    Args:
        source: the original series (``Volume.source``).
        images: what to point at; an original that comes twice is referred to once.
        path: file to write.
        provenance: of the result.

    Raises:
        InvalidInputError: where the image did not come from DICOM, no image is given, a point lies outside the series,
            or the original can no longer be read.
        DependencyError: without highdicom.
    """
    if not isinstance(source, DicomSource) or not source.instance_uids:
        raise InvalidInputError(
            "A key object selection points at the images of a DICOM series; this image did not come from one. Give the "
            "DICOM folder, or leave the key objects out."
        )
    if not images:
        raise InvalidInputError("A key object selection needs one image at least; there are no slices to point at.")
    frames = _original_frames(source)
    chosen = [_closest(frames, image) for image in images]
    document = _document(source, chosen, _description(images, chosen), provenance)
    with atomic_file(path) as aside:
        document.save_as(aside, enforce_file_format=True)
    return Path(path)


def _original_frames(source: DicomSource) -> list[Frame]:
    """Every slice of the original, with its place."""
    headers = [read_header(file) for file in source.files]
    found = [frame for header in headers if header is not None for frame in frames_of(header)]
    placed = [f for f in found if f.orientation is not None and f.position is not None and f.pixel_mm and f.uid]
    if not placed or None in headers:
        raise InvalidInputError(
            "The original DICOM files can no longer be read; key objects point at them. Put them back, or leave the "
            "key objects out."
        )
    return placed


def _centre(frame: Frame) -> np.ndarray:
    """The middle of a slice, LPS mm."""
    rows, columns = frame.shape
    row_mm, column_mm = frame.pixel_mm or (0.0, 0.0)
    along_row, along_column = np.asarray(frame.orientation)
    return (
        np.asarray(frame.position)
        + along_row * column_mm * (columns - 1) / 2
        + along_column * row_mm * (rows - 1) / 2
    )


def _closest(frames: Sequence[Frame], image: KeyImage) -> Frame:
    """The original whose plane comes closest to the point.

    Measured across the slices, from middle to middle: a tilted plane reaches over many others' height.
    """
    point = LPS_TO_RAS[:3, :3] @ np.asarray(image.centre_ras, float)
    normal = np.cross(*np.asarray(frames[0].orientation))
    heights = np.array([_centre(frame) @ normal for frame in frames])
    away = np.abs(heights - point @ normal)
    best = int(away.argmin())
    steps = np.diff(np.unique(np.round(heights, 3)))
    limit = float(steps.max()) if len(steps) else 1.0
    if away[best] > limit:
        raise InvalidInputError(
            f"A slice to point at lies {away[best]:.1f} mm outside the original series, whose slices are up to "
            f"{limit:.1f} mm apart. Use a result of this very series."
        )
    return frames[best]


def _description(images: Sequence[KeyImage], frames: Sequence[Frame]) -> str:
    """What is to be seen where, a line for each image."""
    lines = ["Manabi, for research use only, not for diagnosis."]
    for image, frame in zip(images, frames, strict=True):
        what = "Frame" if frame.n_frames > 1 else "Instance"
        number = "" if frame.instance is None else f"{what} {frame.instance}: "
        lines.append(f"{number}{image.text}")
    return "\r\n".join(lines)


def _document(source: DicomSource, frames: Sequence[Frame], text: str, provenance: Mapping[str, Any]) -> Dataset:
    """The document itself."""
    try:
        from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
        from highdicom.sr import CodedConcept
    except ImportError as error:
        raise DependencyError("Key objects are written with highdicom. Install it: pip install highdicom.") from error
    from pydicom.uid import generate_uid

    evidence = _evidence(source, frames)
    title = CodedConcept(*OF_INTEREST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom's advice on a patient's name repeats the name
        content = KeyObjectSelection(title, evidence, observer_device_context=_observer(provenance), description=text)
        document = KeyObjectSelectionDocument(
            evidence, content, generate_uid(prefix=None), SERIES_NUMBER, generate_uid(prefix=None), 1,
            manufacturer="Manabi", manufacturer_model_name="Manabi", software_versions=manabi.__version__,
            series_description="Manabi representative slices", specific_character_set="ISO_IR 192",
        )  # fmt: skip
    _name_frames(document, frames)
    return document


def _evidence(source: DicomSource, frames: Sequence[Frame]) -> list[Dataset]:
    """What highdicom asks of every image: patient, study, series, UIDs and size."""
    shared = base_dataset(read_reference(source), "KO", datetime.datetime.now())
    if shared.PatientSex not in SEXES:
        shared.PatientSex = ""
    items = []
    for frame in {frame.uid: frame for frame in frames}.values():
        item = deepcopy(shared)
        item.SOPClassUID, item.SOPInstanceUID, item.SeriesInstanceUID = (source.sop_class_uid, frame.uid,
                                                                         source.series_uid)  # fmt: skip
        item.Rows, item.Columns = frame.shape
        items.append(item)
    return items


def _observer(provenance: Mapping[str, Any]) -> Any:
    """Who selected: a program, with its version and model."""
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    bundle = provenance.get("bundle") or {}
    model = " ".join(str(part) for part in (bundle.get("name"), bundle.get("version")) if part)
    device = DeviceObserverIdentifyingAttributes(
        generate_uid(prefix=None), name=f"Manabi {manabi.__version__}", manufacturer_name="Manabi",
        model_name=model or str(provenance.get("method") or "Manabi"),
    )  # fmt: skip
    return ObserverContext(codes.DCM.Device, device)


def _name_frames(document: Dataset, frames: Sequence[Frame]) -> None:
    """Say which frames of a multi-frame image are meant."""
    wanted: dict[str, list[int]] = {}
    for frame in frames:
        if frame.n_frames > 1:
            wanted.setdefault(frame.uid, []).append(frame.index + 1)
    for item in document.ContentSequence:
        for reference in item.get("ReferencedSOPSequence", []):
            numbers = wanted.get(str(reference.ReferencedSOPInstanceUID))
            if numbers:
                reference.ReferencedFrameNumber = sorted(set(numbers))
