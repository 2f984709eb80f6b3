"""Growing vessels piece by piece: smooth courses off the brain's tissue, and trees that divide towards targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manabi.brain.structures import CLASSES
from manabi.phantoms.brain_landmarks import Landmarks
from manabi.phantoms.brain_vessel_atlas import SIGMOID, TERRITORY_MM, mirrored

STEP_MM = 2.5
"""Length of a piece (our choice)."""
GAP_MM = 0.3
"""Between a vessel's wall and the brain (our choice)."""
THIN_MM = 0.3
"""Radius of the last pieces."""
TAPER = 0.98
"""Radius at a branch's end over that at its start (our choice)."""
PULSES_PER_MM = 0.15
"""Pulses of TR 22 ms per mm at a radius of 1 mm, that is 300 mm/s; speed is proportional to the radius, as it is where
Murray's law holds (our choice, of the order that Doppler finds in the middle cerebral artery and its branches)."""
VENOUS_PULSES = 200.0
"""Blood that has come through the brain is saturated."""
MURRAY = 1.0 / 3.0


class Branches:
    """Collects pieces; courses and targets are turned from the pons frame to RAS here."""

    def __init__(self, rng: np.random.Generator, landmarks: Landmarks, radius: float, bend: float) -> None:
        self.rng, self.marks = rng, landmarks
        self.radius, self.bend = radius * float(np.cbrt(landmarks.scale.prod())) ** 0.5, bend
        self.reached: dict[str, float] = {}
        self._pieces: list[np.ndarray] = []

    def arrays(self) -> dict[str, np.ndarray]:
        """Fields of a :class:`manabi.phantoms.brain_vessels.Tree`."""
        table = np.concatenate(self._pieces) if self._pieces else np.zeros((0, 10))
        return {
            "start_mm": table[:, 0:3], "end_mm": table[:, 3:6], "start_radius_mm": table[:, 6],
            "end_radius_mm": table[:, 7], "pulses_at": table[:, 8], "vein": table[:, 9] > 0,
        }  # fmt: skip

    def trunk(self, path: np.ndarray, radii: tuple[float, float], pulses: float, close: bool = True) -> float:
        """A vessel along a course ``(n, 3)`` in the pons frame; returns the pulses at its end.

        ``close`` draws it to the brain's surface where it is far off.
        """
        points = resampled(self.marks.to_ras(path + self._wiggle(path)))
        points = self._steered(points, max(radii) * self.radius, close, free_end=False)
        return self._add(points, radii[0] * self.radius, radii[1] * self.radius, pulses)

    def undo(self) -> None:
        """Take back the last course: what is absent is drawn too, so that it does not change the rest."""
        self._pieces.pop()

    def tree(self, path: np.ndarray, targets: np.ndarray, radius: float, pulses: float) -> None:
        """A course in the pons frame whose end divides towards targets ``(n, 3)`` in RAS."""
        points = resampled(self.marks.to_ras(path + self._wiggle(path)))
        points = self._steered(points, radius * self.radius, close=True, free_end=True)
        end = radius * TAPER * self.radius
        pulses = self._add(points, radius * self.radius, end, pulses)
        self._divide(points[-1], points[-1] - points[-2], targets, end, pulses)

    def comb(self, path: np.ndarray, targets: np.ndarray, radius: float, pulses: float) -> None:
        """A course that gives off a branch at each of its points, towards the targets that are nearest to it."""
        nodes = self.marks.to_ras(path + self._wiggle(path))
        nearest = np.linalg.norm(targets[:, None] - nodes[None, 1:], axis=2).argmin(axis=1) + 1
        wide = radius * self.radius
        for n in range(1, len(nodes)):
            points = self._steered(resampled(nodes[n - 1 : n + 1]), wide, close=False, free_end=True)
            nodes[n] = points[-1]
            pulses = self._add(points, wide, wide * 0.98, pulses)
            here, left = targets[nearest == n], int((nearest >= n).sum())
            if left == 0:
                return
            aside = (len(here) / left) ** MURRAY
            if len(here):
                self._divide(nodes[n], points[-1] - points[-2], here, max(wide * 0.98 * aside, THIN_MM), pulses)
            wide *= 0.98 * (1.0 - len(here) / left) ** MURRAY
            if len(here) == left:
                return

    def targets(self, territory: str, sign: float, count: int) -> np.ndarray:
        """Scattered points ``(count, 3)``, RAS mm, on the surface of a territory."""
        structure, *ranges = TERRITORY_MM[territory]
        marks = self.marks
        surface = (np.abs(marks.outside_mm) < 1.6) & (marks.classes == CLASSES[structure])
        ras = marks.grid.ras_of(np.argwhere(surface)[:, ::-1])
        places = marks.to_frame(ras) * [sign, 1.0, 1.0]
        inside = np.all(
            [(places[:, n] >= low) & (places[:, n] <= high) for n, (low, high) in enumerate(ranges)], axis=0
        )
        return spread(self.rng, ras[inside], count)

    def sinus(self, points: np.ndarray, radii: Sequence[float] | np.ndarray) -> None:
        """A venous sinus through RAS points; radii are spread evenly along it."""
        points = resampled(points)
        wide = np.interp(np.linspace(0, 1, len(points)), np.linspace(0, 1, len(radii)), radii) * self.radius
        table = np.column_stack([points[:-1], points[1:], wide[:-1], wide[1:], np.full(len(points) - 1, VENOUS_PULSES),
                                 np.ones(len(points) - 1)])  # fmt: skip
        self._pieces.append(table)

    def outline(self, x: float, degrees: np.ndarray) -> np.ndarray:
        """RAS points just outside the cerebrum in a sagittal plane, in directions from its middle (0 is anterior)."""
        angles = np.radians(degrees)
        ray = np.stack([np.zeros_like(angles), np.cos(angles), np.sin(angles)], axis=-1)
        return smoothed(self._surface(np.array([x, -5.0, 32.0]), ray, 120.0, 3.0), 8)

    def transverse(self, start: np.ndarray, sign: float) -> np.ndarray:
        """RAS points of the transverse and sigmoid sinus of one side, from the torcula."""
        angles = np.radians(np.linspace(-84.0, -28.0, 14))
        ray = np.stack([sign * np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=-1)
        height = float(self.marks.to_frame(start)[2])
        around = self._surface(np.array([0.0, -30.0, min(height, -4.0)]), ray, 90.0, 3.0)
        return smoothed(np.concatenate([start[None], around, self.marks.to_ras(mirrored(SIGMOID, sign))]), 4)

    def _surface(self, middle: np.ndarray, rays: np.ndarray, far: float, gap: float) -> np.ndarray:
        """Where rays from ``middle`` (pons frame) come out of the brain for good, plus ``gap`` mm."""
        along = np.arange(10.0, far, 1.0)
        ras = self.marks.to_ras(middle + along[None, :, None] * rays[:, None])
        outside = self.marks.distance(ras.reshape(-1, 3)).reshape(ras.shape[:2]) > gap
        last = along.size - outside[:, ::-1].argmin(axis=1)
        last = np.where(outside.all(axis=1), 0, np.minimum(last, along.size - 1))
        return ras[np.arange(len(rays)), last]

    def _wiggle(self, path: np.ndarray) -> np.ndarray:
        """Small shifts of a course's inner points, pons frame."""
        shift = self.rng.normal(0.0, 0.8, path.shape)
        shift[[0, -1]] = 0.0
        return shift

    def _divide(
        self, start: np.ndarray, heading: np.ndarray, targets: np.ndarray, radius: float, pulses: float
    ) -> None:
        """Grow a branch towards the middle of its targets, and its children towards parts of them."""
        count = len(targets)
        if count == 0:
            return
        share = 1.0 if count == 1 else self.rng.uniform(0.3, 0.5)
        end = self._outside(start + (targets.mean(axis=0) - start) * share, radius)
        points = self._steered(self._bezier(start, heading, end), radius, close=True, free_end=True)
        thin = THIN_MM if count == 1 else max(radius * TAPER, THIN_MM)
        pulses = self._add(points, radius, thin, pulses)
        if count == 1:
            return
        order = targets[:, np.ptp(targets, axis=0).argmax()].argsort()
        cut = int(np.clip(round(count * self.rng.uniform(0.3, 0.7)), 1, count - 1))
        for part in (order[:cut], order[cut:]):
            child = max(thin * (len(part) / count) ** MURRAY, THIN_MM)
            self._divide(points[-1], points[-1] - points[-2], targets[part], child, pulses)

    def _bezier(self, start: np.ndarray, heading: np.ndarray, end: np.ndarray) -> np.ndarray:
        """A cubic Bezier curve that leaves along ``heading`` and is bent at random."""
        length = float(np.linalg.norm(end - start))
        forward = heading / max(float(np.linalg.norm(heading)), 1e-6)
        bend = 0.16 * self.bend * length
        first = start + forward * 0.3 * length + self.rng.normal(0.0, bend, 3)
        second = start + 0.66 * (end - start) + self.rng.normal(0.0, bend, 3)
        t = np.linspace(0.0, 1.0, max(int(np.ceil(1.2 * length / STEP_MM)), 2) + 1)[:, None]
        return (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t * t * second + t**3 * end

    def _outside(self, point: np.ndarray, radius: float) -> np.ndarray:
        """The point moved out of the brain's tissue, however deep it lies."""
        moved = point[None]
        for _ in range(4):
            distance, away = self.marks.surface(moved)
            if distance[0] >= radius + GAP_MM:
                break
            moved = moved + (radius + GAP_MM - distance)[:, None] * away
        return moved[0]

    def _steered(self, points: np.ndarray, radius: float, close: bool, free_end: bool) -> np.ndarray:
        """A course pushed off the tissue (and, if ``close``, drawn to it), smooth; its start stays."""
        weight = np.ones((len(points), 1))
        weight[0] = 0.0
        weight[-1] = 1.0 if free_end else 0.0
        for _ in range(5):
            distance, away = self.marks.surface(points)
            shift = 0.8 * np.maximum(radius + GAP_MM - distance, 0.0)
            if close:
                shift -= 0.3 * np.clip(distance - radius - 1.5, 0.0, 8.0)
            points = points + smoothed(weight * shift[:, None] * away, 1)
        return points

    def _add(self, points: np.ndarray, first: float, last: float, pulses: float) -> float:
        """Keep a course as pieces; returns the pulses at its end."""
        length = np.linalg.norm(np.diff(points, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(length)]) / max(float(length.sum()), 1e-6)
        wide = first + along * (last - first)
        mean = 0.5 * (wide[1:] + wide[:-1])
        lived = pulses + np.cumsum(length * PULSES_PER_MM / np.maximum(mean, THIN_MM))
        before = np.concatenate([[pulses], lived[:-1]])
        self._pieces.append(np.column_stack([points[:-1], points[1:], wide[:-1], wide[1:], 0.5 * (before + lived),
                                             np.zeros(len(length))]))  # fmt: skip
        return float(lived[-1])


def resampled(points: np.ndarray, step_mm: float = STEP_MM) -> np.ndarray:
    """A smooth course through points ``(n, 3)``, at steps of about ``step_mm``."""
    from scipy.interpolate import PchipInterpolator

    along = np.concatenate([[0.0], np.cumsum(np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-3))])
    count = max(int(np.ceil(along[-1] / step_mm)), 2) + 1
    return np.asarray(PchipInterpolator(along, points)(np.linspace(0.0, along[-1], count)))


def smoothed(points: np.ndarray, times: int) -> np.ndarray:
    """The course with each inner point drawn to its neighbours; both ends stay."""
    points = points.copy()
    for _ in range(times):
        points[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
    return points


def spread(rng: np.random.Generator, points: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the points, each the farthest of a random few from those chosen before."""
    if len(points) == 0 or count < 1:
        return np.zeros((0, 3))
    chosen = points[rng.integers(len(points))][None]
    while len(chosen) < min(count, len(points)):
        few = points[rng.integers(len(points), size=6)]
        gaps = np.linalg.norm(few[:, None] - chosen[None], axis=2).min(axis=1)
        chosen = np.concatenate([chosen, few[gaps.argmax()][None]])
    return chosen
