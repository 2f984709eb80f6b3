"""What a bundle of PelvicSeg says of its network: structures, input, how it is applied, temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manabi.errors import CorruptModelError, InvalidInputError
from manabi.pelvis.structures import PELVIS
from manabi.structures.apply import NetworkInput
from manabi.structures.ct_input import InputSettings
from manabi.structures.structure_set import StructureSet

SECTION = "pelvis"


@dataclass(frozen=True)
class Settings:
    """How a network is used.

    Attributes:
        structures: that it finds, in the order of its classes; of another set than PelvicSeg's own, the bundle's.
        taken: what it sees of a CT.
        applied: how it is run over it.
        temperature: of the softmax, fitted to validation patients.
    """

    structures: StructureSet = PELVIS
    taken: InputSettings = InputSettings()
    applied: NetworkInput = NetworkInput()
    temperature: float = 1.0

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Settings:
        """From a bundle's facts; raises CorruptModelError where its section is missing or wrong."""
        try:
            own = facts[SECTION]
            return cls(
                StructureSet.of(own["structures"]), InputSettings.of(own["input"]), NetworkInput.of(own["network"]),
                float(own["temperature"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, InvalidInputError) as error:
            raise CorruptModelError(
                "The bundle does not say how its network is used (manabi.pelvis: structures, input, network, "
                f"temperature): {error}. Train or install it again."
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """As the bundle keeps it; :meth:`of` reads it."""
        return {
            "structures": self.structures.to_list(), "input": self.taken.to_dict(), "network": self.applied.to_dict(),
            "temperature": self.temperature,
        }  # fmt: skip
