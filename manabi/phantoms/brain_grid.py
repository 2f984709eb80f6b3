"""The grids that a simulated head is imaged on, and what cannot be simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.phantoms.brain_contrast import CONTRASTS, SEQUENCES
from manabi.phantoms.brain_pose import Pose

if TYPE_CHECKING:
    from manabi.phantoms.brain import BrainParameters, Scan

AXES = {
    "axial": ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "sagittal": ((0, -1, 0), (0, 0, -1), (-1, 0, 0)),
    "coronal": ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
}
"""Directions of columns, rows and slices in RAS, as scanners store them."""
PART_MM = (1.5, 2.0)
"""A voxel is divided into parts of about this size across and along the slice (our choice)."""
MOST_VOXELS = 120e6
"""More than this would need more memory than a usual machine has."""


def scan_grid(scan: Scan, pose: Pose) -> Grid:
    """The image's grid; its middle is the head's, moved by the scan's offset."""
    upright = np.array(AXES[scan.plane], float)
    axes = Pose(rotation_deg=scan.tilt_deg).matrix @ upright.T
    spacing = np.array([scan.voxel_mm, scan.voxel_mm, scan.slice_mm])
    extent = np.abs(upright) @ np.array(scan.field_mm)
    count = np.maximum(np.round(extent / spacing), 1).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    centre = np.array(pose.shift_mm) + np.array(scan.offset_mm)
    matrix[:3, 3] = centre - matrix[:3, :3] @ ((count - 1) / 2)
    return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)


def parts_of(scan: Scan) -> tuple[int, int, int]:
    """Parts of a voxel along slices, rows and columns; their mean is the voxel, so a slice has a box profile."""
    across, along = (
        max(round(size / part), 1) for size, part in zip((scan.slice_mm, scan.voxel_mm), PART_MM, strict=True)
    )
    return across, along, along


def fine_grid(grid: Grid, parts: tuple[int, int, int]) -> Grid:
    """The grid of the parts of every voxel."""
    split = np.array(parts[::-1], float)
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :3] = matrix[:3, :3] / split
    matrix[:3, 3] = grid.ras_of((1.0 / split - 1.0) / 2.0)
    k, j, i = (n * part for n, part in zip(grid.shape, parts, strict=True))
    return Grid((k, j, i), matrix)


def check(parameters: BrainParameters) -> None:
    """Raise InvalidInputError for what cannot be simulated."""
    _check_names(parameters)
    for scan in (parameters.scan,) if parameters.same_grid else (parameters.scan, parameters.angio):
        if scan.plane not in AXES:
            raise InvalidInputError(f"plane is one of {', '.join(AXES)}; got {scan.plane!r}.")
        sizes = (scan.voxel_mm, scan.slice_mm, *scan.field_mm)
        if not all(np.isfinite(v) and v > 0 for v in sizes):
            raise InvalidInputError(f"voxel_mm, slice_mm and field_mm are above 0; got {sizes}.")
        voxels = float(np.prod(scan.field_mm)) / (scan.voxel_mm**2 * scan.slice_mm) * float(np.prod(parts_of(scan)))
        if voxels > MOST_VOXELS:
            raise InvalidInputError(
                f"The image would have {voxels / 1e6:.0f} million voxels. Use larger voxels or a smaller field_mm."
            )
    if parameters.painted and not (parameters.faults.keep > 0 and 0 <= parameters.faults.axis <= 2):
        raise InvalidInputError(f"keep is above 0 and axis is 0, 1 or 2; got {parameters.faults}.")


def _check_names(parameters: BrainParameters) -> None:
    unknown = [name for name in parameters.contrasts if name not in CONTRASTS]
    if unknown or not parameters.contrasts or len(set(parameters.contrasts)) < len(parameters.contrasts):
        raise InvalidInputError(f"contrasts are different ones of {', '.join(CONTRASTS)}; got {parameters.contrasts}.")
    for name in parameters.contrasts:
        kind = getattr(parameters.protocols, name).kind
        if kind not in SEQUENCES:
            raise InvalidInputError(f"A sequence is one of {', '.join(SEQUENCES)}; got {kind!r}.")
    if parameters.source == "labels" and parameters.pathology != "normal":
        raise InvalidInputError("A hydrocephalus needs anatomy='parametric'; a label map brings its own ventricles.")
    if (parameters.source == "labels") != bool(parameters.head):
        raise InvalidInputError(
            "anatomy='labels' needs head, the path of a label map; anatomy='parametric' takes none."
        )
