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
    modality = modality_of(volume, reference)
    dataset = derived_dataset(original, modality, provenance, series_description)
    volume = _right_handed(volume)
    stored = quantised(volume.array, zero_is_zero=modality in ("PT", "NM"))
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
        names.append(save_instance(dataset, folder / f"{k + 1:04d}.dcm", source_images(reference, k, count)))
    return names
