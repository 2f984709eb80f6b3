"""Cheap variations of a projected chest: moved, scaled and smoothly bent on the film, with lungs and ranges alike.

A bent film is no longer the exact projection of a body, but every map moves with every other, so that a nodule put in
afterwards still lies within the lung. Left and right are never exchanged: that would be situs inversus.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.radiograph_chest import ChestProjection

NODES = 5
"""Nodes of the bending field on each side."""


@dataclass(frozen=True)
class Variation:
    """How a chest is moved on its film.

    Attributes:
        shift_mm: down and to the patient's left, at the detector.
        scale: of lengths; above 1 larger.
        turn_deg: about the central ray, anticlockwise.
        bend_mm: standard deviation of the smooth shifts.
        tissue: factors of the area densities of soft tissue, fat, bone and lung.
        seed: draws the bending.
    """

    shift_mm: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    turn_deg: float = 0.0
    bend_mm: float = 0.0
    tissue: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    seed: int = 0


def sample_variation(rng: np.random.Generator) -> Variation:
    """Draw a variation: up to about 15 mm, 6 %, 3 degrees, bends of 4 mm, tissues by a tenth (our choices)."""
    down, left = rng.uniform(-15, 15, 2)
    factors = np.exp(rng.normal(0.0, (0.04, 0.08, 0.10, 0.06)))
    return Variation(
        shift_mm=(float(down), float(left)),
        scale=float(rng.uniform(0.94, 1.06)),
        turn_deg=float(np.clip(rng.normal(0.0, 1.2), -3, 3)),
        bend_mm=float(rng.uniform(1.0, 4.0)),
        tissue=tuple(float(v) for v in factors),  # type: ignore[arg-type]
        seed=int(rng.integers(2**31)),
    )


def vary(projection: ChestProjection, variation: Variation | np.random.Generator) -> ChestProjection:
    """A varied copy; what comes in from outside the film repeats its edge, and is no lung.

    Args:
        projection: the chest; not changed.
        variation: how, or a generator to draw it from.
    """
    chosen = sample_variation(variation) if isinstance(variation, np.random.Generator) else variation
    grid = _places(projection, chosen)
    factors = np.array(chosen.tissue, np.float32)[:, None, None]
    record = json.loads(projection.parameters_json)
    record["variation"] = {**vars(chosen)}
    reach = _nearest(projection.lung_range_mm, grid)
    lungs = _nearest(projection.lungs[None], grid)[0]
    reach[:, lungs == 0] = np.nan
    return replace(
        projection,
        maps=_linear(projection.maps, grid) * factors,
        lung_range_mm=reach,
        lung_path_mm=_linear(projection.lung_path_mm[None], grid)[0] * (lungs > 0),
        lungs=lungs,
        hidden=_nearest(projection.hidden[None], grid)[0],
        parameters_json=json.dumps(record),
    )


def _places(projection: ChestProjection, chosen: Variation) -> Tensor:
    """Where each pixel comes from, ``(1, rows, columns, 2)`` from -1 to 1 (column, row)."""
    geometry = projection.geometry
    size, half = geometry.matrix, 0.5 * geometry.matrix * geometry.pixel_mm
    line = torch.as_tensor((2 * np.arange(size) + 1) / size - 1, dtype=torch.float32)
    row, column = line[:, None] - chosen.shift_mm[0] / half, line[None, :] - chosen.shift_mm[1] / half
    angle = np.radians(chosen.turn_deg)
    cos, sin = float(np.cos(angle)) / chosen.scale, float(np.sin(angle)) / chosen.scale
    grid = torch.stack((cos * column - sin * row, sin * column + cos * row), dim=-1)
    if chosen.bend_mm:
        drawn = np.random.default_rng(chosen.seed).standard_normal((1, 2, NODES, NODES)) * chosen.bend_mm / half
        bend = torch.as_tensor(drawn, dtype=torch.float32)
        grid += F.interpolate(bend, (size, size), mode="bicubic", align_corners=True)[0].permute(1, 2, 0)
    return grid[None]


def _linear(arrays: np.ndarray, grid: Tensor) -> np.ndarray:
    values = torch.tensor(arrays)[None]
    return F.grid_sample(values, grid, padding_mode="border", align_corners=False)[0].numpy()


def _nearest(arrays: np.ndarray, grid: Tensor) -> np.ndarray:
    """Nearest values; 0 outside."""
    values = torch.tensor(arrays.astype(np.float32))[None]
    return F.grid_sample(values, grid, mode="nearest", align_corners=False)[0].numpy().astype(arrays.dtype)
