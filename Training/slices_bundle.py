"""From trained weights to a bundle: the decoder fitted to validation cases, scores on test cases, the card."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from manabi.bundle import Bundle
from manabi.provenance import package_versions
from manabi.slices.decode import Decoder, Scored, fit_decoder
from manabi.slices.reading import DIAPHRAGM_OFFSET_MM, MARKERS
from manabi.store.layout import write_bundle
from Training.config import TrainConfig
from Training.resampling import bootstrap_mean
from Training.run import FitResult
from Training.slices_data import SliceCase
from Training.slices_evaluate import Answer, Search, answers, calibration_error, compare_search, scored, views

if TYPE_CHECKING:
    from Training.slices import SlicesRecipe, Split

REFERENCE = "Zhang J, Wada S, et al. JAMI 2021, 2-H-2-03; ILD-Slider, J Imaging 2025, 10.3390/jimaging11100353"


@dataclass(frozen=True)
class Measured:
    """What calibration and test gave.

    Attributes:
        decoder: fitted to the validation cases.
        answers: on the test cases, whole and truncated.
        searches: coarse-to-fine against exhaustive on the same.
        metrics: means with 95 % intervals (cases resampled).
        test_cases: how many.
    """

    decoder: Decoder
    answers: list[Answer]
    searches: list[Search]
    metrics: dict[str, Any]
    test_cases: int


def calibrate(model: torch.nn.Module, recipe: SlicesRecipe, split: Split) -> Measured:
    """Fit the decoder to the validation cases, then score it once on the test cases."""
    settings = recipe.input()
    model = model.eval()
    fitted: list[Scored] = [
        scored(model, case, rows, settings)
        for number, case in enumerate(split.validation)
        for rows, _ in views(case, number)
    ]
    decoder = fit_decoder(fitted)
    found: list[Answer] = []
    searches: list[Search] = []
    for number, case in enumerate(split.test):
        for rows, cut in views(case, 1000 + number):
            view = scored(model, case, rows, settings)
            found += answers(case, view, decoder, cut)
            searches.append(compare_search(view, decoder))
    return Measured(decoder, found, searches, _metrics(found, searches, split.test), len(split.test))


def _metrics(found: list[Answer], searches: list[Search], cases: list[SliceCase]) -> dict[str, Any]:
    """Shares and errors by marker on whole images; truncation, calibration and search over all."""
    if not found:
        return {}
    number = {case.name: i for i, case in enumerate(cases)}
    out: dict[str, Any] = {}
    for marker in MARKERS:
        rows = [a for a in found if a.marker == marker and not a.cut and np.isfinite(a.truth_mm)]
        groups = np.array([number[a.case] for a in rows])
        out[f"{marker}_within_4mm"] = _mean([float(a.right) for a in rows], groups)
        missed = [40.0 if np.isnan(a.error_mm) else a.error_mm for a in rows]
        out[f"{marker}_error_mm"] = _mean(missed, groups)
    beyond = [a for a in found if np.isinf(a.truth_mm)]
    if beyond:
        groups = np.array([number[a.case] for a in beyond])
        out["not_in_image_recognised"] = _mean([float(a.right) for a in beyond], groups)
    inside = [a for a in found if np.isfinite(a.truth_mm)]
    groups = np.array([number[a.case] for a in inside])
    out["wrongly_not_in_image"] = _mean([float(np.isinf(a.found_mm)) for a in inside], groups)
    out["search_same_answer"] = _mean([float(s.same) for s in searches], np.arange(len(searches)))
    out["search_share_of_slices"] = _mean([s.share for s in searches], np.arange(len(searches)))
    out["calibration_error"] = _calibration(found, number)
    return {key: value for key, value in out.items() if value is not None}


def _mean(values: list[float], groups: np.ndarray) -> dict[str, Any] | None:
    if len(values) < 2 or len(set(groups.tolist())) < 2:
        return None
    estimate = bootstrap_mean(np.array(values), groups)
    mean = float(np.mean(values))
    low, high = min(estimate.low, mean), max(estimate.high, mean)
    return {"mean": round(mean, 4), "ci95": [round(low, 4), round(high, 4)]}


def _calibration(found: list[Answer], number: dict[str, int]) -> dict[str, Any] | None:
    """Expected calibration error with the interval of resampled cases."""
    by_case: dict[int, list[Answer]] = {}
    for answer in found:
        by_case.setdefault(number[answer.case], []).append(answer)
    if len(by_case) < 10:
        return None
    rng = np.random.default_rng(0)
    keys = list(by_case)
    draws = [
        calibration_error([a for k in rng.choice(keys, len(keys)) for a in by_case[int(k)]]) for _ in range(300)
    ]
    mean = calibration_error(found)
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"mean": round(mean, 4), "ci95": [round(min(low, mean), 4), round(max(high, mean), 4)]}


def export(
    folder: Path, recipe: SlicesRecipe, config: TrainConfig, result: FitResult, split: Split, measured: Measured,
    data: str, data_sha256: str,
) -> Bundle:  # fmt: skip
    """Write the bundle of a training."""
    counts = {"training": len(split.training), "validation": len(split.validation), "test": len(split.test)}
    source = f"simulated chest CT ({data})" if split.simulated else "a local cohort"
    trained_on = f"{source}: {counts['training']} patients"
    extra = {
        "trained_on": trained_on,
        "simulated": split.simulated,
        "inputs": {"modality": "CT", "units": "HU", "orientation": "RAS", **recipe.input().facts()},
        "output_channels": [*(f"{m}_logit" for m in MARKERS), *(f"{m}_offset" for m in MARKERS)],
        "precision": ["float32", "bfloat16"],
        "metrics": measured.metrics,
        "slices": {
            "input": recipe.input().facts(),
            "decoder": measured.decoder.facts(),
            "diaphragm_offset_mm": DIAPHRAGM_OFFSET_MM,
        },
        "training": {
            "recipe": recipe.to_dict(), "settings": config.to_dict(), "best_epoch": result.best_epoch,
            "data_sha256": data_sha256, "patients": counts, "versions": package_versions(),
            "machine": platform.machine(),
        },
        "task": "Levels of a chest CT",
        "description": "Lung apex, carina and diaphragm of a chest CT",
        "intended_use": "Research. Not for diagnosis; look at the slices that were chosen.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": [REFERENCE],
    }  # fmt: skip
    return write_bundle(
        folder, name=recipe.name, version=recipe.version, method="slices",
        network={"name": "slicenet", "arguments": recipe.network_arguments()}, state_dict=result.model.state_dict(),
        card=_card(recipe, config, result, measured, trained_on, counts), metadata_extra=extra, replace=True,
    )  # fmt: skip


def _card(
    recipe: SlicesRecipe, config: TrainConfig, result: FitResult, measured: Measured, trained_on: str,
    counts: dict[str, int],
) -> str:  # fmt: skip
    """The model card."""
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        "Finds the levels of lung apex, carina and diaphragm on a chest CT of any spacing, with a calibrated",
        "confidence, and says where a level is not in the image. For research use; look at the slices.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {counts['validation']} validation and {counts['test']} test patients.",
        f"- Network slicenet {recipe.network_arguments()}.",
        f"- {config.epochs} epochs of {recipe.items_per_epoch} slices, batch {config.batch_size}, {config.optimizer}, "
        f"seed {config.seed}; best epoch {result.best_epoch}.",
        "- Command: `python -m Training slices`; settings in `configs/metadata.json` under `manabi.training`.",
        "- Markers: apex = first slice from above with more than 50 mm² of aerated lung; carina = first slice where",
        f"  the trachea's lumen is two; diaphragm = {DIAPHRAGM_OFFSET_MM:g} mm above the lowest slice with lung; or",
        "  as the site's table says.",
        "",
        f"## Scores on {measured.test_cases} test patients (mean, 95 % interval over patients)",
        "",
        "Per marker on whole images; truncation, search and calibration also on truncated copies.",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *(f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in measured.metrics.items()),
        "",
        "## Limits",
        "",
        "- Scores on phantoms say nothing certain about patients. The method compares with tracking of airway and",
        "  lungs, and warns where the two disagree.",
        "- Adults, lying on their back. Children, pneumonectomy and situs inversus were not seen in training.",
        "",
    ]
    return "\n".join(lines)
