"""R2U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from manabi.networks.bricks import ImageNetwork, Up, concatenate, convolution, max_pool, normalisation


class R2UNet(ImageNetwork):
    """U-Net of recurrent residual blocks (Alom et al. 2018, arXiv:1802.06955).

    As keras-unet-collection builds it, which draws new weights for every recurrence; ``shared=True`` uses one set of
    weights for all recurrences, as Alom et al. describe. The weights that see the sum of two tensors begin at half
    their Xavier size (our choice): without normalisation the activations otherwise grow with every recurrence, and the
    sigmoid was saturated, and stayed so, in 2 of 10 trial trainings (0 of 10 with it).

    Args:
        filters: channels of each level, finest first.
        recurrences: how often each convolution is applied again (t).
        shared: one set of weights for all recurrences.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128),
        recurrences: int = 2,
        shared: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(filters=filters, **arguments)
        dims, norm, f = self.dims, self.norm, self.filters
        how = (recurrences, shared, norm)
        self.pool = max_pool(dims)
        self.down = nn.ModuleList(RecurrentResidual(dims, a, b, *how) for a, b in pairwise((self.in_channels, *f)))
        self.up = nn.ModuleList(Up(dims, b, a, norm=norm) for a, b in pairwise(f))
        self.merge = nn.ModuleList(RecurrentResidual(dims, 2 * a, a, *how) for a in f[:-1])
        self.initialise()
        for module in self.modules():
            if isinstance(module, RecurrentConvolution):
                module.halve()

    def features(self, x: Tensor) -> Tensor:
        """Down and up as in the U-Net."""
        skips: list[Tensor] = []
        for level in self.down:
            skips.append(level(self.pool(skips[-1]) if skips else x))
        x = skips.pop()
        for up, merge, skip in reversed(list(zip(self.up, self.merge, skips, strict=True))):
            x = merge(concatenate(up(x), skip))
        return x


class RecurrentResidual(nn.Module):
    """Two recurrent convolutions with a shortcut, a 1×1 convolution, around both."""

    def __init__(self, dims: int, inputs: int, outputs: int, recurrences: int, shared: bool, norm: str) -> None:
        super().__init__()
        self.shortcut = convolution(dims, inputs, outputs, 1)
        self.first = RecurrentConvolution(dims, outputs, recurrences, shared, norm)
        self.second = RecurrentConvolution(dims, outputs, recurrences, shared, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor of the same size."""
        shortcut = self.shortcut(x)
        return self.second(self.first(shortcut)) + shortcut


class RecurrentConvolution(nn.Module):
    """h0 = ReLU(W0 x), h(k) = ReLU(Wk (h(k-1) + x)) for k = 1 ... t; the answer is h(t)."""

    def __init__(self, dims: int, channels: int, recurrences: int, shared: bool, norm: str) -> None:
        super().__init__()
        layer = [self._layer(dims, channels, norm) for _ in range(1 if shared else recurrences + 1)]
        self.layers = nn.ModuleList(layer)
        self.recurrences = recurrences

    @staticmethod
    def _layer(dims: int, channels: int, norm: str) -> nn.Sequential:
        return nn.Sequential(convolution(dims, channels, channels), normalisation(dims, channels, norm))

    def halve(self) -> None:
        """Halve the weights of the recurrences."""
        for layer in self.layers[-self.recurrences :] if self.recurrences else ():
            for parameter in layer.parameters():
                if parameter.ndim > 1:
                    parameter.data.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor of the same size."""
        h = F.relu(self.layers[0](x))
        for k in range(1, self.recurrences + 1):
            h = F.relu(self.layers[k % len(self.layers)](h + x))
        return h
