"""Cases for training from a site's folder of CT series and RTSTRUCTs, of any nesting and with any number of either.

:func:`Training.rtstruct_folder.match_folder` looks for the CT of every structure set and for the organs among its
structures, and writes a table (:mod:`Training.rtstruct_table`). A person corrects it. :func:`read_cases` reads it back,
:meth:`RtstructCase.load` draws the contours on the CT's grid, and :func:`write_cohort` writes images and label maps as
``python -m Training`` takes them. Names, numbers, dates and paths are neither in the table nor in messages.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from manabi import log
from manabi.archive.choice_csv import NO, YES
from manabi.archive.index import Index, IndexedFile, Stamp
from manabi.archive.series import ArchivedSeries, archived_series
from manabi.batch.spreadsheet import read_sheet
from manabi.errors import InvalidInputError, ManabiError
from manabi.io.atomic import atomic_folder
from manabi.io.dicom.structure_list import StructureList
from manabi.io.tables import write_table
from manabi.pelvis.structures import PELVIS
from manabi.structures.structure_set import StructureSet
from manabi.volume import Volume
from Training import rtstruct_table as tables
from Training.rtstruct_match import FoundStructures, frame_problem, structure_files

logger = logging.getLogger(__name__)

COHORT = "cohort.csv"
COHORT_COLUMNS = ("case", "group", "split", "image", "labels", "unknown")


@dataclass(frozen=True, eq=False)
class LabelledCt:
    """A CT with what is known of its organs.

    Attributes:
        ct: HU.
        labels: uint8 on the same grid, the set's classes; 0 is none of the *known* organs.
        unknown: organs that nobody contoured: where they lie the labels say 0, which means nothing there.
        warnings: what was changed or is odd.
    """

    ct: Volume
    labels: Volume
    unknown: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RtstructCase:
    """A row of the table that is used; paths are kept out of ``repr``.

    Attributes:
        name: pseudonym of the case.
        group: pseudonym of the patient.
        split: as the table has it, or empty.
        ct: the files of a series, or a folder that was written by hand.
        rtstruct: the file.
        rois: numbers of the structures by organ; organs that are missing are not in it.
        known: the organs.
        warnings: what is odd about the pair.
    """

    name: str
    group: str
    split: str
    ct: tuple[Path, ...] = field(repr=False)
    rtstruct: Path = field(repr=False)
    rois: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    known: StructureSet = PELVIS
    warnings: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Organs that are not contoured in this case."""
        return tuple(organ for organ in self.known.names if organ not in self.rois)

    def load(self) -> LabelledCt:
        """Read the CT and draw the organs on its grid.

        Raises:
            ManabiError: naming the case, for whatever :func:`manabi.io.dicom.read_dicom` and
                :func:`manabi.io.dicom.masks.read_structures` refuse.
        """
        from manabi.io.dicom import read_dicom
        from manabi.io.dicom.masks import read_structures

        log.hide_paths([*self.ct, self.rtstruct])
        try:
            ct = replace(read_dicom(self.ct[0] if len(self.ct) == 1 else self.ct), name="ct")
            if ct.modality != "CT":
                raise InvalidInputError(f"Expected a CT; the series holds {ct.modality or 'no known kind of image'}.")
            chosen = {self.known.classes[organ]: numbers for organ, numbers in self.rois.items()}
            titles = {self.known.classes[organ]: self.known[organ].words for organ in self.rois}
            drawn = read_structures(self.rtstruct, ct, chosen, titles)
        except ManabiError as error:
            raise type(error)(f"Case {self.name}: {error}") from error
        labels = replace(drawn.like(np.asarray(drawn.array, np.uint8)), source=None)
        notes = (f"The CT is no original: {ct.caution}.",) if ct.caution else ()
        return LabelledCt(ct, labels, self.unknown, (*self.warnings, *notes, *ct.warnings, *drawn.warnings))


def read_cases(table: Path, known: StructureSet = PELVIS) -> list[RtstructCase]:
    """The cases of a table that are used, in its order, each checked against its structure set.

    Raises:
        InvalidInputError: naming the row or the case, where a column, a file, a series or a structure is not there, a
            file has changed since it was indexed, a case has no organ, or two have the same name.
    """
    sheet = read_sheet(table)
    wanted = (*tables.LEADING, *known.names, "index")
    missing = [column for column in wanted if column not in sheet.columns and column != tables.SPLIT]
    if missing:
        raise InvalidInputError(f"{table.name} has no column {', '.join(missing)}. Write the table anew.")
    reader = _Reader(table.absolute().parent, known)
    blank = dict.fromkeys(wanted, "")
    cases = [
        reader.case(blank | row, f"{table.name}, row {number}")
        for (number, _), row in zip(sheet.lines, sheet.rows, strict=True)
        if _is_yes(row.get(tables.USE, ""), f"{table.name}, row {number}")
    ]
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not cases:
        problem = f"uses {', '.join(twice)} more than once" if twice else "uses no case"
        raise InvalidInputError(f"{table.name} {problem}. Change the columns use and case.")
    return cases


def _is_yes(text: str, where: str) -> bool:
    if text.casefold() not in (*YES, *NO):
        raise InvalidInputError(f"{where}: use is {text!r}; expected yes or no.")
    return text.casefold() in YES


class _Reader:
    """Makes cases of rows; every index is read once."""

    def __init__(self, base: Path, known: StructureSet) -> None:
        self._base, self._known = base, known
        self._indexes: dict[str, tuple[dict[str, ArchivedSeries], dict[str, IndexedFile]]] = {}

    def case(self, row: Mapping[str, str], where: str) -> RtstructCase:
        """The case of a row."""
        empty = [name for name in (tables.CASE, tables.CT, tables.RTSTRUCT) if not row[name]]
        if empty:
            raise InvalidInputError(f"{where}: nothing under {', '.join(empty)}. Fill it in, or say no to use.")
        ct, rtstruct = self._ct(row, where), self._rtstruct(row, where)
        structures = FoundStructures.read(rtstruct)
        if structures.problem:
            raise InvalidInputError(f"{where}: {structures.problem}")
        rois = {
            organ: tables.numbers_of(row[organ], structures.content.rois, f"{where}, {organ}")
            for organ in self._known.names
        }
        rois = {organ: numbers for organ, numbers in rois.items() if numbers}
        if not rois:
            raise InvalidInputError(f"{where}: no organ has a structure. Name one, or say no to use.")
        return RtstructCase(
            row[tables.CASE], row[tables.GROUP] or row[tables.CASE], row[tables.SPLIT], ct, rtstruct, rois, self._known,
            self._odd(ct, structures.content),
        )  # fmt: skip

    def _ct(self, row: Mapping[str, str], where: str) -> tuple[Path, ...]:
        series = self._index(row)[0].get(row[tables.CT])
        if series is not None:
            return tuple(_unchanged(file, where) for file in series.files)
        return (self._path(row[tables.CT], "CT series", where),)

    def _rtstruct(self, row: Mapping[str, str], where: str) -> Path:
        file = self._index(row)[1].get(row[tables.RTSTRUCT])
        return self._path(row[tables.RTSTRUCT], "RTSTRUCT", where) if file is None else _unchanged(file, where)

    def _index(self, row: Mapping[str, str]) -> tuple[dict[str, ArchivedSeries], dict[str, IndexedFile]]:
        name = row["index"]
        if name not in self._indexes:
            files: list[IndexedFile] = []
            if name:
                with Index.opened(self._base / name) as opened:
                    files = list(opened.files())
            series = {one.item: one for one in archived_series(files) if one.is_image}
            self._indexes[name] = series, structure_files(files)
        return self._indexes[name]

    def _path(self, text: str, what: str, where: str) -> Path:
        """A path that a person has written."""
        path = self._base / text
        log.hide_paths([path, text])
        if not path.exists():
            raise InvalidInputError(
                f"{where}: the index has no such {what}, and there is no file or folder of that name beside the table. "
                "Check the cell, or match the folder again."
            )
        return path

    def _odd(self, ct: Sequence[Path], content: StructureList) -> tuple[str, ...]:
        """What is odd about a pair that a person may have made."""
        from manabi.io.dicom.headers import find_headers

        headers, _ = find_headers(ct[0] if len(ct) == 1 else ct[:1])
        frames = {header.text("FrameOfReferenceUID") for header in headers if header.is_image}
        problem = frame_problem(content, frames.pop()) if len(frames) == 1 else ""
        return (f"Check the contours: {problem}.",) if problem else ()


def _unchanged(file: IndexedFile, where: str) -> Path:
    """The path of an indexed file that is still what was indexed."""
    try:
        same = Stamp.of(file.path.stat()) == file.stamp
    except OSError:
        same = False
    if not same:
        raise InvalidInputError(f"{where}: a file was moved or changed since the folder was matched. Match it again.")
    return file.path


def write_cohort(cases: Sequence[RtstructCase], folder: Path) -> Path:
    """Write images and label maps as NIfTI, and the table of the cohort that a recipe takes as its ``--data``.

    Its column ``unknown`` lists organs that are not contoured in a case.

    Args:
        cases: of :func:`read_cases`.
        folder: to make; must not be there.

    Returns:
        Path of the table.

    Raises:
        ManabiError: naming the case that cannot be used; nothing is then left behind.
    """
    from manabi.io.files import write_volume

    rows = []
    with atomic_folder(folder) as aside:
        for number, case in enumerate(cases, 1):
            loaded = case.load()
            image, labels = f"{number:04d}/ct.nii.gz", f"{number:04d}/labels.nii.gz"
            (aside / image).parent.mkdir()
            write_volume(loaded.ct, aside / image)
            write_volume(loaded.labels, aside / labels)
            for text in loaded.warnings:
                logger.warning("Case %s: %s", case.name, text)
            if loaded.unknown:
                logger.info("Case %s: not contoured: %s.", case.name, ", ".join(loaded.unknown))
            rows.append((case.name, case.group, case.split, image, labels, " ".join(loaded.unknown)))
        write_table(COHORT_COLUMNS, rows, aside / COHORT)
    return folder / COHORT
