"""Attention U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from manabi.networks.bricks import AttentionGate, ConvStack, ImageNetwork, Up, concatenate, max_pool


class AttentionUNet(ImageNetwork):
    """U-Net whose skip connections pass an attention gate (Oktay et al., MIDL 2018, arXiv:1804.03999).

    As keras-unet-collection builds it: the up-sampled features gate the skip connection without a convolution in
    between, and the gate has half as many inner channels as the level (at least 1).

    MONAI's ``AttentionUnet`` cannot be this one: it always normalises by batch, steps down by strided convolution and
    up by transposed convolution, none of which the source's network does. It is ``monai_attention_unet`` in
    :data:`manabi.networks.MONAI_NETWORKS`.

    Args:
        filters: channels of each level, finest first.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128), **arguments: Any) -> None:
        super().__init__(filters=filters, **arguments)
        dims, norm, f = self.dims, self.norm, self.filters
        self.pool = max_pool(dims)
        self.up = Up(dims, 1, 1, count=0)
        self.down = nn.ModuleList(ConvStack(dims, a, b, norm=norm) for a, b in pairwise((self.in_channels, *f)))
        self.gate = nn.ModuleList(AttentionGate(dims, a, b, max(a // 2, 1)) for a, b in pairwise(f))
        self.merge = nn.ModuleList(ConvStack(dims, a + b, a, norm=norm) for a, b in pairwise(f))
        self.initialise()

    def features(self, x: Tensor) -> Tensor:
        """Down; up through the gates."""
        skips: list[Tensor] = []
        for level in self.down:
            skips.append(level(self.pool(skips[-1]) if skips else x))
        x = skips.pop()
        for gate, merge, skip in reversed(list(zip(self.gate, self.merge, skips, strict=True))):
            x = self.up(x)
            x = merge(concatenate(x, gate(skip, x)))
        return x
