"""A propagation as a result: labels with segments, and what it says of its own accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.result import Cell, Code, Labelmap, Segment, Table
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.brain.propagate import Propagated

SCORE_COLUMNS = ("label", "axis", "slice", "left_out_dice", "left_out_dice_interpolated", "distance_mm")
VOLUME_COLUMNS = ("label", "volume_ml", "left_out_dice", "painted_slice_count")
TISSUE = Code("85756007", "SCT", "Tissue")
COLORS = ((0.90, 0.45, 0.20), (0.20, 0.60, 0.85), (0.45, 0.75, 0.35), (0.75, 0.40, 0.75), (0.90, 0.80, 0.25))


def propagated_labelmap(labels: Volume) -> Labelmap:
    """The labels with a segment each, named by their value: what they are only their painter knows."""
    values = [int(v) for v in np.unique(labels.array) if v]
    segments = tuple(Segment(v, f"label {v}", COLORS[n % len(COLORS)], TISSUE) for n, v in enumerate(values))
    return Labelmap(labels, segments)


def propagated_tables(done: Propagated) -> tuple[dict[str, Table], dict[str, Cell]]:
    """The tables ``labels`` (per label) and ``slices`` (per painted slice), and one row for a cohort's table."""
    voxel_ml = abs(float(np.linalg.det(done.labels.ijk_to_ras[:3, :3]))) / 1000.0
    scores = tuple(
        (s.label, s.axis, s.index, round(s.dice, 4), round(s.dice_shape, 4), round(s.distance_mm, 2))
        for s in done.scores
    )
    rows: list[tuple[Cell, ...]] = []
    measurements: dict[str, Cell] = {}
    for value in sorted({int(v) for v in np.unique(done.labels.array) if v}):
        own = [s.dice for s in done.scores if s.label == value and np.isfinite(s.dice)]
        dice = round(float(np.mean(own)), 4) if own else None
        volume = round(float(np.count_nonzero(done.labels.array == value)) * voxel_ml, 3)
        rows.append((value, volume, dice, len(own)))
        measurements[f"label_{value}_ml"] = volume
        measurements[f"label_{value}_left_out_dice"] = dice
    measurements["painted_slice_count"] = len(done.painted_slices)
    tables = {"labels": Table(VOLUME_COLUMNS, tuple(rows)), "slices": Table(SCORE_COLUMNS, scores)}
    return tables, measurements
