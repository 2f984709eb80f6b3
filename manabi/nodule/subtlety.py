"""How hard a simulated nodule is to see, in the five grades of the JSRT database.

Shiraishi J et al., AJR 2000;174:71-74, had radiologists grade 154 nodules: extremely subtle 25, very subtle 29, subtle
50, relatively obvious 38, obvious 12. A simulator has no radiologists; ours grades by contrast over anatomical noise,
size and place. That rule and its limits are our choice: the limits are those at which nodules of the default recipe
on simulated films fall into the grades as JSRT's do (298 nodules; 260 nodules on 14 real films would have given 0.60,
0.77, 1.26 and 1.94). A grade is therefore a rank among simulated nodules, no reading.
"""

from __future__ import annotations

import math

from manabi.errors import InvalidInputError

GRADES = ("extremely subtle", "very subtle", "subtle", "relatively obvious", "obvious")
JSRT_COUNTS = (25, 29, 50, 38, 12)
LIMITS = (0.58, 0.87, 1.5, 2.4)
"""Visibility from which on the next grade begins."""
REFERENCE_MM = 15.0
HIDDEN_FACTOR = {"clear": 1.0, "behind_heart": 0.8, "below_diaphragm": 0.7, "behind_bones": 0.9}
"""Readers search hidden lung less: sensitivities there are 0.50 to 0.64, in clear lung 0.87 (Shimazaki A et al.,
Sci Rep 2022, 10.1038/s41598-021-04667-w)."""


def visibility(cnr: float, diameter_mm: float, hidden: str = "clear") -> float:
    """Contrast over noise, times the root of the diameter over 15 mm, times a factor of the place.

    The root lies between no use of size and the full gain of an ideal observer in white noise, which sees by
    contrast times diameter (Rose's model); anatomical noise leaves less of it.

    Raises:
        InvalidInputError: for an unknown place or a diameter that is not above 0.
    """
    if hidden not in HIDDEN_FACTOR or diameter_mm <= 0:
        raise InvalidInputError(
            f"Expected a place of {', '.join(HIDDEN_FACTOR)} and a diameter above 0; got {hidden!r}, {diameter_mm:g}."
        )
    return max(cnr, 0.0) * math.sqrt(diameter_mm / REFERENCE_MM) * HIDDEN_FACTOR[hidden]


def grade(cnr: float, diameter_mm: float, hidden: str = "clear") -> int:
    """Subtlety, 1 extremely subtle to 5 obvious; see :func:`visibility`."""
    value = visibility(cnr, diameter_mm, hidden)
    return 1 + sum(value >= limit for limit in LIMITS)
