"""Tables as people's programs write them: comma, semicolon or tab, with or without a byte order mark."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

from manabi.errors import InvalidInputError

DELIMITERS = ",;\t"
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Sheet:
    """A table as text.

    Attributes:
        columns: the heading.
        lines: the rows that hold anything, with the line of the file that each ends on.
        delimiter: what parts the cells; with semicolons, numbers have decimal commas.
    """

    columns: list[str]
    lines: list[tuple[int, list[str]]]
    delimiter: str

    @property
    def rows(self) -> Rows:
        """The rows by column; a row that is too short lacks its last columns."""
        return [dict(zip(self.columns, line, strict=False)) for _, line in self.lines]


def read_rows(path: Path, *, foreign_names: bool = False) -> tuple[Rows, list[str]]:
    """The rows of a CSV that hold anything, and its columns; see :func:`read_sheet`."""
    sheet = read_sheet(path, foreign_names=foreign_names)
    return sheet.rows, sheet.columns


def read_sheet(path: Path, *, foreign_names: bool = False, comment: str = "") -> Sheet:
    """Read a CSV.

    A first line ``sep=;``, as Excel understands it, names the delimiter; otherwise it is the one that the heading has
    most of. Cells are text, without the blanks around them.

    Args:
        path: the table, in UTF-8.
        foreign_names: whether its cells may hold file names that are not UTF-8, as POSIX systems can have them; they
            are read as Python writes them, with the blanks around them.
        comment: what lines begin with that are no part of the table.

    Raises:
        InvalidInputError: where it is no such table.
    """
    return parsed(_text(path, foreign_names and os.name == "posix"), path.name, foreign_names, comment)


def parsed(text: str, name: str, verbatim: bool = False, comment: str = "") -> Sheet:
    """The table that a text holds; raises InvalidInputError, naming it, where it holds none.

    Args:
        text: all of it.
        name: of the file, for messages.
        verbatim: keep the blanks around cells.
        comment: what lines begin with that are no part of the table.
    """
    delimiter, body, before = _parted(_without(text, comment) if comment else text)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=not verbatim)
    try:
        lines = [(before + reader.line_num, line if verbatim else [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise InvalidInputError(f"{name} is no table ({error}). Save it as 'CSV UTF-8'.") from error
    heading, *rest = [(number, line) for number, line in lines if any(line)] or [(0, [])]
    return Sheet([column.strip() for column in heading[1]], rest, delimiter)


def _parted(text: str) -> tuple[str, str, int]:
    """What parts the cells, the text from its heading on, and how many lines stand before that."""
    first, _, rest = text.partition("\n")
    said = first.strip("\r\"' ").lower()
    if said.startswith("sep=") and len(said) == len("sep=") + 1:
        return said[-1], rest, 1
    heading = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=heading.count), text, 0


def _without(text: str, comment: str) -> str:
    """The text with lines of comment left empty, so that the others keep their numbers."""
    return "\n".join("" if line.startswith(comment) else line for line in text.splitlines())


def _text(path: Path, foreign_names: bool) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path.name} cannot be read ({error.strerror}). Check the file.") from error
    try:
        return content.decode("utf-8-sig", "surrogateescape" if foreign_names else "strict")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path.name} is not UTF-8. Save it as 'CSV UTF-8'.") from error
