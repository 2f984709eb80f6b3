"""What a flow of normal chest films is trained on, and how large it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from manabi.errors import InvalidInputError
from manabi.parameters import Parameters


@dataclass(frozen=True)
class FlowRecipe(Parameters):
    """Settings besides the engine's.

    The source's generator: Glow on whole films (Hanaoka et al., IJCARS 2024); its size and schedule are not published.
    The defaults are ours: patches, which a processor can learn, and which are put back around a nodule.
    """

    what: Literal["patch", "film"] = field(default="patch", metadata={"help": "parts of films, or whole ones"})
    matrix: int = field(default=256, metadata={"low": 32, "help": "rows and columns of the films that patches are of"})
    size: int = field(default=64, metadata={"low": 8, "help": "rows and columns of what the flow sees"})
    within: Literal["lungs", "film"] = field(default="lungs", metadata={"help": "where patches have their middle"})
    levels: int = field(default=3, metadata={"low": 1, "help": "L of Glow"})
    steps: int = field(default=16, metadata={"low": 1, "help": "K of Glow"})
    hidden: int = field(default=64, metadata={"low": 1, "help": "channels of the coupling networks"})
    coupling: Literal["affine", "additive"] = "affine"
    top: Literal["channel", "place"] = field(default="channel", metadata={"help": "what the last prior depends on"})
    reversible: bool = field(default=True, metadata={"help": "back-propagate by inversion: memory flat in the depth"})
    bits: str = field(default="3-5-8", metadata={"help": "grey levels (powers of two) one after the other"})
    bits_at: str = field(default="0.08-0.2", metadata={"help": "shares of the training at which they change"})
    items_per_epoch: int = field(default=1600, metadata={"low": 1, "help": "patches or films per epoch"})
    batch_at_32: int = field(
        default=64, metadata={"low": 0, "help": "batch for 32 x 32, scaled by area; 0 takes training.batch_size"}
    )
    first_items: int = field(default=256, metadata={"low": 2, "help": "items of the data-dependent initialisation"})
    gamma: float = field(default=0.1, metadata={"low": 0.0, "high": 1.0, "help": "spread of ln gamma of each item"})
    shift: float = field(
        default=0.03, metadata={"low": 0.0, "high": 0.5, "help": "of whole films, share of their side"}
    )
    films_per_chest: int = field(default=16, metadata={"low": 1, "help": "films of each simulated chest"})
    side_mm: float = field(default=384.0, metadata={"low": 100.0, "help": "side of simulated films"})
    parts: str = field(default="80/10/10", metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    validation_items: int = field(default=64, metadata={"low": 1, "help": "items that choose the epoch"})
    test_items: int = field(default=256, metadata={"low": 1, "help": "items that are scored at the end"})
    samples: int = field(default=24, metadata={"low": 2, "help": "films drawn for the report"})
    temperature: float = field(default=0.7, metadata={"low": 0.0, "high": 2.0, "help": "of those films"})
    name: str = field(default="nodule-flow-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        """Check every field, and those that must fit together."""
        super().__post_init__()
        if self.what == "patch" and self.size > self.matrix:
            raise InvalidInputError(f"A patch of {self.size} pixels is larger than the film of {self.matrix}.")
        self.grey_bits(0.0)

    def network_arguments(self) -> dict[str, Any]:
        """For :class:`manabi.nodule.glow.Glow`, at the last number of grey levels."""
        return {
            "size": self.size, "levels": self.levels, "steps": self.steps, "hidden": self.hidden,
            "coupling": self.coupling, "top": self.top, "bits": self.grey_bits(1.0), "reversible": self.reversible,
        }  # fmt: skip

    def grey_bits(self, share: float) -> int:
        """Bits of the grey levels after ``share`` of the training; raises InvalidInputError for a bad schedule."""
        try:
            bits = [int(text) for text in self.bits.split("-")]
            changes = [float(text) for text in self.bits_at.split("-") if text]
        except ValueError:
            bits, changes = [], []
        if len(bits) != len(changes) + 1 or changes != sorted(changes) or not all(1 <= n <= 16 for n in bits):
            raise InvalidInputError(
                "bits and bits_at must be like 3-5-8 and 0.1-0.25: bits of 1 to 16, and rising shares between them; "
                f"got {self.bits!r} and {self.bits_at!r}."
            )
        return bits[sum(share >= change for change in changes)]

    def batch_size(self, otherwise: int) -> int:
        """Items per step: the batch for 32 x 32 times (32 / size)², as the source of Glow scales it; 1 at least."""
        if self.batch_at_32 == 0:
            return otherwise
        return max(1, math.floor(self.batch_at_32 * (32 / self.size) ** 2 + 0.5))

    def facts(self) -> dict[str, Any]:
        """For the bundle's section ``flow``: what the flow's films are."""
        return {"what": self.what, "matrix": self.matrix, "size": self.size, "within": self.within}
