"""A volume as a derived DICOM series: beside its original in the archive, in the same place in the patient."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.atomic import atomic_folder
from manabi.io.dicom.decimals import ds, orientation_of
from manabi.io.dicom.inherit import base_dataset, describe_derivation, read_reference
from manabi.io.dicom.iod import CLASSES, fill_ct, fill_mr, fill_nm, fill_pt, fill_secondary
from manabi.io.dicom.quantise import Stored, quantised
from manabi.io.dicom.source import DicomSource
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

FILLERS = {"CT": fill_ct, "MR": fill_mr, "PT": fill_pt, "OT": fill_secondary}


def write_dicom(
    volume: Volume,
    folder: Path | str,
    reference: DicomSource | None,
    *,
    series_description: str,
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write a volume as a new series that is derived from another; all of it or nothing.

    Patient, study, frame of reference and the modality's acquisition attributes come from the reference; series and
    instances get new UIDs, ImageType DERIVED\\SECONDARY, and say that Manabi made them for research use. CT, MR and
    PET are written as one file per slice, NM as one multi-frame RECON TOMO. A volume of any other modality, or of
    none, becomes secondary captures of modality OT that keep their place in the patient (our choice: they claim to be
    nothing that they are not). Left-handed grids are written with their slices in reverse order.

    Values change by at most half a step of 16 bits; whole numbers that fit are exact.

    Args:
        volume: on a straight grid, with finite values.
        folder: a new or empty folder.
        reference: where the original came from (``Volume.source``); None makes a new study without patient data.
        series_description: what a reader sees in the list of series; 64 characters are kept.
        provenance: of the result; method and bundle go into the header.

    Returns:
        The files, in the order of the slices.

    Raises:
        GeometryError: for axes that are not perpendicular.
        InvalidInputError: for NaN, a folder that holds files, or a reference that can no longer be read.
        ManabiError: when the disk is full.
    """
    if volume.grid.is_sheared:
        raise GeometryError("DICOM cannot hold axes that are not perpendicular. Resample to a straight grid first.")
    if reference is not None and not isinstance(reference, DicomSource):
        raise InvalidInputError(f"reference must be a DicomSource or None; got {type(reference).__name__}.")
    original = None if reference is None else read_reference(reference)
    modality = volume.modality or (reference.modality if reference else None) or "OT"
    modality = modality if modality in CLASSES else "OT"
    now = datetime.datetime.now()
    dataset = base_dataset(original, modality, now)
    describe_derivation(dataset, provenance, series_description, now)
    volume = _right_handed(volume)
    dataset.Modality, dataset.SOPClassUID = modality, CLASSES[modality]
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    stored = quantised(volume.array, zero_is_zero=modality in ("PT", "NM"))
    _describe_pixels(dataset, volume, stored)
    with atomic_folder(folder) as aside:
        if modality == "NM":
            fill_nm(dataset, volume, stored, original)
            names = [_save(dataset, aside / "0001.dcm", _sources(reference, None, 1))]
        else:
            FILLERS[modality](dataset, volume, original)
            names = _write_slices(dataset, volume, stored, reference, aside)
    return [Path(folder) / name for name in names]


def _right_handed(volume: Volume) -> Volume:
    """The same voxels with slices along the normal, which is how every DICOM reader sorts them."""
    if not volume.grid.is_left_handed:
        return volume
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * (volume.shape[0] - 1)
    matrix[:3, 2] *= -1
    return replace(volume, array=volume.array[::-1], ijk_to_ras=matrix)


def _describe_pixels(dataset: Dataset, volume: Volume, stored: Stored) -> None:
    """Size, type, spacing and rescale: what all slices share."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = volume.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.pixels.dtype.kind == "i")
    columns_mm, rows_mm, slices_mm = (ds(value) for value in volume.spacing_mm)
    dataset.PixelSpacing = [rows_mm, columns_mm]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = slices_mm
    dataset.RescaleSlope, dataset.RescaleIntercept = stored.slope, stored.intercept
    dataset.BurnedInAnnotation = "NO"


def _write_slices(
    dataset: Dataset, volume: Volume, stored: Stored, reference: DicomSource | None, folder: Path
) -> list[str]:
    """One file per slice, numbered along the normal."""
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    dataset.ImageOrientationPatient = orientation_of(lps)
    count = volume.shape[0]
    names = []
    for k in range(count):
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = [ds(value) for value in lps[:3, 3] + k * lps[:3, 2]]
        if dataset.Modality == "PT":
            dataset.ImageIndex = k + 1
        dataset.PixelData = np.ascontiguousarray(stored.pixels[k]).astype("<u2", copy=False).tobytes()
        names.append(_save(dataset, folder / f"{k + 1:04d}.dcm", _sources(reference, k, count)))
    return names


def _sources(reference: DicomSource | None, index: int | None, count: int) -> list[Dataset]:
    """The original images that a slice was made from: the one of the same number, or the only file there is."""
    from pydicom import Dataset

    uids = reference.instance_uids if reference else ()
    matching = index is not None and len(uids) == count > 1
    chosen = uids[index : index + 1] if matching and index is not None else uids if len(uids) == 1 else ()
    items = []
    for uid in chosen:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid if reference else ""
        item.ReferencedSOPInstanceUID = uid
        if item.ReferencedSOPClassUID and uid:
            items.append(item)
    return items


def _save(dataset: Dataset, path: Path, sources: list[Dataset]) -> str:
    """Write one file with a UID of its own; returns its name."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset.SOPInstanceUID = generate_uid(prefix=None)
    if sources:
        dataset.SourceImageSequence = sources
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationVersionName = "MANABI"
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path.name

