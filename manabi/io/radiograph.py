"""Radiographs: one image as a volume of one slice, from DICOM (DX, CR, MG, ...) or a picture file.

Denser is always brighter, whatever the file's photometric interpretation says. A radiograph has no place in space;
as in ITK and 3D Slicer, columns run to the left and rows to the back, so that results lie on the image that Slicer
loads from the same file. What the pixel spacing is worth is said in the volume's warnings.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import DependencyError, InvalidInputError
from manabi.io.dicom.source import DicomSource
from manabi.io.files import itk_path
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

MODALITIES = ("DX", "CR", "MG", "IO", "PX", "RG")
LOOSE_MODALITIES = ("OT", "SC", "")
"""Modalities that a film's scan may carry as well as anything else."""
GREY_TOLERANCE = 2
"""Colour channels that differ by no more (of 255) are a grey image that went through JPEG (our choice)."""
MIRRORED = "The image is stored mirrored"
"""How the warning begins of a film whose right and left are exchanged."""
NO_SPACING = "The file does not say how large a pixel is; 1 mm is assumed. Lengths and areas are not to be trusted."


def read_radiograph(path: Path | str, *, name: str = "radiograph") -> Volume:
    """A radiograph as a volume of one slice.

    DICOM: stored values through the modality LUT (never the VOI LUT, which is for looking), MONOCHROME1 turned round
    so that denser is brighter. Spacing is PixelSpacing, else ImagerPixelSpacing (at the detector, so magnified), else
    NominalScannedPixelSpacing, else 1 mm. PNG, JPEG and TIFF: 8 or 16 bit; colour only where its channels are equal;
    the print resolution that they may hold is not a spacing in the patient.

    Raises:
        InvalidInputError: where the file is missing, damaged, in true colour, has several frames or pages, or is not
            a radiograph.
        DependencyError: where no decoder for the compression is installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"There is no file {path}. Check the path.")
    if path.stat().st_size == 0:
        raise InvalidInputError(f"{path} is empty. Copy or export it again.")
    return _from_dicom(path, name) if is_dicom(path) else _from_picture(path, name)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by its content; one without the preamble counts where it starts as a data set does."""
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] == b"DICM":
        return True
    return len(start) == 132 and start[:2] in (b"\x02\x00", b"\x08\x00") and start[3] == 0


def is_radiograph(path: Path) -> bool:
    """Whether a file is a DICOM radiograph, by its modality."""
    return is_dicom(path) and str(_dataset(path, pixels=False).get("Modality", "")) in MODALITIES


# --- DICOM ----------------------------------------------------------------------------------------------


def _from_dicom(path: Path, name: str) -> Volume:
    dataset = _dataset(path)
    modality = str(dataset.get("Modality") or "")
    if modality not in MODALITIES + LOOSE_MODALITIES:
        raise InvalidInputError(f"{path} is {modality}, not a radiograph ({', '.join(MODALITIES)}). Use read_volume.")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise InvalidInputError(f"{path} has {dataset.NumberOfFrames} frames; expected one image. Export one frame.")
    array = _values(dataset, path)
    warnings: list[str] = []
    spacing = _spacing(dataset, warnings)
    if str(dataset.get("PatientOrientation", [""])[0]).startswith("R"):
        warnings.append(f"{MIRRORED}: its columns run to the patient's right, so right and left are exchanged.")
    known = modality if modality in MODALITIES else None
    return Volume(
        array[None], _placed(spacing), modality=known, name=name, warnings=tuple(warnings),
        source=_source(dataset, path),
    )  # fmt: skip


def _source(dataset: Dataset, path: Path) -> DicomSource:
    """The file, so that what is made of the film can go beside it in the archive."""
    number = dataset.get("SeriesNumber")
    return DicomSource(
        (path,), str(dataset.get("SeriesInstanceUID") or ""), None if number is None else int(number),
        str(dataset.get("Modality") or "") or None, str(dataset.get("SOPClassUID") or ""),
        (str(dataset.get("SOPInstanceUID") or ""),), 1,
    )  # fmt: skip


def _dataset(path: Path, pixels: bool = True) -> Dataset:
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
    except (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, struct.error) as error:
        raise InvalidInputError(f"{path} is damaged or not DICOM. Export it again.") from error
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return dataset


def _values(dataset: Dataset, path: Path) -> np.ndarray:
    """Rows × columns after the modality LUT, denser brighter; whole numbers where the LUT leaves them whole."""
    from pydicom.pixels import apply_modality_lut

    try:
        stored = _decoded(dataset, path)
    except DependencyError:
        return _values_by_itk(dataset, path)
    if stored.ndim == 3:
        stored = _grey(stored, path)
    values = apply_modality_lut(stored, dataset)
    if str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1":
        values = _limits(dataset, values.dtype).sum() - values.astype(np.float64)
    if (values == np.rint(values)).all():
        kind = np.promote_types(np.min_scalar_type(int(values.min())), np.min_scalar_type(int(values.max())))
        return values.astype(np.promote_types(kind, stored.dtype))
    return values.astype(np.float32)


def _values_by_itk(dataset: Dataset, path: Path) -> np.ndarray:
    """The same by GDCM, which decodes JPEG lossless and JPEG-LS; it applies rescale and polarity, but no LUT table."""
    import SimpleITK as sitk

    try:
        if "ModalityLUTSequence" in dataset:
            raise RuntimeError("GDCM leaves the modality LUT table out")
        array = sitk.GetArrayFromImage(sitk.ReadImage(itk_path(path)))[0]
    except RuntimeError as error:
        raise DependencyError(
            f"{path} is compressed ({dataset.file_meta.TransferSyntaxUID.name}) and cannot be decoded here. "
            "Export it uncompressed, or install pylibjpeg with its plugins."
        ) from error
    return _grey(array, path) if array.ndim == 3 else array


def _limits(dataset: Dataset, dtype: np.dtype) -> np.ndarray:
    """The least and the greatest value that the modality LUT can give."""
    from pydicom.pixels import apply_modality_lut

    bits, signed = int(dataset.BitsStored), int(dataset.get("PixelRepresentation", 0)) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.asarray(apply_modality_lut(np.array([low, high]), dataset), np.float64)


def _decoded(dataset: Dataset, path: Path) -> np.ndarray:
    try:
        return dataset.pixel_array
    except AttributeError as error:
        raise InvalidInputError(f"{path} has no pixels. Export it again with its image.") from error
    except (RuntimeError, NotImplementedError) as error:
        raise DependencyError(f"pydicom has no decoder for {dataset.file_meta.TransferSyntaxUID.name}.") from error
    except (ValueError, EOFError, struct.error) as error:
        raise InvalidInputError(f"The pixels of {path} are truncated or damaged. Export it again.") from error


def _spacing(dataset: Dataset, warnings: list[str]) -> tuple[float, float]:
    """Row and column spacing in mm, and what they are worth."""
    calibrated = _pair(dataset.get("PixelSpacing"))
    detector = _pair(dataset.get("ImagerPixelSpacing")) or _pair(dataset.get("NominalScannedPixelSpacing"))
    if calibrated and calibrated != detector:
        return calibrated
    if detector:
        factor = dataset.get("EstimatedRadiographicMagnificationFactor")
        warnings.append(
            "The pixel spacing is that at the detector or film; the patient is magnified"
            + (f" about {float(factor):.2f} times" if factor else "")
            + ", so lengths are too long."
        )
        return detector
    warnings.append(NO_SPACING)
    return 1.0, 1.0


def _pair(value: Any) -> tuple[float, float] | None:
    """Two positive numbers, or None for anything else."""
    try:
        rows, columns = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (rows, columns) if min(rows, columns) > 0 else None


# --- pictures -------------------------------------------------------------------------------------------


def _from_picture(path: Path, name: str) -> Volume:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(itk_path(path))
    except RuntimeError as error:
        raise InvalidInputError(
            f"{path} cannot be read as a picture or DICOM: it is damaged, truncated, or of a rare kind. "
            "Export it again as a plain grey PNG of 8 or 16 bit."
        ) from error
    if image.GetDimension() == 3 and image.GetSize()[2] > 1:
        raise InvalidInputError(f"{path} has {image.GetSize()[2]} pages; expected one image. Save one page.")
    array = sitk.GetArrayFromImage(image)
    array = array[0] if image.GetDimension() == 3 else array
    if array.ndim == 3:
        array = _grey(array, path)
    if path.suffix.lower() in (".tif", ".tiff") and _is_white_zero(path):
        array = np.iinfo(array.dtype).max - array if array.dtype.kind == "u" else array.max() - array
    return Volume(array[None], _placed((1.0, 1.0)), name=name, warnings=(NO_SPACING,))


def _is_white_zero(path: Path) -> bool:
    """Whether a TIFF stores white as 0, which ITK does not turn round."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        return file.pages[0].aspage().photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _grey(array: np.ndarray, path: Path) -> np.ndarray:
    """One channel of rows × columns × channels whose colours are equal; a constant alpha channel is left out."""
    colours = array[..., : {2: 1, 4: 3}.get(array.shape[2], array.shape[2])]
    alpha = array[..., colours.shape[2] :]
    tolerance = GREY_TOLERANCE * max(1, np.iinfo(array.dtype).max // 255) if array.dtype.kind == "u" else 0
    if np.ptp(colours.astype(np.int64), axis=2).max() > tolerance:
        raise InvalidInputError(f"{path} is in colour; expected a grey radiograph. Export the image without overlays.")
    if alpha.size and alpha.min() != alpha.max():
        raise InvalidInputError(f"{path} is partly transparent; expected a plain image. Export it without overlays.")
    return colours[..., 0]


def _placed(spacing_mm: tuple[float, float]) -> np.ndarray:
    """IJK to RAS of a picture: columns to the left, rows to the back, first pixel at the origin, slice 1 mm."""
    rows, columns = spacing_mm
    return np.diag([-columns, -rows, 1.0, 1.0])
