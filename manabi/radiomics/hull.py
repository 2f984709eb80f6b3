"""Bodies round a cloud of points: convex hull, smallest oriented box, smallest ellipsoid, and the largest distances.

All are used by the shape features on the vertices of a region's surface; only the hull's corners matter to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

ELLIPSOID_TOLERANCE = 1e-3
ELLIPSOID_ROUNDS = 5000


@dataclass(frozen=True, eq=False)
class Hull:
    """A convex hull.

    Attributes:
        corners: ``(n, 3)`` mm.
        normals: ``(m, 3)`` unit normals of its faces; parallel faces share one.
        face_areas: ``(m,)`` mm², of all faces with that normal or its opposite.
        volume: mm³.
        area: mm².
    """

    corners: np.ndarray
    normals: np.ndarray
    face_areas: np.ndarray
    volume: float
    area: float


def hull_of(points: np.ndarray) -> Hull:
    """The convex hull of points ``(n, 3)`` that do not all lie in one plane (Barber et al., Quickhull, 1996)."""
    found = ConvexHull(points)
    normals = found.equations[:, :3]
    lead = np.take_along_axis(normals, np.abs(normals).argmax(axis=1)[:, None], axis=1)
    normals, owner = np.unique(np.round(normals * np.sign(lead), 9), axis=0, return_inverse=True)
    a, b, c = (points[found.simplices[:, n]] for n in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    face_areas = np.bincount(owner.ravel(), areas)
    return Hull(points[found.vertices], normals, face_areas, float(found.volume), float(found.area))


def largest_distance(corners: np.ndarray) -> float:
    """The largest distance between two corners."""
    return float(pdist(corners).max()) if len(corners) > 1 else 0.0


def largest_in_plane(points: np.ndarray, axis: int) -> float:
    """The largest distance between two points with the same coordinate along ``axis``; 0 where there are none.

    Planes are visited from the one with the longest diagonal, until no diagonal can beat what was found.
    """
    order = np.argsort(points[:, axis], kind="stable")
    flat = np.delete(points, axis, axis=1)[order]
    starts = np.flatnonzero(np.diff(points[order, axis], prepend=-np.inf))
    planes = np.split(flat, starts[1:])
    bounds = np.array([np.hypot(*np.ptp(plane, axis=0)) for plane in planes])
    best = 0.0
    for n in np.argsort(-bounds):
        if bounds[n] <= best:
            break
        best = max(best, largest_distance(_flat_corners(planes[n])))
    return best


def _flat_corners(plane: np.ndarray) -> np.ndarray:
    """The corners of a plane's convex hull; all points where they are few or lie on a line."""
    if len(plane) < 16 or np.linalg.matrix_rank(plane - plane[0]) < 2:
        return plane
    return plane[ConvexHull(plane).vertices]


def smallest_box(hull: Hull) -> tuple[float, float, float]:
    """Sides (mm) of the smallest oriented box that has one side flush with a face of the hull.

    The exact smallest box (O'Rourke, Finding minimal enclosing boxes, 1985, DOI 10.1007/BF00991005) is flush with two
    edges only; a flush face is our choice, at most slightly larger and much simpler. A box is no smaller than its
    height times the hull's shadow along it (Cauchy's formula), so that most faces need not be tried.
    """
    heights = np.ptp(hull.corners @ hull.normals.T, axis=0)
    shadows = np.abs(hull.normals @ hull.normals.T) @ hull.face_areas / 2
    bounds = heights * shadows
    best, sides = np.inf, (0.0, 0.0, 0.0)
    for n in np.argsort(bounds):
        if bounds[n] >= best:
            break
        plane = hull.corners @ np.stack(_plane_axes(hull.normals[n]), axis=1)
        width, length = _smallest_rectangle(plane)
        if heights[n] * width * length < best:
            best, sides = heights[n] * width * length, (float(heights[n]), width, length)
    return sides


def _plane_axes(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors at right angles to a normal and to one another."""
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    across = np.cross(normal, helper)
    across /= np.linalg.norm(across)
    return across, np.cross(normal, across)


def _smallest_rectangle(points: np.ndarray) -> tuple[float, float]:
    """Sides of the smallest rectangle round points ``(n, 2)``: one side is flush with an edge of their hull."""
    corners = points[ConvexHull(points).vertices]
    edges = np.roll(corners, -1, axis=0) - corners
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    turned = np.stack([edges[:, ::-1] * (-1, 1), edges])
    sides = np.ptp(turned @ corners.T, axis=2)
    width, length = sides[:, np.argmin(sides.prod(axis=0))].tolist()
    return width, length


def smallest_ellipsoid(corners: np.ndarray) -> np.ndarray:
    """Semi-axes (mm, largest first) of the smallest ellipsoid that holds all points ``(n, 3)``.

    Khachiyan's algorithm with steps away (Todd and Yildirim, On Khachiyan's algorithm for the computation of
    minimum-volume enclosing ellipsoids, 2007, DOI 10.1016/j.dam.2007.02.013), stopped at a relative tolerance of 0.001
    and then scaled so that no point lies outside (our choice).
    """
    count, size = corners.shape
    lifted = np.column_stack([corners - corners.mean(axis=0), np.ones(count)])
    weights = np.full(count, 1 / count)
    for _ in range(ELLIPSOID_ROUNDS):
        reach = _form(lifted, np.linalg.inv(lifted.T @ (weights[:, None] * lifted)))
        far, near = int(reach.argmax()), int(np.where(weights > 0, reach, np.inf).argmin())
        too_far, too_near = reach[far] / (size + 1) - 1, 1 - reach[near] / (size + 1)
        if max(too_far, too_near) <= ELLIPSOID_TOLERANCE:
            break
        moved = far if too_far >= too_near else near
        step = (reach[moved] - size - 1) / ((size + 1) * (reach[moved] - 1))
        step = max(step, -weights[moved] / (1 - weights[moved]))
        weights *= 1 - step
        weights[moved] = max(weights[moved] + step, 0.0)
    points = lifted[:, :size]
    centre = weights @ points
    spread = points.T @ (weights[:, None] * points) - np.outer(centre, centre)
    reach = _form(points - centre, np.linalg.inv(spread))
    return np.sqrt(np.linalg.eigvalsh(spread)[::-1] * reach.max())


def _form(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The quadratic form of a matrix at each point."""
    return ((points @ matrix) * points).sum(axis=1)
