"""Where a volume came from, so that a derived series can refer to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class DicomSource:
    """The DICOM series that a volume was read from.

    Paths and UIDs are left out of ``repr``, so that they do not end up in a log.

    Attributes:
        files: the files, in the order of the slices; a multi-frame file stands once.
        series_uid: SeriesInstanceUID, or an empty text where the files have none.
        series_number: SeriesNumber, or None.
        modality: DICOM modality code, or None.
        sop_class_uid: SOP class of the files.
        instance_uids: SOPInstanceUID of each file.
        n_slices: number of slices that were in the series.
    """

    files: tuple[Path, ...] = field(repr=False)
    series_uid: str = field(repr=False)
    series_number: int | None = None
    modality: str | None = None
    sop_class_uid: str = ""
    instance_uids: tuple[str, ...] = field(default=(), repr=False)
    n_slices: int = 0
