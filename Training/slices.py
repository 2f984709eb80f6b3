"""Training SliceMarker: ``python -m Training slices --data COHORT --output DIR``.

COHORT is a CSV of a site's own CTs with the slices it reads as markers (:mod:`Training.slices_table`), or
``phantoms:SEED:COUNT``. The output holds the run (checkpoints, metrics.csv, splits.json) and the finished bundle.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.networks import build
from manabi.parameters import Parameters
from manabi.slices.decode import OFFSET_MM
from manabi.slices.prepare import InputSettings, to_channels
from Training.cohort import SPLITS, split_counts
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.slices_data import STEP_MM, SliceCase, data_hash, load, prepare_phantoms, to_hu
from Training.task import Task

logger = logging.getLogger(__name__)

NEAR_MM = 20.0
PHANTOM_PREFIX = "phantoms:"


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
    noise_hu: float = field(default=45.0, metadata={"low": 0.0, "help": "most noise that is added"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies (situs inversus looks so)"})
    end_share: float = field(default=0.3, metadata={"low": 0.0, "high": 1.0, "help": "slices shown as an image's end"})
    widths: str = field(default="20-40-72-112-160", metadata={"help": "channels per level of the network"})
    size: int = field(default=128, metadata={"low": 16, "help": "rows and columns of the network's input"})
    pixel_mm: float = field(default=3.0, metadata={"low": 0.5, "help": "their distance"})
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


@dataclass(frozen=True)
class Split:
    """Prepared cases by what they are used for."""

    training: list[SliceCase]
    validation: list[SliceCase]
    test: list[SliceCase]
    simulated: bool

    @property
    def all(self) -> list[SliceCase]:
        """All cases."""
        return [*self.training, *self.validation, *self.test]


class SlicesTask(Task):
    """Slices in, markers and distances out; see :class:`SlicesRecipe`."""

    monitor = "loss"

    def __init__(self, recipe: SlicesRecipe, split: Split) -> None:
        self.recipe, self.split, self.settings_in = recipe, split, recipe.input()
        self._hash = data_hash([*split.training, *split.validation])
        self._steps = np.array([round(o / STEP_MM) for o in self.settings_in.offsets_mm])

    def build_model(self) -> torch.nn.Module:
        """The network of the recipe."""
        return build("slicenet", **self.recipe.network_arguments())

    def settings(self) -> dict[str, Any]:
        """Recipe and input."""
        return {"recipe": self.recipe.to_dict(), "input": self.settings_in.facts()}

    def data_hash(self) -> str:
        """Digest of the cases."""
        return self._hash

    def train_size(self) -> int:
        """Slices per epoch."""
        return self.recipe.items_per_epoch

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One slice with its neighbours and the markers' distances; :meth:`train_batch` makes them all at once."""
        planes, distances = self._drawn(rng)
        return torch.from_numpy(planes), torch.from_numpy(distances)

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor]:
        """Inputs ``(n, channels, size, size)`` and distances ``(n, 3)`` mm towards the head."""
        drawn = [self._drawn(rng) for rng in rngs]
        planes = to_hu(torch.from_numpy(np.stack([p for p, _ in drawn])).float())
        generator = torch.Generator().manual_seed(int(rngs[0].integers(2**62)))
        planes = augment(planes, self.recipe, generator)
        return to_channels(planes, self.settings_in), torch.from_numpy(np.stack([d for _, d in drawn]))

    def _drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        case = self.split.training[int(rng.integers(len(self.split.training)))]
        k = self._place(case, rng)
        low, high = 0, len(case.planes) - 1
        if rng.random() < self.recipe.end_share:  # as if the image ended here
            if rng.random() < 0.5:
                high = min(k + int(rng.integers(0, 7)), high)
            else:
                low = max(k - int(rng.integers(0, 7)), low)
        planes = case.planes[np.clip(k + self._steps, low, high)]
        return planes, (np.array(case.truth) - case.z_mm[k]).astype(np.float32)

    def _place(self, case: SliceCase, rng: np.random.Generator) -> int:
        """A plane: near one of the markers in the image, or anywhere."""
        inside = [t for t in case.truth if case.z_mm[0] - NEAR_MM <= t <= case.z_mm[-1] + NEAR_MM]
        if inside and rng.random() < self.recipe.near_share:
            z = inside[int(rng.integers(len(inside)))] + rng.uniform(-NEAR_MM, NEAR_MM)
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
        """Mean error of each marker's best slice (at most 40 mm count), and the loss, on the validation cases."""
        errors: list[list[float]] = [[], [], []]
        losses = []
        for case in self.split.validation:
            rows = np.arange(0, len(case.planes), 2)
            out = self.scores(model, case, rows)
            distances = torch.from_numpy((np.array(case.truth)[None] - case.z_mm[rows][:, None]).astype(np.float32))
            losses.append(float(self._losses(torch.from_numpy(out), distances)["loss"]))
            for m, truth in enumerate(case.truth):
                if case.z_mm[0] <= truth <= case.z_mm[-1]:
                    errors[m].append(min(abs(float(case.z_mm[rows][out[:, m].argmax()]) - truth), 40.0))
        means = [float(np.mean(e)) if e else 0.0 for e in errors]
        return {"loss": float(np.mean(losses)), "apex_mm": means[0], "carina_mm": means[1], "diaphragm_mm": means[2]}

    def scores(self, model: torch.nn.Module, case: SliceCase, rows: np.ndarray) -> np.ndarray:
        """Network outputs ``(len(rows), 6)`` for planes of a case."""
        return score_planes(model, case, rows, self.settings_in)


@torch.no_grad()
def score_planes(model: torch.nn.Module, case: SliceCase, rows: np.ndarray, settings: InputSettings) -> np.ndarray:
    """Network outputs for planes of a case, ``(len(rows), 6)`` float32; neighbours at its ends repeat."""
    steps = np.array([round(o / STEP_MM) for o in settings.offsets_mm])
    index = np.clip(rows[:, None] + steps[None], rows.min(), rows.max())
    device = next(model.parameters()).device
    out = []
    for part in np.array_split(index, max(len(index) // 64, 1)):
        planes = to_hu(torch.from_numpy(case.planes[part]).float())
        inputs = to_channels(planes, settings).to(device).contiguous(memory_format=torch.channels_last)
        out.append(model(inputs).float().cpu().numpy())
    return np.concatenate(out)


def augment(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Planes ``(n, offsets, size, size)`` HU, each item turned, shifted, scaled, mirrored, blurred, with noise."""
    n, _, size, _ = planes.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    angle = torch.deg2rad(uniform(-recipe.rotate_deg, recipe.rotate_deg))
    scale = 1.0 + uniform(-recipe.zoom, recipe.zoom)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if recipe.mirror else torch.ones(n)
    reach = recipe.shift_mm / (recipe.pixel_mm * size / 2)
    theta = torch.stack([
        torch.stack([flip * torch.cos(angle) / scale, -torch.sin(angle) / scale, uniform(-reach, reach)], 1),
        torch.stack([flip * torch.sin(angle) / scale, torch.cos(angle) / scale, uniform(-reach, reach)], 1),
    ], 1)  # fmt: skip
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    air = -1000.0
    planes = F.grid_sample(planes - air, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + air
    soft = uniform(0, 1) < 0.25
    if soft.any():
        planes[soft] = F.avg_pool2d(planes[soft], 3, stride=1, padding=1, count_include_pad=False)
    planes = planes * (1.0 + uniform(-0.06, 0.06, 1, 1, 1)) + uniform(-recipe.shift_hu, recipe.shift_hu, 1, 1, 1)
    noisy = uniform(0, 1) < 0.5
    if noisy.any():
        strength = uniform(0, recipe.noise_hu, 1, 1, 1)[noisy]
        planes[noisy] += strength * torch.randn(planes[noisy].shape, generator=generator)
    return planes


def open_split(data: str, recipe: SlicesRecipe, cache: Path) -> Split:
    """Prepared cases of a CSV or of phantoms, split by patient.

    Raises:
        InvalidInputError: for a table that cannot be read, or labels that cannot be right.
    """
    if data.startswith(PHANTOM_PREFIX):
        seed, count = _phantom_numbers(data)
        cases = [load(path) for path in prepare_phantoms(seed, count, cache, recipe.input())]
        numbers = split_counts(recipe.parts, count)
        bounds = np.cumsum((0, *numbers))
        parts = [cases[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
        return Split(parts[0], parts[1], parts[2], simulated=True)
    from Training.slices_table import open_table

    return Split(*open_table(Path(data), recipe, cache), simulated=False)


def _phantom_numbers(data: str) -> tuple[int, int]:
    parts = data.split(":")
    if len(parts) != 3 or not parts[1].isdecimal() or not parts[2].isdecimal() or int(parts[2]) < 3:
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT with at least 3, e.g. phantoms:1:300; got {data!r}.")
    return int(parts[1]), int(parts[2])


def write_splits(split: Split, path: Path) -> None:
    """List every split's cases in a JSON file."""
    record = {name: [case.name for case in getattr(split, name)] for name in SPLITS}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


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
