"""A small chest of two ellipsoid lungs and a heart, exact along parallel rays, and libraries of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from manabi.nodule.pairs_recipe import PairRecipe
from manabi.nodule.place import ASSUMED_FIELD_MM, LungSpace
from manabi.nodule.shapes_sampling import NoduleRanges
from manabi.phantoms.radiograph_chest import ChestProjection
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_library import RECORD, VERSION, write_projection

SIZE = 64
RECIPE = PairRecipe(size=SIZE, nodules=(1, 2), ranges=NoduleRanges(diameter_mm=(18.0, 35.0)))
"""Nodules large enough for pixels of 6 mm."""
MIDDLE_MM = 150.0


def chest(size: int = SIZE, wide: float = 1.0) -> ChestProjection:
    """Lungs of 55 × 110 mm and up to 140 mm deep, the heart before the left one, fat, spine and twelve ribs."""
    geometry = FilmGeometry(size, ASSUMED_FIELD_MM / size)
    x, z = geometry.offsets_mm()[None, :], geometry.offsets_mm()[:, None]
    halves = [ellipsoid(x - side * 70 * wide, z, 55 * wide, 110, 70) for side in (1, -1)]
    half = np.maximum(*halves)
    heart = ellipsoid(x + 25, z + 50, 60, 60, 45)
    near = np.where(half > 0, MIDDLE_MM - half, np.nan)
    far = np.where(half > 0, MIDDLE_MM + half, np.nan)
    path = np.clip(2 * half - np.minimum(2 * heart, half), 0, None)
    body = 20.0 * np.sqrt(np.clip(1 - (x / 170) ** 2, 0, 1)) + 0 * z
    ribs = 0.6 * (np.sin(z / 4.0 + np.abs(x) / 30.0) > 0.6) * (np.abs(x) < 150)
    bone = ribs + 4.0 * (np.abs(x) < 14)
    soft = np.clip(body - path / 10.0 + 0.3 * np.sin(x / 7.0) * np.sin(z / 9.0), 0.2, None)
    maps = np.stack((soft, 0.1 * body, bone + 0 * soft, 0.2 * path / 10.0)).astype(np.float32)
    lungs = np.where(half > 3, np.where(x > 0, 1, 2), 0).astype(np.uint8)
    hidden = np.where((lungs > 0) & (heart > 15), 1, 0).astype(np.uint8)
    return ChestProjection(
        maps=maps, lung_range_mm=np.stack((near, far)).astype(np.float32), lung_path_mm=path.astype(np.float32),
        lungs=lungs, hidden=hidden, geometry=geometry, parameters_json="{}",
    )  # fmt: skip


def ellipsoid(x: np.ndarray, z: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """Half of an ellipsoid's thickness at points."""
    return c * np.sqrt(np.clip(1 - (x / a) ** 2 - (z / b) ** 2, 0, 1))


def space(size: int = SIZE) -> LungSpace:
    """The room of the small chest."""
    return LungSpace.of_projection(chest(size))


def slab(size: int = 128, pixel_mm: float = 0.75, low: float = 60.0, high: float = 260.0) -> LungSpace:
    """Nothing but lung between two planes."""
    lungs = np.ones((size, size), np.uint8)
    near, far = (np.full((size, size), v, np.float32) for v in (low, high))
    return LungSpace(FilmGeometry(size, pixel_mm), lungs, np.zeros_like(lungs), near, far, far - near)


def write_library(folder: Path, seed: int = 0, count: int = 2, size: int = SIZE, domain: str = "training") -> Path:
    """A library of small chests, as :meth:`ChestLibrary.build` would find it complete."""
    folder.mkdir(parents=True)
    chests = [chest(size, 1.0 - 0.1 * k) for k in range(count)]
    record = {
        "version": VERSION, "seed": seed, "domain": domain, "geometry": dataclasses.asdict(chests[0].geometry)
    }  # fmt: skip
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    for index, one in enumerate(chests):
        write_projection(one, folder / f"chest-{index:06d}.npz")
    return folder
