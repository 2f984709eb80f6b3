"""Tables as people's programs write them: comma, semicolon or tab, with or without a byte order mark."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from manabi.errors import InvalidInputError

DELIMITERS = ",;\t"
Rows = list[dict[str, str]]


def read_rows(path: Path, *, foreign_names: bool = False) -> tuple[Rows, list[str]]:
    """The rows of a CSV that hold anything, and its columns.

    A first line ``sep=;``, as Excel understands it, names the delimiter; otherwise it is the one that the heading has
    most of. Cells are text, without the blanks around them.

    Args:
        path: the table, in UTF-8.
        foreign_names: whether its cells may hold file names that are not UTF-8, as POSIX systems can have them; they
            are read as Python writes them.

    Raises:
        InvalidInputError: where it is no such table.
    """
    text = _text(path, foreign_names and os.name == "posix")
    head, _, rest = text.partition("\n")
    named = head.strip().strip('"').lower()
    if named.startswith("sep=") and len(named) == len("sep=") + 1:
        text, delimiter = rest, named[-1]
    elif named == "sep=":  # the tab was stripped
        text, delimiter = rest, "\t"
    else:
        delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [[cell if foreign_names else cell.strip() for cell in line] for line in reader]
    except csv.Error as error:
        raise InvalidInputError(f"{path.name} is no table ({error}). Save it as 'CSV UTF-8'.") from error
    columns = [name.strip() for name in lines[0]] if lines else []
    rows = [dict(zip(columns, line, strict=False)) for line in lines[1:] if any(line)]
    return rows, columns


def _text(path: Path, foreign_names: bool) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path.name} cannot be read ({error.strerror}). Check the file.") from error
    try:
        return content.decode("utf-8-sig", "surrogateescape" if foreign_names else "strict")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path.name} is not UTF-8. Save it as 'CSV UTF-8'.") from error
