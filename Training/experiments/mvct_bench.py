"""What the parts of the MVCTConvert experiment share: settings, patients, and work that is kept once it is finished.

A plan holds settings and folders only and is sent to processes; patients are read from the cache where they are needed.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct.prepare import crop_to_body, prepare
from manabi.mvct.tissue_map import TissueMap, tissue_map
from manabi.parameters import Parameters
from manabi.volume import Volume
from Training.config import TrainConfig
from Training.experiments.slices_arms import digest, found, keep
from Training.mvct_cycle_base import ConverterRecipe
from Training.mvct_data import DataSettings, Site, check_site, split_people
from Training.mvct_domains import PairedCT
from Training.mvct_simulate import PhantomJob, SimulationSettings, simulated
from Training.mvct_slices import TestPair, load_pairs
from Training.mvct_sources import SOURCE, TARGET, Person, Scan, read_sources
from Training.mvct_truth import kvct_tissues

logger = logging.getLogger(__name__)

PARTS = ("amount", "quality", "hallucination", "gate", "dose", "cbct")
TRAINING, VALIDATION, TEST = "training", "validation", "test"
Job = TypeVar("Job")


@dataclass(frozen=True)
class Settings(Parameters):
    """Patients and arms of the experiment; the defaults are the size of the source's study."""

    parts: str = field(default=",".join(PARTS), metadata={"help": "which parts to run, with commas"})
    data: str = field(default="phantoms:2031:285", metadata={"help": "phantoms:SEED:COUNT or kvct:FOLDER"})
    split: str = field(default="265/4/16", metadata={"help": "patients to train/validate/test"})
    split_seed: int = field(default=0, metadata={"low": 0})
    pixel_mm: float = field(default=1.0, metadata={"low": 0.3, "high": 5.0, "help": "pixel size of everything"})
    matrix: int = field(default=320, metadata={"low": 32, "help": "rows and columns of simulated patients"})
    slice_mm: float = field(default=4.0, metadata={"low": 0.5, "help": "their slice thickness"})
    length_mm: float = field(default=88.0, metadata={"low": 1.0, "help": "their length along the body"})
    tops_mm: str = field(default="-50,40", metadata={"help": "lowest and highest top slice above the skull base, mm"})
    fast: bool = field(default=False, metadata={"help": "simulate noise and blur without projecting"})
    amounts: str = field(default="16,64,256,1024,2745", metadata={"help": "numbers of source slices"})
    compared: str = field(default="plain,proposed,ours", metadata={"help": "presets of the cycle in amount"})
    seeds: int = field(default=5, metadata={"low": 1, "help": "trainings of every arm of amount"})
    methods: str = field(default="plain,proposed,ours,cut,oracle", metadata={"help": "networks of the other parts"})
    steps: int = field(default=6000, metadata={"low": 1, "help": "optimiser steps of every arm of amount"})
    long_steps: int = field(default=30000, metadata={"low": 1, "help": "optimiser steps of the other networks"})
    bundle: str = field(default="", metadata={"help": "a bundle, by name or folder, to be scored beside them"})
    cbct_bundle: str = field(default="", metadata={"help": "the same for cone-beam CT"})
    sizes_mm: str = field(default="4,6,8,12", metadata={"help": "diameters of lesions"})
    contrasts_hu: str = field(default="-100,-50,-30,30,50,100", metadata={"help": "contrasts of lesions"})
    places: int = field(default=4, metadata={"low": 1, "help": "places per patient and diameter"})
    probes: int = field(default=100, metadata={"low": 1, "help": "places without lesion, per patient and diameter"})
    stated_mm: float = field(default=8.0, metadata={"low": 0.0, "help": "from this diameter on none may be lost"})
    stated_hu: float = field(default=50.0, metadata={"low": 0.0, "help": "from this contrast on none may be lost"})
    flat_from: int = field(default=256, metadata={"low": 1, "help": "slices from which on DIG should be flat"})
    flat_share: float = field(default=0.1, metadata={"low": 0.0, "help": "of DIG; a smaller change counts as none"})
    dose_slices: int = field(default=15, metadata={"low": 3, "help": "slices around the target of the dose"})
    workers: int = field(default=1, metadata={"low": 1, "help": "processes that simulate and train at once"})


@dataclass(frozen=True)
class Plan:
    """What is to be done, and where.

    Attributes:
        settings: of the experiment.
        recipe: networks and crops of all methods.
        training: of the engine; its epochs follow from the steps.
        folder: where finished work is kept.
        cache: for simulated patients.
    """

    settings: Settings
    recipe: ConverterRecipe
    training: TrainConfig
    folder: Path
    cache: Path

    @property
    def context(self) -> Context:
        """Device and precision in which networks are applied."""
        return Context(device=self.training.device, precision="float32", seed=self.training.seed)

    def key(self, kind: str, **more: Any) -> str:
        """Digest of the patients of a kind, the recipe, the engine's settings, and more."""
        shape = {**self.recipe.recorded(), **self.training.what_is_learned(), **more}
        return digest(shape, [kind, site_of(self, kind).data_hash])

    def once(self, path: str, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Finished work from ``folder/path``, or ``work`` done and kept there with the seconds it took."""
        done = found(self.folder / path, key)
        if done is None:
            started = time.perf_counter()
            content = finite(work())
            content["duration_s"] = round(time.perf_counter() - started, 2)
            done = keep(self.folder / path, key, content)
        return done


# --- patients ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def site_of(plan: Plan, kind: str) -> Site:
    """All patients, each with both scans on one grid, split and checked.

    Raises:
        InvalidInputError: for patients whose scans are not simulated (their pairs could not be trained on).
    """
    settings = plan.settings
    simulation = SimulationSettings(
        kind, settings.pixel_mm, settings.matrix, settings.slice_mm, settings.length_mm, settings.fast
    )
    people = read_sources(settings.data, simulation)
    data = DataSettings(simulation, settings.pixel_mm, settings.split, settings.split_seed, paired=True)
    people, warnings = split_people([at_height(person, settings) for person in people], data)
    jobs = [(person.job, (SOURCE, TARGET)) for person in people if person.job is not None]
    if len(jobs) < len(people):
        raise InvalidInputError("The experiment needs simulated pairs: give phantoms:SEED:COUNT or kvct:FOLDER.")
    scans = []
    for person, files in zip(people, simulated(jobs, plan.cache, settings.workers), strict=True):
        for domain, path in files.items():
            name = f"{person.name}-{domain}"
            scans.append(Scan(name, person.name, domain, path, person.split, person.name, True))
    return check_site(scans, warnings)


def check_unseen(trained_on: str, data: str) -> None:
    """Refuse to score a bundle on patients that it may have been trained on.

    Args:
        trained_on: of the bundle's metadata, see :func:`Training.mvct_bundle.trained_on`.
        data: of the experiment; its split is not the bundle's.

    Raises:
        InvalidInputError: where both have phantoms of one seed, or planning CTs.
    """
    for part in data.split("+"):
        seed = ":".join(part.strip().split(":")[:2]) + ":"
        if seed in trained_on or (part.strip().startswith("kvct:") and "planning CT" in trained_on):
            raise InvalidInputError(
                f"The bundle was trained on {trained_on}, so its scores on this data would not be those of "
                "new patients. Give phantoms of another seed, or no bundle."
            )


def at_height(person: Person, settings: Settings) -> Person:
    """A simulated patient at a random height of the body; a planning CT as it is."""
    if not isinstance(person.job, PhantomJob):
        return person
    from manabi.phantoms.head_neck import HeadNeckPhantom

    low, high = numbers(settings.tops_mm, "tops_mm")
    number = int(hashlib.sha256(person.name.encode()).hexdigest()[:8], 16)
    phantom = HeadNeckPhantom()
    drawn = phantom.from_json(person.job.parameters)
    top = float(np.random.default_rng(number).uniform(low, high))
    parameters = phantom.to_json(replace(drawn, grid=replace(drawn.grid, top_mm=top)))
    return replace(person, job=PhantomJob(parameters, person.job.settings))


@lru_cache(maxsize=4)
def pairs_of(plan: Plan, kind: str, split: str) -> tuple[TestPair, ...]:
    """The patients of a split as volumes."""
    return tuple(load_pairs(site_of(plan, kind), split))


@lru_cache(maxsize=2)
def training_pairs(plan: Plan, kind: str) -> tuple[PairedCT, ...]:
    """Training patients on the network's grid, cut to the body's box, in a random order that the split's seed gives."""
    pairs = [_cut(pair, plan.settings.pixel_mm) for pair in pairs_of(plan, kind, TRAINING)]
    order = np.random.default_rng([plan.settings.split_seed, len(pairs)]).permutation(len(pairs))
    return tuple(pairs[int(n)] for n in order)


def _cut(pair: TestPair, pixel_mm: float) -> PairedCT:
    source, target = (prepare(volume, (pixel_mm, pixel_mm)) for volume in (pair.source, pair.target))
    crop = crop_to_body(tissue_map(target.hu, target.image.spacing_mm).body)
    return PairedCT(*(np.ascontiguousarray(crop.of(w.hu)[crop.slices]).astype(np.float16) for w in (source, target)))


@dataclass(frozen=True)
class View:
    """A test patient, ready to be scored on.

    Attributes:
        pair: the volumes.
        source: MVCT ``(slices, rows, columns)`` in RAS order.
        target: true kVCT.
        tissues: of the true kVCT, those that every part and :mod:`Training.mvct_evaluate` measure in.
        spacing: along I, J, K, mm.
    """

    pair: TestPair
    source: np.ndarray
    target: np.ndarray
    tissues: TissueMap
    spacing: np.ndarray


@lru_cache(maxsize=2)
def views(plan: Plan, kind: str) -> tuple[View, ...]:
    """The test patients."""
    out = []
    for pair in pairs_of(plan, kind, TEST):
        source, target = straight(pair.source), straight(pair.target)
        spacing = np.asarray(pair.target.reoriented().spacing_mm, float)
        out.append(View(pair, source, target, kvct_tissues(target, spacing), spacing))
    return tuple(out)


def straight(volume: Volume) -> np.ndarray:
    """The voxels in RAS order, ``(slices, rows, columns)`` float32."""
    return np.asarray(volume.reoriented().array, np.float32)


# --- lists, processes, JSON -------------------------------------------------------------------------------------------


def numbers(text: str, name: str) -> list[float]:
    """Numbers in a setting; raises InvalidInputError for anything else."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInputError(f"experiment.{name} must be numbers with commas; got {text!r}.") from error


def spread(function: Callable[[Job], Any], jobs: Sequence[Job], workers: int) -> None:
    """Call a function of a module for every job, in so many processes of one thread each."""
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            function(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_one_thread) as pool:
        for _ in pool.map(function, jobs):
            pass


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def finite(value: Any) -> Any:
    """JSON has no NaN: what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
