"""The share of every voxel that a tree of vessels fills: cones with round ends, sampled inside each voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid

if TYPE_CHECKING:
    from manabi.phantoms.brain_vessels import Tree


def paint(tree: Tree, grid: Grid, supersample: int = 2) -> np.ndarray:
    """Share of each voxel inside the tree, ``(slices, rows, columns)`` float32, 0 to 1.

    Each voxel is divided into ``supersample``³ parts, each of which is full, empty or in between by the distance of its
    centre from the wall. Vessels thinner than a part keep their cross-section on average. Where segments overlap the
    larger share counts.

    Raises:
        GeometryError: for a grid whose axes are not perpendicular.
        InvalidInputError: for a ``supersample`` below 1.
    """
    share = np.zeros(grid.shape, np.float32)
    paint_values(tree, grid, share, supersample=supersample)
    return share


def paint_values(
    tree: Tree, grid: Grid, share: np.ndarray, values: np.ndarray | None = None, into: np.ndarray | None = None,
    supersample: int = 2,
) -> None:  # fmt: skip
    """Paint into ``share``; where a segment raises a voxel's share, ``into`` takes the segment's ``values``.

    Args:
        tree: what to paint.
        grid: of ``share`` and ``into``.
        share: ``(slices, rows, columns)`` float32, changed in place.
        values: ``(n,)``, one per segment (for example the pulses its blood has seen), or None.
        into: as ``share``, changed in place, or None.
        supersample: see :func:`paint`.
    """
    if grid.is_sheared:
        raise GeometryError("Vessels need a grid with perpendicular axes; straighten the grid first.")
    if supersample < 1:
        raise InvalidInputError(f"supersample is 1 or more; got {supersample}.")
    spacing = grid.spacing_mm
    ends = [grid.ijk_of(points) * spacing for points in (tree.start_mm, tree.end_mm)]
    reach = np.maximum(tree.start_radius_mm, tree.end_radius_mm)[:, None] + 0.6 * spacing
    low = np.maximum(np.ceil((np.minimum(*ends) - reach) / spacing), 0).astype(int)
    size = np.array(grid.shape[::-1])
    high = np.minimum(np.floor((np.maximum(*ends) + reach) / spacing) + 1, size).astype(int)
    parts = (np.arange(supersample) + 0.5) / supersample - 0.5
    for n in np.flatnonzero((high > low).all(axis=1)):
        axes = [
            ((np.arange(low[n, d], high[n, d])[:, None] + parts).ravel() * spacing[d]).astype(np.float32)
            for d in range(3)
        ]
        radii = float(tree.start_radius_mm[n]), float(tree.end_radius_mm[n])
        fine = _cone(axes, ends[0][n], ends[1][n], radii, float(np.cbrt(spacing.prod())) / supersample)
        coarse = fine.reshape([v for d in (2, 1, 0) for v in (high[n, d] - low[n, d], supersample)]).mean(
            axis=(1, 3, 5)
        )
        box = tuple(slice(low[n, d], high[n, d]) for d in (2, 1, 0))
        if into is not None and values is not None:
            into[box][coarse > share[box]] = values[n]
        np.maximum(share[box], coarse, out=share[box])


def _cone(
    axes: list[np.ndarray], a: np.ndarray, b: np.ndarray, radii: tuple[float, float], part_mm: float
) -> np.ndarray:  # fmt: skip
    """Share of each part of a box ``(nz, ny, nx)`` that lies in a cone from ``a`` to ``b`` with round ends."""
    along = (b - a).astype(np.float32)
    x, y, z = axes[0] - a[0], (axes[1] - a[1])[:, None], (axes[2] - a[2])[:, None, None]
    x, y, z = x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)
    share = np.clip((x * along[0] + y * along[1] + z * along[2]) / max(float(along @ along), 1e-9), 0.0, 1.0)
    distance = np.sqrt((x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 + (z - share * along[2]) ** 2)
    radius = radii[0] + share * (radii[1] - radii[0])
    mean = 0.5 * (radii[0] + radii[1])
    return np.clip((radius - distance) / part_mm + 0.5, 0.0, 1.0) * _calibre(mean, part_mm)


def _calibre(radius: float, part_mm: float) -> float:
    """True cross-section over that of the soft-edged disc, so that thin vessels keep their size."""
    half = 0.5 * part_mm
    soft = radius**2 + part_mm**2 / 12.0 if radius >= half else (radius + half) ** 3 / (3.0 * part_mm)
    return radius**2 / soft
