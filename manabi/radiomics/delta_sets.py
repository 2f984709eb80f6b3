"""Which changes are taken from a series of images: the named sets of delta radiomics; nothing heavy is imported.

The source (oesophageal cancer, 26 patients, cone-beam CT in each of 5 weeks of chemoradiotherapy, Physica Medica) used
17 sets of delta features and does not list them in what was available to us. The 17 sets here are our choice: for n
weeks there are 4 n - 3 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from manabi.errors import InvalidInputError

Kind = Literal["difference", "slope", "area"]
KINDS: tuple[Kind, ...] = ("difference", "slope", "area")
SOURCE_WEEKS = (1.0, 2.0, 3.0, 4.0, 5.0)
LEAST_SCANS = 3
"""A slope needs at least three scans: through two it is only their difference (our choice)."""


@dataclass(frozen=True)
class DeltaSet:
    """One way to turn a series into one number per feature.

    Attributes:
        name: such as ``abs-w3-w1``, ``rel-w3-w1``, ``slope``; feature names get ``delta-<name>_`` in front.
        kind: ``difference`` of two scans; ``slope`` per week by least squares; ``area`` under the curve of the change
            since the first scan, by trapezoids, divided by the weeks that it covers: the mean change.
        relative: whether it is divided by the size of the earlier scan's value (a slope: of the first).
        start: index of the earlier scan of a difference.
        stop: index of the later one.
    """

    name: str
    kind: Kind
    relative: bool = False
    start: int = 0
    stop: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown kinds and differences that run backwards."""
        if self.kind not in KINDS:
            raise InvalidInputError(f"The kind of a delta set must be one of {', '.join(KINDS)}; got {self.kind!r}.")
        if self.kind == "difference" and not 0 <= self.start < self.stop:
            raise InvalidInputError(
                f"A difference runs from an earlier scan to a later; got {self.start}, {self.stop}."
            )

    def feature(self, name: str) -> str:
        """Name of the change of a feature."""
        return f"delta-{self.name}_{name}"


def delta_sets(times_weeks: Sequence[float] = SOURCE_WEEKS) -> tuple[DeltaSet, ...]:
    """The named sets of a series: 17 for five weeks.

    Absolute and relative differences of each later week from the first (4 + 4), of each from the week before where that
    is not the first (3 + 3), slope per week, slope relative to the first week, and area under the curve of the change.

    Args:
        times_weeks: planned weeks of the scans; they name the sets.

    Raises:
        InvalidInputError: fewer than 3 weeks, or weeks that do not increase.
    """
    weeks = [float(week) for week in times_weeks]
    if len(weeks) < LEAST_SCANS:
        raise InvalidInputError(f"A series needs at least {LEAST_SCANS} weeks; got {len(weeks)}.")
    if not all(math.isfinite(week) for week in weeks) or any(b <= a for a, b in zip(weeks, weeks[1:], strict=False)):
        raise InvalidInputError(f"Weeks must increase; got {weeks}.")
    pairs = [(0, later) for later in range(1, len(weeks))] + [(n, n + 1) for n in range(1, len(weeks) - 1)]
    sets = [
        DeltaSet(f"{word}-w{weeks[stop]:g}-w{weeks[start]:g}", "difference", relative, start, stop)
        for word, relative in (("abs", False), ("rel", True))
        for start, stop in pairs
    ]
    slopes = [DeltaSet("slope", "slope"), DeltaSet("slope-rel", "slope", relative=True)]
    return (*sets, *slopes, DeltaSet("area", "area"))
