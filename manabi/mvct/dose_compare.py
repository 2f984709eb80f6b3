"""No harm: what a conversion does to dose, against megavoltage CT with its own table and true kilovoltage CT.

Megavoltage HU are electron density already, so a conversion cannot be expected to improve dose; it must not worsen it.
The same beams (their shape follows from the target alone) go through the native image with its table, the converted
one with the kV table, and the true kV CT with the kV table, which is the reference. The dose is that of
:mod:`manabi.mvct.dose`: for comparison, not for planning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.mvct.density import DensityTable
from manabi.mvct.dose import Beam, dose, even_beams, water_depth
from manabi.mvct.dose_dvh import dvh_numbers
from manabi.mvct.dose_gamma import gamma_index, pass_rate
from manabi.mvct.tissue_map import body_mask
from manabi.result import Cell, Table
from manabi.volume import Volume

DOSE_GRID_MM = 3.0
BEAMS = 7
TARGET_MM = 20.0
"""Radius of the target of :func:`central_ball` (our choice)."""
PRESCRIBED = 100.0
"""Mean dose of the target on the reference, by definition: doses are in percent."""
TOLERANCE_PERCENT = 0.5
"""A number of the converted image may be this much further from the reference than the native one's (our choice)."""
COLUMNS = ("structure", "quantity", "unit")


@dataclass(frozen=True)
class Image:
    """An image and the table that turns its HU to density.

    Attributes:
        volume: HU.
        table: of its kind.
    """

    volume: Volume
    table: DensityTable


@dataclass(frozen=True)
class Comparison:
    """Doses of images of one patient.

    Attributes:
        doses: by image, on the dose grid, in percent of the prescribed dose, ``(n, rows, columns)``.
        table: a row per structure and number: its value on the reference, and every other image's difference.
        gamma: by image, against the reference.
        spacing_mm: of the dose grid, I, J, K.
        worse: rows (structure and quantity) in which the last image is further off than the one before it, beyond
            :data:`TOLERANCE_PERCENT`; empty where there is no harm or nothing to compare with.
    """

    doses: dict[str, np.ndarray]
    table: Table
    gamma: dict[str, np.ndarray]
    spacing_mm: np.ndarray
    worse: tuple[str, ...]


def no_harm(
    native: Image,
    converted: Image,
    truth: Image,
    target: Volume,
    structures: Mapping[str, Volume] | None = None,
    beams: Sequence[Beam] | None = None,
) -> Comparison:
    """Compare native and converted against the true kV CT; all on one grid.

    Args:
        native: megavoltage (or cone-beam) CT with its table.
        converted: with the kV table.
        truth: true kV CT with the kV table.
        target: not 0 inside; beams aim at it.
        structures: more of them.
        beams: seven evenly about the patient by default.
    """
    images = {"true_kv": truth, "native": native, "converted": converted}
    return compare_dose(images, target, structures, beams)


def compare_dose(
    images: Mapping[str, Image],
    target: Volume,
    structures: Mapping[str, Volume] | None = None,
    beams: Sequence[Beam] | None = None,
) -> Comparison:
    """Dose of the same beams on several images; the first is the reference.

    Only what lies in the reference's body counts, as within the external contour of a plan: scanners see couches and
    masks to different extents.

    Args:
        images: two at least, all on the target's grid.
        target: not 0 inside.
        structures: more of them, on the same grid.
        beams: seven evenly about the patient by default.

    Raises:
        GeometryError: where the grids differ.
        InvalidInputError: for fewer than two images, or an empty structure.
    """
    if len(images) < 2:
        raise InvalidInputError(f"A comparison needs two images at least; got {len(images)}.")
    _check_grids(images, target, structures or {})
    beams = tuple(beams or even_beams(BEAMS))
    masks, spacing = _masks(target, structures or {})
    body = _body(next(iter(images.values())).volume)
    densities = {
        name: body
        * _coarse(image.table.electron_density(image.volume.reoriented().array), target.reoriented().spacing_mm)
        for name, image in images.items()
    }
    raw = {name: dose(density, spacing, masks["target"], beams) for name, density in densities.items()}
    first = next(iter(raw))
    scale = PRESCRIBED / float(raw[first][masks["target"]].mean())
    doses = {name: np.where(body, array * scale, np.float32(0.0)) for name, array in raw.items()}
    gamma = {n: gamma_index(doses[first], array, spacing) for n, array in doses.items() if n != first}
    rows = [*_dvh_rows(doses, masks), *_depth_rows(densities, masks["target"], spacing, beams)]
    gamma_row: tuple[Cell, ...] = ("body", "gamma 2 %/2 mm", "% passing", 100.0, *(
        round(pass_rate(g), 2) for g in gamma.values()
    ))  # fmt: skip
    others = [name for name in images if name != first]
    table = Table((*COLUMNS, first, *(f"{name}_difference" for name in others)), (*rows, gamma_row))
    return Comparison(doses, table, gamma, spacing, _worse(rows))


def central_ball(body: np.ndarray, spacing_mm: np.ndarray, slices: int) -> tuple[np.ndarray, int, int]:
    """A target for a comparison where none is drawn: a ball of :data:`TARGET_MM` in the middle of the body.

    Args:
        body: mask ``(n, rows, columns)``, not empty.
        spacing_mm: of I, J, K.
        slices: around it that shall be looked at.

    Returns:
        The ball's mask, and the first of those slices and the one after the last.
    """
    held = np.flatnonzero(body.any((1, 2)))
    k = int(held[len(held) // 2])
    j, i = (int(round(n)) for n in np.argwhere(body[k]).mean(0))
    step = np.asarray(spacing_mm, float)[::-1]
    axes = np.ogrid[tuple(slice(0, n) for n in body.shape)]
    away = sum(((a - c) * s) ** 2 for a, c, s in zip(axes, (k, j, i), step, strict=True))
    low = max(k - slices // 2, 0)
    return np.asarray(away <= TARGET_MM**2), low, min(low + slices, len(body))


def _dvh_rows(doses: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for structure, mask in masks.items():
        numbers = [dvh_numbers(array, mask, PRESCRIBED) for array in doses.values()]
        for quantity, base in numbers[0].items():
            unit = "% of the structure" if quantity.startswith("V") else "% of the prescribed dose"
            differences = (round(other[quantity] - base, 3) for other in numbers[1:])
            rows.append((structure, quantity, unit, round(base, 3), *differences))
    return rows


def _depth_rows(
    densities: Mapping[str, np.ndarray], target: np.ndarray, spacing_mm: np.ndarray, beams: Sequence[Beam]
) -> list[tuple[Cell, ...]]:
    """Water-equivalent depth of the target's centre in every beam."""
    k, j, i = np.argwhere(target).mean(0)
    rows: list[tuple[Cell, ...]] = []
    for beam in beams:
        depths = []
        for density in densities.values():
            plane = water_depth(density[int(round(k))][None], spacing_mm, (float(i), float(j)), beam.gantry_deg)[0]
            depths.append(float(plane[int(round(j)), int(round(i))]))
        name = f"water-equivalent depth at {beam.gantry_deg:.0f}°"
        rows.append(("target", name, "mm", round(depths[0], 2), *(round(d - depths[0], 2) for d in depths[1:])))
    return rows


def _worse(rows: Sequence[tuple[Cell, ...]]) -> tuple[str, ...]:
    """Doses in which the last image is further from the reference than the one before it."""
    if not rows or len(rows[0]) < len(COLUMNS) + 3:
        return ()
    return tuple(
        f"{row[0]} {row[1]}"
        for row in rows
        if row[2] != "mm" and abs(float(row[-1] or 0)) > abs(float(row[-2] or 0)) + TOLERANCE_PERCENT
    )


def _check_grids(images: Mapping[str, Image], target: Volume, structures: Mapping[str, Volume]) -> None:
    volumes = {**{n: image.volume for n, image in images.items()}, **structures}
    for name, volume in volumes.items():
        if not volume.grid.same_as(target.grid, 1e-3):
            raise GeometryError(f"{name} does not lie on the target's grid. Resample it first.")


def _masks(target: Volume, structures: Mapping[str, Volume]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Structures on the dose grid, at least half of a voxel in them, and the dose grid's spacing."""
    spacing = target.reoriented().spacing_mm
    masks = {}
    for name, volume in {"target": target, **structures}.items():
        masks[name] = _coarse((volume.reoriented().array != 0).astype(np.float32), spacing) >= 0.5
        if not masks[name].any():
            raise InvalidInputError(f"The structure {name} is empty or smaller than a voxel of the dose grid.")
    factor = _factor(spacing)
    return masks, np.array([spacing[0] * factor, spacing[1] * factor, spacing[2]])


def _body(volume: Volume) -> np.ndarray:
    """The patient on the dose grid; couch, mask and what a smaller field of view does not show are left out."""
    ras = volume.reoriented()
    return _coarse(body_mask(np.asarray(ras.array), ras.spacing_mm).astype(np.float32), ras.spacing_mm) >= 0.5


def _factor(spacing_mm: np.ndarray) -> int:
    return max(1, int(DOSE_GRID_MM / float(max(spacing_mm[:2])) + 0.25))


def _coarse(array: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Means of whole in-plane blocks; rows and columns that make no whole block, at the far border, are left out."""
    factor = _factor(spacing_mm)
    if factor == 1:
        return np.asarray(array, np.float32)
    n, rows, columns = array.shape[0], array.shape[1] // factor, array.shape[2] // factor
    cut = array[:, : rows * factor, : columns * factor]
    return cut.reshape(n, rows, factor, columns, factor).mean((2, 4), dtype=np.float32)
