"""Slices that a stack has lost: empty ones within the patient, and ones that repeat their neighbour.

Programs that fill a gap in a series keep its grid and put air or the last slice there. A converter would convert that
as if it were the patient. What counts as empty is our choice; the source has no such check.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EMPTY_SHARE = 0.1
"""A slice between others is empty where it holds less than this of the body that the nearer side's slices hold."""


@dataclass(frozen=True)
class Missing:
    """Numbers of slices along the array, from 0.

    Attributes:
        empty: without the patient, between slices that show him.
        repeated: the same values as the slice before, patient included.
    """

    empty: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()

    @property
    def present(self) -> bool:
        """Whether any was found."""
        return bool(self.empty or self.repeated)


def missing_slices(hu: np.ndarray, body: np.ndarray) -> Missing:
    """Find the slices that do not show what lies there.

    Args:
        hu: ``(n, rows, columns)`` HU, as the scanner or the file gave them.
        body: mask of the same shape.
    """
    area = body.sum((1, 2), dtype=float)
    shown = np.flatnonzero(area)
    if not shown.size:
        return Missing()
    below = np.maximum.accumulate(area)
    above = np.maximum.accumulate(area[::-1])[::-1]
    empty = np.flatnonzero(area < EMPTY_SHARE * np.minimum(below, above))
    repeated = [k for k in shown[1:] if area[k - 1] and np.array_equal(hu[k], hu[k - 1])]
    return Missing(tuple(map(int, empty)), tuple(map(int, repeated)))
