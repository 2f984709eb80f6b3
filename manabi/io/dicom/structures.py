"""The structures of an original CT on a series derived from it: the same contours, attached to the new images.

A contour lies in the patient by its frame of reference, so an RTSTRUCT of the original lies right on any series that
keeps the frame. But it names the original's images, and planning systems attach structures only to the images that
they name. The contours are therefore written once more, unchanged, naming the new images.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.dicom.frames import floats
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.inherit import NEW_SERIES_NUMBER, PATIENT, STUDY, copy, modifying_equipment
from manabi.io.dicom.originals import reference_item
from manabi.io.dicom.pixels import complete_syntax, damage
from manabi.io.dicom.series import Series, grouped
from manabi.io.dicom.stack import Stack, arrange

if TYPE_CHECKING:
    from pydicom import Dataset

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, which RTReferencedStudySequence still names (DICOM PS3.3 C.8.8.5)."""
SERIES_NUMBER = NEW_SERIES_NUMBER + 2
APPROVAL = ("ReviewDate", "ReviewTime", "ReviewerName")


def write_structures(
    rtstruct: Path | str, series: Sequence[Path | str], path: Path | str, *, provenance: Mapping[str, Any]
) -> Path:
    """Write the structures of an original once more for a series derived from it.

    Every contour keeps its coordinates to the last digit, its structure, number and colour. It names the image in
    whose plane it lies; a contour outside the series names none. The new structure set belongs to the study of the
    series, has UIDs of its own, names the old one as its predecessor, carries no private attributes, and is not
    approved, whatever the old one was: nobody has looked at the contours on these images.

    Args:
        rtstruct: RTSTRUCT file of the original.
        series: the files of the derived series, in any order (:func:`manabi.io.dicom.write_dicom`).
        path: file to write.
        provenance: of the result.

    Returns:
        ``path``.

    Raises:
        InvalidInputError: where a file is no RTSTRUCT or no image, of another patient, or there are several series.
        GeometryError: where a structure lies in another frame of reference than the series, or the images do not form
            one stack.
    """
    images, frame_uid = _derived(series)
    stack = arrange(images.frames(), images.modality)
    structures = _read(Path(rtstruct))
    header = _whole(images.headers[0].path)
    _check(structures, header, frame_uid)
    _renew(structures, header, provenance)
    _attach(structures, stack, header, frame_uid)
    with atomic_file(path) as aside:
        structures.save_as(aside, enforce_file_format=True)
    return Path(path)


def _derived(files: Sequence[Path | str]) -> tuple[Series, str]:
    """The one series of the files, and its frame of reference."""
    headers = [read_header(Path(file)) for file in files]
    found = grouped([header for header in headers if header is not None and header.is_image])
    if len(found) != 1 or None in headers or len(found[0].headers) != len(headers):
        raise InvalidInputError(
            f"Expected the image files of one DICOM series to attach the structures to; got {len(found)} series in "
            f"{len(headers)} files. Give all files of one series and nothing else."
        )
    frames = {header.text("FrameOfReferenceUID") for header in found[0].headers}
    if len(frames) != 1 or "" in frames:
        raise GeometryError("The images name no frame of reference, or several. Structures cannot be attached to them.")
    return found[0], frames.pop()


def _whole(path: Path) -> Dataset:
    """A header with all its texts decoded, without pixels."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        complete_syntax(dataset)
        dataset.decode()
    return dataset


def _read(path: Path) -> Dataset:
    """The structure set."""
    try:
        dataset = _whole(path)
    except damage() as error:
        raise InvalidInputError("The RTSTRUCT file is missing or damaged. Export it again.") from error
    if dataset.get("SOPClassUID") != RTSTRUCT or not dataset.get("StructureSetROISequence"):
        raise InvalidInputError("The file is no RTSTRUCT, or holds no structures. Choose the structure set of the CT.")
    return dataset


def _check(structures: Dataset, header: Dataset, frame_uid: str) -> None:
    """Refuse structures of another patient or place; messages do not name them."""
    if str(structures.get("PatientID") or "") != str(header.get("PatientID") or ""):
        raise InvalidInputError("The structures are of another patient than the images. Choose the patient's own.")
    rois = structures.StructureSetROISequence
    odd = sum(roi.get("ReferencedFrameOfReferenceUID") != frame_uid for roi in rois)
    if odd:
        raise GeometryError(
            f"{odd} of {len(rois)} structures lie in another frame of reference than the images and would not lie "
            "right on them. Choose the structure set that was drawn on the original of these images."
        )


def _renew(structures: Dataset, header: Dataset, provenance: Mapping[str, Any]) -> None:
    """Identity, study and approval of the new structure set."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian, generate_uid

    now = datetime.datetime.now()
    predecessor = Dataset()
    predecessor.ReferencedSOPClassUID, predecessor.ReferencedSOPInstanceUID = RTSTRUCT, structures.SOPInstanceUID
    structures.PredecessorStructureSetSequence = [predecessor]
    structures.remove_private_tags()
    structures.SpecificCharacterSet = "ISO_IR 192"
    copy(header, structures, (*PATIENT, *STUDY))
    structures.SOPInstanceUID, structures.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    structures.SeriesNumber = SERIES_NUMBER
    structures.SeriesDescription = f"Structures for: {header.get('SeriesDescription') or ''}"[:64]
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    structures.StructureSetDate = structures.InstanceCreationDate = date
    structures.StructureSetTime = structures.InstanceCreationTime = time
    structures.pop("InstanceCreatorUID", None)
    structures.setdefault("OperatorsName", "")
    for keyword in APPROVAL:
        structures.pop(keyword, None)
    structures.ApprovalStatus = "UNAPPROVED"
    earlier = structures.get("ContributingEquipmentSequence") or []
    structures.ContributingEquipmentSequence = [*earlier, modifying_equipment(provenance, now)]
    structures.file_meta = FileMetaDataset()
    structures.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    structures.file_meta.ImplementationVersionName = "MANABI"


def _attach(structures: Dataset, stack: Stack, header: Dataset, frame_uid: str) -> None:
    """Point at the new images: the set at all of them, each contour at its own."""
    from pydicom import Dataset

    kind = str(header.SOPClassUID)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ContourImageSequence = [_image(kind, uid) for uid in dict.fromkeys(found.uid for found in stack.frames)]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_CLASS, header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = frame_uid, [study]
    structures.ReferencedFrameOfReferenceSequence = [frame]
    structures.FrameOfReferenceUID = frame_uid
    structures.PositionReferenceIndicator = header.get("PositionReferenceIndicator") or ""
    for contour in _contours(structures):
        uid = _image_of(contour, stack)
        contour.pop("ContourImageSequence", None)
        if uid:
            contour.ContourImageSequence = [_image(kind, uid)]


def _image(kind: str, uid: str) -> Dataset:
    """A reference to an image that contours lie on, which has no purpose of its own."""
    item = reference_item(kind, uid)
    del item.PurposeOfReferenceCodeSequence
    return item


def _contours(structures: Dataset) -> Iterator[Dataset]:
    for roi in structures.get("ROIContourSequence") or []:
        yield from roi.get("ContourSequence") or []


def _image_of(contour: Dataset, stack: Stack) -> str:
    """UID of the image in whose plane a contour lies; empty outside the series, and for points that span planes.

    Within half the distance to the next slice, so that an isocentre between two slices names the nearer one.
    """
    data = contour.get("ContourData") or []
    points = floats(data, len(data))
    if points is None or not len(points) or len(points) % 3:
        return ""
    heights = (points.reshape(-1, 3) - stack.origin) @ stack.directions[2]
    best = int(np.abs(stack.heights_mm - np.median(heights)).argmin())
    away = float(np.abs(heights - stack.heights_mm[best]).max())
    return stack.frames[best].uid if away <= stack.spacing_mm / 2 + 1e-3 else ""
