"""pyradiomics' Laplacian of Gaussian and gradient: the filters of ITK that it calls, on as much as a box needs.

Both give float32, as they do in pyradiomics 3.0.1 (10.1158/0008-5472.CAN-17-0339).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from manabi.errors import DependencyError, InvalidInputError
from manabi.radiomics.filters.boundary import Box
from manabi.radiomics.filters.names import number
from manabi.radiomics.filters.spec import FilterSpec

LOG_SIGMAS = 16.0
"""What is read round a box for the recursive Gaussian, whose response to a voxel falls as exp(-1.7 distance / sigma)
(Deriche 1993, INRIA research report 1893): 1e-12 is left, far below float32."""

SMALLEST = 4
"""ITK's recursive filter needs as many voxels along each axis."""


def responses(
    array: np.ndarray, spacing_mm: tuple[float, float, float], spec: FilterSpec, box: Box
) -> dict[str, np.ndarray]:
    """The response as float32; see :func:`manabi.radiomics.filters.apply`.

    The gradient of a box is that of the whole image to the last bit. The Laplacian of Gaussian is too but for float32's
    rounding, which the cut may turn in the last place.

    Raises:
        DependencyError: SimpleITK is not installed.
        InvalidInputError: the image is too small for sigma, where pyradiomics leaves the filter out.
    """
    try:
        import SimpleITK as sitk
    except ImportError as error:
        raise DependencyError(f"{spec.kind} needs SimpleITK. Install it: pip install SimpleITK.") from error
    if spec.kind == "gradient":
        gradient = sitk.GradientMagnitudeImageFilter()
        gradient.SetUseImageSpacing(spec.use_spacing)
        return {"gradient": _on_box(array, spacing_mm, box, (1, 1, 1), gradient)}
    sigma = float(spec.sigma_mm or 0)
    _check_size(array.shape, spacing_mm, sigma)
    laplacian = sitk.LaplacianRecursiveGaussianImageFilter()
    laplacian.SetNormalizeAcrossScale(True)
    laplacian.SetSigma(sigma)
    k, j, i = (max(int(np.ceil(LOG_SIGMAS * sigma / mm)), SMALLEST) for mm in spacing_mm)
    return {f"log-sigma-{number(sigma)}-mm-3D": _on_box(array, spacing_mm, box, (k, j, i), laplacian)}


def _check_size(shape: tuple[int, ...], spacing_mm: tuple[float, float, float], sigma: float) -> None:
    """Refuse an image for which pyradiomics would leave the filter out."""
    needed = [max(SMALLEST, int(np.ceil(sigma / mm)) + 1) for mm in spacing_mm]
    if any(size < least for size, least in zip(shape, needed, strict=True)):
        raise InvalidInputError(
            f"A Laplacian of Gaussian of {sigma:g} mm needs an image of at least {needed} voxels (slices, rows, "
            f"columns); this one has {list(shape)}. Take a smaller sigma_mm, or leave the filter out."
        )


def _on_box(
    array: np.ndarray, spacing_mm: tuple[float, float, float], box: Box, margin: tuple[int, int, int], itk: Any
) -> np.ndarray:
    """An ITK filter on a box with a margin, as far as the image goes."""
    import SimpleITK as sitk

    around = tuple(
        slice(max(side.start - more, 0), min(side.stop + more, size))
        for side, more, size in zip(box, margin, array.shape, strict=True)
    )
    part = np.ascontiguousarray(array[around])
    if part.dtype.kind == "b" or part.dtype == np.float16:
        part = part.astype(np.float32)
    image = sitk.GetImageFromArray(part)
    image.SetSpacing(spacing_mm[::-1])
    inside = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(box, around, strict=True))
    response = itk.Execute(image)
    return sitk.GetArrayViewFromImage(response)[inside].copy()
