"""The Gaussian filter, the first baseline of Ishiwata's table 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from scipy.ndimage import gaussian_filter

from manabi.filters.base import Filter


@dataclass(frozen=True)
class Gaussian(Filter):
    """Gaussian smoothing.

    Attributes:
        sigma_mm: standard deviation of the kernel (FWHM = 2.355 times this); in pixels where no spacing is given.
        volumetric: smooth a 3-D array along the slices too; False slice by slice, as the source does.
    """

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "Gaussian"

    sigma_mm: float = field(default=3.29, metadata={"help": "standard deviation in mm", "low": 0.0, "high": 100.0})
    volumetric: bool = field(default=False, metadata={"help": "smooth across slices too"})

    @classmethod
    def grid(cls) -> list[Self]:
        """Standard deviations from 1 to 10 mm: at 3.29 mm pixels, 0.3 to 3 pixels."""
        return [cls(sigma_mm=s) for s in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)]

    def _apply(self, image: np.ndarray, spacing_mm: tuple[float, ...], noise_std: float) -> np.ndarray:
        sigmas = [self.sigma_mm / s for s in spacing_mm]
        if image.ndim == 3 and not self.volumetric:
            sigmas[0] = 0.0
        return gaussian_filter(image, sigmas, mode="nearest")
