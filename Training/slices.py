"""Training SliceMarker: ``python -m Training slices --data COHORT --output DIR``.

COHORT is a CSV of a site's own CTs with the slices it reads as markers (:mod:`Training.slices_table`), or
``phantoms:SEED:COUNT``. The output holds the run (checkpoints, metrics.csv, splits.json) and the finished bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.parameters import Parameters
from manabi.slices.decode import OFFSET_MM
from manabi.slices.prepare import InputSettings, to_channels
from manabi.slices.reading import MARKERS, NEAR_MM
from manabi.store import BundleStore
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.slices_augment import augment
from Training.slices_data import STEP_MM, SliceCase, data_hash, to_hu
from Training.slices_evaluate import score_planes
from Training.slices_split import Split, open_split, write_splits
from Training.task import Task

AROUND_MM = 20.0
"""Near misses: slices this close to a marker are drawn more often (our choice)."""
WORST_MM, MISS_MM = 40.0, 10.0
"""Validation counts no error above the first, and adds the second for an answer that is not right."""
VALIDATION_STEP = 2
"""Planes from one validated slice to the next: 4 mm, the source's."""
END_PLANES = 15
"""A slice shown as an image's end has fewer planes than this beyond it."""


@dataclass(frozen=True)
class SlicesRecipe(Parameters):
    """What is learned, besides the engine's settings; all of it is ours."""

    items_per_epoch: int = field(default=16384, metadata={"low": 1, "help": "slices seen per epoch"})
    near_share: float = field(default=0.6, metadata={"low": 0.0, "high": 1.0, "help": "of them near a marker"})
    sigma_mm: float = field(default=3.0, metadata={"low": 0.1, "help": "width of the soft label around a marker"})
    offset_weight: float = field(default=2.0, metadata={"low": 0.0, "help": "of the distances' loss"})
    rotate_deg: float = field(default=10.0, metadata={"low": 0.0, "high": 45.0, "help": "either way"})
    shift_mm: float = field(default=22.0, metadata={"low": 0.0, "help": "either way, in the slice"})
    zoom: float = field(default=0.14, metadata={"low": 0.0, "high": 0.5, "help": "scale of 1 ± this"})
    shift_hu: float = field(default=40.0, metadata={"low": 0.0, "help": "of the grey values, either way"})
    warp_mm: float = field(default=4.0, metadata={"low": 0.0, "help": "of smooth bends, standard deviation"})
    texture_hu: float = field(default=40.0, metadata={"low": 0.0, "help": "of patches in soft parts, at most"})
    noise_hu: float = field(default=45.0, metadata={"low": 0.0, "help": "most noise that is added"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies (situs inversus looks so)"})
    between_share: float = field(default=0.5, metadata={"low": 0.0, "high": 1.0, "help": "slices between two planes"})
    end_share: float = field(default=0.3, metadata={"low": 0.0, "high": 1.0, "help": "slices shown as an image's end"})
    widths: str = field(default="20-40-72-112-160", metadata={"help": "channels per level of the network"})
    size: int = field(default=128, metadata={"low": 16, "help": "rows and columns of the network's input"})
    pixel_mm: float = field(default=3.0, metadata={"low": 0.5, "help": "their distance"})
    start: str = field(default="", metadata={"help": "bundle to begin from, like slices-default; empty: from nothing"})
    parts: str = field(default="80/8/12", metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    name: str = field(default="slices-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def input(self) -> InputSettings:
        """What the network sees."""
        return InputSettings(size=self.size, pixel_mm=self.pixel_mm)

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build("slicenet", ...)``."""
        try:
            widths = [int(n) for n in self.widths.split("-")]
        except ValueError as error:
            raise InvalidInputError(f"widths must be channels like 20-40-72; got {self.widths!r}.") from error
        return {"in_channels": self.input().channels, "widths": widths}


class SlicesTask(Task):
    """Slices in, markers and distances out; see :class:`SlicesRecipe`."""

    monitor = "score"

    def __init__(self, recipe: SlicesRecipe, split: Split) -> None:
        self.recipe, self.split, self.settings_in = recipe, split, recipe.input()
        self._hash = data_hash([*split.training, *split.validation])
        self._start = _start_of(recipe)
        self._steps = np.array([round(o / STEP_MM) for o in self.settings_in.offsets_mm])

    def build_model(self) -> torch.nn.Module:
        """The network of the recipe, with the weights it begins from."""
        model = build("slicenet", **self.recipe.network_arguments())
        if self._start is not None:
            model.load_state_dict(self._start.build_network().state_dict())
        return model

    def settings(self) -> dict[str, Any]:
        """Recipe, input, and the weights that it begins from."""
        start = None if self._start is None else self._start.weights_sha256
        return {"recipe": self.recipe.to_dict(), "input": self.settings_in.facts(), "start": start}

    def data_hash(self) -> str:
        """Digest of the cases."""
        return self._hash

    def train_size(self) -> int:
        """Slices per epoch."""
        return self.recipe.items_per_epoch

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One slice with its neighbours, and the markers' distances; see :meth:`train_batch`."""
        inputs, distances = self.train_batch([index], [rng])
        return inputs[0], distances[0]

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor]:
        """Inputs ``(n, channels, size, size)`` and distances ``(n, 3)`` mm towards the head.

        Which slice an item shows follows from its own generator; the batch is augmented with the first item's.
        """
        drawn = [self._drawn(rng) for rng in rngs]
        planes = to_hu(torch.from_numpy(np.stack([p for p, _ in drawn])).float())
        generator = torch.Generator().manual_seed(int(rngs[0].integers(2**62)))
        planes = augment(planes, self.recipe, generator)
        return to_channels(planes, self.settings_in), torch.from_numpy(np.stack([d for _, d in drawn]))

    def _drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Planes of a slice and its neighbours, 8-bit values, and the markers' distances."""
        case = self.split.training[int(rng.integers(len(self.split.training)))]
        k, last = self._place(case, rng), len(case.planes) - 1
        low, high = 0, last
        if rng.random() < self.recipe.end_share:  # as if the image ended here
            if rng.random() < 0.5:
                high = min(k + int(rng.integers(END_PLANES)), last)
            else:
                low = max(k - int(rng.integers(END_PLANES)), 0)
        rows, share = k + self._steps, 0.0
        planes = case.planes[np.clip(rows, low, high)].astype(np.float32)
        if k < high and rng.random() < self.recipe.between_share:  # between two planes: another level, a thicker slab
            share = float(rng.random())
            planes += share * (case.planes[np.clip(rows + 1, low, high)] - planes)
        return planes, (np.array(case.truth) - case.z_mm[k] - share * STEP_MM).astype(np.float32)

    def _place(self, case: SliceCase, rng: np.random.Generator) -> int:
        """A plane: near one of the markers in the image, or anywhere."""
        inside = [t for t in case.truth if case.z_mm[0] - AROUND_MM <= t <= case.z_mm[-1] + AROUND_MM]
        if inside and rng.random() < self.recipe.near_share:
            z = inside[int(rng.integers(len(inside)))] + rng.uniform(-AROUND_MM, AROUND_MM)
            return int(np.abs(case.z_mm - z).argmin())
        return int(rng.integers(len(case.planes)))

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Cross-entropy against soft labels, and the error of the distances' hyperbolic tangent."""
        inputs, distances = batch
        out = model(inputs.contiguous(memory_format=torch.channels_last)).float()
        return self._losses(out, distances)

    def _losses(self, out: Tensor, distances: Tensor) -> dict[str, Tensor]:
        finite = torch.isfinite(distances)
        known = ~torch.isnan(distances)
        d = torch.where(finite, distances, torch.full_like(distances, 1e4))
        label = torch.exp(-0.5 * (d / self.recipe.sigma_mm).square())
        entropy = F.binary_cross_entropy_with_logits(out[:, :3], label, reduction="none")
        marker = (entropy * known).sum() / known.sum().clamp(min=1)
        error = F.smooth_l1_loss(out[:, 3:], torch.tanh(d / OFFSET_MM), reduction="none", beta=0.1)
        offset = (error * finite).sum() / finite.sum().clamp(min=1)
        return {"loss": marker + self.recipe.offset_weight * offset, "marker": marker, "offset": offset}

    @torch.no_grad()
    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """How far each marker's best slice is off in the validation cases, every 4 mm, without the decoder.

        ``score`` is the mean error in mm, of which at most 40 mm count, plus 10 mm times the share of answers that
        are not within 4 mm (our choice: a mean hides misses, and a share alone is too coarse to choose an epoch by).
        """
        errors: list[list[float]] = [[], [], []]
        losses = []
        for case in self.split.validation:
            rows = np.arange(0, len(case.planes), VALIDATION_STEP)
            out = score_planes(model, case, rows, self.settings_in)
            distances = np.array(case.truth)[None] - case.z_mm[rows][:, None]
            losses.append(float(self._losses(torch.from_numpy(out), torch.from_numpy(distances).float())["loss"]))
            for m in np.flatnonzero(np.isfinite(distances[0]) & (distances[0] >= 0) & (distances[-1] <= 0)):
                errors[m].append(min(abs(float(distances[out[:, m].argmax(), m])), WORST_MM))
        every = np.array([e for marker in errors for e in marker] or [WORST_MM])
        means = {f"{marker}_mm": float(np.mean(e)) for marker, e in zip(MARKERS, errors, strict=True) if e}
        score = every.mean() + MISS_MM * (every > NEAR_MM).mean()
        return {"score": float(score), "loss": float(np.mean(losses)), **means}


def _start_of(recipe: SlicesRecipe) -> Bundle | None:
    """The bundle that training begins from; raises InvalidInputError where it is another network."""
    if not recipe.start:
        return None
    bundle = BundleStore().get(recipe.start, method="slices")
    has, wants = bundle.network["arguments"], recipe.network_arguments()
    seen = InputSettings.of(bundle.facts.get("slices", {}).get("input", {}))
    if any(has.get(key) != value for key, value in wants.items()) or seen != recipe.input():
        raise InvalidInputError(
            f"start={recipe.start}: this bundle has the network {has} and sees {seen}; the recipe wants {wants} and "
            f"{recipe.input()}. Give the recipe the bundle's widths, size and pixel_mm, or start from nothing."
        )
    return bundle


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    from Training.slices_bundle import calibrate, export

    sections = read_sections(config_path, overrides, {"training": TrainConfig, "recipe": SlicesRecipe})
    config, recipe = sections["training"], sections["recipe"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    split = open_split(data, recipe, cache or output / "cache")
    write_splits(split, output / "splits.json")
    task = SlicesTask(recipe, split)
    result = fit(task, config, output, resume=resume)
    measured = calibrate(result.model, recipe, split)
    bundle = export(output / "bundle", recipe, config, result, split, measured, data, task.data_hash())
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }  # fmt: skip
