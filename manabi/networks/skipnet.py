"""One encoder and decoder with five patterns of skip connections between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from manabi.errors import InvalidInputError
from manabi.networks.bricks import ConvStack, ImageNetwork, Up, concatenate, convolution, max_pool

PATTERNS = ("none", "full_resolution", "horizontal", "vertical", "crossover")
"""The five that Sugino compares; see :class:`SkipNet`."""


class SkipNet(ImageNetwork):
    """U-Net's skips, those of a full-resolution residual network, or both, in one network.

    Sugino T et al., Med Phys 2021;48:7215, 10.1002/mp.15192, and their follow-up on basal ganglia, which compares:

    * ``none``: encoder and decoder meet at the bottom only;
    * ``full_resolution``: the encoder's features are concatenated at full resolution only;
    * ``horizontal``: they are at every resolution (U-Net: Ronneberger, Fischer and Brox, MICCAI 2015,
      arXiv:1505.04597);
    * ``vertical``: a residual stream z stays at full resolution, and every block reads and writes it (Pohlen et al.,
      CVPR 2017, 10.1109/CVPR.2017.353): ``y' = G([y, pool(z)])`` and ``z' = z + up(conv1x1(y'))``, where G is the
      block's convolutions;
    * ``crossover``: horizontal and vertical, the one that the source proposes.

    The five differ in nothing else: levels, channels and convolutions are the same. The paper's full text is closed;
    that *every* block reads and writes the stream in the crossover is our reading. So is what the stream is made of:
    it starts with one 3×3 convolution of the image, is pooled by its maximum and enlarged by repetition (repeatable
    bit for bit on every device), and at the end one 3×3 convolution joins it to the decoder's features.

    With c input and o output channels, filters f1 ... fL, s channels of the stream, n convolutions per block and
    N(a, b) = 3^d a b + b for d axes, the network without normalisation has

        D(c + s', f1) + sum over i < L of [D(fi + s', fi+1) + N(fi+1, fi) + D(fi + hi + s', fi)] + f1 o + o + V

    parameters, where D(a, b) = N(a, b) + (n - 1) N(b, b); hi = fi where level i has a horizontal skip, else 0; s' = s
    with a stream, else 0; and V, the stream itself, is 0 or

        N(c, s) + fL s + s + 2 * sum over i < L of (fi s + s) + N(f1 + s, f1).

    With c = o = 1, s = 16, n = 2 and filters (16, 32, 64, 128) that is

        pattern            2-D        3-D
        none               487,121    1,459,697
        full_resolution    489,425    1,466,609
        horizontal         535,505    1,604,849   (in 2-D that of manabi.networks.unet.UNet)
        vertical           548,337    1,631,793
        crossover          596,721    1,776,945

    Args:
        filters: channels of each level, finest first.
        pattern: one of :data:`PATTERNS`.
        stream: channels of the residual stream; patterns without one leave it aside.
        convolutions: 3×3 convolutions per block.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.

    Attributes:
        checkpointing: set to train in less memory; changes no result.

    Raises:
        InvalidInputError: for an unknown pattern, or ``stream`` or ``convolutions`` below 1.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128),
        pattern: str = "crossover",
        stream: int = 16,
        convolutions: int = 2,
        **arguments: Any,
    ) -> None:
        super().__init__(filters=filters, **arguments)
        if pattern not in PATTERNS or stream < 1 or convolutions < 1:
            raise InvalidInputError(
                f"pattern must be one of {', '.join(PATTERNS)}, stream and convolutions at least 1; got {pattern!r}, "
                f"{stream} and {convolutions}."
            )
        dims, norm, f = self.dims, self.norm, self.filters
        self.pattern = pattern
        self.has_stream = pattern in ("vertical", "crossover")
        levels = len(f) - 1
        reach = {"full_resolution": min(levels, 1), "horizontal": levels, "crossover": levels}.get(pattern, 0)
        self.horizontal = tuple(i < reach for i in range(levels))
        read = stream if self.has_stream else 0
        self.pool = max_pool(dims)
        self.down = nn.ModuleList(
            ConvStack(dims, a + read, b, convolutions, norm) for a, b in pairwise((self.in_channels, *f))
        )
        self.up = nn.ModuleList(Up(dims, b, a, norm=norm) for a, b in pairwise(f))
        self.merge = nn.ModuleList(
            ConvStack(dims, a + a * skip + read, a, convolutions, norm)
            for a, skip in zip(f[:-1], self.horizontal, strict=True)
        )
        self.write_down = nn.ModuleList(convolution(dims, a, stream, 1) for a in f if self.has_stream)
        self.write_up = nn.ModuleList(convolution(dims, a, stream, 1) for a in f[:-1] if self.has_stream)
        if self.has_stream:
            self.stem = ConvStack(dims, self.in_channels, stream, 1, norm)
            self.join = ConvStack(dims, f[0] + stream, f[0], 1, norm)
        self.checkpointing = False
        self.initialise()

    def _through(self, block: nn.Module, x: Tensor) -> Tensor:
        """A block's answer; where gradients are wanted with ``checkpointing``, without keeping what is within it.

        Its inner values are computed again on the way back (Chen T et al., arXiv:1604.06174): more time, less memory,
        the same gradients.
        """
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, use_reentrant=False)
        return block(x)

    def features(self, x: Tensor) -> Tensor:
        """Down, bottom and up, with what the pattern hands over on the way."""
        z = self.stem(x) if self.has_stream else None
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            y = self.pool(skips[-1]) if skips else x
            y = self._through(block, self._read(y, z, level))
            z = self._written(z, y, self.write_down, level)
            skips.append(y)
        y = skips.pop()
        for level in reversed(range(len(skips))):
            y = self._through(self.up[level], y)
            if self.horizontal[level]:
                y = concatenate(y, skips[level])
            y = self._through(self.merge[level], self._read(y, z, level))
            z = self._written(z, y, self.write_up, level)
        return y if z is None else self.join(concatenate(y, z))

    def _read(self, y: Tensor, z: Tensor | None, level: int) -> Tensor:
        """The block's input: with the stream, pooled to the block's resolution."""
        if z is None:
            return y
        pool = F.max_pool3d if self.dims == 3 else F.max_pool2d
        return concatenate(y, pool(z, 2**level) if level else z)

    def _written(self, z: Tensor | None, y: Tensor, writers: nn.ModuleList, level: int) -> Tensor | None:
        """The stream with the block's features added; there is one exactly where the pattern has a stream."""
        if z is None:
            return None
        addition = writers[level](y)
        return z + (F.interpolate(addition, scale_factor=float(2**level)) if level else addition)
