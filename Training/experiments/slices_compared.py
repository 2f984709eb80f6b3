"""Sections of the SliceMarker page that hold methods against each other: distances, McNemar's tests, paired errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manabi.slices.reading import NAMES
from Training.experiments.slices_markdown import cell, number, table
from Training.experiments.slices_paired import shown
from Training.experiments.slices_whole import ALONE, TRACKING

Results = Mapping[str, Any]


def share_tests(results: Results) -> list[str]:
    """McNemar's tests of a cohort."""
    rows = [
        [name, NAMES[m], str(row["ours_only"]), str(row["other_only"]), f"{row['p']:.2g}", f"{row['p_holm']:.2g}"]
        for m, others in results["mcnemar"].items() for name, row in others.items()
    ]  # fmt: skip
    header = ["against", "marker", "only ours right", "only the other right", "p", "p, Holm"]
    said = "Patients whose answer is within one slice; exact McNemar test, adjusted by Holm over the methods."
    return [said, "", *table(header, rows)]


def differences(results: Results) -> list[str]:
    """Paired errors of a cohort."""
    rows = [[name, NAMES[m], *shown(row)] for m, others in results["paired"].items() for name, row in others.items()]
    header = ["against", "marker", "ours minus the other, mm", "patients", "p", "p, Holm"]
    return [
        "Error of ours minus that of the other on the same patient, negative where ours is closer: mean with 95 % "
        "interval (patients resampled), over patients for whom both chose a slice; Wilcoxon's signed-rank test, "
        f"adjusted by Holm over the methods. *{ALONE}* and *{TRACKING}* are parts of ours.",
        "",
        *table(header, rows),
    ]


def distances(found: Mapping[str, Any]) -> list[str]:
    """Distances of every method and marker."""
    rows = [
        [name, NAMES[m], number(d["mean_mm"], 2), number(d["median_mm"]), number(d["p95_mm"]), cell(d["within_4mm"]),
         cell(d["within_1"]), cell(d["within_2"]), str(d["none_predicted"]), str(d["cases"])]
        for name, markers in found.items() for m, d in markers.items()
    ]  # fmt: skip
    header = ["method", "marker", "mean mm", "median mm", "95th percentile mm", "within 4 mm %", "within 1 slice %",
              "within 2 slices %", "nothing predicted", "patients"]  # fmt: skip
    return table(header, rows)


def more_section(results: Results) -> list[str]:
    """The further patients."""
    more = results.get("more")
    if not more:
        return []
    return [
        f"### On {more['patients']} further patients",
        "",
        f"Ours and the rules alone on the whole CTs of `{more['data']}`, of which nothing was trained, counted or "
        "chosen. No extractor was asked.",
        "",
        *distances(more["distance"]),
        *share_tests(more),
        *differences(more),
    ]
