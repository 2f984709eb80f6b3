"""The detector of NoduleSynth while it is trained: a U-Net that also shows the features the contrast term compares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manabi.networks.bricks import pad_to_multiple
from manabi.networks.unet import UNet

START_LOGIT = -3.0
"""Bias of the last layer at the start: nodules are rare (our choice). From 0, NAC and NECMOS settle on a flat output
first: on simple films 640 steps did not leave it, from here 80 did."""


class PairUNet(UNet):
    """A U-Net of the same weights as ``manabi.networks.build("unet", ...)``, which is what the bundle names.

    In training, and with ``features``, the last features follow the logits as further channels, so that the network
    is still called as a whole (it may be distributed over processes).

    Args:
        features: whether the loss needs them.
        **arguments: of the U-Net.
    """

    def __init__(self, features: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.shows_features = features
        if isinstance(self.head.bias, Tensor):
            torch.nn.init.constant_(self.head.bias, START_LOGIT)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 1, rows, columns)`` logits, in training with the features behind them where they are asked for."""
        if not (self.training and self.shows_features):
            return super().forward(x)
        features = self.features(pad_to_multiple(x, self.factor))[..., : x.shape[2], : x.shape[3]]
        return torch.cat([self.head(features), features], 1)


def freeze_encoder(model: PairUNet) -> None:
    """Keep what the encoder learned: no gradients there. :func:`keep_statistics` does the rest while training."""
    model.down.requires_grad_(False)


def keep_statistics(model: PairUNet) -> None:
    """Normalise with the statistics of the first training, in the encoder: call it after ``model.train()``."""
    model.down.eval()
