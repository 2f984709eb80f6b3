"""The methods that the SPECT experiment compares, and what each makes of every test patient."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from manabi import filters
from manabi.bundle import Bundle
from manabi.networks import PAPER_NETWORKS
from manabi.spect import denoise
from Training.cohort import Cohort
from Training.config import TrainConfig
from Training.engine import fit
from Training.metrics import ssim
from Training.spect import SPECTRecipe, SPECTTask, train_cohort
from Training.spect_bundle import apply, calibrate, export, paper_output
from Training.spect_data import Pair, prepare
from Training.spect_evaluate import Slab

logger = logging.getLogger(__name__)

INPUT = "Original (5 min)"
OURS = "Manabi (ours)"
REFERENCE = "U-Net(L4)"
FILTER_ARMS = {"Gaussian": "gaussian", "Bilateral": "bilateral", "Non-local means": "nlm", "BM3D": "bm3d"}
TUNING_IMAGES = 40
SMALL = " (small)"
SMALL_TRANSUNET = {"layers": 4, "heads": 4, "dim": 192, "mlp_dim": 768}
"""TransUNET for processors: the source's has 86 million weights."""


@dataclass(frozen=True)
class Output:
    """What one method made of one patient.

    Attributes:
        images: ``(5, 64, 64)``, 0 to 1, as the source's readers would see them.
        counts: the same slab in counts, for binding ratios.
    """

    images: np.ndarray
    counts: np.ndarray


Arm = Callable[[Pair, Slab], Output]


def input_arm(pair: Pair, slab: Slab) -> Output:
    """The short scan as it is."""
    return Output(slab.short.images, np.asarray(slab.short.box.array, float))


def filter_arm(name: str, validation: list[Slab]) -> Arm:
    """A classical filter whose parameters were tuned on validation images by SSIM."""
    pairs = [pair for slab in validation for pair in zip(slab.short.images, slab.full.images, strict=True)]
    step = max(len(pairs) // TUNING_IMAGES, 1)

    def likeness(out: np.ndarray, true: np.ndarray) -> float:
        return ssim(true * 255, np.clip(out, 0, 1) * 255)

    chosen = filters.tune(FILTER_ARMS[name], pairs[::step], likeness)
    logger.info("%s: %s", name, chosen)

    def run(pair: Pair, slab: Slab) -> Output:
        images = np.stack([np.clip(chosen.apply(image), 0, 1) for image in slab.short.images])
        return Output(images, slab.short.to_counts(images))

    return run


def paper_arm(name: str, cohort: Cohort, config: TrainConfig, folder: Path, data: str, resume: bool) -> Arm:
    """A network of the source, trained with the source's pipeline; U-Net(L4) also leaves a bundle."""
    kind, arguments = PAPER_NETWORKS[name.removesuffix(SMALL)]
    if name.endswith(SMALL):
        arguments = {**arguments, **SMALL_TRANSUNET}
    text = "-".join(str(n) for n in arguments["filters"])
    settings = {"pipeline": "paper", "network": kind, "filters": text, "name": "spect-paper-unet4"}
    recipe = SPECTRecipe.of(settings)
    training, validation = (prepare(cohort.split(part), "paper") for part in ("training", "validation"))
    task = SPECTTask(recipe, training, validation, cohort.data_hash, {"in_channels": 1, "out_channels": 1, **arguments})
    result = fit(task, config, folder, resume=resume)
    model = result.model
    if name == REFERENCE and not (folder / "bundle").exists():
        export(folder / "bundle", recipe, config, result, cohort, calibrate(model, recipe, cohort), data)

    def run(pair: Pair, slab: Slab) -> Output:
        images = paper_output(model, slab)
        return Output(images, slab.short.to_counts(images))

    return run


def our_arm(cohort: Cohort, recipe: SPECTRecipe, config: TrainConfig, folder: Path, data: str, resume: bool) -> Arm:
    """Our default pipeline, trained by the same command as the shipped bundle."""
    if not (folder / "bundle").exists():
        train_cohort(cohort, recipe, config, folder, data, resume)
    return bundle_arm(Bundle(folder / "bundle"))


def bundle_arm(bundle: Bundle) -> Arm:
    """A trained bundle of our pipeline."""
    model: torch.nn.Module = bundle.build_network()
    settings = denoise.Settings.of(bundle.facts["spect"])

    def run(pair: Pair, slab: Slab) -> Output:
        done = apply(model, pair, settings)
        images = slab.images_of(done.volume)
        return Output(images.images, np.asarray(images.box.array, float))

    return run
