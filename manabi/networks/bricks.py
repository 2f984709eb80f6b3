"""What the networks are built from: convolution blocks, up-sampling, attention gates, and the frame around a network.

The blocks follow keras-unet-collection 0.1.13, the library of the source study (its defaults: two convolutions per
level, ReLU, no batch normalisation, max-pooling down, bilinear interpolation up), written anew for PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.errors import InvalidInputError

ACTIVATIONS = ("linear", "sigmoid", "softplus", "tanh")
NORMS = ("none", "batch", "instance")
DARK_LOGIT = -2.0
"""Logit of 0.12, about the mean of an image that is divided by its maximum."""


def convolution(dims: int, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """A convolution with bias that keeps the size at stride 1 and divides it at kernel = stride."""
    kind = nn.Conv3d if dims == 3 else nn.Conv2d
    return kind(inputs, outputs, kernel, stride, padding=0 if stride > 1 else kernel // 2)


def max_pool(dims: int) -> nn.Module:
    """Maximum over 2×2 (or 2×2×2)."""
    return nn.MaxPool3d(2) if dims == 3 else nn.MaxPool2d(2)


def normalisation(dims: int, channels: int, norm: str) -> nn.Module:
    """Batch or instance normalisation with learned scale and shift, or nothing."""
    if norm == "none":
        return nn.Identity()
    names = {"batch": (nn.BatchNorm2d, nn.BatchNorm3d), "instance": (nn.InstanceNorm2d, SwiftInstanceNorm3d)}
    return names[norm][dims - 2](channels, affine=True)


class SwiftInstanceNorm3d(nn.InstanceNorm3d):
    """Instance normalisation by the kernel of batch normalisation where there is one image: the same values.

    On processors PyTorch's own one loses the channels-last order and takes about twice the time of a whole network.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, k, j, i)``, each image and channel with mean 0 and spread 1, then scaled and shifted."""
        if x.shape[0] != 1:
            return super().forward(x)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


class ConvStack(nn.Sequential):
    """``count`` times convolution, normalisation, ReLU (or PReLU with one slope per channel)."""

    def __init__(
        self, dims: int, inputs: int, outputs: int, count: int = 2, norm: str = "none", prelu: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for i in range(count):
            layers.append(convolution(dims, inputs if i == 0 else outputs, outputs))
            if norm != "none":
                layers.append(normalisation(dims, outputs, norm))
            layers.append(nn.PReLU(outputs) if prelu else nn.ReLU())
        super().__init__(*layers)


class Up(nn.Module):
    """Twice the size by bilinear (trilinear) interpolation, then ``count`` convolutions; 0 leaves the channels."""

    def __init__(self, dims: int, inputs: int, outputs: int, count: int = 1, norm: str = "none") -> None:
        super().__init__()
        self.mode = "trilinear" if dims == 3 else "bilinear"
        self.convolve = ConvStack(dims, inputs, outputs, count, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor of twice the size."""
        return self.convolve(F.interpolate(x, scale_factor=2.0, mode=self.mode, align_corners=False))


class AttentionGate(nn.Module):
    """The skip connection weighted voxel by voxel by what the coarser level says about it.

    Additive attention: x · sigmoid(psi(ReLU(theta x + phi g))), all 1×1 convolutions. Oktay et al., "Attention U-Net",
    MIDL 2018, arXiv:1804.03999, equations 1 and 2; with g already brought to the size of x, as the library has it.
    """

    def __init__(self, dims: int, skip: int, gate: int, inner: int) -> None:
        super().__init__()
        self.theta = convolution(dims, skip, inner, 1)
        self.phi = convolution(dims, gate, inner, 1)
        self.psi = convolution(dims, inner, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """The weighted skip connection."""
        return skip * torch.sigmoid(self.psi(F.relu(self.theta(skip) + self.phi(gate))))


class ImageNetwork(nn.Module):
    """The frame around every network: any size in, the same size out, an image (and more) as the answer.

    ``features`` maps ``(batch, in_channels, *size)`` to ``(batch, filters[0], *size)`` for sizes divisible by
    ``2**(levels - 1)``; other sizes are padded by reflection after the last voxel (by repetition where the image is
    too small to reflect) and the answer is cropped. A 1×1 convolution makes the output channels of the features.

    Output channel 0 is the image; ``output_activation`` and ``residual`` apply to it alone. Further channels are
    linear, for example a log-variance. With ``residual``, the network's channel 0 is a correction that is added to the
    centre input channel, number ``in_channels // 2``: with 2.5-D input, the slice itself.

    Args:
        in_channels: channels of the input; an odd number of neighbouring slices for 2.5-D.
        out_channels: 1 for the image, 2 for image and log-variance, ...
        filters: channels of each level, finest first; a level is one resolution.
        spatial_dims: 2 or 3.
        output_activation: ``linear``, ``sigmoid`` (the image lies in 0..1), ``softplus`` (it is not negative) or
            ``tanh`` (it lies in -1..1).
        residual: add the centre channel; only with ``linear``, or the sum would not be the image.
        norm: ``none`` (as the source), ``batch`` or ``instance``, after every 3×3 convolution.

    Weights are drawn from torch's global generator by Xavier uniform (Glorot and Bengio, AISTATS 2010), biases are
    0: the defaults of Keras and so, presumably, of the source. The last layer of a residual network begins at a tenth,
    so that training starts near the identity (our choice). A sigmoid's bias begins at :data:`DARK_LOGIT`: normalised
    medical images are mostly dark, and from 0 the networks of four levels first learned to be black everywhere, where
    the sigmoid's gradient vanishes (our choice).
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        filters: Sequence[int] = (16, 32, 64, 128),
        spatial_dims: int = 2,
        output_activation: str = "linear",
        residual: bool = False,
        norm: str = "none",
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, filters, spatial_dims, output_activation, residual, norm)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.filters, self.dims, self.norm = tuple(filters), spatial_dims, norm
        self.output_activation, self.residual = output_activation, residual
        self.factor = 2 ** (len(self.filters) - 1)
        self.head = convolution(spatial_dims, self.filters[0], out_channels, 1)

    def features(self, x: Tensor) -> Tensor:
        """The network itself."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_channels, *size)`` to ``(batch, out_channels, *size)``."""
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise InvalidInputError(
                f"Expected a tensor (batch, {self.in_channels}, {'depth, ' * (self.dims - 2)}height, width); "
                f"got shape {tuple(x.shape)}."
            )
        y = self.head(self.features(pad_to_multiple(x, self.factor)))
        y = y[(..., *(slice(n) for n in x.shape[2:]))]
        image = y[:, :1]
        if self.residual:
            centre = self.in_channels // 2
            image = image + x[:, centre : centre + 1]
        image = activate(image, self.output_activation)
        return image if self.out_channels == 1 else torch.cat([image, y[:, 1:]], 1)

    def initialise(self) -> None:
        """Draw all weights; called at the end of a network's constructor."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=0.1 if self.residual and module is self.head else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        bias = self.head.bias
        if self.output_activation == "sigmoid" and isinstance(bias, Tensor):
            nn.init.constant_(bias[:1], DARK_LOGIT)


def concatenate(*tensors: Tensor) -> Tensor:
    """The tensors one after the other along the channels."""
    return torch.cat(tensors, 1)


def pad_to_multiple(x: Tensor, factor: int) -> Tensor:
    """The tensor with its spatial axes extended at their ends to multiples of ``factor``."""
    widths = [-n % factor for n in x.shape[2:]]
    if not any(widths):
        return x
    reflected = all(w < n for w, n in zip(widths, x.shape[2:], strict=True))
    pads = [p for w in reversed(widths) for p in (0, w)]
    return F.pad(x, pads, mode="reflect" if reflected else "replicate")


def activate(x: Tensor, name: str) -> Tensor:
    """The output activation of that name."""
    if name == "sigmoid":
        return torch.sigmoid(x)
    if name == "tanh":
        return torch.tanh(x)
    return F.softplus(x) if name == "softplus" else x


def _check(
    in_channels: int, out_channels: int, filters: Sequence[int], dims: int, activation: str, residual: bool, norm: str
) -> None:
    """Raise InvalidInputError for arguments that make no network."""
    if in_channels < 1 or out_channels < 1 or not filters or min(filters) < 1:
        raise InvalidInputError(
            "A network needs at least one input channel, output channel and level, with filters of at least 1; got "
            f"in_channels={in_channels}, out_channels={out_channels}, filters={tuple(filters)}."
        )
    if dims not in (2, 3):
        raise InvalidInputError(f"spatial_dims must be 2 or 3; got {dims}.")
    if activation not in ACTIVATIONS:
        raise InvalidInputError(f"output_activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}.")
    if norm not in NORMS:
        raise InvalidInputError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}.")
    if residual and activation != "linear":
        raise InvalidInputError(f"residual=True needs output_activation='linear'; got {activation!r}.")
