"""Random changes of a batch of CT planes: another patient position, reconstruction kernel, dose, or field of view.

All of it is our choice. Planes are never turned upside down: no axial CT is shown so, and front and back differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from Training.slices import SlicesRecipe

AIR_HU = -1000.0
SOFT_SHARE, NOISE_SHARE, FIELD_SHARE, CONTRAST_SHARE = 0.25, 0.5, 0.3, 0.3
"""Shares of the items that are blurred, get noise, lose what is beyond a round field of view, change in contrast."""
TONE = 0.3
"""Most bend of the tone curve between air and water: lungs become up to 75 HU denser or lighter."""


def augment(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Every item changed in its own way; the planes of an item stay together.

    Args:
        planes: ``(n, offsets, size, size)``, HU, row 0 at the back.
        recipe: how much.
        generator: the only source of chance.
    """
    planes = _moved(planes, recipe, generator)
    soft = _chosen(len(planes), SOFT_SHARE, generator)
    if len(soft):
        planes[soft] = F.avg_pool2d(planes[soft], 3, stride=1, padding=1, count_include_pad=False)
    planes = _toned(planes, recipe, generator)
    noisy = _chosen(len(planes), NOISE_SHARE, generator)
    if len(noisy):
        strength = _uniform(len(noisy), 0.0, recipe.noise_hu, generator)
        planes[noisy] += strength * torch.randn(planes[noisy].shape, generator=generator)
    return _cropped(planes, recipe, generator)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """``(n, 1, 1, 1)`` between two values."""
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)


def _chosen(n: int, share: float, generator: torch.Generator) -> Tensor:
    """Numbers of the items that something happens to."""
    return torch.nonzero(torch.rand(n, generator=generator) < share).flatten()


def _moved(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Turned, shifted, scaled and mirrored left to right; air comes in from beyond the planes."""
    n, _, size, _ = planes.shape

    def uniform(most: float) -> Tensor:
        return _uniform(n, -most, most, generator).flatten()

    angle, scale = torch.deg2rad(uniform(recipe.rotate_deg)), 1.0 + uniform(recipe.zoom)
    flip = torch.where(uniform(1.0) < 0.0, -1.0, 1.0) if recipe.mirror else torch.ones(n)
    reach = recipe.shift_mm / (recipe.pixel_mm * size / 2)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    columns = torch.stack([flip * cosine, -sine, uniform(reach)], 1)
    rows = torch.stack([flip * sine, cosine, uniform(reach)], 1)
    grid = F.affine_grid(torch.stack([columns, rows], 1), [n, 1, size, size], align_corners=False)
    moved = F.grid_sample(planes - AIR_HU, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.add_(AIR_HU)


def _toned(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Another scanner and other lungs: gain, offset, a bent curve from air to water; vessels with or without contrast.

    In place.
    """
    n = len(planes)
    share = ((planes - AIR_HU) / -AIR_HU).clamp_(0.0, 1.0)
    bend = share.mul_(1.0 - share).mul_(_uniform(n, -TONE, TONE, generator) * -AIR_HU)
    planes.mul_(1.0 + _uniform(n, -0.06, 0.06, generator)).add_(bend)
    planes.add_(_uniform(n, -recipe.shift_hu, recipe.shift_hu, generator))
    bright = _chosen(n, CONTRAST_SHARE, generator)
    if len(bright):
        above = planes[bright].clamp(min=0.0)
        planes[bright] += above.mul_(_uniform(len(bright), -0.3, 1.5, generator))
    return planes


def _cropped(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Nothing but air outside a round field of view in some items: couch, arms and flanks go. In place."""
    size = planes.shape[-1]
    chosen = _chosen(len(planes), FIELD_SHARE, generator)
    if not len(chosen):
        return planes
    line = torch.linspace(-1.0, 1.0, size)
    reach = recipe.shift_mm / (recipe.pixel_mm * size / 2)
    centres = [_uniform(len(chosen), -reach, reach, generator) for _ in range(2)]
    radius = _uniform(len(chosen), 0.75, 1.15, generator)
    far = (line[None, None, :, None] - centres[0]).square() + (line - centres[1]).square() > radius.square()
    planes[chosen] = torch.where(far, AIR_HU, planes[chosen])
    return planes
