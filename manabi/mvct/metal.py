"""Metal in a CT, slice by slice, and how far its streaks disturb the soft tissue around it.

Limits between the densest tissue and the lightest metal: enamel reaches about 2800 HU at kV and 1900 HU at megavoltage
energies, titanium 10168 and 2798 HU (calculated from ICRU-44 compositions); small pieces are blurred and scanners cut
at 3071 HU, so the limits are low and a piece must have some size (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.mvct.peaks import FAT_HU
from manabi.result import Table

METAL_HU = {"mvct": 2100.0, "cbct": 2600.0, "kvct": 2800.0}
LEAST_ML = 0.02
NEAR_MM = 60.0
SKIN_MM = 4.0
SMOOTH_MM = 2.0
AIR_HU = -500.0
DARKER_HU = 70.0
STREAKED_PERCENT = 2.0
"""A slice counts as disturbed from this share of tissue that is so much darker than fat (our choice)."""
FEWEST = 100


@dataclass(frozen=True)
class MetalSlice:
    """One slice with metal.

    Attributes:
        index: of the slice in the array.
        area_mm2: of metal.
        highest_hu: in it.
        dark_percent: of the tissue within 60 mm of the metal that is darker than fat can be: streaks.
    """

    index: int
    area_mm2: float
    highest_hu: float
    dark_percent: float

    @property
    def streaked(self) -> bool:
        """Whether streaks disturb the slice."""
        return self.dark_percent >= STREAKED_PERCENT


@dataclass(frozen=True)
class Metal:
    """Metal in an image.

    Attributes:
        mask: ``(n, rows, columns)`` bool.
        volume_ml: of it.
        slices: those that hold some, in order.
    """

    mask: np.ndarray
    volume_ml: float
    slices: tuple[MetalSlice, ...]

    @property
    def present(self) -> bool:
        """Whether there is any."""
        return bool(self.slices)

    @property
    def streaked(self) -> list[int]:
        """Indices of the slices that streaks disturb."""
        return [part.index for part in self.slices if part.streaked]

    def table(self) -> Table:
        """A row per slice with metal; slices are counted from 1."""
        rows = tuple(
            (
                part.index + 1,
                round(part.area_mm2, 1),
                round(part.highest_hu),
                round(part.dark_percent, 1),
            )
            for part in self.slices
        )
        return Table(("slice", "metal_mm2", "highest_hu", "dark_percent"), rows)


def find_metal(
    hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray, kind: str = "kvct", threshold_hu: float | None = None
) -> Metal:
    """Find metal inside the body.

    Args:
        hu: ``(n, rows, columns)``.
        spacing_mm: of I, J, K.
        body: of the same shape.
        kind: ``mvct``, ``cbct`` or ``kvct``: which limit holds.
        threshold_hu: another limit.
    """
    limit = METAL_HU[kind] if threshold_hu is None else threshold_hu
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    pieces, count = ndimage.label((np.asarray(hu) >= limit) & body, np.ones((3, 3, 3), bool))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * voxel_ml
    kept = sizes >= max(LEAST_ML, 2 * voxel_ml)
    kept[0] = False
    mask = kept[pieces]
    holding = np.flatnonzero(mask.any((1, 2)))
    if not holding.size:
        return Metal(mask, 0.0, ())
    area = float(spacing_mm[0] * spacing_mm[1])
    slices = tuple(
        MetalSlice(
            int(k), float(mask[k].sum()) * area, float(hu[k][mask[k]].max()),
            _dark_percent(hu[k], mask[k], body[k], spacing_mm, FAT_HU[kind]),
        )
        for k in holding
    )  # fmt: skip
    return Metal(mask, float(mask.sum()) * voxel_ml, slices)


def _dark_percent(
    image: np.ndarray, metal: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray, fat_hu: float
) -> float:
    """Percentage of the tissue near metal that is darker than fat, far from skin and air; 0 where there is none."""
    pixel_mm = float(min(spacing_mm[:2]))
    sigma = (SMOOTH_MM / float(spacing_mm[1]), SMOOTH_MM / float(spacing_mm[0]))
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), sigma)
    steps = max(1, round(SKIN_MM / pixel_mm))
    air = ndimage.binary_dilation(smooth < AIR_HU, iterations=steps)
    tissue = ndimage.binary_erosion(body, iterations=steps, border_value=1) & ~air & _near(metal, spacing_mm)
    tissue &= ~ndimage.binary_dilation(metal, iterations=2)
    if tissue.sum() < FEWEST:
        return 0.0
    return 100.0 * float(np.mean(smooth[tissue] < fat_hu - DARKER_HU))


def _near(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Within :data:`NEAR_MM` of it in the plane."""
    return ndimage.distance_transform_edt(~mask, (float(spacing_mm[1]), float(spacing_mm[0]))) <= NEAR_MM
