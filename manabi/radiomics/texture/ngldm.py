"""Neighbouring grey level dependence matrix of IBSI: as gldm, with all seventeen features.

Sun and Wee 1983, 10.1016/0734-189X(83)90032-4; Zwanenburg et al. 2020, 10.1148/radiol.2020191145.
"""

from __future__ import annotations

from collections.abc import Iterable

from manabi.radiomics.texture import gldm
from manabi.radiomics.texture.cells import Neighbourhood


def named(features: Iterable[str], around: list[Neighbourhood], eps: float) -> dict[str, float]:
    """The named features of one matrix for each entry of ``around``, each the mean over the matrices."""
    return gldm.from_cells("ngldm", features, gldm.dependence(around), eps)
