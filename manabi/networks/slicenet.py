"""One small network for all levels: a residual encoder of a slice and its neighbours, with probabilities and offsets.

The source trains one ImageNet classifier of 5 to 28 million weights per marker (EfficientNet-B4, DenseNet-169, ...).
This network is ours: all markers share one encoder, which also learns how far away each marker is, as body-part
regression does (Yan K et al. Unsupervised body part regression via spatially self-ordering convolutional neural
networks. ISBI 2018, 10.1109/ISBI.2018.8363745). Residual blocks after He K et al. Deep residual learning for image
recognition. CVPR 2016, 10.1109/CVPR.2016.90.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTHS = (20, 40, 72, 112, 160)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size (our choice: 0.9 million weights)."""


class Residual(nn.Module):
    """Two 3×3 convolutions with batch normalisation around a shortcut; the first one may halve the size."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else nn.Sequential(
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, rows, columns)`` to ``(N, outputs, rows / stride, columns / stride)``."""
        return torch.relu(self.body(x) + self.shortcut(x))


class SliceNet(nn.Module):
    """Slices to levels.

    Args:
        in_channels: planes of the input (see :class:`manabi.slices.prepare.InputSettings`).
        widths: channels of the stem and of each residual block, which halves the size.
        markers: number of levels.
        dropout: share of features dropped before the head while training.
    """

    def __init__(
        self, in_channels: int = 6, widths: Sequence[int] = WIDTHS, markers: int = 3, dropout: float = 0.1
    ) -> None:
        super().__init__()
        first = widths[0]
        self.markers = markers
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True),
        )  # fmt: skip
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.blocks = nn.Sequential(*(Residual(a, b, stride=2) for a, b in pairs))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * widths[-1], 2 * markers)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, rows, columns)`` to ``(N, 2 · markers)``.

        The first half are logits that the slice is the marker's; the second half lies in (-1, 1): the hyperbolic
        tangent of the marker's distance (towards the head) over 40 mm.
        """
        features = self.blocks(self.stem(x))
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        out = self.head(self.dropout(pooled))
        return torch.cat([out[:, : self.markers], torch.tanh(out[:, self.markers :])], dim=1)
