"""The markers without a network: air within the body, lungs as its largest parts, the trachea followed to its division.

The baseline that a network must beat, and evidence beside its scores (:mod:`manabi.slices.evidence`). Thresholds are
our choices after the density of air (-1000 HU), lung (-860) and soft tissue (above -100); following the trachea by its
area from the top is common to airway segmentations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from manabi.slices.airway import follow_trachea
from manabi.slices.lungs import aerated_area, air_in_body, end_mm, ends, find_lungs
from manabi.slices.reading import DIAPHRAGM_OFFSET_MM, LOWER_END, MARKERS, UPPER_END
from manabi.slices.stack import AxialStack

WORK_MM = 3.0
"""Pixels on which lungs are found: finer ones are thinned out to about this."""

END_SLICES = (2, 6)
"""Slices below and above the lowest one with lung that are measured in shares of voxels."""


@dataclass(frozen=True)
class RuleReading:
    """What the rules found.

    Attributes:
        z_mm: position by marker, None where it was not found.
        index: slice of the stack by marker, None likewise.
        notes: why not, in words.
        lungs: on the stack's grid, or None where no lungs were found.
        airway: the trachea's lumen down to the carina on the stack's grid, or None.
        fine_mm: levels between slices (:func:`manabi.slices.lungs.end_mm`) of markers that were found and are ends
            of the lungs; they count as evidence, the baseline answers with whole slices.
    """

    z_mm: dict[str, float | None]
    index: dict[str, int | None]
    notes: tuple[str, ...]
    lungs: np.ndarray | None
    airway: np.ndarray | None
    fine_mm: Mapping[str, float] = field(default_factory=dict)

    @property
    def said_mm(self) -> tuple[float, float, float]:
        """Positions in the order of the markers, as :func:`manabi.slices.evidence.evidence` takes them.

        Between slices where that is known; infinite where lung reaches the image's end, NaN where nothing is known.
        """
        beyond = {"apex": np.inf if UPPER_END in self.notes else np.nan,
                  "diaphragm": -np.inf if LOWER_END in self.notes else np.nan}  # fmt: skip
        a, b, c = (beyond.get(m, np.nan) if (z := self.z_mm[m]) is None else self.fine_mm.get(m, z) for m in MARKERS)
        return a, b, c

    def moved(self, shift_mm: Sequence[float]) -> RuleReading:
        """The same with each marker's position lower by so much: in the terms of a site that marks it otherwise."""
        shifts = dict(zip(MARKERS, shift_mm, strict=True))
        whole = {m: None if z is None else z - shifts[m] for m, z in self.z_mm.items()}
        return replace(self, z_mm=whole, fine_mm={m: z - shifts[m] for m, z in self.fine_mm.items()})


def find_by_rules(stack: AxialStack, diaphragm_offset_mm: float = DIAPHRAGM_OFFSET_MM) -> RuleReading:
    """The markers of a stack; what cannot be found is None with a note, nothing is raised for a strange image.

    Args:
        stack: in Hounsfield units.
        diaphragm_offset_mm: how far above the lowest slice with lung the diaphragm's marker is.
    """
    stride_i, stride_j = (max(int(WORK_MM / step), 1) for step in stack.pixel_mm)
    coarse = np.asarray(stack.volume.array[:, ::stride_j, ::stride_i])
    pixel_mm2 = stack.pixel_mm[0] * stride_i * stack.pixel_mm[1] * stride_j
    air = air_in_body(coarse)
    airway = follow_trachea(stack, air, (stride_j, stride_i))
    lungs = find_lungs(coarse, air, airway.coarse, stack.spacing_mm * pixel_mm2 / 1000.0)
    area = np.zeros(stack.n) if lungs is None else lungs.sum(axis=(1, 2)) * pixel_mm2
    apex, lowest, notes = ends(area)
    diaphragm = None if lowest is None else _above(stack, lowest, diaphragm_offset_mm)
    index = dict(zip(MARKERS, (apex, airway.carina, diaphragm), strict=True))
    z_mm = {marker: None if k is None else float(stack.z_mm[k]) for marker, k in index.items()}
    whole = None if lungs is None else _grown(lungs, (stride_j, stride_i), stack.volume.array.shape)
    fine = {"apex": end_mm(area[::-1], stack.z_mm[::-1])}
    if lungs is not None and lowest is not None:
        fine["diaphragm"] = _lower_end(stack, coarse, lungs, area, lowest) + diaphragm_offset_mm
    fine = {marker: level for marker, level in fine.items() if index[marker] is not None}
    return RuleReading(z_mm, index, (*_units(coarse), *airway.notes, *notes), whole, airway.mask, fine)


def _units(array: np.ndarray) -> tuple[str, ...]:
    """A note where the values cannot be Hounsfield units."""
    if array.size and float(array.min()) >= 0.0:
        return ("no value is below zero: these are not Hounsfield units (1024 may have to be subtracted)",)
    return ()


def _lower_end(stack: AxialStack, coarse: np.ndarray, lungs: np.ndarray, area: np.ndarray, lowest: int) -> float:
    """Where lung ends below, between slices, from the voxels that are partly lung."""
    some = slice(max(lowest - END_SLICES[0], 0), min(lowest + END_SLICES[1], stack.n))
    fine = area.astype(float)
    pixel_mm2 = float(area[lowest] / lungs[lowest].sum())
    fine[some] = aerated_area(coarse, lungs, some, pixel_mm2)
    return end_mm(fine, stack.z_mm)


def _above(stack: AxialStack, lowest: int, offset_mm: float) -> int | None:
    """The slice so far above the lowest one with lung, or None beyond the image's end."""
    z = float(stack.z_mm[lowest]) + offset_mm
    return stack.nearest(z) if stack.contains(z) else None


def _grown(mask: np.ndarray, strides: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """A mask of every n-th row and column on the whole grid."""
    whole = mask.repeat(strides[0], axis=1).repeat(strides[1], axis=2)
    return np.asarray(whole[:, : shape[1], : shape[2]])
