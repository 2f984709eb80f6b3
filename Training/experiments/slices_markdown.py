"""Cells and tables of the SliceMarker page, and what it says about the source and about what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Results = Mapping[str, Any]

SOURCE_EPOCHS, SOURCE_EPOCH_IMAGES, SOURCE_PATIENTS = 20, 2 * 32_916, 329
"""What each extractor of the source learned: all negatives of its patients, and positives drawn as often."""
FAR_FEWER = 0.5
"""Below this share of the source's images the page says that the extractors learned far fewer (our choice)."""


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


# --- what was trained -------------------------------------------------------------------------------------------------


def trainings(results: Results) -> str:
    """What ours and the extractors learned, and that this is not the same."""
    ours, extractors = _ours(results), _extractors(results)
    said = [text for text, _ in (ours, extractors) if text]
    if ours[0] and results["runs"]:
        said.append(_unequal(ours[1], extractors[1]))
    return " ".join(said)


def _ours(results: Results) -> tuple[str, int | None]:
    """What ours learned, in words, and how many images it was shown."""
    bundle, facts = results["about"]["bundle"], results["about"]["ours_training"]
    if not bundle:
        return "", None
    marks = "the phantoms' exact levels, not readers' marks" if facts["simulated"] else "the marks of its own table"
    begun = f", beginning from the weights of {facts['start']}" if facts["start"] else ""
    name = f"Ours, bundle {bundle['name']} {bundle.get('version', '')}".rstrip()
    learned = f"{name} (trained on {bundle.get('trained_on', 'unknown data')}), learned {marks}{begun}"
    patients, epochs, items = facts["patients"], facts["epochs"], facts["items_per_epoch"]
    if None in (patients, epochs, items):
        return f"{learned}; its metadata do not say for how long.", None
    return f"{learned}, of {patients} patients in {_epochs(epochs)} of {items:,} slices.", epochs * items


def _extractors(results: Results) -> tuple[str, int | None]:
    """What each extractor of the source learned in this run, in words, and how many images it was shown."""
    about = results["about"]
    runs = [run for markers in results["runs"].values() for run in markers.values()]
    if not runs:
        return "No extractor of the source was trained in this run.", None
    epochs, items = max(run["epochs"] for run in runs), max(run["items_per_epoch"] for run in runs)
    marks = "simulated readers' marks" if about["experiment"]["reader_marks"] else "the phantoms' exact levels"
    start = "weights from a file" if about["recipe"]["weights"] else "random weights (the source: ImageNet)"
    return (
        f"Each extractor of the source learned {marks} of {about['patients']['training']} patients from {start}, in "
        f"{_epochs(epochs)} of {items:,} images (the source: {SOURCE_PATIENTS} patients, {SOURCE_EPOCHS} epochs of "
        f"about {SOURCE_EPOCH_IMAGES:,} images)."
    ), epochs * items


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _unequal(ours: int | None, extractors: int | None) -> str:
    """One sentence that the comparison is of unequal trainings."""
    seen, source = extractors or 0, SOURCE_EPOCHS * SOURCE_EPOCH_IMAGES
    shown = "an unknown number of" if ours is None else f"{ours:,}"
    less = f" ({100 * seen / source:.2g} % of the source's, far fewer)" if seen < FAR_FEWER * source else ""
    return (
        f"The comparison is of unequal trainings: ours was shown {shown} images and each extractor {seen:,}{less}, so "
        "the tables say how good each is as trained here, not which network is better."
    )


def split_read(results: Results) -> str:
    """Which of the source's two splits was run, and which epoch was kept therefore."""
    if results["about"]["patients"]["validation"]:
        return (
            "The split is the one of the source's text, in three parts: the epoch with the best 1-Up-Down F1 on the "
            "validation patients was kept, judged by the same marks that the extractors learned."
        )
    return (
        "The split is the one of the source's abstract, in two parts: without patients to validate with, the last "
        "epoch of each extractor was kept."
    )


# --- the source -------------------------------------------------------------------------------------------------------


def source_notes(results: Results) -> list[str]:
    """Where the source contradicts itself or is silent (``methods/slices.md``), and what was done."""
    cohort, counts = results["about"]["experiment"], results["about"]["patients"]
    run = "text" if counts["validation"] else "abstract"
    split = (
        f"- Its abstract splits 472 patients 400/72, its text 70/15/15 %. This run follows the {run} "
        f"(`--set experiment.parts={cohort['parts']}`); the other reading is "
        f"`--set experiment.parts={'400/0/72' if counts['validation'] else '330/71/71'}`."
    )
    return ["## Where the source contradicts itself, and what was done", "", split, *SOURCE_NOTES]


SOURCE_NOTES = [
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
"""What does not depend on the run."""
