"""Survival and grade models that hold on the next patient: selection, tuning and scaling inside the validation only.

``Cohort`` holds the patients, ``Plan`` says what is done, ``evaluate`` validates it, ``fit`` makes the final
``FittedModel``. Nothing here selects features outside of a cross-validation: there is no call for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manabi.radiomics.cohort.plan import Plan, Preparation
from manabi.radiomics.cohort.table import ClinicalColumn, Cohort
from manabi.radiomics.cohort.table_csv import Columns

if TYPE_CHECKING:
    from manabi.radiomics.cohort.evaluation import Evaluation
    from manabi.radiomics.cohort.final import fit
    from manabi.radiomics.cohort.frozen import FittedModel
    from manabi.radiomics.cohort.validate import evaluate

__all__ = ["ClinicalColumn", "Cohort", "Columns", "Evaluation", "FittedModel", "Plan", "Preparation", "evaluate", "fit"]

_LATER = {"Evaluation": "evaluation", "FittedModel": "frozen", "evaluate": "validate", "fit": "final"}


def __getattr__(name: str) -> Any:
    """What needs scipy and scikit-learn is imported when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
