"""The networks by name; nothing heavy is imported until one is built.

``NETWORKS`` maps a name to ``module:class`` and ``build`` makes one. ``PAPER_NETWORKS`` holds the networks of
Ishiwata's tables with the arguments that give them. ``MONAI_NETWORKS`` holds MONAI's networks of the same families,
which differ from the source's in levels, normalisation and stepping; building one imports MONAI (3 s).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

NETWORKS: dict[str, str] = {
    "unet": "manabi.networks.unet:UNet",
    "vnet": "manabi.networks.vnet:VNet",
    "unetpp": "manabi.networks.unetpp:UNetPlusPlus",
    "r2unet": "manabi.networks.r2unet:R2UNet",
    "attention_unet": "manabi.networks.attention_unet:AttentionUNet",
    "transunet": "manabi.networks.transunet:TransUNet",
    "skipnet": "manabi.networks.skipnet:SkipNet",
    "pix2pix_generator": "manabi.networks.pix2pix:Generator",
    "translator": "manabi.networks.translator:Translator",
}

ENCODERS: dict[str, str] = {
    "slicenet": "manabi.networks.slicenet:SliceNet",
    "coarse_to_fine": "manabi.networks.coarse_to_fine:CoarseToFine",
    "frozen_model": "manabi.networks.frozen:FrozenModel",
    "converter_pair": "manabi.networks.converter_pair:ConverterPair",
    "glow": "manabi.nodule.glow:Glow",
}
"""Networks with arguments of their own: numbers for an image instead of an image, or several stages."""

MONAI_NETWORKS: dict[str, str] = {
    "monai_vnet": "manabi.networks.wrapped:MonaiVNet",
    "monai_unetpp": "manabi.networks.wrapped:MonaiUNetPlusPlus",
    "monai_attention_unet": "manabi.networks.wrapped:MonaiAttentionUNet",
}

_FOUR = (16, 32, 64, 128)
_SIGMOID = {"output_activation": "sigmoid"}

PAPER_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"U-Net(L{n})": ("unet", {"filters": (*_FOUR, 256)[:n], **_SIGMOID}) for n in range(1, 6)},
    "V-Net": ("vnet", {"filters": _FOUR, **_SIGMOID}),
    "U-Net++": ("unetpp", {"filters": _FOUR, "skips": False, **_SIGMOID}),
    "R2U-Net": ("r2unet", {"filters": _FOUR, **_SIGMOID}),
    "Attention U-Net": ("attention_unet", {"filters": _FOUR, **_SIGMOID}),
    "TransUNET": (
        "transunet",
        {"filters": _FOUR, "layers": 12, "heads": 12, "dim": 768, "mlp_dim": 3072, **_SIGMOID},
    ),
}


def build(name: str, **arguments: Any) -> torch.nn.Module:
    """A new network with weights drawn from torch's global generator.

    Args:
        name: key of ``NETWORKS``, ``MONAI_NETWORKS`` or ``ENCODERS``.
        **arguments: ``in_channels``, ``out_channels``, ``filters``, ``spatial_dims``, ``output_activation``,
            ``residual``, ``norm`` (see :class:`manabi.networks.bricks.ImageNetwork`) and the network's own.

    Raises:
        InvalidInputError: for an unknown name or arguments that the network does not take.
    """
    known = NETWORKS | MONAI_NETWORKS | ENCODERS
    if name not in known:
        raise InvalidInputError(f"Unknown network {name!r}. Known: {', '.join(known)}.")
    module, _, attribute = known[name].partition(":")
    kind = getattr(import_module(module), attribute)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise InvalidInputError(f"The arguments {arguments} do not fit network {name!r}: {error}.") from error
