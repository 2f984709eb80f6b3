"""How one head differs from another: pose, size and a smooth random deformation, as in SynthSeg.

Source: Billot B et al. SynthSeg. Med Image Anal 2023;86:102789, arXiv 2107.09559: rotation ±15°, scaling ±20 %, shear
±0.012, and an elastic field of standard deviation up to 4 mm on a grid of 0.04 of the image's size (about 10 mm in 256
nodes of 1 mm, that is a node every 25 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ELASTIC_STEP_MM = 25.0
REACH_MM = 150.0
"""The elastic field covers ± this around the head's middle."""


@dataclass(frozen=True)
class Pose:
    """From the atlas (a label map or the parametric head, RAS mm) to the patient.

    Attributes:
        rotation_deg: about the right, anterior and superior axes, in this order.
        scale: along the same axes.
        shear: of anterior by right, superior by right, superior by anterior.
        shift_mm: of the head's middle from the origin, RAS.
        elastic_mm: standard deviation of the elastic field.
        elastic_seed: draws the field.
    """

    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shear: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    elastic_mm: float = 0.0
    elastic_seed: int = 0

    @property
    def matrix(self) -> np.ndarray:
        """3×3 from atlas to patient, without the elastic field."""
        a, b, c = np.radians(self.rotation_deg)
        pitch = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        roll = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        yaw = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        shear = np.array([[1, 0, 0], [self.shear[0], 1, 0], [self.shear[1], self.shear[2], 1]])
        return yaw @ roll @ pitch @ shear @ np.diag(self.scale)

    def to_atlas(self, ras: Tensor, middle_mm: np.ndarray) -> Tensor:
        """Atlas places ``(..., 3)`` of patient RAS points in mm; ``middle_mm`` is the head's middle in the atlas."""
        inverse = torch.as_tensor(np.linalg.inv(self.matrix).T, dtype=torch.float32)
        out = (ras - torch.tensor(self.shift_mm, dtype=torch.float32)) @ inverse
        if self.elastic_mm > 0:
            out = out + self._elastic(out)
        return out + torch.as_tensor(middle_mm, dtype=torch.float32)

    def _elastic(self, places: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.elastic_seed)
        count = round(2 * REACH_MM / ELASTIC_STEP_MM) + 1
        field = torch.randn((1, 3, count, count, count), generator=generator) * self.elastic_mm
        at = (places / REACH_MM).clamp(-1.0, 1.0).reshape(1, 1, 1, -1, 3)
        # Smooth interpolation: a kink at every node would show as a crease in the skull.
        fine = F.interpolate(field, scale_factor=2, mode="trilinear", align_corners=True)
        fine = F.avg_pool3d(F.pad(fine, (1, 1, 1, 1, 1, 1), mode="replicate"), 3, stride=1)
        moved = F.grid_sample(fine, at, mode="bilinear", align_corners=True)
        return moved.reshape(3, -1).T.reshape(places.shape)
