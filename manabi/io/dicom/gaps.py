"""Whether slices are evenly spaced, unevenly on purpose, or incomplete. The rules stand in :mod:`.stack`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import GeometryError
from manabi.io.dicom.frames import Frame

PLACE_TOLERANCE_MM = 0.1
PLACE_TOLERANCE_RATIO = 0.2
WHOLE_TOLERANCE = 0.1
GAP_RATIO = 1.5


@dataclass(frozen=True)
class Run:
    """Equal intervals in a row: from slice ``first`` to slice ``last`` (from 0), ``spacing_mm`` apart."""

    first: int
    last: int
    spacing_mm: float

    @property
    def is_long(self) -> bool:
        """Whether there are at least two intervals, so that the spacing is no accident."""
        return self.last - self.first >= 2


def tolerance_mm(spacing_mm: float) -> float:
    """How far a slice may lie from where even spacing would put it."""
    return min(PLACE_TOLERANCE_MM, PLACE_TOLERANCE_RATIO * spacing_mm)


def is_regular(heights_mm: np.ndarray) -> bool:
    """Whether slices at these heights (sorted) are evenly spaced."""
    even = np.linspace(heights_mm[0], heights_mm[-1], len(heights_mm))
    return bool(np.abs(heights_mm - even).max() <= tolerance_mm(even[1] - even[0]))


def runs_of(heights_mm: np.ndarray) -> list[Run]:
    """The stack cut into runs of equal intervals."""
    steps = np.diff(heights_mm)
    runs, start = [], 0
    for k in range(1, len(steps) + 1):
        mean = float(steps[start:k].mean())
        if k == len(steps) or abs(steps[k] - mean) > 2 * tolerance_mm(min(mean, float(steps[k]))):
            runs.append(Run(start, k, mean))
            start = k
    return runs


def spacing_or_gap(heights_mm: np.ndarray, frames: list[Frame]) -> float:
    """The spacing to resample an uneven stack to: that of its finest long run, else the smallest interval.

    Raises:
        GeometryError: where slices are missing; names the slices on both sides of the first gap.
    """
    steps = np.diff(heights_mm)
    runs = runs_of(heights_mm)
    long_runs = [run for run in runs if run.is_long]
    for position, run in enumerate(runs):
        if not run.is_long and run.spacing_mm > GAP_RATIO * max(_beside(runs, position), default=float(steps.min())):
            expected = min(_nearest_long(runs, position), default=float(steps.min()))
            raise _missing(frames, run.first, run.spacing_mm, expected)
    jump = _numbering_jump(steps, frames)
    if jump is not None:
        raise _missing(frames, jump, float(steps[jump]), float(steps.min()))
    return min(run.spacing_mm for run in long_runs) if long_runs else float(steps.min())


def described(heights_mm: np.ndarray) -> str:
    """The runs in words: "4.00 mm from slice 1 to 14, 7.00 mm from slice 14 to 28"."""
    runs = runs_of(heights_mm)
    texts = [f"{run.spacing_mm:.2f} mm from slice {run.first + 1} to {run.last + 1}" for run in runs]
    return ", ".join(texts[:6]) + (f" and {len(texts) - 6} changes more" if len(texts) > 6 else "")


def _nearest_long(runs: list[Run], position: int) -> list[float]:
    """The spacing of the nearest long run on each side, as far as there is one."""
    before = [run.spacing_mm for run in runs[:position] if run.is_long][-1:]
    after = [run.spacing_mm for run in runs[position + 1 :] if run.is_long][:1]
    return before + after


def _beside(runs: list[Run], position: int) -> list[float]:
    """What a short run is held against on each side: the nearest long run, or its direct neighbour if that is finer."""
    sides = []
    for neighbours in (runs[:position][::-1], runs[position + 1 :]):
        long_one = next((run.spacing_mm for run in neighbours if run.is_long), None)
        if long_one is not None:
            sides.append(min(long_one, neighbours[0].spacing_mm))
    return sides


def _numbering_jump(steps_mm: np.ndarray, frames: list[Frame]) -> int | None:
    """The first interval that is larger than the smallest one by the factor by which the InstanceNumber jumps."""
    if any(frame.instance is None for frame in frames):
        return None
    numbers = np.abs(np.diff([float(frame.instance or 0) for frame in frames]))
    if numbers.min() <= 0:
        return None
    factors, jumps = steps_mm / steps_mm.min(), numbers / numbers.min()
    found = np.flatnonzero((jumps >= 2) & (np.abs(factors / jumps - 1) < WHOLE_TOLERANCE))
    return int(found[0]) if found.size else None


def _missing(frames: list[Frame], index: int, found_mm: float, expected_mm: float) -> GeometryError:
    count = round(found_mm / expected_mm)
    whole = abs(found_mm / expected_mm - count) < WHOLE_TOLERANCE
    lost = count - 1
    what = f": {lost} slice{'s are' if lost > 1 else ' is'} missing" if whole and lost else ""
    return GeometryError(
        f"Between {frames[index].named(index + 1)} and {frames[index + 1].named(index + 2)} lie {found_mm:.2f} mm "
        f"where {expected_mm:.2f} mm were expected{what}. Fetch the series again with all its slices."
    )
