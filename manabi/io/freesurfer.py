"""FreeSurfer's MGH and MGZ, read with NumPy alone, so that Slicer needs no further package for them.

Layout: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat (a header of 284 bytes, then the voxels, all of
the most significant byte first, columns fastest).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.volume import Volume

HEADER = np.dtype(
    [
        ("version", ">i4"), ("size", ">i4", 3), ("frames", ">i4"), ("type", ">i4"), ("dof", ">i4"),
        ("placed", ">i2"), ("spacing", ">f4", 3), ("axes", ">f4", (3, 3)), ("centre", ">f4", 3), ("unused", "S194"),
    ]
)  # fmt: skip
"""``axes`` holds the directions of columns, rows and slices, one after the other; ``centre`` is in RAS mm."""
TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
UNPLACED_AXES = ((-1, 0, 0), (0, 0, -1), (0, 1, 0))
"""Where the header says no place, FreeSurfer takes coronal slices of 1 mm around the origin."""


def read_freesurfer(path: Path, name: str = "volume") -> Volume:
    """A volume from a ``.mgh`` or ``.mgz`` file, of whole numbers where the file holds them.

    Raises:
        InvalidInputError: for what is not MGH, is truncated or damaged, or holds several frames.
        GeometryError: for axes or spacing that cannot place voxels.
    """
    content = _content(path)
    if len(content) < HEADER.itemsize:
        raise InvalidInputError(f"{path} is damaged or truncated within its header. Copy or export it again.")
    header = np.frombuffer(content, HEADER, count=1)[0]
    array = _voxels(content, header, path)
    matrix, warnings = _matrix(header, path)
    return Volume(array, matrix, name=name, warnings=tuple(warnings)).straightened()


def _content(path: Path) -> bytes:
    """The file's bytes, unpacked where its first two say that it is packed, whatever its name says."""
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInputError(f"{path} is truncated or damaged. Copy or export it again.") from error


def _voxels(content: bytes, header: Any, path: Path) -> np.ndarray:
    """``(slices, rows, columns)``, in the machine's own byte order."""
    size = [int(n) for n in header["size"]]
    if int(header["version"]) != 1 or min(size) < 1:
        raise InvalidInputError(f"{path} is damaged or not what its name says. Copy or export it again.")
    if int(header["frames"]) != 1:
        raise InvalidInputError(
            f"{path} holds {int(header['frames'])} volumes (4-D); expected one. Save the one you need."
        )
    code = int(header["type"])
    if code not in TYPES:
        raise InvalidInputError(f"{path} holds values of MGH type {code}; expected one number per voxel. Convert it.")
    stored = np.dtype(TYPES[code])
    wanted = int(np.prod(size, dtype=object)) * stored.itemsize
    if len(content) < HEADER.itemsize + wanted:
        raise InvalidInputError(f"{path} is truncated: it ends within its voxels. Copy or export it again.")
    array = np.frombuffer(content, stored, count=wanted // stored.itemsize, offset=HEADER.itemsize)
    return array.reshape(size[::-1]).astype(stored.newbyteorder("="))


def _matrix(header: Any, path: Path) -> tuple[np.ndarray, list[str]]:
    """IJK to RAS mm, and what had to be assumed; the header places the voxel of index half the size."""
    axes, spacing, centre, warnings = np.array(UNPLACED_AXES, float), np.ones(3), np.zeros(3), []
    if header["placed"] > 0:
        axes, spacing, centre = (header[key].astype(float) for key in ("axes", "spacing", "centre"))
    else:
        warnings.append(
            "The file does not say how the patient lies; FreeSurfer's own assumption was taken (coronal slices of "
            "1 mm). Left and right may be swapped."
        )
    matrix = np.eye(4)
    matrix[:3, :3] = axes.T * spacing
    matrix[:3, 3] = centre - matrix[:3, :3] @ (header["size"] / 2)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise GeometryError(f"{path} has axes or voxel sizes that cannot place its voxels. Export it again.")
    return matrix, warnings
