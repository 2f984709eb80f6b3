"""Choices that every module offers; in a combo box each is shown by its ``label()``."""

from __future__ import annotations

from enum import Enum
from typing import Self

from slicer.i18n import tr as _


class Choice(Enum):
    """One of several: what is kept and handed on is its value, what a combo box shows is its :meth:`label`.

    A member is written ``NAME = "value", _("As the user reads it")``.
    """

    _value_: str
    _text: str

    def __new__(cls, value: str, text: str) -> Self:
        """A member whose value is the first of the two."""
        member = object.__new__(cls)
        member._value_, member._text = value, text
        return member

    def label(self) -> str:
        """As the user reads it."""
        return self._text


class Device(Choice):
    """Where a run happens; the value is what :class:`manabi.context.Context` takes."""

    AUTO = "auto", _("Automatic")
    CPU = "cpu", _("Processor (CPU)")
    CUDA = "cuda", _("NVIDIA graphics card")
    MPS = "mps", _("Apple graphics")


class Precision(Choice):
    """Arithmetic of the network; the value is what :class:`manabi.context.Context` takes."""

    AUTO = "auto", _("Automatic")
    FLOAT32 = "float32", _("32 bit")
    BFLOAT16 = "bfloat16", _("16 bit (bfloat16)")
    FLOAT16 = "float16", _("16 bit (float16)")
