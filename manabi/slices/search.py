"""Which slices the network has to look at: all of them, or from coarse to fine with the same answer.

A coarse comb over the whole stack tells how far away each marker is; the slices around the meeting point of these
estimates are looked at, until each marker's score has a peak with lower slices on both sides. Where no peak is
convincing, every slice is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import CorruptModelError
from manabi.slices.decode import FARTHEST_MM, OFFSET_MM, offsets_mm

Score = Callable[[np.ndarray], np.ndarray]
"""Indices ``(m,)`` of slices to network outputs ``(m, 6)``."""


@dataclass(frozen=True)
class SearchPlan:
    """How the coarse-to-fine search goes (our choices, checked by the experiment).

    Attributes:
        comb_mm: distance of the slices looked at first.
        window_mm: how far around an estimate every slice is looked at.
        beyond_mm: an estimate this far beyond the image's end needs no closer look.
        weak_logit: a peak below it is not convincing.
        rounds: of following estimates and peaks.
    """

    comb_mm: float = 60.0
    window_mm: float = 4.0
    beyond_mm: float = 12.0
    weak_logit: float = -2.5
    rounds: int = 8


@dataclass
class Searched:
    """Scores of the slices that were looked at: ``(n, 6)``, NaN elsewhere; ``fell_back`` where all had to be."""

    scores: np.ndarray
    fell_back: bool = False

    @property
    def evaluated(self) -> np.ndarray:
        """``(n,)`` which slices were looked at."""
        return np.isfinite(self.scores[:, 0])


def search_all(z_mm: np.ndarray, score: Score) -> Searched:
    """Look at every slice."""
    return Searched(finite(score(np.arange(len(z_mm)))))


def finite(scores: np.ndarray) -> np.ndarray:
    """The same scores; raises CorruptModelError where some are no numbers."""
    if not np.isfinite(scores).all():
        raise CorruptModelError(
            "The network gave values that are no numbers. Check the model (manabi bundle verify), or run in float32."
        )
    return scores


def search_coarse_to_fine(
    z_mm: np.ndarray, score: Score, plan: SearchPlan | None = None, also_mm: Sequence[float] = ()
) -> Searched:
    """Look at as few slices as the answer needs.

    Args:
        z_mm: ``(n,)`` positions, increasing.
        score: runs the network.
        plan: of the search.
        also_mm: positions to look at in any case; those that are NaN or outside the image are left out.
    """
    plan = plan or SearchPlan()
    z = np.asarray(z_mm, float)
    done = Searched(np.full((len(z), 6), np.nan))
    near = [k for at in also_mm if z[0] <= at <= z[-1] for k in _around(z, int(np.abs(z - at).argmin()), 0.0)]
    _look(done, score, [*_comb(z, plan.comb_mm), *near])
    for _ in range(plan.rounds):
        wanted = [k for marker in range(3) for k in _wanted(done, z, marker, plan)]
        if not _look(done, score, wanted):
            break
    if not all(_is_settled(done, z, marker, plan) for marker in range(3)):
        done.fell_back = True
        _look(done, score, range(len(z)))
    return done


def _look(done: Searched, score: Score, indices: Iterable[int]) -> bool:
    """Score those not looked at yet; whether there were any."""
    new = np.array(sorted({int(k) for k in indices if not done.evaluated[int(k)]}), int)
    if len(new):
        done.scores[new] = finite(score(new))
    return bool(len(new))


def _comb(z: np.ndarray, step_mm: float) -> np.ndarray:
    count = max(int(np.ceil((z[-1] - z[0]) / step_mm)) + 1, 2)
    return np.unique(np.linspace(0, len(z) - 1, min(count, len(z))).round().astype(int))


def estimate_mm(done: Searched, z: np.ndarray, marker: int) -> float:
    """Where the slices looked at so far see a marker: the median, near slices counting most."""
    known = np.flatnonzero(done.evaluated)
    scores = done.scores[known]
    offsets = offsets_mm(scores)[:, marker]
    weights = np.exp(-np.abs(offsets) / (OFFSET_MM / 4)) + 1e-6
    places = z[known] + offsets
    order = np.argsort(places)
    total = np.cumsum(weights[order])
    return float(places[order][np.searchsorted(total, total[-1] / 2)])


def _wanted(done: Searched, z: np.ndarray, marker: int, plan: SearchPlan) -> list[int]:
    """Slices around the estimate, and around the best slice so far."""
    place = estimate_mm(done, z, marker)
    if not z[0] - plan.beyond_mm <= place <= z[-1] + plan.beyond_mm:
        return []
    near = int(np.abs(z - place).argmin())
    if not done.evaluated[near]:
        return [near]
    return _around(z, _peak(done, marker), plan.window_mm)


def _around(z: np.ndarray, k: int, window_mm: float) -> list[int]:
    near = np.flatnonzero(np.abs(z - z[k]) <= window_mm + 1e-6).tolist()
    return sorted({*near, max(k - 1, 0), min(k + 1, len(z) - 1)})


def _peak(done: Searched, marker: int) -> int:
    return int(np.nanargmax(done.scores[:, marker]))


def _is_settled(done: Searched, z: np.ndarray, marker: int, plan: SearchPlan) -> bool:
    """Whether the marker has a convincing peak, or is clearly beyond the image."""
    place = estimate_mm(done, z, marker)
    peak = _peak(done, marker)
    if done.scores[peak, marker] >= plan.weak_logit:
        return all(done.evaluated[k] for k in _around(z, peak, 0.0))
    beyond = max(place - z[-1], z[0] - place)
    return bool(beyond > plan.beyond_mm) and beyond <= FARTHEST_MM * 2
