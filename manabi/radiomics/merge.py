"""Tables of many cases as one: what a batch leaves behind, and what a cohort is fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from manabi.batch.spreadsheet import read_rows
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.tables import write_table
from manabi.result import Cell, Table

CASE = "case"
WIDE, KEY = "features_wide.csv", "key_features.csv"
MERGED = {"radiomics.csv": WIDE, "radiomics_key_features.csv": KEY, "radiomics_risk.csv": "risk.csv"}
"""Tables of the whole batch, and the case's table that each is made of."""


def together(cases: Mapping[str, Table]) -> Table:
    """One table with the case before every row; a column that a case does not have is empty there.

    Args:
        cases: by name, in the order that the rows shall have.
    """
    columns = tuple(dict.fromkeys(name for table in cases.values() for name in table.columns))
    rows: list[tuple[Cell, ...]] = []
    for case, table in cases.items():
        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            rows.append((case, *(cells.get(name) for name in columns)))
    return Table((CASE, *columns), tuple(rows))


def gather(results: Mapping[str, Path], folder: Path) -> list[Path]:
    """Merge the cases' tables of a batch into ``radiomics.csv`` and its companions; returns the files written.

    Args:
        results: result folder by case.
        folder: of the batch.

    Raises:
        InvalidInputError: a case's table that is damaged.
    """
    written = []
    for target, source in MERGED.items():
        cases = {case: _read(path / source) for case, path in results.items() if (path / source).is_file()}
        if cases:
            table = together(cases)
            with atomic_file(folder / target, overwrite=True) as aside:
                write_table(table.columns, table.rows, aside)
            written.append(folder / target)
    return written


def _read(path: Path) -> Table:
    """A case's table; its cells stay the text that they are, so that no digit is lost."""
    rows, columns = read_rows(path)
    if not columns:
        raise InvalidInputError(f"{path.name} is empty. Run the case again.")
    return Table(tuple(columns), tuple(_cells(row, columns) for row in rows))


def _cells(row: Mapping[str, str], columns: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(row.get(name) or None for name in columns)
