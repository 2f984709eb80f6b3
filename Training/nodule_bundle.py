"""From a trained detector to a bundle: thresholds from validation films, scores on test films, the card."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from manabi.bundle import WEIGHTS, Bundle
from manabi.errors import InvalidInputError
from manabi.provenance import package_versions
from manabi.store.layout import write_bundle
from Training.froc import Film, score_films
from Training.froc_statistics import entry, operating_points, summary
from Training.nodule_calibrate import fit_scale, rescaled
from Training.nodule_card import card
from Training.nodule_data import NoduleData, Part, facts, held_out
from Training.nodule_evaluate import LEAST_SCORE, films_of, finder
from Training.nodule_lungs import limited
from Training.nodule_network import PairUNet
from Training.run import FitResult

if TYPE_CHECKING:
    from Training.nodule import Plan

logger = logging.getLogger(__name__)

OPERATING_RATES = (0.05, 0.125, 0.2, 0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives per film of the method's slider."""
FEATURE_FILMS = 60
"""Films whose numbers give the range beyond which the method calls a film unlike the training's; 0.5 s each."""
MOST_BYTES = 6_000_000
"""Larger weights are no default bundle's; a site's may be, and is told."""
REFERENCES = [
    "Hanaoka S et al. Int J CARS 2024;19:1991, 10.1007/s11548-024-03227-7",
    "Sogancioglu E et al. NODE21, IEEE TMI 2024;43:2839, arXiv 2401.02192",
    "Shiraishi J et al. AJR 2000;174:71, 10.2214/ajr.174.1.1740071",
]


@dataclass(frozen=True)
class Measured:
    """What was measured after training.

    Attributes:
        model: the network, its last layer calibrated.
        points: operating points with thresholds, see :func:`Training.froc_statistics.operating_points`.
        test: :func:`Training.froc_statistics.summary` of the test films.
        other: the same of simulated films of another domain; empty where none were asked for.
        feature_range: of the training films, see :func:`manabi.nodule.outside.ranges`.
        matrix: side of the films in pixels.
    """

    model: PairUNet
    points: list[dict[str, Any]]
    test: dict[str, Any]
    other: dict[str, Any] = field(default_factory=dict)
    feature_range: dict[str, list[float]] = field(default_factory=dict)
    matrix: int = 256


def finish(folder: Path, plan: Plan, result: FitResult, data: NoduleData, source: str, cache: Path) -> Bundle:
    """Measure a trained detector and write its bundle.

    Args:
        folder: of the bundle; replaced.
        plan: what was trained.
        result: of the engine.
        data: the pairs.
        source: what was given as ``--data``; only its kind goes into the bundle, for paths may name people.
        cache: for films of the other domain.
    """
    recipe = plan.recipe
    other = held_out(source, recipe.held_out, recipe.wanted(), cache) if recipe.held_out else None
    return export(folder, plan, result, data, measure(plan, result, data, other))


def measure(plan: Plan, result: FitResult, data: NoduleData, other: Part | None = None) -> Measured:
    """Calibration and thresholds from the validation films; scores on test films and on those of another domain.

    Where ``recipe.limit_to_lungs`` is on, marks outside the lungs are left out throughout, as the method does it.

    Raises:
        InvalidInputError: without validation or test pairs: a detector without thresholds cannot be used.
    """
    recipe = plan.recipe
    validation = data.parts["validation"].first(recipe.threshold_pairs)
    test = data.parts["test"].first(recipe.test_pairs)
    if not len(validation) or not len(test):
        raise InvalidInputError("Operating points need validation and test chests; give parts like 80/8/12.")
    network = cast(PairUNet, result.model)
    find = limited(finder(network, recipe.peak_distance), recipe.limit_to_lungs)
    network = rescaled(network, fit_scale(films_of(validation, find)))
    find = limited(finder(network, recipe.peak_distance), recipe.limit_to_lungs)
    chosen, tested = (films_of(part, find) for part in (validation, test))
    points = operating_points(score_films(chosen), score_films(tested), OPERATING_RATES, LEAST_SCORE)
    elsewhere = scores(films_of(other, find)) if other is not None else {}
    return Measured(network, points, scores(tested), elsewhere, feature_range(data.parts["training"]), data.matrix)


def scores(films: Sequence[Film]) -> dict[str, Any]:
    """Everything that is said of marked films, hits by circles, NODE21's score by boxes."""
    return summary(score_films(films, "circle"), score_films(films, "iou"))


def feature_range(part: Part, count: int = FEATURE_FILMS) -> dict[str, list[float]]:
    """The range of what :func:`manabi.nodule.outside.features` measures, over films with and without nodules."""
    from manabi.nodule.outside import features, ranges

    found = []
    for number, one in enumerate(part.first(count)):
        found.append(features(one.positive if number % 2 else one.negative))
    return ranges(found)


def headline(measured: Measured) -> dict[str, Any]:
    """The bundle's metrics: name to mean and ``ci95``."""
    out: dict[str, Any] = {}
    for prefix, found in (("", measured.test), ("other_domain_", measured.other)):
        if not found:
            continue
        for rate, value in found["sensitivity"]["all"].items():
            out[f"{prefix}sensitivity_at_{rate}"] = value
        if found["image_auc"] is not None:
            out[f"{prefix}image_auc"] = found["image_auc"]
    return out


def export(folder: Path, plan: Plan, result: FitResult, data: NoduleData, measured: Measured) -> Bundle:
    """Write the bundle: the network, how its marks are chosen, and what it scored."""
    recipe, counts = plan.recipe, facts(data)
    trained_on = f"{data.source}: {counts['training']['pairs']} pairs of {counts['training']['chests']} chests"
    area = measured.test["image_auc"] or entry(None) or {}
    extra = {
        **_described(), "trained_on": trained_on, "simulated": True,
        "inputs": {"modality": "DX", "units": "film", "context_slices": 1, "orientation": None, "spacing_mm": None,
                   "intensity": {"kind": "none"}},
        "output_channels": ["nodule_logit"], "precision": ["float32"], "metrics": headline(measured),
        "nodule": {
            "matrix": data.matrix, "peak_distance": recipe.peak_distance, "operating_points": measured.points,
            "limit_to_lungs": recipe.limit_to_lungs,
            "image_auc": area.get("mean"), "image_auc_ci95": area.get("ci95"),
            "feature_range": measured.feature_range, "films": "simulated" if data.simulated else "real",
            "test": measured.test, "other_domain": measured.other,
        },
        "training": {**_trained(plan), "best_epoch": result.best_epoch, "data_sha256": data.digest, "pairs": counts},
    }  # fmt: skip
    state = {key: value.contiguous() for key, value in measured.model.state_dict().items()}
    bundle = write_bundle(
        folder, name=recipe.name, version=recipe.version, method="nodule",
        network={"name": "unet", "arguments": recipe.network_arguments()}, state_dict=state,
        card=card(plan, result, measured, trained_on, counts, data.matrix), metadata_extra=extra, replace=True,
    )  # fmt: skip
    size = (bundle.folder / WEIGHTS).stat().st_size
    if size > MOST_BYTES:
        logger.warning("The weights take %.1f MB; take fewer filters for less.", size / 1e6)
    return bundle


def _trained(plan: Plan) -> dict[str, Any]:
    """The settings of a training, without folders' names."""
    recipe = plan.recipe
    return {
        "recipe": {**recipe.to_dict(), "start": Path(recipe.start).name, "flow": Path(recipe.flow).name},
        "loss": plan.loss.to_dict(), "augment": plan.augment.to_dict(), "settings": plan.config.to_dict(),
        "versions": package_versions(), "machine": platform.machine(),
    }  # fmt: skip


def _described() -> dict[str, Any]:
    return {
        "task": "Lung nodules on a chest radiograph",
        "description": "Heat map of nodules on a frontal chest film, trained on pairs with simulated nodules",
        "intended_use": "Research. A second look at films of adults; not for diagnosis, not to rule nodules out.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": REFERENCES,
    }
