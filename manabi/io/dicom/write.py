"""A volume as a derived DICOM series: beside its original in the archive, in the same place in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.atomic import atomic_folder
from manabi.io.dicom.decimals import ds, orientation_of
from manabi.io.dicom.derived import derived_dataset, describe_pixels, modality_of, save_instance, source_images
from manabi.io.dicom.inherit import read_reference
from manabi.io.dicom.iod import fill_ct, fill_mr, fill_nm, fill_pt, fill_secondary
from manabi.io.dicom.originals import Origin, origins_of, source_item
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

    A volume with the original's own voxels keeps position, orientation, pixel spacing and slice thickness of every
    slice as the original's files state them, and every file names the original image of its slice.

    Values change by at most half a step of 16 bits; whole numbers that fit are exact. A volume with a ``caution`` does
    not claim to be of the original's scanner (:func:`manabi.io.dicom.inherit.disown`), and is written in whole
    Hounsfield units as CT scanners do, with slope 1, because not every planning system reads another slope.

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
    modality = modality_of(volume, reference)
    dataset = derived_dataset(original, modality, provenance, series_description, caution=volume.caution)
    volume = _right_handed(volume)
    hounsfield = modality == "CT" and volume.units in (None, "HU")
    stored = quantised(
        volume.array, zero_is_zero=modality in ("PT", "NM"), to_whole=hounsfield and bool(volume.caution)
    )
    describe_pixels(dataset, volume, stored)
    with atomic_folder(folder) as aside:
        if modality == "NM":
            fill_nm(dataset, volume, stored, original)
            names = [save_instance(dataset, aside / "0001.dcm", source_images(reference, None, 1))]
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


def _write_slices(
    dataset: Dataset, volume: Volume, stored: Stored, reference: DicomSource | None, folder: Path
) -> list[str]:
    """One file per slice, numbered along the normal."""
    origins = origins_of(reference, volume)
    count = volume.shape[0]
    names = []
    for k in range(count):
        origin = origins[k] if origins else Origin()
        _place(dataset, volume, k, origin)
        dataset.InstanceNumber = k + 1
        if dataset.Modality == "PT":
            dataset.ImageIndex = k + 1
        dataset.PixelData = np.ascontiguousarray(stored.pixels[k]).astype("<u2", copy=False).tobytes()
        sources = source_images(reference, k, count) if origins is None else _sources(reference, origin)
        names.append(save_instance(dataset, folder / f"{k + 1:04d}.dcm", sources))
    return names


def _place(dataset: Dataset, volume: Volume, index: int, origin: Origin) -> None:
    """Where a slice lies: as its original says, where it has the same voxels, else as the volume says."""
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    columns_mm, rows_mm, slices_mm = volume.spacing_mm
    position, orientation = lps[:3, 3] + index * lps[:3, 2], orientation_of(lps)
    original = origin.same_plane
    if original is not None and origin.is_exact:
        position = np.asarray(original.position)
        orientation = [ds(value) for value in np.ravel(np.asarray(original.orientation))]
        rows_mm, columns_mm = original.pixel_mm or (rows_mm, columns_mm)
    dataset.ImagePositionPatient = [ds(value) for value in position]
    dataset.ImageOrientationPatient = orientation
    dataset.PixelSpacing = [ds(rows_mm), ds(columns_mm)]
    dataset.SliceThickness = ds((original.thickness_mm if original else None) or slices_mm)


def _sources(reference: DicomSource | None, origin: Origin) -> list[Dataset]:
    """What a file says it was made from."""
    kind = reference.sop_class_uid if reference else ""
    return [source_item(kind, frame, same_place=origin.is_exact) for frame in origin.frames if kind and frame.uid]
