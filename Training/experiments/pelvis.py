"""PelvicSeg's source on simulated patients: ``python -m Training experiment pelvis --size quick|full``.

Nakagawa's study (``seeds/002``, last part) compares networks that see one slice, four slices, or blocks of 128 voxels,
on 20 planning CTs; it says that blocks looked best and gives no number. Here the three are trained on phantoms in five
folds (part ``kinds``), and the one of blocks on fewer patients (part ``curve``). ``full`` is meant for a GPU; ``quick``
trains for minutes. Settings: ``--set experiment.X=`` (:class:`Settings`); ``training.X=``, ``network.X=`` and
``recipe.X=`` go over the configurations ``pelvis_slice``, ``pelvis_slices`` and ``pelvis`` alike.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from manabi.pelvis.settings import Settings as Applied
from manabi.pelvis.structures import PELVIS
from manabi.phantoms.cohort import parse_choices
from manabi.provenance import package_versions
from Training.cohort import CohortCase, open_cohort
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.experiments import pelvis_report
from Training.experiments.slices_arms import digest, found, keep
from Training.pelvis import PelvisRecipe, PelvisTask
from Training.pelvis_bundle import case_scores
from Training.pelvis_data import PelvisCase, PelvisCases, images_of, reduced_once
from Training.structure_task import StructureRecipe

logger = logging.getLogger(__name__)

RESULTS = "results.json"
PARTS = ("kinds", "curve")
CONFIGS = {"slice": "pelvis_slice", "slices": "pelvis_slices", "volume": "pelvis"}
TYPES: dict[str, type[Parameters]] = {"training": TrainConfig, "recipe": PelvisRecipe, "network": StructureRecipe}
FULL = {
    "slice": ("network.filters=32-64-128-256", "network.convolutions=2", "training.epochs=40"),
    "slices": ("network.filters=32-64-128-256", "network.convolutions=2", "training.epochs=40"),
    "volume": (
        "network.filters_3d=32-64-128-256", "network.convolutions=2", "network.crop_3d=128x128x128",
        "network.checkpointing=true", "training.epochs=40",
    ),
}  # fmt: skip
"""Blocks as the source's; its networks and schedules are not stated in what we could read (our choices)."""
QUICK = {
    "slice": ("network.items_per_epoch=1600", "training.epochs=5"),
    "slices": ("network.items_per_epoch=1600", "training.epochs=5"),
    "volume": ("network.items_3d=160", "training.epochs=5"),
}
"""For processors: 500 steps of 16 slices, 800 of one block."""


@dataclass(frozen=True)
class Settings(Parameters):
    """Patients and arms; the defaults are the size of the source's study."""

    parts: str = field(default=",".join(PARTS), metadata={"help": "which parts to run, with commas"})
    data: str = field(default="phantoms:2041:20", metadata={"help": "phantoms:SEED:COUNT, or a CSV as the recipe has"})
    choices: str = field(default="", metadata={"help": "phantom parameters to fix, as pixel_mm=3;matrix=128"})
    folds: int = field(default=5, metadata={"low": 2, "help": "every patient is in the test of one"})
    split_seed: int = field(default=0, metadata={"low": 0, "help": "of the folds"})
    kinds: str = field(default="slice,slices,volume", metadata={"help": "inputs to compare, with commas"})
    curve: str = field(default="4,8,16", metadata={"help": "numbers of patients to train on, for blocks"})
    seeds: int = field(default=1, metadata={"low": 1, "help": "trainings of every arm, averaged"})


@dataclass(frozen=True)
class Bench:
    """What the parts share.

    Attributes:
        settings: of the experiment.
        sections: of every kind: engine, recipe and network.
        cohort: the patients.
        cache: of reduced cases.
        folder: where finished arms are kept.
        resume: whether to go on with what is there.
    """

    settings: Settings
    sections: Mapping[str, Mapping[str, Any]]
    cohort: tuple[CohortCase, ...]
    cache: Path
    folder: Path
    resume: bool

    def folds(self) -> list[list[int]]:
        """Numbers of the test patients of every fold."""
        order = np.random.default_rng(self.settings.split_seed).permutation(len(self.cohort))
        return [sorted(map(int, part)) for part in np.array_split(order, self.settings.folds)]

    def arm(self, kind: str, count: int | None, seed: int) -> dict[str, Any]:
        """Scores of every patient, each by the network that was trained without him.

        Args:
            kind: of input.
            count: patients to train on; None takes all that are not in the fold.
            seed: of the trainings.
        """
        rows: dict[int, Any] = {}
        seconds, weights = 0.0, 0
        for number, test in enumerate(self.folds()):
            one = self._fold(kind, count, seed, number, test)
            rows |= dict(zip(test, one["scores"], strict=True))
            seconds, weights = seconds + one["duration_s"], one["weights"]
        return {"scores": [rows[n] for n in range(len(self.cohort))], "seconds": seconds, "weights": weights}

    def _fold(self, kind: str, count: int | None, seed: int, number: int, test: Sequence[int]) -> dict[str, Any]:
        sections = self.sections[kind]
        recipe, network = sections["recipe"], sections["network"]
        config = replace(sections["training"], seed=seed)
        others = [n for n in range(len(self.cohort)) if n not in test]
        chosen = sorted(np.random.default_rng([self.settings.split_seed, number]).permutation(others)[:count].tolist())
        cases = self._cases(recipe, chosen)
        shape = {"recipe": recipe.to_dict(), "network": network.to_dict(), "training": config.what_is_learned(),
                 "test": list(test), "chosen": chosen}  # fmt: skip
        path = self.folder / f"{kind}-{count or 'all'}-{number}-{seed}.json"
        key = digest(shape, cases.data_hash())
        done = found(path, key) if self.resume else None
        if done is not None:
            return done
        logger.info("%s, %s patients, fold %d of %d, seed %d", kind, len(chosen), number + 1, len(self.folds()), seed)
        started, run = time.perf_counter(), path.with_suffix("")
        task = PelvisTask(recipe, network, cases)
        result = fit(task, config, run, resume=self.resume, show_progress=False)
        trained = time.perf_counter() - started
        device = choose_device(config.device).device
        model, context = result.model.to(device).eval(), Context(device=str(device))
        applied = Applied(PELVIS, recipe.input_settings(), recipe.network_input(network))
        scores = [case_scores(model, applied, *images_of(self.cohort[n]), context) for n in test]
        content = {"scores": scores, "duration_s": round(trained, 2),
                   "weights": sum(p.numel() for p in model.parameters())}  # fmt: skip
        kept = keep(path, key, content)
        shutil.rmtree(run, ignore_errors=True)
        return kept

    def _cases(self, recipe: PelvisRecipe, chosen: Sequence[int]) -> PelvisCases:
        settings = recipe.input_settings()
        training: list[PelvisCase] = [reduced_once(self.cohort[n], self.cache, settings) for n in chosen]
        return PelvisCases(training, [], [], self.settings.data, self.settings.data.startswith("phantoms:"))


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the chosen parts, or go on with them; writes results.json, pelvis_experiment.md and figures to ``output``.

    Parts that an earlier call left in results.json stay there (with ``resume``), each with what it was made with.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    mine = [text for text in overrides if text.startswith("experiment.")]
    theirs = [text for text in overrides if not text.startswith("experiment.")]
    settings: Settings = read_sections(None, mine, {"experiment": Settings})["experiment"]
    kinds = _listed(settings.kinds, tuple(CONFIGS), "kinds")
    needed = (*kinds, "volume") if "curve" in _listed(settings.parts, PARTS, "parts") else kinds
    sizes = QUICK if size == "quick" else FULL
    sections = {kind: read_sections(CONFIGS[kind], [*sizes[kind], *theirs], TYPES) for kind in dict.fromkeys(needed)}
    place = cache or output / "cache"
    choices = parse_choices([text for text in settings.choices.split(";") if text.strip()])
    cohort = open_cohort(
        settings.data, place, phantom="pelvis", parts=f"{_count(settings)}/0/0", columns=("image", "labels"),
        keep=("ct",), choices=choices,
    )  # fmt: skip
    if len(cohort.cases) < 2 * settings.folds:
        raise InvalidInputError(
            f"{settings.folds} folds need at least {2 * settings.folds} patients; got {len(cohort.cases)}."
        )
    bench = Bench(settings, sections, cohort.cases, place, output / "arms", resume)
    for part in _listed(settings.parts, PARTS, "parts"):
        made = _kinds(bench, kinds) if part == "kinds" else _curve(bench)
        _keep(output / RESULTS, part, {"about": _about(bench, size), **made}, resume)
    results = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    return {"results": str(output / RESULTS), "report": str(pelvis_report.write_page(results, output))}


def _count(settings: Settings) -> int:
    """Patients that a cohort of phantoms has; of a table all, whatever this says."""
    return int(settings.data.rpartition(":")[2]) if settings.data.startswith("phantoms:") else 1


def _kinds(bench: Bench, kinds: Sequence[str]) -> dict[str, Any]:
    arms = {kind: [bench.arm(kind, None, seed) for seed in range(bench.settings.seeds)] for kind in kinds}
    return {"arms": {kind: _averaged(runs) for kind, runs in arms.items()}}


def _curve(bench: Bench) -> dict[str, Any]:
    """Every number of patients that a fold leaves."""
    most = len(bench.cohort) - max(len(fold) for fold in bench.folds())
    counts = sorted({min(int(n), most) for n in bench.settings.curve.split(",")})
    runs = {n: [bench.arm("volume", n if n < most else None, s) for s in range(bench.settings.seeds)] for n in counts}
    return {"arms": {str(n): _averaged(found_) for n, found_ in runs.items()}}


def _averaged(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every patient's scores, averaged over trainings; seconds of one training of all folds."""
    first = runs[0]
    scores = [
        {organ: {m: float(np.mean([run["scores"][n][organ][m] for run in runs])) for m in values}
         for organ, values in row.items()}
        for n, row in enumerate(first["scores"])
    ]  # fmt: skip
    return {"scores": scores, "seconds": float(np.mean([r["seconds"] for r in runs])), "weights": first["weights"]}


def _about(bench: Bench, size: str) -> dict[str, Any]:
    """What a part was made with; folders are left out, for their names may name people."""
    told = {kind: {name: one.to_dict() for name, one in parts.items()} for kind, parts in bench.sections.items()}
    simulated = bench.settings.data.startswith("phantoms:")
    experiment = {**bench.settings.to_dict(), "data": bench.settings.data if simulated else "a table"}
    device = str(choose_device(bench.sections[next(iter(told))]["training"].device).device)
    return {"size": size, "experiment": experiment, "kinds": told, "device": device, "simulated": simulated,
            "patients": len(bench.cohort), "versions": package_versions()}  # fmt: skip


def _keep(path: Path, part: str, content: Mapping[str, Any], resume: bool) -> None:
    before = json.loads(path.read_text(encoding="utf-8")) if resume and path.is_file() else {}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps({**before, part: content}, indent=1), encoding="utf-8")


def _listed(text: str, known: Sequence[str], name: str) -> list[str]:
    """Names from a list with commas; raises InvalidInputError for one that is not known, or none."""
    chosen = [word.strip() for word in text.split(",") if word.strip()]
    if not chosen or any(word not in known for word in chosen):
        raise InvalidInputError(f"experiment.{name} must be some of {', '.join(known)}; got {text!r}.")
    return [word for word in known if word in chosen]
