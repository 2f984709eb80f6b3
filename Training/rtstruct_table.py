"""The table of a site's CTs and structure sets: written once by what was found, corrected by hand, and read again.

A row is a structure set with its CT. ``use`` says yes or no. ``ct`` and ``rtstruct`` are pseudonyms of the index beside
the table, since folders and files are often named after patients; a path relative to the table may be written there as
well. The column of an organ holds the names of its structures, with ``;`` between several and ``#3`` for the structure
of number 3; left empty, the organ is unknown in that case. ``group`` is the patient, ``split``
may be given. The other columns explain.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.dicom.structure_list import Roi
from manabi.io.tables import write_table

USE, CASE, GROUP, SPLIT, CT, RTSTRUCT = "use", "case", "group", "split", "ct", "rtstruct"
LEADING = (USE, CASE, GROUP, SPLIT, CT, RTSTRUCT)
EXPLAINING = ("missing", "why", "structures", "slices", "spacing_mm", "index")
PARTED = ";"
NUMBER = "#"
MOST_NAMED = 12


@dataclass(frozen=True)
class TableRow:
    """A structure set as the table has it.

    Attributes:
        use: whether it is taken.
        case: pseudonym of the structure set.
        group: pseudonym of the patient.
        ct: pseudonym of the CT; empty where none was found.
        rtstruct: pseudonym of the file.
        organs: text of each organ's cell.
        missing: which organs were not found, and why.
        why: how the CT was found, or why the set is not used.
        structures: names of all of its structures.
        slices: of the CT.
        spacing_mm: between them.
    """

    use: bool
    case: str
    group: str
    ct: str
    rtstruct: str
    organs: Mapping[str, str]
    missing: str
    why: str
    structures: Sequence[str] = ()
    slices: int | None = None
    spacing_mm: float | None = None


def write(rows: Iterable[TableRow], organs: Sequence[str], index: Path, path: Path, *, overwrite: bool = False) -> Path:
    """Write the table, readable by its owner alone: names of structures may say more than we know to remove.

    Raises:
        InvalidInputError: where it is there already: somebody may have corrected it.
    """
    with atomic_file(path, overwrite=overwrite) as aside:
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        write_table((*LEADING, *organs, *EXPLAINING), [_cells(row, organs, index.name) for row in rows], aside)
    return path


def _cells(row: TableRow, organs: Sequence[str], index: str) -> tuple[object, ...]:
    spacing = None if row.spacing_mm is None else round(row.spacing_mm, 3)
    return (
        "yes" if row.use else "no", row.case, row.group, "", row.ct, row.rtstruct,
        *(row.organs.get(organ, "") for organ in organs),
        row.missing, row.why, f"{PARTED} ".join(row.structures), row.slices, spacing, index,
    )  # fmt: skip


def cell_of(numbers: Sequence[int], rois: Sequence[Roi]) -> str:
    """Structures as an organ's cell names them: by name where that is clear, else by number."""
    return f"{PARTED} ".join(_named(next(roi for roi in rois if roi.number == number), rois) for number in numbers)


def _named(roi: Roi, rois: Sequence[Roi]) -> str:
    alone = sum(_plain(other.name) == _plain(roi.name) for other in rois) == 1
    clear = roi.name and alone and PARTED not in roi.name and not roi.name.startswith(NUMBER)
    return roi.name if clear else f"{NUMBER}{roi.number}"


def numbers_of(cell: str, rois: Sequence[Roi], what: str) -> tuple[int, ...]:
    """The structures that an organ's cell names.

    Args:
        cell: text of the table; empty for none.
        rois: of the structure set, with names as the table shows them.
        what: case and organ, for messages.

    Raises:
        InvalidInputError: for a structure that is not there, stands twice, or has no closed contours.
    """
    return tuple(_number(part.strip(), rois, what) for part in cell.split(PARTED) if part.strip())


def _number(text: str, rois: Sequence[Roi], what: str) -> int:
    if text.startswith(NUMBER) and text[1:].strip().isdigit():
        found = [roi for roi in rois if roi.number == int(text[1:])]
    else:
        found = [roi for roi in rois if _plain(roi.name) in (_plain(text), _plain(text.removeprefix("'")))]
    if not found:
        names = ", ".join(roi.name for roi in rois[:MOST_NAMED]) + (", ..." if len(rois) > MOST_NAMED else "")
        raise InvalidInputError(f"{what}: there is no structure {text!r}. The structure set holds {names or 'none'}.")
    if len(found) > 1:
        listed = " or ".join(f"{NUMBER}{roi.number}" for roi in found)
        raise InvalidInputError(f"{what}: several structures are called {text!r}. Write {listed} instead of the name.")
    if not found[0].contours:
        raise InvalidInputError(f"{what}: the structure {text!r} has no closed contours. Choose another, or none.")
    return found[0].number


def _plain(name: str) -> str:
    """A name without what spreadsheets and keyboards change."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
