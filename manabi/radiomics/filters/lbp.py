"""Local binary patterns slice by slice, as pyradiomics 3.0.1 makes them (``lbp-2D``, uniform)."""

from __future__ import annotations

import numpy as np

from manabi.errors import DependencyError
from manabi.radiomics.filters.boundary import Box
from manabi.radiomics.filters.spec import FilterSpec


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The pattern of each pixel's circle; see :func:`manabi.radiomics.filters.apply`.

    Ojala et al. 2002, 10.1109/TPAMI.2002.1017623; scikit-image's ``local_binary_pattern``. Whole slices are computed,
    but only those of the box. As in pyradiomics, patterns are written back in the image's own type.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    try:
        from skimage.feature import local_binary_pattern
    except ImportError as error:
        raise DependencyError("lbp-2D needs scikit-image. Install it: pip install scikit-image.") from error
    radius = int(spec.radius) if spec.radius == int(spec.radius) else spec.radius
    slices = []
    for index in range(box[0].start, box[0].stop):
        pattern = local_binary_pattern(array[index], P=spec.samples, R=radius, method="uniform")
        slices.append(pattern[box[1:]])
    return {spec.kind: np.stack(slices).astype(np.float64)}
