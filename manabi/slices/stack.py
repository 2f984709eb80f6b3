"""A CT as a stack of axial slices from the feet to the head, whatever way its array runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from manabi.context import Context
from manabi.geometry import Grid, closest_axes
from manabi.volume import Volume

TILT_LIMIT_DEG = 25.0
"""Slices tilted more than this are resampled to axial ones (our choice: gantries tilt less than that)."""
REFORMAT_MM = 1.0
"""Finest spacing of a resampled stack (our choice)."""
AIR_HU = -1024.0


@dataclass(frozen=True)
class AxialStack:
    """Axial slices with their place in the patient.

    Attributes:
        volume: columns run to the patient's right, rows to the front, slices to the head; the voxels are the input's
            own unless ``resampled``.
        z_mm: ``(n,)``, where each slice's middle lies along the stack's normal, mm, increasing to the head; of slices
            that are not tilted, the RAS coordinate S.
        input_axis: axis of the input's array (0 slices, 1 rows, 2 columns) along which the stack runs.
        input_flipped: whether the input's index increases towards the feet.
        resampled: whether the slices are reformatted, because the input's own are too oblique.
    """

    volume: Volume
    z_mm: np.ndarray
    input_axis: int
    input_flipped: bool
    resampled: bool = False

    @classmethod
    def of(cls, volume: Volume, context: Context | None = None) -> AxialStack:
        """The stack of a volume; nothing is interpolated unless its slices are tilted more than 25°.

        Args:
            volume: a CT in any orientation.
            context: gets a warning where slices are resampled.
        """
        tilt = tilt_deg(volume.grid)
        resampled = tilt > TILT_LIMIT_DEG
        if resampled:
            volume = volume.resampled(_axial_grid(volume.grid), "linear", fill=AIR_HU)
        if context is not None and resampled:
            context.warn(
                f"The image's slices are tilted by {tilt:.0f}° against the patient's axes; markers and representative "
                "slices are of an axial reformat, not of the image's own slices."
            )
        axes, signs = closest_axes(volume.grid.directions)
        upright = volume.reoriented()
        return cls(upright, _positions(upright.grid), 2 - axes[2], signs[2] < 0, resampled)

    @property
    def n(self) -> int:
        """Number of slices."""
        return len(self.z_mm)

    @property
    def spacing_mm(self) -> float:
        """Distance between slices along their normal."""
        return float((self.z_mm[-1] - self.z_mm[0]) / (self.n - 1)) if self.n > 1 else float(self.pixel_mm[0])

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Distance between columns and between rows."""
        return float(self.volume.spacing_mm[0]), float(self.volume.spacing_mm[1])

    def plane(self, k: int) -> np.ndarray:
        """Slice ``k``, ``(rows, columns)``: row 0 at the back, column 0 at the patient's left."""
        return self.volume.array[k]

    def input_index(self, k: int) -> int:
        """Index of slice ``k`` along the input's own axis ``input_axis`` (of a resampled stack, its own index)."""
        return self.n - 1 - k if self.input_flipped else k

    def nearest(self, z_mm: float) -> int:
        """The slice whose middle is closest to a position."""
        return int(np.abs(self.z_mm - z_mm).argmin())

    def ras(self, k: float, j: float, i: float) -> tuple[float, float, float]:
        """The point of the patient at slice, row and column of the stack, RAS mm."""
        x, y, z = self.volume.grid.ras_of(np.array([i, j, k], float))
        return float(x), float(y), float(z)

    def contains(self, z_mm: float) -> bool:
        """Whether a position lies within the image, the outer slices' half thickness included."""
        half = self.spacing_mm / 2
        return bool(self.z_mm[0] - half <= z_mm <= self.z_mm[-1] + half)

    def part(self, first: int, last: int) -> AxialStack:
        """The slices from ``first`` up to, not including, ``last`` as a stack of their own."""
        _, n_rows, n_columns = self.volume.shape
        return AxialStack.of(self.volume.crop((first, 0, 0), (last, n_rows, n_columns)))

    def like(self, array: np.ndarray) -> AxialStack:
        """The same slices with other values."""
        return replace(self, volume=self.volume.like(array))


def tilt_deg(grid: Grid) -> float:
    """Angle between the normal of the most axial slices and the patient's long axis."""
    directions = grid.directions
    along = closest_axes(directions)[0][2]
    others = [directions[:, axis] for axis in range(3) if axis != along]
    normal = np.cross(others[0], others[1])
    cosine = abs(normal[2]) / max(float(np.linalg.norm(normal)), 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0))))


def _positions(grid: Grid) -> np.ndarray:
    """Middle of each slice along the normal; the normal points to the head."""
    normal = np.cross(grid.directions[:, 0], grid.directions[:, 1])
    normal = normal / np.linalg.norm(normal)
    n_slices, n_rows, n_columns = grid.shape
    middle = np.array([(n_columns - 1) / 2, (n_rows - 1) / 2])
    points = np.stack([grid.ras_of(np.array([*middle, k], float)) for k in range(n_slices)])
    z = points @ normal
    return z if normal[2] > 0 else -z


def _axial_grid(grid: Grid) -> Grid:
    """A grid along the patient's axes that covers another, as fine as its finest axis but not below 1 mm."""
    corners = grid.corners_ras()
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = max(float(grid.spacing_mm.min()), REFORMAT_MM)
    size = np.maximum(np.ceil((high - low) / step).astype(int) + 1, 1)
    matrix = np.diag([step, step, step, 1.0])
    matrix[:3, 3] = low
    return Grid((int(size[2]), int(size[1]), int(size[0])), matrix)
