"""Grids: where the voxels of an array lie in the patient.

Space is RAS in mm, as in 3D Slicer: +x right, +y anterior, +z superior. Arrays are KJI ``(n_slices, n_rows,
n_columns)``, while matrices act on IJK index vectors ``(column, row, slice, 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from manabi.errors import GeometryError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE_MM = 1e-3
"""Two grids whose corners are closer than this are the same grid (our choice)."""

FLAT = 1e-6
"""A voxel that fills less than this part of the box of its spacing has no volume (our choice)."""

Shape: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of voxels in space: a KJI shape and the 4×4 matrix from IJK indices to RAS mm."""

    shape: Shape
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        """Freeze the matrix and refuse what cannot be a voxel grid."""
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"A grid needs three axes of at least one voxel each; got shape {shape}.")
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("ijk_to_ras must be a finite 4×4 matrix in mm.")
        if not np.allclose(matrix[3], [0, 0, 0, 1]):
            raise GeometryError(f"The last row of ijk_to_ras must be 0 0 0 1; got {matrix[3]}.")
        volume = np.prod(np.linalg.norm(matrix[:3, :3], axis=0))
        if volume == 0 or abs(np.linalg.det(matrix[:3, :3])) < FLAT * volume:
            raise GeometryError("ijk_to_ras is singular: a voxel has no volume. Check the image's spacing.")
        matrix.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along I, J, K (columns, rows, slices), in mm."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def directions(self) -> np.ndarray:
        """3×3, columns are the unit vectors of I, J, K in RAS."""
        return self.ijk_to_ras[:3, :3] / self.spacing_mm

    @property
    def origin_ras(self) -> np.ndarray:
        """Centre of voxel (0, 0, 0), RAS mm."""
        return self.ijk_to_ras[:3, 3].copy()

    @property
    def is_left_handed(self) -> bool:
        """Whether I, J, K form a left-handed frame (one axis mirrored)."""
        return bool(np.linalg.det(self.ijk_to_ras[:3, :3]) < 0)

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not perpendicular, by more than about 0.06° (our choice)."""
        gram = self.directions.T @ self.directions
        return bool(np.abs(gram - np.eye(3)).max() > 1e-3)

    def ras_of(self, ijk: np.ndarray) -> np.ndarray:
        """RAS mm of IJK points, shape ``(..., 3)``."""
        return np.asarray(ijk, float) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ijk_of(self, ras: np.ndarray) -> np.ndarray:
        """Continuous IJK of RAS points in mm, shape ``(..., 3)``."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        return np.asarray(ras, float) @ inverse[:3, :3].T + inverse[:3, 3]

    def corners_ras(self) -> np.ndarray:
        """The centres of the eight corner voxels, ``(8, 3)``, RAS mm."""
        k, j, i = (n - 1 for n in self.shape)
        ijk = np.array([[x, y, z] for z in (0, k) for y in (0, j) for x in (0, i)], float)
        return self.ras_of(ijk)

    def same_as(self, other: Grid, tolerance_mm: float = SAME_PLACE_MM) -> bool:
        """Whether both grids have the same shape and lie at the same place."""
        return self.shape == other.shape and bool(
            np.abs(self.corners_ras() - other.corners_ras()).max() <= tolerance_mm
        )

    def shifted(self, offset_ijk: np.ndarray, shape: Shape) -> Grid:
        """The grid with the same axes whose first voxel is at ``offset_ijk`` of this one."""
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.ras_of(np.asarray(offset_ijk, float))
        return Grid(shape, matrix)

    def with_spacing(self, spacing_mm: np.ndarray) -> Grid:
        """A grid with other voxel sizes (IJK, mm) that shares this one's centre and covers its box of space.

        The number of voxels is rounded, so an edge may lie up to half a new voxel off.
        """
        new = np.asarray(spacing_mm, float)
        if new.shape != (3,) or not np.isfinite(new).all() or new.min() <= 0:
            raise GeometryError(f"A spacing is three positive numbers in mm (columns, rows, slices); got {spacing_mm}.")
        size_ijk = np.array(self.shape[::-1])
        count = np.maximum(np.round(size_ijk * self.spacing_mm / new - 1e-6), 1).astype(int)
        matrix = self.ijk_to_ras.copy()
        matrix[:3, :3] = self.directions * new
        centre = self.ras_of((size_ijk - 1) / 2)
        matrix[:3, 3] = centre - matrix[:3, :3] @ ((count - 1) / 2)
        return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)

    def straightened(self) -> Grid:
        """The smallest grid with perpendicular axes that covers this one, voxel centre to voxel centre.

        I keeps its direction, J stays in the plane of the slice and K becomes its normal, each on the side where it
        was; the spacing is that between the former columns, rows and slices measured at right angles (our choice).
        """
        upright, triangle = np.linalg.qr(self.ijk_to_ras[:3, :3])
        spacing = np.abs(np.diag(triangle))
        axes = upright * np.sign(np.diag(triangle))
        along = (self.corners_ras() - self.origin_ras) @ axes / spacing
        low = along.min(axis=0)
        count = np.ceil(along.max(axis=0) - low - 1e-6).astype(int) + 1
        matrix = np.eye(4)
        matrix[:3, :3] = axes * spacing
        matrix[:3, 3] = self.origin_ras + matrix[:3, :3] @ low
        return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)


def closest_axes(directions: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Which IJK axis runs closest to each of R, A, S, and with which sign.

    Returns ``(axes, signs)``: ``axes[0]`` is the IJK axis nearest to left-right, and so on; every axis is used once,
    and the choice maximises the summed alignment, so that it is stable for oblique volumes.
    """
    from itertools import permutations

    alignment = np.abs(directions)
    best = max(permutations(range(3)), key=lambda p: sum(alignment[row, p[row]] for row in range(3)))
    signs = tuple(1 if directions[row, best[row]] >= 0 else -1 for row in range(3))
    return best, signs  # type: ignore[return-value]
