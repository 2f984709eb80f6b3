"""Ordered-subsets expectation maximisation with attenuation, blur and an additive scatter term.

Hudson HM, Larkin RS. Accelerated image reconstruction using ordered subsets of projection data. IEEE Trans Med
Imaging 1994;13:601-609, doi:10.1109/42.363108.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.spect_camera import FWHM_PER_SIGMA, Projector, gaussian_matrix
from manabi.phantoms.spect_tables import Geometry

SMALLEST = 1e-6
"""Counts below which a projection or a sensitivity is taken as empty (our choice)."""


def subset_order(subsets: int) -> list[int]:
    """The order in which subsets are used: steps of about 0.38 of a turn, so that neighbours differ (our choice)."""
    step = max(1, round(0.382 * subsets))
    while math.gcd(step, subsets) != 1:
        step += 1
    return [(n * step) % subsets for n in range(subsets)]


def osem(
    projector: Projector,
    counts: torch.Tensor,
    additive: torch.Tensor | None,
    iterations: int,
    subsets: int,
    order: Sequence[int] | None = None,
    on_iteration: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Reconstruct one or several sets of projections of the same camera and attenuation.

    Args:
        projector: the camera's model.
        counts: ``(views, bins, batch, slices)`` measured counts.
        additive: estimated scatter and septal penetration, same shape, in counts; None for none.
        iterations: passes through all views.
        subsets: number of subsets, at most the number of views; view v belongs to subset ``v % subsets``.
        order: the order in which subsets are used; None for :func:`subset_order`.
        on_iteration: called with the number of each finished iteration.

    Returns:
        ``(pixels, batch, slices)`` in counts per voxel of the whole acquisition, corrected for attenuation.

    Raises:
        InvalidInputError: for impossible iterations or subsets, or counts that are not of this camera.
    """
    views = projector.geometry.views
    if iterations < 1 or not 1 <= subsets <= views:
        raise InvalidInputError(
            f"OSEM needs at least 1 iteration and 1 to {views} subsets; got {iterations} × {subsets}."
        )
    if counts.ndim != 4 or counts.shape[:2] != (views, projector.geometry.bins):
        raise InvalidInputError(
            f"Expected counts of shape ({views}, {projector.geometry.bins}, batch, slices); got {tuple(counts.shape)}."
        )
    groups = [tuple(range(s, views, subsets)) for s in order or subset_order(subsets)]
    parts = [_Subset(projector, group, counts, additive) for group in groups]
    image = _start(projector, counts)
    for iteration in range(iterations):
        for part in parts:
            image = part.update(image)
        if on_iteration is not None:
            on_iteration(iteration + 1)
    return image


class _Subset:
    """One subset's data and sensitivity."""

    def __init__(
        self, projector: Projector, group: tuple[int, ...], counts: torch.Tensor, additive: torch.Tensor | None
    ) -> None:
        self._projector, self._group = projector, group
        self._counts = counts[list(group)]
        self._additive = None if additive is None else additive[list(group)]
        ones = counts.new_ones((len(group), counts.shape[1], 1, counts.shape[3]))
        sensitivity = projector.adjoint(ones, group)
        self._scale = torch.where(sensitivity > SMALLEST, 1.0 / sensitivity.clamp(min=SMALLEST), 0.0)

    def update(self, image: torch.Tensor) -> torch.Tensor:
        """The image after this subset's angles."""
        expected = self._projector.forward(image, self._group)
        if self._additive is not None:
            expected += self._additive
        ratio = self._counts / expected.clamp_(min=SMALLEST)
        return self._projector.adjoint(ratio, self._group).mul_(self._scale).mul_(image)


def _start(projector: Projector, counts: torch.Tensor) -> torch.Tensor:
    """A uniform image that holds the measured counts."""
    pixels = projector.geometry.pixels
    _, _, batch, slices = counts.shape
    level = counts.sum((0, 1, 3)).clamp(min=1.0) / (pixels * slices)
    return level[None, :, None].expand(pixels, batch, slices).contiguous()


def smooth(volume: torch.Tensor, fwhm_mm: float, geometry: Geometry) -> torch.Tensor:
    """A 3-D Gaussian post-filter over ``(slices, rows, columns)`` of cubic voxels; values outside count as 0."""
    if fwhm_mm <= 0:
        return volume
    sigma = fwhm_mm / FWHM_PER_SIGMA / geometry.pixel_mm
    slices, rows, columns = (gaussian_matrix(n, sigma, volume.device) for n in volume.shape)
    planes = rows @ volume @ columns
    return (slices @ planes.reshape(len(slices), -1)).view_as(volume)
