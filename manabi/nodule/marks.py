"""From a heat map to marks: its peaks, how sure they are and how large, and in which part of which lung they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.nodule import lung_shape
from manabi.nodule.lung_mask import LEFT_LUNG, RIGHT_LUNG, LungField

PEAK_DISTANCE = 6.0
"""Pixels of a 256 × 256 film within which the higher of two peaks stands alone (our choice: about 9 mm)."""
LEAST_SCORE = 0.02
MOST_PEAKS = 60
LUNGS = {0: "", RIGHT_LUNG: "right", LEFT_LUNG: "left"}
ZONES = ("upper", "middle", "lower")
CLEAR, HEART, DOME = "clear lung", "behind heart or mediastinum", "below the dome"
WALL, OUTSIDE = "at the chest wall", "outside the lungs"


@dataclass(frozen=True)
class Peak:
    """A local maximum of a heat map.

    Attributes:
        row: in pixels, between pixel centres too.
        column: likewise.
        score: height.
        diameter_px: of a disc with the area of what is connected to the peak above half its height.
    """

    row: float
    column: float
    score: float
    diameter_px: float


def find_peaks(
    heat: np.ndarray, peak_distance: float = PEAK_DISTANCE, least: float = LEAST_SCORE
) -> list[Peak]:  # fmt: skip
    """Peaks of a heat map, highest first; within ``peak_distance`` of a higher one there is none.

    The score is the height itself, as the FROC of the source's kind reads it; equal heights are taken in reading order,
    a plateau at its middle.

    Args:
        heat: ``(rows, columns)``, probabilities.
        peak_distance: pixels.
        least: peaks lower than this are left out.
    """
    from scipy import ndimage

    size = 2 * max(round(peak_distance / 2), 1) + 1
    summits = (heat >= ndimage.maximum_filter(heat, size, mode="nearest")) & (heat >= least)
    labels, count = ndimage.label(summits, np.ones((3, 3)))
    if not count:
        return []
    numbers = np.arange(1, count + 1)
    centres = np.asarray(ndimage.center_of_mass(summits, labels, numbers))
    scores = np.asarray(ndimage.maximum(heat, labels, numbers))
    kept: list[Peak] = []
    for n in np.argsort(-scores, kind="stable"):
        row, column = centres[n]
        if all((row - p.row) ** 2 + (column - p.column) ** 2 > peak_distance**2 for p in kept):
            kept.append(Peak(float(row), float(column), float(scores[n]), _diameter(heat, row, column, scores[n])))
        if len(kept) == MOST_PEAKS:
            break
    return kept


def _diameter(heat: np.ndarray, row: float, column: float, score: float) -> float:
    """See :attr:`Peak.diameter_px`."""
    from scipy import ndimage

    labels, _ = ndimage.label(heat > 0.5 * score)
    own = labels[round(row), round(column)]
    area = int((labels == own).sum()) if own else 1
    return float(2.0 * np.sqrt(area / np.pi))


@dataclass(frozen=True)
class Place:
    """Where in the chest a mark lies.

    Attributes:
        lung: ``right``, ``left`` or empty.
        zone: ``upper``, ``middle`` or ``lower`` third of that lung's height, or empty.
        location: :data:`CLEAR`, :data:`HEART`, :data:`DOME`, :data:`WALL` or :data:`OUTSIDE`.
    """

    lung: str
    zone: str
    location: str


def place_of(peak: Peak, lungs: LungField, margin_px: float = 0.0) -> Place:
    """The part of the lungs that a peak lies in.

    Args:
        peak: on the grid of ``lungs``.
        lungs: of the film.
        margin_px: a peak this close to a lung counts as in it.
    """
    row, column = round(peak.row), round(peak.column)
    label = nearest_label(lungs.whole, peak.row, peak.column, margin_px)
    if label == 0:
        return Place("", "", OUTSIDE)
    rows = np.flatnonzero((lungs.whole == label).any(1))
    share = (peak.row - rows[0]) / max(rows[-1] - rows[0], 1)
    zone = ZONES[min(int(max(share, 0.0) * 3), 2)]
    if lungs.clear[row, column] == label or (
        lungs.whole[row, column] == 0 and nearest_label(lungs.clear, peak.row, peak.column, margin_px)
    ):
        return Place(LUNGS[label], zone, CLEAR)
    return Place(LUNGS[label], zone, _hidden_by(peak, lungs, label))


def nearest_label(labels: np.ndarray, row: float, column: float, margin_px: float = 0.0) -> int:
    """The label nearest to a place, 0 where none is within ``margin_px`` of it: the method's ``limit_to_lungs``."""
    label, distance = _nearest(labels, row, column)
    return 0 if distance > margin_px else label


def is_near(mask: np.ndarray, row: float, column: float, margin_px: float) -> bool:
    """Whether a place lies in a mask or within ``margin_px`` of it."""
    return nearest_label(mask, row, column, margin_px) != 0


def _hidden_by(peak: Peak, lungs: LungField, label: int) -> str:
    """What covers a place that belongs to the lung but is not clear."""
    side, n = max(lungs.whole.shape), lungs.fit.numbers
    if peak.row > n[5 if label == RIGHT_LUNG else 9] * side:
        return DOME
    clear = lungs.clear == label
    rows = np.flatnonzero(clear.any(axis=1))
    if rows.size == 0:
        return HEART
    row = rows[int(np.abs(rows - peak.row).argmin())]
    midline = (n[0] + n[1] * (peak.row / side - 0.45)) * side
    inner = float(np.abs(np.flatnonzero(clear[row]) - midline).min())
    return HEART if abs(peak.column - midline) < inner else WALL


def _nearest(labels: np.ndarray, row: float, column: float) -> tuple[int, float]:
    """Label nearest to a place and its distance in pixels; 0 where there is none."""
    rows, columns = np.nonzero(labels)
    if rows.size == 0:
        return 0, float("inf")
    away = np.hypot(rows - row, columns - column)
    best = int(away.argmin())
    return int(labels[rows[best], columns[best]]), max(float(away[best]) - 0.71, 0.0)


def lungs_found(lungs: LungField) -> str:
    """``both``, ``right``, ``left`` or ``none``: which lungs an outline that is not doubtful shows as dark."""
    if lungs.is_doubtful:
        return "none"
    present = [LUNGS[label] for label in (RIGHT_LUNG, LEFT_LUNG) if (lungs.clear == label).any()]
    return "both" if len(present) == 2 else (present or ["none"])[0]


def in_order(peaks: Sequence[Peak]) -> list[Peak]:
    """Highest first, ties in reading order."""
    return sorted(peaks, key=lambda p: (-p.score, p.row, p.column))


def lung_height_px(lungs: LungField) -> float:
    """Mean height of both clear lungs from apex to dome, pixels of the film."""
    n = dict(zip(lung_shape.NAMES, lungs.fit.numbers, strict=True))
    side = max(lungs.whole.shape)
    return float(0.5 * side * (n["right_base"] - n["right_top"] + n["left_base"] - n["left_top"]))
