"""Grey level size zone matrix: connected voxels of one level, by their number.

Thibault et al. 2014, 10.1109/TBME.2013.2284600; Zwanenburg et al. 2020, 10.1148/radiol.2020191145.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.radiomics.texture import sizes
from manabi.radiomics.texture.cells import Zones, cells_of_lists


def named(features: Iterable[str], zones: Zones, matrix: np.ndarray, n_voxels: np.ndarray, eps: float) -> dict:
    """The named features, each the mean over the matrices.

    Args:
        features: names of the catalogue.
        zones: connected voxels of one level.
        matrix: int64, to which matrix each zone belongs.
        n_voxels: float64, the voxels of each matrix.
        eps: added to probabilities inside logarithms (pyradiomics); 0 is the definition.
    """
    cells = cells_of_lists(matrix, zones.level, zones.size, n_voxels.size)
    return sizes.named("glszm", features, cells, n_voxels, eps)
