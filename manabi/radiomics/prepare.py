"""From an image and a mask to the region the features are computed from: interpolation, rounding, re-segmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.radiomics import local
from manabi.radiomics.region import Box, Region, box_of, grown, within
from manabi.radiomics.resample import alignments, resampled
from manabi.radiomics.settings import ExtractionSettings
from manabi.result import Labelmap
from manabi.volume import Volume

FEW_VOXELS = 64
"""Regions with fewer voxels than this get a warning: texture of them says little (our choice)."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A region on its final grid, with as much of the image around as filters and spheres reach.

    Attributes:
        image: any real type, (slices, rows, columns).
        box: the box of the morphological mask in the image.
        region: values and masks of that box.
        warnings: what had to be assumed or changed.
    """

    image: np.ndarray
    box: Box
    region: Region
    warnings: tuple[str, ...]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Slice, row, column."""
        return self.region.spacing_mm


def prepare(
    volume: Volume, mask: Volume | Labelmap, settings: ExtractionSettings, label: int = 1, margin_mm: float = 0.0
) -> Prepared:
    """The region of one label, on the grid and with the voxels that the settings ask for.

    Args:
        volume: the image; never modified.
        mask: labels on the same grid.
        settings: see :class:`ExtractionSettings`.
        label: which label of the mask.
        margin_mm: how much of a resampled image round the region the filters need.

    Raises:
        GeometryError: the mask lies on another grid, or the image's axes are not perpendicular.
        InvalidInputError: the label is nowhere in the mask, nothing is left of it after resampling or re-segmentation,
            or an intensity in it is not a number.
    """
    image, labels, warnings = on_one_grid(volume, mask, settings)
    inside = labels == label
    box = box_of(inside)
    if box is None:
        present = np.unique(labels[labels != 0])[:20].tolist()
        found = f"it holds {present}" if present else "it is empty"
        raise InvalidInputError(f"Label {label} is nowhere in the mask; {found}. Choose a label, or draw the region.")
    spacing = _kji(image)
    if settings.mode == "pyradiomics":
        from manabi.radiomics.prepare_pyradiomics import normalised, regridded

        image = normalised(image, settings)
        array, inside, spacing = regridded(image, inside, settings)
        box = box_of(inside)
    else:
        array, inside, spacing, box = _interpolated(image.array, inside, box, spacing, settings, margin_mm)
    if box is None:
        raise InvalidInputError("Nothing is left of the region at the new voxel size; choose a smaller resample_mm.")
    shape_mask = np.ascontiguousarray(inside[box])
    values = np.ascontiguousarray(array[box], dtype=np.float64)
    _check_finite(values[shape_mask])
    region = Region(values, resegmented(values, shape_mask, settings), shape_mask, spacing)
    return Prepared(array, box, region, (*warnings, *_small(region)))


def resegmented(values: np.ndarray, mask: np.ndarray, settings: ExtractionSettings) -> np.ndarray:
    """The voxels of a mask whose intensities count.

    IBSI section 2.5: within the range, and within so many standard deviations of the mean; both mean and deviation
    are those of the voxels which the range leaves, where both are asked for (our choice: IBSI names no order).

    Args:
        values: float64 (slices, rows, columns).
        mask: bool, of the same shape.
        settings: ``resegment_hu`` and ``outlier_sigma`` count here.

    Raises:
        InvalidInputError: no voxel is left.
    """
    low, high = settings.resegment_hu or (None, None)
    kept = mask.copy()
    if low is not None:
        kept &= values >= low
    if high is not None:
        kept &= values <= high
    if settings.outlier_sigma is not None and kept.any():
        inside = values[kept]
        mean, reach = inside.mean(), settings.outlier_sigma * inside.std()
        kept &= (values >= mean - reach) & (values <= mean + reach)
    if not kept.any():
        inside = values[mask]
        raise InvalidInputError(
            f"Re-segmentation leaves nothing of the region: its intensities run from {inside.min():g} to "
            f"{inside.max():g}. Check resegment_hu and outlier_sigma, and the image's unit."
        )
    return kept


def _kji(volume: Volume) -> tuple[float, float, float]:
    """Slice, row and column spacing, mm."""
    i, j, k = volume.spacing_mm.tolist()
    return k, j, i


def on_one_grid(
    volume: Volume, mask: Volume | Labelmap, settings: ExtractionSettings
) -> tuple[Volume, np.ndarray, tuple[str, ...]]:
    """The image, the labels on its grid, and what was changed for it."""
    labels = mask.volume if isinstance(mask, Labelmap) else mask
    if labels.array.dtype.kind == "f" and not np.array_equal(labels.array, np.rint(labels.array)):
        raise InvalidInputError("A mask holds whole numbers; this one has fractions. Threshold it first.")
    if volume.grid.is_sheared:
        raise GeometryError("The image's axes are not perpendicular. Use volume.straightened() and a mask on its grid.")
    if labels.grid.same_as(volume.grid):
        return volume, labels.array, volume.warnings
    if settings.resample_mask:
        text = f"The mask's grid {labels.shape} differs from the image's {volume.shape}; nearest voxels were taken."
        return volume, labels.resampled(volume.grid, "nearest").array, (*volume.warnings, text)
    raise GeometryError(
        f"Mask and image must lie on one grid: the mask has {labels.shape} voxels of {_kji(labels)} mm, the image "
        f"{volume.shape} of {_kji(volume)} mm (slices, rows, columns), or they lie at different places. Use "
        "mask.resampled(volume.grid, 'nearest'), or set resample_mask to have it done."
    )


def _interpolated(
    array: np.ndarray, mask: np.ndarray, box: Box, spacing: tuple[float, float, float], settings: ExtractionSettings,
    margin_mm: float,
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float], Box | None]:  # fmt: skip
    """Image, mask, spacing and the region's box after IBSI's interpolation and rounding."""
    if settings.resample_mm is None:
        values = np.rint(array) if settings.round_hu and array.dtype.kind == "f" else array
        return values, mask, spacing, box
    new = settings.spacing_after(spacing)
    axes = alignments(array.shape, spacing, settings.resample_axes or (None, None, None))
    k, j, i = (axis.covering(side) for axis, side in zip(axes, box, strict=True))
    close = (k, j, i)
    reach = [max(int(np.ceil(margin_mm / mm)), r) for mm, r in zip(new, local.margin(new), strict=True)]
    wide = grown(close, reach, tuple(axis.new_size for axis in axes))
    values = resampled(array, axes, wide, settings.interpolator)
    if settings.round_hu:
        np.rint(values, out=values)
    part = np.zeros(values.shape, bool)
    part[within(close, wide)] = resampled(mask, axes, close, "linear") >= 0.5 - 1e-9
    return values, part, new, box_of(part)


def _check_finite(inside: np.ndarray) -> None:
    """Refuse a region with voxels that have no value."""
    lost = int(np.count_nonzero(~np.isfinite(inside)))
    if lost:
        raise InvalidInputError(
            f"{lost} of the region's {len(inside)} voxels are not finite numbers. Replace them, or draw the region "
            "without them."
        )


def _small(region: Region) -> tuple[str, ...]:
    """A warning where there is little to measure."""
    count = int(np.count_nonzero(region.mask))
    if count >= FEW_VOXELS:
        return ()
    return (f"The region has {count} voxel{'s' if count > 1 else ''}; texture of so few says little.",)
