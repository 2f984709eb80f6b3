"""What is read off a chest CT: one answer for each marker, with its confidence, and where it is not in the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

MARKERS = ("apex", "carina", "diaphragm")
"""From the head to the feet, as the source names them (Zhang et al., 2021, section 3.1)."""
NAMES = {"apex": "Lung apex", "carina": "Carina", "diaphragm": "Above the diaphragm"}
"""As a reader calls them."""
PLACES = {"apex": "the lung apex", "carina": "the carina", "diaphragm": "the level above the diaphragm"}
"""The same within a sentence."""
NEAR_MM = 4.0
"""An answer this close counts as right: one slice of the source's 4 mm (its 1-Up-Down)."""
DISAGREE_MM = 12.0
"""Network and rules further apart than this are flagged (our choice: three slices of 4 mm)."""
DIAPHRAGM_OFFSET_MM = 24.0
"""The diaphragm's marker lies this far above the lowest slice with lung: six slices of 4 mm in the source."""
UPPER_END, LOWER_END = "lung reaches the image's upper end", "lung reaches the image's lower end"
"""What the rules note where a truncated lung leaves them without a marker."""
APEX_AREA_MM2 = 50.0
"""The apex is the first slice with more lung than this (our choice; the source says "appears")."""

Absent = Literal["", "above", "below", "unknown"]


@dataclass(frozen=True)
class Found:
    """One marker.

    Attributes:
        marker: one of :data:`MARKERS`.
        index: slice of the stack, counted from the feet; None where the marker is not in the image, or not found.
        z_mm: the slice's position; None likewise.
        confidence: probability that the answer is right: that the marker lies within 4 mm, or is not in the image.
        absent: ``above`` or ``below`` where the marker lies beyond the image's end; ``unknown`` where the rules found
            none, which need not mean that; empty where it is in the image.
        probability: ``(n,)``, that the marker is at each slice.
    """

    marker: str
    index: int | None
    z_mm: float | None
    confidence: float
    absent: Absent
    probability: np.ndarray


@dataclass(frozen=True)
class Reading:
    """The three markers of one CT.

    Attributes:
        found: in the order of :data:`MARKERS`.
        z_mm: ``(n,)``, positions of the stack's slices.
        evaluated: ``(n,)``, which slices the network looked at.
        raw: ``(n, 3)``, the network's own probability for each slice and marker; NaN where it did not look.
        flags: what a reader should check: of which marker (empty: of them together), and in words.
    """

    found: tuple[Found, Found, Found]
    z_mm: np.ndarray
    evaluated: np.ndarray
    raw: np.ndarray
    flags: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, marker: str) -> Found:
        """The answer for a marker, by name."""
        return self.found[MARKERS.index(marker)]

    @property
    def levels_mm(self) -> dict[str, float]:
        """Positions of the markers that are in the image."""
        return {one.marker: one.z_mm for one in self.found if one.z_mm is not None}
