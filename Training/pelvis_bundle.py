"""From a trained network to a bundle of PelvicSeg: temperature from validation, scores of the test, the card."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from manabi.bundle import Bundle
from manabi.context import Context
from manabi.pelvis.segment import segmented
from manabi.pelvis.settings import SECTION, Settings
from manabi.pelvis.structures import PELVIS
from manabi.provenance import package_versions
from manabi.store.layout import write_bundle
from manabi.structures.apply import logits
from manabi.structures.structure_set import StructureSet
from Training.brain_tests import measure as compared
from Training.config import TrainConfig
from Training.pelvis_data import PelvisCases, images_of
from Training.resampling import bootstrap_mean
from Training.run import FitResult
from Training.structure_task import StructureRecipe
from Training.temperature import best_temperature

if TYPE_CHECKING:
    from Training.pelvis import PelvisRecipe

REFERENCE = "Nakagawa K (seeds/002); Ronneberger O et al., MICCAI 2015, arXiv:1505.04597"
VOXELS = 20_000
"""Voxels per validation patient that the temperature is fitted to."""
PELVIC_LIMITS = (
    "- Men, lying on their backs. Not seen: women, children, patients after prostatectomy, catheters, spacers.",
    "- Contours here follow the phantom's anatomy or the site's labels, not a planning protocol's margins.",
)
TOLERANCES_MM = (2.0, 3.0)
DIGITS = {"dice": 4, "surface_dice_2mm": 4, "surface_dice_3mm": 4, "hd95_mm": 2, "volume_error_percent": 1,
          "volume_difference_percent": 1}  # fmt: skip
"""Scores of an organ, and how many digits the card shows."""


@dataclass(frozen=True)
class Measured:
    """What calibration and test gave.

    Attributes:
        settings: of the network, with its temperature.
        cases: per test patient and organ the scores (:data:`DIGITS`).
        metrics: means with 95 % intervals over patients.
    """

    settings: Settings
    cases: list[dict[str, dict[str, float]]]
    metrics: dict[str, Any]


def measure(model: nn.Module, recipe: PelvisRecipe, network: StructureRecipe, cases: PelvisCases) -> Measured:
    """Fit the temperature to validation patients, then score test patients once, on their images' own grids."""
    from Training.pelvis import rounded

    model = rounded(model)
    context = Context(device="auto")
    taken, applied = recipe.input_settings(), recipe.network_input(network)
    temperature = _temperature(model, applied, cases, context)
    settings = Settings(cases.known, taken, applied, temperature)
    test = [case for case in cases.cohort if case.split == "test"]
    scores = [case_scores(model, settings, *images_of(case), context) for case in test]
    return Measured(settings, scores, means(scores, cases.known.names))


def _temperature(model: nn.Module, applied: Any, cases: PelvisCases, context: Context) -> float:
    found, truth = [], []
    for number, case in enumerate(cases.validation):
        out = torch.from_numpy(logits(model, np.asarray(case.image, np.float32), applied, context)).flatten(1)
        labels = torch.from_numpy(case.labels.astype(np.int64)).flatten()
        worth = (out.softmax(0)[0] < 0.99).nonzero()[:, 0]
        picked = worth[torch.from_numpy(np.random.default_rng(number).permutation(len(worth))[:VOXELS])]
        found.append(out[:, picked])
        truth.append(labels[picked])
    return best_temperature(found, truth)


def case_scores(
    model: nn.Module, settings: Settings, image: Any, labels: Any, context: Context
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Scores of every organ of a patient on the image's own grid; NaN where the truth does not hold it."""
    found = segmented(image, model, settings, settings.structures.names, context).labels
    truth = labels if labels.grid.same_as(found.grid) else labels.resampled(found.grid, "nearest")
    spacing = found.spacing_mm.tolist()
    out = {}
    for organ, value in settings.structures.classes.items():
        true, own = np.asarray(truth.array) == value, np.asarray(found.array) == value
        if not true.any():
            out[organ] = dict.fromkeys(DIGITS, float("nan"))
            continue
        near = [compared(true, own, spacing, tolerance) for tolerance in TOLERANCES_MM]
        difference = 100.0 * (float(own.sum()) - float(true.sum())) / float(true.sum())
        out[organ] = {
            "dice": near[0]["dice"], "hd95_mm": near[0]["hd95_mm"],
            **{f"surface_dice_{t:g}mm": n["surface_dice"] for t, n in zip(TOLERANCES_MM, near, strict=True)},
            "volume_error_percent": abs(difference), "volume_difference_percent": difference,
        }  # fmt: skip
    return out


def means(scores: list[dict[str, dict[str, float]]], organs: Sequence[str]) -> dict[str, Any]:
    """Mean and 95 % interval over patients of every organ and score, as a bundle's metadata has them."""
    out = {}
    for organ in organs:
        for name, digits in DIGITS.items():
            values = np.array([row[organ][name] for row in scores])
            values = values[np.isfinite(values)]
            if len(values) >= 2:
                found = bootstrap_mean(values, list(range(len(values))))
                ends = [round(found.low, digits), round(found.high, digits)]
                out[f"{organ}_{name}"] = {"mean": round(found.value, digits), "ci95": ends}
    return out


# --- the bundle -------------------------------------------------------------------------------------------------------


def export(
    folder: Path, recipe: PelvisRecipe, network: StructureRecipe, config: TrainConfig, result: FitResult,
    cases: PelvisCases, measured: Measured,
) -> Bundle:  # fmt: skip
    """Write the bundle of a training; its weights are kept in half precision."""
    counts = {"training": len(cases.training), "validation": len(cases.validation), "test": len(cases.test)}
    trained_on = f"{cases.source}: {counts['training']} of them for training"
    taken = measured.settings.taken
    extra = {
        "trained_on": trained_on,
        "simulated": cases.simulated,
        "inputs": {"modality": "CT", "orientation": "RAS", "spacing_mm": list(taken.spacing_mm[::-1]),
                   "intensity": {"kind": "window", "low": taken.low_hu, "high": taken.high_hu}},
        "labels": [_label(segment) for segment in cases.known.segments()],
        "output_channels": ["background", *cases.known.names],
        "precision": ["float32", "bfloat16"],
        "metrics": measured.metrics,
        SECTION: measured.settings.to_dict(),
        "training": {
            "recipe": recipe.to_dict(), "network": network.to_dict(), "settings": config.to_dict(),
            "best_epoch": result.best_epoch, "data_sha256": cases.data_hash(), "patients": counts,
            "versions": package_versions(), "machine": platform.machine(),
        },
        "task": "Structures on CT",
        "description": f"{_words(cases.known)} of a CT",
        "intended_use": "Research. Not for treatment planning without a person's correction of every contour.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": [REFERENCE],
    }  # fmt: skip
    return write_bundle(
        folder, name=recipe.name, version=recipe.version, method="pelvis",
        network={"name": "skipnet", "arguments": network_arguments(recipe, network, len(cases.known.names))},
        state_dict={k: v.half() if torch.is_floating_point(v) else v for k, v in result.model.state_dict().items()},
        card=_card(recipe, network, config, measured, trained_on, counts), metadata_extra=extra,
        inference=_inference(recipe, measured.settings), replace=True,
    )  # fmt: skip


def network_arguments(recipe: PelvisRecipe, network: StructureRecipe, structures: int) -> dict[str, Any]:
    """For ``manabi.networks.build("skipnet", ...)``, to find so many structures."""
    three = recipe.kind == "volume"
    filters = network.filters_3d if three else network.filters
    return {
        "filters": [int(n) for n in filters.split("-")], "pattern": "horizontal" if three else network.pattern,
        "stream": network.stream, "convolutions": network.convolutions,
        "in_channels": 1 if three else network.neighbours, "out_channels": structures + 1,
        "spatial_dims": 3 if three else 2, "norm": network.norm,
    }  # fmt: skip


def _inference(recipe: PelvisRecipe, settings: Settings) -> dict[str, Any] | None:
    """How ``python -m monai.bundle run`` applies a network of blocks; others are Manabi's own to apply."""
    if recipe.kind != "volume":
        return None
    taken, applied = settings.taken, settings.applied
    return {
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": list(applied.window), "overlap": applied.overlap,
                    "mode": "gaussian"},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "SAR"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": list(taken.spacing_mm), "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": taken.low_hu, "a_max": taken.high_hu,
                 "b_min": 0.0, "b_max": 1.0, "clip": True},
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
            ],
        },
    }  # fmt: skip


def _words(known: StructureSet) -> str:
    """The structures in a sentence: ``Prostate, seminal vesicles, bladder and rectum``."""
    words = [one.words for one in known.structures]
    text = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    return text[0].upper() + text[1:]


def _label(segment: Any) -> dict[str, Any]:
    return {
        "label": segment.label, "name": segment.name, "color": [round(c, 3) for c in segment.color],
        "type": [segment.type.value, segment.type.scheme, segment.type.meaning], "laterality": None,
    }  # fmt: skip


def _card(
    recipe: PelvisRecipe, network: StructureRecipe, config: TrainConfig, measured: Measured, trained_on: str,
    counts: Mapping[str, int],
) -> str:  # fmt: skip
    """The model card."""
    known = measured.settings.structures
    kinds = {"slice": "one slice", "slices": f"{network.neighbours} slices", "volume": f"blocks of {network.crop_3d}"}
    scores = [f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in measured.metrics.items()]
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        f"{_words(known)} of a CT. For research use: every contour needs a person's look before it is used.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {counts['validation']} for validation, {counts['test']} for the test.",
        f"- Input: {kinds[recipe.kind]} at {recipe.spacing_mm} mm (slices x rows x columns), {recipe.low_hu:g} to "
        f"{recipe.high_hu:g} HU.",
        f"- Network skipnet {network_arguments(recipe, network, len(known.names))}, loss {recipe.loss}.",
        f"- {config.epochs} epochs, {config.optimizer} at {config.lr:g}, seed {config.seed}; temperature "
        f"{measured.settings.temperature:g}.",
        "- Command: `python -m Training pelvis`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        f"## Scores on {counts['test']} test patients, on the images' own grids (mean, 95 % interval over patients)",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *scores,
        "",
        "## Limits",
        "",
        "- Scores on images like those of the training say nothing certain about patients.",
        *(PELVIC_LIMITS if known == PELVIS else ()),
        "",
    ]
    return "\n".join(lines)
