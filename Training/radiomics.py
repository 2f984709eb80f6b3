"""Training RadiomicsSurvival: ``python -m Training radiomics --data COHORT --output DIR``.

COHORT is ``phantoms:SEED:COUNT``, a CSV of images, masks and outcomes, or a folder with ``features.csv`` and
``outcomes.csv`` (:mod:`Training.radiomics_data`). Features are extracted once and kept; then every block (clinical
data, volume, radiomics, all together) is validated by nested cross-validation, and one is fitted on all patients and
written as a bundle with its card, tables and report. A run that was stopped goes on with the features that it has.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from manabi.context import Context
from manabi.parameters import Parameters
from manabi.provenance import package_versions
from manabi.radiomics.cohort_bundle import About, add_documents, model_of, write_model
from manabi.radiomics.cohort_run import extraction_of, plan_of, read, result_of
from manabi.radiomics.cohort_study import study
from manabi.radiomics.parameters import Preset, RadiomicsParameters, assignments
from Training.config import read_sections
from Training.radiomics_data import Tables, columns_of, open_data

SIMULATED_CLINICAL = {"age_years": "numeric", "sex": "categorical", "stage": "IA1<IA2<IA3<IB<IIA<IIB"}
"""Clinical columns of simulated patients, as ``clinical_columns`` takes them."""


@dataclass(frozen=True)
class RadiomicsTraining(Parameters):
    """How it is done."""

    device: Literal["auto", "cpu"] = field(default="auto", metadata={"help": "features and models are the processor's"})
    workers: int = field(default=0, metadata={"low": 0, "help": "processes; 0 for as many as there are processors"})
    seed: int = field(default=0, metadata={"low": 0, "help": "of folds, permutations and forests"})


@dataclass(frozen=True)
class RadiomicsRecipe(Parameters):
    """What is extracted, modelled and compared."""

    preset: Preset = field(default="default", metadata={"help": "settings of the extraction"})
    wavelets: bool = field(default=False, metadata={"help": "also features of the eight wavelet bands"})
    bin_width: float | None = field(default=None, metadata={"help": "width of a grey level", "low": 1e-6})
    resample_mm: float | None = field(default=None, metadata={"help": "isotropic voxels", "low": 0.1, "high": 20.0})
    model: Literal["elastic_net", "lasso", "ridge", "forest", "boosting"] = "elastic_net"
    block: Literal["combined", "radiomics", "clinical", "volume"] = "combined"
    folds: int = field(default=5, metadata={"low": 2, "help": "outer folds"})
    repeats: int = field(default=10, metadata={"low": 1, "help": "of the folds"})
    permutations: int = field(default=0, metadata={"low": 0, "help": "permuted outcomes for the null"})
    draws: int = field(default=1000, metadata={"low": 20, "help": "of the bootstrap for intervals"})
    label_column: str = field(default="", metadata={"help": "a grade or label instead of time and event"})
    label_levels: str = field(default="", metadata={"help": "its values in order, as III,IV"})
    time_column: str = field(default="time_days", metadata={"help": "follow-up"})
    time_unit: Literal["days", "weeks", "months", "years"] = "days"
    event_column: str = field(default="event", metadata={"help": "1 where the event was seen"})
    volume_column: str = field(default="volume_ml", metadata={"help": "volume in mL; empty for none"})
    centre_column: str = field(
        default="", metadata={"help": "centre; features are then harmonised in each training set"}
    )
    clinical_columns: str = field(
        default="", metadata={"help": "as age_years=numeric;sex=categorical; empty: phantoms'"}
    )
    phantom: str = field(default="", metadata={"help": "choices of the phantom, as modality=mr,cohort=null"})
    outcome: str = field(default="survival", metadata={"help": "what is predicted, in words"})
    modality: str = field(default="CT", metadata={"help": "of the images, for the card"})
    name: str = field(default="radiomics-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def extraction(self) -> RadiomicsParameters:
        """What is extracted, as the method takes it."""
        return RadiomicsParameters(
            task="features", preset=self.preset, wavelets=self.wavelets, bin_width=self.bin_width,
            resample_mm=self.resample_mm,
        )  # fmt: skip


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    started = time.perf_counter()
    sections = read_sections(config_path, overrides, {"training": RadiomicsTraining, "recipe": RadiomicsRecipe})
    training, recipe = sections["training"], sections["recipe"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    place = (cache or output / "cache") / "radiomics" if resume else output / f"cache-{time.time_ns()}"
    context, workers = Context(device="cpu", seed=training.seed), training.workers or None
    choices = assignments(recipe.phantom, "phantom")
    tables = open_data(data, recipe.extraction(), choices, output, place, context, workers)
    parameters = fit_parameters(recipe, tables)
    cohort = read(parameters)
    plan = plan_of(parameters, training.seed)
    found = study(cohort, plan, recipe.block, context, workers, recipe.draws)
    extraction, preset = extraction_of(tables.features, cohort.feature_names)
    model = model_of(found, extraction, preset, recipe.outcome)
    about = About(
        recipe.name, recipe.version, tables.source, tables.simulated, recipe.outcome, recipe.modality,
        {"recipe": recipe.to_dict(), "settings": training.to_dict(), "versions": package_versions()},
    )  # fmt: skip
    bundle = write_model(output / "bundle", found, model, about, replace=True)
    add_documents(bundle.folder, result_of(found, model), about)
    return {
        "bundle": str(bundle.folder), "patients": cohort.n_patients, "events": cohort.n_events,
        "verdict": model.verdict.text, "metrics": bundle.metrics, "duration_s": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def fit_parameters(recipe: RadiomicsRecipe, tables: Tables) -> RadiomicsParameters:
    """The recipe as parameters of the task ``fit``; of phantoms the clinical columns are known."""
    clinical = recipe.clinical_columns
    if not clinical and tables.simulated:
        known = set(columns_of(tables.outcomes))
        clinical = ";".join(f"{name}={kind}" for name, kind in SIMULATED_CLINICAL.items() if name in known)
    base = RadiomicsParameters(
        task="fit", features_csv=str(tables.features), outcomes_csv=str(tables.outcomes), clinical_columns=clinical,
        model=recipe.model, block=recipe.block, folds=recipe.folds, repeats=recipe.repeats,
        permutations=recipe.permutations,
    )  # fmt: skip
    return replace(
        base, label_column=recipe.label_column, label_levels=recipe.label_levels, time_column=recipe.time_column,
        time_unit=recipe.time_unit, event_column=recipe.event_column, volume_column=recipe.volume_column,
        centre_column=recipe.centre_column,
    )  # fmt: skip
