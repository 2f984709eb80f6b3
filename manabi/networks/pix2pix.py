"""Pix2Pix: a generator that turns one image into another, and a judge of small patches that it is trained against.

Isola, Zhu, Zhou and Efros, Image-to-image translation with conditional adversarial networks, CVPR 2017,
10.1109/CVPR.2017.632, and its supplement 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.bricks import ConvStack, ImageNetwork, concatenate, normalisation

SLOPE = 0.2
"""Slope of the leaky ReLU below zero."""
NOISY_BLOCKS = 3
"""Deepest blocks of the decoder with dropout."""


class Generator(ImageNetwork):
    """U-Net of strided 4×4 convolutions whose only noise is dropout, at test time too (see :func:`sampling`).

    Down: convolution with stride 2, normalisation, leaky ReLU. Up: transposed convolution with stride 2, normalisation,
    dropout in the :data:`NOISY_BLOCKS` deepest blocks, ReLU, and the encoder's features beside it. ``norm="instance"``
    is the source's batch normalisation at its batch size of 1. The bottom has no normalisation: it may be one voxel,
    which would become zero.

    Two deviations, our choice: level 1 is at full resolution, with a 3×3 convolution before and after, so that fine
    vessels have a skip of their own (the source begins at half the size); and the output is linear or a sigmoid from 0
    to 1 (the source's hyperbolic tangent, moved to the range of our images).

    Args:
        filters: channels of each level, finest first.
        dropout: probability that a channel's value is dropped; 0 leaves a network without noise.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.

    Raises:
        InvalidInputError: for a dropout outside 0 to 1.
    """

    def __init__(self, filters: Sequence[int] = (32, 64, 128, 256), dropout: float = 0.5, **arguments: Any) -> None:
        super().__init__(filters=filters, **arguments)
        if not 0 <= dropout < 1:
            raise InvalidInputError(f"dropout must be at least 0 and below 1; got {dropout}.")
        dims, norm, f = self.dims, self.norm, self.filters
        last = len(f) - 1
        self.first = ConvStack(dims, self.in_channels, f[0], 1)
        self.down = nn.ModuleList(
            _down(dims, a, b, "none" if i == last else norm) for i, (a, b) in enumerate(pairwise(f), start=1)
        )
        self.up = nn.ModuleList(
            _up(dims, b * (1 if i == last else 2), a, norm, dropout if i > last - NOISY_BLOCKS else 0.0)
            for i, (a, b) in enumerate(pairwise(f), start=1)
        )
        self.last = ConvStack(dims, 2 * f[0] if last else f[0], f[0], 1)
        self.initialise()

    def features(self, x: Tensor) -> Tensor:
        """Down, keeping what each level saw, and up again."""
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = concatenate(up(x), skip)
        return self.last(x)


class NoiseDropout(nn.Module):
    """Dropout that acts in training and, while ``active``, in evaluation too."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability, self.active = probability, False

    def forward(self, x: Tensor) -> Tensor:
        """Values dropped at random, the others enlarged so that the mean stays."""
        return F.dropout(x, self.probability, self.training or self.active)


@contextmanager
def sampling(network: nn.Module) -> Iterator[int]:
    """While open, each pass of a network in evaluation mode is a new sample; gives the number of its noisy layers."""
    layers = [m for m in network.modules() if isinstance(m, NoiseDropout) and m.probability > 0]
    before = [layer.active for layer in layers]
    for layer in layers:
        layer.active = True
    try:
        yield len(layers)
    finally:
        for layer, active in zip(layers, before, strict=True):
            layer.active = active


class PatchJudge(nn.Module):
    """Says of every patch of an image how real it looks beside its source: PatchGAN.

    4×4 convolutions with stride 2, one per entry of ``filters`` but the last, which has stride 1 as has the output;
    leaky ReLU; no normalisation in the first. Four filters see 70×70 pixels, three 34×34, two 16×16 (the source's
    variants). Weights are drawn from a normal distribution of SD 0.02, as the source does.

    Args:
        in_channels: channels of source and image together.
        filters: channels of the layers; (64, 128, 256, 512) is the source's.
        spatial_dims: 2 or 3.
        norm: ``none``, ``batch`` or ``instance``.

    Raises:
        InvalidInputError: for fewer than two filters, or other axes than two or three.
    """

    def __init__(
        self,
        in_channels: int = 2,
        filters: Sequence[int] = (64, 128, 256, 512),
        spatial_dims: int = 2,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        if len(filters) < 2 or min(filters) < 1 or spatial_dims not in (2, 3):
            raise InvalidInputError(
                f"A judge needs at least two filters and two or three axes; got {tuple(filters)} and {spatial_dims}."
            )
        layers: list[nn.Module] = []
        for index, (a, b) in enumerate(pairwise((in_channels, *filters))):
            layers += _down(spatial_dims, a, b, norm if index else "none", 1 if index == len(filters) - 1 else 2)
        self.layers = nn.Sequential(*layers, _strided(spatial_dims, filters[-1], 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d) and module.bias is not None:
                nn.init.normal_(module.weight, 0.0, 0.02)
                nn.init.zeros_(module.bias)

    def forward(self, source: Tensor, image: Tensor) -> Tensor:
        """Logits ``(n, 1, ...)`` of the patches, above 0 for real; both inputs are ``(n, channels, ...)``."""
        return self.layers(concatenate(source, image))


def _strided(dims: int, inputs: int, outputs: int, stride: int) -> nn.Module:
    kind = nn.Conv3d if dims == 3 else nn.Conv2d
    return kind(inputs, outputs, 4, stride, padding=1)


def _down(dims: int, inputs: int, outputs: int, norm: str, stride: int = 2) -> nn.Sequential:
    layers = [_strided(dims, inputs, outputs, stride), normalisation(dims, outputs, norm), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _up(dims: int, inputs: int, outputs: int, norm: str, dropout: float) -> nn.Sequential:
    kind = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
    enlarge = kind(inputs, outputs, 4, 2, padding=1)
    return nn.Sequential(enlarge, normalisation(dims, outputs, norm), NoiseDropout(dropout), nn.ReLU())
