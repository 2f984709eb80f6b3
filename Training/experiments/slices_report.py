"""The SliceMarker experiment as Markdown: ``slices.md`` for the documentation, ``tables.md`` with every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file
from manabi.slices.reading import MARKERS, NAMES
from Training.experiments import slices_figures
from Training.experiments.slices_compared import differences, distances, more_section, share_tests
from Training.experiments.slices_markdown import cell, number, source_notes, split_read, table, trainings
from Training.experiments.slices_paired import shown as shown_pair
from Training.experiments.slices_scores import READINGS
from Training.experiments.slices_tables import PUBLISHED, PUBLISHED_RECALL
from Training.experiments.slices_whole import ALONE, OURS, PARTS, TRACKING

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
    parts = (
        _head, _aims, _precision, _distance, _figures, _tests, more_section, _truncation, _calibration, _search,
        _few_pathology, _runs, source_notes,
    )  # fmt: skip
    lines = [line for part in parts for line in part(results)]
    return "\n".join(lines).rstrip() + "\n"


def tables(results: Results) -> str:
    """Every reading of precision and recall for every method and marker, against the marks too; every pathology."""
    parts = (_made_with, _readings, _readings_marks, _pathology)
    return "\n".join(line for part in parts for line in part(results)) + "\n"


# --- what was run -----------------------------------------------------------------------------------------------------


def _head(results: Results) -> list[str]:
    about = results["about"]
    command = (
        f"python -m Training experiment slices --size {about['size']} "
        f"--set experiment.networks={about['experiment']['networks']}"
    )
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
    counts, spent = about["patients"], about["duration_s"]
    return [
        f"Cohort `{cohort['data']}`, split {cohort['parts']}; used to train {counts['training']}, to validate "
        f"{counts['validation']}, to test {counts['test']} patients. {split_read(results)}",
        "",
        trainings(results),
        "",
        f"Extractors see {recipe['size']}×{recipe['size']} pixels in batches of {training['batch_size']}, seed "
        f"{training['seed']}, {training['precision']}. Run on {about['device']}, "
        f"{about['versions'].get('platform', '?')}, torch {about['versions'].get('torch', '?')}; training took "
        f"{spent['training'] / 60:.0f} minutes and reading the test patients {spent['reading'] / 60:.0f}, all calls of "
        f"a stopped experiment together. Data SHA-256 `{about['data_sha256'][:16]}`.",
        "",
    ]


AIM_WITHIN, AIM_MM, AIM_SAME, AIM_EVALUATED = 0.99, 3.0, 0.99, 0.25
"""What ours should reach: share within one slice, mean error, equal answers and share of slices of the search."""
SIGNIFICANT = 0.05


def _aims(results: Results) -> list[str]:
    """Ours against its aims, and against the best of the others."""
    ours = results["distance"].get(OURS)
    if not ours:
        return []
    rows = []
    within = f"≥ {100 * AIM_WITHIN:.0f} %"
    for m, found in ours.items():
        rows += [
            [f"{NAMES[m]}: within one slice of 4 mm", within, f"{cell(found['within_1'])} %"],
            [f"{NAMES[m]}: within 4 mm of the true level", within, f"{cell(found['within_4mm'])} %"],
            [f"{NAMES[m]}: mean error", f"≤ {AIM_MM:.0f} mm", f"{number(found['mean_mm'])} mm"],
            *_better(results, m),
            *_smaller(results, m),
        ]
    search = results["search"]
    if search:
        rows.append(["From coarse to fine: three same answers", f"≥ {100 * AIM_SAME:.0f} % of patients",
                     f"{cell(search['same'])} %"])  # fmt: skip
        rows.append(["From coarse to fine: slices looked at", f"≤ {100 * AIM_EVALUATED:.0f} %",
                     f"{100 * search['evaluated']:.0f} %"])  # fmt: skip
    return [
        "## Aims and what was reached",
        "",
        "Better is said only where the share within one slice is higher, or the mean paired error lower, and the test "
        "against the best of the others, adjusted by Holm (table 3), has p < 0.05: McNemar's exact test of the share, "
        "Wilcoxon's signed-rank test of the errors. Shares near 100 % cannot differ by more than chance; errors can.",
        "",
        *table(["quantity", "aim", "reached"], rows),
    ]


def _better(results: Results, marker: str) -> list[list[str]]:
    """Whether ours is better than the best of the others by more than chance; no row where there is no other."""
    shares = {name: row[marker]["within_1"][0] for name, row in results["distance"].items() if marker in row}
    ours = shares.pop(OURS)
    for part in PARTS:
        shares.pop(part, None)
    if not shares:
        return []
    p = {name: row["p_holm"] for name, row in results["mcnemar"][marker].items()}
    best = max(shares, key=lambda name: (shares[name], p[name]))
    said = "no"
    if ours > shares[best]:
        said = "yes" if p[best] < SIGNIFICANT else "higher, not significant"
    row = [f"{NAMES[marker]}: more often within one slice than every other", f"> {100 * shares[best]:.1f} % ({best})"]
    return [[*row, f"{said} (p {p[best]:.2g})"]]


def _smaller(results: Results, marker: str) -> list[list[str]]:
    """Whether the errors of ours are smaller than those of every other; no row where there is no other."""
    paired = {name: row for name, row in results["paired"].get(marker, {}).items() if name not in PARTS}
    means = {name: results["distance"][name][marker]["mean_mm"] for name in paired}
    means = {name: mean for name, mean in means.items() if mean is not None}
    if not means:
        return []
    best = min(means, key=lambda name: means[name])
    row = paired[best]
    smaller = row["mean"] is not None and row["mean"] < 0
    said = "no" if not smaller else "yes" if row["p_holm"] < SIGNIFICANT else "smaller, not significant"
    aim = f"< {means[best]:.2f} mm ({best})"
    return [
        [
            f"{NAMES[marker]}: smaller error than every other",
            aim,
            f"{said}: {shown_pair(row)[0]} mm, p {row['p_holm']:.2g}",
        ]
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
        "true one, also where extractors learned readers' marks (against those: `tables.md` of the run). 95 % interval "
        "by bootstrap over patients, at 0 and 100 % Wilson's. Ours and the rules give one slice or none per patient; "
        f"*{ALONE}* is ours without what the rules found, which otherwise counts as evidence; *{TRACKING}* is this "
        "evidence by itself: the rules with the lungs' ends placed between slices, answered with the nearest slice. "
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
    return [
        "## Table 2. One answer per patient",
        "",
        "The most probable slice of each patient, which is what a user gets, also where an extractor gives it less "
        "than ½. Distances are from the middle of that slice to the true level, over the patients with an answer. "
        "Shares are over all patients, with Wilson's intervals: within 4 mm of the true level, and one or two slices "
        "from the slice that holds it. One slice off can be up to 6 mm, as the level need not be a slice's middle; the "
        "best slice is 1 mm off in the mean.",
        "",
        *distances(results["distance"]),
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
    return [
        f"## Table 3. {OURS} against the others",
        "",
        *share_tests(results),
        *differences(results),
    ]


def _truncation(results: Results) -> list[str]:
    rows = [
        [name, scene, cell(row["missing_near"]), cell(row["missing_far"]), cell(row["false_alarms"]),
         cell(row["right"]), str(row["patients"])]
        for name, scenes in results["truncation"].items() for scene, row in scenes.items()
    ]  # fmt: skip
    if not rows:
        return []
    header = ["method", "scene", "missing by 10 to 50 mm, said so %", "missing by more, said so %",
              "in the image, said to be missing %", "all three right %", "patients"]  # fmt: skip
    return [
        "## Table 4. Truncated CTs",
        "",
        "The test patients' CTs, cut so that one marker lies 10 to 50 mm outside the image. Markers farther outside "
        "are easier and counted apart. To be right, ours must also say on which side the marker is. An extractor of "
        "the source cannot say so and is given the side; it says that a marker is missing where no slice that is left "
        "has a probability above ½, else it answers the most probable of these (table 2 takes the most probable slice "
        "in any case). Wilson's intervals for the number of patients.",
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
        "Expected calibration error over ten bins, and Brier score, of ours; right is within 4 mm of the true level, "
        "or rightly not in the image.",
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
        f"{100 * row['evaluated_most']:.0f} %) and gave all three answers of looking at every one in "
        f"{cell(row['same'])} % of {row['patients']} patients; median {quick:.2f} s instead of {every:.2f} s per CT "
        "(network and search; tracking of airway and lungs comes on top of both).",
        "",
    ]


def _readings(results: Results) -> list[str]:
    lines = ["## Every reading of precision and recall", ""]
    for reading, meaning in READINGS.items():
        rows = _per_marker(results, "readings", lambda r, reading=reading: cell(r[reading]))
        lines += [f"### {reading}", "", f"In percent: {meaning}.", "", *table(["method", *MARKERS], rows)]
    return lines


def _readings_marks(results: Results) -> list[str]:
    """Against what the extractors learned; nothing where they learned the truth."""
    if not results["readings_marks"]:
        return []
    lines = [
        "## Against the simulated readers' marks", "",
        "The same answers, judged by the slices that simulated readers marked, which may be one off: what the "
        "extractors learned, and what a study of patients would judge by.", "",
    ]  # fmt: skip
    for reading in ("precision_slices", "recall_cases"):
        rows = _per_marker(results, "readings_marks", lambda r, reading=reading: cell(r[reading]))
        lines += [f"In percent: {READINGS[reading]}.", "", *table(["method", *MARKERS], rows)]
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
