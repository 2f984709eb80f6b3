"""Marks limited to the lungs as the method limits them, so that what is stated of marks is what a user gets.

The lungs are those that :mod:`manabi.nodule.lung_mask` estimates on each film, also where a simulated film's lungs are
known: a user has the estimate, with its faults. It costs 0.3 to 0.5 s a film, once in a process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from manabi.nodule.detect import MARGIN_MM
from manabi.nodule.lung_mask import lung_field_parts
from manabi.nodule.marks import is_near
from manabi.nodule.place import ASSUMED_FIELD_MM
from Training.froc import Mark
from Training.nodule_evaluate import Finder

MOST_KEPT = 8192
"""Films whose lungs a process keeps, 8 KB each at 256 × 256; the oldest go first."""

_kept: dict[bytes, np.ndarray | None] = {}


def lungs_of(film: np.ndarray) -> np.ndarray | None:
    """Where the lungs of a film are, bool of its shape; None where they are doubtful: the method limits nothing then.

    Args:
        film: float32 ``(rows, columns)`` in 0 to 1, on the network's grid.
    """
    key = hashlib.sha256(film.tobytes()).digest()
    if key not in _kept:
        found = lung_field_parts(film)
        if len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = None if found.is_doubtful else np.packbits(found.whole > 0)
    bits = _kept[key]
    return None if bits is None else np.unpackbits(bits, count=film.size).reshape(film.shape).astype(bool)


def margin_px(matrix: int) -> float:
    """How far from the lungs a mark counts as in them, on a film whose spacing is not known: pixels of its grid."""
    return MARGIN_MM * matrix / ASSUMED_FIELD_MM


def within(film: np.ndarray, marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks that the method shows with ``limit_to_lungs``."""
    if not marks:
        return ()
    lungs = lungs_of(film)
    if lungs is None:
        return tuple(marks)
    margin = margin_px(max(film.shape))
    return tuple(mark for mark in marks if is_near(lungs, mark.row, mark.column, margin))


def limited(find: Finder, limit: bool = True) -> Finder:
    """A finder that leaves out marks outside the lungs; ``find`` itself where ``limit`` is off."""
    if not limit:
        return find

    def inside(films: np.ndarray) -> list[tuple[Mark, ...]]:
        return [within(film, marks) for film, marks in zip(films, find(films), strict=True)]

    return inside
