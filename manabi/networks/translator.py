"""A network that translates one kind of image into another: an encoder, residual blocks, a decoder.

The generator of CycleGAN (Zhu et al., ICCV 2017, 10.1109/ICCV.2017.244) in two parts, so that an encoder can be joined
to the decoder of the other direction, as in UnpairedImageTranslation, the program of the source (Kaji; MVCT to kVCT in
Ozaki et al., Med Phys 2022, 10.1002/mp.15626). Its options are facts from there; the code is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.bricks import (
    ImageNetwork,
    activate,
    concatenate,
    convolution,
    max_pool,
    normalisation,
    pad_to_multiple,
)
from manabi.networks.pix2pix import NoiseDropout

Skip = Literal["none", "concat", "add", "conv"]
Down = Literal["stride", "maxpool"]
Up = Literal["resize", "unpool", "pixelshuffle"]
WIDE = 7
"""Kernel of the first and last convolution."""
THIN_SKIP = 4
"""Channels of a skip connection of the kind ``conv``."""


class Skips(NamedTuple):
    """What a decoder needs besides the latent image.

    Attributes:
        levels: the encoder's features before the residual blocks, finest first.
        size: rows and columns (and slices) of the image before it was padded.
        images: the padded image that a residual network corrects; None otherwise.
    """

    levels: tuple[Tensor, ...]
    size: tuple[int, ...]
    images: Tensor | None


Encoded = tuple[Tensor, Skips]


class Translator(ImageNetwork):
    """Encoder, residual blocks and decoder, for images of any size.

    A 7×7 convolution, a halving of the size per further filter, ``blocks`` residual blocks, a doubling per level, a 7×7
    convolution. The first half of the blocks (the larger one) belongs to the encoder. The source has nine in all,
    five and four: ``blocks=9``. Instance normalisation has no weights of its own, as in the source.

    Args:
        in_channels: channels of the input; neighbouring slices for 2.5-D.
        out_channels: 1, or as many as the input: then every slice is translated, which a cycle needs.
        filters: channels per level, finest first.
        blocks: residual blocks in encoder and decoder together.
        skip: how the encoder's features reach the decoder: ``none`` (the source's default), ``concat``, ``add``, or
            ``conv``, reduced to four channels first. Skips keep detail and hand noise through.
        down: a convolution with ``stride`` 2, or a convolution and ``maxpool``.
        up: ``resize`` (bilinear) or ``unpool`` (repetition, the source's) and a convolution, or ``pixelshuffle``.
        norm: ``none``, ``batch`` or ``instance``.
        latent_noise: SD of normal noise added to the latent image in training.
        dropout: probability that a value inside a residual block is dropped; active in
            :func:`manabi.networks.pix2pix.sampling` too.
        residual: the network gives a correction that is added to its input, to all slices where they are as many as the
            answers and to the centre slice otherwise. It begins near zero and cannot move anatomy as easily (our
            choice).
        spatial_dims: 2 or 3.
        output_activation: ``linear``, ``tanh`` (the source's), ``sigmoid`` or ``softplus``.

    Raises:
        InvalidInputError: for arguments that make no network.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        filters: Sequence[int] = (32, 64, 128),
        blocks: int = 9,
        skip: Skip = "none",
        down: Down = "stride",
        up: Up = "resize",
        norm: str = "instance",
        latent_noise: float = 0.0,
        dropout: float = 0.0,
        residual: bool = False,
        spatial_dims: int = 2,
        output_activation: str = "linear",
    ) -> None:
        super().__init__(in_channels, out_channels, filters, spatial_dims, output_activation, residual, norm)
        _check(blocks, skip, down, up, latent_noise, dropout)
        self.skip, self.latent_noise = skip, latent_noise
        self.factor = max(4, 2 ** len(self.filters))
        dims, f = spatial_dims, self.filters
        wide = nn.Conv3d if dims == 3 else nn.Conv2d
        enter = wide(in_channels, f[0], WIDE, bias=norm == "none")
        self.first = nn.Sequential(Mirrored(WIDE // 2), enter, plain_norm(dims, f[0], norm), nn.ReLU())
        self.down = nn.ModuleList(_down(dims, a, b, norm, down) for a, b in pairwise(f))
        chain = [ResidualBlock(dims, f[-1], norm, dropout) for _ in range(blocks)]
        self.encoder_blocks = nn.Sequential(*chain[: (blocks + 1) // 2])
        self.decoder_blocks = nn.Sequential(*chain[(blocks + 1) // 2 :])
        merged = {"none": 0, "add": 0, "conv": THIN_SKIP}
        joined = [b + (merged.get(skip, b) if i < len(f) - 1 else 0) for i, b in enumerate(f)]
        self.up = nn.ModuleList(_up(dims, joined[i + 1], f[i], norm, up) for i in range(len(f) - 1))
        thin = f[:-1] if skip == "conv" else ()
        self.thin = nn.ModuleList(convolution(dims, channels, THIN_SKIP, 1) for channels in thin)
        self.margin = Mirrored(WIDE // 2)
        self.head = wide(joined[0], out_channels, WIDE)
        self.initialise()

    @property
    def images(self) -> int:
        """How many of the answer's channels are images: all where they are as many as the input's, else the first."""
        return self.out_channels if self.out_channels == self.in_channels else 1

    def encode(self, x: Tensor) -> Encoded:
        """``(n, in_channels, *size)`` to the latent image and what else a decoder needs."""
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise InvalidInputError(
                f"Expected a tensor (batch, {self.in_channels}, {'depth, ' * (self.dims - 2)}height, width); "
                f"got shape {tuple(x.shape)}."
            )
        padded = pad_to_multiple(x, self.factor)
        latent, levels = self._encode(padded)
        return latent, Skips(levels, tuple(x.shape[2:]), padded if self.residual else None)

    def decode(self, latent: Tensor, skips: Skips) -> Tensor:
        """The latent image, from this encoder or another's, to ``(n, out_channels, *size)``."""
        y = self.head(self.margin(self._decode(latent, skips.levels)))
        image = y[:, : self.images]
        if skips.images is not None:
            centre = self.in_channels // 2
            image = image + (skips.images if self.images > 1 else skips.images[:, centre : centre + 1])
        image = activate(image, self.output_activation)
        y = image if self.images == self.out_channels else torch.cat([image, y[:, 1:]], 1)
        whole = [slice(None), slice(None)]
        return y[tuple(whole + [slice(n) for n in skips.size])]

    def forward(self, x: Tensor) -> Tensor:
        """``(n, in_channels, *size)`` to ``(n, out_channels, *size)``."""
        return self.decode(*self.encode(x))

    def _encode(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        latent = self.encoder_blocks(levels[-1])
        if self.training and self.latent_noise:
            latent = latent + self.latent_noise * torch.randn_like(latent)
        return latent, tuple(levels)

    def _decode(self, x: Tensor, levels: Sequence[Tensor]) -> Tensor:
        x = self.decoder_blocks(x)
        for i in reversed(range(len(self.up))):
            x = self._merged(self.up[i](x), i, levels)
        return x

    def _merged(self, x: Tensor, level: int, levels: Sequence[Tensor]) -> Tensor:
        """The decoder's features with the encoder's of that level."""
        if self.skip == "none":
            return x
        if self.skip == "add":
            return x + levels[level]
        return concatenate(x, self.thin[level](levels[level]) if self.skip == "conv" else levels[level])


class ResidualBlock(nn.Module):
    """ReLU(x + two 3×3 convolutions with normalisation), as in the source."""

    def __init__(self, dims: int, channels: int, norm: str, dropout: float = 0.0) -> None:
        super().__init__()
        between = [NoiseDropout(dropout)] if dropout else []
        self.layers = nn.Sequential(
            *_normalised(dims, channels, channels, norm),
            nn.ReLU(),
            *between,
            *_normalised(dims, channels, channels, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor of the same shape."""
        return F.relu(x + self.layers(x))


class PlainInstanceNorm(nn.Module):
    """Instance normalisation without weights: each image and channel with mean 0 and spread 1.

    On processors it takes batch normalisation's kernel, image by image: the same values, and a quarter of the time of
    PyTorch's own, which also loses the channels-last order.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, ...)`` of at least two values per channel."""
        if x.device.type != "cpu" or not len(x):
            return F.instance_norm(x)
        parts = [F.batch_norm(part[None], None, None, training=True) for part in x]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class Mirrored(nn.Module):
    """The image continued by reflection on every side.

    Made of mirrored copies: the gradient of torch's own reflection does not repeat bit for bit on graphics cards.
    """

    def __init__(self, margin: int) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, *size)`` to ``(n, channels, *larger)``; every axis must be longer than the margin."""
        for axis in range(2, x.ndim):
            n = x.shape[axis]
            before, after = x.narrow(axis, 1, self.margin), x.narrow(axis, n - 1 - self.margin, self.margin)
            x = torch.cat([before.flip(axis), x, after.flip(axis)], axis)
        return x


class PixelShuffle(nn.Module):
    """Groups of 4 (or 8) channels laid out as pixels of twice the size; for two or three axes."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels · 2^dims, *size)`` to ``(n, channels, *twice)``."""
        dims = x.ndim - 2
        n, channels, *size = x.shape
        split = x.reshape(n, channels // 2**dims, *(2,) * dims, *size)
        order = [axis for i in range(dims) for axis in (2 + dims + i, 2 + i)]
        return split.permute(0, 1, *order).reshape(n, channels // 2**dims, *(2 * side for side in size))


def plain_norm(dims: int, channels: int, norm: str) -> nn.Module:
    """As :func:`manabi.networks.bricks.normalisation`, but instance normalisation without weights."""
    return PlainInstanceNorm() if norm == "instance" else normalisation(dims, channels, norm)


def _normalised(dims: int, inputs: int, outputs: int, norm: str, stride: int = 1) -> list[nn.Module]:
    """A 3×3 convolution and its normalisation; a bias before a normalisation would do nothing."""
    kind = nn.Conv3d if dims == 3 else nn.Conv2d
    return [
        kind(inputs, outputs, 3, stride, padding=1, bias=norm == "none"),
        plain_norm(dims, outputs, norm),
    ]


def _down(dims: int, inputs: int, outputs: int, norm: str, down: str) -> nn.Sequential:
    if down == "stride":
        return nn.Sequential(*_normalised(dims, inputs, outputs, norm, 2), nn.ReLU())
    convolve, normalise = _normalised(dims, inputs, outputs, norm)
    return nn.Sequential(convolve, max_pool(dims), normalise, nn.ReLU())


def _up(dims: int, inputs: int, outputs: int, norm: str, up: str) -> nn.Sequential:
    if up == "pixelshuffle":
        convolve, _ = _normalised(dims, inputs, outputs * 2**dims, norm)
        return nn.Sequential(convolve, PixelShuffle(), plain_norm(dims, outputs, norm), nn.ReLU())
    smooth: dict[str, Any] = {"mode": "trilinear" if dims == 3 else "bilinear", "align_corners": False}
    enlarge = nn.Upsample(scale_factor=2.0, **(smooth if up == "resize" else {"mode": "nearest"}))
    return nn.Sequential(enlarge, *_normalised(dims, inputs, outputs, norm), nn.ReLU())


def _check(blocks: int, skip: str, down: str, up: str, latent_noise: float, dropout: float) -> None:
    """Raise InvalidInputError for arguments that make no translator."""
    for name, value, known in (("skip", skip, Skip), ("down", down, Down), ("up", up, Up)):
        if value not in get_args(known):
            raise InvalidInputError(f"{name} must be one of {', '.join(get_args(known))}; got {value!r}.")
    if blocks < 0 or latent_noise < 0 or not 0 <= dropout < 1:
        raise InvalidInputError(
            "A translator has at least 0 blocks, latent noise of at least 0 and a dropout from 0 to below 1; got "
            f"{blocks}, {latent_noise} and {dropout}."
        )
