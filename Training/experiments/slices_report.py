"""The SliceMarker experiment as Markdown: ``slices.md`` for the documentation, ``tables.md`` with every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file
from manabi.slices.reading import MARKERS, NAMES
from Training.experiments import slices_figures
from Training.experiments.slices_markdown import SOURCE_NOTES, cell, number, table
from Training.experiments.slices_scores import READINGS
from Training.experiments.slices_tables import PUBLISHED, PUBLISHED_RECALL
from Training.experiments.slices_whole import OURS

PAGE, TABLES = "slices.md", "tables.md"
OFFSETS, RELIABILITY, EXAMPLES = "slices_offsets.png", "slices_reliability.png", "slices_examples.png"

Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write ``slices.md``, ``tables.md`` and the figures that follow from results.json into ``folder``.

    ``images/slices_examples.png`` needs the patients and is drawn by the experiment itself.
    """
    folder = Path(folder)
    slices_figures.draw_offsets(results, folder / "images" / OFFSETS)
    slices_figures.draw_reliability(results, folder / "images" / RELIABILITY)
    for name, content in ((PAGE, text(results)), (TABLES, tables(results))):
        with atomic_file(folder / name, overwrite=True) as aside:
            aside.write_text(content, encoding="utf-8")
    return folder / PAGE


def text(results: Results) -> str:
    """The page, from ``results.json``."""
    parts = (_head, _precision, _distance, _figures, _tests, _truncation, _calibration, _search, _few_pathology, _runs)
    lines = [line for part in parts for line in part(results)]
    return "\n".join([*lines, *SOURCE_NOTES]).rstrip() + "\n"


def tables(results: Results) -> str:
    """Every reading of precision and recall for every method and marker, and every pathology."""
    return "\n".join([*_made_with(results), *_readings(results), *_pathology(results)]) + "\n"


# --- what was run -----------------------------------------------------------------------------------------------------


def _head(results: Results) -> list[str]:
    about = results["about"]
    command = f"python -m Training experiment slices --size {about['size']}"
    return [
        "# SliceMarker: results on simulated patients",
        "",
        f"Written by `{command}`. Patients are phantoms of the chest; nothing here was measured on people.",
        "",
        *_made_with(results),
    ]


def _made_with(results: Results) -> list[str]:
    about = results["about"]
    cohort, recipe, training = about["experiment"], about["recipe"], about["training"]
    counts, bundle = about["patients"], about["bundle"]
    items = recipe["items_per_epoch"] or "all (twice the negatives)"
    marks = "simulated readers' marks" if cohort["reader_marks"] else "the true levels"
    start = "weights from a file" if recipe["weights"] else "random weights (the source: ImageNet)"
    ours = f"Ours: bundle {bundle['name']} {bundle.get('version', '')}. " if bundle else ""
    return [
        f"Cohort `{cohort['data']}`, split {cohort['parts']}; used to train {counts['training']}, to validate "
        f"{counts['validation']}, to test {counts['test']} patients. Extractors learned {marks}; {start}, "
        f"{recipe['size']}×{recipe['size']} pixels, {training['epochs']} epochs of {items} images, batches of "
        f"{training['batch_size']}, seed {training['seed']}, {training['precision']}. {ours}Run on {about['device']}, "
        f"{about['versions'].get('platform', '?')}, torch {about['versions'].get('torch', '?')}, in "
        f"{about['duration_s'] / 60:.0f} minutes; data SHA-256 `{about['data_sha256'][:16]}`.",
        "",
    ]


def _runs(results: Results) -> list[str]:
    lines = ["## What was trained", ""]
    rows = [
        [name, NAMES[m], f"{run['weights'] / 1e6:.1f}", str(run["epochs"]), str(run["best_epoch"]),
         str(run["items_per_epoch"]), f"{run['duration_s'] / 60:.1f}", run["device"], str(run["seed"])]
        for name, markers in results["runs"].items() for m, run in markers.items()
    ]  # fmt: skip
    if not rows:
        return [*lines, "No extractor of the source was trained in this run.", ""]
    header = ["network", "marker", "million weights", "epochs", "kept epoch", "images per epoch", "minutes", "device",
              "seed"]  # fmt: skip
    return [*lines, *table(header, rows)]


# --- tables -----------------------------------------------------------------------------------------------------------


def _per_marker(results: Results, part: str, shown: Any) -> list[list[str]]:
    """A row per method, a cell per marker."""
    return [
        [name, *(shown(row[m]) if m in row else "–" for m in MARKERS)] for name, row in results[part].items()
    ]  # fmt: skip


def _precision(results: Results) -> list[str]:
    header = ["method", *(NAMES[m] for m in MARKERS), *(f"source: {m}" for m in MARKERS)]
    rows = [
        [*row, *(f"{p:.1f}" for p in PUBLISHED.get(row[0], ()))]
        for row in _per_marker(results, "readings", lambda r: cell(r["precision_slices"]))
    ]
    return [
        "## Table 1. 1-Up-Down precision",
        "",
        "Share in percent of the predicted slices (probability above ½) that are at most one slice of 4 mm from the "
        "true one; 95 % interval by bootstrap over patients. Ours and the rules give one slice or none per patient. "
        "The last columns are the source's table 2, measured on patients.",
        "",
        *table(header, [[*row, *[""] * (len(header) - len(row))] for row in rows]),
        "### Recall",
        "",
        "Share of patients with at least one such slice; Wilson's interval. The source's abstract gives "
        + ", ".join(f"{p:.1f}" for p in PUBLISHED_RECALL)
        + " % for EfficientNet-B4. `tables.md` of the run has every other reading.",
        "",
        *table(header[:4], _per_marker(results, "readings", lambda r: cell(r["recall_cases"]))),
    ]


def _distance(results: Results) -> list[str]:
    rows = [
        [name, NAMES[m], number(d["mean_mm"]), number(d["median_mm"]), number(d["p95_mm"]), cell(d["within_1"]),
         cell(d["within_2"]), str(d["none_predicted"]), str(d["cases"])]
        for name, markers in results["distance"].items() for m, d in markers.items()
    ]  # fmt: skip
    header = ["method", "marker", "mean mm", "median mm", "95th percentile mm", "within 1 slice %", "within 2 slices %",
              "nothing predicted", "patients"]  # fmt: skip
    return [
        "## Table 2. One answer per patient",
        "",
        "The most probable slice of each patient against the true one, which is what a user gets. Distances are over "
        "the patients with an answer, shares over all; Wilson's intervals.",
        "",
        *table(header, rows),
    ]


def _figures(results: Results) -> list[str]:
    return [
        f"![Predicted slices around the true one](images/{OFFSETS})",
        "",
        f"![Chosen slices](images/{EXAMPLES})",
        "",
    ]


def _tests(results: Results) -> list[str]:
    if not results["mcnemar"]:
        return []
    rows = [
        [name, NAMES[m], str(row["ours_only"]), str(row["other_only"]), f"{row['p']:.2g}", f"{row['p_holm']:.2g}"]
        for m, others in results["mcnemar"].items() for name, row in others.items()
    ]  # fmt: skip
    header = ["against", "marker", "only ours right", "only the other right", "p", "p, Holm"]
    return [
        f"## Table 3. {OURS} against the others",
        "",
        "Patients whose answer is within one slice; exact McNemar test, adjusted by Holm over the methods.",
        "",
        *table(header, rows),
    ]


def _truncation(results: Results) -> list[str]:
    rows = [
        [name, scene, cell(row["sensitivity"]), cell(row["false_alarms"]), cell(row["right"]), str(row["count"])]
        for name, scenes in results["truncation"].items() for scene, row in scenes.items()
    ]  # fmt: skip
    if not rows:
        return []
    header = ["method", "scene", "missing, said so %", "there, said to be missing %", "all right %", "answers"]
    return [
        "## Table 4. Truncated CTs",
        "",
        "The test patients' CTs cut so that markers lie 10 to 50 mm outside the image. Ours must say on which side; an "
        "extractor of the source says nothing where it predicts no slice, which is counted as rightly missing.",
        "",
        *table(header, rows),
    ]


def _calibration(results: Results) -> list[str]:
    found = results["calibration"]
    if not found:
        return []
    rows = [
        [NAMES.get(kind, f"{kind} CTs, all markers" if kind != "all" else "all"), number(row["ece"], 3),
         number(row["brier"], 3), str(row["answers"])]
        for kind, row in found.items()
    ]  # fmt: skip
    return [
        "## Table 5. Is the confidence right?",
        "",
        "Expected calibration error over ten bins, and Brier score, of ours; right is within 4 mm, or rightly not in "
        "the image.",
        "",
        *table(["answers", "calibration error", "Brier score", "count"], rows),
        f"![Reliability](images/{RELIABILITY})",
        "",
    ]


def _search(results: Results) -> list[str]:
    row = results["search"]
    if not row:
        return []
    quick, every = row["seconds"]
    return [
        "## Looking at few slices or at all",
        "",
        f"From coarse to fine, ours looked at {100 * row['evaluated']:.0f} % of the slices (at most "
        f"{100 * row['evaluated_most']:.0f} %) and gave the answer of looking at all in {cell(row['same'])} % of "
        f"{row['answers']} answers; median {quick:.2f} s instead of {every:.2f} s per CT.",
        "",
    ]


def _readings(results: Results) -> list[str]:
    lines = ["## Every reading of precision and recall", ""]
    for reading, meaning in READINGS.items():
        rows = _per_marker(results, "readings", lambda r, reading=reading: cell(r[reading]))
        lines += [f"### {reading}", "", f"In percent: {meaning}.", "", *table(["method", *MARKERS], rows)]
    return lines


def _few_pathology(results: Results) -> list[str]:
    return _pathology(results, slices_figures.shown_methods(results))


def _pathology(results: Results, shown: Sequence[str] | None = None) -> list[str]:
    lines = ["## Within one slice, by pathology", "", "In percent of the patients, Wilson's interval.", ""]
    counts = [row["pathology"] for row in results["patients"]]
    rows = [
        [f"{kind} ({counts.count(kind)})", name, *(cell(row[m]) if m in row else "–" for m in MARKERS)]
        for kind, methods in results["pathology"].items() for name, row in methods.items()
        if shown is None or name in shown
    ]  # fmt: skip
    return [*lines, *table(["pathology (patients)", "method", *MARKERS], rows)]
