"""The mean filter of IBSI."""

from __future__ import annotations

import numpy as np

from manabi.radiomics.filters.boundary import Box
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.separable import NOTHING, Kernel, Triple, staged
from manabi.radiomics.filters.spec import FilterSpec


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The mean of a cube (square where planar) of ``support`` voxels a side; see the package's ``apply``.

    IBSI reference manual on filters (arXiv:2006.05470), mean filter.
    """
    name = ibsi_name(spec)
    ((_, response),) = staged(array, box, spec.boundary, {name: [mean_kernel(spec.support or 1, spec.planar)]})
    return {name: response.copy()}


def mean_kernel(support: int, planar: bool) -> Triple:
    """Equal weights along the axes that are filtered."""
    along = Kernel((1 / support,) * support, support // 2)
    return NOTHING if planar else along, along, along
