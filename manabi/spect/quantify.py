"""Specific binding ratios and what a reader derives from them.

SBR = (C_roi - C_ref) / C_ref, with C the mean counts per voxel. Everything is computed on the image's own grid from
volumes of interest that are placed in the patient, so neither resampling nor orientation changes a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.result import Labelmap, Table
from manabi.spect.localise import Localisation
from manabi.spect.template import REGIONS, SIDES, STRUCTURES, segments, weights
from manabi.volume import Volume

OCCIPITAL_DEPTH_MM = (10.0, 34.0)
"""Occipital reference: from and to, measured forwards from the back of the brain (our choice)."""
OCCIPITAL_HALF_WIDTH_MM = 40.0
OCCIPITAL_HALF_HEIGHT_MM = 13.0
RIM_MM = 9.0
"""Brain voxels nearer than this to the outline are left out of reference regions (our choice: one resolution)."""
LARGE_VOI_MARGIN_MM = 12.0
"""Growth of the striatal volume of interest of the Southampton method: spilled-out counts are caught (our choice)."""
STRIATUM_ML = 11.2
"""Volume of one striatum that the Southampton method assumes (Tossici-Bolt et al., EJNMMI 2006;33:1491-1499)."""
REFERENCES = ("occipital", "whole_brain")


@dataclass(frozen=True)
class Regions:
    """Volumes of interest on one grid, as weights from 0 to 1 (KJI)."""

    structures: dict[tuple[str, str], np.ndarray]
    large: dict[str, np.ndarray]
    occipital: np.ndarray
    whole_brain: np.ndarray

    def labelmap(self, volume: Volume) -> Labelmap:
        """The regions as labels on the volume's grid; each voxel that lies at least half inside."""
        labels = np.zeros(volume.shape, np.uint8)
        labels[self.occipital >= 0.5] = len(REGIONS) + 1
        for label, region in enumerate(REGIONS, start=1):
            labels[self.structures[region] >= 0.5] = label
        plain = Volume(labels, volume.ijk_to_ras, name="regions", source=volume.source)
        return Labelmap(plain, segments())


@dataclass(frozen=True)
class Binding:
    """What was measured on one image.

    Attributes:
        sbr: per (structure, side).
        southampton: per side, dimensionless (large volume of interest, independent of the outline drawn).
        reference: mean counts per voxel of the reference region.
        putamen_asymmetry_percent: 200·|L-R|/(L+R) of the putamen.
        caudate_asymmetry_percent: the same of the caudate.
        caudate_putamen_ratio: per side, SBR of caudate over SBR of putamen; None where the putamen has none.
    """

    sbr: dict[tuple[str, str], float]
    southampton: dict[str, float]
    reference: float
    putamen_asymmetry_percent: float | None
    caudate_asymmetry_percent: float | None
    caudate_putamen_ratio: dict[str, float | None]
    sd: dict[tuple[str, str], float] = field(default_factory=dict)


def regions(volume: Volume, found: Localisation) -> Regions:
    """Place the volumes of interest of a localisation on the volume's grid.

    Raises:
        InvalidInputError: when a striatum or the reference lies outside the image.
    """
    grid, pose = volume.grid, found.pose
    by_name = {s.name: s for s in STRUCTURES}
    structures = {(name, side): weights(grid, pose, by_name[name], side) for name, side in REGIONS}
    large = {
        side: np.maximum.reduce([weights(grid, pose, s, side, LARGE_VOI_MARGIN_MM) for s in STRUCTURES])
        for side in SIDES
    }
    _check_inside(volume, structures, found)
    striatal = np.maximum(large["left"], large["right"]) > 0
    inner = _eroded(found.brain, volume.spacing_mm)
    return Regions(structures, large, _occipital(volume, found, inner), (inner & ~striatal).astype(float))


def _check_inside(volume: Volume, structures: dict[tuple[str, str], np.ndarray], found: Localisation) -> None:
    voxel = float(abs(np.linalg.det(volume.ijk_to_ras[:3, :3])))
    for structure in STRUCTURES:
        whole = 4 / 3 * np.pi * float(np.prod(np.array(structure.semi_axes_mm) * found.pose.scale))
        for side in SIDES:
            if structures[structure.name, side].sum() * voxel < 0.8 * whole:
                raise InvalidInputError(
                    f"The {side} {structure.name} lies partly outside the image; binding ratios need it whole: "
                    "export all slices of the head."
                )


def _eroded(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The mask without its outer ``RIM_MM``; the ends of the image count as outside."""
    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing_mm[::-1])
    return depth[1:-1, 1:-1, 1:-1] > RIM_MM


def _occipital(volume: Volume, found: Localisation, inner: np.ndarray) -> np.ndarray:
    """The back of the brain at the level of the striatum, as a mask of floats.

    Raises:
        InvalidInputError: where the image holds no such region.
    """
    k, j, i = np.nonzero(found.brain)
    place = found.pose.to_template(volume.grid.ras_of(np.stack([i, j, k], -1))) * found.pose.scale
    level = (np.abs(place[:, 2]) < OCCIPITAL_HALF_HEIGHT_MM) & (np.abs(place[:, 0]) < OCCIPITAL_HALF_WIDTH_MM)
    mask = np.zeros(volume.shape)
    if level.any():
        back = np.percentile(place[level, 1], 1)
        depth = place[:, 1] - back
        chosen = level & (depth > OCCIPITAL_DEPTH_MM[0]) & (depth < OCCIPITAL_DEPTH_MM[1])
        mask[k[chosen], j[chosen], i[chosen]] = 1.0
    mask *= inner
    if mask.sum() * float(np.prod(volume.spacing_mm)) < 4000.0:
        raise InvalidInputError(
            "The occipital reference region is not in the image. Export all slices of the head, or choose "
            "reference=whole_brain."
        )
    return mask


def measure(array: np.ndarray, places: Regions, voxel_ml: float, reference: str = "occipital") -> Binding:
    """Binding ratios of an image.

    Args:
        array: counts, KJI, on the grid of ``places``.
        places: volumes of interest.
        voxel_ml: volume of a voxel.
        reference: ``occipital`` or ``whole_brain`` (striata left out).

    Raises:
        InvalidInputError: where the reference region has no counts.
    """
    values = np.asarray(array, float)
    c_ref = weighted_mean(values, places.occipital if reference == "occipital" else places.whole_brain)
    if c_ref <= 0:
        raise InvalidInputError("The reference region has no counts; binding ratios are not defined for this image.")
    sbr = {region: weighted_mean(values, w) / c_ref - 1.0 for region, w in places.structures.items()}
    brain = weighted_mean(values, places.whole_brain)
    southampton = {
        side: float((values * w).sum() / brain - w.sum()) * voxel_ml / STRIATUM_ML for side, w in places.large.items()
    }
    return Binding(
        sbr,
        southampton,
        c_ref,
        asymmetry_percent(sbr["putamen", "left"], sbr["putamen", "right"]),
        asymmetry_percent(sbr["caudate", "left"], sbr["caudate", "right"]),
        {side: _ratio(sbr["caudate", side], sbr["putamen", side]) for side in SIDES},
    )


def weighted_mean(values: np.ndarray, share: np.ndarray) -> float:
    """Mean of the values under weights."""
    return float((values * share).sum() / share.sum())


def asymmetry_percent(left: float, right: float) -> float | None:
    """200·|L-R|/(L+R), or None where the sum is not positive."""
    return 200.0 * abs(left - right) / (left + right) if left + right > 0 else None


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0.05 else None


def voxel_ml(volume: Volume) -> float:
    """Volume of a voxel in millilitres."""
    return float(abs(np.linalg.det(volume.ijk_to_ras[:3, :3]))) / 1000.0


def binding_table(measured: dict[str, Binding]) -> Table:
    """One row per image and region, as a reader wants it: SBR, its noise, and the Southampton ratio per side."""
    columns = ("image", "structure", "side", "sbr", "sbr_sd", "southampton_sbr", "caudate_putamen_ratio")
    rows = [
        (
            image,
            structure,
            side,
            round(binding.sbr[structure, side], 4),
            _rounded(binding.sd.get((structure, side))),
            round(binding.southampton[side], 4) if structure == "putamen" else None,
            _rounded(binding.caudate_putamen_ratio[side]) if structure == "putamen" else None,
        )
        for image, binding in measured.items()
        for structure, side in REGIONS
    ]
    return Table(columns, tuple(rows))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
