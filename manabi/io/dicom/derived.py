"""What all files of a derived series have in common, and writing one of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manabi.io.dicom.decimals import ds
from manabi.io.dicom.inherit import base_dataset, describe_derivation, disown
from manabi.io.dicom.iod import CLASSES
from manabi.io.dicom.originals import reference_item
from manabi.io.dicom.quantise import Stored
from manabi.io.dicom.source import DicomSource
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset


def modality_of(volume: Volume, reference: DicomSource | None) -> str:
    """The modality of a derived series: the volume's, else the reference's; OT for one that is not written here."""
    modality = volume.modality or (reference.modality if reference else None) or "OT"
    return modality if modality in CLASSES else "OT"


def derived_dataset(
    original: Dataset | None, modality: str, provenance: Mapping[str, Any], series_description: str,
    *, caution: str = "",
) -> Dataset:  # fmt: skip
    """The header of a new series up to its pixels: patient and study of the original, and what was made of it.

    Args:
        original: header of the original series; None makes a new study without patient data.
        modality: one of :data:`manabi.io.dicom.iod.CLASSES`.
        provenance: of the result; method and bundle go into the header.
        series_description: what a reader sees in the list of series; 64 characters are kept.
        caution: of the volume (:class:`~manabi.volume.Volume`). It comes first in the description, and the original's
            scanner and its settings are named as those of the original, not of these values.
    """
    now = datetime.datetime.now()
    dataset = base_dataset(original, modality, now)
    if not dataset.get("BodyPartExamined"):
        dataset.setdefault("Laterality", "")
    describe_derivation(dataset, provenance, series_description, now, caution)
    if caution:
        disown(dataset, provenance, caution)
    dataset.Modality, dataset.SOPClassUID = modality, CLASSES[modality]
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    return dataset


def describe_pixels(dataset: Dataset, volume: Volume, stored: Stored) -> None:
    """Size, type, spacing and rescale: what all slices share.

    Args:
        dataset: is added to.
        volume: whose slices are written.
        stored: its values as they are written.
    """
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = volume.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.pixels.dtype.kind == "i")
    columns_mm, rows_mm, slices_mm = (ds(value) for value in volume.spacing_mm)
    dataset.PixelSpacing = [rows_mm, columns_mm]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = slices_mm
    dataset.RescaleSlope, dataset.RescaleIntercept = stored.slope, stored.intercept
    dataset.BurnedInAnnotation = "NO"


def source_images(reference: DicomSource | None, index: int | None, count: int) -> list[Dataset]:
    """References to the original images that a file was made from; empty where they are not known.

    Args:
        reference: the original series.
        index: of the slice that the file holds, along the volume; None for a file that holds all of them.
        count: slices of the volume.

    Returns:
        The original of the same number, where there are as many as slices; else the only original there is.
    """
    uids = reference.instance_uids if reference else ()
    matching = index is not None and len(uids) == count > 1
    chosen = uids[index : index + 1] if matching and index is not None else uids if len(uids) == 1 else ()
    kind = reference.sop_class_uid if reference else ""
    return [reference_item(kind, uid) for uid in chosen if kind and uid]


def save_instance(dataset: Dataset, path: Path, sources: list[Dataset]) -> str:
    """Write one file with a UID of its own.

    Args:
        dataset: complete but for its UID and sources, which it gets.
        path: of the file.
        sources: of :func:`source_images`.

    Returns:
        The file's name.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset.SOPInstanceUID = generate_uid(prefix=None)
    dataset.pop("SourceImageSequence", None)
    if sources:
        dataset.SourceImageSequence = sources
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationVersionName = "MANABI"
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path.name
