"""How far nodules stand out of their film."""

from __future__ import annotations

import numpy as np

from manabi.errors import InvalidInputError

LEAST_CNR = 0.5
"""Pairs with a nodule below are discarded (methods file, PROPOSED): nobody could have seen it."""
AROUND = 1.5
"""Radius of the neighbourhood over that of the nodule."""
LEAST_MARGIN_PX = 3.0
"""Least width of the neighbourhood around the nodule."""
LEAST_SPREAD = 3.0 / 255.0
"""Grey values of 0 to 1 that a reader cannot tell apart on an even ground, as a standard deviation (our choice)."""


def contrast_to_noise(
    positive: np.ndarray, negative: np.ndarray, inside: np.ndarray, around: float = AROUND
) -> tuple[float, float]:
    """Contrast of one nodule, and contrast over noise.

    Contrast is the mean difference of the two films inside the mask. Noise is the standard deviation of the film
    without the nodule there and around, after its plane of best fit was taken off: quantum noise and, mostly, the ribs
    and vessels that hide nodules (Samei E et al., Radiology 1999;213:727, on anatomical noise). The neighbourhood is
    our choice.

    Args:
        positive: film with the nodule, float ``(rows, columns)``.
        negative: the same film without it.
        inside: bool, the nodule's mask.
        around: radius of the neighbourhood over the nodule's.

    Raises:
        InvalidInputError: where the mask is empty or the shapes differ.
    """
    if not (positive.shape == negative.shape == inside.shape) or not inside.any():
        raise InvalidInputError(
            f"Expected two films and a mask of one shape, the mask not empty; got {positive.shape}, {negative.shape} "
            f"and {inside.shape} with {int(inside.sum())} pixels."
        )
    rows, columns = np.nonzero(inside)
    contrast = float((positive[rows, columns].astype(float) - negative[rows, columns]).mean())
    radius = np.sqrt(len(rows) / np.pi)
    reach = max(radius * around, radius + LEAST_MARGIN_PX)
    middle = rows.mean(), columns.mean()
    box = tuple(
        slice(max(int(m - reach), 0), min(int(m + reach) + 2, n)) for m, n in zip(middle, inside.shape, strict=True)
    )
    r, c = np.ogrid[box]
    near = (r - middle[0]) ** 2 + (c - middle[1]) ** 2 <= reach**2
    return contrast, contrast / max(_spread(negative[box].astype(float), near), LEAST_SPREAD)


def _spread(values: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation about the plane of best fit."""
    rows, columns = np.nonzero(where)
    if len(rows) < 4:
        return 0.0
    design = np.stack((np.ones(len(rows)), rows - rows.mean(), columns - columns.mean()), axis=1)
    seen = values[rows, columns]
    plane, *_ = np.linalg.lstsq(design, seen, rcond=None)
    return float(np.sqrt(((seen - design @ plane) ** 2).sum() / (len(rows) - 3)))
