"""The Gaussian priors of Glow: of the half that each level splits off, and of the last level's output.

Section 3 of the source (arXiv 1807.03039) and the authors' code. Latents are in units of their prior: the value minus
its mean, by its standard deviation, so that all of them are standard normal to the model.
Images are ``(b, rows, columns, channels)``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.nodule.glow_layers import conv3
from manabi.nodule.glow_steps import GAIN

MOST_LOG_SD = 1.5
"""Priors of split halves are no wider than its exponential, about 4.5 (our choice): their halves have variances near 1,
and a prior far wider than that, met by an unusual film or sample, would spoil all finer levels."""
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def standard_log_density(eps: Tensor) -> Tensor:
    """Logarithm of the standard normal density of ``(b, ...)``, summed to ``(b,)``."""
    return (-0.5 * eps.square() - HALF_LOG_2PI).flatten(1).sum(1)


class SplitPrior(nn.Module):
    """The first half of the channels goes on; the second is Gaussian, given the first.

    Mean and log standard deviation come from a zero-initialised 3x3 convolution of the first half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kept = channels // 2
        split = channels - self.kept
        self.weight = nn.Parameter(torch.zeros(9 * self.kept, 2 * split))
        self.bias = nn.Parameter(torch.zeros(2 * split))
        self.log_gain = nn.Parameter(torch.zeros(2 * split))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The half that goes on, the other in units of its prior, and its log-density ``(b,)``."""
        kept, split = x[..., : self.kept].contiguous(), x[..., self.kept :]
        mean, log_sd = self._prior(kept)
        eps = (split - mean) * (-log_sd).exp()
        return kept, eps, standard_log_density(eps) - log_sd.flatten(1).sum(1)

    def inverse(self, kept: Tensor, eps: Tensor) -> Tensor:
        """All channels again."""
        mean, log_sd = self._prior(kept)
        return torch.cat([kept, mean + eps * log_sd.exp()], -1)

    def _prior(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        gain = (GAIN * self.log_gain).exp()
        mean, log_sd = conv3(kept, self.weight * gain, self.bias * gain).chunk(2, -1)
        return mean, torch.where(log_sd > 0, MOST_LOG_SD * torch.tanh(log_sd / MOST_LOG_SD), log_sd)


class TopPrior(nn.Module):
    """The Gaussian of the last level's output, learned, one for each class.

    Args:
        channels: of that output.
        grid: rows and columns for a mean and a standard deviation at every place, which suits whole films, where
            anatomy has its place (our choice); None for one value per channel.
        classes: 0 for none.
    """

    def __init__(self, channels: int, grid: tuple[int, int] | None, classes: int = 0) -> None:
        super().__init__()
        shape = (max(classes, 1), *(grid or (1, 1)), channels)
        self.classes = classes
        self.mean, self.log_sd = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``x`` in units of its prior, and its log-density ``(b,)``."""
        mean, log_sd = self._prior(label)
        eps = (x - mean) * (-log_sd).exp()
        return eps, standard_log_density(eps) - log_sd.expand_as(x).flatten(1).sum(1)

    def inverse(self, eps: Tensor, label: Tensor | None = None) -> Tensor:
        """The level's output again."""
        mean, log_sd = self._prior(label)
        return mean + eps * log_sd.exp()

    def _prior(self, label: Tensor | None) -> tuple[Tensor, Tensor]:
        if (label is None) != (self.classes == 0):
            raise InvalidInputError(f"The flow has {self.classes} classes; give a label per film, or none for 0.")
        chosen = slice(0, 1) if label is None else label
        return self.mean[chosen], self.log_sd[chosen]
