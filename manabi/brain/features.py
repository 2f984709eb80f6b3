"""What the channels inside a network show, and how much each adds to a structure.

Sugino (the source's report, section 4.3) looks at feature maps to see what networks and losses learn. A channel's
contribution is gradient times activation, summed over the image: the first-order estimate of how much the structure's
mean logit falls when the channel is set to zero (after Grad-CAM: Selvaraju et al., ICCV 2017, 10.1109/ICCV.2017.74,
which averages the gradient first). :func:`ablated_drop` sets channels to zero and measures it. Both are in units of the
logit. In small networks the two agree in order and sign but for a few layers far from the answer, where activations
bend what lies between: there, trust the ablation. Our choices, where the source is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PROBE_SIDE = 32
"""Side of the empty image that is sent through a network to see its layers, unless it needs a larger one."""


class Layer(NamedTuple):
    """A layer whose channels can be shown.

    Attributes:
        name: as in ``network.named_modules()``.
        channels: how many maps it gives.
        scale: how many voxels of the image one of its voxels covers along an axis.
    """

    name: str
    channels: int
    scale: int


class FeatureMaps(NamedTuple):
    """The channels of a layer that add most to a structure.

    Attributes:
        maps: ``(n, slices, rows, columns)``, float32, at the image's size; from the largest contribution on.
        contributions: ``(n,)``, in units of the structure's mean logit.
        channels: ``(n,)``, their indices in the layer.
    """

    maps: np.ndarray
    contributions: np.ndarray
    channels: np.ndarray


def layers(network: nn.Module) -> list[Layer]:
    """The convolution blocks of a network, and its single convolutions, in the order in which they run.

    A block is a sequence of plain layers with at least one convolution. An empty image is sent through the network.

    Raises:
        InvalidInputError: for a network without convolutions.
    """
    import torch

    weight = next((m.weight for m in network.modules() if _is_convolution(m)), None)
    if not isinstance(weight, torch.Tensor):
        raise InvalidInputError(f"Feature maps need a network with convolutions; {type(network).__name__} has none.")
    side = max(PROBE_SIDE, 2 * int(getattr(network, "factor", 1)))
    channels = int(getattr(network, "in_channels", weight.shape[1]))
    probe = torch.zeros(1, channels, *[side] * (weight.ndim - 2), device=weight.device)
    found: dict[str, Layer] = {}

    def note(name: str) -> Callable[[Tensor], None]:
        """A function that notes the size of a block's output."""
        def see(output: Tensor) -> None:
            found.setdefault(name, Layer(name, output.shape[1], round(side / output.shape[-1])))

        return see

    with _frozen(network), torch.no_grad():
        handles = [_hooked(network, name, note(name)) for name in _block_names(network)]
        try:
            network(probe)
        finally:
            for handle in handles:
                handle.remove()
    return list(found.values())


def feature_maps(
    network: nn.Module,
    x: Tensor,
    layer: str,
    structure_index: int,
    top: int = 8,
    inside: np.ndarray | None = None,
    batch: int = 4,
    context: Context | None = None,
) -> FeatureMaps:
    """The ``top`` channels of a layer, ordered by what they add to a structure.

    Memory: gradients reach from the answer to the layer only, weights have none, and only the chosen channels are
    kept. A 3-D image is one pass; give a crop where the whole does not fit.

    Args:
        network: answers with logits ``(n, classes, ...)``.
        x: ``(slices, channels, rows, columns)`` for a 2-D network, ``(1, channels, slices, rows, columns)`` for a 3-D.
        layer: a name from :func:`layers`.
        structure_index: the structure's class; 0 where the network has one output.
        top: how many channels to give; all, where there are fewer.
        inside: ``(slices, rows, columns)``, where the mean logit is taken; None: where the network finds the structure.
        batch: slices per pass.
        context: cancellation.

    Raises:
        InvalidInputError: for an unknown layer, a class that the network does not have, or a structure that it does
            not find in this image.
    """
    import torch

    scale = _checked(network, x, layer, structure_index).scale
    region = _region(network, x, structure_index, inside, batch, context)
    total: Tensor | float = 0.0
    with _frozen(network):
        for part, where in _parts(network, x, region, batch, context):
            if bool(where.any()):
                total = total + _contribution(network, part, layer, structure_index, where)
    summed = torch.as_tensor(total) / int(region.sum())
    order = torch.argsort(summed, descending=True, stable=True)[: max(top, 1)]
    maps = _maps(network, x, layer, order, scale, batch, context)
    return FeatureMaps(maps, summed[order].cpu().numpy(), order.cpu().numpy())


def ablated_drop(
    network: nn.Module,
    x: Tensor,
    layer: str,
    structure_index: int,
    channels: Sequence[int],
    inside: np.ndarray | None = None,
    batch: int = 4,
    context: Context | None = None,
) -> np.ndarray:
    """How far the structure's mean logit falls when each channel alone is set to zero; the check on contributions.

    Args:
        network: as in :func:`feature_maps`, as are the other arguments.
        x: the image.
        layer: a name from :func:`layers`.
        structure_index: the structure's class.
        channels: the channels to try, one at a time.
        inside: where the mean is taken; None: where the whole network finds the structure.
        batch: slices per pass.
        context: cancellation.

    Returns:
        ``(len(channels),)``; negative where the structure gains by losing the channel.

    Raises:
        InvalidInputError: as :func:`feature_maps`.
    """
    _checked(network, x, layer, structure_index)
    region = _region(network, x, structure_index, inside, batch, context)
    whole = _mean_logit(network, x, layer, structure_index, region, None, batch, context)
    drops = [
        whole - _mean_logit(network, x, layer, structure_index, region, int(channel), batch, context)
        for channel in channels
    ]
    return np.array(drops, np.float32)


def _contribution(network: nn.Module, part: Tensor, layer: str, index: int, where: Tensor) -> Tensor:
    """Gradient times activation of each channel for the sum of the logits inside, ``(channels,)``."""
    import torch

    seen: list[Tensor] = []

    def cut(output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()  # the next layer may work in place, which a leaf does not allow

    handle = _hooked(network, layer, cut)
    try:
        with torch.enable_grad():
            score = (_logits(network, part)[:, index] * where).sum()
            gradients = torch.autograd.grad(score, seen, allow_unused=True)
    finally:
        handle.remove()
    axes = [0, *range(2, seen[0].ndim)]
    products = [(g * a).sum(axes) for g, a in zip(gradients, seen, strict=True) if g is not None]
    return sum(products, torch.zeros(seen[0].shape[1], device=part.device)).detach()


def _maps(
    network: nn.Module, x: Tensor, layer: str, order: Tensor, scale: int, batch: int, context: Context | None
) -> np.ndarray:
    """The chosen channels at the image's size."""
    import torch
    from torch.nn import functional as F

    size, mode = x.shape[2:], "trilinear" if x.ndim == 5 else "bilinear"
    window: tuple[Any, ...] = (..., *(slice(n) for n in size))
    planes: list[np.ndarray] = []
    seen: list[Tensor] = []
    with _frozen(network), torch.no_grad():
        handle = _hooked(network, layer, lambda output: seen.append(output[:, order]))
        try:
            for part, _ in _parts(network, x, None, batch, context):
                seen.clear()
                network(part)
                found = seen[-1].float()
                if scale > 1:
                    found = F.interpolate(found, scale_factor=float(scale), mode=mode, align_corners=False)
                # Networks pad at the far ends, to multiples of what they halve.
                planes.append(found[window].cpu().numpy())
        finally:
            handle.remove()
    stacked = np.concatenate(planes)
    return stacked[0] if x.ndim == 5 else np.ascontiguousarray(stacked.swapaxes(0, 1))


def _mean_logit(
    network: nn.Module,
    x: Tensor,
    layer: str,
    index: int,
    region: Tensor,
    without: int | None,
    batch: int,
    context: Context | None,
) -> float:
    import torch

    def silence(output: Tensor) -> Tensor:
        changed = output.clone()
        changed[:, without] = 0
        return changed

    total = 0.0
    with _frozen(network), torch.no_grad():
        handle = None if without is None else _hooked(network, layer, silence)
        try:
            for part, where in _parts(network, x, region, batch, context):
                if bool(where.any()):
                    total += float((_logits(network, part)[:, index] * where).sum())
        finally:
            if handle is not None:
                handle.remove()
    return total / int(region.sum())


def _region(
    network: nn.Module, x: Tensor, index: int, inside: np.ndarray | None, batch: int, context: Context | None
) -> Tensor:
    """Where the structure is: ``(n, ...)``, bool."""
    import torch

    if inside is not None:
        region = torch.as_tensor(np.ascontiguousarray(inside, bool)).reshape(x.shape[0], *x.shape[2:])
    else:
        with _frozen(network), torch.no_grad():
            answers = (_logits(network, part) for part, _ in _parts(network, x, None, batch, context))
            found = [(y.argmax(1) == index if y.shape[1] > 1 else y[:, 0] > 0).cpu() for y in answers]
        region = torch.cat(found)
    if not bool(region.any()):
        raise InvalidInputError(
            f"The network finds nothing of class {index} in this image, so no channel adds to it. Choose another "
            "structure, or give the region to look in."
        )
    return region


def _parts(
    network: nn.Module, x: Tensor, region: Tensor | None, batch: int, context: Context | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """A few slices at a time, where the network is, with their region (or the slices themselves)."""
    device = next(network.parameters()).device
    for first in range(0, len(x), max(batch, 1)):
        if context is not None:
            context.check_cancelled()
        part = x[first : first + max(batch, 1)].to(device)
        yield part, part if region is None else region[first : first + max(batch, 1)].to(device)


def _logits(network: nn.Module, part: Tensor) -> Tensor:
    out = network(part)
    while isinstance(out, list | tuple):
        out = out[0]
    return out.float()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and weights without gradients, for a while."""
    training = [m for m in network.modules() if m.training]
    learning = [p for p in network.parameters() if p.requires_grad]
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(True)


def _hooked(network: nn.Module, name: str, see: Callable[[Tensor], object]) -> torch.utils.hooks.RemovableHandle:
    """``see`` is shown the layer's output; what it answers, if anything, takes its place."""
    import torch

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        answer = see(output)
        return answer if isinstance(answer, torch.Tensor) else None

    return network.get_submodule(name).register_forward_hook(hook)


def _block_names(network: nn.Module) -> list[str]:
    from torch import nn

    blocks = [
        name for name, m in network.named_modules()
        if name and isinstance(m, nn.Sequential) and any(map(_is_convolution, m))
        and all(next(child.children(), None) is None for child in m)
    ]  # fmt: skip
    single = [name for name, m in network.named_modules() if name and _is_convolution(m)]
    return blocks + [name for name in single if name.rpartition(".")[0] not in blocks]


def _is_convolution(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)


def _checked(network: nn.Module, x: Tensor, name: str, index: int) -> Layer:
    """The layer of that name, if everything fits."""
    known = {layer.name: layer for layer in layers(network)}
    if name not in known:
        raise InvalidInputError(f"The network has no layer {name!r} to show. Known: {', '.join(known)}.")
    classes = int(getattr(network, "out_channels", index + 1))
    if not 0 <= index < classes:
        raise InvalidInputError(f"The network has classes 0 to {classes - 1}; got {index}.")
    if x.ndim not in (4, 5) or (x.ndim == 5 and len(x) != 1):
        raise InvalidInputError(
            "Expected slices (n, channels, rows, columns) or one volume (1, channels, slices, rows, columns); got "
            f"shape {tuple(x.shape)}."
        )
    return known[name]
