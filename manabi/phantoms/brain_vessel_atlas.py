"""Courses of the named arteries in the pons frame (mm, right side; x is mirrored for the left) and their territories.

Measured in 14 whole-head label maps (carotids, vertebral arteries) and a MR angiogram (circle of Willis); what neither
shows is our choice.
"""

from __future__ import annotations

import numpy as np

Path = tuple[tuple[float, float, float], ...]

CAROTID: Path = ((25, -4, -58), (26, -2, -46), (27, -2, -38), (29, -3, -29), (25, 1, -23), (18, 5, -19), (13, 9, -15),
                 (12, 15, -9), (11, 20, -4), (10.5, 22, 1), (11, 18, 4), (12.5, 15, 8))  # fmt: skip
"""Cervical, petrous, cavernous and clinoid carotid to where it divides."""
M1: Path = ((12.5, 15, 8), (19, 16, 10), (26, 17, 9), (33, 14, 9))
"""Middle cerebral artery to the insula."""
A1: Path = ((12.5, 15, 8), (8, 18, 11), (2, 21, 13))
A2: Path = ((2, 21, 13), (1.5, 29, 15), (1.5, 37, 23), (1.5, 40, 34), (1.5, 31, 45), (1.5, 12, 52), (1.5, -12, 53),
            (1.5, -33, 47))  # fmt: skip
"""Anterior cerebral artery around the corpus callosum."""
ACOM: Path = ((2, 21, 13), (-2, 21, 13))
VERTEBRAL: Path = ((17, -36, -58), (13, -31, -50), (9, -21, -40), (7, -15, -32), (3, -8, -25), (0, -4, -21))
BASILAR: Path = ((0, -4, -21), (1, 0, -14), (-0.7, 2.5, -5), (0, 2.5, 2), (0, 2, 7))
P1: Path = ((0, 2, 7), (5, 1, 9), (10, -3, 10))
PCOM: Path = ((11.5, 17, 5.5), (10.5, 8, 8), (10, -3, 10))
P2: Path = ((10, -3, 10), (16, -12, 12), (18, -22, 14), (15, -34, 17))
"""Posterior cerebral artery around the midbrain."""

M2: tuple[tuple[Path, int, float, str], ...] = (
    (((33, 14, 9), (36, 15, 18), (38, 12, 28)), 18, 1.15, "frontal"),
    (((33, 14, 9), (37, 6, 17), (39, -8, 27)), 20, 1.15, "parietal"),
    (((33, 14, 9), (39, 8, 8), (44, -2, 8)), 14, 1.05, "temporal"),
)
"""Branches over the insula: course, number of ends, radius, territory."""
CEREBELLAR: tuple[tuple[Path, int, float, str, str], ...] = (
    (((0, 2, 4.5), (8, -3, 5), (16, -14, 5), (17, -26, 7)), 9, 0.8, "sca", "basilar"),
    (((0, 1.5, -9), (8, -1, -12), (18, -9, -15)), 6, 0.65, "aica", "basilar"),
    (((8.5, -19, -38), (12, -24, -36), (10, -34, -38), (7, -38, -32)), 8, 0.75, "pica", "vertebral"),
)
ACA_ENDS, PCA_ENDS = 24, 18

SAGITTAL_DEG = np.linspace(-12.0, 196.0, 48)
"""Directions from the middle of the cerebrum, from the front over the top to the back, along which the superior
sagittal sinus lies."""
SIGMOID: Path = ((47, -32, -22), (41, -24, -31), (34, -18, -38), (30, -14, -50))

TERRITORY_MM: dict[str, tuple[str, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "frontal": ("cerebrum", (26, 80), (2, 66), (8, 72)),
    "parietal": ("cerebrum", (34, 80), (-72, -4), (14, 74)),
    "temporal": ("cerebrum", (36, 80), (-60, 24), (-24, 12)),
    "aca": ("cerebrum", (0, 24), (-48, 90), (12, 100)),
    "pca": ("cerebrum", (0, 44), (-110, -26), (-14, 34)),
    "sca": ("cerebellum", (0, 60), (-90, 0), (-14, 30)),
    "aica": ("cerebellum", (12, 60), (-50, 5), (-40, -6)),
    "pica": ("cerebellum", (0, 50), (-90, -24), (-70, -20)),
}
"""Structure, and from where to where on x (outwards), y and z, whose surface a tree's ends lie on."""


def mirrored(path: Path, sign: float) -> np.ndarray:
    """The course ``(n, 3)`` on the right (``sign`` 1) or the left (-1)."""
    return np.array(path, float) * [sign, 1.0, 1.0]
