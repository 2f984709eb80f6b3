"""Which arithmetic a network computes in."""

from __future__ import annotations

from collections.abc import Collection

import torch

from manabi.context import Context, Precision
from manabi.device import has_fast_bfloat16
from manabi.errors import InvalidInputError

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULT_ALLOWED: tuple[Precision, ...] = ("float32", "bfloat16")


def choose_precision(
    context: Context, device: str, allowed: Collection[Precision] = DEFAULT_ALLOWED
) -> Precision:
    """The precision to compute in; convolutions use it, sums and results are float32.

    ``auto`` takes bfloat16 where the model allows it and the device is fast at it, then float16 on older CUDA devices
    where the model allows it, else float32. An explicit wish is followed, with a warning where the model was not
    checked in that precision or the device cannot do it.

    Args:
        context: its ``precision`` is the wish; warnings go there.
        device: ``cpu``, ``cuda:N`` or ``mps``.
        allowed: what the model was checked in.

    Raises:
        InvalidInputError: for an unknown precision.
    """
    unknown = sorted(({context.precision} | set(allowed)) - {"auto", *TORCH_DTYPES})
    if unknown:
        raise InvalidInputError(f"The precision must be auto or one of {', '.join(TORCH_DTYPES)}; got {unknown[0]!r}.")
    if context.precision != "auto":
        return _requested(context, device, allowed)
    if "bfloat16" in allowed and has_fast_bfloat16(device):
        return "bfloat16"
    if "float16" in allowed and device.startswith("cuda"):
        return "float16"
    return "float32"


def _requested(context: Context, device: str, allowed: Collection[Precision]) -> Precision:
    wish = context.precision
    if wish == "float32":
        return wish
    if wish == "float16" and device == "cpu":
        context.warn("The processor does not compute in float16; float32 was used.")
        return "float32"
    if wish not in allowed:
        context.warn(f"The model was not checked in {wish}; compare its result with float32 before relying on it.")
    if wish == "bfloat16" and not has_fast_bfloat16(device):
        context.warn(f"{device} gains no speed from bfloat16; float32 would be more exact at the same speed.")
    return wish
