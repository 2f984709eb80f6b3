"""What BrainSeg says of a segmentation: volumes, sides, confidence, and what a reader must not overlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.brain.structures import LABELS, SIDED, STRUCTURES
from manabi.result import Cell, Labelmap, Plot, Table

if TYPE_CHECKING:
    from manabi.volume import Volume

COLUMNS = ("structure", "side", "volume_ml", "confidence", "left_right_difference_percent", "at_border_percent")
PLAUSIBLE_ML = {
    "cerebrum": (600.0, 1700.0), "cerebellum": (70.0, 220.0), "brainstem": (12.0, 45.0), "ventricles": (2.0, 250.0),
}  # fmt: skip
"""Volumes of grown people; outside, the result is flagged (our choice, wide)."""
UNEVEN_PERCENT = {"cerebrum": 15.0, "cerebellum": 20.0}
"""Differences of the sides above this are flagged (our choice)."""
AT_BORDER_PERCENT = 0.3
"""Flagged when more of a structure's voxels lie on the image's faces."""
STRANGE_MARGIN = 1.3
"""Features further from training than the strangest validation image by this factor are flagged (our choice)."""
DISAGREEMENT = 0.05
"""Flagged when the second stage relabels more of what the first one was sure of (our choice)."""


@dataclass(frozen=True)
class Measured:
    """One label of a result.

    Attributes:
        structure: of :data:`STRUCTURES`.
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


def measure(labels: Volume, confidence: Volume, wanted: Sequence[str]) -> list[Measured]:
    """Every wanted structure: its sides where it has any, then the whole."""
    array, sure = np.asarray(labels.array), np.asarray(confidence.array)
    voxel_ml = abs(float(np.linalg.det(labels.ijk_to_ras[:3, :3]))) / 1000.0
    highest = max(label.value for label in LABELS)
    count = np.bincount(array.ravel(), minlength=highest + 1).astype(float)
    total = np.bincount(array.ravel(), weights=sure.ravel(), minlength=highest + 1)
    border = _on_faces(array, highest)
    rows = []
    for structure in (s for s in STRUCTURES if s in wanted):
        own = [label for label in LABELS if label.structure == structure]
        parts = [_one(structure, one.side, [one.value], count, total, border, voxel_ml) for one in own]
        rows.extend(parts)
        if structure in SIDED:
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


def alerts(rows: Sequence[Measured], min_confidence: float, strange: str, disagreement: float) -> list[str]:
    """Texts that begin as the method's ``alert_prefixes`` say."""
    texts = [strange] if strange else []
    for row in wholes(rows):
        texts.extend(text for text in (_cut(row), _unsure(row, min_confidence), _implausible(row)) if text)
        texts.extend(_uneven(row))
    if disagreement > DISAGREEMENT:
        texts.append(
            f"Check the whole result: the second stage relabels {100 * disagreement:.0f} % of what the first one was "
            "sure of."
        )
    return texts


def _cut(row: Measured) -> str:
    if row.at_border_percent <= AT_BORDER_PERCENT or row.structure == "vessels":
        return ""
    return (
        f"The field of view ends within the {row.structure} ({row.at_border_percent:.1f} % of it lies on the image's "
        "border): its volume is too small."
    )


def _unsure(row: Measured, least: float) -> str:
    if row.confidence is None or row.confidence >= least:
        return ""
    return f"Check the {row.structure}: its mean confidence is {row.confidence:.2f} (below {least:.2f})."


def _implausible(row: Measured) -> str:
    if row.structure not in PLAUSIBLE_ML:
        return ""
    low, high = PLAUSIBLE_ML[row.structure]
    if low <= row.volume_ml <= high:
        return ""
    if not row.volume_ml:
        return f"Check the {row.structure}: none was found."
    return f"Check the {row.structure}: {row.volume_ml:.1f} mL is outside what adults have ({low:g} to {high:g} mL)."


def _uneven(row: Measured) -> list[str]:
    limit = UNEVEN_PERCENT.get(row.structure)
    if limit is None or row.difference_percent is None or abs(row.difference_percent) <= limit:
        return []
    larger = "right" if row.difference_percent > 0 else "left"
    return [f"Check the {row.structure}: its {larger} side is {abs(row.difference_percent):.0f} % larger."]


def strangeness_text(found: float | None, limit: float | None) -> str:
    """What to say of an image whose features are far from those of training; empty where they are not."""
    if found is None or limit is None or found <= STRANGE_MARGIN * limit:
        return ""
    return (
        f"Not like the training images: the network's features are {found / limit:.1f} times as far from them as those "
        "of any validation image. Check that this is an MR of the head, and every structure."
    )


def labelled(labels: Volume, wanted: Sequence[str] = STRUCTURES) -> Labelmap:
    """The label map with the coded segments of the wanted structures, also of those that were not found."""
    from manabi.brain.structures import segments

    return Labelmap(labels, segments(tuple(label for label in LABELS if label.structure in wanted)))
