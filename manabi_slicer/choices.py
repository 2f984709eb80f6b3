"""Choices that every module offers; in a combo box each is shown by its ``label()``."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Device(Enum):
    """Where a run happens; the value is what :class:`manabi.context.Context` takes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("NVIDIA graphics card"),
            Device.MPS: _("Apple graphics"),
        }[self]


class Precision(Enum):
    """Arithmetic of the network; the value is what :class:`manabi.context.Context` takes."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Precision.AUTO: _("Automatic"),
            Precision.FLOAT32: _("32 bit"),
            Precision.BFLOAT16: _("16 bit (bfloat16)"),
            Precision.FLOAT16: _("16 bit (float16)"),
        }[self]
