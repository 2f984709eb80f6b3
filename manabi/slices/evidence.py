"""What tracking of airway and lungs says about a level, as evidence beside the network's scores.

The rules are taken for an observer with known habits: found positions scatter around the level (a Laplace
distribution), some have nothing to do with it, some levels are missed, and some are found that are not in the image.
The habits are counted on validation cases. All of this is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

RANGE_MM = 400.0
"""Positions that have nothing to do with a level are spread over this much (our choice: a chest and what is around)."""
FEWEST = 10
"""Fewer found positions say nothing about the habits of the rules, which are left out then."""
ROUNDS, LEAST_MM, LEAST_WRONG, LEAST_SHARE = 40, 1.25, 0.05, 0.1
"""Rounds of counting. The rules are never taken for better than the rest says: real chests are harder than phantoms."""
NEVER = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Habits:
    """How the rules err; each by marker.

    Attributes:
        shift: how much higher than the level positions that belong to it are, in slices: the first slice from above in
            which something is seen lies half a slice below where it begins.
        shift_mm: what remains of it in mm, where a site marks a level otherwise than the rules.
        off_mm: their mean distance from the level, after that.
        wrong: share of found positions that do not belong to it; 1: the rules count for nothing.
        missed: share of levels in the image that are said to lie beyond it, where anything is said.
        false: share of levels beyond the image that are found in it.
    """

    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    off_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    wrong: tuple[float, float, float] = NEVER
    missed: tuple[float, float, float] = (0.5, 0.5, 0.5)
    false: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Habits:
        """From a bundle's metadata."""
        return cls(**{key: tuple(float(v) for v in values) for key, values in facts.items()})  # type: ignore[arg-type]

    def facts(self) -> dict[str, list[float]]:
        """For a bundle's metadata."""
        return {key: [round(float(v), 5) for v in values] for key, values in vars(self).items()}


def evidence(z_mm: np.ndarray, said_mm: np.ndarray, habits: Habits) -> np.ndarray:
    """Log likelihood of what the rules said, for every state of every marker: ``(3, n + 2)``, below, slices, above.

    Args:
        z_mm: ``(n,)`` positions of the slices.
        said_mm: ``(3,)`` the rules' positions, infinite where they say that the level lies beyond the image's upper
            (``inf``) or lower end; NaN where they say nothing, which is evidence of nothing.
        habits: of the rules.
    """
    out, z = np.zeros((3, len(z_mm) + 2)), np.asarray(z_mm, float)
    step = float(z[-1] - z[0]) / max(len(z) - 1, 1)
    for m, position in enumerate(said_mm):
        wrong = habits.wrong[m]
        if wrong >= 1.0 or np.isnan(position):
            continue
        if np.isinf(position):
            out[m] = np.log(habits.missed[m])
            out[m, -1 if position > 0 else 0] = np.log(1.0 - habits.false[m])
            continue
        level = position - habits.shift[m] * step - habits.shift_mm[m]
        near = RANGE_MM * slice_density(z - level, step, habits.off_mm[m])
        out[m] = np.log(habits.false[m])
        out[m, 1:-1] = np.log((1.0 - habits.missed[m]) * ((1.0 - wrong) * near + wrong))
    return out


def slice_density(distance_mm: np.ndarray, step_mm: float, off_mm: float) -> np.ndarray:
    """Density per mm of a Laplace distribution, averaged over each slice; wider for slices that are far apart."""
    scale, half = float(np.hypot(off_mm, step_mm / 4.0)), max(step_mm, 1e-3) / 2.0

    def below(x: np.ndarray) -> np.ndarray:
        return np.where(x < 0, 0.5 * np.exp(np.minimum(x, 0) / scale), 1.0 - 0.5 * np.exp(-np.maximum(x, 0) / scale))

    distance = np.asarray(distance_mm, float)
    return (below(distance + half) - below(distance - half)) / (2.0 * half)


def count_habits(
    truth_mm: Sequence[Sequence[float]], said_mm: Sequence[Sequence[float]], step_mm: Sequence[float]
) -> Habits:
    """The habits of the rules on cases whose truth is known.

    Args:
        truth_mm: per case three levels; infinite where not in the image, NaN where unknown.
        said_mm: per case what the rules said, as in :func:`evidence`.
        step_mm: per case the distance of the slices.
    """
    habits, step = Habits(), np.asarray(step_mm, float)
    truth, said = np.asarray(truth_mm, float).reshape(-1, 3), np.asarray(said_mm, float).reshape(-1, 3)
    for m in range(3):
        spoke, there = ~np.isnan(said[:, m]), np.isfinite(said[:, m])
        inside, outside = np.isfinite(truth[:, m]) & spoke, np.isinf(truth[:, m])
        both = inside & there
        if both.sum() < FEWEST:
            continue
        off, steps = said[both, m] - truth[both, m], step[both]
        shift = float(np.clip(np.median(off / steps), -1.0, 1.0))
        shift_mm = float(np.median(off - shift * steps))
        off_mm, wrong = _mixture(np.abs(off - shift * steps - shift_mm))
        values = {
            "shift": shift, "shift_mm": shift_mm, "off_mm": off_mm, "wrong": wrong,
            "missed": _share(inside & ~there, inside), "false": _share(outside & there, outside),
        }  # fmt: skip
        habits = replace(habits, **{key: _put(getattr(habits, key), m, value) for key, value in values.items()})
    return habits


def _mixture(off: np.ndarray) -> tuple[float, float]:
    """Mean distance of the positions that belong to the level, and share of those that do not (EM)."""
    off_mm, wrong = max(float(np.median(off)), LEAST_MM), LEAST_WRONG
    for _ in range(ROUNDS):
        belongs = (1.0 - wrong) * np.exp(-off / off_mm) / (2.0 * off_mm)
        belongs = belongs / (belongs + wrong / RANGE_MM)
        off_mm = max(float((belongs * off).sum() / max(belongs.sum(), 1e-9)), LEAST_MM)
        wrong = max(float(((1.0 - belongs).sum() + 1.0) / (len(off) + 2.0)), LEAST_WRONG)
    return off_mm, wrong


def _share(chosen: np.ndarray, among: np.ndarray) -> float:
    """A share that is neither nearly 0 nor 1; one half where nothing is known (Laplace's rule)."""
    return float(np.clip((chosen.sum() + 1.0) / (among.sum() + 2.0), LEAST_SHARE, 1.0 - LEAST_SHARE))


def _put(values: tuple[float, float, float], m: int, value: float) -> tuple[float, float, float]:
    out = list(values)
    out[m] = value
    return out[0], out[1], out[2]
