"""The HU check: air, lung, fat, muscle and bone as the image has them, against what they should be.

Tolerances begin with TG-148's for MVCT in a phantom (water ±30 HU, lung and bone ±50 HU) and are widened where patients
differ from one another and images are not flat: lungs by how far they are inflated, fat by its water, bone by its
marrow, muscle by cupping and because glands and brain, 10 to 20 HU below it, count with it (our choice). Air in the
body is about 65 HU above air outside it on MVCT, and airways are narrow: air has room above. The measured number of
bone is the median of all bone, which must lie between spongiosa and cortical bone (ICRU-44: 271 and 1431 HU at 75 keV,
150 and 784 HU at megavoltage energies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.mvct.lungs import depth_mm
from manabi.mvct.metrics import tissue_masks
from manabi.mvct.noise_level import mode
from manabi.mvct.peaks import FAT_HU, MUSCLE_HU
from manabi.mvct.tissue_map import TISSUES, TissueMap
from manabi.result import Table

Expected = Mapping[str, tuple[float, float]]
"""HU and tolerance by tissue."""

EXPECTED: dict[str, Expected] = {
    "mvct": {
        "air": (-970.0, 90.0),
        "lung": (-760.0, 150.0),
        "fat": (FAT_HU["mvct"], 45.0),
        "muscle": (MUSCLE_HU["mvct"], 40.0),
        "bone": (467.0, 317.0),
    },
    "cbct": {
        "air": (-950.0, 150.0),
        "lung": (-760.0, 200.0),
        "fat": (FAT_HU["cbct"], 90.0),
        "muscle": (MUSCLE_HU["cbct"], 75.0),
        "bone": (780.0, 580.0),
    },
    "kvct": {
        "air": (-1000.0, 60.0),
        "lung": (-760.0, 150.0),
        "fat": (FAT_HU["kvct"], 40.0),
        "muscle": (MUSCLE_HU["kvct"], 40.0),
        "bone": (780.0, 580.0),
    },
}
FEWEST = 100
"""Voxels of a tissue below which nothing is said of it."""
INNER_AIR = 100
"""With fewer voxels of air deep inside the body, air is measured around it."""
INNER_MM = 6.0
"""How deep in its slice air must lie to be measured; and in the next slices there must be air too."""
AROUND_MM = (6.0, 18.0)
MOST_SPREAD_HU, NOISE_TIMES = 60.0, 2.0
"""Air whose values spread more (quartiles over 1.35) than this and than so many times the noise is partly filled."""
FILLER_HU = -1100.0
"""What is less is no air but what a scanner writes where it saw nothing."""
MEDIANS = ("air", "bone")
CHANCE_SE = 2.0
COLUMNS = ("tissue", "measured_hu", "expected_hu", "tolerance_hu", "difference_hu", "voxels", "within")


@dataclass(frozen=True)
class HuLine:
    """One tissue of the check.

    Attributes:
        tissue: its name.
        measured_hu: mode of its values (air and bone: median).
        expected_hu: what it should be.
        tolerance_hu: how far off it may be.
        voxels: how many were measured.
    """

    tissue: str
    measured_hu: float
    expected_hu: float
    tolerance_hu: float
    voxels: int

    @property
    def difference_hu(self) -> float:
        """Measured minus expected."""
        return self.measured_hu - self.expected_hu

    @property
    def within(self) -> bool:
        """Whether the tissue is as it should be."""
        return abs(self.difference_hu) <= self.tolerance_hu


def expected_hu(kind: str, facts: Mapping[str, object] | None = None) -> dict[str, tuple[float, float]]:
    """What tissues should measure in an image of a kind.

    Args:
        kind: ``mvct``, ``cbct`` or ``kvct``.
        facts: a bundle's own values: ``[hu, tolerance]`` by tissue, or the HU alone; they replace ours.
    """
    values = dict(EXPECTED[kind])
    for tissue, value in (facts or {}).items():
        if tissue in values:
            pair = np.atleast_1d(np.asarray(value, float))
            values[tissue] = (float(pair[0]), float(pair[1]) if pair.size > 1 else values[tissue][1])
    return values


def check_hu(hu: np.ndarray, tissues: TissueMap, spacing_mm: np.ndarray, expected: Expected) -> list[HuLine]:
    """Measure the tissues that are there; of fat nothing is said where the image shows no peak of it.

    Args:
        hu: ``(n, rows, columns)``.
        tissues: of this image, or of one on the same grid that shows tissues better.
        spacing_mm: of I, J, K.
        expected: HU and tolerance by tissue, see :func:`expected_hu`.
    """
    masks = tissue_masks(tissues.labels, spacing_mm)
    masks["air"] = _air(np.asarray(hu), tissues, spacing_mm)
    lines = []
    for tissue in TISSUES:
        values = np.asarray(hu)[masks[tissue]]
        unseen = tissue == "fat" and not tissues.peaks.found
        if tissue not in expected or values.size < FEWEST or unseen:
            continue
        measured = float(np.median(values)) if tissue in MEDIANS else _typical(values)
        lines.append(HuLine(tissue, measured, *expected[tissue], int(values.size)))
    return lines


def hu_table(lines: list[HuLine]) -> Table:
    """The check as a table; ``within`` is yes or no."""
    rows = tuple(
        (
            line.tissue,
            round(line.measured_hu, 1),
            line.expected_hu,
            line.tolerance_hu,
            round(line.difference_hu, 1),
            line.voxels,
            "yes" if line.within else "no",
        )
        for line in lines
    )
    return Table(COLUMNS, rows)


def failing(lines: list[HuLine]) -> list[HuLine]:
    """The tissues that are not as they should be."""
    return [line for line in lines if not line.within]


def _typical(values: np.ndarray) -> float:
    """The mode of many values, the median of few: a mode of few is chance."""
    median = float(np.median(values))
    peak = mode(values)
    chance = CHANCE_SE * 1.2533 * float(np.std(values)) / np.sqrt(values.size)
    return median if abs(peak - median) <= chance else peak


def _air(hu: np.ndarray, tissues: TissueMap, spacing_mm: np.ndarray) -> np.ndarray:
    """Air deep in airways, or around the patient where none is wide enough; partly filled voxels are kept out.

    A nose on a coarse grid holds no voxel of nothing but air: what lies deep in it still varies by hundreds of HU.
    """
    air, along = tissues.mask("air"), np.ones((3, 1, 1), bool)
    inner = (depth_mm(air, spacing_mm) >= INNER_MM) & ndimage.binary_erosion(air, along, border_value=1)
    values = hu[inner]
    if values.size >= INNER_AIR:
        spread = float(np.subtract(*np.percentile(values, [75.0, 25.0]))) / 1.35
        if spread <= max(MOST_SPREAD_HU, NOISE_TIMES * tissues.noise_hu):
            return inner
    near, far = (_grown(tissues.body, margin, spacing_mm) for margin in AROUND_MM)
    return far & ~near & (hu > FILLER_HU)


def _grown(body: np.ndarray, margin_mm: float, spacing_mm: np.ndarray) -> np.ndarray:
    steps = max(2, round(margin_mm / float(min(spacing_mm[:2])) + 1e-6))
    return ndimage.binary_dilation(body, np.ones((1, 3, 3), bool), iterations=steps)
