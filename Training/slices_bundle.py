"""From trained weights to a bundle: the decoder fitted to validation cases, scores on test cases, the card."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from manabi.bundle import Bundle
from manabi.provenance import package_versions
from manabi.slices.decode import Decoder, fit_decoder
from manabi.slices.reading import DIAPHRAGM_OFFSET_MM, MARKERS
from manabi.store.layout import write_bundle
from Training.config import TrainConfig
from Training.resampling import bootstrap_mean, bootstrap_statistic
from Training.run import FitResult
from Training.slices_evaluate import (
    Answer,
    Search,
    answers,
    calibration_error,
    compare_search,
    confidences,
    views,
    wilson,
)

if TYPE_CHECKING:
    from Training.slices import SlicesRecipe, Split

REFERENCE = "Zhang J, Wada S, et al. JAMI 2021, 2-H-2-03; ILD-Slider, J Imaging 2025, 10.3390/jimaging11100353"
TEST_SEED = 1000
"""Of the truncated copies of the test cases; validation counts from 0."""
CALIBRATION_PATIENTS = 10
"""Fewer patients than this say nothing about calibration (our choice)."""
FIT_VIEWS = 300
"""Images that the nine numbers of the decoder are fitted to at most, drawn at random."""


@dataclass(frozen=True)
class Measured:
    """What calibration and test gave.

    Attributes:
        decoder: fitted to the validation cases.
        answers: on the test cases, whole and truncated.
        searches: coarse-to-fine against exhaustive on the same.
        metrics: means with 95 % intervals (cases resampled).
        patients: how many are tested.
    """

    decoder: Decoder
    answers: list[Answer]
    searches: list[Search]
    metrics: dict[str, Any]
    patients: int


def calibrate(model: torch.nn.Module, recipe: SlicesRecipe, split: Split) -> Measured:
    """Fit the decoder to the validation cases, then score it once on the test cases; both whole and truncated."""
    settings, model = recipe.input(), model.eval()
    fitted = [
        view.searched for number, case in enumerate(split.validation) for view in views(model, case, settings, number)
    ]
    drawn = np.random.default_rng(0).permutation(len(fitted))[:FIT_VIEWS]
    decoder = fit_decoder([fitted[int(n)] for n in drawn])
    found: list[Answer] = []
    alone: list[Answer] = []
    searches: list[Search] = []
    for number, case in enumerate(split.test):
        for view in views(model, case, settings, TEST_SEED + number):
            found += answers(view, decoder)
            alone += answers(view, decoder, alone=True)
            searches.append(compare_search(view, decoder))
    patients = {case.name: split.patient(case.name) for case in split.test}
    scores = {**metrics(found, searches, patients), **without_rules(alone, patients)}
    return Measured(decoder, found, searches, scores, len(set(patients.values())))


def metrics(found: list[Answer], searches: list[Search], patients: dict[str, str]) -> dict[str, Any]:
    """Scores with 95 % intervals over patients, which are counted as one each however many images they have.

    Args:
        found: answers on whole and truncated images.
        searches: the same images, searched from coarse to fine.
        patients: patient of each case.
    """
    inside, beyond = [a for a in found if np.isfinite(a.truth_mm)], [a for a in found if np.isinf(a.truth_mm)]
    out: dict[str, Any] = {}
    for marker in MARKERS:
        whole = _whole(found, marker)
        measured = [a for a in whole if np.isfinite(a.found_mm)]
        out[f"{marker}_within_4mm"] = _share([a.right for a in whole], _owners(whole, patients))
        out[f"{marker}_error_of_found_mm"] = _mean([a.error_mm for a in measured], _owners(measured, patients))
    out["not_in_image_recognised"] = _share([a.right for a in beyond], _owners(beyond, patients))
    out["wrongly_not_in_image"] = _share([bool(np.isinf(a.found_mm)) for a in inside], _owners(inside, patients))
    out["calibration_error"] = _calibration(found, _owners(found, patients))
    out["search_same_answer"] = _share([s.same for s in searches], _owners(searches, patients))
    out["search_share_of_slices"] = _mean([s.share for s in searches], _owners(searches, patients))
    return {key: value for key, value in out.items() if value is not None}


def without_rules(alone: list[Answer], patients: dict[str, str]) -> dict[str, Any]:
    """Shares within 4 mm on whole images of the network's scores by themselves; see :func:`metrics`."""
    kept = {marker: _whole(alone, marker) for marker in MARKERS}
    shares = {m: _share([a.right for a in rows], _owners(rows, patients)) for m, rows in kept.items()}
    return {f"{marker}_within_4mm_network_alone": share for marker, share in shares.items() if share is not None}


def _whole(answers: list[Answer], marker: str) -> list[Answer]:
    """Those on whole images, of a marker that is there."""
    return [a for a in answers if a.marker == marker and np.isfinite(a.truth_mm) and not a.cut]


def _owners(rows: Sequence[Answer | Search], patients: dict[str, str]) -> list[str]:
    return [patients[row.case] for row in rows]


def _share(values: list[bool], patients: list[str]) -> dict[str, Any] | None:
    if not values:
        return None
    share = float(np.mean(values))
    return _entry(share, *wilson(share, len(set(patients))))


def _mean(values: list[float], patients: list[str]) -> dict[str, Any] | None:
    if len(set(patients)) < 2:
        return None if not values else _entry(float(np.mean(values)), None, None)
    estimate = bootstrap_mean(np.array(values), patients)
    return _entry(estimate.value, estimate.low, estimate.high)


def _calibration(found: list[Answer], patients: list[str]) -> dict[str, Any] | None:
    """Expected calibration error; with few answers its bins are noise, and nothing is said."""
    if len(set(patients)) < CALIBRATION_PATIENTS:
        return None
    confidence, right = confidences(found)
    estimate = bootstrap_statistic(lambda drawn: calibration_error(confidence[drawn], right[drawn]), patients, 1000)
    return _entry(estimate.value, min(estimate.low, estimate.value), max(estimate.high, estimate.value))


def _entry(mean: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"mean": round(mean, 4), "ci95": [None if v is None else round(v, 4) for v in (low, high)]}


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
        *score_lines(measured.metrics, measured.patients),
        "## Limits",
        "",
        "- Scores on phantoms say nothing certain about patients. They are of the network together with tracking of",
        "  airway and lungs, which counts as evidence, but for those of the network alone.",
        "- Adults, lying on their back. Children, pneumonectomy and situs inversus were not seen in training.",
        "",
    ]
    return "\n".join(lines)


def score_lines(scores: dict[str, Any], patients: int) -> list[str]:
    """The card's section of scores."""
    return [
        f"## Scores on {patients} test patients (mean, 95 % interval over patients)",
        "",
        "Per marker on whole images; truncation, search and calibration also on truncated copies.",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *(f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in scores.items()),
        "",
    ]
