"""What a scanner or an export writes where it saw nothing: outside a round field of view, and in empty slices.

It is often not air: 0, -2000 or -3024 HU. Left as it is, 0 is taken for tissue as wide as the image, and a very low
value darkens the skin beside it when pixels are averaged. The rules are our choice.
"""

from __future__ import annotations

import numpy as np

from manabi.mvct.truncation import distance_from_centre, field_radius

FILLER_HU = -1100.0
"""The lowest value of an image is no air where it is below this."""
RIM_PIXELS = 2.0
"""Rings of pixels at the edge of the circle that hold padding in some places only."""


def find_padding(hu: np.ndarray) -> np.ndarray | None:
    """Voxels that hold no measured value; None where there are none.

    These are slices of one single value, the value outside a circle beyond which every slice has no other, and the
    lowest value of the image where it is below :data:`FILLER_HU`.

    Args:
        hu: ``(n, rows, columns)``.

    Returns:
        Mask of the same shape, or None.
    """
    hu = np.asarray(hu)
    lowest = hu.min()
    empty = np.ptp(hu, axis=(1, 2)) == 0
    out = hu == lowest if lowest < FILLER_HU else np.zeros(hu.shape, bool)
    out[empty] = True
    seen = hu[~empty]
    radius = field_radius(seen) if len(seen) else None
    if radius is not None:
        out |= (distance_from_centre(hu.shape[1:]) > radius - RIM_PIXELS) & (hu == seen[0, 0, 0])
    return out if out.any() else None
