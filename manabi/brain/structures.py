"""What BrainSeg finds: labels, names, colours, coded terms, and how FreeSurfer's codes map to them.

The source (Sugino T et al. Med Phys 2021;48:7215, 10.1002/mp.15192) segments cerebrum, cerebellum, brainstem and blood
vessels; ventricles are ours. Sides are separate labels of the same structure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.result import LEFT, RIGHT, Code, Segment

STRUCTURES = ("cerebrum", "cerebellum", "brainstem", "ventricles", "vessels")
"""In the order of :data:`CLASSES`, whose label is the position plus one."""
CLASSES = {name: index + 1 for index, name in enumerate(STRUCTURES)}
"""Labels of a map without sides, as networks learn it; 0 is everything else."""
SIDED = ("cerebrum", "cerebellum")
"""Structures that a result divides into left and right."""

CODES = {
    "cerebrum": Code("83678007", "SCT", "Cerebrum"),
    "cerebellum": Code("113305005", "SCT", "Cerebellum"),
    "brainstem": Code("15926001", "SCT", "Brainstem"),
    "ventricles": Code("35764002", "SCT", "Brain ventricle"),
    "vessels": Code("59820001", "SCT", "Blood vessel"),
}
COLORS = {
    "cerebrum": (0.90, 0.72, 0.52),
    "cerebellum": (0.47, 0.69, 0.85),
    "brainstem": (0.55, 0.78, 0.45),
    "ventricles": (0.44, 0.35, 0.75),
    "vessels": (0.85, 0.20, 0.20),
}


@dataclass(frozen=True)
class Label:
    """One label of a result: its voxel value, structure and side (``""``, ``left`` or ``right``)."""

    value: int
    structure: str
    side: str

    @property
    def name(self) -> str:
        """As readers see it, for example ``left cerebrum``."""
        return f"{self.side} {self.structure}".strip()


LABELS = (
    Label(1, "cerebrum", "left"),
    Label(2, "cerebrum", "right"),
    Label(3, "cerebellum", "left"),
    Label(4, "cerebellum", "right"),
    Label(5, "brainstem", ""),
    Label(6, "ventricles", ""),
    Label(7, "vessels", ""),
)
"""Labels of a result's map."""


def segments(labels: tuple[Label, ...] = LABELS) -> tuple[Segment, ...]:
    """The labels as coded segments; the right side is a little darker than the left."""
    sides = {"left": LEFT, "right": RIGHT}
    return tuple(
        Segment(
            label.value, label.name, _shade(COLORS[label.structure], label.side), CODES[label.structure],
            laterality=sides.get(label.side),
        )
        for label in labels
    )  # fmt: skip


def _shade(color: tuple[float, float, float], side: str) -> tuple[float, float, float]:
    factor = 0.82 if side == "right" else 1.0
    return color[0] * factor, color[1] * factor, color[2] * factor


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
