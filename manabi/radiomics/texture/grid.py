"""The padded image on which every engine counts, and the neighbour steps of each aggregation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.texture.options import MOST_LEVELS, TextureOptions

Offset = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """A discretised image with a border of zeros, laid out flat, so that no neighbour has to be checked for bounds.

    Attributes:
        flat: uint16, the padded levels in C order.
        shape: of the padded image (slices, rows, columns).
        index: int64, where in ``flat`` the voxels of the region are, ascending.
        n_levels: the highest level.
        parts: start and stop in ``index`` of each slice that holds a voxel.
    """

    flat: np.ndarray
    shape: tuple[int, int, int]
    index: np.ndarray
    n_levels: int
    parts: tuple[tuple[int, int], ...]

    @property
    def longest(self) -> int:
        """The longest run that fits into the image, in voxels."""
        return max(self.shape)

    def present(self) -> np.ndarray:
        """The levels that occur, ascending; int64."""
        return np.flatnonzero(np.bincount(self.flat[self.index]))

    def steps(self, offsets: tuple[Offset, ...]) -> np.ndarray:
        """The distance in ``flat`` that each offset (slices, rows, columns) stands for; int64."""
        _, rows, columns = self.shape
        return np.array([(k * rows + j) * columns + i for k, j, i in offsets], dtype=np.int64)


@dataclass(frozen=True)
class Plan:
    """What an aggregation counts together.

    Attributes:
        per_slice: one set of matrices for each slice instead of one for the volume.
        pairs: offsets of the glcm, one of each opposite pair.
        runs: directions of the glrlm, likewise.
        around: every offset of the neighbourhood (ngtdm, gldm, ngldm).
        behind: the half of the direct neighbours that comes before a voxel in memory (glszm, gldzm); those that touch
            most of the others first.
        merged: all directions go into one matrix.
    """

    per_slice: bool
    pairs: tuple[Offset, ...]
    runs: tuple[Offset, ...]
    around: tuple[Offset, ...]
    behind: tuple[Offset, ...]
    merged: bool

    def slots(self, offsets: tuple[Offset, ...]) -> np.ndarray:
        """The number of the matrix to which each offset is counted; int64."""
        return np.zeros(len(offsets), np.int64) if self.merged else np.arange(len(offsets))


def plan(options: TextureOptions) -> Plan:
    """The neighbours that this aggregation looks at (IBSI reference manual, chapter on texture; 1612.07003)."""
    flat = not options.aggregation.startswith("3d")
    direct = _half(_box(1, flat))
    ring = _box(options.distance, flat)
    if options.mode == "pyradiomics":
        ring = tuple(o for o in ring if max(map(abs, o)) == options.distance)
        pairs = _half(ring)
    else:
        pairs = tuple((k * options.distance, j * options.distance, i * options.distance) for k, j, i in direct)
    return Plan(
        per_slice=options.aggregation.startswith("2d"),
        pairs=pairs,
        runs=direct,
        around=ring,
        behind=_well_connected(tuple((-k, -j, -i) for k, j, i in direct)),
        merged=options.aggregation.endswith("comb"),
    )


def grid(levels: np.ndarray, pad: int) -> Grid:
    """Pad and flatten ``levels`` (slices, rows, columns).

    Raises:
        InvalidInputError: the array is not of integers in three dimensions, no voxel has a level, a level is negative,
            or there are more than 65,535.
    """
    array = np.asarray(levels)
    if array.ndim != 3 or array.dtype.kind not in "iu":
        raise InvalidInputError(
            f"levels are integers in 3 dimensions (slices, rows, columns); got {array.dtype} of shape {array.shape}."
        )
    highest = int(array.max(initial=0))
    if int(array.min(initial=0)) < 0 or highest < 1:
        raise InvalidInputError("levels are 0 outside the region and 1..Ng inside, and one voxel at least is inside.")
    if highest > MOST_LEVELS:
        raise too_many(highest, MOST_LEVELS)
    padded = np.zeros([size + 2 * pad for size in array.shape], np.uint16)
    padded[pad:-pad, pad:-pad, pad:-pad] = array
    flat = padded.ravel()
    index = np.flatnonzero(flat != 0)
    return Grid(flat, padded.shape, index, highest, _parts(index, padded.shape))


def too_many(n_levels: int, most: int) -> InvalidInputError:
    """The error for a discretisation that is too fine to be tabulated."""
    return InvalidInputError(
        f"The discretisation has {n_levels:,} grey levels, and texture takes {most:,} at most. Choose a bin width at "
        f"least {n_levels / most:.3g} times as large, or a number of bins (16 to 128 is common)."
    )


def _parts(index: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    edges = np.searchsorted(index, np.arange(shape[0] + 1) * (shape[1] * shape[2]))
    return tuple((int(a), int(b)) for a, b in itertools.pairwise(edges) if b > a)


def _box(distance: int, flat: bool) -> tuple[Offset, ...]:
    """All offsets up to a Chebyshev distance but the zero."""
    span = range(-distance, distance + 1)
    box = itertools.product((0,) if flat else span, span, span)
    return tuple(o for o in box if o != (0, 0, 0))


def _half(offsets: tuple[Offset, ...]) -> tuple[Offset, ...]:
    """Of each opposite pair the one that points forward in memory."""
    return tuple(o for o in offsets if o > (0, 0, 0))


def _well_connected(offsets: tuple[Offset, ...]) -> tuple[Offset, ...]:
    """The same offsets, ordered by how many of the others each one touches."""

    def apart(one: Offset) -> int:
        """How many of the others it does not touch."""
        return sum(max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1 for other in offsets)

    return tuple(sorted(offsets, key=apart))
