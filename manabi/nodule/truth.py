"""What is known of a simulated nodule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manabi.errors import InvalidInputError


@dataclass(frozen=True)
class NoduleTruth:
    """One nodule of a simulated film.

    Attributes:
        number: its value in the mask, from 1.
        row: of its middle on the film, with fractions.
        column: likewise.
        distance_mm: of its middle from the detector.
        diameter_mm: its longest diameter in space, without spicules.
        diameter_px: the same on the film, magnified.
        volume_mm3: without spicules.
        density: ``solid``, ``part_solid`` or ``ground_glass``.
        density_g_cm3: of the solid part, or of ground glass without one.
        spiculated: whether it has spicules.
        lung: ``right`` or ``left``; ``none`` where its middle was put outside the lungs.
        hidden: one of :data:`manabi.nodule.place.HIDDEN`.
        kept: share of its projection that lies within the lung.
        contrast: mean difference in the mask of the film with it to the film without it, in grey values of 0 to 1.
        cnr: that contrast over the film's own standard deviation around the nodule
            (:func:`manabi.nodule.contrast.contrast_to_noise`).
        subtlety: 1 extremely subtle to 5 obvious (:func:`manabi.nodule.subtlety.grade`); 0 before it is graded.
        ratio: of the latent interpolation; 1 for the embedded film as it was.
    """

    number: int
    row: float
    column: float
    distance_mm: float
    diameter_mm: float
    diameter_px: float
    volume_mm3: float
    density: str
    density_g_cm3: float
    spiculated: bool
    lung: str
    hidden: str
    kept: float
    contrast: float = 0.0
    cnr: float = 0.0
    subtlety: int = 0
    ratio: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON has them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NoduleTruth:
        """A nodule from :meth:`to_dict`; raises InvalidInputError where values are missing or unknown."""
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidInputError(f"This is no nodule's truth: {error}.") from error
