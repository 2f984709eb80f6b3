"""Training PelvicSeg: ``python -m Training pelvis --data COHORT --output DIR``.

COHORT is a CSV of a site's CTs with label maps, or ``phantoms:SEED:COUNT`` (:mod:`Training.pelvis_data`). One network
is trained, whose input is a slice, a few slices (the source: 4), or a block (the source: 128 × 128 × 128); all three
are the same family (:class:`manabi.networks.skipnet.SkipNet`) with the same losses as BrainSeg's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.parameters import Parameters
from manabi.pelvis.structures import PELVIS
from manabi.structures.apply import NetworkInput, probabilities
from manabi.structures.ct_input import InputSettings
from manabi.structures.structure_set import StructureSet
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.pelvis_data import PelvisCase, PelvisCases, open_cases, write_splits
from Training.structure_task import StructureRecipe, StructureTask, Summed, loss_of

NOT_LEARNED = ("name", "version", "structures")
"""Of the recipe, what shapes no weights; structures of one's own are kept by their names."""


@dataclass(frozen=True)
class PelvisRecipe(Parameters):
    """What is learned, besides network and engine; the source states none of it but the kinds of input."""

    kind: Literal["slice", "slices", "volume"] = field(
        default="volume", metadata={"help": "input: one slice, network.neighbours slices, or a block"}
    )
    spacing_mm: str = field(default="2.5x2x2", metadata={"help": "slices x rows x columns that the network sees"})
    low_hu: float = field(default=-160.0, metadata={"help": "grey values from here ..."})
    high_hu: float = field(default=240.0, metadata={"help": "... to here"})
    structures: str = field(
        default="pelvis", metadata={"help": "pelvis, or a JSON file with a list of structures of one's own"}
    )
    loss: str = field(
        default="cross_entropy-none+dice-none", metadata={"help": "of the twelve, added up; see loss_of()"}
    )
    overlap: float = field(default=0.25, metadata={"low": 0.0, "high": 0.9, "help": "of neighbouring blocks"})
    parts: str = field(default="72/8/20", metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    name: str = field(default="pelvis-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def input_settings(self) -> InputSettings:
        """What the network sees; raises InvalidInputError for a spacing that is not three sizes."""
        try:
            k, j, i = (float(n) for n in self.spacing_mm.split("x"))
        except ValueError as error:
            raise InvalidInputError(f"spacing_mm must be like 2.5x2x2; got {self.spacing_mm!r}.") from error
        return InputSettings((k, j, i), self.low_hu, self.high_hu)

    def network_input(self, network: StructureRecipe) -> NetworkInput:
        """How the network is applied."""
        if self.kind == "volume":
            return NetworkInput(0, network.window(3), self.overlap)
        return NetworkInput(1 if self.kind == "slice" else network.neighbours)

    def structure_set(self) -> StructureSet:
        """What is learned.

        Raises:
            InvalidInputError: for a file that holds no list of structures, or structures with sides, which a network
                of CT does not know: ``kidney_left`` and ``kidney_right`` are two.
        """
        if self.structures == "pelvis":
            return PELVIS
        try:
            facts = json.loads(Path(self.structures).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"structures must be pelvis or a JSON file with a list of structures; {Path(self.structures).name!r} "
                f"cannot be read: {error}."
            ) from error
        known = StructureSet.of(facts if isinstance(facts, list) else [facts])
        if any(one.sided for one in known.structures):
            raise InvalidInputError("Give the left and the right one as two structures, and set network.mirror=false.")
        return known

    def summed_loss(self) -> Summed:
        """The losses that are added up."""
        return Summed(tuple(loss_of(name) for name in self.loss.split("+")))


class PelvisTask(StructureTask):
    """Crops of pelvic CTs; whole validation patients choose the epoch."""

    monitor: str | None = "dice"
    monitor_mode: Literal["min", "max"] = "max"

    def __init__(self, recipe: PelvisRecipe, network: StructureRecipe, cases: PelvisCases) -> None:
        dims = 3 if recipe.kind == "volume" else 2
        if recipe.kind == "slice" and network.neighbours != 1:
            raise InvalidInputError(f"kind=slice sees one slice; got network.neighbours={network.neighbours}.")
        if recipe.kind == "slices" and network.neighbours < 2:
            raise InvalidInputError("kind=slices sees several slices; set network.neighbours, for example to 4.")
        heads = [case.labelled() for case in cases.training]
        super().__init__(
            network, heads, recipe.summed_loss(), len(cases.known.names) + 1, recipe.loss, dims,
            data_hash=cases.data_hash(),
        )  # fmt: skip
        self.how, self.cases = recipe.network_input(network), cases
        if not cases.validation:
            self.monitor = None
        self.own = {key: value for key, value in recipe.to_dict().items() if key not in NOT_LEARNED}
        if cases.known != PELVIS:
            self.own["structures"] = list(cases.known.names)

    def settings(self) -> dict[str, Any]:
        """Those of the engine, and the recipe."""
        return {**super().settings(), "pelvis": self.own}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean Dice of the organs over whole validation patients, on the working grid; nothing without any."""
        if not self.cases.validation:
            return {}
        device = next(model.parameters()).device
        context, known = Context(device=str(device)), self.cases.known
        scores = [scored(model, case, self.how, known, context) for case in self.cases.validation]
        means = [_mean(column) for column in np.array(scores).T]
        named = {f"dice_{organ}": float(v) for organ, v in zip(known.names, means, strict=True) if np.isfinite(v)}
        return {"dice": _mean(np.array(means)), **named}


def _mean(values: np.ndarray) -> float:
    """Of those that there are; NaN where there are none."""
    usable = values[np.isfinite(values)]
    return float(usable.mean()) if usable.size else float("nan")


def scored(
    model: nn.Module, case: PelvisCase, how: NetworkInput, known: StructureSet, context: Context
) -> list[float]:  # fmt: skip
    """Dice of every structure of a patient on the working grid; NaN where the labels do not hold it."""
    found = probabilities(model, np.asarray(case.image, np.float32), how, context).argmax(0)
    out = []
    for organ, value in known.classes.items():
        a, b = found == value, case.labels == value
        total = int(a.sum()) + int(b.sum())
        out.append(2.0 * int((a & b).sum()) / total if organ in case.organs else float("nan"))
    return out


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    from Training.pelvis_bundle import export, measure

    kinds = {"training": TrainConfig, "recipe": PelvisRecipe, "network": StructureRecipe}
    sections = read_sections(config_path, overrides, kinds)
    config, recipe, network = sections["training"], sections["recipe"], sections["network"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    settings = recipe.input_settings()
    known = recipe.structure_set()
    cases = open_cases(data, cache or output / "cache", settings, recipe.parts, recipe.split_seed, known=known)
    write_splits(cases, output / "splits.json")
    result = fit(PelvisTask(recipe, network, cases), config, output, resume=resume)
    measured = measure(result.model, recipe, network, cases)
    bundle = export(output / "bundle", recipe, network, config, result, cases, measured)
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }  # fmt: skip


def rounded(model: nn.Module) -> nn.Module:
    """The network with its weights rounded to half precision, as the bundle keeps them; scores are of these."""
    kept = {k: v.half().float() if torch.is_floating_point(v) else v for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return model.eval()
