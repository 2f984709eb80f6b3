"""Nodules put into a film of which nothing is known but its grey values: a real one.

The maker's processing is undone as far as it can be assumed, the nodule's attenuation added to the logarithm of the
signal, and the processing redone. The film's noise stays as it is. All of it is our choice: a straight way back to the
detector's signal is not in the film.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.embed import Embedded
from manabi.nodule.place import between

GRAMS_CM2 = 0.195
"""Mass attenuation of soft tissue, cm²/g, in a chest beam of 120 kVp: water's at 60 to 80 keV (NIST)."""
LIMITS = (1.2, 6.0)
"""Least and greatest width of a film's window in units of the logarithm that is believed."""
LEAST_PIXELS = 20


@dataclass(frozen=True)
class AssumedLook:
    """How a film is taken to have been made.

    Attributes:
        steepness: of its S-shaped curve, as :class:`manabi.phantoms.radiograph_look.LookParameters` has it.
        middle: where in the window the curve is steepest.
        lung_to_mediastinum: difference of the logarithm of the signal between clear lung and mediastinum, by which
            the width of the window is told. It is smaller than the detector's (2.4 in simulated films), as processing
            raises small things over large ones; with this value nodules in clear lung of simulated films come out as
            by the physics (medians 0.9 in the training and 1.1 in the held-out domain, 79 nodules).
        window: width of the window in units of the logarithm where no lungs are found.
        scatter_lung: share of the scatter in the signal of clear lung, with a grid (methods file: 0.30 to 0.40).
        scatter_mediastinum: the same of the mediastinum (0.55 to 0.65).
    """

    steepness: float = 3.0
    middle: float = 0.5
    lung_to_mediastinum: float = 1.2
    window: float = 3.0
    scatter_lung: float = 0.35
    scatter_mediastinum: float = 0.60


def embed_in_film(
    film: np.ndarray, embedded: Embedded, lungs: np.ndarray | None = None, look: AssumedLook | None = None
) -> np.ndarray:
    """A film with nodules, float32 ``(rows, columns)`` in [0, 1]; pixels without nodule stay as they are, to the bit.

    Args:
        film: float32 in [0, 1], denser brighter.
        embedded: from :func:`manabi.nodule.embed.embed` with the room of :meth:`LungSpace.of_film`.
        lungs: the film's lungs (0 outside), which tell how wide its window is.
        look: what is assumed of it.

    Raises:
        InvalidInputError: where the shapes differ or the film's values are not within [0, 1].
    """
    film = np.asarray(film, np.float32)
    if film.shape != embedded.added.shape:
        raise InvalidInputError(f"Film {film.shape} and nodules {embedded.added.shape} differ in shape.")
    if not (film.min() >= 0.0 and film.max() <= 1.0):
        raise InvalidInputError(f"A film's values are within 0 and 1; got {film.min():g} to {film.max():g}.")
    look = look or AssumedLook()
    place = _place(film, look)
    low, high = _levels(place, lungs)
    width = look.window if high <= low else look.lung_to_mediastinum / (high - low)
    width = float(np.clip(width, *LIMITS))
    towards = np.clip((place - low) / max(high - low, 1e-6), 0.0, 1.0) if high > low else np.full_like(place, 0.5)
    scatter = look.scatter_lung + (look.scatter_mediastinum - look.scatter_lung) * towards
    primary = (1.0 - scatter) * -np.expm1(-GRAMS_CM2 * embedded.added)
    denser = place - np.log1p(-primary) / width
    return np.where(embedded.added != 0, np.clip(_curve(denser, look), 0.0, 1.0), film).astype(np.float32)


def _levels(place: np.ndarray, lungs: np.ndarray | None) -> tuple[float, float]:
    """Places in the window of clear lung and of mediastinum; 0 and 0 where they cannot be told."""
    if lungs is None or not ((lungs == 1).any() and (lungs == 2).any()):
        return 0.0, 0.0
    clear = float(np.quantile(place[lungs > 0], 0.4))
    middle = _lower_middle(np.asarray(lungs))
    if middle.sum() < LEAST_PIXELS:
        return 0.0, 0.0
    return clear, float(np.median(place[middle]))


def _lower_middle(lungs: np.ndarray) -> np.ndarray:
    """Pixels between the lungs in the lower half of the rows that both reach: heart and spine."""
    out = between(lungs)
    rows = np.flatnonzero(out.any(axis=1))
    out[: rows[len(rows) // 2] if len(rows) else 0] = False
    return out


def _curve(place: np.ndarray, look: AssumedLook) -> np.ndarray:
    """The S-shaped curve from a place in the window to a grey value."""
    first, last = (_sigmoid(look.steepness * (edge - look.middle)) for edge in (0.0, 1.0))
    return (_sigmoid(look.steepness * (place - look.middle)) - first) / (last - first)


def _place(film: np.ndarray, look: AssumedLook) -> np.ndarray:
    """Its inverse, float64."""
    first, last = (_sigmoid(look.steepness * (edge - look.middle)) for edge in (0.0, 1.0))
    share = first + film.astype(float) * (last - first)
    return look.middle + np.log(share / (1.0 - share)) / look.steepness


def _sigmoid(value: np.ndarray | float) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(value, float)))
