"""A computed contrast as the second image of a run: where vessels come from it, and how much of them is a guess.

The source (Sugino, report of KAKENHI 20K20216, section 4.2) finds vessels from heavy T2 and an angiogram computed from
it. What the computed image shows where heavy T2 cannot show a vessel comes from what brains look like on average;
vessels that are drawn there count as little as that (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.brain.bright_vessels import VESSELS
from manabi.brain.contrast import Synthesis
from manabi.volume import Volume

GUESSED = 0.5
"""A vessel's voxel counts as a guess from this uncertainty of the computed image on (our choice)."""


@dataclass(frozen=True)
class Computed:
    """A second contrast that was not measured.

    Attributes:
        made: image and uncertainty, on the grid of the run's image.
        model: name and version of what computed it.
    """

    made: Synthesis
    model: str

    @property
    def volumes(self) -> dict[str, Volume]:
        """What a result shows of it, by name."""
        return {self.made.volume.name: self.made.volume, "unknowable": self.made.uncertainty}

    def doubted(self, labels: Volume, confidence: Volume) -> Volume:
        """The confidence with that of vessels multiplied by how far the computed image can be known there."""
        sure = np.array(confidence.array, np.float32)
        vessel = np.asarray(labels.array) == VESSELS
        sure[vessel] *= 1 - np.asarray(self.made.uncertainty.array)[vessel]
        return confidence.like(sure)

    def guessed(self, labels: Volume) -> float | None:
        """Share of the vessels that lies where they cannot be known; None where no vessel is drawn."""
        doubt = np.asarray(self.made.uncertainty.array)[np.asarray(labels.array) == VESSELS]
        return float((doubt >= GUESSED).mean()) if doubt.size else None

    def texts(self, share: float | None) -> list[str]:
        """Warnings for the result.

        Args:
            share: of :meth:`guessed`.
        """
        said = [*self.made.volume.warnings, f"The second contrast was computed by {self.model}."]
        if share:
            said.insert(
                0,
                f"Check the vessels: {share:.0%} of what is drawn of them lies where the image cannot show a vessel; "
                "there it is a guess. See the map unknowable.",
            )
        return said
