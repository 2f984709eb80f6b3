"""U-Net++."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from manabi.networks.bricks import ConvStack, ImageNetwork, Up, concatenate, max_pool


class UNetPlusPlus(ImageNetwork):
    """U-Net with nested, dense skip connections (Zhou et al., DLMIA 2018, arXiv:1807.10165), without deep supervision.

    Node (i, j) sees the nodes (i, 0) ... (i, j-1) of its own level and node (i+1, j-1) from below.

    ``skips=False`` is the network that keras-unet-collection 0.1.13 really builds under this name: it passes
    ``concat=False`` to its up-sampling blocks, so that no skip connection exists and only the chain from the bottom to
    the top remains. The source used that library and found U-Net++ the weakest of its deep networks.

    MONAI's ``BasicUNetPlusPlus`` cannot be this one: it is built for five levels, and the source has four. It is
    ``monai_unetpp`` in :data:`manabi.networks.MONAI_NETWORKS`.

    Args:
        filters: channels of each level, finest first.
        skips: False leaves out every skip connection.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128), skips: bool = True, **arguments: Any) -> None:
        super().__init__(filters=filters, **arguments)
        dims, norm, f = self.dims, self.norm, self.filters
        self.skips = skips
        self.pool = max_pool(dims)
        self.down = nn.ModuleList(ConvStack(dims, a, b, norm=norm) for a, b in pairwise((self.in_channels, *f)))
        self.up, self.merge = nn.ModuleDict(), nn.ModuleDict()
        for i, j in self._nodes():
            self.up[f"{i}_{j}"] = Up(dims, f[i + 1], f[i], norm=norm)
            self.merge[f"{i}_{j}"] = ConvStack(dims, f[i] * (1 + j if skips else 1), f[i], norm=norm)
        self.initialise()

    def _nodes(self) -> list[tuple[int, int]]:
        """The decoder's nodes in the order of their computation; without skips only those that reach the output."""
        depth = len(self.filters)
        nodes = [(i, j) for j in range(1, depth) for i in range(depth - j)]
        return nodes if self.skips else [(i, j) for i, j in nodes if i + j == depth - 1]

    def features(self, x: Tensor) -> Tensor:
        """The last node of the finest level."""
        found: dict[tuple[int, int], Tensor] = {}
        for i, level in enumerate(self.down):
            found[i, 0] = level(self.pool(found[i - 1, 0]) if i else x)
        for i, j in self._nodes():
            inputs = [self.up[f"{i}_{j}"](found[i + 1, j - 1])]
            if self.skips:
                inputs += [found[i, k] for k in range(j)]
            found[i, j] = self.merge[f"{i}_{j}"](concatenate(*inputs))
        return found[0, len(self.filters) - 1]
