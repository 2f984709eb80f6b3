"""The model card of a fitted model (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import manabi
from manabi.radiomics.cohort_study import Study
from manabi.radiomics.cohort_words import checklist, steps_inside, validated
from manabi.radiomics.model_file import CohortModel

if TYPE_CHECKING:
    from manabi.radiomics.cohort_bundle import About

SIMULATED = (
    "- Its patients and images are simulated: it shows how everything works, and says nothing of any real patient."
)


def card(study: Study, model: CohortModel, about: About, extra: Mapping[str, Any]) -> str:
    """Everything a reader must know before the model is used."""
    parts = [
        *_head(study, about),
        *_validation(study, model, extra["metrics"]),
        *_inputs(study, model),
        *_limits(study, about),
        "## Checklist",
        "",
        checklist(study, model.facts()["extraction"] or None, about.modality).markdown(),
    ]
    return "\n".join(parts)


def _head(study: Study, about: About) -> list[str]:
    cohort = study.cohort
    return [
        f"# {about.name} {about.version}",
        "",
        f"Predicts {about.outcome} from one tumour's radiomic features, volume and clinical data, as far as its block",
        f"({study.block}) takes them. For research use.",
        "",
        "## Training",
        "",
        f"- Patients: {about.trained_on}; {cohort.n_patients} patients, {len(cohort)} rows, {cohort.n_events} events.",
        f"- Model {study.fitted.model}, block {study.block}; {len(cohort.feature_names)} candidate features, "
        f"{len(study.fitted.predictor.used)} inputs in the final model.",
        f"- Tuned: {', '.join(f'{k} {v:g}' for k, v in study.fitted.tuned.items()) or 'nothing'}.",
        f"- Every step that learns ({', '.join(steps_inside(study))}) was fitted on training patients only: "
        f"{validated(study)}, seed {study.plan.seed}.",
        f"- Manabi {manabi.__version__}; all settings in `configs/metadata.json` under `manabi.training`.",
        "",
    ]


def _validation(study: Study, model: CohortModel, metrics: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Validation (out of fold, 95 % intervals over patients)",
        "",
        model.verdict.text,
        "",
        "| score | estimate | 95 % interval |",
        "|---|---|---|",
        *(f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in metrics.items()),
        "",
    ]
    if study.calibration is not None:
        lines += ["| calibration | estimate (95 % interval) |", "|---|---|"]
        lines += [f"| {one.name} at {study.calibration.title} | {one.text(2)} |" for one in study.calibration.scores]
        lines.append("")
    if study.split is not None:
        lines += ["| risk groups by the training median | estimate (95 % interval) |", "|---|---|"]
        lines += [f"| {one.name} | {one.text(2)} |" for one in study.split.scores()]
        lines.append("")
    return lines


def _inputs(study: Study, model: CohortModel) -> list[str]:
    fitted = model.fitted
    frequency = study.evaluation.frequency(study.block)
    lines = ["## What it needs", ""]
    lines.append(f"- Clinical data: {', '.join(fitted.clinical_names) or 'none'}.")
    lines.append(f"- Tumour volume: {'yes' if fitted.needs_volume else 'no'}.")
    for name, settings in model.extraction.items():
        lines.append(
            f"- Features of {name} with the settings {settings.digest()[:16]} ({model.preset or 'own'}), stored here."
        )
    if not model.extraction and fitted.feature_names:
        lines.append("- The table of the cohort did not say how features were extracted: the user must choose alike.")
    lines += ["", "| radiomic feature | selected in share of the training sets |", "|---|---|"]
    lines += [f"| {name} | {frequency.get(name, 0.0):.0%} |" for name in fitted.feature_names] or ["| none | |"]
    return [*lines, ""]


def _limits(study: Study, about: About) -> list[str]:
    lines = [
        "## Limits",
        "",
        "- Not validated on patients of another centre or time. Intervals are of the patients, with the folds' models",
        "  as they are; they are not adjusted for the number of comparisons.",
        "- A patient further from the training patients than 95 % of them are from the others gets a warning; the",
        "  prediction is then an extrapolation. Of patients of the same kind about one in twenty gets it.",
    ]
    if about.simulated:
        lines.append(SIMULATED)
    if study.cohort.n_events < 100:
        lines.append(f"- Only {study.cohort.n_events} events: every number here is uncertain.")
    return [*lines, ""]
