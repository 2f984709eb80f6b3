"""From a CT of any orientation and resolution to what a network for structures sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.volume import Volume

LARGEST_MM = 2200.0
"""No patient is longer; images of more are refused before memory runs out."""
AIR_HU = -1000.0


@dataclass(frozen=True)
class InputSettings:
    """What a network sees; all of it is our choice.

    Attributes:
        spacing_mm: of the working grid's slices, rows and columns.
        low_hu: becomes 0; what is below, too.
        high_hu: becomes 1; what is above, too.
    """

    spacing_mm: tuple[float, float, float] = (2.5, 2.0, 2.0)
    low_hu: float = -160.0
    high_hu: float = 240.0

    def __post_init__(self) -> None:
        """Check that sizes are sizes and the range is one."""
        if len(self.spacing_mm) != 3 or min(self.spacing_mm) <= 0 or self.low_hu >= self.high_hu:
            raise InvalidInputError(
                f"Expected three sizes above 0 and low_hu below high_hu; got {self.spacing_mm}, {self.low_hu} and "
                f"{self.high_hu}."
            )

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> InputSettings:
        """From a bundle's facts."""
        k, j, i = (float(n) for n in facts["spacing_mm"])
        return cls((k, j, i), float(facts["low_hu"]), float(facts["high_hu"]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {**asdict(self), "spacing_mm": list(self.spacing_mm)}


@dataclass(frozen=True)
class Prepared:
    """A CT on the working grid.

    Attributes:
        image: ``(slices, rows, columns)`` float32 from 0 to 1; axes as close to right, anterior, superior as the
            image's own allow.
        grid: where it lies.
        original: the input's grid.
        warnings: what was changed.
    """

    image: np.ndarray
    grid: Grid
    original: Grid
    warnings: tuple[str, ...] = ()


def prepare(volume: Volume, settings: InputSettings) -> Prepared:
    """Turn, resample and scale a CT.

    Args:
        volume: HU.
        settings: of the network.

    Raises:
        InvalidInputError: for an image longer than any patient.
    """
    straight = volume.straightened() if volume.grid.is_sheared else volume
    canonical = straight.reoriented()
    extent = np.array(canonical.shape[::-1]) * canonical.spacing_mm
    if extent.max() > LARGEST_MM:
        raise InvalidInputError(
            f"Expected a CT; this image is {extent.max():.0f} mm long. Check its spacing."
        )
    hu = canonical.like(np.clip(np.asarray(canonical.array, np.float32), AIR_HU, 3000.0))
    work = averaged(hu, settings.spacing_mm).resampled(working_grid(canonical.grid, settings), fill=AIR_HU)
    image = np.clip((work.array - settings.low_hu) / (settings.high_hu - settings.low_hu), 0.0, 1.0)
    new = straight.warnings[len(volume.warnings) :]
    return Prepared(np.ascontiguousarray(image, np.float32), work.grid, volume.grid, tuple(new))


def working_grid(grid: Grid, settings: InputSettings) -> Grid:
    """The working grid of an image whose grid is in closest-to-RAS order."""
    return grid.with_spacing(np.array(settings.spacing_mm[::-1]))


def averaged(volume: Volume, spacing_mm: tuple[float, float, float]) -> Volume:
    """Smoothed along the axes along which the image is finer than ``spacing_mm`` (k, j, i), so that nothing aliases."""
    from scipy.ndimage import gaussian_filter

    ratio = np.asarray(spacing_mm) / volume.spacing_mm[::-1]
    sigma = np.where(ratio > 1.05, 0.42 * np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)), 0.0)
    if not sigma.any():
        return volume
    return volume.like(gaussian_filter(np.asarray(volume.array, np.float32), sigma, mode="nearest", truncate=3.0))
