"""From trained networks to a bundle: temperature and known features from validation, test scores, the card."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manabi.brain.prepare import WORK_MM
from manabi.brain.refine import Refinement, refined
from manabi.brain.segment import Features, distance
from manabi.brain.structures import LABELS, STRUCTURES, segments
from manabi.bundle import Bundle
from manabi.networks.coarse_to_fine import STEP, CoarseToFine
from manabi.provenance import package_versions
from manabi.store.layout import write_bundle
from Training.brain import coarse_form, dices, drawn
from Training.brain_data import Subject, Subjects, data_hash
from Training.brain_heads import Bending
from Training.brain_labels import SETS
from Training.brain_synth import Example, Looks
from Training.config import TrainConfig
from Training.resampling import bootstrap_mean
from Training.run import FitResult
from Training.temperature import best_temperature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from Training.brain import BrainRecipe

REFERENCE = "Sugino T et al. Med Phys 2021;48:7215, 10.1002/mp.15192; Billot B et al. 10.1016/j.media.2023.102789"
KNOWN_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 48, 16, 12
"""Images whose features are known, images that temperature and limits are fitted to, images per test subject."""
LEAST_DICE = 0.3
"""A structure with a lower Dice on test images counts as not found (our choice)."""
VOXELS = 20_000
"""Voxels per image that the temperature is fitted to."""


@dataclass(frozen=True)
class Measured:
    """What calibration and test gave.

    Attributes:
        temperature: of the softmax.
        features: mean and spread over training images and the largest distance of a validation image, as JSON.
        metrics: means with 95 % intervals over images.
        images: how many are tested.
        subjects: of how many subjects.
    """

    temperature: float
    features: dict[str, Any]
    metrics: dict[str, Any]
    images: int
    subjects: int


def measure(
    model: CoarseToFine, recipe: BrainRecipe, looks: Looks, subjects: Subjects, test_images: int = TEST_IMAGES
) -> Measured:
    """Fit temperature and the limits of what is known to validation images, then score test images once."""
    model = rounded(model).eval()
    features = known_features(model, looks, subjects)
    fine = bool(recipe.fine_epochs)
    held = [
        s.example(np.random.default_rng([5, n]), looks, 1)
        for n, s in _cycle(subjects.validation, VALIDATION_IMAGES // 2)
    ]
    temperature = fit_temperature(model, held, fine)
    scores, owners = [], []
    for n, subject in _cycle(subjects.test, test_images * len(subjects.test)):
        example = subject.example(np.random.default_rng([6, n]), looks, 1)
        scores.append(dices(answer(model, example.image, fine, temperature), example.classes))
        owners.append(n)
    metrics = {}
    for column, name in enumerate(STRUCTURES):
        values = [(s[column], o) for s, o in zip(scores, owners, strict=True) if np.isfinite(s[column])]
        if len(values) >= 2:
            found = bootstrap_mean(np.array([v for v, _ in values]), [o for _, o in values])
            ends = [round(found.low, 4), round(found.high, 4)]
            metrics[f"{name}_dice"] = {"mean": round(found.value, 4), "ci95": ends}
    return Measured(temperature, features, metrics, len(scores), len(subjects.test))


def rounded(model: CoarseToFine) -> CoarseToFine:
    """The network with its weights rounded to half precision, as the bundle keeps them; scores are of these."""
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    return model


def _cycle(subjects: Sequence[Subject], count: int) -> list[tuple[int, Subject]]:
    """``count`` turns over the subjects, numbered; nothing where there are none."""
    return [(n, subjects[n % len(subjects)]) for n in range(count)] if subjects else []


@torch.no_grad()
def logits_of(model: CoarseToFine, image: Tensor, fine: bool) -> Tensor:
    """Class logits (classes, k, j, i) of an image (k, j, i) at 1 mm, in bfloat16 on the processor as training was."""
    x = image[None, None].contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = model.look(x)
        first = model.enlarged(logits, tuple(image.shape))
        out = model.sharpen(x, first) if fine else first.clamp(min=1e-6).log()
    return out[0].float()


def answer(model: CoarseToFine, image: Tensor, fine: bool, temperature: float) -> Tensor:
    """Labels of an image (k, j, i), as the method finds them."""
    shares = torch.softmax(logits_of(model, image, fine) / temperature, 0)
    return torch.from_numpy(refined(image.numpy(), shares.numpy(), Refinement()).argmax(0))


@torch.no_grad()
def known_features(model: CoarseToFine, looks: Looks, subjects: Subjects) -> dict[str, Any]:
    """Mean and spread of the deepest features over training images, and how far validation images lie from them."""

    def seen(group: list[Subject], count: int, seed: int) -> np.ndarray:
        """The deepest features of so many drawn images, ``(count, d)``."""
        rows = []
        for n in range(count):
            example = drawn(group, np.random.default_rng([seed, n]), looks, STEP)
            image, _, _ = coarse_form(example)
            with Features(model) as features, torch.autocast("cpu", torch.bfloat16):
                model(image[None].contiguous(memory_format=torch.channels_last_3d), stage="coarse")
            rows.append(features.mean)
        return np.array(rows)

    known = seen(subjects.training, KNOWN_IMAGES, 3)
    mean, sd = known.mean(0), known.std(0)
    others = [distance(row, mean, sd) for row in seen(subjects.validation, VALIDATION_IMAGES, 4)]
    return {
        "mean": [round(float(v), 4) for v in mean], "sd": [round(float(v), 4) for v in sd],
        "strangest": round(max(others), 4),
    }  # fmt: skip


def fit_temperature(model: CoarseToFine, examples: list[Example], fine: bool) -> float:
    """The temperature with the least cross-entropy on voxels of validation images."""
    logits, truth = [], []
    for number, example in enumerate(examples):
        out = logits_of(model, example.image, fine).flatten(1)
        worth = ((out.softmax(0)[0] < 0.99) & (example.classes.flatten() < SETS)).nonzero()[:, 0]
        picked = worth[torch.from_numpy(np.random.default_rng(number).permutation(len(worth))[:VOXELS])]
        logits.append(out[:, picked])
        truth.append(example.classes.flatten()[picked].long())
    return best_temperature(logits, truth)


# --- the bundle -------------------------------------------------------------------------------------------------------


def export(
    folder: Path, recipe: BrainRecipe, config: TrainConfig, looks: Looks, bending: Bending, result: FitResult,
    subjects: Subjects, measured: Measured,
) -> Bundle:  # fmt: skip
    """Write the bundle of a training; its weights are kept in half precision."""
    counts = {"training": len(subjects.training), "validation": len(subjects.validation), "test": len(subjects.test)}
    kind = "simulated images" if subjects.simulated else "images"
    trained_on = f"{kind}: {subjects.source}; {counts['training']} of them for training"
    extra = {
        "trained_on": trained_on,
        "simulated": subjects.simulated,
        "inputs": {"modality": "MR", "orientation": "RAS", "spacing_mm": [WORK_MM] * 3, "intensity": {"kind": "none"}},
        "labels": [_label(n) for n in range(len(LABELS))],
        "output_channels": ["background", *STRUCTURES],
        "precision": ["float32", "bfloat16"],
        "metrics": measured.metrics,
        "brain": {
            "kind": "structures", "temperature": measured.temperature, "features": measured.features,
            "refinement": asdict(Refinement()), "structures": found_structures(measured.metrics),
        },
        "training": {
            "recipe": recipe.to_dict(), "settings": config.to_dict(), "looks": looks.to_dict(),
            "bending": bending.to_dict(), "best_epoch": result.best_epoch, "data_sha256": data_hash(subjects),
            "subjects": counts, "versions": package_versions(), "machine": platform.machine(),
        },
        "task": "Brain structures of MR images",
        "description": "Cerebrum, cerebellum, brainstem, ventricles and vessels of MR of any contrast",
        "intended_use": "Research. Not for diagnosis; look at the outlines.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": [REFERENCE],
    }  # fmt: skip
    return write_bundle(
        folder, name=recipe.name, version=recipe.version, method="brain",
        network={"name": "coarse_to_fine", "arguments": recipe.network_arguments()},
        state_dict={key: value.half() for key, value in result.model.state_dict().items()},
        card=_card(recipe, config, result, measured, trained_on, counts),
        metadata_extra=extra, inference=_inference(), replace=True,
    )  # fmt: skip


def found_structures(metrics: dict[str, Any]) -> list[str]:
    """The structures that the networks find: whose mean Dice on test images is not too low, or was not measured."""
    scores = {name: metrics.get(f"{name}_dice") for name in STRUCTURES}
    return [name for name, score in scores.items() if score is None or score["mean"] >= LEAST_DICE]


def _label(number: int) -> dict[str, Any]:
    one = segments()[number]
    side = one.laterality
    return {
        "label": one.label, "name": one.name, "color": [round(c, 3) for c in one.color],
        "type": [one.type.value, one.type.scheme, one.type.meaning],
        "laterality": None if side is None else [side.value, side.scheme, side.meaning],
    }  # fmt: skip


def _inference() -> dict[str, Any]:
    """How ``python -m monai.bundle run`` applies the network: whole volumes, class probabilities as channels."""
    return {
        "imports": [
            "$import glob", "$import torch", "$import manabi.store.monai_run as monai_run",
            "$from manabi.brain.prepare import normalised",
        ],
        "inferer": {"_target_": "SimpleInferer"},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "SAR"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [WORK_MM] * 3, "mode": "bilinear"},
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
                {"_target_": "Lambdad", "keys": "image", "func": "$normalised"},
                {"_target_": "DivisiblePadd", "keys": "image", "k": 32},
            ],
        },
    }  # fmt: skip


def _card(
    recipe: BrainRecipe, config: TrainConfig, result: FitResult, measured: Measured, trained_on: str,
    counts: dict[str, int],
) -> str:  # fmt: skip
    """The model card."""
    scores = [f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in measured.metrics.items()]
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        "Cerebrum, cerebellum (left and right), brainstem, ventricles and, where the contrast shows them, vessels of",
        "an MR image of the head, of any contrast. For research use; look at the outlines.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {counts['validation']} for validation, {counts['test']} for the test.",
        f"- Network coarse_to_fine {recipe.network_arguments()}.",
        f"- {config.epochs} epochs of {recipe.items_per_epoch} images at 2 mm, then {recipe.fine_epochs} epochs of "
        f"{recipe.fine_items} images of {recipe.patches} patches each at 1 mm; {config.optimizer}, seed {config.seed}.",
        "- Command: `python -m Training brain`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        f"## Scores on {measured.images} test images of {measured.subjects} subjects (mean, 95 % interval over images)",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *scores,
        "",
        "## Limits",
        "",
        "- Scores on images like those of the training say nothing certain about patients.",
        "- Adults. Tumours, large defects, shunts and children were hardly or not at all seen in training.",
        f"- Found: {', '.join(found_structures(measured.metrics))}; of others nothing is said.",
        "",
    ]
    return "\n".join(lines)
