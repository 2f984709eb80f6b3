"""Stored pixel values of a DICOM data set, whatever the compression.

pydicom decodes what it has a decoder for (uncompressed, RLE, JPEG 2000); GDCM, which comes with SimpleITK, decodes
the rest (JPEG, JPEG lossless, JPEG-LS). Nothing is rescaled, windowed or inverted here.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import DependencyError, InvalidInputError

if TYPE_CHECKING:
    from pydicom import Dataset

PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PIXEL_TAGS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", *PIXEL_DATA,
)  # fmt: skip
"""Everything that decoding needs."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTIFRAME_SECONDARY_CAPTURE = {8: "1.2.840.10008.5.1.4.1.1.7.2", 16: "1.2.840.10008.5.1.4.1.1.7.3"}


def read_pixels(dataset: Dataset, where: str = "The image") -> np.ndarray:
    """The stored values of a data set.

    Args:
        dataset: read with its pixel data.
        where: how error messages call the image ("slice 12 (InstanceNumber 12, file 12 of 40 by name)"); free of
            identifiers.

    Returns:
        ``(rows, columns)``, with the frames before and the colours behind where there are several. Bits above
        BitsStored (old overlays) are cleared, as GDCM does.

    Raises:
        InvalidInputError: where there are no pixel data, or they are truncated or damaged.
        DependencyError: where nothing here decodes the compression; names it.
    """
    if not any(name in dataset for name in PIXEL_DATA):
        raise InvalidInputError(f"{where} has no pixel data. Export it again with its image, or remove the file.")
    complete_syntax(dataset)
    try:
        array = dataset.pixel_array
    except (RuntimeError, NotImplementedError):
        return _decoded_by_gdcm(dataset, where)
    except damage() as error:
        raise InvalidInputError(
            f"{where}: the pixel data are truncated, damaged or not described. Export it again."
        ) from error
    return _without_unused_bits(array, dataset)


def damage() -> tuple[type[Exception], ...]:
    """What pydicom raises on a file that is damaged, or that is not DICOM though it looks so."""
    from pydicom.errors import BytesLengthException

    return (
        EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError, OverflowError,
        NotImplementedError, RecursionError, OSError, struct.error, BytesLengthException,
    )  # fmt: skip


def settle(dataset: Dataset) -> None:
    """Convert every value now, so that nothing fails or warns later; values that break their own type are left out."""
    for tag in list(dataset.keys()):
        try:
            dataset[tag]
        except damage():
            del dataset[tag]


def complete_syntax(dataset: Dataset) -> None:
    """Give a data set from a file without preamble the transfer syntax that it was read with."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = explicit if implicit is False else ImplicitVRLittleEndian


def _without_unused_bits(array: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Clear what lies above BitsStored, with sign extension, where the pixels are not compressed."""
    stored, highest = dataset.get("BitsStored"), dataset.get("HighBit")
    plain = array.dtype.kind in "iu" and not dataset.file_meta.TransferSyntaxUID.is_compressed
    if not plain or not isinstance(stored, int) or highest != stored - 1:
        return array
    unused = array.dtype.itemsize * 8 - stored
    if not 0 < unused < array.dtype.itemsize * 8:
        return array
    return (array << unused) >> unused


def _decoded_by_gdcm(dataset: Dataset, where: str) -> np.ndarray:
    """The same through GDCM, by way of a private file that holds nothing but the pixels."""
    import SimpleITK as sitk

    syntax = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory(prefix="manabi-") as folder:
        path = Path(folder) / "pixels.dcm"
        try:
            _bare(dataset).save_as(path, enforce_file_format=True)
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
        except (RuntimeError, ValueError, AttributeError, KeyError) as error:
            raise DependencyError(
                f"{where} is compressed as {syntax.name} and cannot be decoded here, or is damaged. "
                "Export the series uncompressed, or install a decoder (pip install pylibjpeg[all])."
            ) from error
    frames = int(dataset.get("NumberOfFrames") or 1)
    return array[0] if frames == 1 and array.shape[0] == 1 else array


def _bare(dataset: Dataset) -> Dataset:
    """A secondary capture with the same pixels, no rescale and no word about the patient."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import generate_uid

    bare = Dataset()
    for name in PIXEL_TAGS:
        if name in dataset:
            bare[name] = dataset[name]
    many = int(dataset.get("NumberOfFrames") or 1) > 1
    kinds = MULTIFRAME_SECONDARY_CAPTURE if many else {}
    bare.SOPClassUID = kinds.get(int(dataset.BitsAllocated), SECONDARY_CAPTURE)
    bare.SOPInstanceUID = generate_uid(prefix=None)
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    return bare
