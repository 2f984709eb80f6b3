"""From a study to a bundle: the fitted model's plain numbers, how its features are extracted, scores, card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.bundle import SIMULATED_NOTICE, Bundle
from manabi.networks.frozen import described
from manabi.provenance import package_versions
from manabi.radiomics import cohort_words
from manabi.radiomics.cohort_card import card
from manabi.radiomics.cohort_study import Study
from manabi.radiomics.model_file import NETWORK, CohortModel
from manabi.result import Result
from manabi.store.layout import write_bundle

if TYPE_CHECKING:
    from manabi.radiomics.settings import ExtractionSettings

REFERENCES = [
    "Sawayanagi S, et al. Cancers 2022;14:3859, 10.3390/cancers14163859",
    "Nakamoto T, et al. Sci Rep 2019;9:19411, 10.1038/s41598-019-55922-0",
    "Collins GS, et al. TRIPOD+AI statement. BMJ 2024;385:e078378, 10.1136/bmj-2023-078378",
]


@dataclass(frozen=True)
class About:
    """What a bundle says of itself.

    Attributes:
        name: of the bundle.
        version: as ``1.0.0``.
        trained_on: the patients in a sentence; holds "simulated" where they are.
        simulated: whether they are.
        outcome: what is predicted, in words.
        modality: of the images, or empty where it is not known.
        training: further facts of the run, plain JSON values.
    """

    name: str
    version: str = "1.0.0"
    trained_on: str = "a local cohort"
    simulated: bool = False
    outcome: str = "survival"
    modality: str = ""
    training: Mapping[str, Any] | None = None


def model_of(study: Study, extraction: Mapping[str, ExtractionSettings], preset: str, outcome: str) -> CohortModel:
    """The study's model with what a prediction needs."""
    return CohortModel(
        study.fitted, dict(extraction), preset, cohort_words.groups(study), cohort_words.verdict(study), outcome
    )  # fmt: skip


def metrics(study: Study) -> dict[str, Any]:
    """Discrimination of every block and the differences that the verdict speaks of, with 95 % intervals."""
    found = {}
    key = study.main_score.lower().replace(" ", "_")
    for block in study.evaluation.blocks:
        found[f"{key}_{block}"] = study.concordance(block)
    for first, second in (("combined", "clinical"), ("combined", "volume"), ("radiomics", "volume")):
        if (difference := study.difference(first, second)) is not None:
            found[f"{key}_{first}_minus_{second}"] = difference
    return {
        name: {"mean": round(one.estimate, 4), "ci95": [round(one.low, 4), round(one.high, 4)]}
        for name, one in found.items()
        if np.isfinite([one.estimate, one.low, one.high]).all()
    }


def write_model(folder: Path, study: Study, model: CohortModel, about: About, replace: bool = False) -> Bundle:
    """Write the bundle with its card; raises InvalidInputError where the folder is there already."""
    arrays, tensors, structure = described(study.fitted.to_state())
    used = [study.fitted.design.columns[k] for k in study.fitted.predictor.used]
    extra = {
        "trained_on": f"{about.trained_on}: {study.cohort.n_patients} patients, {study.cohort.n_events} events",
        "simulated": about.simulated,
        "inputs": {"modality": about.modality or "CT, MR or PT"},
        "metrics": metrics(study),
        "radiomics": model.facts(),
        "training": {
            "plan": json.loads(json.dumps(study.plan.to_dict())), "tuned": dict(study.fitted.tuned), "inputs": used,
            "versions": package_versions(), **(about.training or {}),
        },
        "task": f"Prediction of {about.outcome} from radiomic features",
        "description": f"A {study.fitted.model} model of {about.outcome}, block {study.block}",
        "intended_use": "Research. Not for decisions on patients; see the validation in the card.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": REFERENCES,
        "network_data_format": _data_format(study.fitted.design.columns),
    }  # fmt: skip
    return write_bundle(
        folder, name=about.name, version=about.version, method="radiomics",
        network={"name": NETWORK, "arguments": {"arrays": arrays, "structure": structure}}, state_dict=tensors,
        card=card(study, model, about, extra), metadata_extra=extra, inference=inference(), replace=replace,
    )  # fmt: skip


def inference() -> dict[str, Any]:
    """How ``python -m monai.bundle run`` applies the model: to tables of features, as Manabi writes them."""
    return {
        "imports": ["$import manabi.radiomics.apply as apply"],
        "network": "$None", "datalist": "$[]", "dataset": "$None", "preprocessing": "$None", "postprocessing": "$None",
        "inferer": "$None",
        "run": ["$apply.predict_tables(@bundle_root, @dataset_dir, @output_dir)"],
    }  # fmt: skip


def _data_format(columns: tuple[str, ...]) -> dict[str, Any]:
    """MONAI's description of what goes in and out: prepared columns, and a risk."""
    shape = {"type": "tuples", "format": "magnitude", "spatial_shape": [1], "dtype": "float64", "value_range": [],
             "is_patch_data": False}  # fmt: skip
    names = {str(n): name for n, name in enumerate(columns)}
    return {
        "inputs": {"columns": {**shape, "num_channels": len(columns), "channel_def": names}},
        "outputs": {"risk": {**shape, "num_channels": 1, "channel_def": {"0": "risk"}}},
    }


def add_documents(folder: Path, result: Result, about: About) -> None:
    """Lay the validation's tables and report beside the card of a bundle.

    Args:
        folder: of the bundle.
        result: of the study.
        about: whether the patients are simulated, which the report then says.
    """
    from manabi.io.tables import slug, write_table
    from manabi.radiomics.figure import draw_result
    from manabi.radiomics.report import write_html

    docs = folder / "docs"
    said = [f"This model was {SIMULATED_NOTICE}."] if about.simulated else []
    shown = Result(
        tables=result.tables, plots=result.plots, measurements=result.measurements, warnings=[*said, *result.warnings]
    )
    for name, table in result.tables.items():
        write_table(table.columns, table.rows, docs / f"{slug(name)}.csv")
    write_html(shown, draw_result({}, shown, docs), docs / "report.html")
