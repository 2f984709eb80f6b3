"""What is said of a segmentation: volumes, sides, confidence, and what a reader must not overlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.result import Cell, Plot, Table
from manabi.structures.structure_set import StructureSet
from manabi.volume import Volume

COLUMNS = ("structure", "side", "volume_ml", "confidence", "left_right_difference_percent", "at_border_percent")
AT_BORDER_PERCENT = 0.3
"""Flagged when more of a structure's voxels lie on the image's faces (our choice)."""


@dataclass(frozen=True)
class Measured:
    """One label of a result.

    Attributes:
        structure: its name.
        side: ``left``, ``right``, ``both`` or empty.
        volume_ml: of its voxels.
        confidence: mean probability of its voxels, None where there are none.
        at_border_percent: share of its voxels that lie on a face of the image.
        difference_percent: right minus left over their mean, for both sides.
    """

    structure: str
    side: str
    volume_ml: float
    confidence: float | None
    at_border_percent: float
    difference_percent: float | None = None

    def row(self) -> tuple[Cell, ...]:
        """As :data:`COLUMNS`."""
        confidence = None if self.confidence is None else round(self.confidence, 4)
        difference = None if self.difference_percent is None else round(self.difference_percent, 1)
        border = round(self.at_border_percent, 2)
        return self.structure, self.side, round(self.volume_ml, 2), confidence, difference, border


def measure(labels: Volume, confidence: Volume, known: StructureSet, wanted: Sequence[str]) -> list[Measured]:
    """Every wanted structure: its sides where it has any, then the whole."""
    array, sure = np.asarray(labels.array), np.asarray(confidence.array)
    voxel_ml = abs(float(np.linalg.det(labels.ijk_to_ras[:3, :3]))) / 1000.0
    highest = max(label.value for label in known.labels)
    count = np.bincount(array.ravel(), minlength=highest + 1).astype(float)
    total = np.bincount(array.ravel(), weights=sure.ravel(), minlength=highest + 1)
    border = _on_faces(array, highest)
    rows = []
    for structure in (s for s in known.names if s in wanted):
        own = [label for label in known.labels if label.structure == structure]
        parts = [_one(structure, one.side, [one.value], count, total, border, voxel_ml) for one in own]
        rows.extend(parts)
        if known[structure].sided:
            whole = _one(structure, "both", [one.value for one in own], count, total, border, voxel_ml)
            left, right = parts[0].volume_ml, parts[1].volume_ml
            difference = 200.0 * (right - left) / (right + left) if right + left > 0 else None
            rows.append(Measured(structure, "both", whole.volume_ml, whole.confidence, whole.at_border_percent,
                                 difference))  # fmt: skip
    return rows


def _one(
    structure: str, side: str, values: list[int], count: np.ndarray, total: np.ndarray, border: np.ndarray,
    voxel_ml: float,
) -> Measured:  # fmt: skip
    n = float(count[values].sum())
    sure = float(total[values].sum()) / n if n else None
    return Measured(structure, side, n * voxel_ml, sure, 100.0 * float(border[values].sum()) / n if n else 0.0)


def _on_faces(array: np.ndarray, highest: int) -> np.ndarray:
    """How many voxels of each label lie on the image's six faces; those on edges count once."""
    inner = array[1:-1, 1:-1, 1:-1]
    return np.bincount(array.ravel(), minlength=highest + 1) - np.bincount(inner.ravel(), minlength=highest + 1)


def wholes(rows: Sequence[Measured]) -> list[Measured]:
    """One row per structure: both sides together, or the structure itself."""
    return [row for row in rows if row.side in ("both", "")]


def volumes_table(rows: Sequence[Measured]) -> Table:
    """A row per structure and side."""
    return Table(COLUMNS, tuple(row.row() for row in rows))


def volumes_plot(rows: Sequence[Measured]) -> Plot:
    """Volumes of all structures as bars."""
    names = tuple(f"{row.side} {row.structure}".strip() for row in rows if row.side != "both")
    values = [round(row.volume_ml, 2) for row in rows if row.side != "both"]
    places = [float(n) for n in range(len(names))]
    return Plot("Volumes", "", "Volume (mL)", {"volume": (places, values)}, kind="bar", categories=names)


def measurements(rows: Sequence[Measured], alerts: Sequence[str]) -> dict[str, Cell]:
    """One row of a cohort's table."""
    out: dict[str, Cell] = {}
    for row in rows:
        name = row.structure if row.side in ("", "both") else f"{row.structure}_{row.side}"
        out[f"{name}_ml"] = round(row.volume_ml, 2)
        if row.side in ("", "both"):
            out[f"{name}_confidence"] = None if row.confidence is None else round(row.confidence, 4)
    out["quality"] = "check" if alerts else "no flag"
    return out


# --- what a reader must not overlook ----------------------------------------------------------------------------------


def flags(rows: Sequence[Measured], known: StructureSet, min_confidence: float) -> list[str]:
    """Texts about structures that are cut, unsure, implausible or uneven; none where all is well."""
    texts: list[str] = []
    for row in wholes(rows):
        texts.extend(text for text in (_cut(row, known), _unsure(row, known, min_confidence)) if text)
        texts.extend(text for text in (_implausible(row, known), _uneven(row, known)) if text)
    return texts


def _cut(row: Measured, known: StructureSet) -> str:
    if row.at_border_percent <= AT_BORDER_PERCENT or known[row.structure].plausible_ml is None:
        return ""
    return (
        f"The field of view ends within the {known[row.structure].words} ({row.at_border_percent:.1f} % of it lies on "
        "the image's border): its volume is too small."
    )


def _unsure(row: Measured, known: StructureSet, least: float) -> str:
    if row.confidence is None or row.confidence >= least:
        return ""
    words = known[row.structure].words
    return f"Check the {words}: its mean confidence is {row.confidence:.2f} (below {least:.2f})."


def _implausible(row: Measured, known: StructureSet) -> str:
    one = known[row.structure]
    if one.plausible_ml is None or one.plausible_ml[0] <= row.volume_ml <= one.plausible_ml[1]:
        return ""
    if not row.volume_ml:
        return f"Check the {one.words}: none was found."
    low, high = one.plausible_ml
    return f"Check the {one.words}: {row.volume_ml:.1f} mL is outside what adults have ({low:g} to {high:g} mL)."


def _uneven(row: Measured, known: StructureSet) -> str:
    limit = known[row.structure].uneven_percent
    if limit is None or row.difference_percent is None or abs(row.difference_percent) <= limit:
        return ""
    larger = "right" if row.difference_percent > 0 else "left"
    words = known[row.structure].words
    return f"Check the {words}: its {larger} side is {abs(row.difference_percent):.0f} % larger."
