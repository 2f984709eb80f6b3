"""The steps of one level of Glow: ActNorm, invertible 1x1 convolution and coupling, ``count`` times.

Kingma DP, Dhariwal P. Glow: generative flow with invertible 1x1 convolutions. NeurIPS 2018, arXiv 1807.03039, table 1.

Images are ``(b, rows, columns, channels)`` here, so that every convolution is a product of two matrices: the few
channels of a film make other ways slow. What step k needs lies at index k of tensors that hold all steps; ActNorm and
1x1 convolution of all steps become one matrix and one vector each by a few batched operations (:meth:`Steps.folded`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.nodule.glow_layers import gather_sum, patches

Coupling = Literal["affine", "additive"]

GAIN = 3.0
"""Zero-initialised layers are multiplied by exp(3 x a learned logarithm), as in the authors' code."""
LEAST_SCALE = 0.5
"""Least factor of an affine coupling (our choice): the inverse divides by it, step after step. Without a bound, errors
and unusual latents grow beyond all numbers (Behrmann J et al., Understanding and mitigating exploding inverses in
invertible neural networks, AISTATS 2021, arXiv 2006.09347); ActNorm and 1x1 convolution can scale by more."""
LEAST_SD = 1e-3
"""ActNorm takes a channel's standard deviation for no smaller than this when it is initialised (our choice)."""
FIRST_SD = 0.05
"""Standard deviation of the coupling networks' first weights, as in the authors' code."""


class Folded(NamedTuple):
    """What the steps compute with; the first axis of each is the step.

    Attributes:
        matrix: (count, channels, channels), ActNorm's scale and the 1x1 convolution in one; pixels are its rows.
        shift: (count, channels), added after it.
        w1, b1: first 3x3 convolution of the coupling network, (count, 9 half, hidden) and (count, hidden).
        w2, b2: its 1x1 convolution, (count, hidden, hidden) and (count, hidden).
        w3, b3: its last 3x3 convolution, (count, hidden, 9 out) and (count, out).
    """

    matrix: Tensor
    shift: Tensor
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    b3: Tensor

    def step(self, k: int) -> Folded:
        """The tensors of step ``k``, without the first axis."""
        return Folded(*(tensor[k] for tensor in self))

    @property
    def half(self) -> int:
        """Channels that the coupling of a single step leaves alone."""
        return self.w1.shape[-2] // 9


def mix(x: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """A 1x1 convolution: every pixel times a ``(c, c)`` matrix, plus a value per channel."""
    return torch.addmm(shift, x.reshape(-1, x.shape[-1]), matrix).view(x.shape)


def inverse_of(matrix: Tensor) -> Tensor:
    """Inverse of ``(..., c, c)`` matrices, computed in double precision."""
    return torch.linalg.inv(matrix.detach().double()).to(matrix.dtype)


class Hidden(NamedTuple):
    """The inside of a coupling network: 3x3 neighbourhoods and the two hidden layers, a row per pixel."""

    cols: Tensor
    first: Tensor
    second: Tensor


def coupling_network(a: Tensor, p: Folded) -> tuple[Tensor, Hidden]:
    """conv3 - ReLU - conv1 - ReLU - conv3 of the half that the coupling leaves alone, and what lies between."""
    cols = patches(a)
    first = torch.addmm(p.b1, cols, p.w1).relu_()
    second = torch.addmm(p.b2, first, p.w2).relu_()
    out = gather_sum((second @ p.w3).view(*a.shape[:3], -1)) + p.b3
    return out, Hidden(cols, first, second)


def shift_and_scale(out: Tensor, changed: int) -> tuple[Tensor, Tensor | None]:
    """What the coupling adds, and what it then multiplies by: sigmoid(h + 2), no less than :data:`LEAST_SCALE`.

    Args:
        out: of the network, with ``changed`` channels (additive, no scale) or twice as many (affine).
        changed: channels that the coupling changes.
    """
    if out.shape[-1] == changed:
        return out, None
    return out[..., :changed], LEAST_SCALE + (1.0 - LEAST_SCALE) * torch.sigmoid(out[..., changed:] + 2.0)


def step_forward(x: Tensor, p: Folded) -> tuple[Tensor, Tensor]:
    """One step towards the latents: its output, and the coupling's log-determinant ``(b,)``."""
    u = mix(x, p.matrix, p.shift)
    a, b = u[..., : p.half], u[..., p.half :]
    shift, scale = shift_and_scale(coupling_network(a, p)[0], b.shape[-1])
    if scale is None:
        return torch.cat([a, b + shift], -1), x.new_zeros(len(x))
    return torch.cat([a, (b + shift) * scale], -1), scale.log().flatten(1).sum(1)


def step_inverse(y: Tensor, p: Folded, inverse: Tensor) -> Tensor:
    """One step towards the film; ``inverse`` is that of ``p.matrix``."""
    a, b = y[..., : p.half], y[..., p.half :]
    shift, scale = shift_and_scale(coupling_network(a, p)[0], b.shape[-1])
    b = b - shift if scale is None else b / scale - shift
    return mix(torch.cat([a, b], -1) - p.shift, inverse, torch.zeros_like(p.shift))


class Steps(nn.Module):
    """The weights of ``count`` steps on ``channels`` channels.

    Args:
        count: number of steps, K in the source.
        channels: of the images, at least 2.
        hidden: channels inside the coupling networks.
        coupling: affine, or additive as the source takes for 256 x 256 images.

    Raises:
        InvalidInputError: for sizes below those, or another coupling.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, count: int, channels: int, hidden: int, coupling: Coupling = "affine") -> None:
        super().__init__()
        if min(count, hidden) < 1 or channels < 2:
            raise InvalidInputError(
                f"A level needs 1 step, 2 channels and 1 hidden channel at least; got {count}, {channels}, {hidden}."
            )
        if coupling not in ("affine", "additive"):
            raise InvalidInputError(f"coupling must be affine or additive; got {coupling!r}.")
        self.count, self.channels, self.kept = count, channels, channels // 2
        self.out = (channels - self.kept) * (2 if coupling == "affine" else 1)
        self._linear(count, channels)
        self.w1 = nn.Parameter(FIRST_SD * torch.randn(count, 9 * self.kept, hidden))
        self.w2 = nn.Parameter(FIRST_SD * torch.randn(count, hidden, hidden))
        self.w3 = nn.Parameter(torch.zeros(count, hidden, 9 * self.out))
        self.b1, self.log1 = _pair(count, hidden)
        self.b2, self.log2 = _pair(count, hidden)
        self.b3, self.log3 = _pair(count, self.out)

    def _linear(self, count: int, channels: int) -> None:
        """ActNorm, and a random rotation as P L (U + diag(sign exp(log))), eq. 10 of the source."""
        self.bias, self.log_scale = _pair(count, channels)
        rotation = torch.linalg.qr(torch.randn(count, channels, channels)).Q
        order, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal(dim1=1, dim2=2)
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.register_buffer("order", order)
        self.register_buffer("sign", diagonal.sign())

    def folded(self) -> Folded:
        """Matrices and weights of all steps, differentiable with respect to the parameters."""
        lower = self.lower.tril(-1) + torch.eye(self.channels, dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag_embed(self.sign * self.log_diagonal.exp())
        matrix = self.log_scale.exp()[:, :, None] * (self.order @ lower @ upper)
        shift = torch.einsum("ki,kij->kj", self.bias, matrix)
        one, two, three = self.log1.exp(), self.log2.exp(), (GAIN * self.log3).exp()
        return Folded(
            matrix, shift, self.w1 * one[:, None], self.b1 * one, self.w2 * two[:, None], self.b2 * two,
            self.w3 * three.repeat(1, 9)[:, None], self.b3 * three,
        )  # fmt: skip

    def log_determinant(self) -> Tensor:
        """Of the linear parts of all steps, per pixel: a scalar."""
        return self.log_scale.sum() + self.log_diagonal.sum()

    @torch.no_grad()
    def initialise(self, x: Tensor) -> Tensor:
        """Set every ActNorm so that its output on ``x`` has mean 0 and variance 1; returns the steps' output.

        Section 3.1 of the source. The ActNorms inside the coupling networks are set in the same way, as in the
        authors' code.
        """
        for k in range(self.count):
            _normalise(x.flatten(0, 2), self.bias[k], self.log_scale[k])
            p = self.folded().step(k)
            cols = patches(mix(x, p.matrix, p.shift)[..., : self.kept])
            _normalise(cols @ self.w1[k], self.b1[k], self.log1[k])
            p = self.folded().step(k)
            _normalise(F.relu(cols @ p.w1 + p.b1) @ self.w2[k], self.b2[k], self.log2[k])
            x = step_forward(x, self.folded().step(k))[0]
        return x


def _pair(count: int, size: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Zeros for a bias and for the logarithm of a factor."""
    return nn.Parameter(torch.zeros(count, size)), nn.Parameter(torch.zeros(count, size))


def _normalise(rows: Tensor, bias: Tensor, log_scale: Tensor) -> None:
    """Write bias and log-scale so that ``(rows + bias) exp(log_scale)`` has mean 0 and variance 1 per column."""
    sd, mean = torch.std_mean(rows, dim=0)
    bias.copy_(-mean)
    log_scale.copy_(-sd.clamp(min=LEAST_SD).log())
