"""Finding DICOM files and reading their headers, fast: only the attributes that sorting and checking need.

The names of DICOM files often hold those of patients, and messages travel into tables, logs and results: they call a
file by its place among the files of the folder (:class:`Place`), never by its name.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError
from manabi.io.dicom.pixels import complete_syntax, damage, settle

if TYPE_CHECKING:
    from pydicom import Dataset

HEADER_TAGS = (
    "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "StudyInstanceUID", "SeriesNumber",
    "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "FrameOfReferenceUID", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units",
    "ModalityLUTSequence", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
    "DetectorInformationSequence", "NumberOfSlices", "SliceVector", "TimeSlotVector", "RotationVector",
    "RotationInformationSequence", "TemporalPositionIdentifier", "EchoNumbers", "EchoTime", "TriggerTime",
    "DiffusionBValue", "FrameReferenceTime", "AcquisitionNumber", "AcquisitionTime",
    "SeriesDescription",
)  # fmt: skip

MODALITY_OF_CLASS = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.5": "NM",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
}
"""Modality by SOP class, for files that leave Modality out."""

DIRECTORY_CLASS = b"1.2.840.10008.1.3.10\0"
"""SOP class of a DICOMDIR, as it stands in the file."""

NO_IMAGES = frozenset((
    "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "RTIMAGE", "SR", "PR", "KO", "REG", "FID", "DOC", "PLAN", "M3D",
    "RWV", "ECG", "HD", "AU", "SMR", "ANN",
))  # fmt: skip
"""Modalities of objects that go with images without being images to read (a dose and a segmentation have pixels)."""


@dataclass(frozen=True)
class Place:
    """Which file of a folder, without its name: the ``number``-th (from 1) of ``count`` in the order of their names.

    A folder's files are those at any depth that are not hidden, ordered by folder and name. ``count`` is 0 for a file
    that was asked for itself.
    """

    number: int = 1
    count: int = 0

    def __str__(self) -> str:
        return f"file {self.number} of {self.count} by name" if self.count else "the file"

    @property
    def note(self) -> str:
        """The place in parentheses after a word such as "The image"; empty for a file that was asked for itself."""
        return f" ({self})" if self.count else ""

    def after(self, text: str) -> str:
        """A remark in parentheses, with the place behind it."""
        return ", ".join(part for part in (text, str(self) if self.count else "") if part)


ALONE = Place()


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one file.

    Attributes:
        path: the file.
        dataset: the attributes that were read.
        modality: None where neither Modality nor the SOP class says it.
        place: which file of a folder it is.
        end: how many bytes of the file come before its pixel data.
    """

    path: Path = field(repr=False)
    dataset: Dataset = field(repr=False)
    modality: str | None
    place: Place = ALONE
    end: int = 0

    def get(self, keyword: str, default: Any = None) -> Any:
        """An attribute's value; ``default`` where it is missing or empty."""
        value = self.dataset.get(keyword)
        return default if value is None or value == "" else value

    def text(self, keyword: str) -> str:
        """An attribute's value as a text, empty where it is missing."""
        return str(self.get(keyword, "")).strip()

    def whole(self, keyword: str) -> int | None:
        """An attribute's value as a whole number, None where it is missing or none."""
        try:
            return int(self.get(keyword))
        except (TypeError, ValueError):
            return None

    @property
    def image_type(self) -> tuple[str, ...]:
        """The values of ImageType, in capitals."""
        value = self.get("ImageType", "")
        values = [value] if isinstance(value, str) else list(value)
        return tuple(str(v).strip().upper() for v in values)

    @property
    def is_image(self) -> bool:
        """Whether the file holds an image to read."""
        return self.modality not in NO_IMAGES and bool(self.whole("Rows")) and bool(self.whole("Columns"))


def find_headers(path: Path | Sequence[Path]) -> tuple[list[Header], list[Place]]:
    """Every DICOM header of a file, of several, or, recursively, of a folder.

    Returns:
        The headers sorted by path (several files in the order given), and which DICOM files are damaged.

    Raises:
        InvalidInputError: where the path does not exist, or holds no DICOM at all.
    """
    if isinstance(path, Path) and not path.exists():
        raise InvalidInputError("There is no such file or folder. Check the path.")
    headers, damaged = [], []
    files = _files(path) if isinstance(path, Path) else list(path)
    is_file = isinstance(path, Path) and path.is_file()
    for number, file in enumerate(files, 1):
        place = ALONE if is_file else Place(number, len(files))
        header = read_header(file, place)
        if header is not None:
            headers.append(header)
        elif starts_like_dicom(file, preamble_only=True):
            damaged.append(place)
    if not headers:
        raise InvalidInputError(_nothing(is_file, damaged))
    return headers, damaged


def read_header(path: Path, place: Place = ALONE, more: Sequence[str] = ()) -> Header | None:
    """The header of one file, or None where it is damaged or not DICOM. Files without a preamble are read too.

    Args:
        path: the file.
        place: which file of a folder it is, for messages.
        more: keywords of attributes to read besides :data:`HEADER_TAGS`.
    """
    import pydicom

    if not starts_like_dicom(path):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = [*HEADER_TAGS, *more]
            with path.open("rb") as file:
                dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=tags)
                end = file.tell()
            complete_syntax(dataset)
            settle(dataset)
            known = dataset.get("SOPClassUID") or dataset.get("Modality") or dataset.get("Rows")
    except damage():
        return None
    if not known:
        return None
    named = str(dataset.get("Modality") or "").strip().upper()
    return Header(path, dataset, named or MODALITY_OF_CLASS.get(str(dataset.get("SOPClassUID"))), place, end)


def _files(path: Path) -> list[Path]:
    """The file, or all files below a folder in order of their paths; hidden files are left out."""
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in names if not name.startswith(".")]
    return sorted(found)


def starts_like_dicom(path: Path, *, preamble_only: bool = False) -> bool:
    """Whether a file has the preamble, or starts as a data set without one does; a directory of files does not count.

    Without this look, pydicom would parse every other file of a folder as if it were DICOM.
    """
    if path.name.upper() == "DICOMDIR":
        return False
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return False
    if start[128:132] == b"DICM":
        return DIRECTORY_CLASS not in start
    return not preamble_only and start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00"


def _nothing(is_file: bool, damaged: list[Place]) -> str:
    if damaged and is_file:
        return "The DICOM file is truncated or damaged. Copy or export it again."
    if damaged:
        which = "The only DICOM file" if len(damaged) == 1 else "Every DICOM file"
        return f"{which} of the folder ({listed_files(damaged)}) is truncated or damaged. Copy or export it again."
    what = "This is no DICOM file" if is_file else "The folder holds no DICOM files"
    return f"{what}. Choose a DICOM file, or the folder that holds the series."


def listed_files(places: list[Place], limit: int = 5) -> str:
    """Which files of a folder, for a message: ``file 3 of 40 by name``, ``files 3, 7 of 40 by name``."""
    if len(places) == 1:
        return str(places[0])
    return f"files {some_of([str(place.number) for place in places], limit)} of {places[0].count} by name"


def some_of(names: list[str], limit: int = 5) -> str:
    """The first few texts, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
