"""Representative slices as files for whoever takes over: pictures, arrays, a DICOM series, key objects.

No file name, picture or table says who the patient is; only the DICOM files do, as their original does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_folder
from manabi.io.tables import write_table
from manabi.result import Result
from manabi.slices.reading import NAMES
from manabi.slices.representative import LUNG_WINDOW, Chosen, as_8bit, chosen_of, planes_to_ras, stack_of
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

COLUMNS = ("number", "marker", "slice", "position_mm", "fraction", "picture")
DESCRIPTION = "Manabi representative slices"
SQUARE = 0.01
"""Pixels whose sides differ by less than this share are taken for square (our choice)."""
SMALLEST_PX, LARGEST_PX = 16, 4096

Files = dict[str, list[Path]]


def export_slices(
    volume: Volume,
    what: Result | Sequence[Chosen],
    folder: Path | str,
    *,
    png: bool = True,
    arrays: bool = True,
    dicom: bool = True,
    key_object: bool | None = None,
    window: tuple[float, float] = LUNG_WINDOW,
    size: int | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Files:
    """Write the representative slices into a folder, all of it or nothing.

    ``slices.csv`` lists them. Pictures have 8 bits in a lung window, the patient's right on the left, square pixels.
    ``slices.npz`` holds the values as they are with one matrix per slice (our choice over an image file: the distance
    between slices varies, and an image file would have to name one). The DICOM series keeps each slice's place and
    values; key objects point at the original images.

    Args:
        volume: the input of SliceMarker.
        what: its result, or the slices as :func:`manabi.slices.representative.choose` gives them.
        folder: new or empty unless ``overwrite`` is set.
        png: ``slice-01-apex.png``, ``slice-02.png``, ...
        arrays: ``slices.npz``: ``pixels (n, rows, columns)``, ``planes_to_ras (n, 4, 4)``, ``z_mm``, ``fraction``,
            ``marker``.
        dicom: a series in ``dicom/``; of an image that is not from DICOM, a new study without a patient.
        key_object: ``key-objects.dcm``; None writes it where the image came from DICOM.
        window: level and width of the pictures, HU.
        size: rows and columns of the pictures, for a 2-D model; pictures that are not square are padded with black.
            None keeps the image's pixels.
        provenance: for the DICOM header; a result brings its own.
        overwrite: whether a folder with content is replaced.

    Returns:
        Files by kind: ``table``, ``pictures``, ``arrays``, ``dicom``, ``key_objects``.

    Raises:
        InvalidInputError: for no slices, a taken folder, a size that no picture has, or key objects of an image that
            is not from DICOM.
        ManabiError: when the disk is full.
    """
    from manabi.io.dicom.source import DicomSource

    if size is not None and not SMALLEST_PX <= size <= LARGEST_PX:
        raise InvalidInputError(f"size: expected {SMALLEST_PX} to {LARGEST_PX} pixels; got {size}.")
    stack = AxialStack.of(volume)
    chosen = chosen_of(what.tables["representative"], stack) if isinstance(what, Result) else tuple(what)
    if not chosen:
        raise InvalidInputError("There are no representative slices to write: no marker is in the image.")
    if key_object is None:
        key_object = isinstance(volume.source, DicomSource)
    known = what.provenance if isinstance(what, Result) else (provenance or {})
    files: Files = {}
    with atomic_folder(folder, overwrite=overwrite) as aside:
        job = _Job(volume, stack, chosen, aside, known)
        if png:
            files["pictures"] = job.pictures(window, size)
        files["table"] = job.table(files.get("pictures", []))
        if arrays:
            files["arrays"] = job.arrays()
        if dicom:
            files["dicom"] = job.dicom()
        if key_object:
            files["key_objects"] = job.key_objects()
        return {kind: [Path(folder) / p.relative_to(aside) for p in paths] for kind, paths in files.items()}


def picture_name(one: Chosen) -> str:
    """File name of a slice's picture: its number, and its marker where it has one."""
    return f"slice-{one.number:02d}{f'-{one.marker}' if one.marker else ''}.png"


def describe(one: Chosen, count: int) -> str:
    """A slice in words."""
    what = NAMES.get(one.marker, "")
    place = "" if np.isnan(one.fraction) else f"; {one.fraction:.2f} of the way from apex (0) to diaphragm (1)"
    return f"{what + '; ' if what else ''}representative slice {one.number} of {count}; z {one.z_mm:.1f} mm{place}"


@dataclass(frozen=True)
class _Job:
    """One export: what is written, and where."""

    volume: Volume
    stack: AxialStack
    chosen: tuple[Chosen, ...]
    folder: Path
    provenance: Mapping[str, Any]

    def pictures(self, window: tuple[float, float], size: int | None) -> list[Path]:
        """A PNG per slice, grey as in the window."""
        grey = as_8bit(stack_of(self.stack, self.chosen), window)
        paths = [self.folder / picture_name(one) for one in self.chosen]
        for image, path in zip(grey, paths, strict=True):
            _picture(image, self.stack.pixel_mm, size).save(path, format="PNG")
        return paths

    def table(self, pictures: Sequence[Path]) -> list[Path]:
        """Where every slice lies, with its picture's name, as CSV."""
        names = [p.name for p in pictures] or [""] * len(self.chosen)
        rows = [
            (c.number, c.marker, self.stack.input_index(c.index), round(c.z_mm, 2), round(c.fraction, 4), name)
            for c, name in zip(self.chosen, names, strict=True)
        ]
        return [write_table(COLUMNS, rows, self.folder / "slices.csv")]

    def arrays(self) -> list[Path]:
        """Values and geometry of all slices, as one NPZ."""
        path = self.folder / "slices.npz"
        np.savez_compressed(
            path, pixels=stack_of(self.stack, self.chosen), planes_to_ras=planes_to_ras(self.stack, self.chosen),
            z_mm=[c.z_mm for c in self.chosen], fraction=[c.fraction for c in self.chosen],
            marker=[c.marker for c in self.chosen],
        )  # fmt: skip
        return [path]

    def dicom(self) -> list[Path]:
        """The slices as a DICOM series."""
        from manabi.io.dicom.write_slices import write_dicom_slices

        source, own = self.volume, self.stack.input_axis == 0 and not self.stack.resampled
        if not own:
            source = self.stack.volume.reoriented(signs=(-1, -1, 1))
        source = replace(source, modality=source.modality or "CT", units=source.units or "HU")
        return write_dicom_slices(
            source, [self.stack.input_index(c.index) if own else c.index for c in self.chosen], self.folder / "dicom",
            self.volume.source, series_description=DESCRIPTION, provenance=self.provenance,
            comments=[describe(c, len(self.chosen)) for c in self.chosen],
        )  # fmt: skip

    def key_objects(self) -> list[Path]:
        """A DICOM key object selection that points at the original slices."""
        from manabi.io.dicom.key_objects import KeyImage, write_key_objects

        _, rows, columns = self.stack.volume.shape
        images = [
            KeyImage(self.stack.ras(c.index, (rows - 1) / 2, (columns - 1) / 2), describe(c, len(self.chosen)))
            for c in self.chosen
        ]
        path = self.folder / "key-objects.dcm"
        return [write_key_objects(self.volume.source, images, path, provenance=self.provenance)]


def _picture(image: np.ndarray, pixel_mm: tuple[float, float], size: int | None) -> Any:
    """A Pillow image with square pixels, of ``size`` rows and columns where that is given."""
    from PIL import Image

    rows, columns = image.shape
    finest = min(pixel_mm)
    width, height = columns * pixel_mm[0] / finest, rows * pixel_mm[1] / finest
    if abs(pixel_mm[0] - pixel_mm[1]) < SQUARE * finest:
        width, height = columns, rows
    shrink = 1.0 if size is None else size / max(width, height)
    wanted = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    picture = Image.fromarray(image)
    if wanted != picture.size:
        picture = picture.resize(wanted, Image.Resampling.BICUBIC)
    if size is None or picture.size == (size, size):
        return picture
    square = Image.new("L", (size, size))
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return square
