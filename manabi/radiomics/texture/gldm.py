"""Grey level dependence matrix of pyradiomics: voxels by their number of neighbours of about the same level.

Sun and Wee 1983, 10.1016/0734-189X(83)90032-4; van Griethuysen et al. 2017, 10.1158/0008-5472.CAN-17-0339.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from manabi.radiomics.texture import sizes
from manabi.radiomics.texture.cells import Cells, Neighbourhood, cells_of_table, joined


def named(features: Iterable[str], around: list[Neighbourhood], eps: float) -> dict[str, float]:
    """The named features of one matrix for each entry of ``around``, each the mean over the matrices."""
    return from_cells("gldm", features, dependence(around), eps, ("level_nonuniformity_normalised", "percentage"))


def dependence(around: list[Neighbourhood]) -> Cells:
    """Level against the number of dependent voxels, the voxel itself included."""
    tables = [cells_of_table(one.dependent[None], number) for number, one in enumerate(around)]
    cells = joined(tables)
    return Cells(cells.matrix, cells.row, cells.column + 1, cells.count, len(around))


def from_cells(
    family: str, features: Iterable[str], cells: Cells, eps: float, without: tuple[str, ...] = ()
) -> dict[str, float]:
    """As ``sizes.named``, where every voxel has one entry; ``without`` leaves out some of its keys."""
    voxels = np.bincount(cells.matrix, cells.count, cells.n_matrices)
    return sizes.named(family, features, cells, voxels, eps, without)
