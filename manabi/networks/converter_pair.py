"""Two translators, there and back: the converter that is used, and its return, which tells how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.translator import Translator


class ConverterPair(nn.Module):
    """A converter and, where it was trained with a cycle, the converter back.

    Stacks of neighbouring slices go in; where the translators give as many slices as they take, the middle one is the
    answer of :meth:`forward` and :meth:`back`.

    Args:
        forward: arguments of the :class:`manabi.networks.translator.Translator` that converts.
        backward: of the one back; None for a converter without (contrastive or supervised training).

    Attributes:
        converter: the first.
        returner: the second, or None.
    """

    def __init__(self, forward: Mapping[str, Any] | None = None, backward: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.converter = Translator(**dict(forward or {}))
        self.returner = None if backward is None else Translator(**dict(backward))

    @property
    def context(self) -> int:
        """Neighbouring slices that go in."""
        return self.converter.in_channels

    @property
    def has_return(self) -> bool:
        """Whether there is a way back."""
        return self.returner is not None

    def forward(self, x: Tensor) -> Tensor:
        """``(n, context, rows, columns)``, scaled, to the converted middle slice ``(n, 1, rows, columns)``."""
        return centre(self.converter(x))

    def back(self, y: Tensor) -> Tensor:
        """The same from the target to the source: ``(n, context, rows, columns)`` to ``(n, 1, rows, columns)``.

        Raises:
            InvalidInputError: when there is no way back.
        """
        return centre(self._returner()(y))

    def cycle(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The converted middle slice, and the middle slice after the way there and back; both ``(n, 1, ...)``.

        Raises:
            InvalidInputError: when there is no way back, or when a single slice comes out where the way back needs a
                stack (then convert the whole volume first and hand stacks of it to :meth:`back`).
        """
        returner = self._returner()
        converted = self.converter(x)
        if converted.shape[1] != returner.in_channels:
            raise InvalidInputError(
                f"The way back takes {returner.in_channels} slices and the converter gives {converted.shape[1]}: "
                "convert the volume, and hand stacks of it to back()."
            )
        return centre(converted), centre(returner(converted))

    def _returner(self) -> Translator:
        if self.returner is None:
            raise InvalidInputError("This converter was trained without a way back; there is no cycle residual.")
        return self.returner


def centre(stack: Tensor) -> Tensor:
    """The middle slice of ``(n, slices, ...)`` as ``(n, 1, ...)``."""
    middle = stack.shape[1] // 2
    return stack[:, middle : middle + 1]
