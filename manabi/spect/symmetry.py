"""The head's plane of symmetry: from it follow the midline, the lean and the turn of the head.

The plane is the one in which the image's mirror image fits it best. Uptake above the brain's middle level is capped
first, so that an asymmetric striatum does not pull the plane. Our choice; the idea is that of Ardekani et al.,
IEEE Trans Med Imaging 1997;16:947-952 (10.1109/42.650873).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

from manabi.spect.template import rotation

CAP = 1.25
"""Values are cut at this multiple of the brain's median (our choice)."""
LIMIT_DEG = 20.0


@dataclass(frozen=True)
class Plane:
    """A plane through ``point_mm`` whose normal is the x axis turned by ``lean_deg`` (about y) and ``turn_deg`` (z)."""

    point_mm: np.ndarray
    lean_deg: float
    turn_deg: float

    @property
    def frame(self) -> np.ndarray:
        """3×3 rotation whose columns are the normal and two directions within the plane."""
        return rotation(0.0, self.lean_deg, self.turn_deg)


def symmetry_plane(array: np.ndarray, spacing_mm: np.ndarray, brain: np.ndarray, middle_mm: np.ndarray) -> Plane:
    """Find the plane of symmetry.

    Args:
        array: KJI, axes close to right, anterior, superior (I, J, K).
        spacing_mm: along I, J, K.
        brain: boolean mask of the brain.
        middle_mm: a point near the plane, mm along the array's axes.
    """
    capped = np.minimum(array, CAP * np.median(array[brain])).astype(np.float32)
    capped = ndimage.gaussian_filter(capped, (4.0 / spacing_mm)[::-1])
    k, j, i = np.nonzero(ndimage.binary_dilation(brain, iterations=2))
    points = (np.stack([i, j, k], -1) * spacing_mm)[::3]
    values = capped[k, j, i][::3]

    def mismatch(v: np.ndarray) -> float:
        """Mean squared difference from the mirrored brain, with a little for turning."""
        normal = rotation(0.0, v[1], v[2])[:, 0]
        distance = (points - middle_mm) @ normal - v[0]
        mirrored = points - 2.0 * distance[:, None] * normal
        seen = ndimage.map_coordinates(capped, (mirrored / spacing_mm).T[::-1], order=1, mode="constant")
        return float(np.mean((seen - values) ** 2)) + 1e-4 * float((v[1] / 10) ** 2 + (v[2] / 10) ** 2)

    start = np.zeros(3)
    simplex = np.vstack([start, np.diag([6.0, 6.0, 6.0])])
    options = {"initial_simplex": simplex, "maxfev": 120, "xatol": 0.05, "fatol": 1e-9}
    offset, lean, turn = optimize.minimize(mismatch, start, method="Nelder-Mead", options=options).x
    lean, turn = float(np.clip(lean, -LIMIT_DEG, LIMIT_DEG)), float(np.clip(turn, -LIMIT_DEG, LIMIT_DEG))
    normal = rotation(0.0, lean, turn)[:, 0]
    return Plane(middle_mm + offset * normal, lean, turn)
