"""A small image with two segments, and a small cohort whose hazard depends on one feature of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from manabi.radiomics.presets import preset
from manabi.volume import Volume

FEATURE = "original_glcm_Contrast"
NAMES = (FEATURE, "original_shape_Sphericity", "original_firstorder_Mean", "original_glrlm_RunEntropy")
FAST = {"resample_mm": 2.0}
"""Coarser voxels: an extraction takes a blink."""


def tumours(seed: int = 0, modality: str | None = "CT") -> dict[str, Volume]:
    """``image`` and ``mask`` of three different sizes along the axes; labels 1 and 2."""
    rng = np.random.default_rng(seed)
    k, j, i = np.mgrid[:14, :34, :40]
    mask = (np.sqrt(((k - 7) * 2) ** 2 + (j - 15) ** 2 + (i - 16) ** 2) < 8).astype(np.uint8)
    mask[np.sqrt(((k - 6) * 2) ** 2 + (j - 25) ** 2 + (i - 31) ** 2) < 5] = 2
    texture = gaussian_filter(rng.normal(size=mask.shape), (0.5, 1, 1))
    image = (-800 + 820 * (mask > 0) + 200 * texture).astype(np.float32)
    matrix = np.diag([-1.0, -1.0, 2.0, 1.0])
    matrix[:3, 3] = (20.0, 17.0, -14.0)
    return {
        "image": Volume(image, matrix, modality, "HU", name="ct"), "mask": Volume(mask, matrix, "SEG", name="mask"),
    }  # fmt: skip


def cohort_tables(folder: Path, patients: int = 60, seed: int = 3, effect: float = 1.2) -> tuple[Path, Path]:
    """``features.csv`` and ``outcomes.csv`` as the method writes and takes them."""
    rng = np.random.default_rng(seed)
    z, volume = rng.normal(size=patients), np.exp(rng.normal(2.0, 0.6, patients))
    age = rng.normal(70.0, 8.0, patients)
    middle, spread = (40.0, 0.85, 10.0, 4.2), (15.0, 0.05, 30.0, 0.3)
    values = np.column_stack([z, rng.normal(size=(patients, 3))]) * spread + middle
    hazard = effect * z + 0.02 * (age - 70)
    death, end = rng.exponential(900.0 * np.exp(-hazard)), rng.uniform(300.0, 2600.0, patients)
    settings = preset("default").to_dict() | {"resample_mm": [2.0, 2.0, 2.0]}
    text = json.dumps(settings)
    columns = ["case", "segment", "volume_ml", *NAMES, "settings_json", "settings_preset"]
    rows = [
        [f"p{n}", "Tumour", volume[n], *values[n], text, "default, changed"] for n in range(patients)
    ]  # fmt: skip
    outcomes = [
        [
            f"p{n}",
            max(1, int(min(death[n], end[n]))),
            int(death[n] < end[n]),
            round(age[n], 1),
            "III" if z[n] > 0 else "IV",
        ]
        for n in range(patients)
    ]
    return (
        _write(folder / "features.csv", columns, rows),
        _write(folder / "outcomes.csv", ["case", "time_days", "event", "age", "grade"], outcomes),
    )


def _write(path: Path, columns: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
