"""The parts of ``configs/inference.json`` that MONAI does not have; used by ``python -m monai.bundle run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.volume import Volume

KINDS = ("none", "maximum", "percentile", "range", "standardize", "function")


def loaded(network: nn.Module, bundle_root: str | Path, device: torch.device) -> nn.Module:
    """Give a network the weights of a bundle, checked by SHA-256; returns it on the device in evaluation mode."""
    network.load_state_dict(Bundle(Path(bundle_root).resolve()).load_state(), strict=True)
    return network.to(device).eval()


def predict(
    dataset: Iterable[dict[str, Any]],
    inferer: Callable[[Tensor, nn.Module], Tensor],
    network: nn.Module,
    postprocessing: Callable[[dict[str, Any]], object],
    device: torch.device,
) -> int:
    """Apply the network to every case ``{"image": (1, X, Y, Z)}`` and post-process it; returns how many there were.

    Raises:
        InvalidInputError: when there is no case.
    """
    from monai.data import MetaTensor

    count = 0
    for case in dataset:
        with torch.inference_mode():
            prediction = inferer(case["image"][None].to(device), network)
        # Cloned: transforms cannot change a tensor made in inference mode. MetaTensor: Invertd passes over others.
        postprocessing({**case, "pred": MetaTensor(prediction[0].cpu().clone())})
        count += 1
    if not count:
        raise InvalidInputError("No image was found. Name a folder of NIfTI files with --dataset_dir.")
    return count


class SliceStackInferer:
    """Applies a 2-D network to a volume, slice by slice, each with its neighbours as channels.

    Slices lie along the last axis; at both ends they are mirrored (our choice, as in :mod:`manabi.spect.denoise`).
    The first output channel is given back, in the units of the input.

    Args:
        context_slices: odd number of neighbouring slices that are the channels of one image.
        intensity: ``{"kind": ..., "per": "volume" or "slice"}`` with the kinds ``none``; ``maximum``: divide by it;
            ``percentile``: divide by the percentile ``q``; ``range``: map ``low`` to 0 and ``high`` to 1;
            ``standardize``: zero mean, unit standard deviation; ``function``: divide by what ``scale`` returns.
            ``slice`` is one image: a slice with its neighbours.
        scale: for the kind ``function``: from the whole volume to a number above 0.
        batch: images per forward pass.

    Raises:
        InvalidInputError: for settings of another form.
    """

    def __init__(
        self,
        context_slices: int = 1,
        intensity: Mapping[str, Any] | None = None,
        scale: Callable[[Volume], float] | None = None,
        batch: int = 8,
    ) -> None:
        self.intensity = {"kind": "none", "per": "volume", **(intensity or {})}
        if context_slices < 1 or context_slices % 2 == 0:
            raise InvalidInputError(f"context_slices must be odd and positive; got {context_slices}.")
        if self.intensity["kind"] not in KINDS or self.intensity["per"] not in ("volume", "slice"):
            kinds = ", ".join(KINDS)
            raise InvalidInputError(f"intensity must be one of {kinds} per volume or slice; got {intensity}.")
        if (self.intensity["kind"] == "function") != (scale is not None):
            raise InvalidInputError("scale must be given for the intensity kind function, and for no other.")
        self.context_slices, self.scale, self.batch = context_slices, scale, batch

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        """``(1, 1, X, Y, Z)`` to ``(1, 1, X, Y, Z)``; a MetaTensor's affine tells where the volume lies."""
        volume = inputs.as_subclass(Tensor)[0, 0].permute(2, 1, 0).float()
        stacks = self._stacks(volume)
        if self.scale is not None:
            affine = np.asarray(getattr(inputs, "affine", np.eye(4)), float)
            factor = self.scale(Volume(volume.cpu().numpy(), affine.reshape(4, 4)))
            offset, scale = torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), float(factor))
        else:
            offset, scale = self._transfer(stacks if self.intensity["per"] == "slice" else volume[None])
        offset, scale = (t.to(volume.device).expand(len(stacks), 1, 1, 1) for t in (offset, scale))
        images = ((stacks - offset) / scale).split(self.batch)
        outputs = torch.cat([network(part)[:, :1] for part in images])
        return (outputs * scale + offset)[:, 0].permute(2, 1, 0)[None, None]

    def _stacks(self, volume: Tensor) -> Tensor:
        """``(Z, Y, X)`` to ``(Z, context, Y, X)``."""
        reach = self.context_slices // 2
        last = len(volume) - 1
        index = torch.arange(len(volume))[:, None] + torch.arange(-reach, reach + 1)
        if last >= reach:
            index = last - (last - index.abs()).abs()
        return volume[index.clamp(0, last).to(volume.device)]

    def _transfer(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Offset and scale of each group ``(n, ...)``, as ``(n, 1, 1, 1)``; a flat group keeps scale 1."""
        flat = groups.flatten(1)
        offset, scale = torch.zeros_like(flat[:, 0]), torch.ones_like(flat[:, 0])
        kind = self.intensity["kind"]
        if kind == "maximum":
            scale = flat.amax(1)
        elif kind == "percentile":
            rank = max(1, round(flat.shape[1] * float(self.intensity["q"]) / 100))
            scale = flat.kthvalue(rank, dim=1).values
        elif kind == "range":
            low, high = float(self.intensity["low"]), float(self.intensity["high"])
            offset, scale = offset + low, scale * (high - low)
        elif kind == "standardize":
            offset, scale = flat.mean(1), flat.std(1)
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        return offset.view(-1, 1, 1, 1), scale.view(-1, 1, 1, 1)
