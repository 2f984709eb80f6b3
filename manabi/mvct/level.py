"""Does the couch lie level along the slices? In an image whose gantry tilt was lost, it climbs or sinks.

A patient's own lean says little: necks lean by up to 30 degrees. A couch is level within a degree or two, and every
scanner's image shows it, unless it was cut away. Behind the body a profile is taken of each slice, row by row; profiles
some way apart are shifted against each other until they agree best, and the median of those shifts over the distance is
the slope. The way and the limits are our choice; the source has no such check.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

APART_MM = 20.0
"""Between the slices that are compared: enough to be measured with pixels of 4 mm, and the couch stays in the image."""
STEEPEST = 0.9
"""Slopes that are looked for, at most."""
LIKE = 0.8
"""Least correlation of two profiles that show the same couch."""
AIR_HU, SOLID_HU = -1000.0, -300.0
"""Profiles are clipped to this range: a carbon skin counts as much as a rail of steel."""
LEAST_HU = 5.0
"""Standard deviation along a profile; less is noise."""
MARGIN = 2
"""Pixels around the body that are left out: its blurred edge is no couch."""
SCATTER = 1.0
"""Median deviation of the shifts in rows, and at least half of the pairs must be measured: else it is no couch."""
LEAST_PAIRS, FEWEST_ROWS = 3, 4
"""Pairs that measure a slope, and rows that two profiles share, at least."""


def couch_slope(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray) -> float | None:
    """How far what lies behind the patient moves up or down per length along the slices.

    Args:
        hu: ``(n, rows, columns)`` HU, in closest-to-RAS order: rows run from back to front of a supine patient.
        spacing_mm: of I, J, K.
        body: mask of the same shape.

    Returns:
        mm per mm, positive where it climbs towards the head; None where the image shows no couch, or too few slices.
    """
    step = max(1, round(APART_MM / float(spacing_mm[2])))
    if len(hu) < step + LEAST_PAIRS:
        return None
    profiles = np.stack([_profile(*pair) for pair in zip(hu, body, strict=True)])
    reach = int(np.ceil(STEEPEST * step * float(spacing_mm[2] / spacing_mm[1]))) + 1
    shifts = [_shift(a, b, reach) for a, b in zip(profiles[:-step], profiles[step:], strict=True)]
    found = np.array([s for s in shifts if s is not None])
    if len(found) < max(LEAST_PAIRS, len(shifts) / 2) or np.median(np.abs(found - np.median(found))) > SCATTER:
        return None
    return float(np.median(found) * spacing_mm[1] / (step * spacing_mm[2]))


def _profile(image: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Mean over the columns of what lies outside the body and its shadow to the front, HU above air, by row."""
    near = ndimage.binary_dilation(body, np.ones((3, 3), bool), iterations=MARGIN) if body.any() else body
    behind = ~np.logical_or.accumulate(near, axis=0)
    if body.any():
        behind[:, ~body.any(0)] = False
    weight = behind.sum(1)
    values = np.where(behind, np.clip(image, AIR_HU, SOLID_HU) - AIR_HU, 0.0).sum(1)
    return np.asarray(np.where(weight > 0, values / np.maximum(weight, 1), np.nan))


def _shift(a: np.ndarray, b: np.ndarray, reach: int) -> float | None:
    """Rows, and parts of one, by which the second profile lies further on; None where they never agree."""
    reach = min(reach, len(a) - FEWEST_ROWS)
    likes = np.array([_likeness(a, b, rows) for rows in range(-reach, reach + 1)])
    best = int(np.argmax(likes))
    if likes[best] < LIKE:
        return None
    if best in (0, len(likes) - 1) or not np.isfinite(likes[best - 1 : best + 2]).all():
        return float(best - reach)
    low, top, high = likes[best - 1 : best + 2]
    bend = low - 2.0 * top + high
    return float(best - reach + (0.5 * (low - high) / bend if bend < 0 else 0.0))


def _likeness(a: np.ndarray, b: np.ndarray, rows: int) -> float:
    """Correlation of the first profile with the second, that many rows further on."""
    first, second = (a[: len(a) - rows], b[rows:]) if rows >= 0 else (a[-rows:], b[:rows])
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < FEWEST_ROWS:
        return -1.0
    x, y = first[known], second[known]
    if min(x.std(), y.std()) < LEAST_HU:
        return -1.0
    return float(np.corrcoef(x, y)[0, 1])
