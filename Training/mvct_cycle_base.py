"""What every converter in training shares: the translator, how crops are drawn, and the windows of HU."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from manabi.errors import InvalidInputError
from manabi.mvct.window import HuWindow
from manabi.parameters import Parameters
from Training.mvct_domains import Cropper


@dataclass(frozen=True)
class ConverterRecipe(Parameters):
    """Networks, crops and windows; the small networks and crops are our choice, for a processor.

    The source: filters 32-64-128 and judges of 64-128-256, 9 blocks (five in the encoder, four in the decoder),
    ``up=unpool``, ``output=tanh``, whole slices with rotations up to 20° (UnpairedImageTranslation, the program of
    Ozaki et al., Med Phys 2022, 10.1002/mp.15626).
    """

    filters: str = field(default="16-32-64", metadata={"help": "channels per level of the translators"})
    blocks: int = field(default=4, metadata={"low": 0, "help": "residual blocks; the source has 9"})
    skip: Literal["none", "concat", "add", "conv"] = "none"
    down: Literal["stride", "maxpool"] = "stride"
    up: Literal["resize", "unpool", "pixelshuffle"] = "resize"
    norm: Literal["instance", "batch", "none"] = field(
        default="none", metadata={"help": "instance (the source's) hides the HU level of a crop from the network"}
    )
    dropout: float = field(default=0.0, metadata={"low": 0.0, "high": 0.95, "help": "in the residual blocks"})
    residual: bool = field(default=True, metadata={"help": "the networks correct their input (ours)"})
    output: Literal["linear", "tanh"] = field(default="linear", metadata={"help": "linear where residual"})
    judge_filters: str = field(default="16-32-64", metadata={"help": "channels per layer of the judges"})
    judge_norm: Literal["instance", "batch", "none"] = field(
        default="none", metadata={"help": "in the judges; instance (the source's) hides the HU level from them"}
    )
    judge_kernel: int = field(default=4, metadata={"low": 2, "high": 7, "help": "side of their convolutions"})

    context: int = field(default=1, metadata={"low": 1, "high": 15, "help": "slices that are converted together; odd"})
    crop: int = field(default=128, metadata={"low": 16, "help": "side of the training crops in pixels"})
    items_per_epoch: int = field(default=0, metadata={"low": 0, "help": "crops; 0 takes one per source slice"})
    rotate_deg: float = field(default=10.0, metadata={"low": 0.0, "high": 180.0, "help": "largest random rotation"})
    zoom: float = field(default=0.05, metadata={"low": 0.0, "high": 0.5, "help": "largest random change of scale"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies"})
    source_low: float = field(default=-1000.0, metadata={"help": "HU that becomes -1 in the source domain"})
    source_high: float = field(default=1000.0, metadata={"help": "HU that becomes 1"})
    target_low: float = field(default=-1000.0, metadata={"help": "HU that becomes -1 in the target domain"})
    target_high: float = field(default=1000.0, metadata={"help": "HU that becomes 1"})
    select: Literal["last", "mae"] = field(
        default="last", metadata={"help": "the epoch that is kept; mae needs paired validation"}
    )

    def __post_init__(self) -> None:
        """Check every field, and those that must fit together."""
        super().__post_init__()
        check_context(self.context)
        numbers(self.filters, "filters"), numbers(self.judge_filters, "judge_filters")
        self.window("source"), self.window("target")
        if self.residual and self.output != "linear":
            raise InvalidInputError(f"residual=true needs output=linear; got {self.output}.")

    def window(self, domain: Literal["source", "target"]) -> HuWindow:
        """The HU window of a domain."""
        return HuWindow(getattr(self, f"{domain}_low"), getattr(self, f"{domain}_high"))

    def cropper(self) -> Cropper:
        """How crops are drawn."""
        return Cropper(self.crop, self.context, self.rotate_deg, self.zoom, self.mirror)

    def translator_arguments(self) -> dict[str, Any]:
        """Of either translator, for :class:`manabi.networks.translator.Translator`."""
        same = ("blocks", "skip", "down", "up", "norm", "dropout", "residual")
        return {
            "in_channels": self.context,
            "out_channels": self.context,
            "filters": numbers(self.filters, "filters"),
            "output_activation": self.output,
            **{name: getattr(self, name) for name in same},
        }

    def judge_arguments(self) -> dict[str, Any]:
        """Of a judge, for :class:`manabi.networks.patch_discriminator.PatchDiscriminator`."""
        filters = numbers(self.judge_filters, "judge_filters")
        return {"filters": filters, "kernel": self.judge_kernel, "norm": self.judge_norm}


def numbers(text: str, name: str = "filters") -> list[int]:
    """Channels per level from a text like ``32-64-128``; raises InvalidInputError for anything else."""
    if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", text):
        raise InvalidInputError(f"{name} must be channels per level, like 32-64-128; got {text!r}.")
    return [int(n) for n in text.split("-")]


def check_context(context: int) -> None:
    """Raise InvalidInputError for an even number of slices."""
    if context % 2 == 0:
        raise InvalidInputError(f"context must be odd: a slice and as many on each side; got {context}.")
