"""The sparse tables behind the SPECT projector: which pixels fall on which detector bins, and at what depth.

They depend on the matrix and the views only, so that one build serves every patient. A table is applied as a
weighted sum of rows (``embedding_bag``), which runs several times faster here than a product with a sparse matrix.

View angles: at angle ``a`` a detector bin's coordinate is ``u = x cos a + y sin a`` and the depth towards the
detector is ``t = -x sin a + y cos a``, where x runs along columns and y along rows, in pixels from the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from manabi.errors import InvalidInputError

SMALLEST_SHARE = 1e-7
"""Shares of a pixel below this are rounding, and may be negative, which OSEM would amplify: they are left out."""


@dataclass(frozen=True)
class Geometry:
    """What the tables depend on.

    Attributes:
        views: number of views over 360°, even.
        nodes: depth nodes of the blur; 1 for a camera without blur (our choice: 8).
        matrix: pixels of the square image matrix.
        side: pixels of the square that circumscribes the field of view, even. Nothing is reconstructed outside that
            circle (our choice: 72, a circle of 118 mm radius, which holds a head).
        bins: detector bins in use, even; wider than ``side`` for the blur's tails.
        pixel_mm: size of pixels, bins and slices.
    """

    views: int = 120
    nodes: int = 8
    matrix: int = 128
    side: int = 72
    bins: int = 80
    pixel_mm: float = 3.29

    def __post_init__(self) -> None:
        """Refuse what the tables cannot hold."""
        if self.views < 2 or self.views % 2:
            raise InvalidInputError(f"The number of views must be even and at least 2; got {self.views}.")
        if self.nodes < 1 or any(n % 2 for n in (self.matrix, self.side, self.bins)):
            raise InvalidInputError("matrix, side and bins must be even, and nodes at least 1.")
        if not self.side <= self.matrix or self.bins < self.side:
            raise InvalidInputError("The field of view must fit into the matrix, and the bins must cover it.")

    @property
    def angles(self) -> np.ndarray:
        """View angles in radians, over 360°."""
        return 2.0 * math.pi * np.arange(self.views) / self.views

    @property
    def node_depths_mm(self) -> np.ndarray:
        """Depth of each node from the axis towards the detector, in mm."""
        if self.nodes == 1:
            return np.zeros(1)
        return np.linspace(-0.5, 0.5, self.nodes) * self.side * self.pixel_mm

    @property
    def pixels(self) -> int:
        """Number of pixels in the field of view."""
        return len(field_of_view(self)[0])

    @property
    def radius_mm(self) -> float:
        """Radius of the field of view."""
        return (self.side / 2 - 0.5) * self.pixel_mm


@lru_cache(maxsize=8)
def field_of_view(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (in the full matrix) of the pixels in the circular field of view."""
    centre = (geometry.matrix - 1) / 2
    rows, columns = np.indices((geometry.matrix, geometry.matrix))
    inside = np.hypot(rows - centre, columns - centre) <= geometry.side / 2 - 0.5
    found = np.nonzero(inside)
    return found[0], found[1]


def centred_pixels(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """x (along columns) and y (along rows) of the field of view's pixels, in pixels from the centre."""
    rows, columns = field_of_view(geometry)
    centre = (geometry.matrix - 1) / 2
    return columns - centre, rows - centre


@dataclass(frozen=True)
class Bags:
    """A sparse matrix by rows: row ``r`` sums ``weights[k] * input[indices[k]]`` for its own stretch of k."""

    indices: torch.Tensor
    weights: torch.Tensor
    offsets: torch.Tensor

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """``(inputs, columns)`` to ``(rows, columns)``."""
        return embedding_bag(
            self.indices, values, self.offsets, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )


@dataclass(frozen=True)
class ViewTable:
    """Projection of several views, and its transpose."""

    project: Bags
    spread: Bags


def _bags(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, n_rows: int, device: torch.device) -> Bags:
    """Bags from (row, column, weight) triples in any order."""
    kept = weights > SMALLEST_SHARE
    rows, columns, weights = rows[kept], columns[kept], weights[kept]
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    return Bags(
        torch.from_numpy(columns[order].astype(np.int32)).to(device),
        torch.from_numpy(weights[order].astype(np.float32)).to(device),
        torch.from_numpy(offsets.astype(np.int32)).to(device),
    )


def _footprint_area(x: np.ndarray, cos: float, sin: float) -> np.ndarray:
    """Share of a unit pixel's shadow that lies left of x (shadow centred at 0, sides |cos| and |sin|)."""
    wide, narrow = max(abs(cos), abs(sin)), min(abs(cos), abs(sin))
    if narrow < 1e-6:
        return np.clip(x / wide + 0.5, 0.0, 1.0)
    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    rising = np.clip(x + outer, 0, None) ** 2 - np.clip(x + inner, 0, None) ** 2
    falling = np.clip(x - inner, 0, None) ** 2 - np.clip(x - outer, 0, None) ** 2
    return (rising - falling) / (2 * wide * narrow)


def _view_triples(geometry: Geometry, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row in nodes × bins, pixel, weight) of one view."""
    x, y = centred_pixels(geometry)
    cos, sin = math.cos(angle), math.sin(angle)
    u = x * cos + y * sin + (geometry.bins - 1) / 2
    first = np.floor(u + 0.5).astype(int) - 1
    edges = first[:, None] + np.arange(4) - 0.5 - u[:, None]
    shares = np.diff(_footprint_area(edges, cos, sin), axis=1)
    bins = first[:, None] + np.arange(3)
    if geometry.nodes == 1:
        pixels = np.broadcast_to(np.arange(len(x))[:, None], bins.shape)
        return bins.ravel(), pixels.ravel(), shares.ravel()
    depth = (-x * sin + y * cos) / geometry.side + 0.5
    position = np.clip(depth * (geometry.nodes - 1), 0, geometry.nodes - 1 - 1e-9)
    near = np.floor(position).astype(int)
    rest = position - near
    node = near[:, None, None] + np.arange(2)[None, :, None]
    rows = node * geometry.bins + bins[:, None, :]
    weights = np.stack([1 - rest, rest], 1)[:, :, None] * shares[:, None, :]
    pixels = np.broadcast_to(np.arange(len(x))[:, None, None], weights.shape)
    return rows.ravel(), pixels.ravel(), weights.ravel()


@lru_cache(maxsize=512)
def view_tables(geometry: Geometry, views: tuple[int, ...], device: torch.device) -> ViewTable:
    """The tables of some views together; rows are ``(view, node, bin)``, inputs ``(view, pixel)``."""
    n_pixels, n_rows = geometry.pixels, geometry.nodes * geometry.bins
    parts = []
    for number, view in enumerate(views):
        rows, pixels, weights = _view_triples(geometry, geometry.angles[view])
        parts.append((rows + number * n_rows, pixels + number * n_pixels, weights))
    rows, pixels, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ViewTable(
        _bags(rows, pixels, weights, n_rows * len(views), device),
        _bags(pixels, rows, weights, n_pixels * len(views), device),
    )


def _bilinear(x: np.ndarray, y: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices and weights ``(points, 4)`` on a ``size²`` grid; weight 0 outside."""
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - column, y - row
    indices, weights = [], []
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            inside = (column + dx >= 0) & (column + dx < size) & (row + dy >= 0) & (row + dy < size)
            indices.append(np.where(inside, (row + dy) * size + column + dx, 0))
            weights.append(np.where(inside, wx * wy, 0.0))
    return np.stack(indices, 1), np.stack(weights, 1)


def _attenuation_pair(geometry: Geometry, angle: float, device: torch.device) -> tuple[Bags, Bags]:
    """How to turn a map into one view's frame, and how to read that frame at the pixels."""
    size, centre = geometry.side, (geometry.side - 1) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    t, u = (axis - centre for axis in np.indices((size, size)).astype(float))
    indices, weights = _bilinear((u * cos - t * sin + centre).ravel(), (u * sin + t * cos + centre).ravel(), size)
    x, y = centred_pixels(geometry)
    packed = np.full((size, size), -1)
    packed[(y + centre).astype(int), (x + centre).astype(int)] = np.arange(len(x))
    pixels = packed.ravel()[indices]
    rotate = np.maximum(pixels, 0), np.where(pixels < 0, 0.0, weights)
    sample = _bilinear(x * cos + y * sin + centre, -x * sin + y * cos + centre, size)
    return _even_bags(*rotate, device), _even_bags(*sample, device)


def _even_bags(indices: np.ndarray, weights: np.ndarray, device: torch.device) -> Bags:
    """Bags from ``(rows, terms)`` indices and weights."""
    rows = np.broadcast_to(np.arange(len(indices))[:, None], indices.shape)
    return _bags(rows.ravel(), indices.ravel(), weights.ravel(), len(indices), device)


@lru_cache(maxsize=4)
def attenuation_tables(geometry: Geometry, device: torch.device) -> list[tuple[Bags, Bags]]:
    """For each view of the first half turn: a map into its frame ``(depth × bin)``, and that frame at the pixels.

    Depth grows towards the detector; the opposite view looks at the same frame from its other end.
    """
    return [_attenuation_pair(geometry, angle, device) for angle in geometry.angles[: geometry.views // 2]]
