"""The window of HU values that a network sees, scaled to -1 … 1.

The source scales each domain by its own window (HU base and range of the authors' options) and cuts what lies outside.
Here only the network's copy is cut; what the input held outside the window is put back by
:mod:`manabi.mvct.convert`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import torch

    Values = TypeVar("Values", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class HuWindow:
    """A closed range of HU.

    Attributes:
        low: HU that becomes -1.
        high: HU that becomes 1.
    """

    low: float = -1000.0
    high: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse an empty or endless window."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(f"A HU window goes from a lower to a higher number; got {self.low} to {self.high}.")

    @classmethod
    def of(cls, bounds: Sequence[float]) -> HuWindow:
        """The window ``[low, high]``, as a bundle writes it."""
        if len(bounds) != 2:
            raise InvalidInputError(f"A HU window has two bounds; got {list(bounds)}.")
        return cls(float(bounds[0]), float(bounds[1]))

    @property
    def width(self) -> float:
        """HU from the lower to the upper bound."""
        return self.high - self.low

    def clipped(self, hu: Values) -> Values:
        """HU cut at both bounds; numpy arrays and torch tensors of any shape."""
        return hu.clip(self.low, self.high)

    def scaled(self, hu: Values) -> Values:
        """HU to -1 … 1, cut at both bounds; numpy arrays and torch tensors of any shape."""
        return (self.clipped(hu) - self.low) * (2.0 / self.width) - 1.0

    def hu(self, scaled: Values) -> Values:
        """The inverse of :meth:`scaled` within the window; values beyond ±1 go on linearly."""
        return (scaled + 1.0) * (0.5 * self.width) + self.low

    def to_list(self) -> list[float]:
        """``[low, high]``, for a bundle's metadata."""
        return [self.low, self.high]
