"""Pairs of films that are drawn in a millisecond, behind the interface of a store of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.nodule.place import HIDDEN
from manabi.nodule.truth import NoduleTruth

SIZE = 64


@dataclass(frozen=True)
class TinyPair:
    """A store's item."""

    positive: np.ndarray
    negative: np.ndarray
    mask: np.ndarray
    nodules: tuple[NoduleTruth, ...]


@dataclass(frozen=True)
class TinyStore:
    """``count`` pairs of ``people`` chests: smooth clouds, and a bright disc of 5 pixels radius."""

    count: int = 24
    people: int = 8
    seed: int = 0
    contrast: float = 0.3
    films: bool = False

    @property
    def record(self) -> dict[str, object]:
        return {"seed": self.seed, "contrast": self.contrast, "films": self.films}

    @property
    def chests(self) -> tuple[int, ...]:
        return tuple(k % self.people for k in range(self.count))

    def nodules(self, index: int) -> tuple[NoduleTruth, ...]:
        return self[index].nodules

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> TinyPair:
        rng = np.random.default_rng([self.seed, index])
        y, x = np.mgrid[:SIZE, :SIZE]
        negative = np.full((SIZE, SIZE), 0.4)
        for _ in range(3):
            waves = rng.uniform(0.02, 0.12, 2)
            negative += 0.06 * np.sin(2 * np.pi * (waves[0] * x + waves[1] * y) + rng.uniform(0, 6))
        negative += 0.02 * rng.standard_normal((SIZE, SIZE))
        row, column = rng.uniform(14, SIZE - 14, 2)
        disc = np.hypot(y - row, x - column) <= 5
        positive = np.clip(negative + self.contrast * disc, 0.01, 1)
        place, subtlety = index % 4, 1 + index % 5
        truth = NoduleTruth(1, float(row), float(column), 150.0, 14.0, 10.0, 1400.0, "solid", 1.0, False, "right",
                            HIDDEN[place], 1.0, self.contrast, 5.0, subtlety)  # fmt: skip
        kind = np.float32
        return TinyPair(positive.astype(kind), np.clip(negative, 0.01, 1).astype(kind), disc.astype(np.uint8), (truth,))
