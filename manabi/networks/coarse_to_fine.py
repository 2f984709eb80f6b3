"""Two networks in one: a coarse one sees the whole head at half the resolution, a fine one sharpens what it found.

Sugino's two-stage variant for small structures (Sugino T et al. Two-stage convolutional neural network-based approach
for improved segmentation of basal ganglia on MR images. CARS 2022) crops the image around the first stage's answer; so
does BrainSeg. That the second stage corrects the first one's probabilities instead of starting anew is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.skipnet import SkipNet

LEAST = 1e-3
"""A probability of the coarse network below this counts as this, so that the fine one can overrule it."""
STEP = 2
"""Voxels of the coarse network over those of the fine one."""


class CoarseToFine(nn.Module):
    """Image at 1 mm to class logits at 1 mm.

    Args:
        classes: number of classes, background included.
        coarse: arguments of the coarse :class:`SkipNet`; it has one more output, the side (left below 0).
        fine: arguments of the fine one; its input is the image with the coarse probabilities. None: there is none.
        in_channels: contrasts.

    The fine network's last layer begins at zero: untrained, it changes nothing.
    """

    def __init__(
        self, classes: int, coarse: Mapping[str, Any], fine: Mapping[str, Any] | None, in_channels: int = 1
    ) -> None:
        super().__init__()
        self.fine: SkipNet | None
        if classes < 2 or in_channels < 1:
            raise InvalidInputError(f"Expected at least 2 classes and 1 contrast; got {classes} and {in_channels}.")
        self.classes, self.in_channels = classes, in_channels
        common: dict[str, Any] = {"spatial_dims": 3}
        self.coarse = SkipNet(in_channels=in_channels, out_channels=classes + 1, **common, **coarse)
        self.fine = None
        if fine is not None:
            self.fine = SkipNet(in_channels=in_channels + classes, out_channels=classes, **common, **fine)
            for weight in self.fine.head.parameters():
                nn.init.zeros_(weight)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The coarse answer: ``(N, C, k, j, i)`` at 1 mm to class logits and the side's logit at 2 mm.

        An odd size is extended by repeating its last voxels.
        """
        pads = [p for n in reversed(image.shape[2:]) for p in (0, n % STEP)]
        small = F.avg_pool3d(F.pad(image, pads, mode="replicate") if any(pads) else image, STEP)
        return self.answer(small)

    def answer(self, small: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`look`, of an image at 2 mm."""
        out = self.coarse(small)
        return out[:, : self.classes], out[:, self.classes :]

    def enlarged(self, logits: Tensor, size: Sequence[int]) -> Tensor:
        """Coarse class logits as probabilities at 1 mm, cut to ``size``."""
        probabilities = F.softmax(logits.float(), 1)
        large = F.interpolate(probabilities, scale_factor=float(STEP), mode="trilinear", align_corners=False)
        k, j, i = size
        return large[..., :k, :j, :i]

    def sharpen(self, image: Tensor, probabilities: Tensor) -> Tensor:
        """The fine answer: class logits, from the image and the coarse probabilities on the same grid."""
        if self.fine is None:
            return probabilities.float().clamp(min=LEAST).log()
        correction = self.fine(torch.cat([image, probabilities.to(image.dtype)], 1))
        return correction.float() + probabilities.clamp(min=LEAST).log()

    def forward(self, image: Tensor, stage: str = "both", probabilities: Tensor | None = None) -> Tensor:
        """Class logits of an image ``(N, C, k, j, i)`` at 1 mm: ``(N, classes, k, j, i)``.

        Training takes the stages one by one: ``coarse`` takes an image at 2 mm and gives the side's logit after those
        of the classes; ``fine`` also takes the coarse probabilities.
        """
        if image.ndim != 5 or image.shape[1] != self.in_channels:
            raise InvalidInputError(
                f"Expected a tensor (batch, {self.in_channels}, slices, rows, columns); got {tuple(image.shape)}."
            )
        if stage == "coarse":
            return self.coarse(image)
        if probabilities is None:
            logits, _ = self.look(image)
            probabilities = self.enlarged(logits, tuple(image.shape[2:]))
        return self.sharpen(image, probabilities)
