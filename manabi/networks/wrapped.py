"""MONAI's networks in the common frame: any image size, an image as the answer, an optional residual.

They keep MONAI's own initialisation and normalisation, and the head torch's; ``norm`` is not theirs to choose and must
stay ``none``, the default, which here means "as MONAI builds it". MONAI is imported when one is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.bricks import ImageNetwork

FIVE_LEVELS = (16, 32, 64, 128, 256)


class _Wrapped(ImageNetwork):
    """A MONAI network cut off before its last layer, which the frame's head replaces."""

    inner: nn.Module

    def __init__(self, filters: Sequence[int], **arguments: Any) -> None:
        super().__init__(filters=filters, **arguments)
        if self.norm != "none":
            raise InvalidInputError(f"MONAI fixes the normalisation of its networks; leave norm out: {self.norm!r}.")

    def features(self, x: Tensor) -> Tensor:
        """MONAI's network."""
        return self.inner(x)


class MonaiVNet(_Wrapped):
    """``monai.networks.nets.VNet``: five levels of 16 to 256 channels, 5×5 kernels, batch normalisation, no dropout.

    Args:
        filters: only (16, 32, 64, 128, 256).
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`; ``in_channels`` must divide 16.
    """

    def __init__(self, filters: Sequence[int] = FIVE_LEVELS, **arguments: Any) -> None:
        super().__init__(filters, **arguments)
        if self.filters != FIVE_LEVELS or 16 % self.in_channels:
            raise InvalidInputError(
                f"MONAI's VNet has filters {FIVE_LEVELS} and input channels that divide 16; got {self.filters} and "
                f"{self.in_channels}. The network 'vnet' takes any."
            )
        from monai.networks.nets.vnet import VNet

        rates: dict[str, Any] = {"dropout_prob_down": None, "dropout_prob_up": (None, 0.0)}
        self.inner = VNet(self.dims, self.in_channels, self.filters[0], "prelu", **rates)


class MonaiUNetPlusPlus(_Wrapped):
    """``monai.networks.nets.BasicUNetPlusPlus``: five levels, instance normalisation, transposed convolutions up.

    Args:
        filters: five of them.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(self, filters: Sequence[int] = FIVE_LEVELS, **arguments: Any) -> None:
        super().__init__(filters, **arguments)
        if len(self.filters) != 5:
            raise InvalidInputError(
                f"MONAI's BasicUNetPlusPlus has five levels; got {self.filters}. The network 'unetpp' takes any number."
            )
        from monai.networks.nets.basic_unetplusplus import BasicUNetPlusPlus

        self.inner = BasicUNetPlusPlus(self.dims, self.in_channels, 1, (*self.filters, self.filters[0]))
        for name in ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3", "final_conv_0_4"):
            setattr(self.inner, name, nn.Identity())

    def features(self, x: Tensor) -> Tensor:
        """The last node of the finest level."""
        return self.inner(x)[0]


class MonaiAttentionUNet(_Wrapped):
    """``monai.networks.nets.AttentionUnet``: batch normalisation, strided and transposed convolutions.

    Args:
        filters: channels of each level, finest first; at least two.
        **arguments: see :class:`manabi.networks.bricks.ImageNetwork`.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128), **arguments: Any) -> None:
        super().__init__(filters, **arguments)
        if len(self.filters) < 2:
            raise InvalidInputError(f"MONAI's AttentionUnet has at least two levels; got {self.filters}.")
        from monai.networks.nets.attentionunet import AttentionUnet

        strides = (2,) * (len(self.filters) - 1)
        self.inner = AttentionUnet(self.dims, self.in_channels, self.filters[0], self.filters, strides)
