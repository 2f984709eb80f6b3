"""Laws' kernels and their energy maps, by IBSI."""

from __future__ import annotations

import numpy as np

from manabi.radiomics.filters.boundary import Box, source_box
from manabi.radiomics.filters.mean import mean_kernel
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.separable import NOTHING, Kernel, Triple, on_part, pooled, rotated, staged, widest
from manabi.radiomics.filters.spec import FilterSpec

WEIGHTS = {
    "L3": (1, 2, 1),
    "E3": (-1, 0, 1),
    "S3": (-1, 2, -1),
    "L5": (1, 4, 6, 4, 1),
    "E5": (-1, -2, 0, 2, 1),
    "S5": (-1, 0, 2, 0, -1),
    "W5": (-1, 2, 0, -2, 1),
    "R5": (1, -4, 6, -4, 1),
}
"""Level, edge, spot, wave, ripple; divided by their length. IBSI reference manual on filters (arXiv:2006.05470)."""


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The response, pooled over rotations if asked, and its energy map if asked; see the package's ``apply``.

    The energy map is the mean magnitude of the pooled response within a Chebyshev distance.
    """
    triple = kernels(spec.kernels)
    planar = triple[0] == NOTHING
    wanted = box
    if spec.energy_distance is not None:
        mean = mean_kernel(2 * spec.energy_distance + 1, planar)
        wanted = source_box(box, widest([mean]), array.shape, spec.boundary)
    triples = [triple] if spec.rotations == "none" else rotated(triple, planar)
    jobs = {number: [one] for number, one in enumerate(triples)}
    response = pooled((part for _, part in staged(array, wanted, spec.boundary, jobs)), spec.rotations)
    if spec.energy_distance is not None:
        response = on_part(np.abs(response), wanted, array.shape, box, spec.boundary, mean)
    return {ibsi_name(spec): response}


def kernels(names: str) -> Triple:
    """The kernels of a text in x, y, z order, along slices, rows and columns."""
    found = []
    for start in range(0, len(names), 2):
        weights = np.array(WEIGHTS[names[start : start + 2]], dtype=float)
        found.append(Kernel.odd(weights / np.linalg.norm(weights)))
    return found[2] if len(found) == 3 else NOTHING, found[1], found[0]
