"""V-Net in two dimensions or three."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from manabi.networks.bricks import ConvStack, ImageNetwork, concatenate, convolution


class VNet(ImageNetwork):
    """Residual blocks, strided convolutions between levels (Milletari, Navab and Ahmadi, 3DV 2016, arXiv:1606.04797).

    The 2-D form of keras-unet-collection: 3×3 kernels, 1, 2, 3, 3, ... convolutions in the residual blocks of the
    levels, PReLU (one slope per channel), 2×2 strided convolutions down, 3×3 transposed convolutions up.

    MONAI's ``VNet`` cannot be this one: its five levels of 16 to 256 channels, 5×5 kernels and batch normalisation are
    fixed, and the source has four levels of 16 to 128 without normalisation. It is ``monai_vnet`` in
    :data:`manabi.networks.MONAI_NETWORKS`.

    Args:
        filters: channels of each level, finest first.
        max_convolutions: convolutions in the deepest residual blocks.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(
        self, filters: Sequence[int] = (16, 32, 64, 128), max_convolutions: int = 3, **arguments: Any
    ) -> None:
        super().__init__(filters=filters, **arguments)
        dims, norm, f = self.dims, self.norm, self.filters
        counts = [min(i + 1, max_convolutions) for i in range(len(f))]
        self.first = ConvStack(dims, self.in_channels, f[0], 1, norm, prelu=True)
        self.encoder = nn.ModuleList(
            ResidualStack(dims, a, a, n, norm) for a, n in zip(f, counts, strict=True)
        )
        self.down = nn.ModuleList(nn.Sequential(convolution(dims, a, b, 2, 2), nn.PReLU(b)) for a, b in pairwise(f))
        kind = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
        self.up = nn.ModuleList(
            nn.Sequential(kind(b, a, 3, 2, padding=1, output_padding=1), nn.PReLU(a)) for a, b in pairwise(f)
        )
        self.decoder = nn.ModuleList(
            ResidualStack(dims, 2 * a, a, n, norm) for a, n in zip(f[:-1], counts[:-1], strict=True)
        )
        self.initialise()

    def features(self, x: Tensor) -> Tensor:
        """Down and up through the residual blocks."""
        x = self.first(x)
        x = self.encoder[0](x, x)
        skips = []
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = down(x)
            x = block(x, x)
        for up, block, skip in reversed(list(zip(self.up, self.decoder, skips, strict=True))):
            x = up(x)
            x = block(concatenate(x, skip), x)
        return x


class ResidualStack(nn.Module):
    """``PReLU(convolutions(x) + shortcut)``."""

    def __init__(self, dims: int, inputs: int, outputs: int, count: int, norm: str) -> None:
        super().__init__()
        self.convolve = ConvStack(dims, inputs, outputs, count, norm, prelu=True)
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """``shortcut`` has the output's channels."""
        return self.activation(self.convolve(x) + shortcut)
