"""Every term of the loss of UnpairedImageTranslation, by name, and those that we add, as pure functions.

The program of Ozaki et al., Medical Physics 2022, 10.1002/mp.15626 (Kaji's UnpairedImageTranslation) gives the terms;
the code is ours. Images are ``(n, slices, rows, columns)``, scaled to -1 … 1; every term is a scalar, a mean over all
values, so that its weight does not depend on the size of a crop, as in the program.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from manabi.networks.patch_discriminator import verdict_weights

AIR = -0.997
"""Scaled value up to which a pixel is air (the source's)."""


def difference(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference: the term of cycle, autoencoder, domain preservation and idempotence."""
    return (first - second).abs().mean()


def least_squares(verdict: Tensor, target: float, jitter: Tensor | None = None) -> Tensor:
    """Mean squared distance of the judge's scores from ``target`` (LSGAN; Mao et al., ICCV 2017), weighted where it is.

    Args:
        verdict: ``(n, 1, ...)`` scores, or ``(n, 2, ...)`` with the weights' u (tanh(u) + 1 per patch).
        target: 1 for real, 0 for made.
        jitter: a random number to add to the target, ``()`` or ``(n, 1, 1, 1)``; the source draws one per batch.
    """
    wanted = target if jitter is None else target + jitter
    return (verdict_weights(verdict) * (verdict[:, :1] - wanted).square()).mean()


def wasserstein(verdict: Tensor, sign: float) -> Tensor:
    """``sign`` times the mean score (WGAN; Arjovsky et al., ICML 2017): -1 for real in the judge's loss, 1 for made."""
    return sign * (verdict_weights(verdict) * verdict[:, :1]).mean()


def slope_penalty(slopes: Tensor) -> Tensor:
    """Mean squared distance from 1 of the judge's slopes between real and made images ``(n,)``.

    WGAN-GP, Gulrajani et al., NeurIPS 2017, eq. 3; the slopes are from :func:`slopes_between`.
    """
    return (slopes - 1).square().mean()


def slopes_between(judge: torch.nn.Module, real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """The norm of the judge's gradient at mixtures of real and made images, ``(n,)``, itself differentiable.

    Args:
        judge: gives scores of images.
        real: ``(n, ...)``.
        made: the same shape.
        share: how much of the mixture is real, ``(n, 1, 1, 1)``, from 0 to 1.
    """
    middle = (share * real + (1 - share) * made).detach().requires_grad_()
    with torch.enable_grad():
        score = judge(middle)[:, :1].sum()
        (slope,) = torch.autograd.grad(score, middle, create_graph=torch.is_grad_enabled())
    return slope.flatten(1).square().sum(1).add(1e-6).sqrt()


def weight_size(verdict: Tensor) -> Tensor:
    """Mean absolute u of a weighted judge, which keeps its weights near 1."""
    return verdict[:, 1:].abs().mean()


def latent_size(latent: Tensor) -> Tensor:
    """Mean square of the latent image."""
    return latent.square().mean()


def feature_difference(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference of features of two images: the perceptual term."""
    return (first - second).square().mean()


def gradient(first: Tensor, second: Tensor, blur_px: float = 0.0) -> Tensor:
    """Mean absolute difference of the finite differences of two images along rows and columns, summed over both.

    With ``blur_px`` both images are smoothed first (SD in pixels): edges are compared, and noise that a conversion
    rightly takes away is charged less (our addition).
    """
    rest = first - second
    if blur_px > 0:
        rest = blurred(rest, blur_px)
    return rest.diff(dim=-1).abs().mean() + rest.diff(dim=-2).abs().mean()


def blurred(image: Tensor, sigma_px: float) -> Tensor:
    """Gaussian smoothing of rows and columns inside the image; the margin that a full kernel needs is lost.

    The kernel reaches to 2 SD. An image that is smaller than the kernel is refused by torch.
    """
    reach = max(1, round(2 * sigma_px))
    steps = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (steps / sigma_px).square())
    kernel = (kernel / kernel.sum()).to(image.dtype)
    n, slices, rows, columns = image.shape
    flat = image.reshape(n * slices, 1, rows, columns)
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None])
    return flat.reshape(n, slices, *flat.shape[2:])


def crosses_air(first: Tensor, second: Tensor, threshold: float = AIR) -> Tensor:
    """Where exactly one of two images is air; boolean, of their shape."""
    return (first <= threshold) ^ (second <= threshold)


def air(first: Tensor, second: Tensor, threshold: float = AIR) -> Tensor:
    """Mean of |first - second| where :func:`crosses_air`, 0 elsewhere: only leaving or entering air costs."""
    return (crosses_air(first, second, threshold) * (first - second).abs()).mean()


def total_variation(image: Tensor, tau: float = 1e-3) -> Tensor:
    """Mean of sqrt(dx² + dy² + tau²), less tau so that a flat image costs nothing (the constant is our choice)."""
    across = image[..., :-1, 1:] - image[..., :-1, :-1]
    down = image[..., 1:, :-1] - image[..., :-1, :-1]
    return (across.square() + down.square() + tau**2).sqrt().mean() - tau


def slice_variation(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring slices of a stack; 0 for a single one."""
    return image.diff(dim=1).abs().mean() if image.shape[1] > 1 else image.new_zeros(())


def contrast_of_patches(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """PatchNCE: each patch's query must be nearest to the key of its own place among those of the same image.

    Park et al., Contrastive learning for unpaired image-to-image translation, ECCV 2020, eq. 3.

    Args:
        queries: ``(n, patches, channels)``, of length 1, features of the converted image.
        keys: the same shape, of the input; no gradient passes through them.
        temperature: the softmax's.
    """
    scores = queries @ keys.detach().transpose(1, 2) / temperature
    places = torch.arange(scores.shape[1], device=scores.device).expand(scores.shape[:2])
    return F.cross_entropy(scores.flatten(0, 1), places.flatten())
