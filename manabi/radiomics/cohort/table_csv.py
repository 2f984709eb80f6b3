"""A cohort from two CSV files: features of tumours, and outcomes of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.table import ClinicalColumn, Cohort
from manabi.radiomics.cohort.table_checks import check_enough
from manabi.radiomics.cohort.table_text import read_table

if TYPE_CHECKING:
    import pandas as pd

DAYS = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
IGNORED = ("diagnostics_", "settings_", "version_", "manabi_")
"""Columns of settings and versions beside the features."""


@dataclass(frozen=True)
class Columns:
    """Where things are in the two files.

    Attributes:
        patient: column of the patient, in both files.
        tumour: column that tells a patient's tumours apart; "" where a patient has one row. Where the outcomes have
            it too, tumours are matched, otherwise all tumours of a patient get the patient's outcome.
        time: follow-up; "" for a label.
        event: 0 or 1.
        time_unit: ``days``, ``weeks``, ``months`` or ``years``.
        label: column of the label instead of time and event.
        label_levels: its values in order, e.g. ``("III", "IV")``; the last is the worst.
        centre: column of the centre, in either file; "" for none.
        volume_ml: column of the tumour volume, in either file; "" for none.
        clinical: clinical columns of the outcomes: ``"numeric"``, ``"categorical"``, or the levels in order.
        ignore: columns of the feature file that are no features; those beginning with ``diagnostics_``,
            ``settings_``, ``version_`` or ``manabi_`` are left out anyway.
    """

    patient: str = "patient"
    tumour: str = ""
    time: str = "time_days"
    event: str = "event"
    time_unit: Literal["days", "weeks", "months", "years"] = "days"
    label: str = ""
    label_levels: tuple[str, ...] = ()
    centre: str = ""
    volume_ml: str = ""
    clinical: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()


def read_cohort(features_csv: Path, outcomes_csv: Path, columns: Columns) -> Cohort:
    """Read, check and match the two files.

    Raises:
        InvalidInputError: with what is wrong, in how many rows or columns, and what to do; patients are never named.
    """
    features, outcomes = read_table(features_csv), read_table(outcomes_csv)
    keys = [columns.patient, *([columns.tumour] if columns.tumour else [])]
    _need(features, keys, features_csv)
    _need(outcomes, [columns.patient], outcomes_csv)
    on = [key for key in keys if key in outcomes.columns]
    _unique(features, keys, features_csv, "name the column that tells tumours apart (tumour_column)")
    _unique(outcomes, on, outcomes_csv, "keep one row for each")
    place = _match(features, outcomes, on)
    _need_apart(features, outcomes, keys, columns, features_csv)
    outcomes = outcomes.iloc[place]
    cohort = Cohort(
        patients=tuple(features[columns.patient].str.strip()),
        clinical=tuple(_clinical(outcomes, name, kind, outcomes_csv) for name, kind in columns.clinical.items()),
        centre=_centre(features, outcomes, columns),
        volume_ml=_volume(features, outcomes, columns),
        **_features(features, keys, columns, features_csv),
        **_outcome(outcomes, columns, outcomes_csv),
    )
    check_enough(cohort)
    return cohort


def _need(table: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    absent = [name for name in names if name not in table.columns]
    if absent:
        some = ", ".join(map(repr, table.columns[:8]))
        raise InvalidInputError(f"{path.name!r} has no column {absent[0]!r}. Its first columns are {some}.")


def _unique(table: pd.DataFrame, keys: Sequence[str], path: Path, advice: str) -> None:
    empty = int(table[list(keys)].isna().any(axis=1).sum())
    if empty:
        raise InvalidInputError(f"{path.name!r}: {empty} rows have no {' or '.join(keys)}. Complete or remove them.")
    twice = int(table.duplicated(list(keys)).sum())
    if twice:
        raise InvalidInputError(f"{path.name!r}: {twice} rows repeat a {' and '.join(keys)} above them; {advice}.")


def _need_apart(
    features: pd.DataFrame, outcomes: pd.DataFrame, keys: Sequence[str], columns: Columns, path: Path
) -> None:
    """Refuse outcomes and clinical data among the features: a model that sees the outcome looks perfect."""
    known = {*outcomes.columns, columns.time, columns.event, columns.label, *columns.clinical}
    both = [name for name in feature_names(features, keys, columns) if name in known]
    if both:
        more = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise InvalidInputError(
            f"{path.name!r}: {both[0]!r}{more} would be learnt from as features, but belong to the outcomes or are in "
            "that table too. Remove them from the table of features (of one table for both, make two): a model must "
            "not see the outcome."
        )


def _match(features: pd.DataFrame, outcomes: pd.DataFrame, on: Sequence[str]) -> np.ndarray:
    """Row of the outcomes for each row of the features."""
    rows = {key: k for k, key in enumerate(outcomes[list(on)].map(str.strip).itertuples(index=False, name=None))}
    keys = list(features[list(on)].map(str.strip).itertuples(index=False, name=None))
    lost = sum(key not in rows for key in keys)
    unused = len(rows.keys() - set(keys))
    if lost:
        raise InvalidInputError(
            f"{lost} of {len(keys)} rows with features have no outcome ({unused} outcomes have no features). Check "
            f"that {' and '.join(on)} is written alike in both files, with or without leading zeros, and leave out the "
            "rows without an outcome."
        )
    return np.array([rows[key] for key in keys], int)


def numbers(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    """``(rows,)`` numbers of a column, NaN where empty; raises InvalidInputError where it holds text."""
    import pandas as pd

    texts = table[name].str.strip()
    if table.attrs.get("decimal") == ",":
        texts = texts.str.replace(",", ".", regex=False)
    texts = texts.mask(texts == "")
    values = pd.to_numeric(texts, errors="coerce")
    wrong = np.flatnonzero((values.isna() & texts.notna()).to_numpy())
    if wrong.size:
        raise InvalidInputError(
            f"{path.name!r}: column {name!r} holds text where numbers belong, in {wrong.size} rows, the first on line "
            f"{table.index[wrong].min()}. Correct it, leave it empty where it is missing, or remove the column."
        )
    return values.to_numpy(float)


def feature_names(table: pd.DataFrame, keys: Sequence[str], columns: Columns) -> list[str]:
    """Columns that are features."""
    apart = {*keys, columns.centre, columns.volume_ml, *columns.ignore}
    return [name for name in table.columns if name not in apart and not name.startswith(IGNORED)]


def _features(table: pd.DataFrame, keys: Sequence[str], columns: Columns, path: Path) -> dict[str, Any]:
    names = feature_names(table, keys, columns)
    if not names:
        return {}
    values = np.column_stack([numbers(table, name, path) for name in names])
    empty = [name for name, column in zip(names, values.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise InvalidInputError(
            f"{path.name!r}: {len(empty)} features are missing in every row, e.g. {empty[0]!r}. Remove those columns."
        )
    return {"feature_names": tuple(names), "features": values}


def _outcome(table: pd.DataFrame, columns: Columns, path: Path) -> dict[str, Any]:
    if columns.label:
        _need(table, [columns.label], path)
        levels = columns.label_levels or tuple(sorted(table[columns.label].dropna().str.strip().unique()))
        column = ClinicalColumn.of(columns.label, table[columns.label].fillna("").tolist(), "ordinal", levels)
        empty = int(np.isnan(column.values).sum())
        if empty:
            raise InvalidInputError(f"{path.name!r}: {empty} rows have no {columns.label!r}. Leave those rows out.")
        return {"label": column.values.astype(int), "label_levels": tuple(levels)}
    _need(table, [columns.time, columns.event], path)
    texts = table[columns.event].str.strip().str.replace(r"^([01])[.,]0*$", r"\1", regex=True)
    wrong = ~texts.isin(["0", "1"])
    if wrong.any():
        raise InvalidInputError(
            f"{path.name!r}: column {columns.event!r} must be 1 (event seen) or 0 (censored) in every row; "
            f"{int(wrong.sum())} rows are neither, the first on line {table.index[wrong].min()}. Write 1 for dead or "
            "recurred, and 0 for alive without it when last seen."
        )
    event = (texts == "1").to_numpy(bool)
    return {"time_days": numbers(table, columns.time, path) * DAYS[columns.time_unit], "event": event}


def _clinical(table: pd.DataFrame, name: str, kind: str | Sequence[str], path: Path) -> ClinicalColumn:
    _need(table, [name], path)
    if table[name].isna().all():
        raise InvalidInputError(f"{path.name!r}: clinical column {name!r} is missing in every row. Leave it out.")
    if kind == "numeric":
        return ClinicalColumn(name, "numeric", numbers(table, name, path))
    texts = table[name].fillna("").tolist()
    if kind == "categorical":
        return ClinicalColumn.of(name, texts)
    if isinstance(kind, str):
        raise InvalidInputError(f"Clinical column {name!r}: say 'numeric', 'categorical', or the levels in order.")
    return ClinicalColumn.of(name, texts, "ordinal", kind)


def _either(features: pd.DataFrame, outcomes: pd.DataFrame, name: str) -> pd.DataFrame:
    for table in (features, outcomes):
        if name in table.columns:
            return table
    raise InvalidInputError(f"Neither file has a column {name!r}.")


def _centre(features: pd.DataFrame, outcomes: pd.DataFrame, columns: Columns) -> tuple[str, ...] | None:
    if not columns.centre:
        return None
    texts = _either(features, outcomes, columns.centre)[columns.centre]
    if empty := int(texts.isna().sum()):
        raise InvalidInputError(f"{empty} rows have no {columns.centre!r}. Complete them, or do without a centre.")
    return tuple(texts.str.strip())


def _volume(features: pd.DataFrame, outcomes: pd.DataFrame, columns: Columns) -> np.ndarray | None:
    if not columns.volume_ml:
        return None
    return numbers(_either(features, outcomes, columns.volume_ml), columns.volume_ml, Path("volumes"))
