"""Gamma index of two doses on one grid (Low et al., A technique for the quantitative evaluation of dose distributions,
Med Phys 1998;25:656, 10.1118/1.598248).

``gamma(r) = min over r' of sqrt((|r' - r| / distance)² + ((D'(r') - D(r)) / difference)²)``, the evaluated dose D'
interpolated linearly. Places around every point are looked at from near to far on a coarse lattice, and a point is left
alone as soon as nothing farther away can be better, so that points that agree cost little; then the search is refined
about the best place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError

COARSE = 0.15
REFINED = (0.06, 0.025)
"""Steps of the search in distance criteria: over the whole neighbourhood, then twice about the best place so far. A
tenth is commonly recommended; with global criteria gamma is within 0.04 of a search in steps of 0.03 everywhere."""
GOOD = 0.3
"""Gamma below this is not refined and may be too high by a fifth: such points pass in any case."""
AT_ONCE = 1_000_000


def gamma_index(
    reference: np.ndarray,
    evaluated: np.ndarray,
    spacing_mm: np.ndarray,
    dose_percent: float = 2.0,
    distance_mm: float = 2.0,
    threshold_percent: float = 10.0,
    local: bool = False,
    most: float = 1.5,
) -> np.ndarray:
    """Gamma at every point of the reference.

    Args:
        reference: dose, ``(n, rows, columns)``.
        evaluated: dose on the same grid.
        spacing_mm: of I, J, K.
        dose_percent: criterion, of the reference's highest dose, or of the point's own where ``local``.
        distance_mm: criterion.
        threshold_percent: points below this share of the highest dose are left out (NaN).
        local: see ``dose_percent``.
        most: values above are not looked for and are given as this.

    Returns:
        ``(n, rows, columns)`` float32; NaN where the reference is below the threshold.

    Raises:
        InvalidInputError: for doses of different shape, no dose, or criteria that are not positive.
    """
    reference, evaluated = np.asarray(reference, np.float64), np.asarray(evaluated, np.float64)
    _check(reference, evaluated, dose_percent, distance_mm)
    highest = float(reference.max())
    points = np.argwhere(reference >= 0.01 * threshold_percent * highest)
    own = reference[tuple(points.T)]
    allowed = 0.01 * dose_percent * (own if local else np.full(len(points), highest))
    scale = distance_mm / np.asarray(spacing_mm, float)[::-1]
    squared = _Search(evaluated, points.astype(float), own, allowed, scale).run(most)
    out = np.full(reference.shape, np.nan, np.float32)
    out[tuple(points.T)] = np.sqrt(squared)
    return out


def pass_rate(gamma: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Percentage of points with gamma at most 1; NaN where there are none.

    Args:
        gamma: of :func:`gamma_index`.
        mask: points to count, of the same shape.
    """
    counted = np.isfinite(gamma) if mask is None else np.isfinite(gamma) & mask
    return 100.0 * float(np.mean(gamma[counted] <= 1.0)) if counted.any() else float("nan")


@dataclass(frozen=True)
class _Search:
    """The evaluated dose, and points to find the gamma of.

    Attributes:
        evaluated: ``(n, rows, columns)``.
        points: ``(m, 3)`` KJI.
        own: ``(m,)`` reference dose.
        allowed: ``(m,)`` dose criterion.
        scale: ``(3,)`` voxels per distance criterion, KJI.
    """

    evaluated: np.ndarray
    points: np.ndarray
    own: np.ndarray
    allowed: np.ndarray
    scale: np.ndarray

    def squared(self, chosen: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Squared gamma ``(k, p)`` of ``k`` chosen points at places ``(k or 1, p, 3)`` in distance criteria."""
        where = self.points[chosen][:, None, :] + places * self.scale
        last = np.array(self.evaluated.shape) - 1.0
        inside = ((where >= -1e-9) & (where <= last + 1e-9)).all(-1)
        flat = where.reshape(-1, 3).T
        dose = ndimage.map_coordinates(self.evaluated, flat, order=1, mode="nearest").reshape(inside.shape)
        miss = ((dose - self.own[chosen, None]) / self.allowed[chosen, None]) ** 2 + (places**2).sum(-1)
        return np.where(inside, miss, np.inf)

    def run(self, most: float) -> np.ndarray:
        """Squared gamma of all points, at most ``most²``."""
        best, place = self._coarse(most)
        chosen = np.flatnonzero((best > GOOD**2) & (best < most**2 + 1.0))
        for step in REFINED:
            self._refine(best, place, chosen, step)
        return np.minimum(best, most**2)

    def _coarse(self, most: float) -> tuple[np.ndarray, np.ndarray]:
        """Best places of a coarse lattice, from near to far, as long as something farther may be better."""
        offsets = _lattice(COARSE, most)
        far = np.sqrt((offsets**2).sum(1))
        best, place = np.full(len(self.points), np.inf), np.zeros((len(self.points), 3))
        best[self._hopeless(most)] = most**2 + 1.0
        hopeless = best < np.inf
        first = 0
        while first < len(offsets):
            active = np.flatnonzero(~hopeless & (np.sqrt(best) > far[first] - COARSE))
            if not active.size:
                break
            shell = int(np.searchsorted(far, far[first] + 1e-9, side="right")) - first
            count = max(1, min(shell, AT_ONCE // active.size))
            found = self.squared(active, offsets[None, first : first + count])
            nearest = found.argmin(1)
            value = found[np.arange(active.size), nearest]
            better = value < best[active]
            best[active[better]] = value[better]
            place[active[better]] = offsets[first : first + count][nearest[better]]
            first += count
        return best, place

    def _refine(self, best: np.ndarray, place: np.ndarray, chosen: np.ndarray, step: float) -> None:
        """Put the best within two steps of the best so far in its place, for chosen points."""
        around = _lattice(step, 2.0 * step * np.sqrt(3.0), 2)
        block = max(1, AT_ONCE // len(around))
        for start in range(0, len(chosen), block):
            some = chosen[start : start + block]
            places = place[some][:, None, :] + around[None]
            found = self.squared(some, places)
            nearest = found.argmin(1)
            value = found[np.arange(some.size), nearest]
            better = value < best[some]
            best[some[better]] = value[better]
            place[some[better]] = places[np.arange(some.size), nearest][better]

    def _hopeless(self, most: float) -> np.ndarray:
        """Points whose dose the whole neighbourhood misses by more than can count."""
        size = tuple(2 * int(np.ceil(most * s)) + 1 for s in self.scale)
        at = tuple(self.points.astype(int).T)
        low = ndimage.minimum_filter(self.evaluated, size, mode="nearest")[at]
        high = ndimage.maximum_filter(self.evaluated, size, mode="nearest")[at]
        return np.maximum(low - self.own, self.own - high) > most * self.allowed


def _lattice(step: float, reach: float, steps: int | None = None) -> np.ndarray:
    """Places ``(p, 3)`` within a reach, in distance criteria, the nearest first."""
    steps = int(np.ceil(reach / step)) if steps is None else steps
    line = np.arange(-steps, steps + 1) * step
    places = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    far = (places**2).sum(1)
    order = np.argsort(far, kind="stable")
    return places[order][far[order] <= reach**2 + 1e-9]


def _check(reference: np.ndarray, evaluated: np.ndarray, dose_percent: float, distance_mm: float) -> None:
    if reference.shape != evaluated.shape or reference.ndim != 3:
        raise InvalidInputError(f"Gamma needs two doses on one grid; got {reference.shape} and {evaluated.shape}.")
    if not reference.max() > 0:
        raise InvalidInputError("The reference dose is nowhere above 0.")
    if not (dose_percent > 0 and distance_mm > 0):
        raise InvalidInputError(f"Gamma's criteria must be positive; got {dose_percent} % and {distance_mm} mm.")
