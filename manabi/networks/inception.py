"""Inception-V3, written from its paper for images of any size.

Szegedy C, Vanhoucke V, Ioffe S, Shlens J, Wojna Z. Rethinking the Inception architecture for computer vision. CVPR
2016, 10.1109/CVPR.2016.308 (arXiv:1512.00567): figure 5 (two 3×3 for a 5×5), 6 (n×1 after 1×n), 7 (widened outputs),
10 (reduction) and table 1. Where table 1 leaves widths open they are those of the model its authors published, which
also has a 1×1 convolution of 80 channels in the stem and a pooling where the table has a stride. The auxiliary
classifier is left out: it only regularises (section 4), and the source does not speak of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manabi.errors import InvalidInputError

SMALLEST = 75
"""Rows and columns below which the last reduction has nothing left to look at."""
EPSILON = 1e-3
"""Of the batch normalisation, as in the published model."""

Size = int | tuple[int, int]


class Unit(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(outputs, eps=EPSILON),
            nn.ReLU(inplace=True),
        )


def _row(inputs: int, outputs: int, n: int = 7) -> Unit:
    """1×n, the size is kept."""
    return Unit(inputs, outputs, (1, n), padding=(0, n // 2))


def _column(inputs: int, outputs: int, n: int = 7) -> Unit:
    """n×1, the size is kept."""
    return Unit(inputs, outputs, (n, 1), padding=(n // 2, 0))


class Branches(nn.Module):
    """Several paths over the same features, one beside the other in the answer."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, ...)`` to ``(N, sum of the paths' outputs, ...)``."""
        return torch.cat([path(x) for path in self.paths], dim=1)


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    """The pooling path of a module."""
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), Unit(inputs, outputs, 1))


def fine_module(inputs: int, pooled: int) -> Branches:
    """Figure 5: 1×1, 5×5, two 3×3 and pooling; ``224 + pooled`` channels."""
    return Branches(
        Unit(inputs, 64, 1),
        nn.Sequential(Unit(inputs, 48, 1), Unit(48, 64, 5, padding=2)),
        nn.Sequential(Unit(inputs, 64, 1), Unit(64, 96, 3, padding=1), Unit(96, 96, 3, padding=1)),
        _pooled(inputs, pooled),
    )


def factorised_module(inputs: int, middle: int) -> Branches:
    """Figure 6 with n = 7: 768 channels."""
    return Branches(
        Unit(inputs, 192, 1),
        nn.Sequential(Unit(inputs, middle, 1), _row(middle, middle), _column(middle, 192)),
        nn.Sequential(
            Unit(inputs, middle, 1), _column(middle, middle), _row(middle, middle), _column(middle, middle),
            _row(middle, 192),
        ),
        _pooled(inputs, 192),
    )  # fmt: skip


def wide_module(inputs: int) -> Branches:
    """Figure 7: 1×3 and 3×1 side by side; 2048 channels."""
    return Branches(
        Unit(inputs, 320, 1),
        nn.Sequential(Unit(inputs, 384, 1), Branches(_row(384, 384, 3), _column(384, 384, 3))),
        nn.Sequential(
            Unit(inputs, 448, 1), Unit(448, 384, 3, padding=1), Branches(_row(384, 384, 3), _column(384, 384, 3))
        ),
        _pooled(inputs, 192),
    )


def first_reduction(inputs: int) -> Branches:
    """Figure 10: half the size, 480 channels more."""
    return Branches(
        Unit(inputs, 384, 3, 2),
        nn.Sequential(Unit(inputs, 64, 1), Unit(64, 96, 3, padding=1), Unit(96, 96, 3, 2)),
        nn.MaxPool2d(3, 2),
    )


def second_reduction(inputs: int) -> Branches:
    """Half the size again, 512 channels more."""
    return Branches(
        nn.Sequential(Unit(inputs, 192, 1), Unit(192, 320, 3, 2)),
        nn.Sequential(Unit(inputs, 192, 1), _row(192, 192), _column(192, 192), Unit(192, 192, 3, 2)),
        nn.MaxPool2d(3, 2),
    )


class InceptionV3(nn.Module):
    """Table 1 with global average pooling: 21.8 million weights and 2049 per output.

    Args:
        in_channels: of the image.
        out_channels: numbers it gives.
        dropout: share of features dropped before the last layer while training (0.2 in the paper's code).
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 1, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Unit(in_channels, 32, 3, 2), Unit(32, 32, 3), Unit(32, 64, 3, padding=1), nn.MaxPool2d(3, 2),
            Unit(64, 80, 1), Unit(80, 192, 3), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.body = nn.Sequential(
            fine_module(192, 32), fine_module(256, 64), fine_module(288, 64), first_reduction(288),
            *(factorised_module(768, middle) for middle in (128, 160, 160, 192)), second_reduction(768),
            wide_module(1280), wide_module(2048),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, rows, columns)`` to ``(N, out_channels)``; raises InvalidInputError below 75 pixels."""
        if min(x.shape[2:]) < SMALLEST:
            raise InvalidInputError(
                f"Inception-V3 needs images of at least {SMALLEST}×{SMALLEST} pixels; got {tuple(x.shape[2:])}. "
                "Choose a larger size."
            )
        features = self.body(self.stem(x))
        return self.head(self.dropout(F.adaptive_avg_pool2d(features, 1).flatten(1)))
