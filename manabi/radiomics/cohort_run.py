"""The task ``fit``: two tables to a validated model, with tables, charts, a verdict and a bundle."""

from __future__ import annotations

import json
from pathlib import Path

from manabi.batch.spreadsheet import read_rows
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics import cohort_tables
from manabi.radiomics.cohort import Cohort, Columns, Plan
from manabi.radiomics.cohort_bundle import About, add_documents, model_of, write_model
from manabi.radiomics.cohort_study import Study, study
from manabi.radiomics.measure import SECOND
from manabi.radiomics.model_file import CohortModel
from manabi.radiomics.parameters import RadiomicsParameters, assignments
from manabi.radiomics.predict import verdict_alerts
from manabi.radiomics.settings import ExtractionSettings
from manabi.result import Result

NOT_FEATURES = ("segment", "label", "centre", "image")
"""Columns of the method's own tables that are no features."""


def fit_tables(parameters: RadiomicsParameters, context: Context) -> Result:
    """Validate and fit a model on two tables.

    Args:
        parameters: with the tables, the columns and the plan.
        context: progress, cancellation, seed.

    Raises:
        InvalidInputError: tables that do not fit each other, or too few patients or events.
        CancelledError: on request; no bundle is written then.
    """
    context.progress(0.01, "Reading the tables")
    cohort = read(parameters)
    extraction, preset = extraction_of(Path(parameters.features_csv), cohort.feature_names)
    plan = plan_of(parameters, context.seed)
    with context.span(0.03, 0.93):
        found = study(cohort, plan, parameters.block, context)
    outcome = parameters.label_column or "survival"
    model = model_of(found, extraction, preset, outcome)
    context.progress(0.95, "Writing the model")
    if parameters.bundle_folder:
        about = About(parameters.bundle_name, outcome=outcome)
        bundle = write_model(Path(parameters.bundle_folder), found, model, about)
        add_documents(bundle.folder, result_of(found, model), about)
    return result_of(found, model)


def result_of(found: Study, model: CohortModel) -> Result:
    """Tables, charts, measurements and words of a study."""
    extraction = model.facts()["extraction"] or None
    return Result(
        tables=cohort_tables.tables(found, extraction),
        plots=cohort_tables.plots(found),
        measurements=cohort_tables.measurements(found),
        warnings=[*verdict_alerts(model.verdict), model.verdict.text, *found.evaluation.warnings],
    )


def read(parameters: RadiomicsParameters) -> Cohort:
    """The cohort of the two tables; raises InvalidInputError with what is wrong in them."""
    known = _heading(parameters.features_csv) | _heading(parameters.outcomes_csv)
    ignored = {*NOT_FEATURES} - {parameters.tumour_column}
    return Cohort.from_csv(
        parameters.features_csv,
        parameters.outcomes_csv,
        Columns(
            patient=parameters.patient_column,
            tumour=parameters.tumour_column,
            time=parameters.time_column,
            event=parameters.event_column,
            time_unit=parameters.time_unit,
            label=parameters.label_column,
            label_levels=tuple(part.strip() for part in parameters.label_levels.split(",") if part.strip()),
            centre=parameters.centre_column,
            volume_ml=parameters.volume_column if parameters.volume_column in known else "",
            clinical=clinical_kinds(parameters.clinical_columns),
            ignore=tuple(ignored),
        ),
    )


def _heading(path: str) -> set[str]:
    """Columns of a table."""
    return set(read_rows(Path(path))[1])


def clinical_kinds(text: str) -> dict[str, str | tuple[str, ...]]:
    """``age=numeric;sex=categorical;stage=IA<IB`` as the kinds of clinical columns.

    Raises:
        InvalidInputError: for another kind.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    for name, kind in assignments(text, "clinical_columns").items():
        levels = tuple(part.strip() for part in kind.split("<"))
        if len(levels) == 1 and kind not in ("numeric", "categorical"):
            raise InvalidInputError(
                f"clinical_columns: expected {name}=numeric, =categorical, or levels in order as IA<IB<IIA; got "
                f"{kind!r}. Check the text."
            )
        found[name] = kind if len(levels) == 1 else levels
    return found


def extraction_of(features_csv: Path, names: tuple[str, ...]) -> tuple[dict[str, ExtractionSettings], str]:
    """Settings by input that a table of the method's own says its features were extracted with, and their name.

    Raises:
        InvalidInputError: rows that were extracted with different settings.
    """
    rows, columns = read_rows(features_csv)
    if "settings_json" not in columns:
        return {}, ""
    texts = {row["settings_json"] for row in rows}
    if len(texts) != 1:
        raise InvalidInputError(
            f"The features were extracted with {len(texts)} different settings (column settings_json). Extract them "
            "again, all alike: choose one preset."
        )
    settings = ExtractionSettings.from_dict(json.loads(texts.pop()))
    inputs = ["image", *(["second"] if any(name.startswith(SECOND) for name in names) else [])]
    return dict.fromkeys(inputs, settings), rows[0].get("settings_preset", "")


def plan_of(parameters: RadiomicsParameters, seed: int) -> Plan:
    """The plan of the parameters."""
    return Plan(
        model=parameters.model, folds=parameters.folds, repeats=parameters.repeats,
        n_permutations=parameters.permutations, seed=seed,
    )  # fmt: skip
