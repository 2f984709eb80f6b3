"""Does converting change what a dose calculation would see? Electron density by tissue, and water-equivalent thickness.

Megavoltage HU already are electron density, so the converted image cannot be better than the input with its own table;
what is shown is whether it is worse. Nothing here is for planning: :mod:`manabi.mvct.dose` says more, and no more than
that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manabi.mvct.density import DensityTable
from manabi.mvct.metrics import TissueStats
from manabi.mvct.tissue_map import TISSUES
from manabi.result import Cell, Table

COLUMNS = ("what", "unit", "input", "converted", "difference_percent")
SIDES = (("front to back", 1), ("right to left", 2))
DOSE_LENGTH_MM = 60.0
"""Of the slices around the target of a dose comparison (our choice)."""
LEAST_MM = 20.0
"""Paths through less of the body say nothing of its dose (our choice)."""


@dataclass(frozen=True)
class Thickness:
    """Water-equivalent thickness along one direction.

    Attributes:
        side: of which direction.
        source_mm: mean over all paths through the body, by the input and its table.
        output_mm: the same by the converted image and its table.
        median_percent: median over paths of the difference.
        worst_percent: 95th percentile of its magnitude.
    """

    side: str
    source_mm: float
    output_mm: float
    median_percent: float
    worst_percent: float


def thicknesses(
    source: np.ndarray, output: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray,
    tables: tuple[DensityTable, DensityTable],
) -> list[Thickness]:  # fmt: skip
    """Water-equivalent thickness of the body along parallel paths, by the input and by the converted image.

    Args:
        source: input, ``(n, rows, columns)`` HU, in closest-to-RAS order.
        output: converted, the same shape.
        body: mask of the same shape; couch and air do not count.
        spacing_mm: of I, J, K.
        tables: of input and converted image.
    """
    densities = [
        np.where(body, table.electron_density(hu), np.float32(0.0))
        for table, hu in zip(tables, (source, output), strict=True)
    ]
    found = []
    for side, axis in SIDES:
        step = float(spacing_mm[2 - axis])
        before, after = (density.sum(axis, dtype=np.float64) * step for density in densities)
        paths = before >= LEAST_MM
        if not paths.any():
            continue
        change = 100.0 * (after[paths] / before[paths] - 1.0)
        found.append(
            Thickness(
                side, float(before[paths].mean()), float(after[paths].mean()), float(np.median(change)),
                float(np.percentile(np.abs(change), 95)),
            )
        )  # fmt: skip
    return found


def harm_table(
    stats: Mapping[str, Mapping[str, TissueStats]], paths: list[Thickness], tables: tuple[DensityTable, DensityTable]
) -> Table:  # fmt: skip
    """Electron density of each tissue, and thickness along each direction, by input and converted image.

    Args:
        stats: of the tissues of ``input`` and ``converted``.
        paths: of :func:`thicknesses`.
        tables: of input and converted image.
    """
    rows: list[tuple[Cell, ...]] = []
    for tissue in TISSUES:
        if tissue in stats["input"] and tissue in stats["converted"]:
            values = [
                float(table.electron_density(np.array(stats[name][tissue].mean_hu)))
                for table, name in zip(tables, ("input", "converted"), strict=True)
            ]
            rows.append((f"relative electron density, {tissue}", "", *_compared(values[0], values[1], 4)))
    for path in paths:
        before, after, mean = _compared(path.source_mm, path.output_mm, 1)
        rows.append((f"water-equivalent thickness, {path.side}, mean", "mm", before, after, mean))
        rows.append(("the same, 95 % of paths within ±", "%", None, None, round(path.worst_percent, 2)))
    return Table(COLUMNS, tuple(rows))


def dose_table(images: Mapping[str, np.ndarray], body: np.ndarray, spacing_mm: np.ndarray,
               tables: tuple[DensityTable, DensityTable]) -> Table:  # fmt: skip
    """A simple dose of seven beams on the reference, and how far input and converted image are from it.

    The target is a ball in the middle of the body; the slices around it are looked at.

    Args:
        images: HU ``(n, rows, columns)`` of ``input``, ``converted`` and ``reference``, in closest-to-RAS order.
        body: mask of the same shape.
        spacing_mm: of I, J, K.
        tables: of input and converted image; that of the converted image reads the reference too.
    """
    from manabi.mvct.dose_compare import Image, central_ball, compare_dose
    from manabi.volume import Volume

    target, low, high = central_ball(body, spacing_mm, max(int(DOSE_LENGTH_MM / float(spacing_mm[2])), 3))
    matrix = np.diag([*(float(s) for s in spacing_mm), 1.0])
    order = {"reference": tables[1], "input": tables[0], "converted": tables[1]}
    shown = {n: Image(Volume(images[n][low:high], matrix, "CT", "HU", n), table) for n, table in order.items()}
    return compare_dose(shown, Volume(target[low:high].astype(np.uint8), matrix, name="target")).table


def _compared(before: float, after: float, digits: int) -> tuple[Cell, Cell, Cell]:
    percent = round(100.0 * (after / before - 1.0), 2) if before > 0.05 else None
    return round(before, digits), round(after, digits), percent
