"""What a converter's encoder makes of an image: one number a channel, for the check of foreign inputs."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from manabi.context import Context
from manabi.mvct.convert import Settings, context_stack
from manabi.mvct.prepare import crop_to_body

FEATURE_SLICES = 8
"""Evenly spread over the body; more change little (our choice)."""


def encoder_features(
    network: nn.Module | None, settings: Settings, hu: np.ndarray, body: np.ndarray, context: Context | None = None
) -> np.ndarray:  # fmt: skip
    """Mean of each latent channel over some slices of the body's box, ``(d,)``; empty without an encoder.

    Args:
        network: a converter pair, whose ``converter`` has ``encode``; None for the baselines.
        settings: of its bundle.
        hu: on the work grid, ``(slices, rows, columns)``.
        body: its mask.
        context: is asked for cancellation before every slice.
    """
    converter = getattr(network, "converter", None)
    if converter is None or not hasattr(converter, "encode"):
        return np.zeros(0)
    crop = crop_to_body(body)
    chosen = crop.slices[np.unique(np.linspace(0, len(crop.slices) - 1, FEATURE_SLICES).astype(int))]
    device = next(converter.parameters()).device
    rows = []
    with torch.inference_mode():
        for number in chosen:
            (context or Context()).check_cancelled()
            stack = settings.source.scaled(context_stack(crop.of(hu), number[None], settings.context))
            latent = converter.encode(torch.from_numpy(stack).to(device))[0].float()
            rows.append(latent.flatten(2).mean(-1)[0].cpu().numpy())
    return np.mean(rows, axis=0)
