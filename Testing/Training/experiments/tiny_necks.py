"""Small planning CTs of a neck made of ellipses, no two alike."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.volume import Volume

HU = {"air": -1000.0, "fat": -72.0, "muscle": 43.0, "bone": 900.0}
PIXEL_MM, SLICE_MM = 3.0, 4.0


def neck(seed: int, slices: int = 5, side: int = 64) -> Volume:
    """An ellipse of fat around muscle with a vertebra and an airway, and the noise of a kilovoltage CT."""
    rng = np.random.default_rng(seed)
    width, depth, rim = rng.uniform(23, 27), rng.uniform(20, 23), rng.uniform(0.74, 0.82)
    down, right = rng.uniform(-2, 2, 2)
    y, x = np.indices((side, side), float) - side / 2
    radius = np.hypot((y - down) / depth, (x - right) / width)
    image = np.select([radius < rim, radius < 1], [HU["muscle"], HU["fat"]], HU["air"])
    image[np.hypot(y - 8, x) < 5] = HU["bone"]
    image[np.hypot(y + 8, x) < 3] = HU["air"]
    stack = np.stack([ndimage.gaussian_filter(image, 0.5)] * slices) + rng.normal(0, 8, (slices, side, side))
    return Volume(np.rint(stack).astype(np.int16), np.diag([PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0]), "CT", "HU")
