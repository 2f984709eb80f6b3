"""The trachea, followed from slice to slice until its lumen is two: the carina.

The lumen's area and overlap from slice to slice tell the trachea from air in the oesophagus or a diverticulum, which
end; two lumens that stay two and diverge tell the main bronchi from a bronchus of an upper lobe that leaves early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.slices.lumens import Field
from manabi.slices.stack import AxialStack

LUMEN_HU = (-500.0, -650.0, -800.0, -880.0, -930.0)
"""Thresholds tried in turn where the lumen leaks into a lung."""
SEPTUM_HU = -750.0
"""Two lumens are divided where the wall between them is denser: a slice that the carina reaches in part counts."""
AREA_MM2 = (45.0, 750.0)
"""The trachea's lumen (our choice; narrow enough for a sabre sheath)."""
SEED_STEP_MM = 13.0
"""Distance of the levels at which a trachea is looked for."""
SEED_ROUND = 0.45
"""Least roundness of a lumen to start from."""
SEED_RUN_MM = 18.0
"""A lumen counts as the trachea when it can be followed for so long."""
LEAK = 1.9
"""A lumen does not grow by more than this between slices of 4 mm."""
BRANCH_MM2 = (22.0, 550.0)
"""A main bronchus in one slice: small where it is full of secretion, large where it runs within the slice."""
LEAST_OVERLAP = 0.6
APART_MM = 9.0
STAY_MM = 8.0
"""Two lumens are the main bronchi when they stay two for so long, further and further apart."""
MIDLINE_MM = 30.0
"""The carina lies no further from the body's middle: lobar bronchi divide further out."""


@dataclass(frozen=True)
class Followed:
    """The trachea.

    Attributes:
        carina: first slice from above with two lumens, or None.
        mask: lumen down to the carina on the stack's grid, or None.
        coarse: the same on the grid of the coarse air mask.
        notes: why it was not found.
    """

    carina: int | None
    mask: np.ndarray | None
    coarse: np.ndarray
    notes: tuple[str, ...] = ()


def follow_trachea(stack: AxialStack, inner: np.ndarray, strides: tuple[int, int]) -> Followed:
    """Follow the trachea down to the carina.

    Args:
        stack: the CT.
        inner: ``(n, rows, columns)`` air within the body on every ``strides``-th row and column.
        strides: rows, columns.
    """
    nothing = np.zeros(inner.shape, bool)
    if not inner.any():
        return Followed(None, None, nothing)
    field = Field(stack, inner, strides)
    best: tuple[int, list[np.ndarray]] = (0, [])
    for top, seed in _starts(field):
        track, carina = _follow(field, top, seed)
        if carina is not None:
            return _finished(field, top, track, carina, inner.shape, strides)
        if len(track) > len(best[1]):
            best = (top, track)
    if len(best[1]) * stack.spacing_mm < SEED_RUN_MM:
        return Followed(None, None, nothing, ("the trachea was not found",))
    done = _finished(field, *best, None, inner.shape, strides)
    return Followed(None, done.mask, done.coarse, ("the trachea could not be followed to its division",))


def _starts(field: Field) -> Iterator[tuple[int, np.ndarray]]:
    """Lumens that may be the trachea, from the head to the feet."""
    step = max(round(SEED_STEP_MM / field.stack.spacing_mm), 1)
    for top in range(field.stack.n - 1, 2, -step):
        for seed in _seeds(field, top):
            yield top, seed


def _seeds(field: Field, k: int) -> list[np.ndarray]:
    """Lumens in a slice that may be the trachea, the roundest first."""
    labels, areas = field.parts(k, LUMEN_HU[0])
    found = []
    for n in np.flatnonzero((areas >= AREA_MM2[0]) & (areas <= AREA_MM2[1])):
        mask = labels == n
        if n == 0 or _touches_edge(mask):
            continue
        found.append((_roundness(field, mask), mask))
    found.sort(key=lambda pair: -pair[0])
    return [mask for value, mask in found[:3] if value > SEED_ROUND]


def _touches_edge(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _roundness(field: Field, mask: np.ndarray) -> float:
    """Area over that of the circle around the mask, at most about 1."""
    return float(mask.sum() * field.area / (np.pi * (field.extent_mm(mask) / 2) ** 2))


def _follow(field: Field, top: int, seed: np.ndarray) -> tuple[list[np.ndarray], int | None]:
    """Masks from ``top`` down, and the first slice with two lumens, or None where the track is lost before."""
    track = [seed]
    for k in range(top - 1, -1, -1):
        long_enough = len(track) * field.stack.spacing_mm >= SEED_RUN_MM
        if long_enough and _divides(field, k, track[-1]):
            return track, k
        following = _next(field, k, track[-1])
        if following is None:
            return track, None
        track.append(following)
    return track, None


def _reach(field: Field, previous: np.ndarray) -> np.ndarray:
    """Where the lumen may be in the next slice: a little around where it was."""
    grow = max(round(0.35 * field.stack.spacing_mm / min(field.pixel)), 1)
    return ndimage.binary_dilation(previous, iterations=grow)


def _next(field: Field, k: int, previous: np.ndarray) -> np.ndarray | None:
    """The lumen in the next slice: the part that overlaps the former one most, without leaking."""
    near, area = _reach(field, previous), previous.sum() * field.area
    limit = min(area * LEAK ** max(field.stack.spacing_mm / 4.0, 0.5) + 60.0, AREA_MM2[1] * 1.5)
    for threshold in LUMEN_HU:
        labels, areas = field.parts(k, threshold)
        overlap = np.bincount(labels[near], minlength=len(areas)) * field.area
        overlap[0] = 0
        n = int(overlap.argmax())
        if overlap[n] < 0.25 * min(area, AREA_MM2[0]):
            return None
        if areas[n] <= limit:
            return np.asarray(labels == n)
    return None


def _divides(field: Field, k: int, previous: np.ndarray) -> bool:
    """Whether there are two lumens below the former one, here and further down, ever further apart."""
    pair = _pair(field, k, previous)
    if pair is None or field.septum_hu(k, pair) <= SEPTUM_HU:
        return False
    middle = (field.centre(pair[0])[0] + field.centre(pair[1])[0]) / 2
    if abs(middle - field.middle_mm) > MIDLINE_MM:
        return False
    apart, down = _apart(field, pair), k
    while (k - down) * field.stack.spacing_mm < STAY_MM:
        down -= 1
        pair = _pair(field, down, pair[0] | pair[1]) if down >= 0 else None
        if pair is None:
            return False
    return _apart(field, pair) > apart + 1.0


def _pair(field: Field, k: int, previous: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Two lumens side by side below the former ones, at the highest threshold that divides them."""
    near = ndimage.binary_dilation(_reach(field, previous), iterations=2)
    for start in range(len(LUMEN_HU)):
        found = _lumens(field, k, near, LUMEN_HU[start:])
        if len(found) >= 2 and _side_by_side(field, (found[0], found[1])):
            return found[0], found[1]
    return None


def _lumens(field: Field, k: int, near: np.ndarray, thresholds: tuple[float, ...]) -> list[np.ndarray]:
    """Lumens near a place, the nearest first; one that leaks into a lung is tried again at the next threshold."""
    found: list[tuple[float, np.ndarray]] = []
    left = near.copy()
    for threshold in thresholds:
        labels, areas = field.parts(k, threshold)
        overlap = np.bincount(labels[left], minlength=len(areas)) * field.area
        fits = (overlap >= LEAST_OVERLAP * BRANCH_MM2[0]) & (areas >= BRANCH_MM2[0]) & (areas <= BRANCH_MM2[1])
        fits[0] = False
        found += [(float(overlap[n]), labels == n) for n in np.flatnonzero(fits)]
        left &= (labels > 0) & (areas > BRANCH_MM2[1])[labels]
        if not left.any():
            break
    found.sort(key=lambda one: -one[0])
    return [mask for _, mask in found]


def _side_by_side(field: Field, pair: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether two lumens lie left and right rather than one behind the other."""
    across, along = np.abs(field.centre(pair[0]) - field.centre(pair[1]))
    return bool(across >= APART_MM and along <= across)


def _apart(field: Field, pair: tuple[np.ndarray, np.ndarray]) -> float:
    """Distance of two lumens from side to side, mm."""
    return float(abs(field.centre(pair[0])[0] - field.centre(pair[1])[0]))


def _finished(
    field: Field, top: int, track: list[np.ndarray], carina: int | None, shape: tuple[int, ...],
    strides: tuple[int, int],
) -> Followed:  # fmt: skip
    """The track as masks on the stack's grid and on the coarse one."""
    mask = np.zeros(field.stack.volume.shape, bool)
    for number, part in enumerate(track):
        field.put(mask[top - number], part)
    pair = None if carina is None else _pair(field, carina, track[-1])
    if carina is not None and pair is not None:
        field.put(mask[carina], pair[0] | pair[1])
    coarse = mask[:, :: strides[0], :: strides[1]][: shape[0], : shape[1], : shape[2]]
    return Followed(carina, mask, coarse)
