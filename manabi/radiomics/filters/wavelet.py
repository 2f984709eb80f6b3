"""Separable undecimated wavelets, by IBSI."""

from __future__ import annotations

from itertools import product

import numpy as np

from manabi.radiomics.filters.boundary import Box
from manabi.radiomics.filters.names import ibsi_name
from manabi.radiomics.filters.separable import NOTHING, Kernel, Triple, kept, pooled, rotated, staged
from manabi.radiomics.filters.spec import FilterSpec
from manabi.radiomics.filters.values import pywt_kernels


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The bands of one level; see :func:`manabi.radiomics.filters.apply`.

    IBSI reference manual on filters (arXiv:2006.05470), separable wavelets: the levels below pass the low kernel along
    every axis; kernels are dilated by zeros (a trous) from level to level. A rotation turns all levels alike.
    """
    low, high = pywt_kernels(spec.family)
    size = 2 if spec.planar else 3
    bands = spec.bands or tuple("".join(letters) for letters in product("LH", repeat=size))
    chains = {band: _chain(band, low, high, spec) for band in bands}
    if spec.rotations == "none":
        done = kept(staged(array, box, spec.boundary, chains), len(chains))
        return {ibsi_name(spec, band): done[band] for band in bands}
    found = {}
    for band, chain in chains.items():
        turns = zip(*(rotated(link, spec.planar) for link in chain), strict=True)
        jobs = {number: list(turn) for number, turn in enumerate(turns)}
        parts = (part for _, part in staged(array, box, spec.boundary, jobs))
        found[ibsi_name(spec, band)] = pooled(parts, spec.rotations)
    return found


def _chain(band: str, low: Kernel, high: Kernel, spec: FilterSpec) -> list[Triple]:
    """The kernels of every level on the way to one band."""
    links = []
    for level in range(1, spec.level + 1):
        letters = band if level == spec.level else "L" * len(band)
        along = [(low if letter == "L" else high).dilated(2 ** (level - 1)) for letter in letters]
        links.append((NOTHING if spec.planar else along[2], along[1], along[0]))
    return links
