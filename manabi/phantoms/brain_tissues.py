"""Tissues of a simulated head, what they count as, and the grid of tissues that both sources of anatomy make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.brain.structures import CLASSES
from manabi.geometry import Grid

TISSUES = ("air", "grey", "white", "deep", "pallidum", "csf", "ventricle", "plexus", "cerebellar_grey",
           "cerebellar_white", "stem", "bone", "marrow", "fat", "muscle", "skin", "eye", "mucosa", "vein",
           "cord")  # fmt: skip
"""A tissue's code is its position."""
CODE = {name: index for index, name in enumerate(TISSUES)}

CLASS_OF = {
    "grey": "cerebrum", "white": "cerebrum", "deep": "cerebrum", "pallidum": "cerebrum", "ventricle": "ventricles",
    "plexus": "ventricles", "cerebellar_grey": "cerebellum", "cerebellar_white": "cerebellum", "stem": "brainstem",
}  # fmt: skip
"""The structure (:data:`manabi.brain.structures.STRUCTURES`) that a tissue belongs to; the others to none."""


@dataclass(frozen=True)
class Head:
    """Tissues on a grid.

    Attributes:
        tissue: ``(slices, rows, columns)`` uint8 codes of :data:`TISSUES`.
        side: likewise int8: -1 left, 1 right.
        grid: where they lie.
    """

    tissue: np.ndarray
    side: np.ndarray
    grid: Grid

    @property
    def classes(self) -> np.ndarray:
        """:data:`manabi.brain.structures.CLASSES` of the tissues, uint8; no vessels."""
        return class_table()[self.tissue]


def class_table() -> np.ndarray:
    """Class of every tissue code, uint8."""
    return np.array([CLASSES.get(CLASS_OF.get(name, ""), 0) for name in TISSUES], np.uint8)
