"""A table as people's programs write it, as text: what Excel makes of a CSV in Tokyo or in Berlin, and what R does."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.batch.spreadsheet import parsed
from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
"""Cells that say that there is no value: those of pandas."""


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a table that hold anything, as text without the blanks around it; None where a cell is empty.

    Commas, semicolons (then with decimal commas) or tabs part the cells, whichever the heading has most of, or what
    a first line ``sep=;`` says. UTF-8, UTF-16 with a byte order mark or, from Japanese Excel, CP932. A row may be
    shorter than the heading (Excel drops empty cells at the end), and longer by empty cells.

    Returns:
        The table. Its index holds the lines of the file; ``attrs["decimal"]`` is the decimal mark.

    Raises:
        InvalidInputError: with what is wrong and on which line; cells are never shown, for they may name patients.
    """
    import pandas as pd

    sheet = parsed(_text(path), repr(path.name))
    if not sheet.lines:
        raise InvalidInputError(f"{path.name!r} has no rows below its heading.")
    names = _heading(sheet.columns, sheet.lines, path)
    rows = [[None if cell in MISSING else cell for cell in _fitted(line, len(names))] for _, line in sheet.lines]
    table = pd.DataFrame(rows, columns=names, index=[number for number, _ in sheet.lines], dtype=object)
    table.attrs["decimal"] = "," if sheet.delimiter == ";" else "."
    return table


def _text(path: Path) -> str:
    if not path.is_file():
        raise InvalidInputError(f"There is no file {path.name!r}: give the path of a CSV table.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path.name!r} cannot be read ({error.strerror}). Check the file.") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp932", errors="replace")


def _heading(names: Sequence[str], rows: Sequence[tuple[int, list[str]]], path: Path) -> list[str]:
    """The names of the columns; those at the end that hold nothing at all are left out."""
    kept = list(names)
    while kept and not kept[-1] and not any(any(line[len(kept) - 1 :]) for _, line in rows):
        kept.pop()
    if "" in kept:
        raise InvalidInputError(
            f"{path.name!r}: column {kept.index('') + 1} has no name. Name it, or remove it where it only counts rows."
        )
    if twice := sorted({name for name in kept if kept.count(name) > 1}):
        raise InvalidInputError(f"{path.name!r} has {len(twice)} columns twice, e.g. {twice[0]!r}. Keep one of each.")
    for number, line in rows:
        if any(line[len(kept) :]):
            raise InvalidInputError(
                f"{path.name!r}: line {number} has more cells than the heading has names. Put cells that hold a comma "
                "in quotes, and name every column."
            )
    return kept


def _fitted(line: Sequence[str], size: int) -> list[str]:
    """The cells of a row, as many as the heading has names."""
    return [*line[:size], *([""] * (size - len(line)))]
