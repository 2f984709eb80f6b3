"""The outline of the lungs on a frontal chest film as a few numbers, and as polygons.

Both lungs hang on a midline. Each has a width, a distance from the midline, a top and a base; the heart bulges into
the left one. The curves were drawn by eye after normal anatomy (our choice), as fractions of a lung's width (0 at the
chest wall, 1 at the mediastinum) over fractions of its height (0 at the apex, 1 at the top of the dome).
"""

from __future__ import annotations

import numpy as np

NAMES = (
    "midline", "tilt", "right_width", "right_gap", "right_top", "right_base", "left_width", "left_gap", "left_top",
    "left_base", "heart", "taper",
)  # fmt: skip
"""Of the numbers: lengths as fractions of the film's longer side; ``tilt`` in columns per row."""
MEAN = np.array([0.5, 0.0, 0.29, 0.075, 0.13, 0.68, 0.29, 0.075, 0.13, 0.71, 0.5, 0.0])
SPREAD = np.array([0.05, 0.05, 0.06, 0.022, 0.06, 0.11, 0.06, 0.022, 0.06, 0.11, 0.35, 0.5])
"""Of adults' films as they are collimated in practice (our choice)."""
LOWEST = np.array([0.30, -0.20, 0.12, 0.02, 0.0, 0.30, 0.12, 0.02, 0.0, 0.30, 0.0, -1.0])
HIGHEST = np.array([0.70, 0.20, 0.46, 0.17, 0.40, 0.99, 0.46, 0.17, 0.40, 0.99, 1.3, 1.0])

LATERAL = np.array(
    [[0.02, 0.52], [0.07, 0.36], [0.15, 0.25], [0.27, 0.15], [0.42, 0.08], [0.58, 0.03], [0.75, 0.0], [0.92, -0.01],
     [1.08, -0.01], [1.16, 0.02]]
)  # fmt: skip
"""Height and place of the chest wall, from the apex to the costophrenic angle."""
MEDIAL = np.array(
    [[0.02, 0.80], [0.07, 0.92], [0.15, 0.98], [0.27, 1.0], [0.42, 0.99], [0.58, 0.97], [0.75, 0.94], [0.92, 0.90],
     [1.02, 0.86]]
)  # fmt: skip
"""Of the mediastinum's edge without the left heart."""
DOME = np.array([[1.10, 0.10], [1.045, 0.22], [1.01, 0.36], [1.0, 0.5], [1.005, 0.66], [1.02, 0.8]])
"""From the costophrenic angle to the mediastinum."""
BULGE = np.array([0.0, 0.0, 0.0, 0.0, 0.08, 0.2, 0.36, 0.46, 0.50])
"""By how much the left heart pushes in the medial edge where ``heart`` is 1."""
TAPER = np.array([0.06, 0.08, 0.08, 0.06, 0.03, 0.0, -0.01, -0.02, -0.02, -0.02])
"""By how much the chest wall moves in at the top where ``taper`` is 1."""
HIDDEN_BASE = np.array([[1.17, 0.05], [1.22, 0.2], [1.25, 0.4], [1.25, 0.6], [1.22, 0.8], [1.17, 0.97]])
"""The posterior lung below the dome, which a film shows through liver and stomach (our choice)."""
HIDDEN_MEDIAL = 1.12
"""Where the lung ends behind heart and mediastinum (our choice: it reaches the vertebral bodies' edge)."""

PARTS = ("wall", "dome", "mediastinum", "apex")


def outlines(numbers: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Points of both clear lungs.

    Args:
        numbers: ``(n, 12)``, see :data:`NAMES`.

    Returns:
        ``(n, 2, m, 2)``: row and column as fractions of the longer side, for right and left lung, each closed; and the
        part of :data:`PARTS` that each of the m points belongs to.
    """
    numbers = np.atleast_2d(numbers)
    right = _lung(numbers, 2, np.zeros(len(numbers)), 1.0)
    left = _lung(numbers, 6, numbers[:, 10], -1.0)
    parts = ("wall",) * len(LATERAL) + ("dome",) * len(DOME) + ("mediastinum",) * len(MEDIAL) + ("apex",)
    return np.stack([right, left], 1), parts


def whole_outlines(numbers: np.ndarray) -> np.ndarray:
    """Points of both lungs with what heart and diaphragm hide, ``(2, m, 2)``: row, column as in :func:`outlines`."""
    lungs = []
    for first, sign in ((2, 1.0), (6, -1.0)):
        wall = np.stack([LATERAL[:, 0], LATERAL[:, 1] + TAPER * numbers[11]], 1)
        medial = MEDIAL[::-1].copy()
        medial[:, 1] = np.maximum(medial[:, 1], np.where(medial[:, 0] > 0.3, HIDDEN_MEDIAL, 0.0))
        curve = np.concatenate([wall, HIDDEN_BASE, medial, [[-0.015, 0.66]]])
        lungs.append(_placed(numbers[None], first, sign, curve[None])[0])
    return np.stack(lungs)


def _lung(numbers: np.ndarray, first: int, heart: np.ndarray, sign: float) -> np.ndarray:
    """One lung's closed outline; ``first`` is the index of its width."""
    count = len(numbers)
    wall = np.repeat(LATERAL[None], count, 0)
    wall[:, :, 1] += TAPER * numbers[:, 11:12]
    medial = np.repeat(MEDIAL[None, ::-1], count, 0)
    medial[:, :, 1] -= BULGE[::-1] * heart[:, None]
    dome = np.repeat(DOME[None], count, 0)
    lateral_part = 1.0 - BULGE[-1] * heart[:, None] / MEDIAL[-1, 1]
    dome[:, :, 1] *= lateral_part
    apex = np.repeat(np.array([[[-0.015, 0.66]]]), count, 0)
    return _placed(numbers, first, sign, np.concatenate([wall, dome, medial, apex], 1))


def _placed(numbers: np.ndarray, first: int, sign: float, curve: np.ndarray) -> np.ndarray:
    """From fractions of a lung to fractions of the film; ``sign`` +1 for the lung on the image's left."""
    width, gap, top, base = (numbers[:, first + n, None] for n in range(4))
    rows = top + curve[..., 0] * (base - top)
    away = gap + (1.0 - curve[..., 1]) * width
    middle = numbers[:, 0:1] + numbers[:, 1:2] * (rows - 0.45)
    return np.stack([rows, middle - sign * away], -1)
