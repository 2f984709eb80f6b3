"""Free-response ROC: marks against nodules, false positives per film, and intervals by resampling patients.

A mark is a place with a score. Hits are decided once; what is left is a score per nodule (that of the best mark on it)
and a score per false positive, from which every number follows. Marks beyond the best on a nodule are neither hits
nor false positives (Bunch et al., A free response approach to the measurement of observer performance, Proc SPIE
1977;127:124; the rule for duplicates as in most studies of the JSRT films).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from manabi.errors import InvalidInputError

Rule = Literal["circle", "iou"]
Denominator = Literal["all", "diseased"]
Box = tuple[float, float, float, float]
"""First row, first column, end row, end column, in pixels."""

RATES = (0.125, 0.2, 0.25, 0.5, 1.0, 2.0)
"""False positives per film at which sensitivities are read."""
SLACK_PX = 1.5
"""Added to a nodule's radius in the rule ``circle`` on a film of :data:`GRID` pixels, which are 1.4 to 1.7 mm (our
choice); on coarser films it is as many millimetres, so fewer pixels."""
GRID = 256
LEAST_IOU = 0.2
"""Overlap from which on a box is a hit in NODE21 (Sogancioglu et al., IEEE TMI 2024;43:2839)."""


@dataclass(frozen=True)
class Mark:
    """A finding: its place in pixels and its score; ``box`` where its extent is known."""

    row: float
    column: float
    score: float
    box: Box | None = None


@dataclass(frozen=True)
class Nodule:
    """The truth: centre and radius in pixels.

    Attributes:
        row: of the centre.
        column: of the centre.
        radius: half the diameter.
        place: 0 clear lung, 1 behind heart or mediastinum, 2 below a dome, 3 behind bones.
        subtlety: 1 (hardest) to 5, 0 where unknown.
        box: where it is not the circle's square.
    """

    row: float
    column: float
    radius: float
    place: int = 0
    subtlety: int = 0
    box: Box | None = None


@dataclass(frozen=True)
class Film:
    """One image with its marks and nodules; ``patient`` groups films that are not independent.

    ``score`` is the whole image's: that of its best mark where it is None. ``slack_px`` is how far beyond a nodule's
    circle a mark still hits it.
    """

    name: str
    patient: str
    marks: tuple[Mark, ...]
    nodules: tuple[Nodule, ...]
    score: float | None = None
    slack_px: float = SLACK_PX

    @property
    def image_score(self) -> float:
        """How likely the film has a nodule at all; 0 without marks."""
        return max((m.score for m in self.marks), default=0.0) if self.score is None else self.score


@dataclass(frozen=True)
class Scored:
    """Decided hits of a set of films.

    Attributes:
        patients: of every film.
        diseased: whether it has a nodule.
        image_scores: of every film.
        nodule_film: film of every nodule.
        nodule_score: of the best mark on it; minus infinity where there is none.
        place: of every nodule.
        subtlety: of every nodule.
        false_film: film of every false positive.
        false_score: its score, in falling order.
    """

    patients: np.ndarray
    diseased: np.ndarray
    image_scores: np.ndarray
    nodule_film: np.ndarray
    nodule_score: np.ndarray
    place: np.ndarray
    subtlety: np.ndarray
    false_film: np.ndarray
    false_score: np.ndarray


def slack_of(side: int) -> float:
    """:data:`SLACK_PX` on films of ``side`` pixels."""
    return SLACK_PX * side / GRID


# --- hits -------------------------------------------------------------------------------------------------------------


def square(row: float, column: float, side: float) -> Box:
    """The box of a circle."""
    return row - side / 2, column - side / 2, row + side / 2, column + side / 2


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    if height <= 0 or width <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return height * width / (sum(areas) - height * width)


def hits(mark: Mark, nodules: Sequence[Nodule], rule: Rule, slack_px: float = SLACK_PX) -> int | None:
    """The nodule that a mark lies on: of several the nearest (``circle``) or that of most overlap (``iou``)."""
    if rule == "circle":
        apart = [float(np.hypot(mark.row - n.row, mark.column - n.column)) for n in nodules]
        near = [(d, k) for k, (d, n) in enumerate(zip(apart, nodules, strict=True)) if d <= n.radius + slack_px]
        return min(near)[1] if near else None
    if mark.box is None:
        raise InvalidInputError("The rule iou needs marks with boxes; use the rule circle.")
    own = mark.box
    shares = [iou(own, n.box or square(n.row, n.column, 2 * n.radius)) for n in nodules]
    good = [(share, -k) for k, share in enumerate(shares) if share > LEAST_IOU]
    return -max(good)[1] if good else None


def score_films(films: Sequence[Film], rule: Rule = "circle") -> Scored:
    """Decide every mark of every film.

    Raises:
        InvalidInputError: without films, or for scores that are not numbers.
    """
    if not films:
        raise InvalidInputError("FROC needs at least one film.")
    found: list[tuple[int, float, int, int]] = []
    false: list[tuple[float, int]] = []
    for number, film in enumerate(films):
        best = [-np.inf] * len(film.nodules)
        for mark in film.marks:
            if not np.isfinite(mark.score):
                raise InvalidInputError(f"A mark of film {film.name} has the score {mark.score}; expected a number.")
            hit = hits(mark, film.nodules, rule, film.slack_px)
            if hit is None:
                false.append((mark.score, number))
            else:
                best[hit] = max(best[hit], mark.score)
        found += [(number, b, n.place, n.subtlety) for b, n in zip(best, film.nodules, strict=True)]
    false.sort(key=lambda entry: -entry[0])
    return Scored(
        np.array([film.patient for film in films]), np.array([bool(film.nodules) for film in films]),
        np.array([film.image_score for film in films], float), np.array([f[0] for f in found], int),
        np.array([f[1] for f in found], float), np.array([f[2] for f in found], int),
        np.array([f[3] for f in found], int), np.array([f[1] for f in false], int),
        np.array([f[0] for f in false], float),
    )  # fmt: skip


# --- the curve --------------------------------------------------------------------------------------------------------


def counted(scored: Scored, denominator: Denominator = "all") -> np.ndarray:
    """The films whose false positives count: all of them, or only those with a nodule.

    The source states a rate of 0.2 without saying whether it is per film of the 247 or of the 154 with a nodule.
    """
    return np.ones(len(scored.patients), bool) if denominator == "all" else scored.diseased


def cuts(scored: Scored, rate: float, weights: np.ndarray, denominator: Denominator = "all") -> np.ndarray:
    """The score that marks must exceed so that no more than ``rate`` false positives per film are shown.

    Args:
        scored: decided hits.
        rate: false positives per film.
        weights: how often every film counts, ``(resamples, films)``.
        denominator: see :func:`counted`.

    Returns:
        ``(resamples,)``; minus infinity where all marks may be shown.
    """
    kept = counted(scored, denominator)
    allowed = rate * (weights * kept).sum(1)
    if not scored.false_score.size:
        return np.full(len(weights), -np.inf)
    shown = np.cumsum((weights * kept)[:, scored.false_film], axis=1)
    beyond = shown > allowed[:, None] + 1e-9
    first = beyond.argmax(1)
    return np.where(beyond.any(1), scored.false_score[first], -np.inf)


def shares(scored: Scored, cut: np.ndarray, weights: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Share of nodules whose score exceeds the cut, per resample; nan where there is no nodule.

    Args:
        scored: decided hits.
        cut: ``(resamples,)``.
        weights: ``(resamples, films)``.
        among: which nodules count; None for all.
    """
    kept = np.ones(len(scored.nodule_film), bool) if among is None else among
    each = weights[:, scored.nodule_film[kept]]
    seen = (scored.nodule_score[kept][None] > cut[:, None]) * each
    total = each.sum(1)
    return np.divide(seen.sum(1), total, out=np.full(len(total), np.nan), where=total > 0)


def sensitivity(scored: Scored, rate: float, denominator: Denominator = "all") -> float:
    """Share of nodules found where at most ``rate`` false positives per film are shown."""
    once = np.ones((1, len(scored.patients)))
    return float(shares(scored, cuts(scored, rate, once, denominator), once)[0])


def threshold(scored: Scored, rate: float, denominator: Denominator = "all", lowest: float = 0.0) -> float:
    """A score to show marks from, for at most ``rate`` false positives per film.

    Half-way between the first false positive that is too many and the next higher score of any mark, so that it
    does not depend on the last digit of one score; ``lowest`` where all marks may be shown.
    """
    cut = float(cuts(scored, rate, np.ones((1, len(scored.patients))), denominator)[0])
    if not np.isfinite(cut):
        return lowest
    every = np.concatenate([scored.nodule_score, scored.false_score])
    higher = every[every > cut]
    return 0.5 * (cut + (float(higher.min()) if higher.size else max(1.0, cut)))


def curve(scored: Scored, denominator: Denominator = "all") -> tuple[np.ndarray, np.ndarray]:
    """False positives per film and sensitivity at every score that occurs, from strict to sensitive."""
    kept = counted(scored, denominator)
    every = np.concatenate([scored.nodule_score[np.isfinite(scored.nodule_score)], scored.false_score])
    levels = np.unique(every)[::-1]
    false = np.sort(scored.false_score[kept[scored.false_film]])
    rates = (len(false) - np.searchsorted(false, levels)) / max(int(kept.sum()), 1)
    nodules = np.sort(scored.nodule_score)
    found = (len(nodules) - np.searchsorted(nodules, levels)) / max(len(nodules), 1)
    return np.r_[0.0, rates], np.r_[0.0, found]
