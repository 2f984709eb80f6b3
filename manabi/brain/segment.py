"""The networks' part of BrainSeg: probabilities of the structures on the working grid, and labels on the input's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.brain.prepare import Prepared
from manabi.brain.refine import Refinement, refined
from manabi.brain.structures import CLASSES, LABELS, STRUCTURES
from manabi.context import Context
from manabi.geometry import Grid, Shape
from manabi.volume import Volume

if TYPE_CHECKING:
    import torch

    from manabi.networks.coarse_to_fine import CoarseToFine

WORTH = 0.04
"""The fine network looks where the coarse one gives structures at least this much together (our choice)."""
SURE = 0.9
"""Voxels of a structure that the first stage gives more than this count for the disagreement of the stages."""
FINE_SIDE_MM, FINE_OVERLAP_MM = 88, 16
"""Largest side of what the fine network sees at once, not much more than in training, and overlap (our choice)."""
KEPT = {"cerebrum": 0.1, "cerebellum": 0.1, "brainstem": 0.2, "ventricles": 0.01, "vessels": 0.0}
"""Pieces of a structure smaller than this share of its largest are dropped (our choice)."""
LEAST_MM3 = {"vessels": 8.0}
"""And pieces smaller than this."""


@dataclass(frozen=True)
class Settings:
    """What a bundle says of its networks.

    Attributes:
        temperature: of the softmax, fitted to validation images.
        precisions: arithmetic for which the networks were found good.
        features_mean: means of the coarse network's deepest features over training images, or empty.
        features_sd: their spread.
        strangest: the largest distance that validation images had from them.
        refinement: how the image's intensities sharpen the answer.
        structures: those that the networks find.
    """

    temperature: float = 1.0
    precisions: tuple[str, ...] = ("float32",)
    features_mean: tuple[float, ...] = ()
    features_sd: tuple[float, ...] = ()
    strangest: float | None = None
    refinement: Refinement = field(default_factory=Refinement)
    structures: tuple[str, ...] = STRUCTURES

    @classmethod
    def of(cls, facts: Mapping[str, Any], precisions: tuple[str, ...]) -> Settings:
        """Settings from the bundle's section ``brain``."""
        features = facts.get("features", {})
        return cls(
            float(facts.get("temperature", 1.0)), precisions, tuple(features.get("mean", ())),
            tuple(features.get("sd", ())), features.get("strangest"), Refinement(**facts.get("refinement", {})),
            tuple(facts.get("structures", STRUCTURES)),
        )  # fmt: skip


@dataclass
class Found:
    """What the networks found on the working grid.

    Attributes:
        grid: the working grid.
        probabilities: (classes, slices, rows, columns) float32, background first.
        right: (slices, rows, columns) float32, probability of the right side.
        strangeness: distance of the coarse network's features from those of training images, or None.
        disagreement: share of the voxels that the first stage was sure of and the second labels differently.
    """

    grid: Grid
    probabilities: np.ndarray
    right: np.ndarray
    strangeness: float | None = None
    disagreement: float = 0.0


def find(prepared: Prepared, network: CoarseToFine, settings: Settings, fine: bool, context: Context) -> Found:
    """Both stages on one image.

    Args:
        prepared: the image on the working grid.
        network: both networks.
        settings: of the bundle.
        fine: whether the second stage runs.
        context: device, precision, progress, cancellation.
    """
    with context.span(0.0, 0.4):
        probabilities, right, strangeness = _looked(prepared, network, settings, context)
    found = Found(prepared.volume.grid, probabilities, right, strangeness)
    if fine:
        with context.span(0.4, 1.0):
            sharper = _sharpened(prepared, probabilities, network, settings, context)
        context.check_cancelled()
        found.probabilities = refined(prepared.image, sharper, settings.refinement)
        sure = probabilities[1:].max(0) > SURE
        changed = found.probabilities.argmax(0)[sure] != probabilities.argmax(0)[sure]
        found.disagreement = float(changed.mean()) if sure.any() else 0.0
    return found


def _looked(
    prepared: Prepared, network: CoarseToFine, settings: Settings, context: Context
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Coarse probabilities and side on the working grid, and the strangeness of the features."""
    import torch
    import torch.nn.functional as F

    from manabi.inference import predict_volume
    from manabi.networks.coarse_to_fine import STEP

    image = torch.from_numpy(prepared.image)[None, None]
    pads = [p for n in reversed(image.shape[2:]) for p in (0, n % STEP)]
    small = F.avg_pool3d(F.pad(image, pads, mode="replicate") if any(pads) else image, STEP)[0]
    with Features(network) as features:
        out = predict_volume(
            network.coarse, small, context=context, divisor=network.coarse.factor,
            n_outputs=network.classes + 1, allowed_precisions=settings.precisions,  # type: ignore[arg-type]
        )  # fmt: skip
    logits = torch.from_numpy(out)
    size = tuple(prepared.image.shape)
    large = network.enlarged(logits[None, : network.classes] / settings.temperature, size)[0].numpy()
    side = F.interpolate(logits[None, network.classes :], scale_factor=float(STEP), mode="trilinear")[0, 0]
    right = torch.sigmoid(side[tuple(slice(n) for n in size)]).numpy()
    return large, right, features.strangeness(settings)


class Features:
    """Watches the coarse network's deepest features while it runs."""

    def __init__(self, network: CoarseToFine) -> None:
        self._module = network.coarse.down[-1]
        self._seen: list[np.ndarray] = []

    def __enter__(self) -> Features:
        self._handle = self._module.register_forward_hook(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _look(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        values = output.detach().float()
        self._seen.append(values.amax(dim=(2, 3, 4)).mean(0).cpu().numpy())

    @property
    def mean(self) -> np.ndarray | None:
        """Each feature's maximum over the image, averaged over passes; None before any."""
        return np.mean(self._seen, axis=0) if self._seen else None

    def strangeness(self, settings: Settings) -> float | None:
        """Root mean square of the features' distance from training in their spread; None where it is not known."""
        if not self._seen or not settings.features_mean:
            return None
        return distance(self._seen[-1], np.array(settings.features_mean), np.array(settings.features_sd))


def distance(features: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> float:
    """Root mean square of ``(features - mean) / sd``."""
    return float(np.sqrt(np.mean(((features - mean) / np.maximum(sd, 1e-3)) ** 2)))


def _sharpened(
    prepared: Prepared, probabilities: np.ndarray, network: CoarseToFine, settings: Settings, context: Context
) -> np.ndarray:
    """Fine probabilities where there may be structures; the coarse ones elsewhere."""
    from scipy.special import softmax

    from manabi.inference import predict_volume
    from manabi.inference.windows import bounding_box

    if network.fine is None:
        return probabilities
    worth = probabilities[0] < 1.0 - WORTH
    box = bounding_box(worth, network.fine.factor)
    if box is None:
        return probabilities
    part = np.concatenate([prepared.image[box][None], probabilities[(slice(None), *box)]])
    window, overlap = fine_windows(part.shape[1:], network.fine.factor)
    logits = predict_volume(
        fine_stage(network), part, context=context, window=window, overlap=overlap, blend="gaussian",
        divisor=network.fine.factor, n_outputs=network.classes,
        allowed_precisions=settings.precisions,  # type: ignore[arg-type]
    )  # fmt: skip
    out = probabilities.copy()
    inner = worth[box]
    out[(slice(None), *box)][:, inner] = softmax(logits[:, inner] / settings.temperature, axis=0)
    return out


def fine_windows(shape: tuple[int, ...], factor: int) -> tuple[Shape, float]:
    """Windows of the fine network for a part of this size, and the share by which neighbours overlap.

    Each side is divided evenly into parts of at most :data:`FINE_SIDE_MM`, so that a run takes the same memory on every
    head and the same windows on every computer.
    """
    sides = []
    for n in shape:
        parts = -(-n // FINE_SIDE_MM)
        wanted = n if parts == 1 else -(-(n + (parts - 1) * FINE_OVERLAP_MM) // parts)
        sides.append(-(-wanted // factor) * factor)
    overlap = FINE_OVERLAP_MM / max(sides) if any(-(-n // FINE_SIDE_MM) > 1 for n in shape) else 0.0
    return (sides[0], sides[1], sides[2]), overlap


def fine_stage(network: CoarseToFine) -> torch.nn.Module:
    """The second stage as a network of one input: the image with the coarse probabilities."""
    from torch import nn

    class Fine(nn.Module):
        """Logits from stacked image and probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """``(N, C + classes, k, j, i)`` to ``(N, classes, k, j, i)``."""
            return self.inner.sharpen(x[:, : network.in_channels], x[:, network.in_channels :])

    return Fine()


# --- from probabilities to labels ------------------------------------------------------------------------------------


def tidy(found: Found, context: Context) -> list[str]:
    """Drop stray pieces of structures, in place; returns a text for each structure that lost much."""
    from scipy.ndimage import label

    notes = []
    voxel_mm3 = abs(float(np.linalg.det(found.grid.ijk_to_ras[:3, :3])))
    labels = found.probabilities.argmax(0)
    for name in STRUCTURES:
        context.check_cancelled()
        number = CLASSES[name]
        pieces, count = label(labels == number, structure=np.ones((3, 3, 3)))
        if count < 2 and name not in LEAST_MM3:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        least = max(KEPT[name] * sizes.max(), LEAST_MM3.get(name, 0.0) / voxel_mm3)
        stray = (sizes < least)[pieces] & (pieces > 0)
        if not stray.any():
            continue
        found.probabilities[number][stray] = 0.0
        lost = float(sizes[sizes < least].sum()) / max(float(sizes.sum()), 1.0)
        if lost > 0.05 and name not in LEAST_MM3:
            notes.append(f"Pieces of the {name} that lay apart were dropped ({100 * lost:.0f} % of it).")
    return notes


def on_grid(found: Found, grid: Grid, wanted: tuple[str, ...], context: Context) -> tuple[Volume, Volume]:
    """Labels (:data:`LABELS`, uint8) and the probability of the label (float32) on the input's grid.

    Args:
        found: on the working grid.
        grid: the input's.
        wanted: structures that are kept; others become background.
        context: for cancellation.
    """
    canonical = Volume(np.zeros(grid.shape, np.uint8), grid.ijk_to_ras).reoriented().grid  # the same sums in any order
    box, inner = _box_of(found.grid, canonical)
    best = np.full(inner.shape, -1.0, np.float32)
    label = np.zeros(inner.shape, np.uint8)
    for number in range(len(found.probabilities)):
        context.check_cancelled()
        own = Volume(found.probabilities[number], found.grid.ijk_to_ras).resampled(inner, fill=float(number == 0))
        higher = own.array > best
        best[higher] = own.array[higher]
        label[higher] = number if number and STRUCTURES[number - 1] in wanted else 0
    right = Volume(found.right, found.grid.ijk_to_ras).resampled(inner, fill=0.5).array > 0.5
    label = _with_sides(label, right)
    whole_label, whole_best = np.zeros(canonical.shape, np.uint8), np.ones(canonical.shape, np.float32)
    whole_label[box], whole_best[box] = label, best
    return _placed(whole_label, canonical, grid, "structures", "SEG"), _placed(
        whole_best, canonical, grid, "confidence"
    )


def kept(labels: Volume, wanted: Sequence[str]) -> Volume:
    """A copy of a result's labels without the structures that are not wanted."""
    values = [0, *(label.value for label in LABELS if label.structure in wanted)]
    array = np.asarray(labels.array)
    return labels.like(np.where(np.isin(array, values), array, 0).astype(array.dtype))


def _placed(array: np.ndarray, canonical: Grid, grid: Grid, name: str, modality: str | None = None) -> Volume:
    """An array on the canonical grid, in the order of the input's axes and with its very matrix."""
    ordered = Volume(array, canonical.ijk_to_ras).reoriented_like(grid)
    return Volume(np.ascontiguousarray(ordered.array), grid.ijk_to_ras, modality=modality, name=name)


def _with_sides(classes: np.ndarray, right: np.ndarray) -> np.ndarray:
    table = np.zeros((len(STRUCTURES) + 1, 2), np.uint8)
    for one in LABELS:
        for column, side in enumerate(("left", "right")):
            if one.side in ("", side):
                table[CLASSES[one.structure], column] = one.value
    return table[classes, right.astype(np.uint8)]


def _box_of(inner: Grid, outer: Grid) -> tuple[tuple[slice, ...], Grid]:
    """The part of ``outer`` that ``inner`` reaches, as slices and as a grid."""
    k, j, i = inner.shape
    corners = np.array([[x, y, z] for z in (-0.5, k - 0.5) for y in (-0.5, j - 0.5) for x in (-0.5, i - 0.5)])
    places = outer.ijk_of(inner.ras_of(corners))
    size = np.array(outer.shape[::-1])
    low = np.clip(np.floor(places.min(0)).astype(int), 0, size - 1)
    high = np.clip(np.ceil(places.max(0)).astype(int) + 1, low + 1, size)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    return box, outer.shifted(low.astype(float), tuple(int(n) for n in (high - low)[::-1]))  # type: ignore[arg-type]


def combined(first: Found, second: Found) -> Found:
    """Two contrasts of one patient: the mean of their probabilities; of vessels the larger (our choice).

    The second is resampled to the first one's working grid; where it does not reach, the first one counts alone.
    """
    vessels = CLASSES["vessels"]
    inside = Volume(np.ones(second.grid.shape, np.float32), second.grid.ijk_to_ras).resampled(first.grid).array
    out = np.empty_like(first.probabilities)
    for number in range(len(out)):
        other = Volume(second.probabilities[number], second.grid.ijk_to_ras).resampled(first.grid).array
        own = first.probabilities[number]
        mixed = np.maximum(own, other) if number == vessels else 0.5 * (own + other)
        out[number] = np.where(inside > 0.5, mixed, own)
    out /= out.sum(0, keepdims=True)
    known = [one.strangeness for one in (first, second) if one.strangeness is not None]
    disagreement = max(first.disagreement, second.disagreement)
    return Found(first.grid, out, first.right, max(known, default=None), disagreement)
