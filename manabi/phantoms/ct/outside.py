"""What lies around a reconstructed image: fillers that stand for no measurement at all."""

from __future__ import annotations

import numpy as np

from manabi.errors import InvalidInputError

AIR_HU = -1000.0
FILLED_SHARE = 0.01
"""A constant border counts as filler from this share of the image on (our choice)."""


def cleaned(array: np.ndarray) -> np.ndarray:
    """HU with everything that is no measurement set to air.

    Values below -1000 become -1000, and so does a region of one constant value above it that reaches the border of
    its slices (zeros around a head that was cut out, a corner outside a round field of view).

    Args:
        array: ``(n, rows, columns)``.

    Returns:
        A new float32 array.

    Raises:
        InvalidInputError: for values that are not finite.
    """
    hu = np.array(array, dtype=np.float32)
    if not np.isfinite(hu).all():
        raise InvalidInputError("The image holds values that are not numbers; replace them by -1000 first.")
    hu[filler(hu)] = AIR_HU
    return np.maximum(hu, AIR_HU)


def filler(hu: np.ndarray) -> np.ndarray:
    """True where a constant value above -1000 reaches the border of its slice."""
    from scipy import ndimage

    mask = np.zeros(hu.shape, bool)
    corners = hu[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    values, counts = np.unique(corners, return_counts=True)
    for value in values[(values > AIR_HU) & (counts > 1)]:
        same = hu == value
        for image, found in zip(same, mask, strict=True):
            if image.mean() < FILLED_SHARE:
                continue
            labels, _ = ndimage.label(image)
            edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
            sizes = np.bincount(labels.ravel())
            kept = [one for one in np.unique(edge) if one and sizes[one] >= FILLED_SHARE * image.size]
            found |= np.isin(labels, kept)
    return mask
