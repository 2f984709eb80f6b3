"""Grey level distance zone matrix: connected voxels of one level, by their distance to the region's border.

Thibault et al. 2014, 10.1109/TBME.2013.2284600; Zwanenburg et al. 2020, 10.1148/radiol.2020191145.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.texture import sizes
from manabi.radiomics.texture.cells import Zones, cells_of_lists


def named(features: Iterable[str], zones: Zones, matrix: np.ndarray, n_voxels: np.ndarray, eps: float) -> dict:
    """The named features, each the mean over the matrices; arguments as in ``glszm.named``."""
    cells = cells_of_lists(matrix, zones.level, zones.nearest, n_voxels.size)
    return sizes.named("gldzm", features, cells, n_voxels, eps)


def border_distance(shape_mask: np.ndarray, per_slice: bool) -> np.ndarray:
    """City-block distance in voxels of each voxel to the outside of the morphological mask; 1 at its border.

    Args:
        shape_mask: bool (slices, rows, columns). What lies beyond the array is outside.
        per_slice: only steps within a slice (2D and 2.5D).

    Returns:
        int32, as ``shape_mask``. A voxel outside the mask has 1: the intensity mask may have such a voxel after
        resampling, and a distance of 0 has no inverse (our choice).

    Raises:
        InvalidInputError: the mask has not three dimensions.
    """
    from scipy.ndimage import distance_transform_cdt

    mask = np.asarray(shape_mask, bool)
    if mask.ndim != 3:
        raise InvalidInputError(f"shape_mask has 3 dimensions (slices, rows, columns); got {mask.ndim}.")
    padded = np.pad(mask, 1)
    if per_slice:
        distance = np.stack([distance_transform_cdt(one, "taxicab") for one in padded])
    else:
        distance = distance_transform_cdt(padded, "taxicab")
    return np.maximum(distance[1:-1, 1:-1, 1:-1], 1).astype(np.int32)
