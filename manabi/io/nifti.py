"""NIfTI-1 and NIfTI-2 files, read and written without a library between the file and the :class:`Volume`.

ITK straightens an sform whose axes are not perpendicular without a word (0.1 mm and more off) and ignores the unit;
so the header is read here. Source of the format: R. W. Cox et al., "A (sort of) new image data format standard:
NIfTI-1", 2004, and the headers nifti1.h and nifti2.h.
"""

from __future__ import annotations

import gzip
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.volume import Volume

NIFTI1 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("unused1", "S35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p", "f4", 3),
        ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8),
        ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"),
        ("xyzt_units", "u1"), ("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"), ("toffset", "f4"),
        ("unused2", "i4", 2), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"),
        ("quatern", "f4", 3), ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
NIFTI2 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
        ("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"),
        ("cal_max", "f8"), ("cal_min", "f8"), ("slice_duration", "f8"), ("toffset", "f8"), ("slice_start", "i8"),
        ("slice_end", "i8"), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i4"), ("sform_code", "i4"),
        ("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4"),
        ("xyzt_units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"), ("unused", "S15"),
    ]
)  # fmt: skip
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
CODES = {np.dtype(text): code for code, text in TYPES.items()}
COLOUR = (128, 2304)
UNITS_IN_MM = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
FORMS_DIFFER_MM = 0.1
"""The qform and the sform are said to differ where a corner voxel moves by more (our choice)."""


def read_nifti(path: Path, name: str = "volume") -> Volume:
    """A volume from a ``.nii`` or ``.nii.gz`` file.

    Whole numbers stay whole unless the header scales them (then float32, or float64 for 32 bits and more). The place
    is the sform where it is set, else the qform (as nibabel and Slicer choose). A sheared sform is resampled to a
    straight grid. Every assumption is in the volume's warnings.

    Raises:
        InvalidInputError: for what is not NIfTI, is truncated, is in colour, or has more than three axes.
        GeometryError: for a matrix that cannot place voxels.
    """
    warnings: list[str] = []
    try:
        with _opened(path) as file:
            header = _read_header(file, path)
            shape = _shape(header, path)
            array = _read_array(file, header, shape, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInputError(f"{path} is truncated or damaged. Copy or export it again.") from error
    matrix = _matrix(header, shape, warnings)
    return Volume(array, matrix, name=name, warnings=tuple(warnings)).straightened()


def write_nifti(volume: Volume, path: Path, *, description: str = "", overwrite: bool = False) -> Path:
    """Write a ``.nii`` or ``.nii.gz`` file: NIfTI-1, mm, qform and sform the same (scanner anatomical).

    Args:
        volume: bool is written as uint8, float16 as float32; other types as they are.
        path: the name says whether it is compressed.
        description: at most 79 bytes are kept in ``descrip``.
        overwrite: whether an existing file may be replaced.

    Raises:
        GeometryError: for a sheared grid, which a qform cannot hold.
    """
    if volume.grid.is_sheared:
        raise GeometryError("The axes of this volume are not perpendicular. Resample it to a straight grid first.")
    if max(volume.shape) > np.iinfo(np.int16).max:
        raise InvalidInputError(f"NIfTI-1 holds at most 32767 voxels along an axis; got {volume.shape}. Write NRRD.")
    wider = {"bool": np.uint8, "float16": np.float32}.get(volume.array.dtype.name, volume.array.dtype)
    array = np.ascontiguousarray(volume.array, dtype=wider)
    content = (_header_of(volume, array.dtype, description).tobytes() + bytes(4), array.data.cast("B"))
    with atomic_file(path, overwrite=overwrite) as aside, aside.open("wb") as raw:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=0) as packed:
                packed.writelines(content)
        else:
            raw.writelines(content)
    return path


# --- reading --------------------------------------------------------------------------------------------


def _opened(path: Path) -> BufferedIOBase:
    """The file's content, unpacked where its first bytes say that it is packed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def _read_header(file: BufferedIOBase, path: Path) -> Any:
    """The header record; the byte order of its fields is that of the voxels too."""
    start = file.read(NIFTI2.itemsize)
    for layout in (NIFTI1, NIFTI2):
        for dtype in (layout.newbyteorder("<"), layout.newbyteorder(">")):
            if start[:4] != np.array(layout.itemsize, dtype["sizeof_hdr"]).tobytes():
                continue
            if len(start) < layout.itemsize:
                raise InvalidInputError(f"{path} is truncated within its header. Copy or export it again.")
            header = np.frombuffer(start, dtype, count=1)[0]
            if header["magic"][:3] in (b"n+1", b"n+2"):
                return header
            raise InvalidInputError(
                f"{path} is an Analyze file or half of a NIfTI pair, which does not say left from right for sure. "
                "Convert it to .nii first."
            )
    raise InvalidInputError(f"{path} is not a NIfTI file, whatever its name says. Choose the image file itself.")


def _shape(header: Any, path: Path) -> tuple[int, int, int]:
    """Slices, rows, columns; refuses time series and vectors."""
    count = int(header["dim"][0])
    sizes = [int(n) for n in header["dim"][1 : count + 1]]
    if not 1 <= count <= 7 or min(sizes) < 1:
        raise InvalidInputError(f"{path} has impossible dimensions {header['dim'].tolist()}. Export it again.")
    frames = int(np.prod(sizes[3:]))
    if frames != 1:
        raise InvalidInputError(
            f"{path} holds {frames} volumes of {sizes[:3]} voxels (4-D or more); expected one. "
            "Save the one you need as its own file."
        )
    i, j, k = (sizes + [1, 1])[:3]
    return k, j, i


def _read_array(file: BufferedIOBase, header: Any, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    code = int(header["datatype"])
    if code not in TYPES:
        kind = "is in colour" if code in COLOUR else f"holds values of NIfTI type {code}"
        raise InvalidInputError(f"{path} {kind}; expected one real number per voxel. Convert it to grey first.")
    stored = np.dtype(TYPES[code]).newbyteorder(header.dtype["sizeof_hdr"].byteorder)
    file.seek(max(int(header["vox_offset"]), header.dtype.itemsize + 4))
    wanted = int(np.prod(shape, dtype=object)) * stored.itemsize
    content = file.read(wanted)
    while isinstance(file, gzip.GzipFile) and file.read(1 << 20):
        continue  # to its end, where the checksum stands and is compared
    if len(content) < wanted:
        raise InvalidInputError(
            f"{path} is truncated: {len(content)} of {wanted} bytes of voxels. Copy or export it again."
        )
    array = np.frombuffer(content, stored).reshape(shape)
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite([slope, inter]).all() or slope == 0 or (slope == 1 and inter == 0):
        return array
    return (array * slope + inter).astype(np.result_type(array.dtype, np.float32))


def _matrix(header: Any, shape: tuple[int, int, int], warnings: list[str]) -> np.ndarray:
    """IJK to RAS mm, by the sform, else the qform, else the voxel sizes."""
    sform = np.vstack([header["srow"].astype(float), [0, 0, 0, 1]])
    if header["sform_code"] > 0:
        matrix = sform
        if header["qform_code"] > 0 and _moved(sform, _qform(header), shape) > FORMS_DIFFER_MM:
            warnings.append(
                "The file gives two positions (sform and qform) that differ by "
                f"{_moved(sform, _qform(header), shape):.1f} mm; the sform was used."
            )
    elif header["qform_code"] > 0:
        matrix = _qform(header)
    else:
        matrix = np.diag([*_pixel_sizes(header), 1.0])
        warnings.append(
            "The file does not say how the patient lies (sform and qform are not set); columns were taken to run to "
            "the right, rows to the front and slices upwards. Left and right may be swapped."
        )
    unit = int(header["xyzt_units"]) & 7
    if unit in UNITS_IN_MM:
        text, factor = UNITS_IN_MM[unit]
        warnings.append(f"The file's lengths are in {text}; they were converted to mm.")
        matrix = np.diag([factor, factor, factor, 1.0]) @ matrix
    return matrix


def _pixel_sizes(header: Any) -> np.ndarray:
    """Voxel sizes from ``pixdim``; 0, which some writers leave for a single slice, is 1."""
    sizes = np.abs(header["pixdim"][1:4].astype(float))
    return np.where(sizes == 0, 1.0, sizes)


def _qform(header: Any) -> np.ndarray:
    """Method 2 of nifti1.h: a unit quaternion, voxel sizes and the sign of the third axis."""
    b, c, d = header["quatern"].astype(float)
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    sign = -1.0 if header["pixdim"][0] < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * _pixel_sizes(header) * [1.0, 1.0, sign]
    matrix[:3, 3] = header["qoffset"]
    return matrix


def _moved(one: np.ndarray, other: np.ndarray, shape: tuple[int, int, int]) -> float:
    """The farthest that a corner voxel lies apart under two matrices, mm."""
    ijk = np.array([[i, j, k, 1] for k in (0, shape[0] - 1) for j in (0, shape[1] - 1) for i in (0, shape[2] - 1)])
    return float(np.linalg.norm(ijk @ (one - other).T, axis=1).max())


# --- writing --------------------------------------------------------------------------------------------


def _header_of(volume: Volume, dtype: np.dtype, description: str) -> np.ndarray:
    header = np.zeros((), NIFTI1)
    sign = -1.0 if volume.grid.is_left_handed else 1.0
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = NIFTI1.itemsize, b"n+1", NIFTI1.itemsize + 4
    header["dim"] = [3, *volume.shape[::-1], 1, 1, 1, 1]
    header["pixdim"] = [sign, *volume.spacing_mm, 1, 1, 1, 1]
    header["datatype"], header["bitpix"], header["scl_slope"] = CODES[dtype], dtype.itemsize * 8, 1
    header["xyzt_units"], header["qform_code"], header["sform_code"] = 2, 1, 1
    header["descrip"] = description.encode("ascii", "replace")[:79]
    header["srow"] = volume.ijk_to_ras[:3]
    header["quatern"] = _quaternion(volume.grid.directions * [1.0, 1.0, sign])
    header["qoffset"] = volume.grid.origin_ras
    return header


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """b, c, d of the unit quaternion of a rotation whose a is not negative."""
    from scipy.spatial.transform import Rotation

    b, c, d, a = Rotation.from_matrix(rotation).as_quat()
    return np.array([b, c, d]) * (-1.0 if a < 0 else 1.0)
