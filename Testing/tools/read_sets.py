"""Data sets that come with scikit-survival, as cohorts of clinical variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from manabi.radiomics.cohort import ClinicalColumn, Cohort

SETS = {
    "veterans lung": ("load_veterans_lung_cancer", {}, ()),
    "GBSG2": ("load_gbsg2", {"tgrade": ("I", "II", "III")}, ()),
    "WHAS500": ("load_whas500", {}, ("los",)),
}
"""Name: loader, ordinal levels, and what is left out: the length of the stay is not known on admission."""


def cohorts() -> dict[str, Cohort]:
    """Each data set by name."""
    return {name: cohort_of(name) for name in SETS}


def cohort_of(name: str) -> Cohort:
    """One data set; a time of 0 counts as half a day, since a follow-up is above 0."""
    from manabi.radiomics.cohort import Cohort

    table, outcome = loaded(name)
    event, time = (outcome[field] for field in outcome.dtype.names)
    columns = tuple(column(str(key), table[key], SETS[name][1].get(str(key), ())) for key in table.columns)
    return Cohort(tuple(map(str, range(len(table)))), clinical=columns, time_days=np.maximum(time, 0.5), event=event)


def loaded(name: str) -> tuple[Any, Any]:
    """Table and outcome, without what is left out."""
    from sksurv import datasets

    loader, _, left_out = SETS[name]
    table, outcome = getattr(datasets, loader)()
    return table.drop(columns=list(left_out)), outcome


def column(name: str, values: Any, levels: tuple[str, ...]) -> ClinicalColumn:
    """One variable: a number, ordered levels, or levels without order."""
    from manabi.radiomics.cohort import ClinicalColumn

    if values.dtype.kind in "fi":
        return ClinicalColumn(name, "numeric", values.to_numpy(float))
    texts = list(values.astype(str))
    return ClinicalColumn.of(name, texts, "ordinal", levels) if levels else ClinicalColumn.of(name, texts)


def apparent_c(name: str) -> float:
    """C of scikit-survival's unpenalised Cox model on the patients it was fitted to: too good, and an upper mark."""
    from sksurv.column import standardize
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.preprocessing import OneHotEncoder

    table, outcome = loaded(name)
    x = OneHotEncoder().fit_transform(standardize(table))
    return float(CoxPHSurvivalAnalysis().fit(x, outcome).score(x, outcome))
