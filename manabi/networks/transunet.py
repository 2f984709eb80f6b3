"""TransUNet: a U-Net with a vision transformer at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.bricks import convolution
from manabi.networks.unet import UNet


class TransUNet(UNet):
    """U-Net whose coarsest features pass a transformer, one token per voxel (Chen et al. 2021, arXiv:2102.04306).

    The defaults are small (our choice: 64×64 images give 64 tokens, and the source's own 12-layer one did not beat the
    U-Net); :data:`manabi.networks.PAPER_NETWORKS` holds the source's 12 layers, 12 heads and 768 dimensions.
    keras-unet-collection gives each head 768 dimensions of its own; here the heads share them, as in the ViT that Chen
    et al. used.

    Args:
        filters: channels of each level, finest first.
        layers: transformer layers.
        heads: attention heads; must divide ``dim``.
        dim: dimensions of a token.
        mlp_dim: width of the hidden layer in each transformer layer.
        positions: side of the learned grid of position codes, interpolated to the size of the coarsest features; 8 is
            exact for 64×64 images and four levels.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128),
        layers: int = 4,
        heads: int = 4,
        dim: int = 128,
        mlp_dim: int = 512,
        positions: int = 8,
        **arguments: Any,
    ) -> None:
        super().__init__(filters=filters, **arguments)
        if heads < 1 or dim % heads:
            raise InvalidInputError(f"heads must divide dim; got heads={heads} and dim={dim}.")
        self.embed = convolution(self.dims, self.filters[-1], dim, 1)
        self.positions = nn.Parameter(torch.randn(1, dim, *[positions] * self.dims) * 0.02)
        self.transformer = nn.ModuleList(TransformerLayer(dim, heads, mlp_dim) for _ in range(layers))
        self.restore = convolution(self.dims, dim, self.filters[-1], 1)
        self.initialise()

    def features(self, x: Tensor) -> Tensor:
        """As the U-Net, with the transformer between encoder and decoder."""
        skips = self.encode(x)
        return self.decode(self._attend(skips[-1]), skips[:-1])

    def _attend(self, x: Tensor) -> Tensor:
        tokens = self.embed(x)
        tokens = tokens + self._positions(tokens.shape[2:])
        size = tokens.shape[2:]
        tokens = tokens.flatten(2).transpose(1, 2)
        for layer in self.transformer:
            tokens = layer(tokens)
        return self.restore(tokens.transpose(1, 2).unflatten(2, size))

    def _positions(self, size: torch.Size) -> Tensor:
        if self.positions.shape[2:] == size:
            return self.positions
        mode = "trilinear" if self.dims == 3 else "bilinear"
        return F.interpolate(self.positions, size=tuple(size), mode=mode, align_corners=False)


class TransformerLayer(nn.Module):
    """Self-attention and a GELU network, each normalised first and added to its input (Dosovitskiy et al. 2021)."""

    def __init__(self, dim: int, heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project = nn.Linear(dim, 3 * dim)
        self.join = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, dim)`` to the same shape."""
        q, k, v = self.project(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.join(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x))
