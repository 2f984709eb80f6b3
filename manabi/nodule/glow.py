"""Glow: an invertible map between films and Gaussian latents, with the exact likelihood of each film.

Kingma DP, Dhariwal P. Glow: generative flow with invertible 1x1 convolutions. NeurIPS 2018, arXiv 1807.03039. The
generator of the source of NoduleSynth: Hanaoka S et al., IJCARS 2024, 10.1007/s11548-024-03227-7.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.nodule.glow_grey import CENTRE, dequantise, film_noise
from manabi.nodule.glow_layers import squeeze, unsqueeze
from manabi.nodule.glow_prior import SplitPrior, TopPrior
from manabi.nodule.glow_reverse import ReversibleSteps
from manabi.nodule.glow_steps import Coupling, Steps, inverse_of, step_forward, step_inverse

LN2 = math.log(2.0)


class Glow(nn.Module):
    """A multi-scale flow of square films or patches with one channel.

    Each level folds blocks of 2 x 2 pixels into channels, runs ``steps`` steps, and splits half of the channels off as
    latents (the last level keeps all). Films are ``(b, rows, columns)`` in [0, 1].

    Args:
        size: rows and columns of the films; a multiple of 2 to the power of ``levels``.
        levels: L in the source.
        steps: K in the source.
        hidden: channels of the coupling networks.
        coupling: ``affine`` or ``additive``.
        top: ``channel`` for one prior mean and deviation per channel of the last level, ``place`` for one at each
            place too (whole films; our choice).
        classes: number of classes of films, each with a last prior of its own; 0 for none.
        bits: grey levels as a power of two; :attr:`bits` can be raised while training.
        reversible: whether training recomputes what lies between the steps from their output
            (:mod:`manabi.nodule.glow_reverse`) instead of keeping it; the same gradients up to rounding.

    Raises:
        InvalidInputError: for sizes that do not fit.
    """

    grey_bits: Tensor

    def __init__(
        self, size: int = 64, levels: int = 3, steps: int = 16, hidden: int = 64, coupling: Coupling = "affine",
        top: Literal["channel", "place"] = "channel", classes: int = 0, bits: int = 8, reversible: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if levels < 1 or size < 2**levels or size % 2**levels:
            raise InvalidInputError(
                f"size must be a multiple of 2 to the power of levels (here {2 ** max(levels, 1)}); got {size}."
            )
        self.size, self.levels, self.reversible = size, levels, reversible
        channels = [4 * 2**level for level in range(levels)]
        self.flows = nn.ModuleList(Steps(steps, count, hidden, coupling) for count in channels)
        self.splits = nn.ModuleList(SplitPrior(count) for count in channels[:-1])
        grid = (size >> levels, size >> levels)
        self.top = TopPrior(channels[-1], grid if top == "place" else None, classes)
        self.register_buffer("grey_bits", torch.tensor(bits))

    # --- what the flow says of films ------------------------------------------------------------------------------

    def encode(
        self, films: Tensor, noise: Tensor | None = None, label: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """Latents of films, and the log-density of each.

        Args:
            films: ``(b, rows, columns)`` in [0, 1].
            noise: within a grey level, as :func:`manabi.nodule.glow_grey.dequantise` takes it; None leaves the films
                as they are.
            label: ``(b,)`` class of each film, where the flow has classes.

        Returns:
            One latent per level, ``(b, rows, columns, channels)``, standard normal to the model; and the natural
            logarithm of the density ``(b,)`` of the dequantised values.

        Raises:
            InvalidInputError: where the films do not fit the flow.
        """
        x = dequantise(self._checked(films), noise, self.bits)[..., None]
        latents: list[Tensor] = []
        total = x.new_zeros(len(x))
        for level, steps in enumerate(self._steps()):
            x, log_determinant = self._run(squeeze(x), steps)
            total = total + log_determinant
            if level < self.levels - 1:
                x, eps, log_density = cast(SplitPrior, self.splits[level])(x)
            else:
                eps, log_density = self.top(x, label)
            latents.append(eps)
            total = total + log_density
        return latents, total

    def decode(self, latents: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        """Films ``(b, rows, columns)`` from their latents: the inverse of :meth:`encode`, not clipped.

        ``decode(encode(films, noise)[0])`` is the films in whole grey levels plus the noise within them.
        """
        if len(latents) != self.levels:
            raise InvalidInputError(f"The flow has {self.levels} levels of latents; got {len(latents)}.")
        x = self.top.inverse(latents[-1], label)
        for level in reversed(range(self.levels)):
            if level < self.levels - 1:
                x = cast(SplitPrior, self.splits[level]).inverse(x, latents[level])
            x = unsqueeze(self._inverse(x, cast(Steps, self.flows[level])))
        return x[..., 0] + CENTRE

    def forward(self, films: Tensor, noise: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Bits per dimension ``(b,)``, what training minimises."""
        return self.bits_per_dimension(films, noise, label)

    def bits_per_dimension(self, films: Tensor, noise: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Bits that a code from this model needs per pixel, at the present number of grey levels, ``(b,)``.

        An upper bound on those of the whole grey levels, for the noise is one sample (eq. 2 of the source).
        """
        _, log_density = self.encode(films, noise, label)
        return self.bits - log_density / (films[0].numel() * LN2)

    # --- films from the flow --------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, count: int, temperature: float = 0.7, seed: int = 0, label: Tensor | None = None) -> Tensor:
        """Films drawn from the model, ``(count, size, size)`` in [0, 1].

        Args:
            count: number of films.
            temperature: factor on the latents' standard deviation; 0.7 is the source's choice for its pictures.
            seed: the films follow from it alone.
            label: class of each film, where the flow has classes.
        """
        generator = torch.Generator().manual_seed(seed)
        device = self.grey_bits.device
        drawn = [temperature * torch.randn((count, *shape), generator=generator) for shape in self.latent_shapes()]
        return self.decode([latent.to(device) for latent in drawn], label).clamp(0.0, 1.0)

    def latent_shapes(self) -> list[tuple[int, int, int]]:
        """Rows, columns and channels of each level's latents, for films of the flow's size."""
        last = self.levels - 1
        channels = [2 * 2**level * (2 if level == last else 1) for level in range(self.levels)]
        sides = [self.size >> (level + 1) for level in range(self.levels)]
        return [(side, side, count) for count, side in zip(channels, sides, strict=True)]

    # --- state ----------------------------------------------------------------------------------------------------

    @property
    def bits(self) -> int:
        """Grey levels as a power of two; kept with the weights."""
        return int(self.grey_bits)

    @bits.setter
    def bits(self, value: int) -> None:
        """Take another number of grey levels from now on."""
        self.grey_bits.fill_(value)

    @torch.no_grad()
    def initialise(self, films: Tensor, seed: int = 0) -> None:
        """Data-dependent initialisation of every ActNorm by a batch of films (section 3.1 of the source).

        The source takes 256 films; the noise within a grey level follows from ``seed``.
        """
        films = self._checked(films)
        noise = film_noise(tuple(films.shape), seed).to(films.device)
        x = dequantise(films, noise, self.bits)[..., None]
        for level, steps in enumerate(self._steps()):
            x = steps.initialise(squeeze(x))
            if level < self.levels - 1:
                x = self.splits[level](x)[0]

    # --- parts ----------------------------------------------------------------------------------------------------

    def _steps(self) -> Iterator[Steps]:
        for steps in self.flows:
            yield cast(Steps, steps)

    def _run(self, x: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """A level's steps, and their log-determinant ``(b,)``."""
        folded = steps.folded()
        linear = steps.log_determinant() * (x.shape[1] * x.shape[2])
        if self.reversible and torch.is_grad_enabled():
            y, coupling = ReversibleSteps.apply(x, *folded)
            return y, coupling + linear
        total = linear.expand(len(x))
        for k in range(steps.count):
            x, log_determinant = step_forward(x, folded.step(k))
            total = total + log_determinant
        return x, total

    @staticmethod
    def _inverse(x: Tensor, steps: Steps) -> Tensor:
        folded = steps.folded()
        inverses = inverse_of(folded.matrix)
        for k in reversed(range(steps.count)):
            x = step_inverse(x, folded.step(k), inverses[k])
        return x

    def _checked(self, films: Tensor) -> Tensor:
        multiple = 2**self.levels
        if films.ndim != 3 or films.shape[1] % multiple or films.shape[2] % multiple or not films.is_floating_point():
            raise InvalidInputError(
                f"Expected float films (b, rows, columns), rows and columns multiples of {multiple}; got "
                f"{films.dtype} {tuple(films.shape)}."
            )
        return films
