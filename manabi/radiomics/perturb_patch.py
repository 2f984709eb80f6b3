"""The part of an image that a perturbation works on: the mask's box with a margin, so that memory follows the mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid
from manabi.volume import Volume

MARGIN_MM = 30.0
"""Kept around the mask by default: 4 standard deviations of a 5 mm LoG filter and 10 mm more (our choice)."""

Box = tuple[np.ndarray, np.ndarray]
"""Start and stop, KJI integers; may reach beyond the image."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A box of an image.

    Attributes:
        values: float64, KJI.
        mask: bool, the region.
        known: bool, where the values come from the image and are not its edge continued.
        grid: where the box lies.
    """

    values: np.ndarray
    mask: np.ndarray
    known: np.ndarray
    grid: Grid

    @property
    def spacing_kji(self) -> np.ndarray:
        """Voxel size along slices, rows, columns in mm."""
        return self.grid.spacing_mm[::-1]


def check_pair(volume: Volume, mask: Volume) -> None:
    """Refuse a mask on another grid, and sheared grids, on which distances in mm are not what they seem.

    Raises:
        GeometryError: in both cases.
    """
    if not volume.grid.same_as(mask.grid):
        raise GeometryError(
            f"The mask must lie on the image's grid: image {volume.shape}, mask {mask.shape}. Resample the mask first."
        )
    if volume.grid.is_sheared:
        raise GeometryError(
            "The image's axes are not perpendicular. Use Volume.straightened() on image and mask first."
        )


def bounding_box(mask: Volume, label: int) -> Box:
    """The smallest box that holds a label; slice by slice, so that no copy of the image is made.

    Raises:
        InvalidInputError: where the label has no voxel.
    """
    slices, rows, columns = [], np.zeros(mask.shape[1], bool), np.zeros(mask.shape[2], bool)
    for index, plane in enumerate(mask.array):
        hits = plane == label
        if hits.any():
            slices.append(index)
            rows |= hits.any(axis=1)
            columns |= hits.any(axis=0)
    if not slices:
        raise InvalidInputError(f"The mask has no voxel of label {label}. Choose a label that was drawn.")
    ends = [np.array(slices), np.flatnonzero(rows), np.flatnonzero(columns)]
    return np.array([axis[0] for axis in ends]), np.array([axis[-1] + 1 for axis in ends])


def moved_box(box: Box, mapping: np.ndarray) -> Box:
    """The smallest box round a box whose corners went through a 4×4 matrix of IJK indices."""
    start, stop = box
    ends = np.stack([start - 0.5, stop - 0.5])
    corners = np.array([[ends[x, 2], ends[y, 1], ends[z, 0]] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    moved = (corners @ mapping[:3, :3].T + mapping[:3, 3])[:, ::-1]
    low, high = np.floor(moved.min(axis=0) + 0.5 + 1e-6), np.ceil(moved.max(axis=0) + 0.5 - 1e-6)
    return low.astype(int), high.astype(int)


def widened(box: Box, voxels: np.ndarray | int) -> Box:
    """The box with ``voxels`` more on every side."""
    return box[0] - voxels, box[1] + voxels


def clipped(box: Box, shape: tuple[int, int, int], keep: Box | None = None) -> Box:
    """The box within an image, but never less than ``keep``, which may reach beyond it."""
    low, high = np.zeros(3, int), np.array(shape)
    if keep is not None:
        low, high = np.minimum(low, keep[0]), np.maximum(high, keep[1])
    return np.maximum(box[0], low), np.minimum(box[1], high)


def grid_of(grid: Grid, box: Box) -> Grid:
    """The grid of a box of another grid; the box may reach beyond it."""
    size = tuple(int(n) for n in box[1] - box[0])
    return grid.shifted(box[0][::-1], size)  # type: ignore[arg-type]


def cut(volume: Volume, mask: Volume, label: int, box: Box) -> Patch:
    """Copy a box that lies within the image.

    Raises:
        InvalidInputError: where a value in the box is not a number.
    """
    where = tuple(slice(int(a), int(b)) for a, b in zip(*box, strict=True))
    values = volume.array[where].astype(np.float64)
    if not np.isfinite(values).all():
        raise InvalidInputError("The image has values near the mask that are not finite. Replace them first.")
    inside = mask.array[where] == label
    return Patch(values, inside, np.ones(inside.shape, bool), grid_of(volume.grid, box))
