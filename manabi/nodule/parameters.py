"""Parameters of NoduleSynth, for both of its tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from manabi.parameters import Parameters

LOWEST_FALSE_POSITIVES, HIGHEST_FALSE_POSITIVES = 0.05, 4.0
"""Ends of the slider from strict to sensitive, false positives per film (our choice)."""


@dataclass(frozen=True)
class NoduleParameters(Parameters):
    """How a film is searched for nodules, or a film with nodules is made. All defaults are our choice."""

    task: Literal["detect", "synthesise"] = field(
        default="detect", metadata={"help": "search a film for nodules, or make a film with nodules"}
    )
    false_positives: float = field(
        default=0.2,
        metadata={"help": "operating point: false positives per film that are accepted (detect)",
                  "low": LOWEST_FALSE_POSITIVES, "high": HIGHEST_FALSE_POSITIVES},
    )  # fmt: skip
    limit_to_lungs: bool = field(
        default=True,
        metadata={"help": "leave out marks outside the lungs, hidden parts of them included (detect)"},
    )
    average: bool = field(
        default=False,
        metadata={
            "help": "average the heat map over small shifts of the film: steadier, but scores are lower (detect)"
        },
    )
    film_mm: float = field(
        default=0.0,
        metadata={"help": "length of the film's longer side where the file does not say; 0 takes the file's spacing",
                  "low": 0.0, "high": 600.0},
    )  # fmt: skip
    base: Literal["input", "phantom", "flow"] = field(
        default="input",
        metadata={"help": "film the nodules are put in: the input, a simulated one, one from the flow (synthesise)"},
    )
    count: int = field(
        default=1, metadata={"help": "nodules in the film; with place, those without one (synthesise)",
                             "low": 0, "high": 10}
    )  # fmt: skip
    diameter_mm: float = field(
        default=0.0, metadata={"help": "of each nodule, mm; 0 draws 5 to 35 mm (synthesise)", "low": 0.0, "high": 40.0}
    )
    density: Literal["random", "solid", "part_solid", "ground_glass"] = field(
        default="random", metadata={"help": "kind of the nodules (synthesise)"}
    )
    place: str = field(
        default="",
        metadata={"help": "points R,A,S in mm on the film, separated by semicolons; empty draws them (synthesise)"},
    )
    ratio: float = field(
        default=-1.0,
        metadata={"help": "of the latent interpolation, 0 original to 1 embedded; below 0 draws 0.3 to 1 (synthesise)",
                  "low": -1.0, "high": 1.0},
    )  # fmt: skip
    flow: str | None = field(
        default=None, metadata={"help": "bundle of the flow that blends nodules in; empty takes the shipped one"}
    )
    pairs: int = field(
        default=0,
        metadata={"help": "further pairs of films without and with nodules, for training (synthesise)",
                  "low": 0, "high": 500},
    )  # fmt: skip
