"""Parameters of MVCTConvert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from manabi.parameters import Parameters

Kind = Literal["mvct", "cbct"]
CONVERTERS = ("network", "histogram", "polynomial", "nlm", "bm3d")
"""Of the parameter ``converter``; all but the first are baselines."""


@dataclass(frozen=True)
class MVCTParameters(Parameters):
    """How a megavoltage or cone-beam CT is converted, and what is said about it."""

    converter: Literal["network", "histogram", "polynomial", "nlm", "bm3d"] = field(
        default="network",
        metadata={"help": "the bundle's network, or a baseline: HU maps, alone or after a denoising filter"},
    )
    image: Literal["auto", "mvct", "cbct"] = field(
        default="auto", metadata={"help": "what the input is: megavoltage or cone-beam CT; auto takes the bundle's"}
    )
    way_back: Literal["correction", "resample"] = field(
        default="correction",
        metadata={"help": "correction: what changes is added to the input's own voxels; resample: the work grid's"},
    )
    body_only: bool = field(default=True, metadata={"help": "leave everything outside the body as the input has it"})
    strength: float = field(
        default=1.0, metadata={"help": "share of the change that is applied", "low": 0.0, "high": 1.0}
    )
    keep_detail: float = field(
        default=0.0,
        metadata={"help": "share of the input's faint detail in soft tissue given back", "low": 0.0, "high": 1.0},
    )
    uncertainty: Literal["none", "flips", "ensemble", "dropout"] = field(
        default="flips", metadata={"help": "spread over a mirrored copy, several models, or dropout; none saves time"}
    )
    members: str | None = field(
        default=None, metadata={"help": "names of further bundles, separated by commas (uncertainty=ensemble)"}
    )
    residual: bool = field(
        default=True, metadata={"help": "convert back and show what is lost on the way (cycle residual)"}
    )
    gate: Literal["flag", "refuse"] = field(
        default="flag", metadata={"help": "an input that fails the checks is flagged, or refused"}
    )
    density: bool = field(
        default=True, metadata={"help": "compare electron density and water-equivalent depth with the input's own"}
    )
    dose: bool = field(
        default=False,
        metadata={"help": "compare a simple dose on input, converted image and reference (takes about a minute)"},
    )
    density_source: str | None = field(
        default=None, metadata={"help": "CSV of the site: HU of the input to relative electron density", "file": True}
    )
    density_target: str | None = field(
        default=None, metadata={"help": "CSV of the site: HU of kilovoltage CT to relative electron density",
                                "file": True}
    )  # fmt: skip
