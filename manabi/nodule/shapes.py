"""Nodules in three dimensions: unions of overlapping spheres, measured along rays exactly.

Source: Hanaoka et al., Int J CARS 2024;19(10):1991-2000, DOI 10.1007/s11548-024-03227-7, makes its nodules as unions of
overlapping spheres. How many, how large and where is not said; all numbers here are our choice. Places are in the
beam's frame of :mod:`manabi.phantoms.radiograph_geometry` (x to the patient's right, z to the head, distance from the
detector), about the nodule's own middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from manabi.errors import InvalidInputError

Density = Literal["solid", "part_solid", "ground_glass"]
DENSITIES: tuple[Density, ...] = get_args(Density)
SHELLS = 3
"""Steps in which the margin of a ground-glass nodule fades."""
VOLUME_RAYS = 48
"""Rays along each side of the square through which a nodule's volume is measured."""
Spheres = tuple[tuple[float, float, float, float], ...]
"""Spheres as (x, z, distance, radius), mm."""


@dataclass(frozen=True)
class Layer:
    """Spheres whose union holds a share of a nodule's density.

    Attributes:
        centres_mm: ``(n, 3)``.
        radii_mm: ``(n,)``.
        density_g_cm3: what the union's inside adds to the lung's density or to that of the layers around it.
    """

    centres_mm: np.ndarray
    radii_mm: np.ndarray
    density_g_cm3: float


@dataclass(frozen=True)
class NoduleShape:
    """A nodule.

    Attributes:
        diameter_mm: its longest diameter in space, without spicules.
        density: ``solid``, ``part_solid`` or ``ground_glass``.
        solid_g_cm3: of a solid nodule, or of the core of a part-solid one.
        glass_g_cm3: of ground glass.
        body: spheres whose union is the nodule.
        core: spheres whose union is the solid part of a part-solid nodule, each within one of ``body``.
        spicules: small spheres in rows that stand out of the body; empty for a smooth nodule.
        fade: share of the radii over which ground glass thins out towards the margin.
    """

    diameter_mm: float
    density: Density
    solid_g_cm3: float
    glass_g_cm3: float
    body: Spheres
    core: Spheres = ()
    spicules: Spheres = ()
    fade: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what is no nodule."""
        if self.density not in DENSITIES or not self.body or self.diameter_mm <= 0:
            raise InvalidInputError(
                f"A nodule has a density of {', '.join(DENSITIES)}, at least one sphere and a diameter above 0; got "
                f"{self.density!r}, {len(self.body)} and {self.diameter_mm:g}."
            )
        if not 0 <= self.fade < 1:
            raise InvalidInputError(f"fade is a share of the radii, 0 to below 1; got {self.fade:g}.")

    @property
    def reach_mm(self) -> float:
        """How far the nodule reaches from its middle, spicules included."""
        spheres = np.array(self.body + self.spicules)
        return float((np.linalg.norm(spheres[:, :3], axis=1) + spheres[:, 3]).max())

    @property
    def mean_density_g_cm3(self) -> float:
        """Density of the solid part, or of the ground glass where there is none."""
        return self.glass_g_cm3 if self.density == "ground_glass" else self.solid_g_cm3

    def layers(self, lung_g_cm3: float) -> list[Layer]:
        """Layers whose densities, each times its thickness, sum to the net area density in lung of that density.

        The first one holds the whole nodule, spicules included; its thickness decides what the mask holds.
        """
        if self.density == "solid":
            return [_layer(self.body, self.spicules, self.solid_g_cm3 - lung_g_cm3)]
        share = (self.glass_g_cm3 - lung_g_cm3) / SHELLS
        scales = 1.0 - self.fade * np.arange(SHELLS) / (SHELLS - 1)
        out = [_layer(self.body, self.spicules, share, float(scale)) for scale in scales]
        if self.density == "part_solid":
            out.append(_layer(self.core, self.spicules, self.solid_g_cm3 - self.glass_g_cm3))
        return out

    def volume_mm3(self) -> float:
        """Volume of the body, from parallel rays along the beam; exact along each ray, sampled across."""
        volume, _ = _moments(np.array(self.body))
        return volume


def longest_diameter(spheres: np.ndarray) -> float:
    """Longest distance of two points of a union of spheres ``(n, 4)``, exactly."""
    apart = np.linalg.norm(spheres[:, None, :3] - spheres[None, :, :3], axis=-1)
    return float((apart + spheres[:, None, 3] + spheres[None, :, 3]).max())


def recentred(spheres: np.ndarray) -> np.ndarray:
    """Spheres ``(n, 4)`` moved so that the centroid of their union is 0."""
    out = spheres.copy()
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis, 3]
        out[:, axis] -= _moments(spheres[:, order])[1]
    return out


def crossings(
    origin: np.ndarray, directions: np.ndarray, centres: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave spheres.

    Args:
        origin: ``(3,)`` or ``(rays, 3)``.
        directions: unit vectors ``(rays, 3)``.
        centres: ``(n, 3)``.
        radii: ``(n,)``.

    Returns:
        Two arrays ``(rays, n)`` of lengths from the origin; equal where a ray misses a sphere.
    """
    origin = np.atleast_2d(origin)
    nearest = np.einsum("rk,nk->rn", directions, centres) - (directions * origin).sum(axis=1)[:, None]
    square = ((centres[None] - origin[:, None]) ** 2).sum(axis=2)
    half = np.sqrt(np.clip(radii**2 - (square - nearest**2), 0.0, None))
    return nearest - half, nearest + half


def union_length(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Length ``(rays,)`` of the union of intervals ``(rays, n)``; those of no length count nothing."""
    order = np.argsort(starts, axis=1)
    starts, ends = np.take_along_axis(starts, order, axis=1), np.take_along_axis(ends, order, axis=1)
    reached = np.maximum.accumulate(ends, axis=1)
    before = np.concatenate((np.full((len(starts), 1), -np.inf), reached[:, :-1]), axis=1)
    return np.clip(ends - np.maximum(starts, before), 0.0, None).sum(axis=1)


def _layer(body: Spheres, spicules: Spheres, density: float, scale: float = 1.0) -> Layer:
    """Spheres of the body, their radii scaled, and spicules as they are."""
    values = np.array(body + spicules, float).reshape(-1, 4)
    radii = values[:, 3].copy()
    radii[: len(body)] *= scale
    return Layer(values[:, :3], radii, density)


def _moments(spheres: np.ndarray) -> tuple[float, float]:
    """Volume of a union of spheres, and the centroid's third coordinate, by parallel rays along that axis."""
    low, high = (spheres[:, :2] - spheres[:, 3:]).min(axis=0), (spheres[:, :2] + spheres[:, 3:]).max(axis=0)
    step = (high - low) / VOLUME_RAYS
    a, b = (low[k] + step[k] * (np.arange(VOLUME_RAYS) + 0.5) for k in (0, 1))
    across = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    origins = np.concatenate((across, np.zeros((len(across), 1))), axis=1)
    starts, ends = crossings(origins, np.broadcast_to((0.0, 0.0, 1.0), origins.shape), spheres[:, :3], spheres[:, 3])
    order = np.argsort(starts, axis=1)
    starts, ends = np.take_along_axis(starts, order, axis=1), np.take_along_axis(ends, order, axis=1)
    reached = np.maximum.accumulate(ends, axis=1)
    starts[:, 1:] = np.maximum(starts[:, 1:], reached[:, :-1])
    length = np.clip(ends - starts, 0.0, None)
    total = float(length.sum())
    return total * float(step.prod()), float((length * (starts + ends)).sum() / (2.0 * total))
