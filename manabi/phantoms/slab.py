"""The grid of a phantom that is scanned in slices: how many there are, and where its voxels lie."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Grid(Protocol):
    """What a phantom's grid says; lengths in mm."""

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel."""

    @property
    def matrix(self) -> int:
        """Rows, and columns."""

    @property
    def slice_mm(self) -> float:
        """Distance of slices."""

    @property
    def subslices(self) -> int:
        """Planes that are painted for a slice."""

    @property
    def length_mm(self) -> float:
        """From the lowest slice to the highest."""

    @property
    def top_mm(self) -> float:
        """Height of the highest slice over the anatomy's origin."""


class Setup(Protocol):
    """How the patient lies."""

    @property
    def place_mm(self) -> tuple[float, float, float]:
        """The anatomy's origin, to the right, to the front and to the head."""


def slices(grid: Grid) -> int:
    """How many slices the images have."""
    return int(grid.length_mm / grid.slice_mm + 1e-6) + 1


def axes(grid: Grid, setup: Setup) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates of the fine grid in mm from the anatomy's origin: right, front and head, each ascending."""
    half = (grid.matrix - 1) / 2 * grid.pixel_mm
    line = torch.linspace(-half, half, grid.matrix)
    count = slices(grid) * grid.subslices
    step = grid.slice_mm / grid.subslices
    z = grid.top_mm + 0.5 * (grid.slice_mm - step) - step * torch.arange(count - 1, -1, -1, dtype=torch.float32)
    return line - setup.place_mm[0], line - setup.place_mm[1], z


def matrix(grid: Grid, setup: Setup) -> np.ndarray:
    """IJK to RAS: columns to the left, rows to the back, slices to the head."""
    out = np.diag([-grid.pixel_mm, -grid.pixel_mm, grid.slice_mm, 1.0])
    half = (grid.matrix - 1) / 2 * grid.pixel_mm
    lowest = grid.top_mm - grid.slice_mm * (slices(grid) - 1)
    out[:3, 3] = [half, half, lowest + setup.place_mm[2]]
    return out
