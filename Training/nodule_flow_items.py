"""What a flow sees of a film: patches in the lungs, or the whole of it made smaller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from Training.nodule_flow_films import FlowFilm
from Training.nodule_flow_recipe import FlowRecipe


def draw_items(films: Sequence[FlowFilm], recipe: FlowRecipe, count: int, stream: int, vary: bool = True) -> Tensor:
    """``(count, size, size)`` in [0, 1] of films in turn; item i follows from ``stream`` and i alone."""
    drawn = []
    for number in range(count):
        rng = np.random.default_rng([stream, number])
        drawn.append(item_of(films[number % len(films)], recipe, rng, vary))
    return torch.from_numpy(np.stack(drawn))


def draw_item(films: Sequence[FlowFilm], recipe: FlowRecipe, rng: np.random.Generator) -> np.ndarray:
    """An item of a film drawn with ``rng``, varied: float32 ``(size, size)`` in [0, 1]."""
    return item_of(films[int(rng.integers(len(films)))], recipe, rng, vary=True)


def item_of(film: FlowFilm, recipe: FlowRecipe, rng: np.random.Generator, vary: bool) -> np.ndarray:
    """A patch of a film, or the whole.

    Args:
        film: where it is from.
        recipe: says which.
        rng: places the patch, and varies.
        vary: change gamma, and move whole films.
    """
    if recipe.what == "patch":
        item = _patch(film, recipe, rng)
    else:
        item = whole(_moved(film.film, recipe.shift, rng) if vary else film.film, recipe.size)
    if vary and recipe.gamma:
        item = item ** np.float32(np.exp(rng.normal(0.0, recipe.gamma)))
    return np.ascontiguousarray(item, np.float32)


def whole(film: np.ndarray, size: int) -> np.ndarray:
    """A film on a grid of ``size`` x ``size``, averaged."""
    if size == film.shape[0]:
        return film
    return F.interpolate(
        torch.from_numpy(film)[None, None], (size, size), mode="bilinear", antialias=True, align_corners=False
    )[0, 0].numpy()  # fmt: skip


def _patch(film: FlowFilm, recipe: FlowRecipe, rng: np.random.Generator) -> np.ndarray:
    """A patch whose middle lies in the lungs, or anywhere; moved into the film where it would reach beyond."""
    size, matrix = recipe.size, film.pixels.shape[0]
    places = np.flatnonzero(film.lungs) if recipe.within == "lungs" else np.zeros(0, int)
    place = int(places[rng.integers(places.size)]) if places.size else int(rng.integers(matrix * matrix))
    row, column = (int(np.clip(middle - size // 2, 0, matrix - size)) for middle in divmod(place, matrix))
    return film.film[row : row + size, column : column + size]


def _moved(film: np.ndarray, shift: float, rng: np.random.Generator) -> np.ndarray:
    """The film moved by up to ``shift`` of its side; 0 comes in."""
    reach = round(shift * film.shape[0])
    down, right = (int(n) for n in rng.integers(-reach, reach + 1, 2))
    padded = np.pad(film, reach)
    rows, columns = film.shape
    return padded[reach - down : reach - down + rows, reach - right : reach - right + columns]
