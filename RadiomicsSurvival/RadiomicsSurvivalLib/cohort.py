"""A cohort's tables, as far as the panel must know them: their headings, and what the columns seem to be."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from RadiomicsSurvivalLib.parameters import Outcome

NEEDED = {
    "sksurv": "scikit-survival",
    "sklearn": "scikit-learn",
    "lifelines": "lifelines",
    "statsmodels": "statsmodels",
}
"""Packages that only the fitting of a cohort needs, by what is imported of them."""
MOST_LEVELS = 12
"""A column of words with more different values is no clinical variable, but a name or a remark (our choice)."""


def reason(p: Any) -> str:
    """Why no cohort can be fitted yet, and what to do; empty where it can.

    Args:
        p: the parameter node.
    """
    if absent := [name for module, name in NEEDED.items() if find_spec(module) is None]:
        text = _("Fitting needs {names}, which Manabi does not bring. In the Python console: pip_install('{command}')")
        return text.format(names=", ".join(absent), command=" ".join(absent))
    features, outcomes = heading(p.featuresCsv), heading(p.outcomesCsv)
    if not features:
        return _("Choose the table of features (CSV, a row for each tumour), for example radiomics.csv of a batch.")
    if not outcomes:
        return _("Choose the table of outcomes (CSV, a row for each patient).")
    if p.featuresCsv == p.outcomesCsv:
        return _("The same table is chosen twice: features and outcomes must be two files.")
    return _missing(p, features, outcomes)


def _missing(p: Any, features: Sequence[str], outcomes: Sequence[str]) -> str:
    """Which column a table lacks."""
    wanted = [(p.patientColumn, _("features"), features), (p.patientColumn, _("outcomes"), outcomes)]
    if p.outcome == Outcome.SURVIVAL:
        wanted += [(p.timeColumn, _("outcomes"), outcomes), (p.eventColumn, _("outcomes"), outcomes)]
    else:
        wanted += [(p.labelColumn, _("outcomes"), outcomes)]
    for name, table, columns in wanted:
        if name not in columns:
            text = _("The table of {table} has no column {name}. It has {known}. Write the right name above.")
            return text.format(table=table, name=name or _("(none given)"), known=", ".join(columns[:12]))
    if not p.bundleName.strip():
        return _("Give the model a name.")
    return ""


def heading(path: str) -> list[str]:
    """The columns of a CSV; empty where it cannot be read."""
    rows = _rows(path, 1)
    return rows[0] if rows else []


def suggested(path: str, but: Sequence[str]) -> str:
    """What the columns of a table of outcomes seem to be, as the method takes it.

    Numbers are ``numeric``; words with few different values are ``categorical``. The order of levels is for the user
    to write.

    Args:
        path: the CSV.
        but: columns that are something else: patient, time, event, centre.
    """
    rows = _rows(path)
    found = []
    for index, name in enumerate(rows[0] if rows else []):
        kind = _kind_of([row[index].strip() for row in rows[1:] if index < len(row)])
        if name and name not in but and kind:
            found.append(f"{name}={kind};")
    return "".join(found)


def _kind_of(cells: Sequence[str]) -> str:
    """``numeric`` or ``categorical``; empty where a column tells no patients apart, or holds names or remarks."""
    levels = set(cells) - {""}
    if len(levels) < 2:
        return ""
    if all(map(_is_number, levels)):
        return "numeric"
    return "categorical" if len(levels) <= MOST_LEVELS else ""


def _rows(path: str, count: int | None = None) -> list[list[str]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return [row for number, row in enumerate(csv.reader(file)) if count is None or number < count]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
