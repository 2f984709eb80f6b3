"""What a network says of a CT on the working grid, whatever its input: a slice, a few slices, or a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.geometry import Shape

if TYPE_CHECKING:
    from torch import nn

DIVISOR = 16
"""Sides of what a network sees are multiples of this: of every one with up to five levels."""
BATCH = 8


@dataclass(frozen=True)
class NetworkInput:
    """How a network is applied.

    Attributes:
        neighbours: slices that a 2-D network sees; 0 for a 3-D network.
        window: slices, rows and columns of a block, for a 3-D network.
        overlap: of neighbouring blocks, as a share.
    """

    neighbours: int = 0
    window: Shape = (48, 80, 80)
    overlap: float = 0.25

    def __post_init__(self) -> None:
        """Check that blocks are what the networks take."""
        if self.neighbours < 0 or any(n < 1 or n % DIVISOR for n in self.window) or not 0 <= self.overlap < 1:
            raise InvalidInputError(
                f"Expected neighbours from 0, a window of multiples of {DIVISOR} and an overlap from 0 to below 1; got "
                f"{self.neighbours}, {self.window} and {self.overlap}."
            )

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> NetworkInput:
        """From a bundle's facts."""
        k, j, i = (int(n) for n in facts["window"])
        return cls(int(facts["neighbours"]), (k, j, i), float(facts["overlap"]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {"neighbours": self.neighbours, "window": list(self.window), "overlap": self.overlap}


def logits(network: nn.Module, image: np.ndarray, how: NetworkInput, context: Context) -> np.ndarray:
    """Class logits of a CT.

    Args:
        network: trained, on any device.
        image: ``(slices, rows, columns)`` float32 from 0 to 1, on the working grid.
        how: the network is applied.
        context: device, precision, progress and cancellation.

    Returns:
        ``(classes, slices, rows, columns)`` float32.
    """
    from manabi.inference import predict_stack, predict_volume

    if how.neighbours == 0:
        window = tuple(min(n, -(-have // DIVISOR) * DIVISOR) for n, have in zip(how.window, image.shape, strict=True))
        return predict_volume(
            network, image[None], context=context, window=(window[0], window[1], window[2]), overlap=how.overlap,
            blend="gaussian", divisor=DIVISOR, allowed_precisions=("float32", "bfloat16"),
        )  # fmt: skip
    found = predict_stack(
        network, stacks(image, how.neighbours), context=context, batch=BATCH, divisor=DIVISOR,
        allowed_precisions=("float32", "bfloat16"),
    )  # fmt: skip
    return np.ascontiguousarray(np.moveaxis(found, 1, 0))


def probabilities(
    network: nn.Module, image: np.ndarray, how: NetworkInput, context: Context, temperature: float = 1.0
) -> np.ndarray:
    """As :func:`logits`, as probabilities that sum to 1; background first."""
    from scipy.special import softmax

    return np.asarray(softmax(logits(network, image, how, context) / temperature, axis=0), np.float32)


def stacks(image: np.ndarray, neighbours: int) -> np.ndarray:
    """Every slice with its neighbours as channels: ``(slices, neighbours, rows, columns)``."""
    return image[np.stack([neighbours_of(place, neighbours, len(image)) for place in range(len(image))])]


def neighbours_of(place: int, count: int, slices: int) -> np.ndarray:
    """The slices that a network sees of slice ``place``; beyond the image its last slice is repeated.

    The slice itself is number ``count // 2``: of the source's four, two lie below and one above (our reading).
    """
    return np.clip(np.arange(place - count // 2, place - count // 2 + count), 0, slices - 1)
