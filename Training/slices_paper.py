"""The source's extractor of one marker: a binary image classifier for the 4 mm slices of a chest CT.

Zhang et al., 2021 (``seeds/003``): 8-bit images, random oversampling of the one positive slice of a case to as many as
the negatives (figure 4), augmentation by distortion and rotation, cross-entropy that weights false positives more,
AdamW at 1e-3 for 20 epochs, the last ten at a reduced rate. The source gives no image size, window, weights or amounts:
where a default is not the source's, its help says "our choice" (see ``methods/slices.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.errors import InvalidInputError
from manabi.networks.classifiers import CLASSIFIERS, build_classifier
from manabi.parameters import Parameters
from manabi.slices.prepare import reduction, slab_weights
from manabi.slices.reading import MARKERS
from manabi.slices.stack import AxialStack
from manabi.volume import Volume
from Training.experiments.slices_scores import TOLERANCE, Answer, answer_of, one_up_down
from Training.task import Task

SAME_SPACING_MM = 0.5
"""Stacks this close to the wanted spacing keep their own slices (our choice)."""
GREY, SPREAD = 0.449, 0.226
"""Mean and spread that images are normalised with: those of ImageNet's grey values, as the networks were made for."""
BATCH = 64


@dataclass(frozen=True)
class PaperRecipe(Parameters):
    """What one extractor learns from, besides the engine's settings."""

    network: str = field(default="efficientnet_b4", metadata={"help": "of manabi.networks.classifiers"})
    marker: str = field(default="carina", metadata={"help": "apex, carina or diaphragm"})
    size: int = field(default=224, metadata={"low": 16, "help": "rows and columns of the image (our choice)"})
    slice_mm: float = field(default=4.0, metadata={"low": 0.5, "help": "distance of slices (source)"})
    level_hu: float = field(default=-550.0, metadata={"help": "of the 8-bit window (our choice)"})
    width_hu: float = field(default=700.0, metadata={"low": 1.0, "help": "of the window (ILD-Slider)"})
    neighbours: bool = field(default=False, metadata={"help": "slices above and below as channels (ours)"})
    negative_weight: float = field(default=2.0, metadata={"low": 0.0, "help": "in the loss (our choice)"})
    positive_weight: float = field(default=1.0, metadata={"low": 0.0, "help": "in the loss (our choice)"})
    rotate_deg: float = field(default=10.0, metadata={"low": 0.0, "help": "either way (our choice)"})
    shift: float = field(default=0.05, metadata={"low": 0.0, "help": "share of the image (our choice)"})
    zoom: float = field(default=0.1, metadata={"low": 0.0, "high": 0.5, "help": "scale 1 ± this (our choice)"})
    shift_hu: float = field(default=30.0, metadata={"low": 0.0, "help": "of the grey values (our choice)"})
    items_per_epoch: int = field(default=0, metadata={"low": 0, "help": "half positive; 0: twice all negatives"})
    norm_momentum: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0, "help": "0: the network's own"})
    weights: str = field(default="", metadata={"help": "file to start from (source: ImageNet)", "file": True})

    def __post_init__(self) -> None:
        """Check every field, and the names."""
        super().__post_init__()
        for name, value, known in (("network", self.network, tuple(CLASSIFIERS)), ("marker", self.marker, MARKERS)):
            if value not in known:
                raise InvalidInputError(f"{name} must be one of {', '.join(known)}; got {value!r}.")

    def input_settings(self) -> dict[str, Any]:
        """What shapes the 8-bit images."""
        return {key: getattr(self, key) for key in ("size", "slice_mm", "level_hu", "width_hu")}


@dataclass(frozen=True)
class PaperCase:
    """One case as the extractors see it.

    Attributes:
        name: of the case.
        images: ``(n, size, size)`` uint8, from the feet to the head; row 0 at the back, column 0 at the patient's left.
        z_mm: ``(n,)`` positions.
        levels_mm: the true level by marker, RAS z; also of markers outside the image.
        read: the slice that a reader took for it, where that is another one; extractors learn from these.
    """

    name: str
    images: np.ndarray
    z_mm: np.ndarray
    levels_mm: Mapping[str, float]
    read: Mapping[str, int] = field(default_factory=dict)

    @property
    def truth(self) -> dict[str, int | None]:
        """The true slice by marker; None where it is not in the image."""
        return {marker: true_slice(self.z_mm, level) for marker, level in self.levels_mm.items()}

    def label(self, marker: str) -> int | None:
        """The slice to learn: the reader's, else the true one."""
        return self.read.get(marker, self.truth[marker])

    def label_mm(self, marker: str) -> float:
        """The level to learn: the middle of the reader's slice, else the true level."""
        return float(self.z_mm[self.read[marker]]) if marker in self.read else self.levels_mm[marker]

    def channels(self, k: int, neighbours: bool) -> np.ndarray:
        """Slice ``k`` three times, or with the slices below and above it: ``(3, size, size)`` uint8."""
        reach = np.array([-1, 0, 1]) if neighbours else np.zeros(3, int)
        return self.images[np.clip(k + reach, 0, len(self.images) - 1)]


def paper_case(name: str, volume: Volume, truth_mm: Mapping[str, float], recipe: PaperRecipe) -> PaperCase:
    """Prepare one CT: 4 mm slices of its whole field of view as 8-bit images.

    Args:
        name: of the case.
        volume: CT in HU.
        truth_mm: RAS z by marker, also of markers outside the image.
        recipe: size, spacing and window.
    """
    stack = AxialStack.of(volume)
    z = slice_positions(stack, recipe.slice_mm)
    images = np.empty((len(z), recipe.size, recipe.size), np.uint8)
    rows, columns = _matrices(stack, recipe.size)
    low = recipe.level_hu - recipe.width_hu / 2
    for n, place in enumerate(z):
        indices, shares = slab_weights(stack, float(place), recipe.slice_mm)
        plane = sum(w * stack.plane(k).astype(np.float32) for k, w in zip(indices, shares, strict=True))
        grey = (rows @ (np.asarray(plane) - low) @ columns) * (255.0 / recipe.width_hu)
        images[n] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return PaperCase(name, images, z, {marker: float(truth_mm[marker]) for marker in MARKERS})


def slice_positions(stack: AxialStack, slice_mm: float) -> np.ndarray:
    """The stack's own slices where they lie as wanted, else every ``slice_mm`` from the lowest one."""
    if abs(stack.spacing_mm - slice_mm) <= SAME_SPACING_MM:
        return stack.z_mm
    return np.arange(stack.z_mm[0], stack.z_mm[-1] + 1e-6, slice_mm)


def true_slice(z_mm: np.ndarray, level_mm: float) -> int | None:
    """The slice whose middle is closest to a level; None for one beyond the outer slices."""
    half = (z_mm[-1] - z_mm[0]) / max(len(z_mm) - 1, 1) / 2
    if not z_mm[0] - half <= level_mm <= z_mm[-1] + half:
        return None
    return int(np.abs(z_mm - level_mm).argmin())


def _matrices(stack: AxialStack, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The whole field of view, its longer side on ``size`` pixels, as an export to PNG would have it."""
    _, n_rows, n_columns = stack.volume.shape
    step_i, step_j = stack.pixel_mm
    pixel = max(n_rows * step_j, n_columns * step_i) / size
    rows = reduction(n_rows, step_j, (n_rows - 1) / 2, size, pixel)
    return rows, reduction(n_columns, step_i, (n_columns - 1) / 2, size, pixel).T.copy()


class PaperTask(Task):
    """One extractor; see :class:`PaperRecipe`.

    The epoch with the best 1-Up-Down F1 on the validation cases is kept (our choice); without any, the last one.
    """

    monitor_mode = "max"

    def __init__(
        self, recipe: PaperRecipe, training: Sequence[PaperCase], validation: Sequence[PaperCase], data_hash: str
    ) -> None:
        self.recipe, self.training, self.validation, self._hash = recipe, training, validation, data_hash
        self.monitor = "f1" if validation else None
        labels = [case.label(recipe.marker) for case in training]
        self.positives = [(n, k) for n, k in enumerate(labels) if k is not None]
        self.negatives = [(n, k) for n, case in enumerate(training) for k in range(len(case.images)) if k != labels[n]]
        if not self.positives or not self.negatives:
            raise InvalidInputError(f"No training case shows the {recipe.marker}; at least one has to.")

    def build_model(self) -> torch.nn.Module:
        """The recipe's classifier with one logit."""
        model = build_classifier(self.recipe.network, 3, 1, Path(self.recipe.weights) if self.recipe.weights else None)
        if self.recipe.norm_momentum:
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = self.recipe.norm_momentum
        return model

    def settings(self) -> dict[str, Any]:
        """The recipe."""
        return {"recipe": self.recipe.recorded()}

    def data_hash(self) -> str:
        """Digest of the cases."""
        return self._hash

    def train_size(self) -> int:
        """Every negative and as many positives, or the recipe's number."""
        return self.recipe.items_per_epoch or 2 * len(self.negatives)

    def train_item(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image ``(3, size, size)`` uint8, where its pixels come from ``(2, 3)``, grey shift, label."""
        half = self.train_size() // 2
        if index < half:
            n, k = self.positives[int(rng.integers(len(self.positives)))]
        elif self.recipe.items_per_epoch:
            n, k = self.negatives[int(rng.integers(len(self.negatives)))]
        else:
            n, k = self.negatives[index - half]
        image = self.training[n].channels(k, self.recipe.neighbours)
        grey = rng.uniform(-1, 1) * self.recipe.shift_hu / self.recipe.width_hu
        pixels, place = torch.from_numpy(image.copy()), self._place(rng)
        return pixels, place, torch.tensor(grey, dtype=torch.float32), torch.tensor(float(index < half))

    def _place(self, rng: np.random.Generator) -> Tensor:
        """Rotation, zoom and shift as ``affine_grid`` takes them."""
        r = self.recipe
        angle = np.radians(rng.uniform(-r.rotate_deg, r.rotate_deg))
        scale = rng.uniform(1 - r.zoom, 1 + r.zoom)
        move = 2 * rng.uniform(-r.shift, r.shift, 2)
        c, s = np.cos(angle) / scale, np.sin(angle) / scale
        return torch.tensor([[c, -s, move[0]], [s, c, move[1]]], dtype=torch.float32)

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Weighted cross-entropy of a batch that is distorted on its device."""
        images, place, grey, label = batch
        x = images.float() / 255
        grid = F.affine_grid(place, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        x = normalised((x + grey[:, None, None, None]).clamp(0, 1)).contiguous(memory_format=torch.channels_last)
        logit = model(x)[:, 0].float()
        return {"loss": self._loss(logit, label), "right": ((logit > 0) == (label > 0.5)).float().mean()}

    def _loss(self, logit: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy, false positives weighted; divided by the weights' sum as torch's own does."""
        weight = torch.where(label > 0.5, self.recipe.positive_weight, self.recipe.negative_weight)
        loss = F.binary_cross_entropy_with_logits(logit, label, reduction="none")
        return (weight * loss).sum() / weight.sum()

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """1-Up-Down precision, recall by case and their harmonic mean; mean top-1 error; share of top-1 within ±1.

        Against the marks that the extractors learn from: who trains on readers' marks has no others to validate with.
        """
        if not self.validation:
            return {}
        answers = [self._answer(model, case) for case in self.validation]
        counts = one_up_down(answers)
        precision = float(counts.true_positives.sum() / max(counts.predicted.sum(), 1.0))
        recall = float((counts.true_positives > 0).mean()) if len(counts.predicted) else 0.0
        errors = [a.error_mm for a in answers if a.error_mm is not None]
        return {
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / max(precision + recall, 1e-9),
            "error_mm": float(np.mean(errors)) if errors else float("nan"),
            f"within_{TOLERANCE}": float(np.mean([a.is_hit for a in answers if a.truth is not None] or [False])),
        }

    def _answer(self, model: torch.nn.Module, case: PaperCase) -> Answer:
        marker = self.recipe.marker
        found = predict(model, case, self.recipe.neighbours)
        return answer_of(found, case.label(marker), case.label_mm(marker), case.z_mm)


def normalised(images: Tensor) -> Tensor:
    """Images from 0 to 1 as the networks take them."""
    return (images - GREY) / SPREAD


@torch.no_grad()
def predict(model: torch.nn.Module, case: PaperCase, neighbours: bool) -> np.ndarray:
    """Probability of every slice, ``(n,)``; the model in evaluation mode, on its own device."""
    device = next(model.parameters()).device
    found = []
    for first in range(0, len(case.images), BATCH):
        some = range(first, min(first + BATCH, len(case.images)))
        images = torch.from_numpy(np.stack([case.channels(k, neighbours) for k in some])).to(device)
        x = normalised(images.float() / 255).contiguous(memory_format=torch.channels_last)
        found.append(torch.sigmoid(model(x)[:, 0].float()).cpu())
    return torch.cat(found).double().numpy()
