"""Training MVCTConvert: ``python -m Training mvct --data SCANS --output DIR``.

SCANS is a table of megavoltage (or cone-beam) and kilovoltage CT, two folders, planning CTs whose MVCT is simulated, or
simulated patients; :mod:`Training.mvct_sources` has the forms. The scans need no pairs: patients of the two kinds may
be others. The output holds the run (checkpoints, metrics.csv, splits.json) and the finished bundle.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from manabi.mvct.prepare import crop_to_body, prepare
from manabi.mvct.tissue_map import body_mask
from manabi.parameters import Parameters
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.mvct_augment import HuAugment
from Training.mvct_bundle import finish
from Training.mvct_cut import CutRecipe, CutTask
from Training.mvct_cycle import CycleRecipe, CycleTask
from Training.mvct_data import PARTS, DataSettings, Site, open_site
from Training.mvct_domains import Domains, PairedCT
from Training.mvct_lesions import SoftLesions
from Training.mvct_oracle import OracleRecipe, OracleTask
from Training.mvct_pair import pair_arguments
from Training.mvct_pairs import PairsTask
from Training.mvct_simulate import SimulationSettings
from Training.mvct_slices import TestPair, load_pairs, training_slices
from Training.mvct_sources import SOURCE, TARGET
from Training.mvct_start import started
from Training.task import Task

logger = logging.getLogger(__name__)

VALIDATION, TRAINING = "validation", "training"
SUPERVISED = ("oracle", "pairs")
"""Methods that need pairs to train on; both have the section ``oracle``."""


@dataclass(frozen=True)
class MVCTRecipe(Parameters):
    """What is trained on what; how, is in the section of the chosen method (``cycle``, ``cut`` or ``oracle``)."""

    method: Literal["cycle", "cut", "oracle", "pairs"] = field(
        default="cycle",
        metadata={"help": "the source's cycle, contrastive training, or supervision by pairs, one way or both ways"},
    )
    kind: Literal["mvct", "cbct"] = field(default="mvct", metadata={"help": "megavoltage or cone-beam CT"})
    pixel_mm: float = field(
        default=1.0, metadata={"low": 0.3, "high": 5.0, "help": "pixel size of the network; scans are resampled to it"}
    )
    max_slices: int = field(
        default=0, metadata={"low": 0, "help": "source slices to train on, patient by patient; 0 takes all"}
    )
    parts: str = field(default=PARTS, metadata={"help": "training/validation/test patients"})
    split_seed: int = field(default=0, metadata={"low": 0, "help": "of the split, and of who provides which scan"})
    phantom_matrix: int = field(default=288, metadata={"low": 32, "help": "rows and columns of simulated patients"})
    phantom_slice_mm: float = field(default=4.0, metadata={"low": 0.5, "help": "their slice thickness"})
    phantom_length_mm: float = field(default=160.0, metadata={"low": 1.0, "help": "their length along the body"})
    planning_slices: int = field(
        default=0, metadata={"low": 0, "help": "slices of a planning CT that are scanned again; 0 takes all"}
    )
    fast: bool = field(default=False, metadata={"help": "simulate noise and blur without projecting"})
    noise_hu: float = field(
        default=10.0, metadata={"low": 0.0, "help": "largest SD of noise added to source crops (not by oracle)"}
    )
    blur_px: float = field(default=0.4, metadata={"low": 0.0, "help": "largest sigma of blur added to them"})
    offset_hu: float = field(default=10.0, metadata={"low": 0.0, "help": "largest offset of their tissue"})
    slope: float = field(default=0.02, metadata={"low": 0.0, "help": "largest relative change of their HU"})
    lesions: float = field(
        default=0.7, metadata={"low": 0.0, "high": 1.0, "help": "share of the crops that get soft lesions (by pairs)"}
    )
    start: str = field(default="", metadata={"help": "bundle, by name or folder, whose weights training begins with"})
    validation_slices: int = field(default=16, metadata={"low": 1, "help": "slices of each validation patient"})
    test_slices: int = field(
        default=24, metadata={"low": 0, "help": "slices of each patient that are scored, from the middle; 0 takes all"}
    )
    lesion_patients: int = field(
        default=3, metadata={"low": 0, "help": "simulated test patients in whom lesions are inserted and deleted"}
    )
    half: bool = field(default=True, metadata={"help": "store the weights in half precision"})
    name: str = field(default="mvct-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def simulation(self) -> SimulationSettings:
        """How patients are simulated; phantoms have the network's pixels."""
        return SimulationSettings(
            self.kind, self.pixel_mm, self.phantom_matrix, self.phantom_slice_mm, self.phantom_length_mm, self.fast,
            self.planning_slices,
        )  # fmt: skip

    def data(self) -> DataSettings:
        """How the data are split and prepared."""
        paired = self.method in SUPERVISED
        return DataSettings(self.simulation(), self.pixel_mm, self.parts, self.split_seed, paired, self.max_slices)

    def augment(self) -> HuAugment:
        """What is done to the values of crops."""
        return HuAugment(self.noise_hu, self.blur_px, self.offset_hu, self.slope)


@dataclass(frozen=True)
class Plan:
    """All sections of a configuration.

    Attributes:
        recipe: what is trained on what.
        learning: the section of the chosen method.
        config: of the engine.
    """

    recipe: MVCTRecipe
    learning: CycleRecipe | CutRecipe | OracleRecipe
    config: TrainConfig


SECTIONS: dict[str, type[Parameters]] = {
    "training": TrainConfig, "recipe": MVCTRecipe, "cycle": CycleRecipe, "cut": CutRecipe, "oracle": OracleRecipe,
}  # fmt: skip


def read_plan(config_path: str | Path | None, overrides: Sequence[str]) -> Plan:
    """The sections of a configuration; raises InvalidInputError as :func:`Training.config.read_sections` does."""
    sections = read_sections(config_path, overrides, SECTIONS)
    recipe: MVCTRecipe = sections["recipe"]
    section = "oracle" if recipe.method in SUPERVISED else recipe.method
    plan = Plan(recipe, sections[section], sections["training"])
    pair_arguments(plan)
    return plan


def task_of(site: Site, plan: Plan) -> Task:
    """The training task of a site's data."""
    settings, learning = plan.recipe.data(), plan.learning
    validation = _validation(site, plan.recipe)
    if isinstance(learning, OracleRecipe):
        pairs = [_paired(pair, plan.recipe.pixel_mm) for pair in load_pairs(site, TRAINING)]
        paired = validation if isinstance(validation, list) else []
        kind_of = PairsTask if plan.recipe.method == "pairs" else OracleTask
        task: Task = kind_of(learning, pairs, paired, site.data_hash)
        if isinstance(task, PairsTask):
            task.augment = plan.recipe.augment()
            task.lesions = SoftLesions(plan.recipe.lesions) if plan.recipe.lesions else None
    else:
        domains = _domains(site, TRAINING, settings)
        kind = CycleTask if isinstance(learning, CycleRecipe) else CutTask
        task = kind(learning, domains, validation, plan.recipe.augment(), site.data_hash)
    return started(task, plan.recipe.start) if plan.recipe.start else task


def _domains(site: Site, split: str, settings: DataSettings) -> Domains:
    source, target = ([s.hu for s in training_slices(site, split, d, settings)] for d in (SOURCE, TARGET))
    pixel = float(settings.pixel_mm or 1.0)
    return Domains(source, target, (pixel, pixel))


def _validation(site: Site, recipe: MVCTRecipe) -> list[PairedCT] | Domains | None:
    """Pairs where there are any, else unpaired scans where there are any of both kinds."""
    pairs = load_pairs(site, VALIDATION)
    if pairs:
        return [_middle(_paired(pair, recipe.pixel_mm), recipe.validation_slices) for pair in pairs]
    if site.of(VALIDATION, SOURCE) and site.of(VALIDATION, TARGET):
        return _domains(site, VALIDATION, recipe.data())
    return None


def _paired(pair: TestPair, pixel_mm: float) -> PairedCT:
    """A pair on the network's grid, cut to the body's box."""
    source, target = (prepare(volume, (pixel_mm, pixel_mm)) for volume in (pair.source, pair.target))
    crop = crop_to_body(body_mask(target.hu, target.image.spacing_mm))
    return PairedCT(*(crop.of(work.hu)[crop.slices].astype(np.float16) for work in (source, target)))


def _middle(pair: PairedCT, count: int) -> PairedCT:
    """Evenly spread slices of a pair."""
    chosen = np.unique(np.linspace(0, len(pair.source) - 1, min(count, len(pair.source))).astype(int))
    return PairedCT(pair.source[chosen], pair.target[chosen])


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> dict[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    plan = read_plan(config_path, overrides)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    site = open_site(data, plan.recipe.data(), cache or output / "cache")
    for warning in site.warnings:
        logger.warning(warning)
    site.write_splits(output / "splits.json")
    result = fit(task_of(site, plan), plan.config, output, resume=resume)
    bundle = finish(output / "bundle", plan, result, site, data)
    return {
        "bundle": str(bundle.folder),
        "best_epoch": result.best_epoch,
        "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }
