"""The image classifiers of the source of SliceMarker, by name, for a few numbers per image.

Zhang et al., 2021 (``seeds/003``, section 3.4): DenseNet-121, -161, -169, -201 (Huang et al., CVPR 2017,
10.1109/CVPR.2017.243), ResNet-50, -101 (He et al., CVPR 2016, 10.1109/CVPR.2016.90), Inception-V3 (Szegedy et al.,
CVPR 2016) and EfficientNet-B0 to B7 (Tan and Le, ICML 2019, arXiv:1905.11946). All but Inception-V3, which is in
:mod:`manabi.networks.inception`, are MONAI's in two dimensions. The source starts from ImageNet weights; nothing is
downloaded here: weights are random, or read from a file.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from manabi.errors import CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.networks.inception import InceptionV3

DENSENETS: dict[str, dict[str, Any]] = {
    "densenet121": {"init_features": 64, "growth_rate": 32, "block_config": (6, 12, 24, 16)},
    "densenet161": {"init_features": 96, "growth_rate": 48, "block_config": (6, 12, 36, 24)},
    "densenet169": {"init_features": 64, "growth_rate": 32, "block_config": (6, 12, 32, 32)},
    "densenet201": {"init_features": 64, "growth_rate": 32, "block_config": (6, 12, 48, 32)},
}
"""Huang et al., table 1 (161: growth 48, as its authors published it)."""
RESNETS: dict[str, tuple[int, int, int, int]] = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
"""Bottleneck blocks per level: He et al., table 1."""
UNREADABLE = (
    RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, pickle.UnpicklingError
)  # fmt: skip
"""What torch raises for bytes that are no tensors."""
EFFICIENTNETS = tuple(f"efficientnet_b{n}" for n in range(8))


def _densenet(name: str, in_channels: int, out_channels: int) -> nn.Module:
    from monai.networks.nets.densenet import DenseNet

    return DenseNet(2, in_channels, out_channels, **DENSENETS[name])


def _resnet(name: str, in_channels: int, out_channels: int) -> nn.Module:
    """MONAI's blocks with the first stride of 2 and the shortcuts without bias, as He et al. have them."""
    from monai.networks.nets.resnet import ResNet

    return ResNet(
        "bottleneck", list(RESNETS[name]), [64, 128, 256, 512], spatial_dims=2, n_input_channels=in_channels,
        conv1_t_size=7, conv1_t_stride=2, num_classes=out_channels, bias_downsample=False,
    )  # fmt: skip


def _efficientnet(name: str, in_channels: int, out_channels: int) -> nn.Module:
    from monai.networks.nets.efficientnet import EfficientNetBN

    return EfficientNetBN(
        name.replace("_", "-"), pretrained=False, spatial_dims=2, in_channels=in_channels, num_classes=out_channels
    )


def _inception(name: str, in_channels: int, out_channels: int) -> nn.Module:
    return InceptionV3(in_channels, out_channels)


CLASSIFIERS: dict[str, Callable[[str, int, int], nn.Module]] = {
    **dict.fromkeys(DENSENETS, _densenet),
    **dict.fromkeys(RESNETS, _resnet),
    "inception_v3": _inception,
    **dict.fromkeys(EFFICIENTNETS, _efficientnet),
}
"""Name to what builds it, in the source's order."""


def build_classifier(
    name: str, in_channels: int = 3, out_channels: int = 1, weights: Path | str | None = None
) -> nn.Module:
    """A classifier ``(N, in_channels, rows, columns)`` to ``(N, out_channels)`` logits.

    Args:
        name: key of :data:`CLASSIFIERS`.
        in_channels: of the image.
        out_channels: logits; 1 for the source's binary extractors.
        weights: file of tensors to start from, see :func:`load_weights`; None draws them from torch's generator.

    Raises:
        InvalidInputError: for an unknown name, or weights of another network.
        ModelNotFoundError, CorruptModelError: for a file that is not there or cannot be read.
    """
    if name not in CLASSIFIERS:
        raise InvalidInputError(f"Unknown classifier {name!r}. Known: {', '.join(CLASSIFIERS)}.")
    network = CLASSIFIERS[name](name, in_channels, out_channels)
    if weights:
        load_weights(network, weights)
    return network


@dataclass(frozen=True)
class WeightsReport:
    """What was read from a file of weights.

    Attributes:
        loaded: tensors taken over.
        head: tensors of the last layer that keep their random values, because the file has another number of outputs.
    """

    loaded: int
    head: tuple[str, ...]


def load_weights(network: nn.Module, path: Path | str) -> WeightsReport:
    """Fill a network from a file; only the last layer may differ in shape.

    Args:
        network: of :func:`build_classifier`.
        path: a state dictionary as ``torch.save`` writes it, read with ``weights_only=True``, under this network's
            own names; at the top, or under ``model`` or ``state_dict``.

    Raises:
        ModelNotFoundError: there is no such file.
        CorruptModelError: it cannot be read as tensors.
        InvalidInputError: names or shapes are another network's; the message lists them.
    """
    stored = _read(Path(path))
    own = network.state_dict()
    head = {key for key in _head(network) if key in stored and stored[key].shape != own[key].shape}
    problems = [f"{key} is missing" for key in own if key not in stored]
    problems += [f"{key} is unknown" for key in stored if key not in own]
    problems += [
        f"{key} is {tuple(stored[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in stored and key not in head and stored[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InvalidInputError(
            f"The weights {Path(path).name} are not of this network: {'; '.join(problems[:5])}{more}. "
            "Give weights that were saved from the same network."
        )
    network.load_state_dict({**own, **{key: value for key, value in stored.items() if key not in head}})
    return WeightsReport(len(stored) - len(head), tuple(sorted(head)))


def _head(network: nn.Module) -> tuple[str, ...]:
    """Names of the last linear layer's tensors."""
    name = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    return f"{name}.weight", f"{name}.bias"


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelNotFoundError(f"There are no weights at {path.name!r}. Expected a file that torch.save wrote.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CorruptModelError(
            f"The weights {path.name} cannot be read as tensors ({type(error).__name__}). Save a state dictionary."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CorruptModelError(f"{path.name} holds no state dictionary of tensors. Save network.state_dict().")
    return dict(content)
