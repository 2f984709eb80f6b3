"""Heads of some centimetres as FreeSurfer label maps, images and tables of them, and settings of tiny networks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from manabi.io import write_volume
from manabi.volume import Volume

SHAPE = (44, 50, 42)
CODES = {"fluid": 24, "scalp": 258, "stem": 16}
SIDED = {"white": (2, 41), "cortex": (3, 42), "ventricle": (4, 43), "cerebellum": (8, 47)}
SIGNALS = {0: 0, 2: 200, 41: 200, 3: 140, 42: 140, 4: 40, 43: 40, 8: 150, 47: 150, 16: 180, 24: 30, 258: 100}
OURS = {2: 1, 3: 1, 41: 2, 42: 2, 8: 3, 47: 4, 16: 5, 4: 6, 43: 6, 24: 0, 258: 0, 0: 0}
"""The codes as values of ``manabi.brain.structures.LABELS``."""

TINY = {
    "coarse_filters": "4-6-8", "fine_filters": "4-6", "crop_mm": "40x48x40", "items_per_epoch": 4, "fine_epochs": 1,
    "fine_items": 4, "patches": 2, "patch": 16, "copies": 2, "trees": 0, "parts": "2/1/1", "name": "brain-tiny",
}  # fmt: skip
SETTINGS = [
    "epochs=1", "batch_size=2", "optimizer=adamw", "training.lr=0.003", "device=cpu", "precision=32-true",
    "bending.size_mm=48x56x48", "bending.rotate_deg=8", *(f"recipe.{key}={value}" for key, value in TINY.items()),
]  # fmt: skip


def head(seed: int = 0, mm: float = 1.0) -> Volume:
    """A cerebrum with cortex and ventricles over a cerebellum and a brainstem, in fluid and scalp; RAS, ``mm`` voxels.

    A lobe at the front of the right half makes it differ from its mirror image.
    """
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.95, 1.05)
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / size for n in SHAPE], indexing="ij")
    right = x > 0

    def ball(middle: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((a - m) / r) ** 2 for a, m, r in zip((z, y, x), middle, radii, strict=True)) < 1

    out = np.zeros(SHAPE, np.int16)
    out[ball((0, 0, 0), (20, 22, 18))] = CODES["scalp"]
    out[ball((0, 0, 0), (18, 20, 16))] = CODES["fluid"]
    whole = ball((4, 1, 0), (11, 16, 14)) | ball((3, 12, 7), (5, 6, 5))
    for mask, name in (
        (ball((-9, -9, 0), (6, 7, 10)), "cerebellum"), (whole, "cortex"), (ball((4, 0, 0), (8, 13, 11)), "white"),
        (ball((5, 0, 4), (3, 6, 2)) | ball((5, 0, -4), (3, 6, 2)), "ventricle"),
    ):  # fmt: skip
        left_code, right_code = SIDED[name]
        out[mask] = np.where(right, right_code, left_code)[mask]
    out[ball((-9, 2, 0), (8, 4, 4))] = CODES["stem"]
    matrix = np.diag([mm, mm, mm, 1.0])
    matrix[:3, 3] = rng.uniform(-20, 20, 3)
    return Volume(out, matrix, name="labels")


def picture(labels: Volume, seed: int = 0) -> Volume:
    """A T1-like image on the same grid, with noise."""
    table = np.zeros(300)
    table[list(SIGNALS)] = list(SIGNALS.values())
    noise = np.random.default_rng([seed, 1]).normal(0, 6, labels.shape)
    return labels.like(np.abs(table[labels.array] + noise).astype(np.int16), modality="MR")


def as_ours(labels: Volume) -> Volume:
    """The same with this project's own values."""
    table = np.zeros(300, np.uint8)
    table[list(OURS)] = list(OURS.values())
    return labels.like(table[labels.array])


def with_vessels(labels: Volume) -> Volume:
    """Our values with an artery along the middle line, in front of the brainstem."""
    array = np.array(as_ours(labels).array)
    array[8:20, 30:33, 19:22] = 7
    return labels.like(array)


def middle(mask: np.ndarray) -> np.ndarray:
    """Mean index of a mask along each axis."""
    return np.array([axis.mean() for axis in np.nonzero(mask)])


def write_maps(folder: Path, count: int = 4) -> Path:
    """A folder of label maps."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        write_volume(head(seed), folder / f"map-{seed}.nii.gz")
    return folder


def write_table(folder: Path, rows: list[dict[str, Any]], name: str = "cohort.csv") -> Path:
    """A CSV of these rows."""
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def site(folder: Path, count: int = 4) -> list[dict[str, Any]]:
    """Rows of a table with as many patients, their images and complete labels written as files."""
    rows = []
    for seed in range(count):
        labels = head(seed)
        write_volume(picture(labels, seed), folder / f"image-{seed}.nii.gz")
        write_volume(with_vessels(labels), folder / f"labels-{seed}.nii.gz")
        rows.append({"case": f"p{seed}", "image": f"image-{seed}.nii.gz", "labels": f"labels-{seed}.nii.gz"})
    return rows
