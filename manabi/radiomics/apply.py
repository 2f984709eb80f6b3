"""A bundle's model on tables of features: what ``python -m monai.bundle run`` calls, and external validation can."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manabi.batch.spreadsheet import read_rows
from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.io.tables import write_table
from manabi.radiomics.model_file import CohortModel, load_model

OUTPUT = "risk.csv"


def predict_tables(bundle_root: str | Path, dataset_dir: str | Path, output_dir: str | Path) -> int:
    """Predict for every row of every ``.csv`` of a folder; returns how many there were.

    The tables are wide ones of features, as the method writes them, with the clinical variables, ``volume_ml`` and
    ``centre`` in columns of those names where the model needs them. ``risk.csv`` gets a row for each.

    Raises:
        InvalidInputError: where there is no table, or a row lacks what the model needs.
    """
    model = load_model(Bundle(Path(bundle_root).resolve()))
    rows = []
    for path in sorted(Path(dataset_dir).glob("*.csv")):
        content, _ = read_rows(path)
        rows += [(path.name, number + 1, *_risk(model, row)) for number, row in enumerate(content)]
    if not rows:
        raise InvalidInputError("No table was found. Name a folder of CSV files with --dataset_dir.")
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    write_table(("table", "row", "risk", "percentile", "group"), rows, Path(output_dir) / OUTPUT)
    return len(rows)


def _risk(model: CohortModel, row: Mapping[str, str]) -> tuple[float, float, str]:
    """Risk, percentile and group of one row."""
    fitted = model.fitted
    features = {name: _number(row[name]) for name in fitted.feature_names if name in row}
    clinical = {name: row.get(name) or None for name in fitted.clinical_names}
    patient = fitted.patient(features, clinical, _number(row.get("volume_ml", "")), row.get("centre") or None)
    risk = float(fitted.predict_risk(patient)[0])
    group = "high risk" if risk >= fitted.median_risk else "low risk"
    return round(risk, 6), round(fitted.percentile(risk), 2), group


def _number(text: str) -> float:
    """A cell as a number; NaN where it is blank."""
    try:
        return float(text) if text else float("nan")
    except ValueError as error:
        raise InvalidInputError(f"Expected a number; got {text!r}. Check the table.") from error
