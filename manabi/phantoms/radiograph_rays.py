"""Sums along a film's rays through voxels on a regular grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.thorax_nodes import Nodes

PLANES = 8
"""Coronal planes taken at once."""


@dataclass(frozen=True)
class Grid:
    """A regular grid in the chest's frame (mm: x to the right, y to the front, z to the head).

    Attributes:
        x: ``(nx,)``.
        y: ``(ny,)``.
        z: ``(nz,)``.
    """

    x: Tensor
    y: Tensor
    z: Tensor


def node_grid(nodes: Nodes) -> Grid:
    """The coarse grid of a chest's large shapes."""
    canvas = nodes.canvas
    z, y, x = (
        torch.linspace(float(axis[0]), float(axis[-1]), count, device=axis.device)
        for axis, count in zip((canvas.z, canvas.y, canvas.x), nodes.shape, strict=True)
    )
    return Grid(x, y, z)


@dataclass(frozen=True)
class Beam:
    """Where the film is in the chest's frame.

    Attributes:
        geometry: of the film.
        x: of the central ray.
        z: of the central ray.
        detector_y: of the detector's plane.
    """

    geometry: FilmGeometry
    x: float
    z: float
    detector_y: float


Planes = Callable[[slice], Tensor]
"""Gives channels ``(planes, channels, nz, nx)`` of some coronal planes."""


def along_rays(planes: Planes, grid: Grid, beam: Beam) -> Iterator[tuple[Tensor, Tensor]]:
    """The planes as the rays meet them: values ``(n, channels, matrix, matrix)`` and distances ``(n,)`` in mm.

    Rays diverge, so each plane is read with its own magnification; between voxels values are linear, outside 0.
    """
    offsets = torch.as_tensor(beam.geometry.offsets_mm(), dtype=torch.float32, device=grid.x.device)
    for first in range(0, len(grid.y), PLANES):
        chosen = slice(first, first + PLANES)
        distance = beam.detector_y - grid.y[chosen]
        shrink = 1.0 - distance / beam.geometry.source_detector_mm
        x = _unit(beam.x + offsets[None] * shrink[:, None], grid.x)
        z = _unit(beam.z + offsets[None] * shrink[:, None], grid.z)
        size = (len(distance), len(offsets), len(offsets))
        places = torch.stack((x[:, None, :].expand(size), z[:, :, None].expand(size)), dim=-1)
        yield F.grid_sample(planes(chosen), places, align_corners=True), distance


def ray_sums(planes: Planes, grid: Grid, beam: Beam) -> Tensor:
    """Integrals in mm along the rays, ``(channels, matrix, matrix)``."""
    total: Tensor | None = None
    for values, _ in along_rays(planes, grid, beam):
        part = values.sum(dim=0)
        total = part if total is None else total.add_(part)
    if total is None:
        raise InvalidInputError("Expected a grid of at least one plane; got none.")
    return total * step_lengths(grid, beam)


def step_lengths(grid: Grid, beam: Beam) -> Tensor:
    """Mm of each ray between two planes, ``(matrix, matrix)``."""
    oblique = torch.as_tensor(beam.geometry.obliquity(), dtype=torch.float32, device=grid.y.device)
    return oblique * float(grid.y[1] - grid.y[0])


def _unit(places: Tensor, axis: Tensor) -> Tensor:
    """Places in mm as -1 to 1 between the first and last voxel."""
    return (places - axis[0]) / (axis[-1] - axis[0]) * 2.0 - 1.0
