"""Small scans of a neck made of ellipses, as kilovoltage CT and as a noisier, flatter megavoltage CT of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy import ndimage

from manabi.io import write_volume
from manabi.volume import Volume

KV = {"air": -1000.0, "fat": -72.0, "muscle": 43.0, "bone": 900.0}
MV = {"air": -1000.0, "fat": -49.0, "muscle": 40.0, "bone": 500.0}


def scan(seed: int, domain: str = "kvct", slices: int = 5, side: int = 72, pixel_mm: float = 3.0) -> Volume:
    """One patient: an ellipse of fat around muscle with a vertebra and an airway; ``domain`` kvct or mvct."""
    shape = np.random.default_rng(seed)
    noise = np.random.default_rng([seed, 1 if domain == "mvct" else 2])
    hu = MV if domain == "mvct" else KV
    width, depth = shape.uniform(24, 28), shape.uniform(20, 24)
    rim = shape.uniform(0.72, 0.82)
    turn = shape.uniform(-2, 2, 2)
    y, x = np.indices((side, side), float) - side / 2
    radius = np.hypot((y - turn[0]) / depth, (x - turn[1]) / width)
    image = np.full((side, side), hu["air"])
    image[radius < 1] = hu["fat"]
    image[radius < rim] = hu["muscle"]
    image[np.hypot(y - 8, x) < 5] = hu["bone"]
    image[np.hypot(y + 8, x) < 3] = hu["air"]
    blur = 0.8 if domain == "mvct" else 0.5
    stack = np.stack([ndimage.gaussian_filter(np.roll(image, k % 2, 1), blur) for k in range(slices)])
    stack = stack + noise.normal(0, 35 if domain == "mvct" else 8, stack.shape)
    matrix = np.diag([pixel_mm, pixel_mm, 4.0, 1.0])
    return Volume(np.rint(stack).astype(np.int16), matrix, modality="CT", units="HU")


def site(folder: Path, pairs: int = 3, unpaired: int = 4) -> Path:
    """A table of unpaired training patients of both kinds, and validation and test patients with both scans."""
    folder.mkdir(parents=True)
    rows = []
    for n in range(unpaired):
        for domain, seed in (("mvct", n), ("kvct", 100 + n)):
            rows.append((f"{domain}{n}", domain, f"{domain[0]}{n}", "training", scan(seed, domain)))
    for n in range(pairs):
        split = "validation" if n == 0 else "test"
        rows += [(f"p{n} {d}", d, f"p{n}", split, scan(200 + n, d)) for d in ("mvct", "kvct")]
    with (folder / "site.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("case", "domain", "group", "split", "image"))
        for case, domain, group, split, volume in rows:
            write_volume(volume, folder / f"{case}.nii.gz")
            table.writerow((case, domain, group, split, f"{case}.nii.gz"))
    return folder / "site.csv"
