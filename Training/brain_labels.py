"""What a reader's labels say, voxel by voxel: which values mean what, and where nobody labelled.

Labels are the values of :data:`manabi.brain.structures.LABELS`, FreeSurfer's codes (known by both sides' white matter,
2 and 41), or others that a text explains: ``1:cerebrum_left,2:cerebrum_right,5:brainstem,9:unknown,10:background``.

They need not be complete. A structure that a case's labels do not hold is unknown there, not absent: the other voxels
are known to be *one of* background and the structures that nobody labelled. Where only some slices are labelled, as in
Sugino T et al. Med Phys 2021;48:7215 (10.1002/mp.15192), the others say nothing. Such voxels hold a set of classes, see
:data:`SETS`; their loss is the marginal one of Shi G et al. Med Image Anal 2021;70:101979
(10.1016/j.media.2021.101979).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.brain.prepare import Prepared, prepare
from manabi.brain.structures import CLASSES, LABELS, SIDED, STRUCTURES, structure_of
from manabi.errors import InvalidInputError, ManabiError
from manabi.volume import Volume

N_CLASSES = len(CLASSES) + 1
CLASS_WEIGHTS = (0.5, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Of the classes in the Dice loss; background counts half (our choice)."""
EPSILON = 1.0
"""Voxels that are added to both parts of a Dice, so that a class that is not there costs little."""
FORMAT = 1
SETS = 128
"""A voxel of this value or more is one of several classes: class c where bit c of it is set."""
UNKNOWN = 255
"""A voxel of which nothing is known."""
LARGEST_VALUE = 65535
APART = 0.2
"""The middles of a structure's two sides lie at least this share of its width apart (halves: about 0.4; our choice)."""
FEW = 0.8
"""Fewer labelled slices between the first and the last, of all that are there, are a sparse labelling (our choice)."""
CUT_END = 0.5
"""Labels that end on a slice with this share of their largest area were not finished there (our choice)."""
NAMES = {f"{s}_{side}".rstrip("_"): (s, side) for s in STRUCTURES for side in ("", "left", "right")}
NAMES |= {"background": ("", ""), "unknown": ("unknown", "")}
"""What a ``label_map`` may call a value: structure and side."""
OURS = ", ".join(f"{label.value} {label.name}" for label in LABELS)


def one_of(classes: Iterable[int]) -> int:
    """The value of a voxel that is one of these classes."""
    return SETS + sum(1 << c for c in set(classes))


@dataclass(frozen=True)
class Scan:
    """An image on the working grid (1 mm, RAS) with its labels, all (slices, rows, columns).

    Attributes:
        image: float16, as :func:`manabi.brain.prepare.prepare` normalises it.
        classes: uint8, :data:`manabi.brain.structures.CLASSES`, 0, or a set (:data:`SETS`).
        sides: int8, 0 left, 1 right, -1 where it is not known.
        labelled: classes that the labels hold.
    """

    image: np.ndarray
    classes: np.ndarray
    sides: np.ndarray
    labelled: tuple[int, ...]

    def digest(self) -> str:
        """SHA-256 of what is learned."""
        found = hashlib.sha256(str((self.image.shape, FORMAT)).encode())
        for array in (self.image, self.classes, self.sides):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def labelled_scan(name: str, image: Volume, labels: Volume, label_map: str = "", complete: bool = False) -> Scan:
    """An image and its labels on the working grid.

    Args:
        name: of the case, for messages.
        image: MR of any orientation and resolution.
        labels: whole numbers, on any grid.
        label_map: what the values are, see the module; empty where they are LABELS or FreeSurfer's.
        complete: whether a voxel without a label is background, whatever structures and slices the labels hold.

    Raises:
        InvalidInputError: for labels that cannot be understood, or do not lie where the image is.
    """
    ready = _ready(name, image)
    straight = labels.reoriented()
    values = _whole_numbers(name, straight)
    present = [int(v) for v in np.flatnonzero(np.bincount(values.ravel())) if v]
    meaning = meanings(name, present, label_map)
    codes, sides = _coded(values, meaning)
    if not label_map:
        _check_sides(name, codes, sides)
    held = sorted({CLASSES[structure] for structure, _ in meaning.values() if structure in CLASSES})
    rest = 0 if complete or len(held) == len(CLASSES) else one_of({0, *CLASSES.values()} - set(held))
    beyond = rest
    codes[codes == 0] = rest
    missed = np.zeros((), bool) if complete else unlabelled(values > 0, straight.spacing_mm[::-1].tolist())
    if missed.any():
        codes[missed & (values == 0)] = beyond = UNKNOWN
    grid = ready.volume.grid
    codes = straight.like(codes).resampled(grid, "nearest", fill=beyond).array
    sides = straight.like(sides).resampled(grid, "nearest", fill=-1).array
    if not ((codes > 0) & (codes < SETS)).any():
        raise InvalidInputError(
            f"Case {name}: no label lies where the image is. Were they drawn on another image, or moved?"
        )
    return Scan(ready.image.astype(np.float16), np.asarray(codes), np.asarray(sides), tuple(held))


def _ready(name: str, image: Volume) -> Prepared:
    """The image as the network takes it; errors name the case."""
    if not np.isfinite(image.array).all() or float(image.array.min()) == float(image.array.max()):
        raise InvalidInputError(f"Case {name}, image: expected an MR; this one is empty or holds values that are none.")
    try:
        return prepare(image)
    except ManabiError as error:
        raise type(error)(f"Case {name}, image: {error}") from error


def _whole_numbers(name: str, labels: Volume) -> np.ndarray:
    values = np.asarray(labels.array)
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    if not np.array_equal(rounded, values) or rounded.min() < 0 or rounded.max() > LARGEST_VALUE:
        raise InvalidInputError(
            f"Case {name}, labels: expected whole numbers from 0 to {LARGEST_VALUE}; got {values.min():g} to "
            f"{values.max():g}, or fractions. Is it a label map, and was it interpolated to the nearest voxel?"
        )
    return rounded.astype(np.int32)


def meanings(name: str, present: Sequence[int], label_map: str = "") -> dict[int, tuple[str, str]]:
    """Structure and side of every value; ``""`` is background, ``unknown`` says nothing.

    Raises:
        InvalidInputError: naming the case, for values that nobody explains, and for a map that cannot be read.
    """
    if not present:
        raise InvalidInputError(f"Case {name}, labels: nothing is labelled. Label a few slices, or leave the row out.")
    known = parse_label_map(name, label_map) if label_map else _usual(present)
    strange = [value for value in present if value not in known]
    if strange:
        expected = f"label_map explains {sorted(known)}" if label_map else f"expected {OURS}; or FreeSurfer's codes"
        raise InvalidInputError(
            f"Case {name}, labels: {expected}; the image also holds {strange[:10]}. Say what they are in a column "
            "label_map, like 1:cerebrum_left,2:cerebrum_right,9:unknown,10:background."
        )
    found = {value: known[value] for value in present}
    if not any(structure in CLASSES for structure, _ in found.values()):
        raise InvalidInputError(f"Case {name}, labels: none of {', '.join(STRUCTURES)} is labelled.")
    return found


def _usual(present: Sequence[int]) -> dict[int, tuple[str, str]]:
    """FreeSurfer's codes where its cerebral white matter is among the values (2 left, 41 right), else LABELS."""
    if {2, 41} <= set(present):
        return {value: structure_of(value) for value in present}
    return {label.value: (label.structure, label.side) for label in LABELS}


def parse_label_map(name: str, text: str) -> dict[int, tuple[str, str]]:
    """Structure and side by value from ``1:cerebrum_left,2:...``; raises InvalidInputError naming the case."""
    known: dict[int, tuple[str, str]] = {}
    for part in text.replace(";", ",").split(","):
        value, colon, word = (piece.strip() for piece in part.partition(":"))
        if not value.isdigit() or not colon or word not in NAMES or not int(value) or int(value) in known:
            raise InvalidInputError(
                f"Case {name}, label_map: expected each value once, like 1:cerebrum_left,2:brainstem; got "
                f"{part.strip()!r}. Names: {', '.join(NAMES)}."
            )
        known[int(value)] = NAMES[word]
    return known


def _coded(values: np.ndarray, meaning: Mapping[int, tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Classes (0 for background, :data:`UNKNOWN`) and sides of a map of values."""
    classes, sides = np.zeros(max(meaning) + 1, np.uint8), np.full(max(meaning) + 1, -1, np.int8)
    for value, (structure, side) in meaning.items():
        classes[value] = UNKNOWN if structure == "unknown" else CLASSES.get(structure, 0)
        sides[value] = {"left": 0, "right": 1, "": -1}[side]
    return classes[values], sides[values]


def _check_sides(name: str, classes: np.ndarray, sides: np.ndarray) -> None:
    """Raise where one side of a structure is missing, or left does not lie left of right (columns run right)."""
    for structure in SIDED:
        middles: list[float] = []
        columns: list[int] = []
        for side in (0, 1):
            counts = np.count_nonzero((classes == CLASSES[structure]) & (sides == side), axis=(0, 1))
            columns += np.flatnonzero(counts)[[0, -1]].tolist() if counts.any() else []
            middles.append(float(np.average(np.arange(len(counts)), weights=counts)) if counts.any() else np.nan)
        if not columns or middles[1] - middles[0] >= APART * (max(columns) - min(columns) + 1):
            continue
        found = "only one side is labelled" if len(columns) == 2 else "left does not lie left of right"
        raise InvalidInputError(
            f"Case {name}, labels, {structure}: {found}. Are the values other ones than "
            f"{OURS} (then explain them in a column label_map), or is the image stored mirrored?"
        )


def unlabelled(painted: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Where nobody labelled, as far as that shows: between labelled slices, and beyond an end that is cut off.

    Args:
        painted: bool (slices, rows, columns), True at any label.
        spacing_mm: along the axes.

    Returns:
        bool, True where a voxel without a label says nothing.
    """
    from manabi.brain.propagate_input import find_painted

    slices = find_painted(painted, spacing_mm)
    if len({axis for axis, _ in slices}) > 1:
        missed = np.ones(painted.shape, bool)
        for axis, place in slices:
            np.moveaxis(missed, axis, 0)[place] = False
        return missed
    missed = np.zeros(painted.shape, bool)
    for axis in range(3):
        areas = np.count_nonzero(painted, axis=tuple(a for a in range(3) if a != axis))
        np.moveaxis(missed, axis, 0)[_empty(areas)] = True
    return missed


def _empty(areas: np.ndarray) -> np.ndarray:
    """Slices that nobody labelled, by the area of the labels on each, bool."""
    labelled = np.flatnonzero(areas)
    first, last = labelled[0], labelled[-1]
    empty, place = areas == 0, np.arange(len(areas))
    if len(labelled) < FEW * (last - first + 1):
        return empty
    within = (place > first) & (place < last)
    below, above = (areas[end] > CUT_END * areas.max() for end in (first, last))
    return empty & (within | (below & (place < first)) | (above & (place > last)))


# --- as networks learn and score them ---------------------------------------------------------------------------------


def may_be(classes: Tensor, c: int) -> Tensor:
    """Where a class map holds a set (:data:`Training.brain_labels.SETS`) of several classes with ``c`` among them."""
    return (classes >= SETS) & ((classes >> c) & 1).bool()


def shares_of(classes: Tensor, step: int = 1) -> Tensor:
    """What a class map ``(k, j, i)`` or ``(n, k, j, i)`` says, over blocks of ``step``; float32 ``(..., C, k, j, i)``.

    Each class's share of the block, which sum to 1; where the block holds sets, 1 for every class that it may be.
    """
    planes = torch.stack([((classes == c) | may_be(classes, c)).float() for c in range(N_CLASSES)], -4)
    if step == 1:
        return planes
    several = F.max_pool3d((classes >= SETS).float().unsqueeze(-4), step) > 0
    return torch.where(several, F.max_pool3d(planes, step), F.avg_pool3d(planes, step))


def labels_of(shares: Tensor) -> Tensor:
    """The class map ``(k, j, i)`` of shares ``(C, k, j, i)``: the largest one, or the set of those it may be."""
    bits = sum((shares[c] > 0).long() << c for c in range(N_CLASSES))
    return torch.where(shares.sum(0) > 1.5, SETS + bits, shares.argmax(0))


def dices(found: Tensor, truth: Tensor) -> list[float]:
    """Dice of every structure where it is known; NaN where it is neither found nor there, or nobody labelled it."""
    out = []
    for c in range(1, N_CLASSES):
        unknown = may_be(truth, c)
        a, b = (found == c) & ~unknown, truth == c
        total = int(a.sum()) + int(b.sum())
        untold = bool(unknown.any()) and not bool(b.any())
        out.append(2 * int((a & b).sum()) / total if total and not untold else float("nan"))
    return out


def soft_losses(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice loss against soft labels.

    Where a voxel is one of several classes, the cross-entropy is that of their sum, and its Dice counts for the other
    classes only (marginal loss: Shi G et al. Med Image Anal 2021;70:101979, 10.1016/j.media.2021.101979).

    Args:
        logits: (N, C, k, j, i).
        truth: the same shape, as :func:`shares_of` gives it.
    """
    logs = F.log_softmax(logits, 1)
    entropy, shares = -(truth * logs).sum(1), logs.exp()
    axes = (0, 2, 3, 4)
    several = truth.sum(1, keepdim=True) > 1.5
    mean = entropy.mean()
    if several.any():
        either = -logs.masked_fill(truth == 0, -torch.inf).logsumexp(1)
        told = (truth == 0).any(1)
        mean = (torch.where(several[:, 0], either, entropy) * told).sum() / told.sum().clamp(min=1)
        counted = ~(several & (truth > 0))
        shares, truth = shares * counted, truth * counted
    overlap = (shares * truth).sum(axes)
    dice = (2 * overlap + EPSILON) / (shares.sum(axes) + truth.sum(axes) + EPSILON)
    weights = torch.tensor(CLASS_WEIGHTS, device=logits.device)
    return mean, ((1 - dice) * weights).sum() / weights.sum()
