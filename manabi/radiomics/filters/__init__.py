"""Image filters of radiomics: :func:`apply` gives the responses of one :class:`FilterSpec` on a box of an image.

Held against pyradiomics 3.0.1: every image type here, names and values. Held against IBSI 2 (Whybra et al. 2024,
10.1148/radiol.231319): all 33 reference response maps of its first phase (within the standard's 1 % of the range; the
largest difference is 0.9 %, a Riesz transform, else 0.4 %) and all 323 reference feature values of its second phase.
Without any reference, so tested by laws alone: Shannon wavelets, Riesz transforms of other orders than 1+0+0 and
0+2+0, filters on voxels that are not cubic. Not here: Riesz transforms steered by the structure tensor, on which IBSI
reached no consensus, and pyradiomics' lbp-3D.
"""

from __future__ import annotations

from manabi.radiomics.filters.bank import apply
from manabi.radiomics.filters.spec import KINDS, FilterSpec, reach_mm

__all__ = ["KINDS", "FilterSpec", "apply", "reach_mm"]
