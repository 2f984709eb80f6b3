"""The task ``fit``: two tables to a validated model, with tables, charts, a verdict and a bundle."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics import cohort_tables
from manabi.radiomics.cohort import Cohort, Columns, Plan
from manabi.radiomics.cohort.table_text import read_table
from manabi.radiomics.cohort_bundle import About, add_documents, model_of, write_model
from manabi.radiomics.cohort_study import Study, study
from manabi.radiomics.measure import SECOND
from manabi.radiomics.model_file import CohortModel
from manabi.radiomics.parameters import RadiomicsParameters, assignments
from manabi.radiomics.predict import verdict_alerts
from manabi.radiomics.settings import ExtractionSettings
from manabi.radiomics.tables import MODALITY, UNKNOWN
from manabi.result import Result
from manabi.store.check import NAME

NOT_FEATURES = ("segment", "label", "centre", "image")
"""Columns of the method's own tables that are no features."""
FEW_ROWS = 5
"""A centre with fewer rows gets a warning (our choice)."""


def fit_tables(parameters: RadiomicsParameters, context: Context) -> Result:
    """Validate and fit a model on two tables.

    Args:
        parameters: with the tables, the columns and the plan.
        context: progress, cancellation, seed.

    Raises:
        InvalidInputError: tables that do not fit each other, too few patients or events, or no place for the bundle.
        CancelledError: on request; no bundle is written then.
    """
    check_place(parameters)
    context.progress(0.01, "Reading the tables")
    cohort = read(parameters)
    extraction, preset = extraction_of(Path(parameters.features_csv), cohort.feature_names)
    plan = plan_of(parameters, context.seed)
    with context.span(0.03, 0.93):
        found = study(cohort, plan, parameters.block, context)
    outcome = parameters.label_column or "survival"
    model = model_of(found, extraction, preset, outcome)
    context.progress(0.95, "Writing the model")
    result = result_of(found, model)
    result.warnings = [*left_out(parameters, cohort), *small_centres(cohort), *result.warnings]
    if parameters.bundle_folder:
        modality = modality_of(Path(parameters.features_csv))
        about = About(parameters.bundle_name, outcome=outcome, modality=modality)
        _write(Path(parameters.bundle_folder), found, model, about, result, context)
    return result


def check_place(parameters: RadiomicsParameters) -> None:
    """Refuse a bundle that could not be written, before the work of hours rather than after it."""
    if not parameters.bundle_folder:
        return
    if not NAME.fullmatch(parameters.bundle_name):
        raise InvalidInputError(
            f"bundle_name must be 1 to 64 small letters, digits, '-' and '_'; got {parameters.bundle_name!r}."
        )
    if Path(parameters.bundle_folder).exists():
        raise InvalidInputError("bundle_folder exists already. Name a new folder.")


def _write(folder: Path, found: Study, model: CohortModel, about: About, result: Result, context: Context) -> None:
    """The bundle with its documents, or nothing at all."""
    context.check_cancelled()
    bundle = write_model(folder, found, model, about)
    try:
        add_documents(bundle.folder, result, about)
        context.check_cancelled()
    except BaseException:
        shutil.rmtree(bundle.folder, ignore_errors=True)
        raise


def left_out(parameters: RadiomicsParameters, cohort: Cohort) -> list[str]:
    """What to say of patients with an outcome who have no features: who they are may bias the cohort."""
    known = {text.strip() for text in read_table(Path(parameters.outcomes_csv))[parameters.patient_column]}
    lost = len(known - set(cohort.patients))
    if not lost:
        return []
    return [
        f"Check the tables: {lost} of {len(known)} patients with an outcome have no features and were left out. Make "
        "sure that they do not differ from the others."
    ]


def small_centres(cohort: Cohort) -> list[str]:
    """What to say of centres with too few patients for their effect to be learnt in each fold."""
    sizes = Counter(cohort.centre or ())
    few = [name for name, size in sizes.items() if size < FEW_ROWS]
    if not few:
        return []
    return [
        f"Check the centres: {len(few)} of {len(sizes)} have fewer than {FEW_ROWS} rows and are hardly harmonised, the "
        "smallest not at all. Put them together with a centre that scans alike, or leave them out."
    ]


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
    return set(read_table(Path(path)).columns)


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
    table = read_table(features_csv)
    if "settings_json" not in table.columns:
        return {}, ""
    texts = table["settings_json"].unique().tolist()
    if len(texts) != 1:
        raise InvalidInputError(
            f"The features were extracted with {len(texts)} different settings (column settings_json). Extract them "
            "again, all alike: choose one preset."
        )
    try:
        settings = ExtractionSettings.from_dict(dict(json.loads(texts[0])))
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            "Column settings_json does not hold the settings of an extraction: it was altered. Take the table as "
            "Manabi wrote it, or remove the column."
        ) from error
    inputs = ["image", *(["second"] if any(name.startswith(SECOND) for name in names) else [])]
    named = table["settings_preset"].iloc[0] if "settings_preset" in table.columns else None
    return dict.fromkeys(inputs, settings), named or ""


def modality_of(features_csv: Path) -> str:
    """Modality of the images that the features come from, as far as the table says; empty where it does not.

    Raises:
        InvalidInputError: images of different modalities, whose features do not mean the same.
    """
    table = read_table(features_csv)
    if MODALITY not in table.columns:
        return ""
    found = sorted(set(table[MODALITY].fillna(UNKNOWN)) - {UNKNOWN})
    if len(found) > 1:
        raise InvalidInputError(
            f"The features come from images of different modalities ({', '.join(found)}; column {MODALITY}). Fit a "
            "model to each."
        )
    return found[0] if found else ""


def plan_of(parameters: RadiomicsParameters, seed: int) -> Plan:
    """The plan of the parameters."""
    return Plan(
        model=parameters.model, scheme=parameters.scheme, folds=parameters.folds, repeats=parameters.repeats,
        n_permutations=parameters.permutations, seed=seed,
    )  # fmt: skip
