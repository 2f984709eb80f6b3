"""What BrainSeg finds: labels, names, colours, coded terms, and how FreeSurfer's codes map to them.

The source (Sugino T et al. Med Phys 2021;48:7215, 10.1002/mp.15192) segments cerebrum, cerebellum, brainstem and blood
vessels; ventricles are ours. Sides are separate labels of the same structure.
"""

from __future__ import annotations

import numpy as np

from manabi.result import Code, Segment
from manabi.structures.structure_set import Structure, StructureSet

BRAIN = StructureSet((
    Structure(
        "cerebrum", Code("83678007", "SCT", "Cerebrum"), (0.90, 0.72, 0.52), sided=True, kept_share=0.1,
        plausible_ml=(600.0, 1700.0), uneven_percent=15.0,
    ),
    Structure(
        "cerebellum", Code("113305005", "SCT", "Cerebellum"), (0.47, 0.69, 0.85), sided=True, kept_share=0.1,
        plausible_ml=(70.0, 220.0), uneven_percent=20.0,
    ),
    Structure(
        "brainstem", Code("15926001", "SCT", "Brainstem"), (0.55, 0.78, 0.45), kept_share=0.2,
        plausible_ml=(12.0, 45.0),
    ),
    Structure(
        "ventricles", Code("35764002", "SCT", "Brain ventricle"), (0.44, 0.35, 0.75), kept_share=0.01,
        plausible_ml=(2.0, 250.0),
    ),
    Structure("vessels", Code("59820001", "SCT", "Blood vessel"), (0.85, 0.20, 0.20), least_mm3=8.0),
))  # fmt: skip
"""What is dropped as stray, and what is plausible, is our choice; ranges are wide."""
STRUCTURES = BRAIN.names
CLASSES = BRAIN.classes
"""Labels of a map without sides, as networks learn it; 0 is everything else."""
SIDED = tuple(one.name for one in BRAIN.structures if one.sided)
"""Structures that a result divides into left and right."""
CODES = {one.name: one.code for one in BRAIN.structures}
COLORS = {one.name: one.color for one in BRAIN.structures}
LABELS = BRAIN.labels
"""Labels of a result's map."""


def segments() -> tuple[Segment, ...]:
    """The labels as coded segments; the right side is a little darker than the left."""
    return BRAIN.segments()


FREESURFER: dict[int, tuple[str, str]] = {
    **{code: ("cerebrum", "left") for code in (2, 3, 10, 11, 12, 13, 17, 18, 19, 20, 25, 26, 27, 28, 30, 78, 81)},
    **{code: ("cerebrum", "right") for code in (41, 42, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 62, 79, 82)},
    **{code: ("cerebrum", "") for code in (77, 80, 192, *range(250, 256))},
    **{code: ("cerebellum", "left") for code in (6, 7, 8)},
    **{code: ("cerebellum", "right") for code in (45, 46, 47)},
    **{code: ("brainstem", "") for code in (16, 170, 171, 172, 173, 174, 175, 178)},
    **{code: ("ventricles", "left") for code in (4, 5, 31, 136, 137)},
    **{code: ("ventricles", "right") for code in (43, 44, 63, 163, 164)},
    **{code: ("ventricles", "") for code in (14, 15, 72, 213)},
}
"""Structure and side of FreeSurfer's codes (FreeSurferColorLUT). Cerebrum holds cortex, white matter, deep grey matter
and ventral diencephalon, that is all that is neither cerebellum nor brainstem (our choice). Choroid plexus counts as
ventricle (31, 63 in FreeSurfer; 136, 137, 163, 164 in maps with head tissues, by where they lie). Parcels of cortex are
added by :func:`structure_of`."""
CORTEX = {(1000, 2000): "left", (2000, 3000): "right", (3000, 4000): "left", (4000, 5000): "right",
          (11000, 12000): "left", (12000, 13000): "right"}  # fmt: skip
"""Ranges of FreeSurfer's parcels of cortex (and of the white matter below it) by side."""


def structure_of(code: int) -> tuple[str, str]:
    """Structure and side of a FreeSurfer code; two empty texts where it is none of ours (CSF, tissue outside)."""
    for (low, high), side in CORTEX.items():
        if low <= code < high:
            return "cerebrum", side
    return FREESURFER.get(code, ("", ""))


def classes_of_freesurfer(labels: np.ndarray) -> np.ndarray:
    """:data:`CLASSES` (no sides, no vessels) of a map of FreeSurfer's codes (not negative), of any shape; uint8."""
    codes = np.flatnonzero(np.bincount(labels.ravel()))
    table = np.zeros(codes[-1] + 1, np.uint8)
    table[codes] = [CLASSES.get(structure_of(int(code))[0], 0) for code in codes]
    return table[labels]


def sides_of_freesurfer(labels: np.ndarray) -> np.ndarray:
    """Side of a map of FreeSurfer's codes: -1 left, 1 right, 0 unknown; int8."""
    codes = np.flatnonzero(np.bincount(labels.ravel()))
    sides = {"left": -1, "right": 1, "": 0}
    table = np.zeros(codes[-1] + 1, np.int8)
    table[codes] = [sides[structure_of(int(code))[1]] for code in codes]
    return table[labels]
