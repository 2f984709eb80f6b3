"""The task ``delta``: a table of features of a series of images per patient becomes a table of their changes.

What comes out is a table of features as the task ``fit`` takes it: a row per tumour, the features of the first scan
under their own names and the changes under names that begin with ``delta-``. Nothing looks at outcomes or at other
patients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.table_csv import IGNORED, numbers
from manabi.radiomics.cohort.table_text import read_table
from manabi.radiomics.delta import DeltaSet, DeltaTable, FeatureSeries, delta_sets, deltas
from manabi.radiomics.parameters import CHANGES, RadiomicsParameters
from manabi.result import Cell, Result, Table

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
NOT_FEATURES = ("case", "segment", "label", "centre", "image")
DIGEST = "settings_sha256"
KEPT = ("settings_preset", "settings_mode", "settings_engine", DIGEST)
"""Columns of the extraction that are the same in all rows and stay. Not ``settings_json``, from which a fitted model
would conclude that one image is enough to predict."""
NAMED = re.compile(r"(?P<patient>.+?)[-_ ]*(?:week|wk|w)[-_ ]*(?P<week>\d+(?:\.\d+)?)", re.IGNORECASE)
"""A scan's name, such as ``p001_week3``."""
MOST_WEEKS = 20
"""More different weeks than this are days in disguise (our choice)."""


@dataclass(frozen=True, eq=False)
class Scans:
    """The rows of a table of features.

    Attributes:
        keys: patient (and tumour) of each row.
        weeks: ``(n,)``.
        names: of the features.
        values: ``(n, features)``.
        kept: cells that are the same in all rows, by column.
    """

    keys: tuple[tuple[str, ...], ...]
    weeks: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    kept: Mapping[str, str]


def change_tables(parameters: RadiomicsParameters, context: Context) -> Result:
    """Make the table of changes.

    Args:
        parameters: with ``features_csv``, the columns, and ``delta_set``.
        context: receives what is missing.

    Raises:
        InvalidInputError: a table without patients and weeks, features of different settings, or no such set.
    """
    path = Path(parameters.features_csv)
    scans = read_scans(path, parameters)
    weeks = np.unique(scans.weeks)
    if len(weeks) > MOST_WEEKS:
        raise InvalidInputError(
            f"{path.name!r} has {len(weeks)} different weeks. Give the planned week of each scan (1, 2, 3 ...), not "
            "the day."
        )
    series, keys = series_of(scans, weeks)
    sets = chosen_sets(weeks, parameters.delta_set)
    found = deltas(series, sets, context=context)
    table, left_out = written(parameters, scans, series, keys, found)
    last = max(weeks[one.stop] if one.kind == "difference" else weeks[-1] for one in sets)
    notes = [
        f"These changes exist only for patients who were scanned until week {last:g}: let their survival begin there "
        "(landmark), or those who lived long enough to be scanned look better than they are."
    ]
    if left_out:
        notes.append(f"{left_out} features could not be computed in any patient and were left out.")
    measurements: dict[str, Cell] = {
        "patients": len({key[0] for key in keys}), "rows": len(keys), "scans": len(scans.keys), "weeks": len(weeks),
        "sets": len(sets), "features": len(table.columns), "landmark_week": float(last),
    }  # fmt: skip
    return Result(tables={CHANGES: table}, measurements=measurements, warnings=[*notes, *found.warnings])


def read_scans(path: Path, parameters: RadiomicsParameters) -> Scans:
    """Rows of a table of features, each with its patient and its week.

    Raises:
        InvalidInputError: a column is missing, a scan's name does not say its week, or settings differ.
    """
    table = read_table(path)
    patient, tumour = parameters.patient_column, parameters.tumour_column
    if absent := [name for name in (patient, tumour) if name and name not in table.columns]:
        raise InvalidInputError(f"{path.name!r} has no column {absent[0]!r}. Name the column that there is.")
    if DIGEST in table.columns and table[DIGEST].nunique(dropna=False) > 1:
        raise InvalidInputError(
            f"The features of {path.name!r} were extracted with different settings ({DIGEST}); changes between them "
            "mean nothing. Extract all scans with one preset."
        )
    names, weeks = _patients_and_weeks(table, path, parameters)
    parts = [names, table[tumour].fillna("").tolist()] if tumour else [names]
    apart = {patient, tumour, parameters.week_column, parameters.centre_column, *NOT_FEATURES}
    features = tuple(n for n in table.columns if n not in apart and not n.startswith(IGNORED))
    if not features:
        raise InvalidInputError(f"{path.name!r} holds no features. Choose the radiomics.csv that a batch wrote.")
    values = np.column_stack([numbers(table, name, path) for name in features])
    kept = {name: str(table[name].iloc[0]) for name in KEPT if name in table.columns}
    return Scans(tuple(zip(*parts, strict=True)), weeks, features, values, kept)


def _patients_and_weeks(
    table: pd.DataFrame, path: Path, parameters: RadiomicsParameters
) -> tuple[list[str], np.ndarray]:  # fmt: skip
    """Patients and weeks: from a column of weeks where there is one, else from names such as ``p001_week3``."""
    texts = table[parameters.patient_column].fillna("").tolist()
    if parameters.week_column in table.columns:
        weeks = numbers(table, parameters.week_column, path)
        lost = int((~np.isfinite(weeks)).sum()) + texts.count("")
        if lost:
            raise InvalidInputError(f"{path.name!r}: {lost} rows have no patient or week. Complete them.")
        return texts, weeks
    found = [NAMED.fullmatch(text) for text in texts]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        raise InvalidInputError(
            f"{path.name!r} has no column {parameters.week_column!r}, and {len(found) - len(known)} of "
            f"{len(found)} entries of {parameters.patient_column!r} do not end in their week. Call the scans "
            "p001_week1, p001_week2 and so on, or add columns of patient and week (patient_column, week_column)."
        )
    return [one["patient"] for one in known], np.array([float(one["week"]) for one in known])


def series_of(scans: Scans, weeks: np.ndarray) -> tuple[FeatureSeries, tuple[tuple[str, ...], ...]]:
    """The series of each patient (and tumour), and who that is.

    Raises:
        InvalidInputError: the same scan twice.
    """
    keys = tuple(dict.fromkeys(scans.keys))
    place = {key: k for k, key in enumerate(keys)}
    rows, columns = np.array([place[key] for key in scans.keys]), np.searchsorted(weeks, scans.weeks)
    if len(set(zip(rows.tolist(), columns.tolist(), strict=True))) < len(rows):
        raise InvalidInputError(
            "A patient has the same week twice. Name the column that tells tumours or segments apart (tumour_column), "
            "or keep one scan for each week."
        )
    values = np.full((len(keys), len(weeks), len(scans.names)), np.nan)
    values[rows, columns] = scans.values
    return FeatureSeries(tuple(map("/".join, keys)), scans.names, values, weeks), keys


def chosen_sets(weeks: np.ndarray, name: str) -> tuple[DeltaSet, ...]:
    """All sets of these weeks, or the one of that name.

    Raises:
        InvalidInputError: no such set, or too few weeks.
    """
    sets = delta_sets(weeks.tolist())
    chosen = tuple(one for one in sets if name in (ALL, one.name))
    if not chosen:
        known = ", ".join(one.name for one in sets)
        raise InvalidInputError(f"There is no set of changes {name!r}. Choose {ALL} or one of: {known}.")
    return chosen


def written(
    parameters: RadiomicsParameters, scans: Scans, series: FeatureSeries, keys: tuple[tuple[str, ...], ...],
    found: DeltaTable,
) -> tuple[Table, int]:  # fmt: skip
    """The table: who, first scan, changes, settings; and how many columns nobody has a value in."""
    names = [one.feature(name) for one in found.sets for name in found.names]
    values = found.values.reshape(len(keys), -1)
    first = series.values[:, 0]
    volume = parameters.volume_column
    shown = [k for k, name in enumerate(scans.names) if parameters.first_scan or name == volume]
    names = [*(scans.names[k] for k in shown), *names]
    values = np.hstack([first[:, shown], values])
    usable = np.isfinite(values).any(axis=0)
    columns = [name for name, use in zip(names, usable, strict=True) if use]
    who = [parameters.patient_column, *([parameters.tumour_column] if parameters.tumour_column else [])]
    tail = tuple(scans.kept.values())
    rows: list[tuple[Cell, ...]] = [
        (*key, *(float(v) if np.isfinite(v) else None for v in row), *tail)
        for key, row in zip(keys, values[:, usable], strict=True)
    ]
    return Table((*who, *columns, *scans.kept), tuple(rows)), int((~usable).sum())
