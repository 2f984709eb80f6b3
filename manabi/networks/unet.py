"""U-Net with any number of levels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from manabi.networks.bricks import ConvStack, ImageNetwork, Up, concatenate, max_pool


class UNet(ImageNetwork):
    """Encoder and decoder with skip connections (Ronneberger, Fischer and Brox, MICCAI 2015, arXiv:1505.04597).

    As keras-unet-collection builds it: each level has two 3×3 convolutions; after bilinear up-sampling comes one more
    before the skip connection is concatenated. Ishiwata's L1 to L5 are ``filters`` (16), (16, 32) ... (16 ... 256).

    With c input and o output channels and filters f1 ... fL the 2-D network without normalisation has

        N(c, f1) + N(f1, f1) + sum over i < L of [N(fi, fi+1) + N(fi+1, fi+1) + N(fi+1, fi) + N(2 fi, fi) + N(fi, fi)]
        + f1 o + o

    parameters, where N(a, b) = 9 a b + b: 2,497, 27,953, 129,553, 535,505 and 2,158,417 for L1 to L5 with c = o = 1.

    Args:
        filters: channels of each level, finest first.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128), **arguments: Any) -> None:
        super().__init__(filters=filters, **arguments)
        dims, norm, f = self.dims, self.norm, self.filters
        self.pool = max_pool(dims)
        self.down = nn.ModuleList(ConvStack(dims, a, b, norm=norm) for a, b in pairwise((self.in_channels, *f)))
        self.up = nn.ModuleList(Up(dims, b, a, norm=norm) for a, b in pairwise(f))
        self.merge = nn.ModuleList(ConvStack(dims, 2 * a, a, norm=norm) for a in f[:-1])
        self.initialise()

    def features(self, x: Tensor) -> Tensor:
        """Down, keeping what each level saw; bottom; up."""
        skips = self.encode(x)
        return self.decode(skips[-1], skips[:-1])

    def encode(self, x: Tensor) -> list[Tensor]:
        """The features of each level, finest first."""
        skips: list[Tensor] = []
        for level in self.down:
            skips.append(level(self.pool(skips[-1]) if skips else x))
        return skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """From the coarsest features back to full size."""
        for up, merge, skip in reversed(list(zip(self.up, self.merge, skips, strict=True))):
            x = merge(concatenate(up(x), skip))
        return x
