"""Two sets of unpaired CT volumes, and random crops of them with body inside; paired volumes for checks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from manabi.errors import InvalidInputError

Domain = Literal["source", "target"]
Augment = Callable[[np.ndarray, np.random.Generator, Domain], np.ndarray]
"""Changes a crop ``(slices, rows, columns)`` in HU with the generator alone; the shape stays."""

BODY_HU = -400.0
"""Above it is body (our choice: between air and fat, above the noise of megavoltage CT)."""
AIR_HU = -1000.0
"""What lies outside the image."""
LEAST_BODY = 0.1
"""Share of body that a crop must hold (our choice)."""
TRIES = 16


@dataclass(frozen=True)
class Domains:
    """Unpaired volumes of two kinds of CT, all with the same pixel size.

    Attributes:
        source: volumes ``(slices, rows, columns)`` in HU, float16 or float32, to convert from.
        target: volumes to convert to, of other patients or other days.
        spacing: pixel size across columns and rows in mm.
    """

    source: Sequence[np.ndarray]
    target: Sequence[np.ndarray]
    spacing: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse empty domains and arrays that are no volumes."""
        for name, volumes in (("source", self.source), ("target", self.target)):
            if not volumes or any(v.ndim != 3 or not v.size for v in volumes):
                shapes = [v.shape for v in volumes]
                raise InvalidInputError(f"The {name} domain needs volumes (slices, rows, columns); got {shapes}.")

    def slices(self, domain: Domain) -> int:
        """How many slices a domain has."""
        return sum(len(volume) for volume in getattr(self, domain))

    def digest(self) -> str:
        """SHA-256 of all values, shapes and the pixel size."""
        found = hashlib.sha256(repr(tuple(self.spacing)).encode())
        for volume in (*self.source, *self.target):
            found.update(f"{volume.shape}{volume.dtype}".encode())
            found.update(np.ascontiguousarray(volume).data)
        return found.hexdigest()


@dataclass(frozen=True)
class PairedCT:
    """One patient seen twice on one grid, in HU: for validation, and for supervised training.

    Attributes:
        source: ``(slices, rows, columns)``.
        target: the same shape.
    """

    source: np.ndarray
    target: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that are no pair."""
        if self.source.shape != self.target.shape or self.source.ndim != 3:
            raise InvalidInputError(
                f"A pair is two volumes on one grid; got shapes {self.source.shape} and {self.target.shape}."
            )


def paired_digest(pairs: Sequence[PairedCT]) -> str:
    """SHA-256 of all values and shapes of pairs."""
    return Domains([pair.source for pair in pairs], [pair.target for pair in pairs]).digest()


@dataclass(frozen=True)
class Cropper:
    """Draws crops of neighbouring slices.

    Attributes:
        crop: side in pixels.
        context: neighbouring slices, odd; at the ends of a volume the last slice is repeated.
        rotate_deg: largest rotation.
        zoom: largest change of scale, as a share.
        mirror: also left-right mirrored.
    """

    crop: int
    context: int = 1
    rotate_deg: float = 0.0
    zoom: float = 0.0
    mirror: bool = True

    def draw(self, volumes: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """A crop ``(context, crop, crop)`` in HU, float32, from a random slice of a random volume.

        Volumes are drawn by their number of slices. Up to :data:`TRIES` crops are drawn until one holds
        :data:`LEAST_BODY` of body; else the one with most body is taken.
        """
        (stack,) = self.draw_together([volumes], rng)
        return stack

    def draw_together(self, several: Sequence[Sequence[np.ndarray]], rng: np.random.Generator) -> list[np.ndarray]:
        """As :meth:`draw`, from the same place of several lists of volumes that lie on the same grids."""
        lengths = np.array([len(volume) for volume in several[0]])
        best: list[np.ndarray] = []
        most = -1.0
        for _ in range(TRIES):
            at = int(rng.choice(len(lengths), p=lengths / lengths.sum()))
            crops = self._crops([volumes[at] for volumes in several], rng)
            share = float((crops[0][self.context // 2] > BODY_HU).mean())
            if share > most:
                best, most = crops, share
            if share >= LEAST_BODY:
                break
        return best

    def _crops(self, volumes: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        """One crop of each volume, at the same random place."""
        middle = int(rng.integers(len(volumes[0])))
        index = np.clip(np.arange(middle - self.context // 2, middle + self.context // 2 + 1), 0, len(volumes[0]) - 1)
        centre = self._centre(volumes[0], middle, rng)
        matrix = self._matrix(rng)
        return [sampled(volume[index], centre, matrix, self.crop) for volume in volumes]

    def _centre(self, volume: np.ndarray, middle: int, rng: np.random.Generator) -> np.ndarray:
        """A random centre such that the crop lies inside the slice where that is large enough."""
        centre = []
        for low, high, side in zip(*self._box(volume, middle), volume.shape[1:], strict=True):
            reach = self.crop / 2
            first, last = max(low, reach - 0.5), min(high, side - reach - 0.5)
            centre.append(rng.uniform(first, last) if first < last else np.clip((low + high) / 2, last, first))
        # Whole pixels: an unrotated crop is a plain cut-out.
        return np.floor(np.array(centre)) + (0.5 if self.crop % 2 == 0 else 0.0)

    def _box(self, volume: np.ndarray, middle: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first and last row and column with body; the whole slice where there is none."""
        body = volume[middle] > BODY_HU
        lines = [np.flatnonzero(body.any(1 - axis)) for axis in (0, 1)]
        if not lines[0].size:
            return (0, 0), (body.shape[0] - 1, body.shape[1] - 1)
        return tuple(int(line[0]) for line in lines), tuple(int(line[-1]) for line in lines)

    def _matrix(self, rng: np.random.Generator) -> np.ndarray:
        """From the crop's rows and columns to the slice's."""
        angle = np.deg2rad(rng.uniform(-self.rotate_deg, self.rotate_deg)) if self.rotate_deg else 0.0
        scale = 1 / (1 + rng.uniform(-self.zoom, self.zoom)) if self.zoom else 1.0
        matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if self.mirror and rng.random() < 0.5:
            matrix[:, 1] *= -1
        return matrix


def sampled(stack: np.ndarray, centre: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """A square of each slice, by linear interpolation; :data:`AIR_HU` outside.

    Args:
        stack: ``(slices, rows, columns)``.
        centre: row and column of the square's centre.
        matrix: 2×2, from the square's axes to the slice's, in pixels.
        side: pixels of the square.

    Returns:
        ``(slices, side, side)``, float32.
    """
    from scipy import ndimage

    middle = (side - 1) / 2
    reach = np.abs(matrix).sum(1) * (side / 2) + 2
    low = np.maximum(np.floor(centre - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, stack.shape[1:])
    if (low >= high).any():
        return np.full((len(stack), side, side), AIR_HU, np.float32)
    part = stack[:, low[0] : high[0], low[1] : high[1]].astype(np.float32)
    offset = centre - low - matrix @ np.array([middle, middle])
    out = np.empty((len(stack), side, side), np.float32)
    for k, image in enumerate(part):
        ndimage.affine_transform(
            image, matrix, offset, (side, side), out[k], order=1, mode="constant", cval=AIR_HU, prefilter=False
        )
    return out
