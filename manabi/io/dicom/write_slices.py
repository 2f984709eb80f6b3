"""Some slices of a volume as a derived DICOM series, each in its own true place, however far apart they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.atomic import atomic_folder
from manabi.io.dicom.decimals import ds, orientation_of
from manabi.io.dicom.derived import derived_dataset, describe_pixels, modality_of, save_instance, source_images
from manabi.io.dicom.frames import Frame, frames_of
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.inherit import read_reference
from manabi.io.dicom.iod import fill_ct, fill_mr, fill_secondary
from manabi.io.dicom.quantise import quantised
from manabi.io.dicom.source import DicomSource
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

FILLERS = {"CT": fill_ct, "MR": fill_mr, "OT": fill_secondary}
SAME_PLACE_MM = 0.05
"""First pixels closer than this are of the same slice (our choice)."""
COMMENT_CHARACTERS = 10240
"""Length of a DICOM LT, which ImageComments is."""


def write_dicom_slices(
    volume: Volume,
    slices: Sequence[int],
    folder: Path | str,
    reference: DicomSource | None,
    *,
    series_description: str,
    provenance: Mapping[str, Any],
    comments: Sequence[str] = (),
) -> list[Path]:
    """Write chosen slices of a volume as a new series that is derived from another; all of them or nothing.

    As :func:`manabi.io.dicom.write.write_dicom`, but for slices that need not be neighbours: each file states the
    position of its own slice exactly, and no spacing between slices, which the series does not have. Where the volume
    is the original series slice by slice, a file names the original image it was taken from and keeps its thickness.
    Pixels are the volume's own: nothing is resampled, windowed or burned in.

    Args:
        volume: on any grid whose rows and columns are perpendicular.
        slices: indices along the first axis of the array, in the order in which a reader should see them.
        folder: a new or empty folder.
        reference: where the volume came from (``Volume.source``); None makes a new study without patient data.
        series_description: what a reader sees in the list of series; 64 characters are kept.
        provenance: of the result; method and bundle go into the header.
        comments: a text for each slice (ImageComments), or none.

    Returns:
        The files, in the order of ``slices``.

    Raises:
        GeometryError: for rows and columns that are not perpendicular.
        InvalidInputError: for no slices, slices that are not there, a modality whose images are not single slices,
            NaN, a folder that holds files, or a reference that can no longer be read.
        ManabiError: when the disk is full.
    """
    _check(volume, slices, comments)
    original = None if reference is None else read_reference(reference)
    modality = modality_of(volume, reference)
    if modality not in FILLERS:
        raise InvalidInputError(
            f"Single slices are written of CT and MR; this is {modality}. Write the whole volume instead."
        )
    dataset = derived_dataset(original, modality, provenance, series_description, caution=volume.caution)
    stored = quantised(np.ascontiguousarray(volume.array[list(slices)]), zero_is_zero=False)
    describe_pixels(dataset, volume, stored)
    del dataset.SpacingBetweenSlices
    FILLERS[modality](dataset, volume, original)
    with atomic_folder(folder) as aside:
        names = _write(dataset, volume, slices, stored.pixels, reference, comments, aside)
    return [Path(folder) / name for name in names]


def _check(volume: Volume, slices: Sequence[int], comments: Sequence[str]) -> None:
    count = volume.shape[0]
    if not slices or min(slices) < 0 or max(slices) >= count:
        raise InvalidInputError(f"Expected slices from 0 to {count - 1}, one at least; got {list(slices)}.")
    if comments and len(comments) != len(slices):
        raise InvalidInputError(f"Expected a comment for each of {len(slices)} slices; got {len(comments)}.")
    directions = volume.grid.directions
    if abs(float(directions[:, 0] @ directions[:, 1])) > 1e-3:
        raise GeometryError("DICOM cannot hold rows and columns that are not perpendicular. Resample the image first.")


def _write(
    dataset: Dataset, volume: Volume, slices: Sequence[int], pixels: np.ndarray, reference: DicomSource | None,
    comments: Sequence[str], folder: Path,
) -> list[str]:  # fmt: skip
    """One file per slice, numbered in the given order."""
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    dataset.ImageOrientationPatient = orientation_of(lps)
    whole = str(dataset.SliceThickness)
    names = []
    for number, (k, image) in enumerate(zip(slices, pixels, strict=True), 1):
        position = lps[:3, 3] + k * lps[:3, 2]
        original = _original(reference, k, volume.shape[0], position)
        dataset.InstanceNumber = number
        dataset.ImagePositionPatient = [ds(value) for value in position]
        dataset.SliceThickness = ds(original.thickness_mm) if original and original.thickness_mm else whole
        if comments:
            dataset.ImageComments = comments[number - 1][:COMMENT_CHARACTERS]
        dataset.PixelData = np.ascontiguousarray(image).astype("<u2", copy=False).tobytes()
        sources = source_images(reference, k, volume.shape[0]) if original else []
        names.append(save_instance(dataset, folder / f"{number:04d}.dcm", sources))
    return names


def _original(reference: DicomSource | None, index: int, count: int, position: np.ndarray) -> Frame | None:
    """The original slice, where the file of the same number holds one slice and lies at the same place."""
    if reference is None or not len(reference.files) == len(reference.instance_uids) == count:
        return None
    header = read_header(reference.files[index])
    frames = [] if header is None else frames_of(header)
    if len(frames) != 1 or frames[0].position is None:
        return None
    return frames[0] if float(np.abs(frames[0].position - position).max()) < SAME_PLACE_MM else None
