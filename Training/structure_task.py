"""Segmenting structures: networks that learn slices, a few neighbouring slices, or blocks, from chosen slices only.

One engine for BrainSeg's experiment and PelvicSeg: which structures there are follows from the labels. An epoch has the
same number of crops, whatever the number of labelled slices, so that fewer labels do not mean less training (our
choice).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.skipnet import PATTERNS, SkipNet
from manabi.parameters import Parameters
from manabi.structures.apply import neighbours_of, stacks
from Training.brain_losses import BrainLoss, Frequencies, build_loss, class_frequencies, distance_maps
from Training.structure_augment import disturbed, turned
from Training.task import Task

Loss = Callable[..., Tensor]
BATCH = 16
MOST_MAPS = 6000
"""Slices whose distances are kept; those of 60 heads of 1 mm take about 3 GB."""


@dataclass(frozen=True)
class StructureRecipe(Parameters):
    """Network, crops and augmentation; the sources do not state them in what we could read (our choices)."""

    pattern: str = field(default="horizontal", metadata={"help": "skips of all parts but skips; horizontal is U-Net"})
    filters: str = field(default="32-64-128-256", metadata={"help": "channels per level of 2-D networks"})
    stream: int = field(default=32, metadata={"low": 1, "help": "channels of the full-resolution stream"})
    norm: Literal["none", "batch", "instance"] = "batch"
    crop: int = field(default=160, metadata={"low": 16, "help": "side of 2-D training crops in pixels"})
    filters_3d: str = field(default="16-32-64-128", metadata={"help": "channels per level of 3-D networks"})
    crop_3d: str = field(default="32x96x96", metadata={"help": "slices x rows x columns of 3-D crops"})
    batch_3d: int = field(default=2, metadata={"low": 1, "help": "3-D crops per step"})
    items_per_epoch: int = field(default=1600, metadata={"low": 1, "help": "2-D crops"})
    items_3d: int = field(default=200, metadata={"low": 1, "help": "3-D crops per epoch"})
    centred: float = field(default=0.5, metadata={"low": 0.0, "high": 1.0, "help": "share of crops on a structure"})
    gamma: float = field(default=0.2, metadata={"low": 0.0, "high": 0.9, "help": "random change of brightness"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies"})
    neighbours: int = field(default=1, metadata={"low": 1, "help": "slices a 2-D network sees; see neighbouring()"})
    convolutions: int = field(default=2, metadata={"low": 1, "help": "per block"})
    checkpointing: bool = field(default=False, metadata={"help": "compute blocks twice, to train in less memory"})
    turn_deg: float = field(default=0.0, metadata={"low": 0.0, "high": 90.0, "help": "crops are turned by up to this"})
    zoom: float = field(default=0.0, metadata={"low": 0.0, "high": 0.5, "help": "and sized by up to this share"})
    noise: float = field(default=0.0, metadata={"low": 0.0, "help": "largest standard deviation of added noise"})
    blur: float = field(default=0.0, metadata={"low": 0.0, "help": "largest standard deviation of blur in pixels"})

    def __post_init__(self) -> None:
        """Check every field, and the texts."""
        super().__post_init__()
        if self.pattern not in PATTERNS:
            raise InvalidInputError(f"pattern must be one of {', '.join(PATTERNS)}; got {self.pattern!r}.")
        for text in (self.filters, self.filters_3d):
            if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)+", text):
                raise InvalidInputError(f"filters must be channels per level, like 32-64-128; got {text!r}.")
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", self.crop_3d):
            raise InvalidInputError(f"crop_3d must be three numbers like 32x96x96; got {self.crop_3d!r}.")

    def window(self, dims: int) -> tuple[int, int, int]:
        """Slices, rows and columns of a training crop."""
        if dims == 2:
            return 1, self.crop, self.crop
        k, j, i = (int(n) for n in self.crop_3d.split("x"))
        return k, j, i


@dataclass(frozen=True, eq=False)
class Labelled:
    """A patient to learn from.

    Attributes:
        image: ``(channels, slices, rows, columns)`` float32 from 0 to 1.
        labels: ``(slices, rows, columns)`` uint8, right only on ``slices``.
        slices: those that are labelled.
    """

    image: np.ndarray
    labels: np.ndarray
    slices: tuple[int, ...]


@dataclass(frozen=True)
class Summed:
    """Losses added up."""

    losses: tuple[BrainLoss, ...]

    def __call__(self, *arguments: Any) -> Tensor:
        """Their sum; takes what :class:`Training.brain_losses.BrainLoss` takes."""
        first, *rest = (loss(*arguments) for loss in self.losses)
        return sum(rest, first)


def loss_of(name: str) -> BrainLoss:
    """A loss from ``dice-focal`` or, with another reading, ``dice-dtm:decay``; raises InvalidInputError otherwise."""
    kind, _, weighting = name.partition("-")
    weighting, _, reading = weighting.partition(":")
    constants = {f"{weighting}_reading": reading} if reading else {}
    return build_loss(kind, weighting, **constants)


class StructureTask(Task):
    """Crops around labelled slices of random heads.

    Args:
        recipe: network and crops.
        heads: to learn from; one without labelled slices is left aside.
        loss: as :class:`Training.brain_losses.BrainLoss` is called.
        n_classes: with the background; 2 is one structure, whose network has one output.
        name: of the loss, and what else tells this task from others; kept with the checkpoint.
        dims: 2 for slices, 3 for blocks, in which unlabelled slices weigh nothing.
        pattern: of the 2-D network; None takes the recipe's.
        data_hash: digest of images and labels.

    Raises:
        InvalidInputError: when no slice is labelled.
    """

    def __init__(
        self, recipe: StructureRecipe, heads: Sequence[Labelled], loss: Loss, n_classes: int, name: str, dims: int = 2,
        pattern: str | None = None, data_hash: str = "",
    ) -> None:  # fmt: skip
        self.recipe, self.loss, self.n_classes, self.dims = recipe, loss, n_classes, dims
        self.heads = [head for head in heads if head.slices]
        if not self.heads:
            raise InvalidInputError("There is nothing to learn from: no slice of the training heads is labelled.")
        self.name, self.pattern, self._hash = name, pattern or recipe.pattern, data_hash
        self.frequencies = _frequencies(self.heads, n_classes)
        self._holding = [_holding(head, n_classes) for head in self.heads]

    @property
    def needs_distances(self) -> bool:
        """Whether the loss weighs by distance."""
        return isinstance(self.loss, BrainLoss) and self.loss.weighting in ("dtm", "dpt")

    def build_model(self) -> nn.Module:
        """A new network, with one output for one structure."""
        three = self.dims == 3
        filters = [int(n) for n in (self.recipe.filters_3d if three else self.recipe.filters).split("-")]
        network = SkipNet(
            filters, pattern="horizontal" if three else self.pattern, stream=self.recipe.stream,
            convolutions=self.recipe.convolutions, in_channels=self.heads[0].image.shape[0] * self.neighbours,
            out_channels=1 if self.n_classes == 2 else self.n_classes, spatial_dims=self.dims, norm=self.recipe.norm,
        )  # fmt: skip
        network.checkpointing = self.recipe.checkpointing
        return laid_out(network) if three else network

    @property
    def neighbours(self) -> int:
        """Slices of an input that stand as channels; blocks have theirs as an axis."""
        return 1 if self.dims == 3 else self.recipe.neighbours

    def train_size(self) -> int:
        """Crops of an epoch."""
        return self.recipe.items_3d if self.dims == 3 else self.recipe.items_per_epoch

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """A random crop: image, labels, which voxels are known, and distances (empty where not needed)."""
        number = int(rng.integers(len(self.heads)))
        head = self.heads[number]
        middle, low, window = self._place(number, rng)
        known = np.zeros(head.labels.shape, bool)
        known[list(head.slices)] = True
        parts = [head.labels[None], known[None], self._distances(number, middle)]
        labels, known, distances = (_cut(part, low, window) for part in parts)
        image = _cut(neighbouring(head.image, low[0], self.neighbours), low, window)
        if self.recipe.mirror and rng.random() < 0.5:
            image, labels, known, distances = (part[..., ::-1] for part in (image, labels, known, distances))
        if self.recipe.turn_deg or self.recipe.zoom:
            image, labels, known, distances = turned(
                (image, labels, known, distances), rng, self.recipe.turn_deg, self.recipe.zoom
            )
        change = np.exp(rng.uniform(-self.recipe.gamma, self.recipe.gamma, (len(head.image), 1, 1, 1)))
        image = np.clip(image, 0.0, 1.0) ** np.repeat(change, self.neighbours, axis=0)
        image = disturbed(image, rng, self.recipe.noise, self.recipe.blur)
        return [self._tensor(part) for part in (image.astype(np.float32), labels[0], known[0], distances)]

    def _place(self, number: int, rng: np.random.Generator) -> tuple[int, list[int], tuple[int, int, int]]:
        """A labelled slice, where a crop that holds it begins, and the crop's size.

        A share of the crops lies around a random voxel of a random structure; else small ones would hardly be seen.
        """
        head, window = self.heads[number], self.recipe.window(self.dims)
        middle = int(rng.choice(head.slices))
        low = [int(rng.integers(max(n - side, 0) + 1)) for n, side in zip(head.labels.shape, window, strict=True)]
        around = [middle, None, None]
        holding = self._holding[number]
        if holding and rng.random() < self.recipe.centred:
            label = int(rng.choice(list(holding)))
            middle = int(rng.choice(holding[label]))
            around = [middle, *rng.choice(np.argwhere(head.labels[middle] == label)).tolist()]
        for axis, place in enumerate(around):
            if place is not None:
                first = place - int(rng.integers(window[axis]))
                low[axis] = int(np.clip(first, 0, max(head.labels.shape[axis] - window[axis], 0)))
        return middle, low, window

    def _tensor(self, part: np.ndarray) -> Tensor:
        """Without the axis of slices where the network has two."""
        whole = part[..., 0, :, :] if self.dims == 2 else part
        return torch.from_numpy(np.ascontiguousarray(whole))

    def _distances(self, number: int, middle: int) -> np.ndarray:
        """Distances of a slice to every structure's border in pixels, ``(classes, 1, rows, columns)``."""
        plane = self.heads[number].labels[middle]
        if not self.needs_distances:
            return np.zeros((0, 1, *plane.shape), np.float16)
        return slice_distances(plane.tobytes(), plane.shape, self.n_classes)[:, None]

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The loss over labelled voxels."""
        image, labels, known, distances = batch
        if self.dims == 3:
            image = image.contiguous(memory_format=torch.channels_last_3d)
        weights = distances.float() if self.needs_distances else None
        return {"loss": self.loss(model(image), labels.long(), self.frequencies, weights, known)}

    def settings(self) -> dict[str, Any]:
        """Recipe, network and loss."""
        made = {"name": self.name, "dims": self.dims, "pattern": self.pattern, "classes": self.n_classes}
        return {**self.recipe.to_dict(), **made}

    def data_hash(self) -> str:
        """The digest given."""
        return self._hash


@lru_cache(maxsize=MOST_MAPS)
def slice_distances(content: bytes, shape: tuple[int, int], n_classes: int) -> np.ndarray:
    """:func:`Training.brain_losses.distance_maps` of a slice in pixels, float16; the same for every arm.

    Args:
        content: of the labels, uint8.
        shape: rows and columns.
        n_classes: background included.
    """
    return distance_maps(np.frombuffer(content, np.uint8).reshape(shape), n_classes).astype(np.float16)


def _holding(head: Labelled, n_classes: int) -> dict[int, list[int]]:
    """Labelled slices that hold a structure, by its label."""
    found = {label: [k for k in head.slices if (head.labels[k] == label).any()] for label in range(1, n_classes)}
    return {label: slices for label, slices in found.items() if slices}


def _frequencies(heads: Sequence[Labelled], n_classes: int) -> Frequencies:
    """Over the labelled slices, each an image of its own."""
    return class_frequencies([head.labels[k] for head in heads for k in head.slices], n_classes)


def _cut(part: np.ndarray, low: Sequence[int], window: Sequence[int]) -> np.ndarray:
    """A window of the three last axes; where the head is smaller its edge is repeated. One slice stays one slice."""
    box = tuple(slice(a, a + n) for a, n in zip(low, window, strict=True))
    if part.shape[-3] == 1:
        box = (slice(None), *box[1:])
    found = part[(slice(None), *box)]
    missing = [max(n - have, 0) for n, have in zip(window, found.shape[1:], strict=True)]
    return np.pad(found, [(0, 0), *((0, n) for n in missing)], mode="edge") if any(missing) else found


def neighbouring(image: np.ndarray, place: int, count: int) -> np.ndarray:
    """A slice with its neighbours as channels, ``(channels * count, 1, rows, columns)``; one: the image as it is.

    The slice itself is number ``count // 2``, so that of the source's four, two lie below and one above (our reading);
    beyond the image its last slice is repeated.
    """
    if count == 1:
        return image
    return image[:, neighbours_of(place, count, image.shape[1])].reshape(-1, 1, *image.shape[2:])


def laid_out(network: SkipNet) -> SkipNet:
    """The network with its weights in the order that is fastest for 3-D images."""
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


@torch.no_grad()
def predict(model: nn.Module, image: np.ndarray, device: str, dims: int = 2, neighbours: int = 1) -> np.ndarray:
    """Classes of a patient, ``(slices, rows, columns)`` uint8.

    Args:
        model: of a :class:`StructureTask`.
        image: ``(channels, slices, rows, columns)``.
        device: where to compute.
        dims: of the model.
        neighbours: slices that it sees.
    """
    model = model.to(device).eval()
    whole = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    if dims == 3:
        return _classes(model(whole[None].to(device)))[0]
    if neighbours > 1:
        parts = [stacks(np.asarray(channel, np.float32), neighbours) for channel in image]
        slices = torch.from_numpy(np.concatenate(parts, 1))
    else:
        slices = whole.movedim(1, 0)
    return np.concatenate([_classes(model(part.to(device))) for part in slices.split(BATCH)])


def _classes(logits: Tensor) -> np.ndarray:
    found = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
    return found.to(torch.uint8).cpu().numpy()
