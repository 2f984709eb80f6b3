"""Training the baselines that find boxes, on the same pairs and with the same augmentation as the U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.nodule.prepare import network_input
from manabi.parameters import Parameters
from Training.froc import RATES, Mark, score_films, sensitivity
from Training.nodule import NoduleTask, Plan
from Training.nodule_boxes import CLASSIFICATION, REGRESSION, FilmDetector, detector
from Training.nodule_data import NoduleData
from Training.nodule_evaluate import CHUNK, Finder, films_of

LEAST_SIDE = 3.0
"""Boxes that a crop's edge leaves narrower, in pixels, are no targets."""


@dataclass(frozen=True)
class BoxRecipe(Parameters):
    """What a baseline is."""

    kind: Literal["retinanet", "ssd"] = "retinanet"
    widths: str = field(default="16-32-64-96-128", metadata={"help": "channels at strides 1, 2, 4, 8 and 16"})
    out_channels: int = field(default=64, metadata={"low": 4, "help": "of RetinaNet's pyramid"})
    box_weight: float = field(default=1.0, metadata={"low": 0.0, "help": "of the boxes' loss"})

    def build(self) -> FilmDetector:
        """The detector with fresh weights."""
        try:
            widths = [int(n) for n in self.widths.split("-")]
        except ValueError:
            widths = []
        if len(widths) != 5:
            raise InvalidInputError(f"widths must be five channels like 16-32-64-96-128; got {self.widths!r}.")
        return detector(self.kind, widths, self.out_channels)


class BoxTask(NoduleTask):
    """Films with and without nodules in, boxes out; both films of a pair are shown, but nothing says that they are one.

    Crops, augmentation and validation are the U-Net's, so that only network and loss differ.

    Args:
        plan: of the U-Net, whose losses are not used.
        boxes: what the detector is.
        data: pairs of films.
    """

    def __init__(self, plan: Plan, boxes: BoxRecipe, data: NoduleData) -> None:
        super().__init__(plan, data)
        self.boxes = boxes

    def build_model(self) -> FilmDetector:  # type: ignore[override]
        """The detector."""
        return self.boxes.build()

    def settings(self) -> dict[str, Any]:
        """As the U-Net's, and the detector's."""
        return {**super().settings(), "boxes": self.boxes.to_dict(), "loss": {}}

    def training_step(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """The detector's two losses."""
        inputs, mask = batch
        images = inputs.transpose(0, 1).flatten(0, 1)[:, None]
        targets = [target(place) for place in mask] + [target(torch.zeros_like(mask[0]))] * len(mask)
        found: Mapping[str, Tensor] = model(images, targets)
        loss = found[CLASSIFICATION] + self.boxes.box_weight * found[REGRESSION]
        return {"loss": loss, "scores": found[CLASSIFICATION], "boxes": found[REGRESSION]}

    @torch.no_grad()
    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """As the U-Net is validated."""
        scored = score_films(films_of(self._validation, box_finder(model)))
        found = {f"at_{rate:g}": sensitivity(scored, rate) for rate in RATES}
        return {"froc": float(np.mean(list(found.values()))), **found}


def target(mask: Tensor) -> dict[str, Tensor]:
    """Boxes around the connected parts of a mask ``(rows, columns)``, first row, first column, end row, end column."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask.cpu().numpy(), np.ones((3, 3)))
    found = [(s[0].start, s[1].start, s[0].stop, s[1].stop) for s in ndimage.find_objects(labels)]
    kept = [box for box in found if min(box[2] - box[0], box[3] - box[1]) >= LEAST_SIDE]
    boxes = torch.tensor(kept, dtype=torch.float32, device=mask.device).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.int64, device=mask.device)}


def box_finder(model: torch.nn.Module) -> Finder:
    """Marks of a detector: the middles of its boxes."""

    @torch.no_grad()
    def find(films: np.ndarray) -> list[tuple[Mark, ...]]:
        """The marks of each of the films ``(n, rows, columns)``."""
        model.eval()
        device = next(model.parameters()).device
        out: list[tuple[Mark, ...]] = []
        for start in range(0, len(films), CHUNK):
            batch = torch.from_numpy(np.ascontiguousarray(films[start : start + CHUNK], np.float32))
            out += [_marks(found) for found in model(network_input(batch).to(device))]
        return out

    return find


def _marks(found: Mapping[str, Tensor]) -> tuple[Mark, ...]:
    """A mark in the middle of each box; rows and columns count from the first pixel's centre."""
    boxes: Sequence[Any] = found["boxes"].cpu().double().tolist()
    scores: Sequence[float] = found["labels_scores"].cpu().double().tolist()
    return tuple(
        Mark((box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2, score,
             (box[0] - 0.5, box[1] - 0.5, box[2] - 0.5, box[3] - 0.5))
        for box, score in zip(boxes, scores, strict=True)
    )  # fmt: skip
