"""Turn and shift the patient by less than a voxel: image and mask are interpolated once, on the image's own lattice."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.geometry import Grid, closest_axes
from manabi.radiomics.perturb_depth import largest, softened
from manabi.radiomics.perturb_patch import Patch
from manabi.radiomics.perturb_plan import Perturbation


def axes_towards_ras(grid: Grid) -> np.ndarray:
    """3×3, columns are the unit vectors of I, J, K, each turned to point towards R, A or S, whichever it is nearest."""
    directions = grid.directions.copy()
    for axis, sign in zip(*closest_axes(directions), strict=True):
        directions[:, axis] *= sign
    return directions


def motion(grid: Grid, centre_ras: np.ndarray, perturbation: Perturbation) -> np.ndarray:
    """4×4 matrix, RAS mm to RAS mm, that takes a point of the patient to its new place.

    The turn is about ``centre_ras`` and comes first, so that the centre moves by the translation alone.
    """
    axes = axes_towards_ras(grid)
    angle = np.deg2rad(perturbation.rotation_deg)
    x, y, z = axes[:, 2]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    shift_mm = axes @ (np.array(perturbation.translation[::-1]) * grid.spacing_mm)
    matrix[:3, 3] = centre_ras - matrix[:3, :3] @ centre_ras + shift_mm
    return matrix


def moved(patch: Patch, matrix: np.ndarray, grid: Grid) -> Patch:
    """The patch after a motion, on another box of the same lattice.

    Values follow a cubic spline and continue at the image's edge. The softened mask is interpolated linearly, and the
    voxels of largest value are kept, as many as there were: a motion changes no volume. (Our choice; the source
    interpolates the mask linearly and keeps what is at least one half: a flat side that is shifted by less than half a
    voxel does not move at all, and a thin mask can vanish.)

    Args:
        patch: what is moved; must cover all places that ``grid`` looks at within the image.
        matrix: 4×4, RAS mm, from :func:`motion`.
        grid: where the result is wanted.
    """
    mapping = np.linalg.inv(patch.grid.ijk_to_ras) @ np.linalg.inv(matrix) @ grid.ijk_to_ras
    turn, offset = mapping[:3, :3][::-1, ::-1], mapping[:3, 3][::-1]
    values = ndimage.affine_transform(patch.values, turn, offset, grid.shape, order=3, mode="nearest")
    soft = ndimage.affine_transform(softened(patch), turn, offset, grid.shape, order=1, cval=-1.0, mode="grid-constant")
    mask = largest(soft, int(patch.mask.sum()), soft > -1.0)
    seen = ndimage.affine_transform(
        patch.known.astype(np.float64), turn, offset, grid.shape, order=1, mode="grid-constant"
    )
    return Patch(values, mask, seen >= 0.5, grid)
