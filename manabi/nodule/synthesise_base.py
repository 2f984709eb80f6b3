"""The normal films that nodules are put into: a reader's own, a simulated chest's, or one drawn from a flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.embed import Embedded
from manabi.nodule.embed_film import embed_in_film
from manabi.nodule.lung_mask import LungField, lung_field_parts
from manabi.nodule.pairs_films import hidden_of
from manabi.nodule.place import ASSUMED_FIELD_MM, LungSpace
from manabi.nodule.prepare import Canonical, Film, canonical, resized

if TYPE_CHECKING:
    from manabi.nodule.glow import Glow
    from manabi.phantoms.radiograph_chest import ChestProjection

MATRIX = 256
"""Rows and columns of simulated films, of a flow's films, and of further pairs."""
FINEST = 1024
"""A reader's film is worked on with at most so many rows and columns (our choice)."""
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Base:
    """A normal film.

    Attributes:
        film: float32 ``(m, m)`` in [0, 1], without nodules.
        space: the room for nodules.
        put: the film with nodules, from what they add.
        pixel_mm: at the detector.
        chest: the projection of a simulated chest, which varies for further pairs; None for others.
    """

    film: np.ndarray
    space: LungSpace
    put: Callable[[Embedded], np.ndarray]
    pixel_mm: float
    chest: ChestProjection | None = None

    @property
    def matrix(self) -> int:
        """Rows and columns."""
        return len(self.film)


def film_base(film: Film, mm_known: bool, matrix: int | None = None) -> tuple[Base, Canonical]:
    """A reader's film, and where it lies on the grid that it is worked on.

    Args:
        film: the film.
        mm_known: whether its spacing is known; otherwise it is taken to be 384 mm long.
        matrix: of the grid; as fine as the film without one, between :data:`MATRIX` and :data:`FINEST`.

    Raises:
        InvalidInputError: where no lungs are found.
    """
    if matrix is None:
        longest = max(film.box[1] - film.box[0], film.box[3] - film.box[2])
        matrix = min(max(MATRIX, longest), FINEST)
    grid = canonical(film, matrix)
    lungs = lung_field_parts(grid.film)
    if lungs.is_doubtful:
        raise InvalidInputError(
            "No lungs were recognised on this film, so no nodule can be put into them. Choose an upright frontal chest "
            "film, or set base=phantom."
        )
    return _of_film(grid.film, lungs, grid.mm_per_pixel if mm_known else ASSUMED_FIELD_MM / matrix), grid


def flow_base(flow: Glow, seed: int) -> Base:
    """A film that nobody has: drawn from a flow of whole films.

    Args:
        flow: of whole films.
        seed: the film follows from it.

    Raises:
        InvalidInputError: where the flow's films show no lungs.
    """
    film = flow.sample(1, TEMPERATURE, seed)[0].cpu().numpy()
    large = np.clip(resized(np.asarray(film, np.float32), (MATRIX, MATRIX)), 0.0, 1.0)
    lungs = lung_field_parts(large)
    if lungs.is_doubtful:
        raise InvalidInputError(
            "The film drawn from the flow shows no lungs. Choose another seed or flow, or set base=phantom."
        )
    return _of_film(large, lungs, ASSUMED_FIELD_MM / MATRIX)


def _of_film(film: np.ndarray, lungs: LungField, pixel_mm: float) -> Base:
    space = LungSpace.of_film(lungs.whole, hidden_of(lungs.clear, lungs.whole), pixel_mm)
    return Base(film, space, lambda embedded: embed_in_film(film, embedded, lungs.whole), pixel_mm)


def chest_base(rng: np.random.Generator, chest: ChestProjection | None = None) -> Base:
    """A simulated chest's film.

    Args:
        rng: draws beam, processing and noise, and the chest or its variation.
        chest: a chest to vary, which is fast; a new one is drawn and projected without it.
    """
    import torch

    from manabi.phantoms.radiograph_chest import project
    from manabi.phantoms.radiograph_film import render_pair, sample_film
    from manabi.phantoms.radiograph_geometry import FilmGeometry
    from manabi.phantoms.radiograph_sampling import sample_chest
    from manabi.phantoms.radiograph_vary import vary

    one = project(sample_chest(rng), FilmGeometry(MATRIX)) if chest is None else vary(chest, rng)
    look, noise_seed, pixel_mm = sample_film(rng), int(rng.integers(2**31)), one.geometry.pixel_mm
    maps = torch.from_numpy(np.array(one.maps))[None]

    def put(embedded: Embedded) -> np.ndarray:
        added = torch.from_numpy(embedded.added)[None]
        film = render_pair(maps, [look], [noise_seed], added, pixel_mm=pixel_mm)[1]
        return normal if film is None else film[0].numpy()

    normal = render_pair(maps, [look], [noise_seed], None, pixel_mm=pixel_mm)[0][0].numpy()
    return Base(normal, LungSpace.of_projection(one), put, pixel_mm, one)
