"""What the parts of the BrainSeg experiment share: heads, settings, and arms that are kept once they are finished."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from manabi.brain.structures import CLASSES
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from Training.brain_contrast import ContrastRecipe
from Training.brain_losses import TWELVE
from Training.brain_tests import measure_case
from Training.config import TrainConfig
from Training.engine import fit
from Training.experiments.brain_cases import BrainCase, stacked
from Training.experiments.slices_arms import digest, found, keep
from Training.structure_task import Labelled, StructureRecipe, StructureTask, predict
from Training.task import Task

logger = logging.getLogger(__name__)

PARTS = ("losses", "skips", "labels", "contrast")
LOSSES = tuple(f"{kind}-{weighting}" for kind, weighting in TWELVE)
READINGS = ("cross_entropy-dtm:decay", "dice-dtm:decay", "dice-focal:probability")
"""Other readings of three of the twelve; trained beside them, not ranked."""
EVERY = tuple(CLASSES)
Scores = list[dict[str, dict[str, float]]]
"""Structure to metric to value, one entry per head."""


@dataclass(frozen=True)
class Settings(Parameters):
    """Heads and arms of the experiment."""

    parts: str = field(default=",".join(PARTS), metadata={"help": "which parts to run, with commas"})
    data: str = field(default="phantoms:2027:80", metadata={"help": "cohort of heads"})
    choices: str = field(default="voxel_mm=1.0;slice_mm=1.0", metadata={"help": "phantom parameters, with semicolons"})
    split: str = field(default="60/20", metadata={"help": "heads to train/test"})
    split_seed: int = field(default=0, metadata={"low": 0})
    seeds: int = field(default=3, metadata={"low": 1, "help": "trainings of every arm"})
    losses: str = field(default="all", metadata={"help": "all (twelve), or names like dice-focal with commas"})
    single: str = field(default="vessels,ventricles", metadata={"help": "structures to segment alone"})
    multi: bool = field(default=True, metadata={"help": "also all structures at once"})
    readings: bool = field(default=True, metadata={"help": "also the other readings of DTM and of focal Dice"})
    base_loss: str = field(default="dice-focal", metadata={"help": "of multi-class arms of other parts"})
    vessel_loss: str = field(default="dice-focal", metadata={"help": "of the vessels' arms in contrast"})
    patterns: str = field(default="all", metadata={"help": "all, or skip patterns with commas"})
    skip_fractions: str = field(default="1,0.2,0.1", metadata={"help": "shares of slices that are labelled"})
    label_fractions: str = "0.05,0.1,0.2,0.33,0.5,1"
    noises: str = field(default="none,edges,shifts,leaks,mixed", metadata={"help": "faults; mixed: all three"})
    methods: str = field(default="slices,partial,sparse3d,shape", metadata={"help": "of rebuilding labels"})
    edge_px: int = field(default=2, metadata={"low": 0, "help": "most by which a slice's edge moves"})
    shift_px: int = field(default=2, metadata={"low": 0, "help": "most by which a slice moves"})
    leaks: int = field(default=6, metadata={"low": 0, "help": "places per head where a label runs out"})
    contrast_epochs: int = field(default=0, metadata={"low": 0, "help": "of vessels in contrast; 0: as all others"})
    pairs: float = field(default=0.5, metadata={"low": 0.1, "high": 0.9, "help": "share of heads for Pix2Pix alone"})


def listed(text: str, known: Sequence[str], all_of: Sequence[str] | None = None) -> list[str]:
    """Names in a setting; raises InvalidInputError for one that is not known. ``all`` is ``all_of`` or ``known``."""
    names = list(all_of or known) if text == "all" else [part.strip() for part in text.split(",") if part.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise InvalidInputError(f"Expected names of {', '.join(known)}; got {text!r}.")
    return names


def numbers(text: str) -> list[float]:
    """Shares in a setting, above 0 up to 1; raises InvalidInputError for anything else."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInputError(f"Expected shares with commas, like 1,0.2; got {text!r}.") from error
    if not all(0 < value <= 1 for value in values):
        raise InvalidInputError(f"Shares of labelled slices lie above 0 and up to 1; got {text!r}.")
    return values


@dataclass(frozen=True)
class Bench:
    """Everything that an arm needs.

    Attributes:
        settings: of the experiment.
        recipe: networks and crops.
        training: of the engine.
        pix2pix: generator and judge.
        pix2pix_training: of the engine, for them.
        train: heads to learn from.
        test: heads to be scored on.
        data_hash: digest of all heads.
        folder: where finished arms are kept.
        resume: whether to go on with what is there.
        spent: seconds that every arm took, whichever call did it.
    """

    settings: Settings
    recipe: StructureRecipe
    training: TrainConfig
    pix2pix: ContrastRecipe
    pix2pix_training: TrainConfig
    train: Sequence[BrainCase]
    test: Sequence[BrainCase]
    data_hash: str
    folder: Path
    resume: bool = True
    spent: list[float] = field(default_factory=list)

    @property
    def device(self) -> str:
        """Where networks predict."""
        return str(choose_device(self.training.device).device)

    def arm(self, part: str, name: str, seed: int, key: Mapping[str, Any], work: Callable[[Path], Any]) -> Any:
        """A finished arm from its file, or ``work`` done in a run folder and kept.

        Args:
            part: of the experiment.
            name: of the arm, unique in its part.
            seed: of its training.
            key: JSON values that shape the arm, besides those of recipe, engine and data.
            work: from a folder for the training to JSON values.
        """
        slug = "".join(c if c.isalnum() else "_" for c in name)
        path = self.folder / part / f"{slug}-{seed}.json"
        shape = {**self.recipe.to_dict(), **self.training.what_is_learned(), **key, "name": name, "seed": seed}
        mark = digest(shape, self.data_hash)
        done = found(path, mark) if self.resume else None
        if done is not None:
            self.spent.append(done["duration_s"])
            return done
        logger.info("%s: %s, seed %d", part, name, seed)
        started, run = time.perf_counter(), self.folder / part / f"{slug}-{seed}"
        if not self.resume:
            shutil.rmtree(run, ignore_errors=True)
        content = work(run)
        content["duration_s"] = round(time.perf_counter() - started, 2)
        self.spent.append(content["duration_s"])
        kept = keep(path, mark, content)
        shutil.rmtree(run, ignore_errors=True)
        return kept

    def fit(self, task: Task, seed: int, run: Path, config: TrainConfig | None = None) -> nn.Module:
        """A trained network, from its checkpoint where the training was stopped; the last epoch's weights."""
        chosen = replace(config or self.training, seed=seed)
        return fit(task, chosen, run, resume=self.resume, show_progress=False).model

    def config_3d(self) -> TrainConfig:
        """The engine's settings with the batches of 3-D arms."""
        return replace(self.training, batch_size=self.recipe.batch_3d)

    def scores(
        self, model: nn.Module, cases: Sequence[BrainCase], images: Sequence[np.ndarray], structures: Sequence[str],
        dims: int = 2,
    ) -> Scores:  # fmt: skip
        """:func:`Training.brain_tests.measure_case` of every head."""
        rows = []
        for case, image in zip(cases, images, strict=True):
            found_ = predict(model, image, self.device, dims)
            rows.append(measure_case(target(case, structures), found_, numbered(structures), case.spacing_mm.tolist()))
        return rows

    def keep_arrays(self, part: str, name: str, **arrays: np.ndarray) -> None:
        """Keep what a figure of examples shows."""
        path = self.folder / part / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, overwrite=True) as aside, aside.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def numbered(structures: Sequence[str]) -> dict[str, int]:
    """Labels of the structures as an arm learns them: their place in the list, from 1."""
    return {name: n for n, name in enumerate(structures, start=1)}


def target(case: BrainCase, structures: Sequence[str]) -> np.ndarray:
    """Truth of a head for an arm that learns ``structures``, uint8."""
    out = np.zeros(case.classes.shape, np.uint8)
    for name, label in numbered(structures).items():
        out[case.classes == CLASSES[name]] = label
    return out


def labelled(cases: Sequence[BrainCase], structures: Sequence[str], contrasts: Sequence[str]) -> list[Labelled]:
    """Heads with clean labels on every slice."""
    return [
        Labelled(stacked(case, contrasts), target(case, structures), tuple(range(case.classes.shape[0])))
        for case in cases
    ]


def parameters_of(task: StructureTask) -> int:
    """Number of a network's weights."""
    with torch.random.fork_rng():
        return sum(weight.numel() for weight in task.build_model().parameters())
