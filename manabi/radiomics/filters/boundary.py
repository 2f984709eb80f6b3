"""What lies beyond an image's border, and what of an image a filter reads for a box of responses.

A filter with bounded support needs, for a box, only the box and what its kernel reaches; where that is beyond the
border, the boundary condition says which voxel of the image stands there. So a box is filtered exactly as the whole
image would be, at the cost of the box.
"""

from __future__ import annotations

import numpy as np

Box = tuple[slice, slice, slice]
Reach = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Voxels read before and after each voxel, along slices, rows and columns."""

OUTSIDE = -1
EVEN = "periodize_even"


def whole(shape: tuple[int, ...]) -> Box:
    """The box of a whole image."""
    k, j, i = (slice(0, size) for size in shape)
    return k, j, i


def sources(start: int, stop: int, size: int, boundary: str) -> np.ndarray:
    """Which voxel of an axis stands at each of the places start..stop-1; :data:`OUTSIDE` where a zero stands.

    IBSI reference manual on filters (arXiv:2006.05470), section on boundaries. "mirror" repeats the border voxel:
    1 0 | 0 1 2. :data:`EVEN` is pyradiomics' habit: an odd axis first gets its first voxel once more at its end.
    """
    places = np.arange(start, stop)
    if boundary == "zero":
        return np.where((places >= 0) & (places < size), places, OUTSIDE)
    if boundary == "nearest":
        return places.clip(0, size - 1)
    if boundary == "mirror":
        places = places % (2 * size)
        return np.where(places < size, places, 2 * size - 1 - places)
    if boundary == EVEN:
        places = places % (size + size % 2)
        return np.where(places < size, places, 0)
    return places % size


def source_box(box: Box, reach: Reach, shape: tuple[int, ...], boundary: str) -> Box:
    """The smallest box of the image that holds every voxel which the responses in a box are made from."""
    sides = []
    for side, (before, after), size in zip(box, reach, shape, strict=True):
        read = sources(side.start - before, side.stop + after, size, boundary)
        read = read[read != OUTSIDE]
        sides.append(slice(int(read.min()), int(read.max()) + 1))
    return sides[0], sides[1], sides[2]


def extended(
    part: np.ndarray, origin: Box, box: Box, reach: Reach, shape: tuple[int, ...], boundary: str
) -> np.ndarray:
    """A box with what a filter reads round it, the boundary condition applied.

    Args:
        part: the image within ``origin``, (slices, rows, columns).
        origin: where the part lies in the image; it holds :func:`source_box`.
        box: where responses are wanted.
        reach: what the filter reads round each voxel.
        shape: of the whole image.
        boundary: as in :func:`sources`.

    Returns:
        A new array, larger than the box by the reach on each side.
    """
    read = [
        sources(side.start - before, side.stop + after, size, boundary)
        for side, (before, after), size in zip(box, reach, shape, strict=True)
    ]
    places = [np.where(of == OUTSIDE, 0, of - start.start) for of, start in zip(read, origin, strict=True)]
    found = part[np.ix_(*places)] if not _plain(places) else part[tuple(slice(p[0], p[-1] + 1) for p in places)].copy()
    for axis, of in enumerate(read):
        if (of == OUTSIDE).any():
            found[(slice(None),) * axis + (of == OUTSIDE,)] = 0
    return found


def _plain(places: list[np.ndarray]) -> bool:
    """Whether the places are runs without a border between: a slice does, which is faster."""
    return all(bool((np.diff(p) == 1).all()) for p in places)
