"""What BrainSeg says of a segmentation, besides what :mod:`manabi.structures.report` says of any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from manabi.brain.structures import BRAIN, STRUCTURES
from manabi.result import Labelmap
from manabi.structures import report
from manabi.structures.report import COLUMNS, Measured, measurements, volumes_plot, volumes_table, wholes

if TYPE_CHECKING:
    from manabi.volume import Volume

__all__ = [
    "COLUMNS", "PLAUSIBLE_ML", "Measured", "alerts", "labelled", "measure", "measurements", "strangeness_text",
    "volumes_plot", "volumes_table", "wholes",
]  # fmt: skip
PLAUSIBLE_ML = {one.name: one.plausible_ml for one in BRAIN.structures if one.plausible_ml}
"""Volumes of grown people; outside, the result is flagged."""
STRANGE_MARGIN = 1.3
"""Features further from training than the strangest validation image by this factor are flagged (our choice)."""
DISAGREEMENT = 0.05
"""Flagged when the second stage relabels more of what the first one was sure of (our choice)."""


def measure(labels: Volume, confidence: Volume, wanted: Sequence[str]) -> list[Measured]:
    """Every wanted structure: its sides where it has any, then the whole."""
    return report.measure(labels, confidence, BRAIN, wanted)


def alerts(rows: Sequence[Measured], min_confidence: float, strange: str, disagreement: float) -> list[str]:
    """Texts that begin as the method's ``alert_prefixes`` say."""
    texts = [*([strange] if strange else []), *report.flags(rows, BRAIN, min_confidence)]
    if disagreement > DISAGREEMENT:
        texts.append(
            f"Check the whole result: the second stage relabels {100 * disagreement:.0f} % of what the first one was "
            "sure of."
        )
    return texts


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
    return Labelmap(labels, BRAIN.segments(wanted))
