"""The names in a batch's folder, and ``cases.csv``, which says which source each case is.

That file is for its owner's eyes only: the names of files often hold those of patients.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from manabi.batch.sources import CASE_COLUMN, SETTING, Key, Source, key_of
from manabi.batch.spreadsheet import read_rows
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.tables import write_table
from manabi.store.check import WINDOWS_DEVICES

RECORD, NAMES, TABLE, LOG, LOCK = "batch.json", "cases.csv", "batch.csv", "batch.log", ".batch.lock"
OWN = (RECORD, NAMES, TABLE, LOG, LOCK)


def read_names(file: Path) -> dict[Key, str]:
    """The name of each case by its key; a spreadsheet program may have saved the file in its own way.

    Raises:
        InvalidInputError: where it is no such table, or names what is no folder beside it.
    """
    rows, columns = read_rows(file, foreign_names=True)
    names = {
        key_of((name, value) for name, value in row.items() if name != CASE_COLUMN and value): row.get(CASE_COLUMN, "")
        for row in rows
    }
    taken = {name.casefold() for name in names.values()}
    if CASE_COLUMN not in columns or len(taken) < len(rows) or not all(_is_plain(name) for name in names.values()):
        raise InvalidInputError(
            f"{file} is damaged: expected the columns {CASE_COLUMN} and the inputs, and a name of its own for every "
            "case. Put it back as the batch wrote it, or name a new folder for the results."
        )
    return names


def write_names(file: Path, names: Mapping[Key, str]) -> None:
    """Write the names, readable by their owner alone."""
    columns = sorted({key for case in names for key, _ in case}, key=lambda column: column.startswith(SETTING))
    rows = sorted((name, *(dict(case).get(column) for column in columns)) for case, name in names.items())
    with atomic_file(file, overwrite=True) as aside:
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        write_table((CASE_COLUMN, *columns), rows, aside, errors="surrogateescape", verbatim=True)


def new_name(source: Source, taken: Iterable[str], keep: bool) -> str:
    """A name that no other case has: a number, or one like the source's.

    Args:
        source: the case.
        taken: names that others have, in small letters (``casefold``).
        keep: whether to name it after its source.
    """
    others = set(taken)
    return _kept(source.title, others) if keep else _neutral(others)


def _is_plain(name: str) -> bool:
    """Whether a name is that of a folder right here."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def _neutral(taken: set[str]) -> str:
    numbers = [int(name[5:]) for name in taken if re.fullmatch(r"case-\d+", name)]
    return f"case-{max(numbers, default=0) + 1:04d}"


def _kept(title: str, taken: set[str]) -> str:
    """A folder name that every system can have, as like the source's as possible, and not taken."""
    text = unicodedata.normalize("NFC", title)[:80].encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
    name = re.sub(r'[\x00-\x1f\x7f\\/:*?"<>|]', "_", text).strip(" .") or "case"
    if name.split(".")[0].lower() in WINDOWS_DEVICES or name.casefold() in OWN:
        name = f"_{name}"
    chosen, count = name, 2
    while chosen.casefold() in taken:
        chosen, count = f"{name}-{count}", count + 1
    return chosen
