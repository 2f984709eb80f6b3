"""Training BrainSeg: ``python -m Training brain --data DATA --output DIR``.

DATA is ``labels:FOLDER`` (label maps in FreeSurfer's codes, from which images of any contrast are made), the CSV of a
site's own images with their labels (columns ``case``, ``image``, ``labels``; see :mod:`Training.brain_scans`), or
``phantoms:SEED:COUNT``. Two networks are trained one after the other: a coarse one at 2 mm, a fine one at 1 mm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import default_collate

from manabi.brain.structures import STRUCTURES
from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.networks.coarse_to_fine import STEP, CoarseToFine
from manabi.parameters import Parameters
from Training.brain_data import Subject, Subjects, data_hash, open_subjects, write_splits
from Training.brain_heads import Bending, three_sides
from Training.brain_labels import N_CLASSES, SETS, dices, labels_of, shares_of, soft_losses
from Training.brain_synth import Example, Looks
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.task import Task

WHOLE_MM = (192, 208, 160)
"""Slices, rows and columns of a whole head, unless the bending says otherwise."""
FINE_ONLY = ("fine_items", "fine_lr", "patches", "patch", "name", "version")
"""Settings that the coarse network does not depend on."""


@dataclass(frozen=True)
class BrainRecipe(Parameters):
    """What is learned, besides the engine's settings; all of it is ours."""

    items_per_epoch: int = field(default=300, metadata={"low": 1, "help": "images seen per epoch by the coarse net"})
    coarse_filters: str = field(default="16-32-64-96-128", metadata={"help": "channels per level, coarse network"})
    crop_mm: str = field(
        default="128x160x128",
        metadata={"help": "slices x rows x columns: the least that is seen of a head; the most is all of it"},
    )
    fine_filters: str = field(default="12-24-48", metadata={"help": "channels per level, fine network"})
    coarse_norm: str = field(
        default="instance", metadata={"help": "none, batch or instance: every image has its contrast"}
    )
    fine_norm: str = field(
        default="instance", metadata={"help": "none, batch or instance; without, a short training does not get going"}
    )
    pattern: str = field(default="horizontal", metadata={"help": "skip connections of both, see SkipNet"})
    stream: int = field(default=8, metadata={"low": 1, "help": "channels of the residual stream, where there is one"})
    convolutions: int = field(default=1, metadata={"low": 1, "help": "per block"})
    fine_epochs: int = field(default=6, metadata={"low": 0, "help": "epochs of the fine network; 0 leaves it out"})
    fine_items: int = field(default=150, metadata={"low": 1, "help": "images per epoch of the fine network"})
    patches: int = field(default=4, metadata={"low": 1, "help": "per image, for the fine network"})
    patch: int = field(default=64, metadata={"low": 16, "help": "side of a patch in mm"})
    fine_lr: float = field(default=2e-3, metadata={"low": 0.0, "help": "learning rate of the fine network"})
    side_weight: float = field(default=0.3, metadata={"low": 0.0, "help": "of the loss of left and right"})
    copies: int = field(default=24, metadata={"low": 1, "help": "deformed heads per label map"})
    trees: int = field(default=3, metadata={"low": 0, "help": "trees of arteries per label map; 0 for none"})
    start: str = field(default="", metadata={"help": "bundle to begin from, like brain-default; empty: from nothing"})
    parts: str = field(default="11/1/2", metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    name: str = field(default="brain-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build("coarse_to_fine", ...)``."""
        common = {"pattern": self.pattern, "stream": self.stream, "convolutions": self.convolutions}
        return {
            "classes": N_CLASSES,
            "coarse": {"filters": numbers("coarse_filters", self.coarse_filters), "norm": self.coarse_norm, **common},
            "fine": None
            if not self.fine_epochs
            else {"filters": numbers("fine_filters", self.fine_filters), "norm": self.fine_norm, **common},
        }


def numbers(name: str, text: str) -> list[int]:
    """Channels from ``16-32-64``; raises InvalidInputError for anything else."""
    try:
        return [int(n) for n in text.split("-")]
    except ValueError as error:
        raise InvalidInputError(f"{name} must be channels like 16-32-64; got {text!r}.") from error


def weights_sha256(model: torch.nn.Module) -> str:
    """A digest of all weights."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def laid_out(model: torch.nn.Module) -> torch.nn.Module:
    """The network with its weights in the order that is fastest for 3-D images."""
    return model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


# --- the coarse network -----------------------------------------------------------------------------------------------


class CoarseTask(Task):
    """Whole heads at 2 mm to classes and sides."""

    monitor, monitor_mode = "dice", "max"

    def __init__(
        self, recipe: BrainRecipe, looks: Looks, subjects: Subjects, start: CoarseToFine | None,
        whole_mm: tuple[int, int, int] = WHOLE_MM,
    ) -> None:  # fmt: skip
        self.recipe, self.looks, self.subjects, self.start = recipe, looks, subjects, start
        self.whole_mm = whole_mm
        self._hash = data_hash(subjects)
        self._fixed: list[Example] = []

    def build_model(self) -> torch.nn.Module:
        """Both networks; only the coarse one is trained here."""
        model = build("coarse_to_fine", **self.recipe.network_arguments())
        if self.start is not None:
            model.load_state_dict(self.start.state_dict())
        return laid_out(model)

    def phase_parameters(self, model: torch.nn.Module, phase: str) -> Any:
        """The coarse network's."""
        return model.coarse.parameters()  # type: ignore[union-attr]

    def settings(self) -> dict[str, Any]:
        """Recipe and looks; what is the fine network's alone may change afterwards."""
        recipe = {key: value for key, value in self.recipe.to_dict().items() if key not in FINE_ONLY}
        start = None if self.start is None else weights_sha256(self.start)
        return {"recipe": recipe, "looks": self.looks.to_dict(), "stage": "coarse", "start": start}

    def data_hash(self) -> str:
        """Digest of the subjects."""
        return self._hash

    def train_size(self) -> int:
        """Images per epoch."""
        return self.recipe.items_per_epoch if self.subjects.training else 0

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Image (1, k, j, i) at 2 mm, class shares (C, k, j, i), sides (k, j, i) of a part of a head."""
        return self._item(rng, part_size(self.recipe, self.whole_mm, rng))

    def train_batch(self, indices: Sequence[int], rngs: Sequence[np.random.Generator]) -> Any:
        """A batch of parts of the same size, which the first item's generator draws."""
        size_mm = part_size(self.recipe, self.whole_mm, rngs[0])
        return default_collate([self._item(rng, size_mm) for rng in rngs])

    def _item(self, rng: np.random.Generator, size_mm: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
        return coarse_form(drawn(self.subjects.training, rng, self.looks, STEP, size_mm))

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Cross-entropy and Dice of the classes, cross-entropy of the sides."""
        image, truth, sides = batch
        image = image.contiguous(memory_format=torch.channels_last_3d)
        out = model(image, stage="coarse").float()
        entropy, dice = soft_losses(out[:, :N_CLASSES], truth)
        known = sides >= 0
        side = F.binary_cross_entropy_with_logits(out[:, N_CLASSES][known], sides[known]) if known.any() else 0 * dice
        return {"loss": entropy + dice + self.recipe.side_weight * side, "dice": dice, "side": side}

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """Mean Dice of the structures at 2 mm, and the share of voxels on the right side."""
        scores, right = [], []
        self._fixed = self._fixed or fixed_examples(self.subjects.validation, self.looks, STEP)
        for example in self._fixed:
            image, truth, sides = coarse_form(example)
            with torch.autocast("cpu", torch.bfloat16, enabled=image.device.type == "cpu"):
                out = model(image[None].contiguous(memory_format=torch.channels_last_3d), stage="coarse")[0].float()
            scores.append(dices(out[:N_CLASSES].argmax(0), labels_of(truth)))
            known = sides >= 0
            right.append(float(((out[N_CLASSES] > 0) == (sides > 0.5))[known].float().mean()))
        means = np.nanmean(np.array(scores), axis=0)
        named = {f"dice_{n}": float(v) for n, v in zip(STRUCTURES, means, strict=True) if np.isfinite(v)}
        return {"dice": float(np.nanmean(means)), **named, "side": float(np.mean(right))}


def part_size(recipe: BrainRecipe, whole_mm: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    """Sides in mm of what is seen of a head, multiples of 8: fields of view differ, and with them the statistics."""
    least = three_sides("crop_mm", recipe.crop_mm)
    share = rng.random(3)
    k, j, i = (
        int(min(a, n) + s * max(n - min(a, n), 0)) // 8 * 8 for a, n, s in zip(least, whole_mm, share, strict=True)
    )
    return max(k, 8), max(j, 8), max(i, 8)


def drawn(
    subjects: Sequence[Subject], rng: np.random.Generator, looks: Looks, step: int,
    size_mm: tuple[int, int, int] | None = None,
) -> Example:  # fmt: skip
    """An image of one of the subjects, or of a part of its head."""
    return subjects[int(rng.integers(len(subjects)))].example(rng, looks, step, size_mm)


def fixed_examples(subjects: Sequence[Subject], looks: Looks, step: int, count: int = 8) -> list[Example]:
    """The same images in every epoch."""
    return [
        subjects[n % len(subjects)].example(np.random.default_rng([99, n]), looks, step)
        for n in range(min(count, 4 * len(subjects)))
    ]


def coarse_form(example: Example) -> tuple[Tensor, Tensor, Tensor]:
    """An example with its image at 2 mm as the coarse network takes it."""
    return example.image[None], shares_of(example.classes, STEP), example.sides


# --- the fine network -------------------------------------------------------------------------------------------------


class FineTask(Task):
    """Patches at 1 mm, with what the trained coarse network says of the whole head, to sharper classes."""

    monitor, monitor_mode = "dice", "max"

    def __init__(
        self, recipe: BrainRecipe, looks: Looks, subjects: Subjects, coarse: CoarseToFine,
        whole_mm: tuple[int, int, int] = WHOLE_MM,
    ) -> None:  # fmt: skip
        self.recipe, self.looks, self.subjects, self.trained = recipe, looks, subjects, coarse.eval()
        self.whole_mm = whole_mm
        if min(three_sides("crop_mm", recipe.crop_mm)) < recipe.patch:
            raise InvalidInputError(f"crop_mm must be at least patch ({recipe.patch}); got {recipe.crop_mm}.")
        self._hash = data_hash(subjects)
        self._fixed: list[Example] = []

    def build_model(self) -> torch.nn.Module:
        """Both networks, the coarse one trained."""
        model = build("coarse_to_fine", **self.recipe.network_arguments())
        model.load_state_dict(self.trained.state_dict())
        return laid_out(model)

    def phase_parameters(self, model: torch.nn.Module, phase: str) -> Any:
        """The fine network's."""
        return model.fine.parameters()  # type: ignore[union-attr]

    def settings(self) -> dict[str, Any]:
        """Recipe and looks."""
        settings = {"recipe": self.recipe.to_dict(), "looks": self.looks.to_dict(), "stage": "fine"}
        return {**settings, "coarse": weights_sha256(self.trained)}

    def data_hash(self) -> str:
        """Digest of the subjects."""
        return self._hash

    def train_size(self) -> int:
        """Images per epoch; each gives several patches."""
        return self.recipe.fine_items if self.subjects.training else 0

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images (n, 1, p, p, p), coarse probabilities (n, C, p, p, p) and classes (n, p, p, p) of n patches."""
        size_mm = part_size(self.recipe, self.whole_mm, rng)
        example = drawn(self.subjects.training, rng, self.looks, 1, size_mm)
        probabilities = self._coarse(example.image)
        chosen = patch_boxes(example.classes, rng, self.recipe)
        images = torch.stack([example.image[box][None] for box in chosen])
        first = torch.stack([probabilities[(slice(None), *box)] for box in chosen])
        return images, first, torch.stack([example.classes[box] for box in chosen])

    @torch.no_grad()
    def _coarse(self, image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits, _ = self.trained.look(image[None, None].contiguous(memory_format=torch.channels_last_3d))
        return self.trained.enlarged(logits, tuple(image.shape))[0]

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Cross-entropy and Dice over all patches of the batch."""
        images, first, classes = (t.flatten(0, 1) for t in batch)
        images = images.contiguous(memory_format=torch.channels_last_3d)
        out = model(images, stage="fine", probabilities=first)
        truth = shares_of(classes)
        entropy, dice = soft_losses(out, truth)
        return {"loss": entropy + dice, "dice": dice}

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """Mean Dice of the structures at 1 mm over patches of the validation images."""
        found, truth, before = [], [], []
        self._fixed = self._fixed or fixed_examples(self.subjects.validation, self.looks, 1, 6)
        for n, example in enumerate(self._fixed):
            probabilities = self._coarse(example.image)
            for box in patch_boxes(example.classes, np.random.default_rng([98, n]), self.recipe):
                image, first = example.image[box][None, None], probabilities[(slice(None), *box)][None]
                out = model(image.contiguous(memory_format=torch.channels_last_3d), "fine", first)
                found.append(out[0].argmax(0))
                before.append(first[0].argmax(0))
                truth.append(example.classes[box])
        scores = dices(torch.stack(found), torch.stack(truth))
        named = {f"dice_{n}": v for n, v in zip(STRUCTURES, scores, strict=True) if np.isfinite(v)}
        coarse = float(np.nanmean(dices(torch.stack(before), torch.stack(truth))))
        return {"dice": float(np.nanmean(scores)), "dice_before": coarse, **named}


def patch_boxes(classes: Tensor, rng: np.random.Generator, recipe: BrainRecipe) -> list[tuple[slice, slice, slice]]:
    """Boxes of patches; each is centred near a voxel of a class that is drawn first, or anywhere in the head."""
    boxes = []
    side = recipe.patch
    for _ in range(recipe.patches):
        wanted = int(rng.integers(1, N_CLASSES))
        places = (classes == wanted).nonzero()
        if not len(places):
            places = ((classes > 0) & (classes < SETS)).nonzero()
        centre = places[int(rng.integers(len(places)))].numpy() if len(places) else np.array(classes.shape) // 2
        centre = centre + rng.integers(-side // 4, side // 4 + 1, 3)
        low = [int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(centre, classes.shape, strict=True)]
        boxes.append((slice(low[0], low[0] + side), slice(low[1], low[1] + side), slice(low[2], low[2] + side)))
    return boxes


# --- the recipe -------------------------------------------------------------------------------------------------------


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    from dataclasses import replace

    from Training.brain_bundle import export, measure

    kinds = {"training": TrainConfig, "recipe": BrainRecipe, "bending": Bending, "looks": Looks}
    sections = read_sections(config_path, overrides, kinds)
    config, recipe, looks = sections["training"], sections["recipe"], sections["looks"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    subjects = open_subjects(data, recipe, sections["bending"], cache or output / "cache")
    write_splits(subjects, output / "splits.json")
    whole = sections["bending"].shape()
    first = fit(CoarseTask(recipe, looks, subjects, start_of(recipe), whole), config, output / "coarse", resume=resume)
    result = first
    if recipe.fine_epochs:
        fine = replace(config, epochs=recipe.fine_epochs, lr=recipe.fine_lr)
        task = FineTask(recipe, looks, subjects, first.model, whole)  # type: ignore[arg-type]
        result = fit(task, fine, output / "fine", resume=resume)
    measured = measure(result.model, recipe, looks, subjects)  # type: ignore[arg-type]
    bundle = export(output / "bundle", recipe, config, looks, sections["bending"], result, subjects, measured)
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(first.duration_s + (result.duration_s if result is not first else 0.0), 1),
    }  # fmt: skip


def start_of(recipe: BrainRecipe) -> CoarseToFine | None:
    """The network that training begins from; raises InvalidInputError where it is another one."""
    if not recipe.start:
        return None
    from manabi.store import BundleStore

    bundle = BundleStore().get(recipe.start, method="brain")
    if bundle.network["arguments"] != recipe.network_arguments():
        raise InvalidInputError(
            f"start={recipe.start}: this bundle has the network {bundle.network['arguments']}; the recipe wants "
            f"{recipe.network_arguments()}. Give the recipe the bundle's filters, or start from nothing."
        )
    return bundle.build_network()  # type: ignore[return-value]
