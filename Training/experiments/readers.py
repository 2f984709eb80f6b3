"""Simulated readers of dopamine-transporter images. They are not people, and every result made with them says so.

A reader of the source saw three slices, each divided by its maximum and coloured, and graded each striatum from 1 to 4.
The simulated one does the same with numbers: it takes how bright putamen and caudate look above the background *on the
displayed scale*, adds its own reading noise, and compares with thresholds. Since the display is relative to the hottest
pixel, noise that makes a hot pixel dims everything else, as it does for a person. Thresholds are fitted once, on
full-time images of validation patients whose true grades are known; the noise is set so that a reader agrees with
itself at a quadratic kappa of about 0.8. All our choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from manabi.spect.template import SIDES
from Training.agreement import kappa_of_tables
from Training.spect_evaluate import Slab

READERS = ("A", "B", "C")
OFFSETS = {"A": 0.0, "B": -0.06, "C": 0.06}
"""How much stricter or laxer a reader is: a share of the thresholds."""
SLICES = slice(1, 4)
"""The hottest slice and its neighbours of the five."""
HOT_SHARE = 0.4
"""A reader looks at the brightest 40 % of a structure."""
SELF_AGREEMENT = 0.8


@dataclass(frozen=True)
class Criteria:
    """Thresholds on displayed brightness above background, and the relative noise of one reading."""

    mild: float
    severe: float
    caudate: float
    noise: float


def brightness(slab: Slab, images: np.ndarray) -> np.ndarray:
    """How bright putamen and caudate of each side look above the background, 0 to 1.

    Args:
        slab: places of the structures.
        images: ``(5, 64, 64)``, 0 to 1 as displayed.

    Returns:
        ``(2 sides, 2)``: putamen, caudate.
    """
    shown = np.clip(images[SLICES], 0, 1)
    background = float(np.median(shown[slab.places.whole_brain[SLICES] > 0]))
    seen = np.zeros((2, 2))
    for row, side in enumerate(SIDES):
        for column, structure in enumerate(("putamen", "caudate")):
            inside = shown[slab.places.structures[structure, side][SLICES] >= 0.3]
            count = max(int(len(inside) * HOT_SHARE), 1)
            seen[row, column] = (np.sort(inside)[-count:].mean() - background) if len(inside) else 0.0
    return seen


def read(seen: np.ndarray, criteria: Criteria, reader: str, rng: np.random.Generator) -> np.ndarray:
    """Grades of striata.

    Args:
        seen: ``(..., 2)`` putamen and caudate brightness.
        criteria: shared thresholds.
        reader: a key of ``OFFSETS``.
        rng: draws the reading noise.

    Returns:
        Integers 1 to 4, shape ``(...)``.
    """
    noisy = seen + rng.normal(0.0, criteria.noise, seen.shape)
    factor = 1.0 + OFFSETS[reader]
    putamen, caudate = noisy[..., 0], noisy[..., 1]
    severe = np.where(caudate > criteria.caudate * factor, 2, 1)
    return np.where(putamen > criteria.mild * factor, 4, np.where(putamen > criteria.severe * factor, 3, severe))


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Quadratic kappa of two readings."""
    table = np.zeros((4, 4))
    np.add.at(table, (first.ravel() - 1, second.ravel() - 1), 1)
    return float(kappa_of_tables(table))


def fit_criteria(seen: np.ndarray, true_grades: np.ndarray, seed: int) -> Criteria:
    """Thresholds that agree best with the true grades, and the noise of a reader with kappa 0.8 against itself.

    Args:
        seen: ``(n, 2 sides, 2)`` on full-time validation images.
        true_grades: ``(n, 2)``.
        seed: of the reading noise.
    """
    levels = np.quantile(seen[..., 0], np.linspace(0.1, 0.9, 17))
    caudates = np.quantile(seen[..., 1], np.linspace(0.05, 0.7, 14))
    silent = np.random.default_rng(seed)
    best, chosen = -2.0, Criteria(levels[8], levels[4], caudates[4], 0.0)
    for mild, severe, caudate in product(levels, levels, caudates):
        if severe >= mild:
            continue
        criteria = Criteria(float(mild), float(severe), float(caudate), 0.0)
        value = kappa(read(seen, criteria, "A", silent), true_grades)
        if value > best:
            best, chosen = value, criteria
    return _with_noise(seen, chosen, seed)


def _with_noise(seen: np.ndarray, criteria: Criteria, seed: int) -> Criteria:
    """The criteria with the noise whose repeated reading comes closest to a kappa of 0.8."""
    many = np.repeat(seen, 20, axis=0)
    trials = []
    for noise in np.linspace(0.005, 0.15, 30):
        noisy = Criteria(criteria.mild, criteria.severe, criteria.caudate, float(noise))
        rng = np.random.default_rng(seed)
        value = kappa(read(many, noisy, "A", rng), read(many, noisy, "A", rng))
        trials.append((abs(value - SELF_AGREEMENT), noisy))
    return min(trials, key=lambda pair: pair[0])[1]


def read_all(slabs: Sequence[Slab], images: Sequence[np.ndarray], criteria: Criteria, seed: int) -> np.ndarray:
    """Grades by all readers, ``(3 readers, n cases, 2 sides)``; the seed makes this reading another one."""
    seen = np.stack([brightness(slab, image) for slab, image in zip(slabs, images, strict=True)])
    rngs = [np.random.default_rng([seed, n]) for n in range(len(READERS))]
    return np.stack([read(seen, criteria, reader, rng) for reader, rng in zip(READERS, rngs, strict=True)])
