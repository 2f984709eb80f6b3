"""Cells and tables of the SliceMarker page, and what it says about the source."""

from __future__ import annotations

from collections.abc import Sequence


def cell(values: Sequence[float | None], digits: int = 1) -> str:
    """A share in percent with its interval; a dash where nothing was counted."""
    value, low, high = values
    if value is None or value != value:
        return "–"
    if low is None or high is None or low != low:
        return f"{100 * value:.{digits}f}"
    return f"{100 * value:.{digits}f} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def number(value: float | None, digits: int = 1) -> str:
    """A number, or a dash."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, and an empty line."""
    lines = [header, ["---"] * len(header), *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


SOURCE_NOTES = [
    "## Where the source contradicts itself, and what was done",
    "",
    "- Its abstract splits 472 patients 400/72, its text 70/15/15 %. The text is followed: 330/71/71.",
    "- Recall is not defined; 97.2, 95.8 and 93.0 % are 69, 68 and 66 of 71, so it is read as share of patients.",
    "- Precision counts every predicted slice in the text; the share of best slices per patient is in `tables.md`.",
    "- 32,916 negatives of 329 patients are 100 per patient, where the text has about 70 slices. The number here "
    "follows from the phantoms' length at 4 mm.",
    '- "0.6 mm" cannot give 140 to 160 slices of a chest; only the 4 mm data are used, as in the source.',
    '- "The last 10 epochs at a reduced rate" is read as a tenth of the rate from epoch 11 of 20 on; other lengths '
    "keep the half.",
    "- Image size, window, amounts of augmentation and weights of the loss are not given: our choices, in "
    "`Training/slices_paper.py`.",
    "",
]
"""Where the source contradicts itself or is silent (``methods/slices.md``)."""
