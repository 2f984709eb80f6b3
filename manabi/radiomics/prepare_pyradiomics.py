"""pyradiomics' preparation: normalising the whole image, and resampling with grids aligned at their corners.

van Griethuysen et al., 2017, DOI 10.1158/0008-5472.CAN-17-0339; its conventions as version 3.0.1 has them: the new
grid shares the image's corner, covers the region with five voxels around, and the image keeps its type, so that
interpolated values of whole numbers are cut. SimpleITK does both, as there, so that no rounding differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.radiomics.region import box_of
from manabi.radiomics.settings import ExtractionSettings
from manabi.volume import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

PAD_VOXELS = 5


def normalised(volume: Volume, settings: ExtractionSettings) -> Volume:
    """The image less its mean, over its standard deviation, times ``normalise_scale``; itself where that is None."""
    if settings.normalise_scale is None:
        return volume
    import SimpleITK as sitk

    image = sitk.Normalize(volume.to_sitk()) * settings.normalise_scale
    return volume.like(sitk.GetArrayFromImage(image))


def regridded(
    volume: Volume, mask: np.ndarray, settings: ExtractionSettings
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Image, mask and spacing (slice, row, column) on the grid that the settings ask for.

    A resampled image is cut to the region with five voxels around, as pyradiomics does before it filters; otherwise
    image and mask come back as they are. An axis along which the region has one voxel keeps its spacing.
    """
    i, j, k = volume.spacing_mm.tolist()
    old = np.array([k, j, i])
    if settings.resample_mm is None:
        return volume.array, mask, (k, j, i)
    box = box_of(mask)
    if box is None:
        return volume.array, mask, (k, j, i)
    start, stop = (np.array([getattr(side, end) for side in box], float) for end in ("start", "stop"))
    new = np.where(stop - start == 1, old, settings.spacing_after((k, j, i)))
    if np.allclose(old, new):
        cut = tuple(slice(max(side.start - PAD_VOXELS, 0), side.stop + PAD_VOXELS) for side in box)
        return volume.array[cut], mask[cut], (k, j, i)
    ratio = old / new
    first = np.maximum(np.floor((start - 0.5) * ratio - PAD_VOXELS), 0)
    most = np.ceil(np.array(mask.shape) * ratio) - 1
    last = np.minimum(np.ceil((stop - 0.5) * ratio + PAD_VOXELS), most)
    origin = 0.5 * (new - old) / old + first / ratio
    image = volume.to_sitk()
    values = _at(image, origin, new, last - first + 1, settings.interpolator)
    labels = _at(volume.like(mask).to_sitk(), origin, new, last - first + 1, "nearest")
    return values, labels.astype(bool), (float(new[0]), float(new[1]), float(new[2]))


def _at(image: sitk.Image, origin: np.ndarray, spacing: np.ndarray, size: np.ndarray, interpolator: str) -> np.ndarray:
    """The image on a grid whose first voxel lies at a continuous index (slice, row, column) of it."""
    import SimpleITK as sitk

    codes = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline}
    resampler = sitk.ResampleImageFilter()
    resampler.SetOutputSpacing(spacing[::-1].tolist())
    resampler.SetOutputDirection(image.GetDirection())
    resampler.SetSize([int(n) for n in size[::-1]])
    resampler.SetOutputOrigin(image.TransformContinuousIndexToPhysicalPoint(origin[::-1].tolist()))
    resampler.SetOutputPixelType(image.GetPixelID())
    resampler.SetInterpolator(codes[interpolator])
    return sitk.GetArrayFromImage(resampler.Execute(image))
