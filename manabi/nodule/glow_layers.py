"""3x3 convolutions with few channels as products of matrices, and folding of pixels into channels.

Images are ``(b, rows, columns, channels)``. A convolution with few inputs multiplies every pixel's neighbourhood
(:func:`patches`) by the weights; one with few outputs multiplies every pixel by them and sums over the neighbours
afterwards (:func:`gather_sum`). Zeros lie beyond the border.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def patches(x: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every pixel: ``(b * rows * columns, 9 * channels)``, row by row of the neighbourhood."""
    b, rows, columns, c = x.shape
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    one, row, column, _ = padded.stride()
    windows = padded.as_strided((b, rows, columns, 3, 3 * c), (one, row, column, row, 1))
    return windows.reshape(b * rows * columns, 9 * c)


def gather_sum(parts: Tensor) -> Tensor:
    """Sum of what the 3x3 neighbours hold for a pixel.

    Args:
        parts: ``(b, rows, columns, 9 * channels)``; the n-th part of a pixel counts for the pixel whose n-th
            neighbour it is, in the order of :func:`patches`.

    Returns:
        ``(b, rows, columns, channels)``.
    """
    b, rows, columns, nine = parts.shape
    c = nine // 9
    parts = parts.view(b, rows, columns, 3, 3 * c)
    across = parts[..., c : 2 * c].clone()
    across[:, :, 1:] += parts[:, :, :-1, :, :c]
    across[:, :, :-1] += parts[:, :, 1:, :, 2 * c :]
    total = across[:, :, :, 1].clone()
    total[:, 1:] += across[:, :-1, :, 0]
    total[:, :-1] += across[:, 1:, :, 2]
    return total


def reversed_parts(x: Tensor) -> Tensor:
    """The nine parts of the last axis in reversed order: what turns each of the two functions into the other's adjoint.

    ``gather_sum(reversed_parts(g))`` is the gradient of :func:`patches`, and ``reversed_parts(patches(g))`` that of
    :func:`gather_sum`.
    """
    return x.unflatten(-1, (9, -1)).flip(-2).flatten(-2)


def conv3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution by weights ``(9 * channels, out)`` and a bias ``(out,)``."""
    return (patches(x) @ weight + bias).view(*x.shape[:3], -1)


def squeeze(x: Tensor) -> Tensor:
    """``(b, 2 r, 2 s, c)`` to ``(b, r, s, 4 c)``: every block of 2 x 2 pixels becomes channels."""
    b, rows, columns, c = x.shape
    x = x.reshape(b, rows // 2, 2, columns // 2, 2, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, rows // 2, columns // 2, 4 * c)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of :func:`squeeze`."""
    b, rows, columns, c = x.shape
    x = x.reshape(b, rows, columns, 2, 2, c // 4)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * rows, 2 * columns, c // 4)
