"""From a network's probabilities to labels on the input's grid: every voxel where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.context import Context
from manabi.geometry import Grid
from manabi.structures.structure_set import StructureSet
from manabi.volume import Volume

TOLD_SHARE = 0.05
"""A structure that loses more than this with its stray pieces is named (our choice)."""


@dataclass
class Found:
    """What networks found on the working grid.

    Attributes:
        grid: the working grid.
        probabilities: (classes, slices, rows, columns) float32, background first.
        right: (slices, rows, columns) float32, probability of the right side; None where no structure has sides.
        strangeness: distance of the network's features from those of training images, or None.
        disagreement: share of the voxels that the first stage was sure of and the second labels differently.
    """

    grid: Grid
    probabilities: np.ndarray
    right: np.ndarray | None = None
    strangeness: float | None = None
    disagreement: float = 0.0


def tidy(found: Found, known: StructureSet, context: Context) -> list[str]:
    """Drop stray pieces of structures, in place; returns a text for each structure that lost much."""
    from scipy.ndimage import label

    notes = []
    voxel_mm3 = abs(float(np.linalg.det(found.grid.ijk_to_ras[:3, :3])))
    labels = found.probabilities.argmax(0)
    for one in known.structures:
        context.check_cancelled()
        number = known.classes[one.name]
        pieces, count = label(labels == number, structure=np.ones((3, 3, 3)))
        if count < 2 and not one.least_mm3:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        least = max(one.kept_share * sizes.max(), one.least_mm3 / voxel_mm3)
        stray = (sizes < least)[pieces] & (pieces > 0)
        if not stray.any():
            continue
        found.probabilities[number][stray] = 0.0
        lost = float(sizes[sizes < least].sum()) / max(float(sizes.sum()), 1.0)
        if lost > TOLD_SHARE and not one.least_mm3:
            notes.append(f"Pieces of the {one.words} that lay apart were dropped ({100 * lost:.0f} % of it).")
    return notes


def on_grid(
    found: Found, known: StructureSet, grid: Grid, wanted: Sequence[str], context: Context
) -> tuple[Volume, Volume]:  # fmt: skip
    """Labels (``known.labels``, uint8) and the probability of the label (float32) on the input's grid.

    Args:
        found: on the working grid.
        known: the structures that the classes are.
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
        label[higher] = number if number and known.names[number - 1] in wanted else 0
    label = _with_sides(label, found, known, inner)
    whole_label, whole_best = np.zeros(canonical.shape, np.uint8), np.ones(canonical.shape, np.float32)
    whole_label[box], whole_best[box] = label, best
    return _placed(whole_label, canonical, grid, "structures", "SEG"), _placed(
        whole_best, canonical, grid, "confidence"
    )


def kept(labels: Volume, known: StructureSet, wanted: Sequence[str]) -> Volume:
    """A copy of a result's labels without the structures that are not wanted."""
    values = [0, *(label.value for label in known.labels if label.structure in wanted)]
    array = np.asarray(labels.array)
    return labels.like(np.where(np.isin(array, values), array, 0).astype(array.dtype))


def _placed(array: np.ndarray, canonical: Grid, grid: Grid, name: str, modality: str | None = None) -> Volume:
    """An array on the canonical grid, in the order of the input's axes and with its very matrix."""
    ordered = Volume(array, canonical.ijk_to_ras).reoriented_like(grid)
    return Volume(np.ascontiguousarray(ordered.array), grid.ijk_to_ras, modality=modality, name=name)


def _with_sides(classes: np.ndarray, found: Found, known: StructureSet, inner: Grid) -> np.ndarray:
    """The classes on the inner grid as labels, which know sides."""
    table = np.zeros((len(known.names) + 1, 2), np.uint8)
    for one in known.labels:
        for column, side in enumerate(("left", "right")):
            if one.side in ("", side):
                table[known.classes[one.structure], column] = one.value
    if found.right is None:
        return table[classes, 0]
    right = Volume(found.right, found.grid.ijk_to_ras).resampled(inner, fill=0.5).array > 0.5
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
