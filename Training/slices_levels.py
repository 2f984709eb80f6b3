"""One marker's cell of a site's table: read, and placed in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

KINDS = ("slice", "instance", "uid", "mm")
"""Endings of the columns that may say where a marker is."""
UNKNOWN = "?"


@dataclass(frozen=True)
class Level:
    """What a cell says.

    Attributes:
        marker: which one.
        kind: one of :data:`KINDS`; empty where no position is given.
        text: of the cell; not shown in messages where it is a UID.
        blank: whether the marker is said not to be in the image.
    """

    marker: str
    kind: str = ""
    text: str = ""
    blank: bool = False

    @property
    def column(self) -> str:
        """Name of the column."""
        return f"{self.marker}_{self.kind}"


def read_level(where: str, marker: str, row: Mapping[str, str], columns: Sequence[str]) -> Level:
    """A marker's cell of a row.

    Args:
        where: how messages call the row.
        marker: which one.
        row: cells by column.
        columns: those of the table that say where markers are.

    Raises:
        InvalidInputError: for two positions of one marker, or a cell that is no number where one is expected.
    """
    own = [f"{marker}_{kind}" for kind in KINDS if f"{marker}_{kind}" in columns]
    cells = {column: row[column].strip() for column in own}
    filled = [column for column, text in cells.items() if text]
    if len(filled) > 1:
        raise InvalidInputError(f"{where}: {marker} is given twice, in {' and '.join(filled)}. Keep one.")
    if not filled:
        return Level(marker, blank=bool(own))
    column, text = filled[0], cells[filled[0]]
    if text == UNKNOWN:
        return Level(marker)
    level = Level(marker, column.removeprefix(f"{marker}_"), text)
    if level.kind != "uid":
        _number(where, level)
    return level


def _number(where: str, level: Level) -> float:
    """The cell's number; whole but for mm."""
    try:
        value = float(level.text)
    except ValueError:
        value = float("nan")
    whole = level.kind != "mm"
    if not np.isfinite(value) or (whole and value != round(value)):
        raise InvalidInputError(
            f"{where}, {level.column}: expected a {'whole ' if whole else ''}number, an empty cell (not in the image) "
            f"or {UNKNOWN} (unknown); got {level.text!r}."
        )
    return value


def level_mm(where: str, level: Level, volume: Volume, stack: AxialStack) -> float:
    """Position of a marker along the stack, mm; NaN where none is given.

    Args:
        where: how messages call the row.
        level: what the cell says.
        volume: the image as it was read.
        stack: of the image.

    Raises:
        InvalidInputError: where the position is not in the image, or the image cannot tell.
    """
    if not level.kind:
        return float("nan")
    if level.kind == "mm":
        return _of_mm(where, level, stack)
    if stack.resampled or stack.input_axis != 0 and level.kind != "slice":
        raise InvalidInputError(
            f"{where}, {level.column}: the image has no axial slices of its own that could be counted. "
            f"Give {level.marker}_mm."
        )
    index = int(_number(where, level)) if level.kind == "slice" else _file_index(where, level, volume)
    if not 0 <= index < stack.n:
        raise InvalidInputError(
            f"{where}, {level.column}: the image has the slices 0 to {stack.n - 1}, counted from 0; got {index}."
        )
    return float(stack.z_mm[stack.input_index(index)])


def _of_mm(where: str, level: Level, stack: AxialStack) -> float:
    """From RAS to the stack's own scale, which differs where slices are tilted."""
    value, half = _number(where, level), stack.spacing_mm / 2
    _, rows, columns = stack.volume.shape
    middles = [stack.ras(k, (rows - 1) / 2, (columns - 1) / 2)[2] for k in range(stack.n)]
    if not middles[0] - half <= value <= middles[-1] + half:
        raise InvalidInputError(
            f"{where}, {level.column}: the image reaches from {middles[0]:.1f} to {middles[-1]:.1f} mm; got {value:g}. "
            "Leave the cell empty where the marker is not in the image. Positions are RAS, as 3D Slicer shows them."
        )
    return float(np.interp(value, middles, stack.z_mm))


def _file_index(where: str, level: Level, volume: Volume) -> int:
    """Slice of a DICOM instance, found by its number or UID."""
    source = volume.source
    files, uids = getattr(source, "files", ()), getattr(source, "instance_uids", ())
    if len(files) != volume.shape[0] or any("resampled" in text for text in volume.warnings):
        raise InvalidInputError(
            f"{where}, {level.column}: expected a DICOM series with one file per slice, evenly spaced and not tilted. "
            f"Give {level.marker}_slice or {level.marker}_mm for this image."
        )
    wanted = [level.text] if level.kind == "uid" else [int(_number(where, level))]
    known = list(uids) if level.kind == "uid" else _instance_numbers(files)
    found = [k for k, value in enumerate(known) if value in wanted]
    if len(found) != 1:
        what = "UID" if level.kind == "uid" else f"InstanceNumber {wanted[0]}"
        raise InvalidInputError(
            f"{where}, {level.column}: {len(found) or 'no'} slices of the series have this {what}; expected one."
        )
    return found[0]


def _instance_numbers(files: Sequence[Path]) -> list[int | None]:
    from pydicom import dcmread

    headers = [dcmread(file, stop_before_pixels=True, specific_tags=["InstanceNumber"]) for file in files]
    return [None if h.get("InstanceNumber") is None else int(h.InstanceNumber) for h in headers]
