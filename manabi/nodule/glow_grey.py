"""Grey levels of a flow: films in whole levels plus noise within a level.

Section 2 of the source of Glow (arXiv 1807.03039, eq. 2): noise of one level's width makes a density out of the
probabilities of whole levels. Fewer levels at first, then more, as Shibata H et al. train a flow of CT (X2CT-FLOW,
Tomography 2022, 10.3390/tomography8050179).
"""

from __future__ import annotations

import torch
from torch import Tensor

from manabi.errors import InvalidInputError

CENTRE = 0.5
"""Subtracted from films, so that a flow sees values around zero."""


def dequantise(films: Tensor, noise: Tensor | None, bits: int) -> Tensor:
    """Films ``(b, rows, columns)`` in [0, 1] as whole levels of ``bits`` bits plus noise within a level, centred.

    Args:
        films: values; those outside [0, 1] are clipped.
        noise: uniform in [0, 1), of the films' shape; the same noise for two films keeps them equal where they are.
            None leaves the films as they are, neither quantised nor clipped.
        bits: 1 to 16.

    Raises:
        InvalidInputError: where noise and films have different shapes, or for other ``bits``.
    """
    if noise is None:
        return films - CENTRE
    if noise.shape != films.shape:
        raise InvalidInputError(f"Noise must have the films' shape {tuple(films.shape)}; got {tuple(noise.shape)}.")
    if not 1 <= bits <= 16:
        raise InvalidInputError(f"bits must lie between 1 and 16; got {bits}.")
    levels = 2**bits
    whole = (films * levels).floor().clamp(0, levels - 1)
    return (whole + noise) / levels - CENTRE


def film_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Uniform noise in [0, 1) of a shape, from the seed alone, float32 on the CPU."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
