"""Where nodules lie: anywhere in the lung, behind the heart, the domes and the bones as well as in the clear.

Places on the film are uniform over all pixels whose ray passes lung; depths are uniform over the lung on that ray
(both as the methods file has it, PROPOSED there). A real film shows no depth: its lungs are taken to be an ordinary
chest's (our choice, see :meth:`LungSpace.of_film`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_geometry import FilmGeometry

if TYPE_CHECKING:
    from manabi.phantoms.radiograph_chest import ChestProjection

HIDDEN = ("clear", "behind_heart", "below_diaphragm", "behind_bones")
"""Names of the values of ``hidden``."""
SIDES = ("none", "right", "left")
"""Names of the values of ``lungs``."""
LEAST_ROOM = 0.6
"""Length of lung on the ray of a nodule's middle, over its diameter, that it needs at least (our choice)."""
APART_MM = 4.0
"""Least distance of two nodules' outlines on the detector."""
TRIES = 200
WALL_MM, LUNG_MM, RIM_MM = 35.0, 150.0, 45.0
"""Chest wall before the lung, greatest depth of a lung, and width of the rim over which it thins out (our choice)."""
ASSUMED_FIELD_MM = 384.0
"""Longer side of a film that does not say how large it is: between 35 and 43 cm cassettes."""


@dataclass(frozen=True)
class Place:
    """Where a nodule's middle is.

    Attributes:
        row: on the film, with fractions.
        column: likewise.
        distance_mm: from the detector.
    """

    row: float
    column: float
    distance_mm: float


@dataclass(frozen=True)
class LungSpace:
    """The room for nodules that a film shows.

    Attributes:
        geometry: of the film's rays.
        lungs: uint8 ``(rows, columns)``: 0 none, 1 right lung, 2 left lung, anywhere on the ray.
        hidden: uint8, an index of :data:`HIDDEN` for each pixel.
        near_mm: float32, nearest distance from the detector at which there is room; NaN where there is none.
        far_mm: the same of the farthest.
        path_mm: float32, length of lung on the ray; less than far - near where the heart lies between.
    """

    geometry: FilmGeometry
    lungs: np.ndarray
    hidden: np.ndarray
    near_mm: np.ndarray
    far_mm: np.ndarray
    path_mm: np.ndarray

    @classmethod
    def of_projection(cls, projection: ChestProjection) -> LungSpace:
        """The room of a simulated chest, known exactly."""
        near, far = projection.lung_range_mm
        return cls(
            projection.geometry, projection.lungs, projection.hidden, near, far, np.nan_to_num(projection.lung_path_mm)
        )

    @classmethod
    def of_film(cls, lungs: np.ndarray, hidden: np.ndarray | None = None, pixel_mm: float = 0.0) -> LungSpace:
        """The room that a real film's lungs are taken to have.

        Each lung is 150 mm deep but for its rim, 45 mm wide on the film, over which it thins out as a quarter of an
        ellipse; its middle is 35 mm of chest wall and half that depth behind the skin. The detector is 5 cm from the
        skin and the source 1.8 m away. Between the lungs there is room too, so that a nodule beside the mediastinum
        is not cut off at its outline: lung lies before and behind it.

        Args:
            lungs: uint8 ``(matrix, matrix)``, 0, 1 right, 2 left, hidden lung included.
            hidden: as :attr:`hidden`; everything is clear without it.
            pixel_mm: distance of the pixels at the detector; 0 for an unknown one: the film is 384 mm long then.

        Raises:
            InvalidInputError: where the maps are not square or differ in shape.
        """
        from scipy import ndimage

        lungs = np.asarray(lungs, np.uint8)
        hidden = np.zeros_like(lungs) if hidden is None else np.asarray(hidden, np.uint8)
        if lungs.ndim != 2 or lungs.shape[0] != lungs.shape[1] or hidden.shape != lungs.shape:
            raise InvalidInputError(f"Expected square maps of one shape; got {lungs.shape} and {hidden.shape}.")
        geometry = FilmGeometry(len(lungs), pixel_mm if pixel_mm > 0 else ASSUMED_FIELD_MM / len(lungs))
        room = (lungs > 0) | between(lungs)
        within = ndimage.distance_transform_edt(np.pad(room, 1))[1:-1, 1:-1]
        rim = np.clip(1.0 - within * geometry.pixel_mm / RIM_MM, 0.0, 1.0)
        depth = np.where(room, LUNG_MM * np.sqrt(1.0 - rim**2), np.nan).astype(np.float32)
        middle = np.float32(geometry.gap_mm + WALL_MM + LUNG_MM / 2)
        path = np.where(lungs > 0, depth, 0.0).astype(np.float32)
        return cls(geometry, lungs, hidden, middle - depth / 2, middle + depth / 2, path)

    def holds(self, row: float, column: float) -> bool:
        """Whether a place lies in a lung, hidden parts included."""
        last = self.geometry.matrix - 1
        inside = all(-0.5 <= value <= last + 0.5 for value in (row, column))
        return inside and bool(self.lungs[self.at(Place(row, column, 0.0))])

    def at(self, place: Place) -> tuple[int, int]:
        """Row and column of the pixel that a place lies in; the nearest one within the film."""
        last = self.geometry.matrix - 1
        return int(np.clip(round(place.row), 0, last)), int(np.clip(round(place.column), 0, last))


def between(lungs: np.ndarray) -> np.ndarray:
    """Pixels of neither lung that lie between the two in their row, bool: mediastinum, heart and spine."""
    out = np.zeros(lungs.shape, bool)
    for row in np.flatnonzero((lungs == 1).any(axis=1) & (lungs == 2).any(axis=1)):
        first, second = np.flatnonzero(lungs[row] == 1), np.flatnonzero(lungs[row] == 2)
        low, high = (first.max(), second.min()) if first.mean() < second.mean() else (second.max(), first.min())
        out[row, low + 1 : high] = True
    return out


def draw_places(
    rng: np.random.Generator,
    space: LungSpace,
    diameters_mm: Sequence[float],
    fixed: Sequence[tuple[float, float]] = (),
) -> tuple[Place, ...]:
    """Places for nodules that do not overlap on the film.

    Args:
        rng: source of everything random.
        space: the room.
        diameters_mm: of the nodules.
        fixed: rows and columns of the first nodules' middles; only their depths are drawn, and they may overlap.

    Raises:
        InvalidInputError: where a fixed place is not in lung, or there is no room for all nodules.
    """
    places: list[Place] = []
    for number, diameter in enumerate(diameters_mm):
        if number < len(fixed):
            places.append(_fixed(rng, space, diameter, fixed[number]))
        else:
            places.append(_drawn(rng, space, diameter, places, diameters_mm))
    return tuple(places)


def _fixed(rng: np.random.Generator, space: LungSpace, diameter_mm: float, where: tuple[float, float]) -> Place:
    """A nodule at a wanted pixel."""
    if not space.holds(*where):
        raise InvalidInputError(
            f"Row {where[0]:g}, column {where[1]:g} is not in the lungs of this film of {space.geometry.matrix} rows; "
            "a nodule needs a place in them, parts behind heart and diaphragm included."
        )
    pixel = Place(float(where[0]), float(where[1]), 0.0)
    return Place(pixel.row, pixel.column, _depth(rng, space, space.at(pixel), diameter_mm))


def _drawn(
    rng: np.random.Generator, space: LungSpace, diameter_mm: float, places: list[Place], diameters_mm: Sequence[float]
) -> Place:
    """A nodule anywhere in the lungs, clear of the others; the chances of all pixels with enough lung are equal."""
    room = np.flatnonzero((space.lungs > 0) & (space.path_mm >= LEAST_ROOM * diameter_mm))
    width = space.lungs.shape[1]
    for _ in range(TRIES if len(room) else 0):
        pixel = divmod(int(rng.choice(room)), width)
        shift = rng.uniform(-0.5, 0.5, 2)
        place = Place(pixel[0] + shift[0], pixel[1] + shift[1], _depth(rng, space, pixel, diameter_mm))
        if all(_apart(space, place, diameter_mm, *other) for other in zip(places, diameters_mm, strict=False)):
            return place
    raise InvalidInputError(
        f"There is no room in this film's lungs for a nodule of {diameter_mm:.0f} mm beside {len(places)} others. "
        "Ask for fewer or smaller nodules."
    )


def _depth(rng: np.random.Generator, space: LungSpace, pixel: tuple[int, int], diameter_mm: float) -> float:
    """Distance from the detector, uniform over the lung on the ray such that the nodule lies within it.

    Where the heart is between two parts of lung, the part behind it counts: lung there is what is hidden, and it is
    the larger part. A nodule that is thicker than the lung lies in its middle.
    """
    near, far = float(space.near_mm[pixel]), float(space.far_mm[pixel])
    near = max(near, far - float(space.path_mm[pixel]))
    low, high = near + diameter_mm / 2, far - diameter_mm / 2
    share = float(rng.random())
    return (near + far) / 2 if low >= high else low + share * (high - low)


def _apart(space: LungSpace, place: Place, diameter_mm: float, other: Place, other_mm: float) -> bool:
    """Whether two nodules' outlines do not meet on the film."""
    pixel_mm = space.geometry.pixel_mm
    distance = np.hypot(place.row - other.row, place.column - other.column) * pixel_mm
    pairs = ((place, diameter_mm), (other, other_mm))
    radii = sum(d / 2 * float(space.geometry.magnification(p.distance_mm)) for p, d in pairs)
    return bool(distance >= radii + APART_MM)
