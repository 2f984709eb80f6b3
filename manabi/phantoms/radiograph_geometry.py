"""Where a film's rays run: a point source behind the patient, a flat detector before the chest (a PA film).

The beam's frame is in mm: ``x`` to the patient's right, ``z`` to the head, both 0 on the central ray, and ``distance``
from the detector towards the source. Row 0 is the top; column 0 is the patient's right, as a film is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

LEAST_MATRIX, MOST_MATRIX = 16, 2048


@dataclass(frozen=True)
class FilmGeometry:
    """A square film.

    Attributes:
        matrix: rows and columns.
        pixel_mm: distance of the pixels at the detector.
        source_detector_mm: from the source to the detector; 1.8 m (the usual distance of chest films).
        gap_mm: from the skin in front of the chest to the detector.
    """

    matrix: int = 256
    pixel_mm: float = 1.5
    source_detector_mm: float = 1800.0
    gap_mm: float = 50.0

    def __post_init__(self) -> None:
        """Refuse what is not a film."""
        if not LEAST_MATRIX <= self.matrix <= MOST_MATRIX:
            raise InvalidInputError(f"A film's matrix is {LEAST_MATRIX} to {MOST_MATRIX}; got {self.matrix}.")
        if not (self.pixel_mm > 0 and self.gap_mm >= 0 and self.source_detector_mm > self.gap_mm + 500):
            raise InvalidInputError(
                "A film needs pixel_mm above 0, gap_mm of at least 0 and a source more than 500 mm beyond the gap; got "
                f"{self.pixel_mm:g}, {self.gap_mm:g} and {self.source_detector_mm:g}."
            )

    @property
    def side_mm(self) -> float:
        """Width and height of the film."""
        return self.matrix * self.pixel_mm

    def offsets_mm(self) -> np.ndarray:
        """Places ``(matrix,)`` of the pixels' middles on the detector: ``x`` by column and ``z`` by row."""
        return ((self.matrix - 1) / 2 - np.arange(self.matrix)) * self.pixel_mm

    def magnification(self, distance_mm: np.ndarray | float) -> np.ndarray | float:
        """How much larger a thing at that distance from the detector is on it."""
        return self.source_detector_mm / (self.source_detector_mm - np.asarray(distance_mm, float))

    def to_film(self, points_mm: np.ndarray) -> np.ndarray:
        """Rows and columns ``(n, 2)``, with fractions, of points ``(n, 3)``: x, z and distance in the beam's frame."""
        x, z, distance = np.asarray(points_mm, float).reshape(-1, 3).T
        scale = self.magnification(distance) / self.pixel_mm
        middle = (self.matrix - 1) / 2
        return np.stack((middle - z * scale, middle - x * scale), axis=1)

    def to_beam(self, rows_columns: np.ndarray, distance_mm: np.ndarray | float) -> np.ndarray:
        """Points ``(n, 3)`` in the beam's frame on the rays of pixels ``(n, 2)``, at a distance from the detector."""
        rows, columns = np.asarray(rows_columns, float).reshape(-1, 2).T
        distance = np.broadcast_to(np.asarray(distance_mm, float), rows.shape)
        scale = self.pixel_mm / self.magnification(distance)
        middle = (self.matrix - 1) / 2
        return np.stack(((middle - columns) * scale, (middle - rows) * scale, distance), axis=1)

    def obliquity(self) -> np.ndarray:
        """Length of each ray per mm of distance ``(matrix, matrix)``: 1 at the middle, 1/cos elsewhere."""
        offsets = self.offsets_mm() / self.source_detector_mm
        return np.sqrt(1.0 + offsets[:, None] ** 2 + offsets[None, :] ** 2)
