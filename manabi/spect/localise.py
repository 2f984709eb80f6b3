"""Finding the striatum in a dopamine-transporter SPECT of any orientation and spacing.

A template of four blurred ellipsoids on a smooth background is fitted to the image: for each pose the four uptakes and
the background are a linear least-squares problem, so only the pose (place, three angles, size) is searched. Weak sides
do not mislead it, because each side and structure has an uptake of its own. The method is our choice; the source
placed nothing automatically.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

from manabi.errors import InvalidInputError
from manabi.geometry import Grid, closest_axes
from manabi.spect.symmetry import Plane, symmetry_plane
from manabi.spect.template import REGIONS, STRUCTURES, Pose, blurred_density
from manabi.volume import Volume

WORK_MM = 4.0
"""Spacing of the grid on which the fit is done (our choice: half the camera's resolution)."""
BLUR_SD_MM = 4.7
"""Standard deviation of the reconstructed blur, 11 mm FWHM (our choice, between the published 8 and 13 mm)."""
BOX_MM = (52.0, 48.0, 36.0)
"""Half size of the box around the striatum that is fitted: right-left, front-back, up-down."""
PRIOR_SD = np.array([1.0, 14.0, 30.0, 6.0, 1.5, 1.5, 0.06])
"""Expected deviations from the plane of symmetry and the brain's centre: place (mm), angles (degrees), log size
(our choice)."""
EXPECTED_OFFSET_MM = np.array([0.0, 12.0, 0.0])
"""Striatum against the centre of the brain's outline (our choice)."""
SEARCH_MM = 45.0
"""How far from the expected place the striatum is looked for (our choice)."""
PRIOR_WEIGHT = 0.001
"""Cost of one standard deviation squared, in units of the image's variance (our choice)."""
BRAIN_DEPTH_MM = 130.0
"""Height of the brain from the vertex; below it the outline is neck (our choice)."""

CUT_SHARE = 0.7
"""The image ends within the brain where the first or last slice of the brain has this share of the largest one's area
(our choice)."""


@dataclass(frozen=True)
class Localisation:
    """Where the striatum is.

    Attributes:
        pose: in RAS mm.
        explained: share of the variance around the striatum that the template explains, 0 to 1.
        uptake: fitted peak uptake over background per region of ``REGIONS``, in units of the background.
        brain: boolean KJI mask of the brain on the input's grid.
        cut: whether the image ends within the brain, above or below.
    """

    pose: Pose
    explained: float
    uptake: dict[tuple[str, str], float]
    brain: np.ndarray
    cut: bool = False


def work_volume(volume: Volume) -> Volume:
    """The image in closest-to-RAS order on a grid of about ``WORK_MM``, lightly smoothed, in float32."""
    straight = volume.reoriented()
    spacing = straight.spacing_mm
    sd = np.sqrt(np.maximum(WORK_MM**2 - spacing**2, 0.0)) / 2.3548 / spacing
    smooth = ndimage.gaussian_filter(straight.array.astype(np.float32), sd[::-1])
    return straight.like(smooth).resampled(straight.grid.with_spacing(np.full(3, WORK_MM)))


def brain_mask(volume: Volume) -> np.ndarray:
    """The head's warm part on the volume's own grid: smoothed, thresholded, largest piece, holes filled; bool KJI.

    Raises:
        InvalidInputError: where nothing stands out from the air.
    """
    from skimage.filters import threshold_otsu

    sd = (8.0 / 2.3548) / volume.spacing_mm[::-1]
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), sd)
    capped = np.minimum(smooth, np.percentile(smooth[smooth > 0], 90) if (smooth > 0).any() else 0)
    if capped.max() <= capped.min():
        raise InvalidInputError("No head was found: the image has no uptake above air. Is it the right series?")
    warm = capped > 0.8 * threshold_otsu(capped)
    pieces, count = ndimage.label(warm)
    if count == 0:
        raise InvalidInputError("No head was found in this image. Is it a dopamine-transporter SPECT of the head?")
    sizes = np.bincount(pieces.ravel())[1:]
    return ndimage.binary_fill_holes(pieces == 1 + int(sizes.argmax()))


def localise(volume: Volume) -> Localisation:
    """Find the striatum.

    Args:
        volume: DAT-SPECT, any orientation, spacing of 1 to 8 mm.

    Raises:
        InvalidInputError: if no head is in the image.
    """
    work = work_volume(volume)
    brain = brain_mask(work)
    canonical = Grid(work.shape, _axis_matrix(work.grid))
    centre = _expected_centre(brain, canonical)
    plane = symmetry_plane(np.asarray(work.array), work.spacing_mm, brain, centre)
    fit = _Fit(work.array, brain, canonical, plane)
    best = fit.search()
    solution, residual, total, _ = fit.solve(best)
    background = solution[-1] or 1.0
    uptake = {region: float(a / background) for region, a in zip(REGIONS, solution, strict=False)}
    explained = float(np.clip(1.0 - residual / total, 0.0, 1.0)) if total > 0 else 0.0
    return Localisation(_to_ras(fit.pose(best), work.grid), explained, uptake, brain_mask(volume), _is_cut(brain))


def _is_cut(brain: np.ndarray) -> bool:
    """Whether the brain's first or last slice (KJI, slices upwards) lies at the image's edge and is a large one."""
    areas = brain.reshape(len(brain), -1).sum(1)
    return bool(max(areas[0], areas[-1]) > CUT_SHARE * areas.max())


def _axis_matrix(grid: Grid) -> np.ndarray:
    """IJK to mm along the grid's own axes: R, A, S as far as the head's pose within the camera goes."""
    return np.diag([*grid.spacing_mm, 1.0])


def _to_ras(pose: Pose, grid: Grid) -> Pose:
    """A pose given along the grid's own axes, in RAS mm."""
    from scipy.spatial.transform import Rotation

    axes, _ = closest_axes(grid.directions)
    if axes != (0, 1, 2):
        raise InvalidInputError("The image's axes could not be matched to the patient's.")
    turn = grid.directions @ pose.matrix
    z, y, x = Rotation.from_matrix(turn).as_euler("ZYX", degrees=True)
    centre = grid.origin_ras + grid.directions @ np.asarray(pose.centre_mm)
    return Pose(tuple(map(float, centre)), (float(x), float(y), float(z)), pose.scale)  # type: ignore[arg-type]


def _expected_centre(brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Where the striatum is expected from the brain's outline, mm along the grid's axes."""
    k, j, i = np.nonzero(brain)
    top_mm = k.max() * grid.spacing_mm[2]
    within = k * grid.spacing_mm[2] > top_mm - BRAIN_DEPTH_MM
    middle = [0.5 * (np.percentile(v[within], 2) + np.percentile(v[within], 98)) for v in (i, j)]
    height = max(top_mm - 0.55 * BRAIN_DEPTH_MM, float(k.min()) * grid.spacing_mm[2])
    return np.array([middle[0] * grid.spacing_mm[0], middle[1] * grid.spacing_mm[1], height]) + EXPECTED_OFFSET_MM


class _Fit:
    """Template fit on the brain's voxels near the striatum.

    Vectors are deviations from what the plane of symmetry leads one to expect: across the plane, forwards and upwards
    in it (mm); nod, lean and turn (degrees); log size.
    """

    def __init__(self, array: np.ndarray, brain: np.ndarray, grid: Grid, plane: Plane) -> None:
        k, j, i = np.nonzero(brain)
        points = grid.ras_of(np.stack([i, j, k], -1))
        near = (np.abs(points - plane.point_mm) < np.array(BOX_MM) + SEARCH_MM).all(1)
        if near.sum() < 200:
            raise InvalidInputError("The brain is not in the field of view, or the image holds almost no slices of it.")
        self.points = points[near]
        self.values = array[brain][near].astype(float)
        self.plane = plane
        self.spread = float(np.std(self.values)) or 1.0

    def pose(self, v: np.ndarray) -> Pose:
        x, y, z = (float(c) for c in self._centre(v))
        angles = (float(v[3]), float(v[4]) + self.plane.lean_deg, float(v[5]) + self.plane.turn_deg)
        return Pose((x, y, z), angles, float(np.exp(v[6])))

    def _centre(self, v: np.ndarray) -> np.ndarray:
        return self.plane.point_mm + self.plane.frame @ v[:3]

    def solve(self, v: np.ndarray, stride: int = 1) -> tuple[np.ndarray, float, float, int]:
        """Uptakes and background (non-negative least squares), mean squared residual, variance, voxels in the box."""
        points, values = self.points[::stride], self.values[::stride]
        rows = (np.abs(points - self._centre(v)) < BOX_MM).all(1)
        if rows.sum() < 60:
            return np.zeros(len(REGIONS) + 1), 1.0, 1.0, 0
        pose = self.pose(v)
        local, values = pose.to_template(points[rows]), values[rows]
        design = np.ones((len(values), len(REGIONS) + 1))
        for n, (name, side) in enumerate(REGIONS):
            structure = next(s for s in STRUCTURES if s.name == name)
            design[:, n] = blurred_density(local, structure, side, BLUR_SD_MM / pose.scale)
        lower = np.linalg.cholesky(design.T @ design + 1e-6 * np.eye(design.shape[1]))
        solution, _ = optimize.nnls(lower.T, np.linalg.solve(lower, design.T @ values))
        residual = values - design @ solution
        return solution, float(residual @ residual) / len(values), float(values.var()), len(values)

    def cost(self, v: np.ndarray, stride: int = 1) -> float:
        """Minus the sum of squares that the striatum explains beyond a flat background, plus the prior."""
        _, residual, total, count = self.solve(v, stride)
        explained = (total - residual) * count / (len(self.values[::stride]) * self.spread**2)
        return PRIOR_WEIGHT * float(((v / PRIOR_SD) ** 2).sum()) - explained

    def search(self) -> np.ndarray:
        """Best pose: a coarse search over places, a simplex from the best three, a fine one from the best."""
        starts = []
        for z in np.arange(-40.0, 41.0, 8.0):
            for y in (-24.0, -12.0, 0.0, 12.0):
                v = np.array([0.0, y, z, 0.0, 0.0, 0.0, 0.0])
                starts.append((self.cost(v, 5), tuple(v)))
        starts.sort()
        found = [self._refine(np.array(v), 5, 160) for _, v in starts[:3]]
        return self._refine(min(found, key=self.cost), 2, 250)

    def _refine(self, start: np.ndarray, stride: int, evaluations: int) -> np.ndarray:
        steps = np.vstack([start, start + np.diag([1.0, 6.0, 6.0, 6.0, 1.5, 1.5, 0.06])])
        options = {"initial_simplex": steps, "maxfev": evaluations, "xatol": 0.05, "fatol": 1e-5}
        return optimize.minimize(self.cost, start, (stride,), method="Nelder-Mead", options=options).x
