"""Whether the field of view cuts the patient off, and how much of the patient is missing.

MVCT (391 mm) and cone-beam fields of view are smaller than many patients. Where body reaches the circle of
reconstruction or the image's border, tissue beyond it is unknown, HU near it are wrong, and a dose calculated on the
image lacks what attenuates outside. The missing share is that of an ellipse laid through the outline that is seen (our
choice).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SECTORS = 180
"""Directions from the field's centre that are looked along, 2 degrees each."""
EDGE_PIXELS, BORDER_PIXELS = 2.5, 1.5
"""How near to the edge of a circle, which is blurred, and to the image's border a body touches it."""
CUT_DEGREES = 10.0
"""An arc of contact from which a slice counts as cut (our choice): a nose tip that touches is no truncation."""
LEAST_CORNER = 0.02
"""Share of the image outside the circle from which a circle is believed."""
LEAST_RADIUS = 0.15
"""Of a circle, over half the width of the image."""
MOST_LOST = 0.6
MOST_POINTS = 200
SHAPE_LOG, PRIOR = 0.15, 0.05
"""A body is a little wider than deep (log of the ratio); weight of that and of the place against the outline."""


@dataclass(frozen=True)
class Truncation:
    """How the field of view cuts the body.

    Attributes:
        degrees: ``(n,)`` of arc along which the body touches the edge of the field of view, per slice.
        lost_share: ``(n,)`` estimated share of the body outside it; 0 where it is not cut.
        radius_mm: of the circular field of view; None where the field is the whole image.
    """

    degrees: np.ndarray
    lost_share: np.ndarray
    radius_mm: float | None

    @property
    def cut(self) -> list[int]:
        """Indices of the slices that are cut."""
        return [int(k) for k in np.flatnonzero(self.degrees >= CUT_DEGREES)]

    @property
    def share_of_slices(self) -> float:
        """Cut slices over slices."""
        return len(self.cut) / max(len(self.degrees), 1)

    @property
    def largest_loss(self) -> float:
        """The largest estimated share lost in a slice that is cut."""
        return float(self.lost_share[self.cut].max()) if self.cut else 0.0


def find_truncation(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray) -> Truncation:
    """Look along the edge of the field of view in every slice.

    Args:
        hu: ``(n, rows, columns)``.
        spacing_mm: of I, J, K.
        body: of the same shape.
    """
    radius = field_radius(hu)
    valid = _valid(hu.shape[1:], radius)
    distance = ndimage.distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1]
    edge = valid & (distance <= (BORDER_PIXELS if radius is None else EDGE_PIXELS))
    sector = _sectors(hu.shape[1:])
    aspect = float(spacing_mm[1] / spacing_mm[0])
    degrees, lost = np.zeros(len(hu)), np.zeros(len(hu))
    for k, inside in enumerate(body):
        touching = np.unique(sector[inside & edge])
        degrees[k] = touching.size * 360.0 / SECTORS
        if degrees[k] >= CUT_DEGREES:
            lost[k] = _lost_share(inside, edge, valid, aspect)
    return Truncation(degrees, lost, None if radius is None else radius * float(spacing_mm[0]))


def field_radius(hu: np.ndarray) -> float | None:
    """Radius in pixels of the circle outside which every slice is padded with one value; None where there is none.

    Args:
        hu: ``(n, rows, columns)``.
    """
    varied = np.ptp(np.asarray(hu), axis=0) > 0 if len(hu) > 1 else np.abs(hu[0] - hu[0, 0, 0]) > 0
    first = hu[0]
    padded = ~varied & (first == first[0, 0])
    if not all(padded[r, c] for r in (0, -1) for c in (0, -1)):
        return None
    distance = distance_from_centre(padded.shape)
    reach = float(distance[~padded].max()) + 0.5 if (~padded).any() else 0.0
    outside = distance > reach
    largest = min(padded.shape) / 2.0
    if outside.mean() < LEAST_CORNER or reach < LEAST_RADIUS * largest or not _is_round(padded, distance, reach):
        return None
    return reach


def _is_round(padded: np.ndarray, distance: np.ndarray, reach: float) -> bool:
    """Whether what is not padding comes near the circle in most directions: a body in clean air does not."""
    ring = ~padded & (distance > reach - 3.0)
    sectors = _sectors(padded.shape)
    within = np.unique(sectors[(distance <= reach) & (distance > reach - 3.0)])
    return np.unique(sectors[ring]).size >= 0.7 * within.size


def _lost_share(inside: np.ndarray, edge: np.ndarray, valid: np.ndarray, aspect: float) -> float:
    """Share of the ellipse through the visible outline that lies outside the field of view."""
    outline = inside & ~ndimage.binary_erosion(inside, border_value=1)
    contact = inside & edge
    rim = outline & ~ndimage.binary_dilation(edge, iterations=2)
    x0, y0, a, b = _ellipse(_points(rim, aspect), _points(contact, aspect), float(inside.sum()) * aspect)
    height, width = inside.shape
    margin = max(height, width) // 2
    y, x = np.mgrid[-margin : height + margin, -margin : width + margin].astype(float)
    ellipse = ((x - x0) / a) ** 2 + ((y * aspect - y0) / b) ** 2 <= 1.0
    beyond = float((ellipse & ~np.pad(valid, margin)).sum())
    return float(np.clip(beyond / (beyond + inside.sum()), 0.0, MOST_LOST))


def _ellipse(rim: np.ndarray, contact: np.ndarray, area: float) -> tuple[float, float, float, float]:
    """Centre and half axes of an upright ellipse through the rim that leaves no contact outside; pixels.

    Where little of the rim is seen, it stays near a circle of the visible area about the visible centre.
    """
    from scipy.optimize import least_squares

    points = np.concatenate([rim, contact])
    radius, centre = np.sqrt(area / np.pi), points.mean(0)

    def misses(values: np.ndarray) -> np.ndarray:
        """How far points lie from an ellipse, and the ellipse from what bodies are like."""
        a, b = np.exp(values[2:4])
        far = [np.hypot((p[:, 0] - values[0]) / a, (p[:, 1] - values[1]) / b) - 1.0 for p in (rim, contact)]
        shape = np.array([values[2] - values[3] - SHAPE_LOG, *(values[:2] - centre) / radius]) * PRIOR
        return np.concatenate([far[0] / np.sqrt(max(len(rim), 1)), far[1].clip(0.0) / np.sqrt(len(contact)), shape])

    start = np.array([*centre, np.log(radius) + 0.1, np.log(radius)])
    x0, y0, a, b = least_squares(misses, start, max_nfev=60).x
    return float(x0), float(y0), float(np.exp(a)), float(np.exp(b))


def _points(mask: np.ndarray, aspect: float) -> np.ndarray:
    """At most :data:`MOST_POINTS` of a mask's pixels, ``(n, 2)``, in columns' pixels."""
    rows, columns = np.nonzero(mask)
    points = np.column_stack([columns, rows * aspect]).astype(float)
    return points[:: max(1, len(points) // MOST_POINTS)]


def _valid(shape: tuple[int, ...], radius: float | None) -> np.ndarray:
    return np.ones(shape, bool) if radius is None else distance_from_centre(shape) <= radius


def distance_from_centre(shape: tuple[int, ...]) -> np.ndarray:
    """Distance of every pixel of a slice ``(rows, columns)`` from its centre, in pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - (shape[0] - 1) / 2.0, x - (shape[1] - 1) / 2.0)


def _sectors(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.arctan2(y - (shape[0] - 1) / 2.0, x - (shape[1] - 1) / 2.0)
    return np.clip(((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int), 0, SECTORS - 1)
