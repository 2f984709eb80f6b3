"""What happens to a reconstructed image before it is shown: scale, the too bright air inside, and the field of view."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.ct.beam import Setup

OUTSIDE_HU = -1000.0
LOWEST_HU = -1024.0
"""Values are stored down to here, as scanners do."""
REACH_MM = 25.0
"""Standard deviation of the neighbourhood that says how deep inside a body a voxel lies (our choice)."""
COARSE_MM = 8.0


def finished(image: Tensor, work: Setup) -> Tensor:
    """HU from density relative to water ``(n, rows, columns)``."""
    scanner = work.scanner
    hu = (image - 1) * 1000
    if scanner.air_offset_hu:
        hu += scanner.air_offset_hu * _depth(image, work.pixel_mm) * (1 - image).clamp_(0, 1)
    if scanner.calibration_hu:
        hu = (hu + 1000) * (1 + scanner.calibration_hu / 1000) - 1000
    hu = hu.clamp_(min=LOWEST_HU)
    return torch.where(inside(work, hu.device), hu, torch.full_like(hu, OUTSIDE_HU))


def inside(work: Setup, device: torch.device | str = "cpu") -> Tensor:
    """Pixels within the field of view ``(rows, columns)``."""
    column, row = work.geometry.axis(work.shape, work.pixel_mm)
    x = (torch.arange(work.shape[1], device=device) - column) * work.pixel_mm[0]
    y = (torch.arange(work.shape[0], device=device)[:, None] - row) * work.pixel_mm[1]
    radius = min(work.geometry.radius_mm, work.scanner.fov_mm / 2)
    return x.square() + y.square() <= radius**2


def _depth(image: Tensor, pixel_mm: tuple[float, float]) -> Tensor:
    """0 outside a body and at its surface, 1 well inside, also in its cavities."""
    factor = [max(round(COARSE_MM / size), 1) for size in (pixel_mm[1], pixel_mm[0])]
    coarse = F.avg_pool2d(image.clamp(0, 1)[:, None], factor, ceil_mode=True, count_include_pad=False)
    for axis, size in ((2, pixel_mm[1] * factor[0]), (3, pixel_mm[0] * factor[1])):
        sd = REACH_MM / size
        reach = math.ceil(3 * sd)
        at = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (at / sd).square())
        kernel = (kernel / kernel.sum()).view(1, 1, -1, 1) if axis == 2 else (kernel / kernel.sum()).view(1, 1, 1, -1)
        padding = (reach, 0) if axis == 2 else (0, reach)
        coarse = F.conv2d(coarse, kernel, padding=padding)
    fine = F.interpolate(coarse, image.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    return ((fine - 0.5) / 0.35).clamp_(0, 1)
