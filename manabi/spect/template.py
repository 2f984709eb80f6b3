"""The striatum as four ellipsoids: where caudate and putamen lie, how large they are, and their volumes of interest.

The frame is fixed to the striatum: origin midway between the two sides at the level of the putamen's centre, x to the
right, y anterior, z superior, mm. Sizes and distances are those of the phantom literature gathered for this project
(caudate about 10×19×22 mm at 13 mm from the midline, putamen 10×32×20 mm at 25 mm, turned 15-18° outwards); how far
the caudate lies before and above the putamen is our choice after anatomical atlases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.geometry import Grid
from manabi.result import LEFT, RIGHT, Code, Segment

SUBSAMPLES = 3
"""Points per voxel axis with which a volume of interest is sampled (our choice): edges count by their share."""

CAUDATE = Code("11000004", "SCT", "Caudate nucleus")
PUTAMEN = Code("89278009", "SCT", "Putamen")
OCCIPITAL = Code("31065004", "SCT", "Occipital lobe")


@dataclass(frozen=True)
class Structure:
    """One ellipsoid of the right side; the left one is its mirror image.

    Attributes:
        name: ``caudate`` or ``putamen``.
        centre_mm: in the striatal frame.
        semi_axes_mm: along its own x, y, z.
        turn_deg: rotation about z; positive turns the back end outwards.
        tilt_deg: rotation about x; positive raises the front end.
    """

    name: str
    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    turn_deg: float
    tilt_deg: float = 0.0


STRUCTURES = (
    Structure("caudate", (13.0, 10.5, 4.0), (5.0, 9.5, 11.0), 12.0),
    Structure("putamen", (25.0, 0.0, 0.0), (5.0, 16.0, 10.0), 16.5),
)
SIDES = ("left", "right")
REGIONS = tuple((s.name, side) for s in STRUCTURES for side in SIDES)
"""(structure, side) in the order used everywhere: caudate left, caudate right, putamen left, putamen right."""


def rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    """3×3 rotation: about x, then y, then z (column vectors, right-handed, degrees)."""
    a, b, c = np.radians([x_deg, y_deg, z_deg])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


@dataclass(frozen=True)
class Pose:
    """Where the striatal frame lies: a similarity transform into the patient (or any mm space).

    Attributes:
        centre_mm: origin of the striatal frame.
        angles_deg: rotation about x (nod), y (lean) and z (turn).
        scale: size against the template.
    """

    centre_mm: tuple[float, float, float]
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    @property
    def matrix(self) -> np.ndarray:
        """3×3 rotation of the frame."""
        return rotation(*self.angles_deg)

    def to_template(self, points_mm: np.ndarray) -> np.ndarray:
        """Points ``(..., 3)`` of the space, in the striatal frame."""
        return (points_mm - np.asarray(self.centre_mm)) @ self.matrix / self.scale


def ellipsoid_frame(structure: Structure, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Centre (mm) and 3×3 axes (columns) of a structure's ellipsoid in the striatal frame."""
    sign = 1.0 if side == "right" else -1.0
    axes = rotation(structure.tilt_deg, 0.0, sign * structure.turn_deg)
    return np.array(structure.centre_mm) * (sign, 1.0, 1.0), axes


def blurred_density(points: np.ndarray, structure: Structure, side: str, blur_mm: float) -> np.ndarray:
    """A Gaussian with the ellipsoid's second moments, widened by the camera's blur; peak 1.

    Args:
        points: ``(n, 3)`` in the striatal frame, mm.
        structure: which ellipsoid.
        side: ``left`` or ``right``.
        blur_mm: standard deviation of the blur, in template mm.
    """
    centre, axes = ellipsoid_frame(structure, side)
    variance = np.array(structure.semi_axes_mm) ** 2 / 5.0 + blur_mm**2
    local = (points - centre) @ axes
    return np.exp(-0.5 * (local**2 / variance).sum(-1))


def weights(grid: Grid, pose: Pose, structure: Structure, side: str, margin_mm: float = 0.0) -> np.ndarray:
    """Share of each voxel of ``grid`` that lies in a structure's ellipsoid, grown by ``margin_mm``; KJI, 0 to 1.

    ``pose`` is in RAS mm, so the volume of interest lies on the anatomy whatever the grid's orientation or spacing.
    """
    centre, axes = ellipsoid_frame(structure, side)
    semi = (np.array(structure.semi_axes_mm) * pose.scale) + margin_mm
    middle = np.asarray(pose.centre_mm) + pose.scale * (pose.matrix @ centre)
    return ellipsoid_weights(grid, middle, pose.matrix @ axes, semi)


def ellipsoid_weights(grid: Grid, centre_ras: np.ndarray, axes: np.ndarray, semi_axes_mm: np.ndarray) -> np.ndarray:
    """Share of each voxel inside an ellipsoid given in RAS mm; KJI array, 0 to 1."""
    out = np.zeros(grid.shape)
    reach = float(max(semi_axes_mm)) + float(grid.spacing_mm.max())
    corners = centre_ras + reach * (2 * np.indices((2, 2, 2)).reshape(3, -1).T - 1)
    ijk = grid.ijk_of(corners)
    low = np.maximum(np.floor(ijk.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(ijk.max(0)).astype(int) + 1, np.array(grid.shape[::-1]))
    if (high <= low).any():
        return out
    steps = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    lines = [(np.arange(a, b)[:, None] + steps).ravel() for a, b in zip(low, high, strict=True)]
    k, j, i = np.meshgrid(lines[2], lines[1], lines[0], indexing="ij")
    local = (grid.ras_of(np.stack([i, j, k], -1)) - centre_ras) @ axes
    inside = ((local / semi_axes_mm) ** 2).sum(-1) <= 1.0
    n = high - low
    share = inside.reshape(n[2], SUBSAMPLES, n[1], SUBSAMPLES, n[0], SUBSAMPLES).mean((1, 3, 5))
    out[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = share
    return out


def segments() -> tuple[Segment, ...]:
    """The coded segments of a label map of the volumes of interest: labels 1 to 4 as in REGIONS, 5 the reference."""
    types = {"caudate": CAUDATE, "putamen": PUTAMEN}
    colors = {"caudate": (0.95, 0.75, 0.2), "putamen": (0.9, 0.35, 0.25)}
    sides = {"left": LEFT, "right": RIGHT}
    striatal = [
        Segment(n, f"{side} {name}", colors[name], types[name], laterality=sides[side])
        for n, (name, side) in enumerate(REGIONS, start=1)
    ]
    reference = Segment(len(REGIONS) + 1, "occipital reference", (0.3, 0.55, 0.85), OCCIPITAL)
    return (*striatal, reference)
