"""What an RTSTRUCT holds and to which images it belongs, without drawing anything."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.errors import InvalidInputError
from manabi.io.dicom.masks import closed_contours
from manabi.io.dicom.pixels import complete_syntax, damage
from manabi.io.dicom.structures import RTSTRUCT

if TYPE_CHECKING:
    from pydicom import Dataset

FRAMES = "ReferencedFrameOfReferenceSequence"


@dataclass(frozen=True)
class Roi:
    """One structure of a set.

    Attributes:
        number: ROINumber, by which contours refer to it.
        name: as it was typed; it may hold the patient's name.
        contours: how many of its contours are closed.
    """

    number: int
    name: str = field(repr=False)
    contours: int


@dataclass(frozen=True)
class StructureList:
    """A set of structures; UIDs are kept out of ``repr``.

    Attributes:
        rois: in the file's order.
        frames: UIDs of the frames of reference it is said to lie in.
        series: UIDs of the series it refers to.
        images: UIDs of the images it refers to.
        drawn: date and time of the set, as texts that sort; empty where it does not say.
    """

    rois: tuple[Roi, ...]
    frames: frozenset[str] = field(repr=False)
    series: frozenset[str] = field(repr=False)
    images: frozenset[str] = field(repr=False)
    drawn: tuple[str, str] = field(default=("", ""), repr=False)


def list_structures(path: Path) -> StructureList:
    """Read the structures of an RTSTRUCT.

    Raises:
        InvalidInputError: where the file is missing, damaged, or no RTSTRUCT.
    """
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            complete_syntax(dataset)
            if dataset.get("SOPClassUID") != RTSTRUCT and dataset.get("Modality") != "RTSTRUCT":
                raise InvalidInputError("Expected an RTSTRUCT; the file is another DICOM object, or none.")
            return _listed(dataset)
    except damage() as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError("The RTSTRUCT is missing, damaged or incomplete. Export it again.") from error


def _listed(dataset: Dataset) -> StructureList:
    closed = closed_contours(dataset)
    items = dataset.get("StructureSetROISequence") or []
    rois = tuple(
        Roi(int(item.ROINumber), str(item.get("ROIName") or "").strip(), len(closed.get(int(item.ROINumber), [])))
        for item in items
    )
    frames = {str(item.get("ReferencedFrameOfReferenceUID") or "") for item in items}
    frames |= {str(item.get("FrameOfReferenceUID") or "") for item in dataset.get(FRAMES) or []}
    series = {str(item.get("SeriesInstanceUID") or "") for item in _series(dataset)}
    images = {uid for item in _series(dataset) for uid in _images(item)}
    images |= {uid for contours in closed.values() for contour in contours for uid in _images(contour)}
    drawn = (str(dataset.get("StructureSetDate") or ""), str(dataset.get("StructureSetTime") or ""))
    return StructureList(rois, frozenset(frames - {""}), frozenset(series - {""}), frozenset(images - {""}), drawn)


def _series(dataset: Dataset) -> Iterator[Dataset]:
    for frame in dataset.get(FRAMES) or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            yield from study.get("RTReferencedSeriesSequence") or []


def _images(item: Dataset) -> Iterator[str]:
    for image in item.get("ContourImageSequence") or []:
        yield str(image.get("ReferencedSOPInstanceUID") or "")
