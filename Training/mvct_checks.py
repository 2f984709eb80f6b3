"""What a converter in training is checked with: paired volumes where there are any, else unpaired ones; all in HU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from manabi.mvct.window import HuWindow
from Training.mvct_domains import BODY_HU, Domains, PairedCT

Validation = Domains | Sequence[PairedCT] | None
BATCH = 4
"""Slices converted at a time."""
QUANTILES = np.linspace(0.02, 0.98, 49)


@torch.no_grad()
def converted(
    network: Callable[[Tensor], Tensor],
    volume: np.ndarray,
    context: int,
    windows: tuple[HuWindow, HuWindow],
    device: torch.device,
) -> np.ndarray:
    """A volume through a network, slice by slice.

    Args:
        network: ``(n, context, rows, columns)`` to ``(n, 1, rows, columns)``, scaled.
        volume: ``(slices, rows, columns)`` in HU.
        context: slices that the network sees; the outer ones are repeated at the ends.
        windows: HU windows of what goes in and what comes out.
        device: where the network is.

    Returns:
        HU, the same shape, float32.
    """
    scaled = torch.from_numpy(windows[0].scaled(volume.astype(np.float32)))
    offsets = torch.arange(-(context // 2), context // 2 + 1)
    parts = []
    for middles in torch.arange(len(volume)).split(BATCH):
        index = (middles[:, None] + offsets).clamp(0, len(volume) - 1)
        parts.append(network(scaled[index].to(device)).float().cpu()[:, 0])
    return windows[1].hu(torch.cat(parts)).numpy()


def check(
    pair: nn.Module, validation: Validation, context: int, windows: tuple[HuWindow, HuWindow]
) -> dict[str, float]:
    """Errors in HU inside the body.

    Paired: ``mae`` and ``bias`` of the converted, and ``mae_unconverted``, of the source taken as the answer. Unpaired:
    ``quantiles``, the mean distance between the quantiles of the converted and of the target volumes, and
    ``residual``, the mean absolute difference between a source volume and itself after the way there and back.

    Args:
        pair: a :class:`manabi.networks.converter_pair.ConverterPair`.
        validation: what to check with; nothing gives nothing.
        context: slices that go in.
        windows: of the source and of the target.
    """
    if not validation:
        return {}
    device = next(pair.parameters()).device
    if isinstance(validation, Domains):
        return _unpaired(pair, validation, context, windows, device)
    return _paired(pair, validation, context, windows, device)


def _paired(
    pair: nn.Module, pairs: Sequence[PairedCT], context: int, windows: tuple[HuWindow, HuWindow], device: torch.device
) -> dict[str, float]:
    errors, before = [], []
    for case in pairs:
        body = case.target > BODY_HU
        target = windows[1].clipped(case.target[body].astype(np.float32))
        errors.append(converted(pair, case.source, context, windows, device)[body] - target)
        before.append(np.abs(case.source[body].astype(np.float32) - target))
    together = np.concatenate(errors)
    return {
        "mae": float(np.abs(together).mean()),
        "bias": float(together.mean()),
        "mae_unconverted": float(np.concatenate(before).mean()),
    }


def _unpaired(
    pair: nn.Module, domains: Domains, context: int, windows: tuple[HuWindow, HuWindow], device: torch.device
) -> dict[str, float]:
    made, residuals = [], []
    for volume in domains.source:
        there = converted(pair, volume, context, windows, device)
        body = volume > BODY_HU
        made.append(there[body])
        if getattr(pair, "has_return", False):
            again = converted(pair.back, there, context, windows[::-1], device)  # type: ignore[arg-type]
            residuals.append(np.abs(again[body] - windows[0].clipped(volume[body].astype(np.float32))))
    real = [windows[1].clipped(volume[volume > BODY_HU].astype(np.float32)) for volume in domains.target]
    distance = np.quantile(np.concatenate(made), QUANTILES) - np.quantile(np.concatenate(real), QUANTILES)
    found = {"quantiles": float(np.abs(distance).mean())}
    return found | ({"residual": float(np.concatenate(residuals).mean())} if residuals else {})


def scaled_batch(crops: Sequence[np.ndarray], windows: Sequence[HuWindow]) -> Iterator[Tensor]:
    """Crops in HU as scaled tensors, each by its own window."""
    for crop, window in zip(crops, windows, strict=True):
        yield torch.from_numpy(window.scaled(np.ascontiguousarray(crop, dtype=np.float32)))
