"""Soft lesions put into crops of both scans, so that a network learns to keep what is not of every patient.

Supervised training on few anatomies makes a denoiser that takes whatever it has not seen for noise: in trials without
these lesions (``recipe.lesions=0``) the network of ``mvct.json`` kept less than half of the contrast of simulated
nodes. Cohen et al. (2018,
10.1007/978-3-030-00928-1_60) describe how converters lose and invent lesions; putting lesions into pairs is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError

SOFT_HU = (-180.0, 160.0)
"""Lesions change only what is soft tissue in the kilovoltage image."""
SOURCE_SIGMA_PX, TARGET_SIGMA_PX = (0.7, 2.0), (0.4, 0.7)
"""Blur of the edges in either image: that of the simulated scanners at pixels of 1 mm (our choice)."""
SOURCE_SHARE = (0.85, 1.0)
"""Contrast in megavoltage CT over that in kilovoltage CT (our choice; fat to muscle it is 0.77)."""


@dataclass(frozen=True)
class SoftLesions:
    """Ellipses of one contrast in both crops of a pair, at the same place.

    Attributes:
        share: of the crops that get any.
        most: lesions in a crop, at most.
        contrast_hu: least and largest contrast, either sign.
        radius_px: least and largest semi-axis.
    """

    share: float = 0.0
    most: int = 4
    contrast_hu: tuple[float, float] = (15.0, 110.0)
    radius_px: tuple[float, float] = (2.5, 12.0)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if not 0 <= self.share <= 1 or self.most < 1:
            raise InvalidInputError("Lesions need a share from 0 to 1 and at least one at most.")

    def __call__(
        self, source: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both crops ``(slices, rows, columns)`` in HU with lesions, float32; the same crops where none is put in."""
        if rng.random() >= self.share:
            return source, target
        source, target = (np.asarray(crop, np.float32) for crop in (source, target))
        for _ in range(int(rng.integers(1, self.most + 1))):
            source, target = self._with_one(source, target, rng)
        return source, target

    def _with_one(
        self, source: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        from scipy import ndimage

        soft = (target > SOFT_HU[0]) & (target < SOFT_HU[1])
        places = np.argwhere(soft[len(target) // 2])
        if not len(places):
            return source, target
        inside = self._ellipse(target.shape[1:], places[rng.integers(len(places))], rng)
        contrast = rng.uniform(*self.contrast_hu) * rng.choice((-1.0, 1.0))
        slices = rng.uniform(0.3, 1.0, len(target)).astype(np.float32)
        slices[len(target) // 2] = 1.0
        shape = slices[:, None, None] * (inside & soft)
        added = []
        for low, high in (SOURCE_SIGMA_PX, TARGET_SIGMA_PX):
            sigma = rng.uniform(low, high)
            added.append(ndimage.gaussian_filter(shape.astype(np.float32), (0.0, sigma, sigma)) * np.float32(contrast))
        return source + np.float32(rng.uniform(*SOURCE_SHARE)) * added[0], target + added[1]

    def _ellipse(self, shape: tuple[int, ...], centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Mask of a turned ellipse."""
        angle, axes = rng.uniform(0, np.pi), rng.uniform(*self.radius_px, 2)
        row, column = (np.arange(n) - c for n, c in zip(shape, centre, strict=True))
        along = np.cos(angle) * row[:, None] + np.sin(angle) * column
        across = np.cos(angle) * column - np.sin(angle) * row[:, None]
        return np.asarray((along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1.0)
