"""An analytic head and neck for the tests of MVCTConvert: HU by kind of scanner, blur and noise; cheap and exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.volume import Volume

HU = {
    "kvct": {"fat": -90.0, "muscle": 45.0, "spongiosa": 271.0, "cortical": 1250.0, "noise": 9.0, "blur": 0.6},
    "mvct": {"fat": -49.0, "muscle": 40.0, "spongiosa": 150.0, "cortical": 690.0, "noise": 30.0, "blur": 1.1},
    "cbct": {"fat": -90.0, "muscle": 45.0, "spongiosa": 271.0, "cortical": 1150.0, "noise": 32.0, "blur": 0.9},
}
SPACING = np.array([1.5, 1.5, 3.0])
SHAPE = (16, 144, 144)


@dataclass(frozen=True)
class Head:
    """A noisy image, its clean copy, and where the tissues are (0 outside, then as ``TISSUES`` without lung)."""

    hu: np.ndarray
    clean: np.ndarray
    truth: np.ndarray
    spacing_mm: np.ndarray

    def volume(self, array: np.ndarray | None = None) -> Volume:
        """The image (or another array on its grid) as a CT that runs to right, anterior, superior."""
        matrix = np.diag([*self.spacing_mm, 1.0])
        values = self.hu if array is None else array
        return Volume(np.asarray(values, np.float32), matrix, modality="CT", units="HU")


def head(kind="mvct", seed=0, scale=1.0, couch=True, noise=None, shape=SHAPE) -> Head:
    """A slightly tapering neck: skin of fat, muscle, a vertebra (cortical shell, spongiosa), an airway, a couch."""
    rng = np.random.default_rng(seed)
    values, sx = HU[kind], SPACING[0]
    k, j, i = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(float)
    width = (75.0 + rng.normal(0, 2.0) + 0.6 * (k - shape[0] / 2)) * scale
    x, y = (i - shape[2] / 2 + 0.5) * sx, (j - shape[1] / 2 + 0.5) * sx - 10.0
    body = np.hypot(x / width, y / (0.85 * width))
    truth = np.zeros(shape, np.uint8)
    truth[body <= 1.0] = 3
    truth[body <= 0.8] = 4
    bone = np.hypot(x / (19.0 * scale), (y + 18.0 * scale) / (16.0 * scale))
    truth[bone <= 1.0] = 5
    airway = np.hypot(x, y - 25.0 * scale) <= 9.0 * scale
    truth[airway] = 1
    clean = np.select(
        [truth == 3, truth == 4, (truth == 5) & (bone <= 0.7), truth == 5],
        [values["fat"], values["muscle"], values["spongiosa"], values["cortical"]], -1000.0,
    )  # fmt: skip
    if couch:
        clean[(np.abs(y + width.max() * 0.85 + 8.0) < 2.0) & (np.abs(x) < 100.0)] = -200.0
    sigma = values["blur"] / sx
    clean = ndimage.gaussian_filter(clean, (0, sigma, sigma))
    noisy = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 0.6, 0.6))
    level = values["noise"] if noise is None else noise
    hu = clean + noisy * (level / noisy.std())
    return Head(hu.astype(np.float32), clean.astype(np.float32), truth, SPACING)
