"""The choice as a table: one row per series, ``use`` says yes or no, and whoever edits it has the last word.

Besides ``use``, four columns count when it is read: ``case`` (rows of the same name are run together), ``input`` (as
what the series goes into the method), ``series`` and ``index`` (where it is found). The others explain. A column that
is named as a parameter of the method sets it for the row's case.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from manabi.archive.choose import SEVERAL, Choice
from manabi.archive.reading import reference
from manabi.batch.spreadsheet import read_rows
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.tables import write_table
from manabi.method import Method

USE, CASE, INPUT, WHY, SERIES, INDEX = "use", "case", "input", "why", "series", "index"
NEEDED = (USE, CASE, INPUT, SERIES, INDEX)
COLUMNS = (
    USE, CASE, INPUT, WHY, "modality", "body_part", "description", "protocol", "study_description", "contrast", "view",
    "orientation", "slices", "spacing_mm", "thickness_mm", "rows", "columns", "image_type", "structures", "files",
    "copies", "number", "patient", "study", SERIES, INDEX,
)  # fmt: skip
YES = ("yes", "y", "1", "true", "x", "ja", "oui", "si", "はい", "○", "〇")
NO = ("", "no", "n", "0", "false", "nein", "non", "いいえ", "×")


@dataclass(frozen=True)
class ChosenCase:
    """The rows of one case that are used.

    Attributes:
        name: of the case.
        inputs: reference by the method's input name, see :func:`manabi.archive.reading.reference`.
        settings: ``key=value`` texts.
        problem: why it cannot be run, or empty.
    """

    name: str
    inputs: Mapping[str, str]
    settings: tuple[str, ...] = ()
    problem: str = ""


def write_choices(choices: Iterable[Choice], index: Path, output: Path, *, overwrite: bool = False) -> Path:
    """Write the table, readable by its owner alone: descriptions may say more than we know to remove.

    Raises:
        InvalidInputError: where the file is there already, or cannot be written.
    """
    place = _relative(index, output)
    with atomic_file(output, overwrite=overwrite) as aside:
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        write_table(COLUMNS, [_row(choice, place) for choice in choices], aside, errors="surrogateescape")
    return output


def is_choice(columns: Sequence[str]) -> bool:
    """Whether a table is such a choice, by its columns."""
    return {SERIES, INDEX, USE} <= {column.casefold() for column in columns}


def read_choices(path: Path, method: Method[Any]) -> list[ChosenCase]:
    """The cases of a table that are used, in its order.

    Raises:
        InvalidInputError: where the table lacks a column, or says neither yes nor no.
    """
    given, columns = read_rows(path, foreign_names=True)
    missing = sorted(set(NEEDED) - {column.casefold() for column in columns})
    if missing:
        raise InvalidInputError(f"{path.name} has no column {', '.join(missing)}. Write it anew: manabi choose")
    rows = [{column.casefold(): value.strip() for column, value in row.items()} for row in given]
    used = [row for number, row in enumerate(rows, 2) if _is_yes(row.get(USE, ""), number, path)]
    cases: dict[str, list[dict[str, str]]] = {}
    for row in used:
        for name in _named(row[CASE]):
            cases.setdefault(name, []).append(row)
    return [_case(name, group, path, method) for name, group in cases.items()]


def cases_of(choices: Iterable[Choice], index: Path) -> list[ChosenCase]:
    """The cases of a choice that nobody has edited."""
    cases: dict[str, dict[str, str]] = {}
    for choice in choices:
        if choice.use:
            for name in choice.case.split(SEVERAL):
                cases.setdefault(name, {})[choice.input] = reference(index, choice.series.item)
    return [ChosenCase(name, inputs) for name, inputs in cases.items()]


# --- writing ----------------------------------------------------------------------------------------------------------


def _row(choice: Choice, index: str) -> tuple[Any, ...]:
    series, facts = choice.series, choice.series.facts
    spacing = series.spacing_mm
    return (
        "yes" if choice.use else "no", choice.case, choice.input, choice.why, facts.modality, facts.body_part,
        facts.description, facts.protocol, facts.study_description, series.contrast or None, facts.view or None,
        series.orientation or None, series.n_slices or None, None if spacing is None else round(spacing, 3),
        facts.thickness_mm, facts.shape[0] or None, facts.shape[1] or None, " ".join(facts.image_type),
        ", ".join(facts.parts), len(series.files), series.copies, facts.number, facts.patient, facts.study, series.item,
        index,
    )  # fmt: skip


def _relative(index: Path, output: Path) -> str:
    """The index as the table names it: beside it by its name alone, so that both can be moved together."""
    here, there = output.absolute().parent.resolve(), index.absolute().resolve()
    return there.name if there.parent == here else str(there)


# --- reading ----------------------------------------------------------------------------------------------------------


def _is_yes(text: str, number: int, path: Path) -> bool:
    answer = text.casefold()
    if answer in YES:
        return True
    if answer in NO:
        return False
    raise InvalidInputError(f"{path.name}, row {number}: use is {text!r}; expected yes or no.")


def _named(text: str) -> list[str]:
    """The names in a cell; one that is empty where there is none."""
    return [name for name in map(str.strip, text.split(SEVERAL.strip())) if name] or [""]


def _case(name: str, rows: Sequence[Mapping[str, str]], path: Path, method: Method[Any]) -> ChosenCase:
    """One case of its rows; with a problem where they do not make one."""
    inputs: dict[str, str] = {}
    problems = [] if name else ["The row has no case: give it a name of its own, or that of the rows it belongs to."]
    names = [spec.name for spec in method.inputs]
    for row in rows:
        given = row[INPUT] or names[0]
        if given not in names:
            problems.append(f"Unknown input {given!r}; {method.title} takes {', '.join(names)}.")
        elif given in inputs:
            problems.append(f"Several series are to be used as {given}; say no to all but one, or name another case.")
        inputs[given] = reference(path.absolute().parent / row[INDEX], row[SERIES])
    settings, clashes = _settings(rows, method)
    return ChosenCase(name, inputs, settings, " ".join([*(problems or _lacking(inputs, method)), *clashes]))


def _lacking(inputs: Mapping[str, str], method: Method[Any]) -> list[str]:
    """What to say of inputs that no row is used as."""
    lacking = [spec.name for spec in method.inputs if not spec.optional and spec.name not in inputs]
    return [f"No series is used as {', '.join(lacking)}; say yes to one."] if lacking else []


def _settings(rows: Sequence[Mapping[str, str]], method: Method[Any]) -> tuple[tuple[str, ...], list[str]]:
    """What columns named as parameters set; the rows of a case must agree."""
    found: dict[str, str] = {}
    clashes = []
    for name in (field.name for field in fields(method.parameters_type)):
        column = name.casefold()
        if column in COLUMNS:
            continue
        values = {row[column] for row in rows if row.get(column)}
        if len(values) > 1:
            clashes.append(f"The rows of the case say different things about {name}.")
        elif values:
            found[name] = values.pop()
    return tuple(f"{name}={value}" for name, value in found.items()), clashes
