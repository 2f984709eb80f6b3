"""A judge of small patches of one image, with a weight for each of its verdicts where wanted.

PatchGAN (Isola et al., CVPR 2017, 10.1109/CVPR.2017.632); the weight is an option of UnpairedImageTranslation, the
program of Ozaki et al., Med Phys 2022, 10.1002/mp.15626.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.bricks import NORMS
from manabi.networks.translator import plain_norm

SLOPE = 0.2
"""Slope of the leaky ReLU below zero."""


class PatchDiscriminator(nn.Module):
    """Strided convolutions down to a map of scores, one per patch, without an activation at the end.

    One convolution with stride 2 per filter, the first without normalisation, then one with stride 1. Three filters
    with kernels of 4 see patches of 46 pixels. Weights are drawn as by He et al., ICCV 2015, as in the source: small
    ones learn nothing without a normalisation.

    Args:
        in_channels: channels of the image, or of the latent image.
        filters: channels per layer; the default is the source's.
        kernel: side of the convolutions.
        weighted: the answer has a second channel u; a verdict then counts tanh(u) + 1 times (:func:`verdict_weights`).
        norm: ``none``, ``batch`` or ``instance`` (the source's), which hides from the judge how bright a patch is.
        spatial_dims: 2 or 3.

    Raises:
        InvalidInputError: for arguments that make no network.
    """

    def __init__(
        self,
        in_channels: int = 1,
        filters: Sequence[int] = (64, 128, 256),
        kernel: int = 4,
        weighted: bool = False,
        norm: str = "instance",
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if in_channels < 1 or not filters or min(filters) < 1 or kernel < 2 or spatial_dims not in (2, 3):
            raise InvalidInputError(
                "A judge needs channels, filters of at least 1, a kernel of at least 2 and two or three axes; got "
                f"{in_channels}, {tuple(filters)}, {kernel} and {spatial_dims}."
            )
        if norm not in NORMS:
            raise InvalidInputError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}.")
        self.weighted = weighted
        kind = nn.Conv3d if spatial_dims == 3 else nn.Conv2d
        pad = (kernel - 1) // 2
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise((in_channels, *filters))):
            name = norm if i else "none"
            layers += [kind(a, b, kernel, 2, pad, bias=name == "none"), plain_norm(spatial_dims, b, name)]
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, kind(filters[-1], 2 if weighted else 1, kernel, 1, pad))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, SLOPE, nonlinearity="leaky_relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """``(n, in_channels, *size)`` to the scores ``(n, 1, ...)``, with u as a second channel where weighted."""
        return self.layers(image)


def verdict_weights(verdict: Tensor) -> Tensor:
    """How much each patch counts, ``(n, 1, ...)``: tanh(u) + 1, from 0 to 2, or 1 where nothing is weighted."""
    return torch.tanh(verdict[:, 1:2]) + 1 if verdict.shape[1] == 2 else torch.ones_like(verdict)
