"""One way in and one way out for image files: the name, and where that is not enough the content, says the format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError, ManabiError
from manabi.io.atomic import atomic_file
from manabi.volume import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

READABLE = ".nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, .mgz, .mgh, .png, .jpg, .tif, DICOM files and folders"
WRITABLE = (".nii", ".nii.gz", ".nrrd", ".mha")
RADIOGRAPHS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
PLACED_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las")


def read_volume(path: Path | str, *, series: str | None = None, name: str = "volume") -> Volume:
    """A volume from an image file or a DICOM folder.

    The file's own name is not taken over, since it often holds a patient's; pass ``name`` to give one.

    Args:
        path: see :data:`READABLE`. A DICOM radiograph is read by :func:`manabi.io.radiograph.read_radiograph`.
        series: which DICOM series of a folder, see :func:`manabi.io.dicom.read_dicom`.
        name: name of the volume, free of patient identifiers.

    Raises:
        InvalidInputError: where the file is missing, empty, damaged, 4-D, in colour, or of an unknown format.
        GeometryError: where its place in space cannot be known.
    """
    path = _existing(Path(path))
    suffix = _suffix(path)
    if path.is_dir():
        return _read_dicom(path, series, name)
    if suffix in (".nii", ".nii.gz"):
        from manabi.io.nifti import read_nifti

        return read_nifti(path, name)
    if suffix in (".nrrd", ".nhdr", ".mha", ".mhd"):
        return _read_itk(path, name)
    if suffix in (".mgz", ".mgh"):
        from manabi.io.freesurfer import read_freesurfer

        return read_freesurfer(path, name)
    if suffix in RADIOGRAPHS:
        from manabi.io.radiograph import read_radiograph

        return read_radiograph(path, name=name)
    return _read_dicom(path, series, name)


def write_volume(
    volume: Volume,
    path: Path | str,
    *,
    overwrite: bool = False,
    description: str = "",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a volume; the file is there as a whole or not at all.

    Args:
        volume: bool is written as uint8, float16 as float32; other types as they are.
        path: ends in one of :data:`WRITABLE`.
        overwrite: whether an existing file may be replaced.
        description: a short text without patient identifiers (NIfTI keeps 79 characters; NRRD has it as
            ``Manabi_Description``).
        metadata: further keys for NRRD; the other formats have no place for them.

    Returns:
        The path.

    Raises:
        InvalidInputError: for an unknown format or an existing file.
        GeometryError: for a sheared grid, which these formats cannot hold for every reader.
        ManabiError: when the disk is full.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix not in WRITABLE:
        raise InvalidInputError(f"Cannot write {suffix or 'a file without suffix'}. Choose {', '.join(WRITABLE)}.")
    if suffix in (".nii", ".nii.gz"):
        from manabi.io.nifti import write_nifti

        return write_nifti(volume, path, description=description, overwrite=overwrite)
    image = volume.to_sitk()
    if suffix == ".nrrd":
        for key, value in {"Manabi_Description": description, **(metadata or {})}.items():
            if value:
                image.SetMetaData(key, value)
    with atomic_file(path, overwrite=overwrite) as aside:
        _write_itk(image, aside)
    return path


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InvalidInputError(f"There is no file or folder {path}. Check the path.")
    if not os.access(path, os.R_OK):
        raise InvalidInputError(f"Not allowed to read {path}. Ask for access, or copy it to a folder of your own.")
    if path.is_file() and path.stat().st_size == 0:
        raise InvalidInputError(f"{path} is empty. Copy or export it again.")
    return path


def itk_path(path: Path) -> str:
    """A path as ITK takes it; a name that is no Unicode, as POSIX systems can have it, would end the process there.

    Raises:
        InvalidInputError: for such a name.
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{path} has characters in it that are not UTF-8, which ITK cannot take. Rename the file or its folder."
        ) from error
    return text


def _is_index(path: Path) -> bool:
    """Whether a file in a DICOM folder is none of its images."""
    return path.name.startswith(".") or path.name.upper() == "DICOMDIR"


def _suffix(path: Path) -> str:
    """The lower-case suffix, ``.nii.gz`` whole."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def _read_dicom(path: Path, series: str | None, name: str) -> Volume:
    """A DICOM series, or a radiograph where the one file is one."""
    from dataclasses import replace

    from manabi.io.radiograph import is_dicom, is_radiograph, read_radiograph

    files = [file for file in path.iterdir() if not _is_index(file)] if path.is_dir() else [path]
    if path.is_file() and not is_dicom(path):
        raise InvalidInputError(f"{path} is no image that Manabi can read. It reads {READABLE}.")
    if len(files) == 1 and files[0].is_file():
        with _without_name(files[0], path):
            if is_radiograph(files[0]):
                return read_radiograph(files[0], name=name)
    from manabi.io.dicom import read_dicom

    volume = read_dicom(path, series=series)
    return volume if name == "volume" else replace(volume, name=name)


@contextmanager
def _without_name(file: Path, asked: Path) -> Iterator[None]:
    """Errors about the only file of a folder do not tell its name, which nobody typed and which may be a patient's."""
    try:
        yield
    except ManabiError as error:
        if file != asked:
            error.args = (str(error).replace(str(file), f"the only file of {asked}"),)
        raise


def _read_itk(path: Path, name: str) -> Volume:
    """NRRD and MetaImage; sheared ones are straightened with a warning."""
    import SimpleITK as sitk

    warnings = _nrrd_warnings(path) if _suffix(path) in (".nrrd", ".nhdr") else []
    reader = sitk.ImageFileReader()
    reader.SetFileName(itk_path(path))
    try:
        reader.ReadImageInformation()
        _check_scalar(reader, path)
        image = reader.Execute()
    except RuntimeError as error:
        raise InvalidInputError(
            f"{path} cannot be read: it is damaged, truncated, not what its name says, or its data file is missing. "
            "Copy or export it again."
        ) from error
    if image.GetDimension() > 3:
        image = sitk.Extract(image, [*image.GetSize()[:3], *[0] * (image.GetDimension() - 3)])
    volume = Volume.from_sitk(image, name=name, warnings=tuple(warnings))
    return volume.straightened()


def _check_scalar(reader: sitk.ImageFileReader, path: Path) -> None:
    """Refuse colour, vectors and sequences before the voxels are read."""
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    if components != 1:
        raise InvalidInputError(
            f"{path} holds {components} values per voxel (colour, a vector field or several layers); expected one. "
            "Export the one you need as its own file."
        )
    frames = int(np.prod(size[3:]))
    if frames != 1:
        raise InvalidInputError(
            f"{path} holds {frames} volumes of {tuple(size[:3])} voxels (4-D); expected one. "
            "Save the one you need as its own file."
        )


def _nrrd_warnings(path: Path) -> list[str]:
    """What a NRRD header leaves open about the place in space; raises InvalidInputError for lengths not in mm."""
    with path.open("rb") as file:
        head = file.read(1 << 16).partition(b"\n\n")[0].partition(b"\r\n\r\n")[0]
    lines = head.decode("utf-8", "replace").splitlines()
    fields = {key.strip().lower(): value.strip() for key, colon, value in (text.partition(": ") for text in lines)}
    units = set(fields.get("space units", "").replace('"', "").split()) - {"mm", "none", "???", "ms", "s", "sec"}
    if units:
        raise InvalidInputError(f"{path} has lengths in {', '.join(sorted(units))}; expected mm. Convert it first.")
    if fields.get("space", "").lower().removesuffix("-time").removesuffix("t") not in PLACED_SPACES:
        return [
            "The file does not say how the patient lies (no anatomical NRRD space); columns were taken to run to the "
            "left, rows to the back and slices upwards. Left and right may be swapped."
        ]
    return []


def _write_itk(image: sitk.Image, path: Path) -> None:
    """Compressed NRRD or MetaImage; says when the disk is the reason for a failure."""
    import shutil

    import SimpleITK as sitk

    try:
        sitk.WriteImage(image, itk_path(path), True)
    except RuntimeError as error:
        free = shutil.disk_usage(path.parent).free
        if free < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
            raise ManabiError(f"The disk of {path.parent} is full; nothing was written. Free some space.") from error
        raise ManabiError(f"The image could not be written in {path.parent}. Check the disk and its rights.") from error
