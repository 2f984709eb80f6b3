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
"""Shares of the items that are blurred, get noise, lose what is beyond a field of view, change in contrast."""
SHARP_SHARE, SPOT_SHARE = 0.25, 0.25
"""Shares of the items that are sharpened, and that get opacities beside the middle."""
WARP_NODES, TEXTURE_NODES = 5, (12, 40)
"""Random values along each side of the smooth shifts, and of the soft parts' coarse and fine texture."""
SPOTS, SPOT_HU = 3, 30.0
SQUARE_SHARE = 0.5
"""Of the reduced fields of view, those that are rectangles."""
SOFT_HU = -250.0
"""Texture begins to count above this."""
TONE = 0.3
"""Most bend of the tone curve between air and water: lungs become up to 75 HU denser or lighter."""


def augment(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Every item changed in its own way; the planes of an item stay together.

    Args:
        planes: ``(n, offsets, size, size)``, HU, row 0 at the back.
        recipe: how much.
        generator: the only source of chance.
    """
    planes = _spotted(_moved(planes, recipe, generator), recipe, generator)
    soft = _chosen(len(planes), SOFT_SHARE, generator)
    if len(soft):
        planes[soft] = F.avg_pool2d(planes[soft], 3, stride=1, padding=1, count_include_pad=False)
    sharp = _chosen(len(planes), SHARP_SHARE, generator)
    if len(sharp):
        smooth = F.avg_pool2d(planes[sharp], 3, stride=1, padding=1, count_include_pad=False)
        planes[sharp] += _uniform(len(sharp), 0.0, 1.0, generator) * (planes[sharp] - smooth)
    planes = _toned(_textured(planes, recipe, generator), recipe, generator)
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
    """Turned, shifted, scaled, bent and mirrored left to right; air comes in from beyond the planes."""
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
    bend = _field(n, 2, WARP_NODES, size, generator, "bicubic") * (recipe.warp_mm / (recipe.pixel_mm * size / 2))
    grid = grid + bend.permute(0, 2, 3, 1)
    moved = F.grid_sample(planes - AIR_HU, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.add_(AIR_HU)


def _field(n: int, channels: int, nodes: int, size: int, generator: torch.Generator, mode: str = "bilinear") -> Tensor:
    """Smooth random fields ``(n, channels, size, size)`` of standard deviation about 1 at the nodes."""
    coarse = torch.randn(n, channels, nodes, nodes, generator=generator)
    return F.interpolate(coarse, size=(size, size), mode=mode, align_corners=True)


def _textured(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Soft parts of another make-up: smooth light and dark patches where there is neither air nor lung. In place."""
    n, size = len(planes), planes.shape[-1]
    patches = sum(_field(n, 1, nodes, size, generator) for nodes in TEXTURE_NODES)
    strength = _uniform(n, 0.0, recipe.texture_hu, generator)
    return planes.add_(((planes - SOFT_HU) / 150.0).clamp_(0.0, 1.0) * (patches * strength))


def _spotted(planes: Tensor, recipe: SlicesRecipe, generator: torch.Generator) -> Tensor:
    """Consolidations and masses: ellipses of soft tissue in some items, beside the airway in the middle. In place."""
    chosen = _chosen(len(planes), SPOT_SHARE, generator)
    size = planes.shape[-1]
    line = (torch.arange(size) - (size - 1) / 2) * recipe.pixel_mm
    for k in chosen.tolist():
        for _ in range(int(torch.randint(1, SPOTS + 1, (1,), generator=generator))):
            a, b, far, high, side = torch.rand(5, generator=generator).tolist()
            rx, ry = 6.0 + 34.0 * a * a, 6.0 + 34.0 * b * b
            x = (rx + 30.0 + 60.0 * far) * (1.0 if side < 0.5 else -1.0)
            inside = 1.0 - ((line[None] - x) / rx).square() - ((line[:, None] - 120.0 * (high - 0.5)) / ry).square()
            share = (inside * 2.0).clamp(0.0, 1.0)
            planes[k] = torch.where(planes[k] < SPOT_HU, planes[k] + share * (SPOT_HU - planes[k]), planes[k])
    return planes


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
    """Nothing but air outside a round or rectangular field of view in some items: couch, arms, flanks go. In place."""
    size = planes.shape[-1]
    chosen = _chosen(len(planes), FIELD_SHARE, generator)
    if not len(chosen):
        return planes
    line = torch.linspace(-1.0, 1.0, size)
    reach = recipe.shift_mm / (recipe.pixel_mm * size / 2)
    centres = [_uniform(len(chosen), -reach, reach, generator) for _ in range(2)]
    radius = _uniform(len(chosen), 0.75, 1.15, generator)
    down, across = (line[None, None, :, None] - centres[0]).abs(), (line - centres[1]).abs()
    long, wide = (_uniform(len(chosen), 0.62, 1.1, generator) for _ in range(2))
    square = torch.rand(len(chosen), 1, 1, 1, generator=generator) < SQUARE_SHARE
    far = torch.where(square, (down > long) | (across > wide), down.square() + across.square() > radius.square())
    planes[chosen] = torch.where(far, AIR_HU, planes[chosen])
    return planes
