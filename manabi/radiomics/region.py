"""A region of interest with the values around it: what the features are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from manabi.errors import InvalidInputError

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Region:
    """The box of an image round a mask, and no more of the image than the features need.

    Attributes:
        values: float64 (slices, rows, columns), the box of the region.
        mask: bool, the intensity mask: voxels whose values count (after re-segmentation).
        shape_mask: bool, the morphological mask: the outlined shape (IBSI keeps the two apart).
        spacing_mm: slice, row, column.
    """

    values: np.ndarray
    mask: np.ndarray
    shape_mask: np.ndarray
    spacing_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Refuse masks of another shape."""
        for name in ("mask", "shape_mask"):
            mask = getattr(self, name)
            if mask.shape != self.values.shape or mask.dtype != bool:
                raise InvalidInputError(
                    f"{name} must be bool of shape {self.values.shape}; got {mask.dtype} of shape {mask.shape}."
                )

    @property
    def inside(self) -> np.ndarray:
        """The values of the intensity mask, in the array's order."""
        return self.values[self.mask]

    @property
    def voxel_mm3(self) -> float:
        """The volume of a voxel."""
        return float(np.prod(self.spacing_mm))

    def with_values(self, values: np.ndarray) -> Region:
        """The same masks on other values of the box, as a filter makes them."""
        return replace(self, values=np.ascontiguousarray(values, dtype=np.float64))


def box_of(mask: np.ndarray) -> Box | None:
    """The smallest box that holds every voxel of a mask, or None where there is none."""
    sides: list[slice] = []
    for axis in range(3):
        others = tuple(n for n in range(3) if n != axis)
        hit = np.flatnonzero(mask[tuple(sides)].any(axis=others))
        if not len(hit):
            return None
        sides.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return sides[0], sides[1], sides[2]


def grown(box: Box, margin: Sequence[int], shape: tuple[int, ...]) -> Box:
    """The box with a margin of so many voxels (slices, rows, columns), cut where the image ends."""
    k, j, i = (
        slice(max(side.start - more, 0), min(side.stop + more, size))
        for side, more, size in zip(box, margin, shape, strict=True)
    )
    return k, j, i


def within(box: Box, outer: Box) -> Box:
    """A box in the indices of a larger one that holds it."""
    k, j, i = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, outer, strict=True))
    return k, j, i
