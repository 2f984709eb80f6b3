"""Drawing nodules: how many spheres, how large, how dense, with or without spicules (all our choice)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.shapes import DENSITIES, Density, NoduleShape, Spheres, crossings, longest_diameter, recentred

TRIES = 24
CORE_RADIUS, CORE_SHARE = (0.45, 0.75), 0.6
"""Radii of a solid core over those of the spheres around, and the chance of each sphere to hold some of it."""
SPICULES, SPICULE_LENGTH, SPICULE_RADIUS, SPICULE_SPHERES = (8, 16), (0.25, 0.75), (0.17, 0.05), 6
"""Number, length over the nodule's radius, radius at root and tip over the nodule's, and spheres in a row."""
ACROSS = np.array([1.0, 1.0, 0.3])
"""Factors of a spicule's direction: x, z and along the beam."""


@dataclass(frozen=True)
class NoduleRanges:
    """What nodules are drawn from.

    Attributes:
        diameter_mm: least and greatest longest diameter; uniform.
        spheres: least and greatest number of spheres; uniform.
        radius_share: least and greatest radius of a sphere over that of the ball in which the walk is held.
        density_weights: chances of solid, part-solid and ground glass.
        solid_g_cm3: density of solid tissue; muscle is 1.05, and small nodules hold some air.
        glass_g_cm3: density of ground glass.
        spiculated: chance of spicules on nodules with solid tissue.
        spiculated_from_mm: smaller nodules have none.
    """

    diameter_mm: tuple[float, float] = (5.0, 35.0)
    spheres: tuple[int, int] = (3, 12)
    radius_share: tuple[float, float] = (0.25, 0.6)
    density_weights: tuple[float, float, float] = (0.7, 0.15, 0.15)
    solid_g_cm3: tuple[float, float] = (0.9, 1.05)
    glass_g_cm3: tuple[float, float] = (0.4, 0.7)
    spiculated: float = 0.25
    spiculated_from_mm: float = 10.0

    def __post_init__(self) -> None:
        """Refuse ranges that hold nothing."""
        pairs = (self.diameter_mm, self.spheres, self.radius_share, self.solid_g_cm3, self.glass_g_cm3)
        if any(not 0 < low <= high for low, high in pairs):
            raise InvalidInputError(f"Every range of nodules goes from above 0 upwards; got {self}.")
        if self.radius_share[1] > 1 or min(self.density_weights) < 0 or sum(self.density_weights) <= 0:
            raise InvalidInputError(f"Shares are 0 to 1 and some density has a weight above 0; got {self}.")


def sample_shape(
    rng: np.random.Generator,
    ranges: NoduleRanges | None = None,
    *,
    diameter_mm: float | None = None,
    density: Density | None = None,
    spiculated: bool | None = None,
) -> NoduleShape:
    """Draw one nodule.

    Args:
        rng: source of everything random; fixing a value below does not shift what else is drawn.
        ranges: what it is drawn from.
        diameter_mm: fixes the longest diameter.
        density: fixes the density.
        spiculated: fixes whether it has spicules; ground glass never has any.

    Raises:
        InvalidInputError: for an unknown density or a diameter that is not above 0.
    """
    ranges = ranges or NoduleRanges()
    drawn_mm = float(rng.uniform(*ranges.diameter_mm))
    weights = np.asarray(ranges.density_weights, float)
    kind = DENSITIES[int(rng.choice(len(DENSITIES), p=weights / weights.sum()))]
    solid, glass = float(rng.uniform(*ranges.solid_g_cm3)), float(rng.uniform(*ranges.glass_g_cm3))
    chance = float(rng.random())
    diameter, kind = drawn_mm if diameter_mm is None else float(diameter_mm), density or kind
    if diameter <= 0:
        raise InvalidInputError(f"A nodule's diameter is above 0 mm; got {diameter:g}.")
    body = _scaled(_walk(rng, ranges), diameter)
    core = _core(rng, body)
    drawn = chance < ranges.spiculated and diameter >= ranges.spiculated_from_mm
    wanted = (drawn if spiculated is None else spiculated) and kind != "ground_glass"
    spicules = _spicules(rng, body, diameter / 2) if wanted else np.zeros((0, 4))
    return NoduleShape(
        diameter, kind, solid, glass, _tuples(body), _tuples(core) if kind == "part_solid" else (), _tuples(spicules)
    )


def _walk(rng: np.random.Generator, ranges: NoduleRanges) -> np.ndarray:
    """Overlapping spheres ``(n, 4)`` in the unit ball, each begun from the one before."""
    count = int(rng.integers(ranges.spheres[0], ranges.spheres[1] + 1))
    radii = rng.uniform(*ranges.radius_share, count)
    out = [np.array([0.0, 0.0, 0.0, radii[0]])]
    for radius in radii[1:]:
        out.append(_next(rng, out[-1], radius))
    return np.array(out)


def _next(rng: np.random.Generator, last: np.ndarray, radius: float) -> np.ndarray:
    """A sphere that overlaps the last one and stays in the unit ball; on it where no draw does."""
    for _ in range(TRIES):
        step = _direction(rng) * rng.uniform(0.3, 0.9) * max(radius, last[3])
        centre = last[:3] + step
        if np.linalg.norm(centre) + radius <= 1.0:
            return np.append(centre, radius)
    room = 1.0 - radius
    distance = float(np.linalg.norm(last[:3]))
    return np.append(last[:3] * min(1.0, room / max(distance, 1e-9)), radius)


def _scaled(spheres: np.ndarray, diameter_mm: float) -> np.ndarray:
    """Spheres about their centroid, with that longest diameter."""
    return recentred(spheres) * (diameter_mm / longest_diameter(spheres))


def _core(rng: np.random.Generator, body: np.ndarray) -> np.ndarray:
    """Smaller spheres within some of the body's, always one."""
    chosen = rng.random(len(body)) < CORE_SHARE
    chosen[int(np.argmax(body[:, 3]))] = True
    core = body[chosen].copy()
    core[:, 3] *= rng.uniform(*CORE_RADIUS, len(core))
    return core


def _spicules(rng: np.random.Generator, body: np.ndarray, radius_mm: float) -> np.ndarray:
    """Rows of ever smaller overlapping spheres that begin in the body's surface and point away from its middle.

    Fewer point along the beam, as these would only be seen as bright dots.
    """
    middle, rows = np.zeros(3), []
    for _ in range(int(rng.integers(SPICULES[0], SPICULES[1] + 1))):
        direction = _direction(rng) * ACROSS
        direction /= max(float(np.linalg.norm(direction)), 1e-9)
        surface = float(crossings(middle, direction[None], body[:, :3], body[:, 3])[1].max())
        root, length = direction * max(surface, 0.0), radius_mm * rng.uniform(*SPICULE_LENGTH)
        way = direction + 0.35 * _direction(rng) * ACROSS
        along = length * np.linspace(0.0, 1.0, SPICULE_SPHERES) ** 1.3
        thin = radius_mm * np.linspace(*SPICULE_RADIUS, SPICULE_SPHERES)
        rows.append(np.concatenate((root + way * along[:, None], thin[:, None]), axis=1))
    return np.concatenate(rows)


def _direction(rng: np.random.Generator) -> np.ndarray:
    """A unit vector, all directions alike."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def _tuples(spheres: np.ndarray) -> Spheres:
    """Spheres as plain numbers, to the micrometre, so that JSON holds them."""
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in np.round(spheres, 3))
