"""Losses of the recipes, for batches ``(n, channels, ...)`` of two or three spatial axes; each is a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.errors import InvalidInputError

Loss = Callable[[Tensor, Tensor], Tensor]


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(prediction, target)


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return F.l1_loss(prediction, target)


def ssim(prediction: Tensor, target: Tensor, data_range: float = 1.0, window: int = 7) -> Tensor:
    """Mean structural similarity, differentiable, the same number as scikit-image's default convention.

    ``(2 μx μy + c1)(2 σxy + c2) / ((μx² + μy² + c1)(σx² + σy² + c2))`` with ``c1 = (0.01 L)²``, ``c2 = (0.03 L)²``,
    uniform windows that lie wholly inside the image, and sample covariance (Wang et al., Image quality assessment,
    IEEE TIP 2004;13:600, 10.1109/TIP.2003.819861, eq. 13; uniform window and sample covariance as in scikit-image).

    Args:
        prediction: ``(n, channels, ...)`` with two or three spatial axes.
        target: the same shape.
        data_range: L, the range of the values.
        window: side of the window in pixels, odd.

    Raises:
        InvalidInputError: when the window does not fit into the image.
    """
    if min(prediction.shape[2:]) < window:
        raise InvalidInputError(f"SSIM with a window of {window} needs as many pixels; got {prediction.shape}.")
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[prediction.ndim - 2]
    count = window ** (prediction.ndim - 2)
    sample = count / (count - 1)
    x, y = prediction.float(), target.float()
    mean_x, mean_y = pool(x, window, 1), pool(y, window, 1)
    variance_x = sample * (pool(x * x, window, 1) - mean_x * mean_x)
    variance_y = sample * (pool(y * y, window, 1) - mean_y * mean_y)
    covariance = sample * (pool(x * y, window, 1) - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (above / below).mean()


def l1_ssim(prediction: Tensor, target: Tensor, ssim_weight: float = 0.84) -> Tensor:
    """``w (1 - SSIM) + (1 - w) L1`` for values from 0 to 1.

    The weight is that of Zhao et al., Loss functions for image restoration with neural networks, IEEE Trans Comput
    Imaging 2017;3:47, 10.1109/TCI.2016.2644865, who use multi-scale SSIM; single-scale is our choice.
    """
    return ssim_weight * (1 - ssim(prediction, target)) + (1 - ssim_weight) * l1(prediction, target)


LOSSES: dict[str, Loss] = {"mse": mse, "l1": l1, "l1_ssim": l1_ssim}
"""Losses of one image against another, by the name a configuration gives."""


def gaussian_nll(
    mean: Tensor, log_variance: Tensor, target: Tensor, beta: float = 0.0, bounds: tuple[float, float] = (-14.0, 6.0)
) -> Tensor:
    """Negative log-likelihood of a normal distribution whose variance is predicted too (constant left out).

    ``½ (log σ² + (y - μ)² / σ²)`` per value (Nix and Weigend, ICNN 1994; Kendall and Gal, NeurIPS 2017, eq. 8). With
    ``beta`` each value is weighted by σ^(2β), held constant in the gradient: Seitzer et al., On the pitfalls of
    heteroscedastic uncertainty estimation, ICLR 2022, eq. 7, who advise 0.5. ``beta=1`` gives the mean the gradient of
    the squared error.

    Args:
        mean: predicted mean.
        log_variance: predicted logarithm of the variance, the same shape.
        target: the true values.
        beta: 0 to 1.
        bounds: the log-variance is limited to these (our choice), so that one sure mistake does not end the training.
    """
    limited = log_variance.clamp(*bounds)
    loss = 0.5 * (limited + (target - mean).square() * torch.exp(-limited))
    if beta:
        loss = loss * torch.exp(beta * limited.detach())
    return loss.mean()


def count_penalty(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared relative difference of the total counts of each image, averaged over the batch (our choice).

    ``((Σ prediction - Σ target) / Σ target)²``; 0.01 is a change of counts by a tenth.
    """
    axes = tuple(range(1, target.ndim))
    true = target.sum(axes)
    smallest = torch.finfo(true.dtype).eps * target[0].numel()
    return ((prediction.sum(axes) - true) / true.abs().clamp_min(smallest)).square().mean()
