"""Changes of a crop's values that make few scans stand for many: noise, blur, an offset and a slope of the HU scale.

The crops' places, rotations and sizes are :class:`Training.mvct_domains.Cropper`'s; what is changed here is what
differs between scanners and days. Values are HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from Training.mvct_domains import Domain

FLOOR_HU = -1024.0
AIR_HU = -1000.0


@dataclass(frozen=True)
class HuAugment:
    """An :data:`Training.mvct_domains.Augment`; only the source is changed, for the target is what shall be reached.

    MVCT differs between machines in its noise (2.3 to 2.4 % in a phantom, more in a neck), its jaws' blur and the HU of
    water (TG-148 allows ±30); the defaults stay within that (our choice).

    Attributes:
        noise_hu: largest standard deviation of noise that is added; its grain is one to two pixels.
        blur_px: largest sigma of an additional Gaussian blur.
        offset_hu: largest offset added to tissue; air keeps its HU.
        slope: largest relative change of the distance from water.
        share: of the crops that are changed.
    """

    noise_hu: float = 0.0
    blur_px: float = 0.0
    offset_hu: float = 0.0
    slope: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if min(self.noise_hu, self.blur_px, self.offset_hu, self.slope) < 0 or not 0 <= self.share <= 1:
            raise InvalidInputError("The augmentation's sizes must be 0 or more, and share from 0 to 1.")

    def __call__(self, crop: np.ndarray, rng: np.random.Generator, domain: Domain) -> np.ndarray:
        """The changed crop ``(slices, rows, columns)``, float32; the same crop where nothing is to be changed."""
        if domain != "source" or rng.random() >= self.share:
            return crop
        out = self._scaled(np.asarray(crop, np.float32), rng)
        out = self._blurred(out, rng)
        return np.maximum(self._noisy(out, rng), np.float32(FLOOR_HU))

    def _scaled(self, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Slope and offset; both fade out towards air, which every scanner is calibrated to."""
        slope, offset = rng.uniform(-self.slope, self.slope), rng.uniform(-self.offset_hu, self.offset_hu)
        tissue = np.clip((hu - AIR_HU) / -AIR_HU, 0.0, 1.0)
        return hu + tissue * np.float32(offset) + np.float32(slope) * np.where(hu > 0, hu, hu * tissue)

    def _blurred(self, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        sigma = rng.uniform(0.0, self.blur_px)
        return ndimage.gaussian_filter(hu, (0.0, sigma, sigma)) if sigma > 0.1 else hu

    def _noisy(self, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Added noise whose standard deviation is drawn, and its grain too."""
        from scipy import ndimage

        sd = rng.uniform(0.0, self.noise_hu)
        if sd <= 0:
            return hu
        grain = rng.uniform(0.0, 0.8)
        noise = rng.standard_normal(hu.shape, np.float32)
        noise = ndimage.gaussian_filter(noise, (0.0, grain, grain)) if grain > 0.1 else noise
        return hu + noise * np.float32(sd / max(float(noise.std()), 1e-6))
