"""From a trained converter to a bundle: measured, scored once on the test patients, written with its card."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.bundle import WEIGHTS, Bundle
from manabi.context import Context
from manabi.mvct.convert import Settings
from manabi.mvct.pipeline import Model
from manabi.mvct.tissue_map import body_mask
from manabi.provenance import package_versions, pixel_sha256
from manabi.store.layout import write_bundle
from manabi.volume import Volume
from Training.cohort import SPLITS
from Training.mvct_calibrate import facts, half_precision
from Training.mvct_card import card
from Training.mvct_data import Site
from Training.mvct_evaluate import BASELINES, NETWORK, Convert, converter, evaluate_pairs, evaluate_unpaired, summary
from Training.mvct_evaluate_doubt import evaluate_doubt
from Training.mvct_evaluate_lesions import lesion_table
from Training.mvct_monai import inference
from Training.mvct_pair import pair_arguments, pair_of, pair_state
from Training.mvct_slices import load_pairs
from Training.mvct_sources import SOURCE
from Training.run import FitResult

if TYPE_CHECKING:
    from Training.mvct import Plan

logger = logging.getLogger(__name__)

MOST_BYTES = 12_000_000
"""Larger weights are no default bundle's; a site's may be, and is told."""
LOST = 0.5
"""A lesion whose converted contrast is below this share of the true one counts as lost (our choice)."""
INVENTED_HU = 25.0
"""Contrast at a place without lesion from which one counts as invented: half of what was inserted (our choice)."""
LESION_CONVERTERS = (NETWORK, "polynomial")
REFERENCES = [
    "Ozaki S et al. Med Phys 2022, 10.1002/mp.15626",
    "Zhu JY et al. ICCV 2017, 10.1109/ICCV.2017.244",
    "Thummerer A et al. SynthRAD2025, arXiv 2605.13555",
]


@dataclass(frozen=True)
class Measured:
    """What was measured after training.

    Attributes:
        facts: for the section ``mvct``.
        scores: of the test patients, by converter; ``network``, ``input``, the baselines and the true kVCT.
        lesions: summary of the inserted and deleted lesions; empty where none were tested.
        doubt: how often the error lies within the uncertainty (:mod:`Training.mvct_evaluate_doubt`); empty where it is
            not calibrated or there is no truth.
        patients: test patients that were scored.
        paired: whether they have a true kVCT.
    """

    facts: dict[str, Any]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    lesions: dict[str, Any] = field(default_factory=dict)
    patients: int = 0
    paired: bool = False
    doubt: dict[str, Any] = field(default_factory=dict)


def finish(folder: Path, plan: Plan, result: FitResult, site: Site, data: str) -> Bundle:
    """Measure a trained model and write its bundle.

    Args:
        folder: of the bundle; replaced.
        plan: what was trained.
        result: of the engine.
        site: the data.
        data: what was given as ``--data``; only its kind goes into the bundle, for paths may name people.
    """
    pair = pair_of(result.model, plan)
    network = half_precision(pair) if plan.recipe.half else pair
    settings = settings_of(plan)
    context = Context(device=plan.config.device, precision="float32")
    known = facts(site, Model(settings, {}, network), context, plan.recipe.test_slices)
    measured = measure(Model(settings, known, network), site, plan, context)
    return export(folder, plan, result, site, measured, trained_on(data, site))


def settings_of(plan: Plan) -> Settings:
    """How the method shall apply the network."""
    learning, pixel = plan.learning, plan.recipe.pixel_mm
    windows = learning.window("source"), learning.window("target")
    return Settings(plan.recipe.kind, *windows, (pixel, pixel), learning.context, None, ("float32", "bfloat16"))


# --- scores -----------------------------------------------------------------------------------------------------------


def measure(model: Model, site: Site, plan: Plan, context: Context) -> Measured:
    """Score network and baselines on the test patients: against the truth where there is one, by themselves else."""
    converters = converters_of(model, context)
    pairs = load_pairs(site, "test", plan.recipe.test_slices)
    if pairs:
        scores = evaluate_pairs(pairs, converters)
        patients = len({pair.patient for pair in pairs})
        found, doubt = lesions(converters, site, plan, context), evaluate_doubt(pairs, model, context)
        return Measured(dict(model.facts), scores, found, patients, True, doubt)
    alone = [(scan.patient, scan.load()) for scan in site.of("test", SOURCE)]
    scores = evaluate_unpaired(alone, converters) if alone else {}
    return Measured(dict(model.facts), scores, {}, len({patient for patient, _ in alone}), False)


def converters_of(model: Model, context: Context) -> dict[str, Convert]:
    """The network, and the baselines that the bundle knows enough for."""
    plain = Model(model.settings, model.facts)
    lacking = () if "target_histogram" in model.facts else ("histogram",)
    names = [name for name in BASELINES if name not in lacking]
    return {NETWORK: converter(model, context), **{name: converter(plain, context, name) for name in names}}


def lesions(converters: Mapping[str, Convert], site: Site, plan: Plan, context: Context) -> dict[str, Any]:
    """Inserted and deleted lesions in simulated test patients, for the network and the plain HU map.

    Returns:
        By converter: how many were tested, ``lost`` and ``invented``, and means of
        :func:`Training.mvct_evaluate_lesions.lesion_scores` with 95 % intervals over patients.
    """
    from manabi.phantoms.ct.convert import simulate

    chosen = [target for _, target in site.pairs("test") if target.simulated][: plan.recipe.lesion_patients]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in LESION_CONVERTERS if chosen}
    owners: list[str] = []
    for seed, target in enumerate(chosen):

        def scan(volume: Volume, seed: int = seed) -> Volume:
            return simulate(volume, plan.recipe.kind, seed=seed, fast=plan.recipe.fast, context=context)

        kvct = target.load().reoriented()
        kvct = kvct.like(np.asarray(kvct.array, np.float32))
        body, once = body_mask(np.asarray(kvct.array), kvct.spacing_mm), remembered(scan)
        for name in rows:
            own = lesion_table(kvct, once, converters[name], body, seed)
            rows[name] += own
        owners += [target.patient] * len(own)
    return {name: lesion_summary(found, owners) for name, found in rows.items()}


def remembered(convert: Convert) -> Convert:
    """The same answer for the same image, computed once: several converters are shown the same scans."""
    known: dict[str, Volume] = {}

    def once(volume: Volume) -> Volume:
        """The answer, from memory where this image was shown before."""
        key = pixel_sha256(volume.array)
        if key not in known:
            known[key] = convert(volume)
        return known[key]

    return once


def lesion_summary(rows: Sequence[Mapping[str, float]], owners: Sequence[str]) -> dict[str, Any]:
    """Counts over all lesions, and means with 95 % intervals over patients."""
    lost = sum(row["recovered"] < LOST for row in rows)
    invented = sum(abs(row["invented_hu"]) > INVENTED_HU for row in rows)
    return {"tested": len(rows), "lost": lost, "invented": invented, "scores": summary(rows, owners)}


# --- the bundle -------------------------------------------------------------------------------------------------------


def trained_on(data: str, site: Site) -> str:
    """The training data in words, without paths."""
    names = []
    for part in data.split("+"):
        if part.startswith("phantoms:"):
            names.append(f"simulated patients ({part})")
        elif part.startswith("kvct:"):
            names.append("simulated scans of a site's planning CTs")
        else:
            names.append("a site's scans")
    count = len(site.patients(SPLITS[0]))
    return f"{' and '.join(dict.fromkeys(names))}: {count} patients"


def export(folder: Path, plan: Plan, result: FitResult, site: Site, measured: Measured, source: str) -> Bundle:
    """Write the bundle: the pair of converters, how it is applied, and what it scored."""
    recipe, learning = plan.recipe, plan.learning
    counts = {name: len(site.patients(name)) for name in SPLITS}
    settings = settings_of(plan)
    extra = {
        **_described(recipe.kind), "trained_on": source, "simulated": site.simulated,
        "inputs": _inputs(settings), "output_channels": ["kvct"], "precision": list(settings.precisions),
        "metrics": measured.scores.get(NETWORK, {}), "comparison": measured.scores, "lesions": measured.lesions,
        "uncertainty": measured.doubt,
        "mvct": {
            "kind": recipe.kind, "window_source": settings.source.to_list(),
            "window_target": settings.target.to_list(), "spacing_mm": list(settings.pixel_mm or ()),
            "context_slices": settings.context, "slice_mm": settings.slice_mm, **measured.facts,
        },
        "training": {
            "recipe": recipe.to_dict(), "learning": learning.recorded(), "settings": plan.config.to_dict(),
            "best_epoch": result.best_epoch, "data_sha256": site.data_hash, "patients": counts,
            "slices": recipe.max_slices or None, "versions": package_versions(), "machine": platform.machine(),
        },
    }  # fmt: skip
    bundle = write_bundle(
        folder, name=recipe.name, version=recipe.version, method="mvct",
        network={"name": "converter_pair", "arguments": pair_arguments(plan)},
        state_dict=_stored(result, recipe.half), card=card(plan, result, measured, source, counts),
        metadata_extra=extra, inference=inference(settings), replace=True,
    )  # fmt: skip
    size = (bundle.folder / WEIGHTS).stat().st_size
    if size > MOST_BYTES:
        logger.warning("The weights take %.1f MB; take fewer filters or half=true for less.", size / 1e6)
    return bundle


def _stored(result: FitResult, half: bool) -> dict[str, Any]:
    """The weights of the pair as they are written."""
    state = pair_state(result.model)
    return {key: value.half() if half and value.is_floating_point() else value for key, value in state.items()}


def _described(kind: str) -> dict[str, Any]:
    words = {"mvct": "Megavoltage CT", "cbct": "Cone-beam CT"}[kind]
    return {
        "task": f"{words} to the quality of kilovoltage CT",
        "description": f"{words} of the head and neck, converted for contouring, with a way back for a check",
        "intended_use": "Research. For contouring beside the original; not for dose, not for diagnosis.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": REFERENCES,
    }


def _inputs(settings: Settings) -> dict[str, Any]:
    pixel = settings.pixel_mm
    return {
        "modality": "CT", "units": "HU", "context_slices": settings.context, "orientation": "RAS",
        "spacing_mm": None if pixel is None else [*pixel, None],
        "intensity": {"kind": "range", "low": settings.source.low, "high": settings.source.high},
    }  # fmt: skip
